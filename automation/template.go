package automation

import (
	"fmt"
	"strings"
	"unicode"
)

// A Cast turns a whole JSON string into a number or a boolean: in {"duration":
// "{{duration | number}}"}, the quotes disappear with the braces.
type Cast string

// The casts. Without one, the value is a string.
const (
	NoCast      Cast = ""
	CastNumber  Cast = "number"
	CastBoolean Cast = "boolean"
)

// Casts lists the casts that may follow the bar in a placeholder.
var Casts = []Cast{CastNumber, CastBoolean}

// A Reference is one placeholder in a template.
type Reference struct {
	// Name is the placeholder's name in the catalog.
	Name string
	// Cast is the type that the whole value gets.
	Cast Cast
	// Offset and Length delimit the placeholder with its braces in the parsed
	// string, in bytes.
	Offset, Length int
}

// String returns the canonical form: {{name}} or {{name | cast}}.
func (r Reference) String() string {
	if r.Cast == NoCast {
		return "{{" + r.Name + "}}"
	}
	return "{{" + r.Name + " | " + string(r.Cast) + "}}"
}

// A Template is a string with placeholders. Parse one with [ParseTemplate].
type Template struct {
	// texts surround the references: texts[i] comes before references[i], and
	// the last one after all of them.
	texts      []string
	references []Reference
}

// References returns the placeholders in order.
func (t Template) References() []Reference { return t.references }

// Texts returns the literal text around the placeholders: one more than there
// are placeholders, some of them empty.
func (t Template) Texts() []string { return t.texts }

// Lone returns the placeholder of a template that consists of a single
// placeholder.
func (t Template) Lone() (Reference, bool) {
	if len(t.references) == 1 && t.texts[0] == "" && t.texts[1] == "" {
		return t.references[0], true
	}
	return Reference{}, false
}

// BlanksAround reports whether the template is a single placeholder with
// whitespace, and nothing else, around it.
func (t Template) BlanksAround() (Reference, bool) {
	if len(t.references) != 1 {
		return Reference{}, false
	}
	around := t.texts[0] + t.texts[1]
	if around == "" || strings.TrimFunc(around, unicode.IsSpace) != "" {
		return Reference{}, false
	}
	return t.references[0], true
}

// String returns the template with its placeholders in canonical form.
func (t Template) String() string {
	var b strings.Builder
	for i, text := range t.texts {
		b.WriteString(text)
		if i < len(t.references) {
			b.WriteString(t.references[i].String())
		}
	}
	return b.String()
}

// A SyntaxProblem is a kind of syntax error in a placeholder.
type SyntaxProblem int

// The syntax errors of placeholders.
const (
	// Unclosed: "{{" without its "}}".
	Unclosed SyntaxProblem = iota
	// Unopened: "}}" without its "{{".
	Unopened
	// ExtraBrace: a third brace, as in "{{{userId}}}".
	ExtraBrace
	// BadName: the content of the braces is not a name.
	BadName
	// UnknownCast: the word after the bar is not a cast.
	UnknownCast
	// CastInText: a cast in a string with more than the placeholder.
	CastInText
)

// A SyntaxError is one malformed placeholder.
type SyntaxError struct {
	Problem SyntaxProblem
	// Offset and Length delimit the wrong part of the string, in bytes.
	Offset, Length int
	// Text is that part.
	Text string
	// Name is the name of the intended placeholder, as far as it could be read.
	Name string
	// Cast is the word after the bar, for UnknownCast and CastInText.
	Cast string
}

// Error describes the problem in a sentence.
func (e SyntaxError) Error() string {
	switch e.Problem {
	case Unclosed:
		return fmt.Sprintf("placeholder %s is not closed with }}", quote(e.Text))
	case Unopened:
		return fmt.Sprintf("%s closes a placeholder that was not opened with {{", quote(e.Text))
	case ExtraBrace:
		return fmt.Sprintf("placeholder %s has a brace too many: two open it and two close it", quote(e.Text))
	case UnknownCast:
		return fmt.Sprintf("unknown cast %s in placeholder %s: a cast is number or boolean", quote(e.Cast), quote(e.Text))
	case CastInText:
		return fmt.Sprintf("the cast in %s does nothing here: a cast must stand alone in its string", quote(e.Text))
	default:
		if strings.TrimSpace(strings.Trim(e.Text, "{}")) == "" {
			return fmt.Sprintf("placeholder %s has no name", quote(e.Text))
		}
		return fmt.Sprintf("placeholder %s is malformed: a name is made of letters, digits, '_', '-' and '.', and starts with a letter or '_'", quote(e.Text))
	}
}

// quote quotes a string from a file so that it can't disturb a terminal.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// SyntaxErrors are all malformed placeholders of one string, in order.
type SyntaxErrors []SyntaxError

// Error joins the messages.
func (es SyntaxErrors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

var namePattern = pattern(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// ValidName reports whether a placeholder can have this name.
func ValidName(name string) bool { return namePattern().MatchString(name) }

// ParseTemplate parses a string that may contain placeholders: {{name}} or
// {{name | cast}}, with optional whitespace inside the braces. A single brace is
// literal text. The error is nil or a [SyntaxErrors] with all mistakes; in that
// case the template holds the valid placeholders.
func ParseTemplate(s string) (Template, error) {
	if !strings.Contains(s, "{{") && !strings.Contains(s, "}}") {
		return Template{texts: []string{s}}, nil
	}
	p := templateParser{text: s}
	p.parse()
	if _, lone := p.out.Lone(); !lone {
		_, blanks := p.out.BlanksAround()
		for _, r := range p.out.references {
			if r.Cast != NoCast && !blanks {
				p.errs = append(p.errs, SyntaxError{Problem: CastInText, Offset: r.Offset, Length: r.Length,
					Text: s[r.Offset : r.Offset+r.Length], Name: r.Name, Cast: string(r.Cast)})
			}
		}
	}
	if len(p.errs) > 0 {
		return p.out, p.errs
	}
	return p.out, nil
}

// templateParser parses a string in one pass, from left to right.
type templateParser struct {
	text  string
	start int // of the literal text that is not yet in out
	depth int // single braces that are open in the literal text
	out   Template
	errs  SyntaxErrors
}

func (p *templateParser) parse() {
	for i := 0; i < len(p.text); {
		rest := p.text[i:]
		switch {
		case strings.HasPrefix(rest, "{{{"):
			i = p.extraBrace(i)
		case strings.HasPrefix(rest, "{{"):
			i = p.placeholder(i)
		case strings.HasPrefix(rest, "}}") && p.depth < 2:
			i = p.unopened(i)
		case rest[0] == '{':
			p.depth++
			i++
		case rest[0] == '}':
			p.depth = max(0, p.depth-1)
			i++
		default:
			i++
		}
	}
	p.out.texts = append(p.out.texts, p.text[p.start:])
}

// fail records an error in text[from:to].
func (p *templateParser) fail(problem SyntaxProblem, from, to int, name, cast string) int {
	p.errs = append(p.errs, SyntaxError{Problem: problem, Offset: from, Length: to - from,
		Text: p.text[from:to], Name: name, Cast: cast})
	return to
}

// extraBrace handles three or more opening braces.
func (p *templateParser) extraBrace(from int) int {
	to := from
	for to < len(p.text) && p.text[to] == '{' {
		to++
	}
	inner := to
	for to < len(p.text) && p.text[to] != '}' && p.text[to] != '{' {
		to++
	}
	name := strings.TrimSpace(p.text[inner:to])
	for to < len(p.text) && p.text[to] == '}' {
		to++
	}
	return p.fail(ExtraBrace, from, to, name, "")
}

// placeholder handles "{{".
func (p *templateParser) placeholder(from int) int {
	inner := p.text[from+2:]
	end := strings.Index(inner, "}}")
	if next := strings.Index(inner, "{{"); end < 0 || next >= 0 && next < end {
		return p.unclosed(from, inner, next)
	}
	to := from + 2 + end + 2
	name, cast, hasCast := strings.Cut(inner[:end], "|")
	name, cast = strings.Trim(name, " \t"), strings.Trim(cast, " \t")
	switch {
	case p.depth == 0 && strings.HasPrefix(p.text[to:], "}") && !strings.HasPrefix(p.text[to:], "}}"):
		return p.fail(ExtraBrace, from, to+1, name, cast)
	case !ValidName(name) || strings.Contains(cast, "|") || hasCast && cast == "":
		return p.fail(BadName, from, to, name, cast)
	case hasCast && cast != string(CastNumber) && cast != string(CastBoolean):
		return p.fail(UnknownCast, from, to, name, cast)
	}
	p.out.texts = append(p.out.texts, p.text[p.start:from])
	p.out.references = append(p.out.references, Reference{Name: name, Cast: Cast(cast), Offset: from, Length: to - from})
	p.start = to
	return to
}

// unclosed handles "{{" without "}}" before the end of the string or the next
// "{{". The next "{{" is at inner[next:] unless next is negative.
func (p *templateParser) unclosed(from int, inner string, next int) int {
	if next >= 0 {
		inner = inner[:next]
	}
	if one := strings.IndexByte(inner, '}'); one >= 0 {
		return p.fail(Unclosed, from, from+2+one+1, strings.TrimSpace(inner[:one]), "")
	}
	// Without a closing brace, the placeholder ends with its name.
	name := strings.TrimLeft(inner, " \t")
	blanks := len(inner) - len(name)
	n := 0
	for n < len(name) && ValidName(name[:n+1]) {
		n++
	}
	return p.fail(Unclosed, from, from+2+blanks+n, name[:n], "")
}

// unopened handles "}}" without "{{". The error covers the name before it.
func (p *templateParser) unopened(at int) int {
	from := at
	for from > p.start && (ValidName("_"+p.text[from-1:from]) || p.text[from-1] == ' ') {
		from--
	}
	name := strings.TrimSpace(p.text[from:at])
	if name == "" {
		from = at
	}
	if from > p.start && p.text[from-1] == '{' {
		from--
	}
	for from < at && p.text[from] == ' ' {
		from++
	}
	to := at + 2
	for to < len(p.text) && p.text[to] == '}' {
		to++
	}
	p.depth = 0
	return p.fail(Unopened, from, to, name, "")
}
