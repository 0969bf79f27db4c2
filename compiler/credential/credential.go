package credential

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hbollon/go-edlib"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// concealment replaces credentials in messages.
const concealment = "***"

// credentialNames has names of fields that hold credentials, in the form of [finding.PlainName].
var credentialNames = []string{"writekey", "apikey", "secret", "token", "password", "authorization", "bearer",
	"basic", "cookie", "credential"}

// plainCredentialNames has the names that also mean a credential within a payload, where a token or cookie may
// be anything.
var plainCredentialNames = []string{"writekey", "apikey", "password", "authorization", "clientsecret", "accesstoken",
	"authtoken", "privatekey"}

// isCredentialName reports whether the name of a field, which may be misspelled, means that its value is a
// credential.
func isCredentialName(label string) bool {
	plain := finding.PlainName(strings.TrimLeft(label, "#_"))
	for _, name := range credentialNames {
		if strings.Contains(plain, name) && name != "basic" || isNearly(plain, name) {
			return true
		}
	}
	return plain == "pwd" || plain == "passwd" || strings.Contains(plain, "signature")
}

// isNearly reports whether two words are the same, or differ by a typing error.
func isNearly(word, name string) bool {
	return word == name || min(len(word), len(name)) > 3 &&
		edlib.OSADamerauLevenshteinDistance(word, name) <= max(1, len(name)/4)
}

// HoldsCredential reports whether the value at a path of labels is a credential, judging by the names of its
// fields.
func HoldsCredential(labels []string) bool {
	if len(labels) == 0 {
		return false
	}
	switch labels[0] {
	case "placeholders", "plan":
		return false
	case "secrets": // a reference to a secret is not a secret
		return len(labels) > 1 && !slices.Contains(labels, "env") && !slices.Contains(labels, "file") &&
			!slices.Contains(labels, "exec")
	case "automations", "sources", "targets":
		labels = labels[min(2, len(labels)):] // the second is a name that the author chose
	}
	for i, label := range labels {
		if label == "payload" || label == "tests" {
			return slices.ContainsFunc(labels[i+1:],
				func(l string) bool { return slices.Contains(plainCredentialNames, finding.PlainName(l)) })
		}
		if isCredentialName(label) {
			return true
		}
	}
	return false
}

// secretName matches the name of a secret, so that it is not taken for the secret itself.
var secretName = finding.Pattern(`^[A-Z][A-Z0-9]{0,11}(_[A-Z0-9]+)*$`)

var (
	urlUser      = finding.Pattern(`(?i)(?:^|\b[a-z][a-z0-9+.-]*:/{1,2})([^/?#\s"':@]*:[^/?#\s"'@]*|[^/?#\s"':@]{8,})@`)
	urlParameter = finding.Pattern(`[?&]([\pL\pN_.\[\]-]+)=([^&#\s"']+)`)
	// headerValue matches a credential in a header's value.
	headerValue = finding.Pattern(`(?i)\b(?:bearer|basic)[ \t]+([0-9a-z_.~+/=-]{8,}…?)`)
	// tokenForm matches the tokens of well-known services.
	tokenForm = finding.Pattern(`\b(` + strings.Join([]string{
		`(?:sk|rk|whsec)_(?:(?:live|test)_)?[0-9A-Za-z]{8,}`, // Stripe
		`gh[a-z]_[0-9A-Za-z]{16,}`,                           // GitHub
		`github_pat_[0-9A-Za-z_]{16,}`,
		`glpat-[0-9A-Za-z_-]{12,}`,              // GitLab
		`xox[a-z]-[0-9A-Za-z-]{8,}`,             // Slack
		`AKIA[0-9A-Z]{16}`,                      // AWS
		`AIza[0-9A-Za-z_-]{30,}`,                // Google
		`SG\.[0-9A-Za-z_-]{16,}[0-9A-Za-z_.-]*`, // SendGrid
		`eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_.-]+`, // a JSON Web Token
	}, "|") + `)`)
)

// shortParameters has more names of URL parameters that hold credentials.
var shortParameters = []string{"key", "sig", "auth"}

// A part is a part of a string, by offsets.
type part struct{ from, to int }

// textCredentials returns the credentials in a string, independent of its name: in a URL before the host and in
// parameters, after Bearer and Basic, and in the forms of well-known services.
func textCredentials(text string) []part {
	var out []part
	for _, form := range []*regexp.Regexp{headerValue(), tokenForm()} {
		for _, m := range form.FindAllStringSubmatchIndex(text, -1) {
			if form == tokenForm() || strings.ContainsAny(text[m[2]:m[3]], "0123456789=_") { // not a word of a sentence
				out = append(out, part{m[2], m[3]})
			}
		}
	}
	for _, m := range urlUser().FindAllStringSubmatchIndex(text, -1) {
		if !strings.HasPrefix(text[m[2]:], "mailto:") {
			out = append(out, part{m[2], m[3]})
		}
	}
	for _, m := range urlParameter().FindAllStringSubmatchIndex(text, -1) {
		if name := text[m[2]:m[3]]; isCredentialName(name) ||
			slices.Contains(shortParameters, finding.PlainName(name)) {
			out = append(out, part{m[4], m[5]})
		}
	}
	return apart(withoutTemplates(text, out))
}

// apart sorts parts, and joins those that overlap.
func apart(parts []part) []part {
	slices.SortFunc(parts, func(a, b part) int { return a.from - b.from })
	var out []part
	for _, p := range parts {
		if n := len(out); n > 0 && p.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, p.to)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// withoutTemplates removes the placeholders from parts of a string.
func withoutTemplates(text string, parts []part) []part {
	var out []part
	for _, p := range parts {
		from := p.from
		for _, m := range TemplatePattern().FindAllStringIndex(text[p.from:p.to], -1) {
			out = append(out, part{from, p.from + m[0]})
			from = p.from + m[1]
		}
		out = append(out, part{from, p.to})
	}
	return slices.DeleteFunc(out, func(p part) bool { return p.from >= p.to })
}

// withoutCredentials masks the credentials in a string.
func withoutCredentials(text string) string {
	parts := textCredentials(text)
	for _, p := range slices.Backward(parts) {
		text = text[:p.from] + concealment + text[p.to:]
	}
	return text
}

// Mask returns the content of a CUE file with stars in the place of possible credentials, judging by the names
// of fields, so that its lines can be shown. Everything else keeps its offset, in bytes and in UTF-16 code
// units. The file need not parse.
func Mask(content []byte) []byte {
	r := credentialReader{content: content}
	r.read()
	if len(r.parts) == 0 {
		return content
	}
	out := bytes.Clone(content)
	for _, p := range r.parts {
		for i := p.from; i < p.to; {
			c, size := utf8.DecodeRune(out[i:p.to])
			if c != '\n' && c != '\r' {
				copy(out[i:], stars[size])
			}
			i += size
		}
	}
	return out
}

// stars has characters by their size in bytes.
var stars = map[int]string{1: "*", 2: "×", 3: "✱", 4: "🞸"}

// A credentialReader reads a file, which may be broken, token by token.
type credentialReader struct {
	content []byte
	scanner scanner.Scanner
	// path has the labels of the current place. base is the length of the path at the start of the current
	// block, and blocks has those of the blocks around it.
	path   []string
	base   int
	blocks [][2]int
	parts  []part   // possible credentials
	values []string // the same, as messages would show them
}

// A word is a token that is a label or a value, depending on the next token.
type word struct {
	part
	tok token.Token
	// selected means that it is part of a.b, which is a reference.
	selected bool
}

func (r *credentialReader) read() {
	r.scanner.Init(token.NewFile("", -1, len(r.content)), r.content, func(token.Pos, string, []any) {}, 0)
	var last *word
	var previous token.Token
	var parens []int // open ones, for each interpolation
	value := func() {
		if last != nil {
			r.value(*last)
		}
		last = nil
	}
	open := func() { r.blocks, r.base = append(r.blocks, [2]int{r.base, len(r.path)}), len(r.path) }
	shut := func() {
		if n := len(r.blocks); n > 0 {
			r.base, r.path = r.blocks[n-1][0], r.path[:r.blocks[n-1][1]]
			r.blocks = r.blocks[:n-1]
		}
	}
	for {
		pos, tok, _ := r.scanner.Scan()
		from, to := pos.Offset(), min(r.scanner.Offset(), len(r.content))
		switch tok {
		case token.EOF:
			value()
			return
		case token.IDENT, token.STRING, token.INT, token.FLOAT, token.INTERPOLATION, token.ILLEGAL:
			value()
			last = &word{part{from, to}, tok, previous == token.PERIOD}
			if tok == token.INTERPOLATION {
				value()
				parens = append(parens, 0)
			}
		case token.OPTION, token.NOT, token.COMMENT:
		case token.COLON, token.BIND:
			if last != nil {
				label := r.label(*last)
				for _, p := range textCredentials(string(r.content[last.from:last.to])) {
					r.parts = append(r.parts, part{last.from + p.from, last.from + p.to})
				}
				r.path = append(r.path, label)
			}
			last = nil
		case token.COMMA:
			value()
			r.path = r.path[:r.base]
		case token.PERIOD:
			if last != nil {
				last.selected = true
			}
		case token.LBRACE, token.LBRACK, token.LPAREN:
			value()
			open()
			if n := len(parens); tok == token.LPAREN && n > 0 {
				parens[n-1]++
			}
		case token.RBRACE, token.RBRACK, token.RPAREN:
			value()
			shut()
			n := len(parens)
			if tok != token.RPAREN || n == 0 {
				break
			}
			if parens[n-1]--; parens[n-1] > 0 {
				break
			}
			from := min(r.scanner.Offset(), len(r.content))
			text := r.scanner.ResumeInterpolation()
			r.value(word{part{from, min(r.scanner.Offset(), len(r.content))}, token.INTERPOLATION, false})
			if strings.HasSuffix(text, "(") {
				parens[n-1] = 0
			} else {
				parens = parens[:n-1]
			}
		default:
			value()
		}
		previous = tok
	}
}

// label returns the name of a field.
func (r *credentialReader) label(w word) string {
	text := string(r.content[w.from:w.to])
	if s, err := literal.Unquote(text); err == nil && w.tok == token.STRING {
		return s
	}
	return text
}

// value records a value if it may hold a credential.
func (r *credentialReader) value(w word) {
	text := string(r.content[w.from:w.to])
	parts := []part{{0, len(text)}}
	quoted := w.tok == token.STRING || w.tok == token.INTERPOLATION || strings.ContainsAny(text, `"'`)
	if quoted {
		start := len(text) - len(strings.TrimLeft(text, "#\"'"))
		end := len(strings.TrimRight(text, "#\"'(\\"))
		parts = []part{{min(start, end), end}}
	}
	inner := text[parts[0].from:parts[0].to]
	switch {
	case !HoldsCredential(r.path):
		if !quoted {
			return
		}
		parts = textCredentials(inner)
		for i := range parts {
			parts[i].from, parts[i].to = parts[i].from+strings.Index(text, inner),
				parts[i].to+strings.Index(text, inner)
		}
	case secretName().MatchString(inner) && isNearly(finding.PlainName(r.path[len(r.path)-1]), "secret"):
		return
	case w.tok == token.IDENT && (w.selected || len(text) < 8 || !strings.ContainsFunc(text, unicode.IsDigit)):
		return // it is a reference rather than a string without quotes
	default:
		parts = withoutTemplates(text, parts)
		r.values = append(r.values, inner)
		if s, err := literal.Unquote(text); err == nil {
			r.values = append(r.values, s)
		}
	}
	for _, p := range parts {
		r.parts = append(r.parts, part{w.from + p.from, w.from + p.to})
	}
}

// Conceal removes possible credentials from findings.
func Conceal(read func(name string) ([]byte, error), found diagnostic.List) {
	var file string
	var known []string
	for i := range found {
		d := &found[i]
		if d.File != file {
			file, known = d.File, credentialsIn(read, d.File)
		}
		concealed := func(text string) string {
			for _, v := range known {
				text = strings.ReplaceAll(text, v, concealment)
			}
			return withoutCredentials(text)
		}
		if HoldsCredential(PathLabels(d.Path)) {
			d.Message = withoutValues(*d)
		}
		d.Path = withoutCredentials(d.Path)
		d.Message, d.Help, d.Suggestion = concealed(d.Message), concealed(d.Help), concealed(d.Suggestion)
		for j := range d.Related {
			d.Related[j].Message = concealed(d.Related[j].Message)
		}
		if d.Fix == nil {
			continue
		}
		d.Fix.Message = concealed(d.Fix.Message)
		for _, e := range d.Fix.Edits {
			d.Confidential = d.Confidential || concealed(e.NewText) != e.NewText
		}
	}
}

// credentialsIn lists the possible credentials in a file, the longest first.
func credentialsIn(read func(name string) ([]byte, error), file string) []string {
	const least = 6 // shorter ones may be part of other words
	if path.Ext(file) != ".cue" {
		return nil
	}
	content, err := read(file)
	if err != nil {
		return nil
	}
	r := credentialReader{content: content}
	r.read()
	values := slices.DeleteFunc(r.values, func(v string) bool { return len(v) < least || strings.HasPrefix(v, "{{") })
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	return values
}

// PathLabels returns the names of fields in a path of a finding.
func PathLabels(path string) []string {
	var out []string
	for _, s := range cue.ParsePath(path).Selectors() {
		if s.IsString() {
			out = append(out, s.Unquoted())
		} else {
			out = append(out, s.String())
		}
	}
	return out
}

var shownValue = finding.Pattern(`"(?:[^"\\]|\\.)*"|\b(?:got|number|value|and) -?[0-9]\S*`)

// withoutValues returns the message of a finding about a credential without the values that it shows.
func withoutValues(d diagnostic.Diagnostic) string {
	labels := PathLabels(d.Path)
	return shownValue().ReplaceAllStringFunc(d.Message, func(shown string) string {
		text, quoted := strings.CutPrefix(shown, `"`)
		switch text = strings.TrimSuffix(text, `"`); {
		case !quoted:
			return shown[:strings.IndexByte(shown, ' ')+1] + concealment
		case slices.Contains(labels, text) || secretName().MatchString(text):
			return shown
		}
		return `"` + concealment + `"`
	})
}

// TemplatePattern matches a placeholder in a string.
var TemplatePattern = finding.Pattern(`\{\{[^{}]*\}\}`)
