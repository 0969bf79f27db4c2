package source

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// ComplaintOf returns the parser's first error about a file, in words for the file's author.
func ComplaintOf(content []byte, err error) Complaint {
	first := cueerrors.Errors(err)[0]
	m := Complaint{content: content, Message: PlainMessage(first), From: len(content)}
	if pos := first.Position(); pos.IsValid() {
		m.From = min(pos.Offset(), len(content))
	}
	m.word()
	return m
}

// ContentRange converts two offsets into a range.
func ContentRange(content []byte, from, to int) diagnostic.Range {
	return diagnostic.Range{Start: positionAt(content, from), End: positionAt(content, to)}
}

// A Complaint is the parser's first error, in words for the author of the file.
type Complaint struct {
	content                   []byte
	Message, Help, Suggestion string
	From, To                  int // the part of the file that it is about
	// operand means that a value is missing, spare that there is something superfluous.
	operand, spare bool
	// block is the whole part with the same cause, if it is more than a line.
	block Span
	// lost means that the meaning of the rest of the file can't be told.
	lost bool
}

var (
	foundToken  = finding.Pattern(`found '([^']*)'( .*)?$`)
	hyphenName  = finding.Pattern(`[\pL\pN_$]+(-[\pL\pN_$]+)+$`)
	assignment  = finding.Pattern(`^[ \t]*(?:[#\pL\pN_$"-]+:[ \t]*)*[#\pL\pN_$"-]+[ \t]*(=>?)[ \t]*(?:[^=~ \t]|$)`)
	firstWord   = finding.Pattern(`^\x{FEFF}?[ \t]*([a-z]+)[ \t]+[a-z_A-Z0-9]+[ \t]*\r?$`)
	hashComment = finding.Pattern(`^[ \t]*#+($|[^#\pL\pN_"$]|[\pL\pN_]+[ \t,.!]+[^:&])`)
	leadingWord = finding.Pattern(`^\x{FEFF}?[ \t]*\pL+`)
)

// word finds the place and the words for the parser's error.
func (m *Complaint) word() {
	m.To = TokenEnd(m.content, m.From)
	raw := m.Message
	found := ""
	if f := foundToken().FindStringSubmatch(raw); f != nil {
		found = f[1]
		if t := strings.TrimSpace(f[2]); t != "" {
			found = t
		}
	}
	if m.conflict() || m.bareAddress() || m.unclosed(found) || m.habitual() {
		return
	}
	switch {
	case strings.Contains(raw, "not terminated") && m.interpolation():
		m.say(`this \( is not closed`, "close it with )")
	case strings.Contains(raw, "not terminated") && m.content[m.From] == '\'':
		m.say("the string has no closing quote", `strings need double quotes: "…"`)
	case strings.Contains(raw, "not terminated"):
		m.lost = !balanced(m.content[m.From:LineEnd(m.content, m.From)])
		m.say("the string has no closing quote", `close it with "; a string of several lines needs """`)
	case strings.Contains(raw, "missing ','"):
		m.say("the field must end here, with a new line or a comma",
			"put a new line or a comma between two fields")
	case strings.Contains(raw, "expected label or ':'"):
		m.say("found "+thing(found)+" where the name of a field, or the colon after it, is expected",
			"a field is written name: value")
	case strings.Contains(raw, "expected operand"):
		m.operand = true
		m.say("found "+thing(found)+" where a value is expected", "write a value")
	case strings.Contains(raw, "expected 'EOF'"):
		m.say("found "+thing(found)+" that closes nothing", "remove it, or open it before")
		m.superfluous()
	case strings.Contains(raw, "multiline"), strings.Contains(raw, "multi-line"):
		m.say("the lines of the string are not indented like its closing quotes",
			`start every line with the same whitespace as the closing """`)
	case strings.Contains(raw, "in escape sequence"), strings.Contains(raw, "unknown escape"):
		m.say("the string has an unknown escape sequence", `write \\ for a backslash`)
	case strings.Contains(raw, "UTF-8"):
		m.say("the file is not UTF-8: the byte "+strconv.Quote(string(m.content[m.From:m.To]))+" is not a valid character",
			"save the file as UTF-8")
	case strings.Contains(raw, "illegal") && strings.Contains(raw, "number"):
		m.number()
	case strings.HasPrefix(raw, "illegal character"):
		m.say("this character is not allowed here: "+strings.TrimPrefix(raw, "illegal character "),
			"remove it, or put it into a quoted string")
	case strings.Contains(raw, "maximum nesting depth"):
		m.lost = true
		m.say("values are nested more than 10000 levels deep", "split them")
	case letAndField().MatchString(raw):
		m.letAndField(letAndField().FindStringSubmatch(raw)[1])
	case redeclared().MatchString(raw):
		m.redeclared(redeclared().FindStringSubmatch(raw)[1])
	case found != "":
		m.say("found "+thing(found)+" where something else is expected",
			"correct the syntax; cue fmt also shows the place")
	default:
		m.say("the file does not parse: "+raw, "correct the syntax; cue fmt also shows the place")
	}
}

// number words an error about text that starts like a number but is not one: a date, a number with a leading
// zero or a unit.
func (m *Complaint) number() {
	for m.From > 0 && !strings.ContainsRune(" \t\r\n,:[{(&|\"", rune(m.content[m.From-1])) {
		m.From--
	}
	text := numberLike().Find(m.content[m.From:])
	m.To = m.From + max(1, len(text))
	if dateLike().Match(text) {
		m.Suggestion = strconv.Quote(string(text))
		m.say("a date must be quoted", "write "+m.Suggestion)
		return
	}
	m.say("this is not a number: "+string(text),
		"write a number without leading zeros and units, or quote it if you meant a string")
}

var (
	numberLike = finding.Pattern(`^[-+]?[0-9][0-9A-Za-z_.:+-]*`)
	dateLike   = finding.Pattern(`^[0-9]{4}-[0-9]{2}-[0-9]{2}`)
)

// redeclared words an error about a name that is defined twice in one file.
func (m *Complaint) redeclared(name string) {
	if i := bytes.Index(m.content[m.From:LineEnd(m.content, m.From)], []byte(name)); i >= 0 {
		m.From += i
		m.To = m.From + len(name)
	}
	m.say("the file defines "+name+" twice", "rename or remove one of them")
}

// letAndField words an error about a let with the name of a field or an import. CUE's error is at the field's
// value, or at the let.
func (m *Complaint) letAndField(name string) {
	start := bytes.LastIndexByte(m.content[:m.From], '\n') + 1
	if i := bytes.LastIndex(m.content[start:m.From], []byte(name)); i >= 0 {
		m.From = start + i
	} else if i := bytes.Index(m.content[m.From:LineEnd(m.content, m.From)], []byte(name)); i >= 0 {
		m.From += i
	}
	m.To = TokenEnd(m.content, m.From)
	m.say(name+" is the name of a let and of something else, so references to it are ambiguous",
		"give the let another name")
}

var letAndField = finding.Pattern(`^cannot have both alias and field with name "([^"]*)" in same scope`)

var redeclared = finding.Pattern(`^alias "([^"]*)" redeclared in same scope`)

func (m *Complaint) say(message, help string) { m.Message, m.Help = message, help }

// thing shows a token that the parser found.
func thing(found string) string {
	switch found {
	case "EOF":
		return "the end of the file"
	case "newline", "\n":
		return "the end of the line"
	case "":
		return "something"
	}
	return found
}

// unclosed reports a bracket that is still open at the end of the file, or where another kind of bracket
// closes. The finding is at the open bracket.
func (m *Complaint) unclosed(found string) bool {
	field := strings.HasPrefix(string(m.content[m.From:]), ":") // a colon that can't be here
	if found != "EOF" && found != "}" && found != "]" && found != ")" && !field {
		return false
	}
	open := bracketsOf(m.content[:m.From]).unclosed()
	if open.text == "" || closing[open.text] == found || field && open.text == "{" {
		return false
	}
	m.From, m.To = open.at, open.at+1
	m.say("this "+open.text+" is not closed", "close it with "+closing[open.text])
	return true
}

var closing = map[string]string{"{": "}", "[": "]", "(": ")"}

// Messages about the remains of a merge.
const (
	mergeConflict = "the file has an unresolved merge conflict"
	MergeLeftover = "this line is left over from a merge conflict"
)

var conflictMarkers = []string{"<<<<<<<", "=======", ">>>>>>>"}

// conflict recognizes the remains of a merge.
func (m *Complaint) conflict() bool {
	if c, ok := conflictAround(m.content, m.From); ok {
		m.From, m.To = c.From, LineEnd(m.content, c.From)
		m.say(mergeConflict, "keep one side, and remove the lines that start with <<<<<<<, ======= and >>>>>>>")
		return true
	}
	start := bytes.LastIndexByte(m.content[:m.From], '\n') + 1
	line := m.content[start:LineEnd(m.content, start)]
	if !slices.ContainsFunc(conflictMarkers, func(marker string) bool {
		return bytes.HasPrefix(line,
			[]byte(marker))
	}) {
		return false
	}
	m.From, m.To = start, start+len(line)
	m.say(MergeLeftover, "remove it, and the other side of the conflict")
	return true
}

// bareAddress recognizes a URL without quotes at the end of a struct: the part after its colon is parsed as a
// comment.
func (m *Complaint) bareAddress() bool {
	before := bytes.TrimRight(m.content[:m.From], " \t\r\n")
	start := bytes.LastIndexByte(before, '\n') + 1
	at := bareAddress().FindSubmatchIndex(before[start:])
	if at == nil || !strings.Contains(m.Message, "expected operand") && !strings.Contains(m.Message, "found") {
		return false
	}
	m.From, m.To = start+at[2], start+at[3]
	m.Suggestion = strconv.Quote(string(m.content[m.From:m.To]))
	m.say("a URL must be quoted: without quotes, // starts a comment", "write "+m.Suggestion)
	return true
}

var bareAddress = finding.Pattern(`:[ \t]*(https?://[^\s"\\]+)[ \t,]*$`)

// superfluous finds the bracket that closes too much in a file where a bracket closes nothing. The indentation
// shows which one that is.
func (m *Complaint) superfluous() {
	if b := bracketsOf(m.content[:m.From]); b.early.text != "" {
		m.From, m.To = b.early.at, b.early.at+1
		m.Message = "found " + b.early.text + " that closes more than it should"
		_, m.spare = indentAt(m.content, m.From)
		m.spare = m.spare && !b.crooked
		if m.unopened(b.early) {
			return
		}
	}
	m.lost = !m.spare
}

// unopened recognizes fields that are indented as if a brace were open around them, up to the closing brace.
// They follow a name that is alone on its line, or they are indented deeper than the line before.
func (m *Complaint) unopened(shut bracket) bool {
	lines := lineSpans(m.content)
	end := slices.IndexFunc(lines, func(l Span) bool { return shut.at < l.To })
	if end < 1 || strings.TrimSpace(string(m.content[lines[end].From:shut.at])) != "" {
		return false
	}
	for i := end - 1; i >= 0; i-- {
		line := lines[i]
		if isBlank(m.content, line) || indentation(m.content, line) > shut.indent {
			continue
		}
		if indentation(m.content, line) < shut.indent || closes(m.content, line) {
			return false
		}
		next := i + 1
		for next < end && isBlank(m.content, lines[next]) {
			next++
		}
		text := strings.TrimSpace(string(m.content[line.From:line.To]))
		if next == end || strings.HasSuffix(text, "{") {
			return false
		}
		if name, ok := strings.CutSuffix(text, ":"); ok && !strings.ContainsAny(name, " \t{}") {
			m.From = line.From + shut.indent
			m.To = m.From + len(text)
			m.block = Span{line.From, lines[end].To}
			m.say("no { opens the fields of "+strings.Trim(name, `"`), "write "+text+" {")
			return true
		}
		if first := lines[next]; indentation(m.content, first) > shut.indent &&
			!strings.ContainsAny(text[len(text)-1:], "{[(&|+:,") {
			m.From = first.From + indentation(m.content, first)
			m.To = TokenEnd(m.content, m.From)
			m.block = Span{first.From, lines[end].To}
			m.say("no { opens the block that is closed below; the line before these fields may be missing",
				"write it, as in payload: {")
			return true
		}
		return false
	}
	return false
}

// A bracket is one in a file. Its text is empty if there is none.
type bracket struct {
	at     int
	text   string
	indent int // of its line
}

// brackets are the results of a scan for brackets.
type brackets struct {
	open []bracket // brackets that are not closed
	// left is the first bracket that is closed by one on a line with less indentation, which probably belongs
	// to an earlier bracket.
	left bracket
	// early is the first closing bracket whose line is indented differently from that of the bracket that it
	// closes. It is crooked if it is not at the start of its line.
	early   bracket
	crooked bool
}

// unclosed returns the bracket that is not closed.
func (b brackets) unclosed() bracket {
	switch {
	case len(b.open) == 0:
		return bracket{}
	case b.left.text != "":
		return b.left
	}
	return b.open[len(b.open)-1]
}

// bracketsOf scans a file up to its first interpolation for brackets.
func bracketsOf(content []byte) brackets {
	var b brackets
	interpolated := false
	scanTokens(content, func(at int, tok token.Token, _ string) {
		switch tok {
		case token.INTERPOLATION:
			interpolated = true // only the parser can continue from here
		case token.LBRACE, token.LBRACK, token.LPAREN:
			indent, _ := indentAt(content, at)
			b.open = append(b.open, bracket{at, tok.String(), indent})
		case token.RBRACE, token.RBRACK, token.RPAREN:
			if len(b.open) == 0 {
				return
			}
			last := b.open[len(b.open)-1]
			b.open = b.open[:len(b.open)-1]
			if indent, first := indentAt(content, at); indent != last.indent {
				if b.early.text == "" {
					b.early, b.crooked = bracket{at, tok.String(), indent}, !first
				}
				if !first {
					return
				}
				if outer := func(o bracket) bool { return o.indent == indent }; b.left.text == "" &&
					slices.ContainsFunc(b.open, outer) {
					b.left = last
				}
			}
		}
	})
	if interpolated {
		return brackets{}
	}
	return b
}

// indentAt returns the indentation of the line at an offset, and whether only whitespace precedes the offset.
func indentAt(content []byte, at int) (indent int, first bool) {
	line := content[bytes.LastIndexByte(content[:at], '\n')+1 : at]
	indent = len(line) - len(bytes.TrimLeft(line, " \t"))
	return indent, indent == len(line)
}

// TokenEnd returns the end of the token at an offset, as far as it is recognizable: a word, a string, or one
// character. It is never empty.
func TokenEnd(content []byte, from int) int {
	if from >= len(content) {
		return from + 1
	}
	rest := string(content[from:])
	if w := tokenWord().FindString(rest); w != "" {
		return from + len(w)
	}
	if rest[0] == '"' || rest[0] == '\'' {
		if strings.HasPrefix(rest, `"""`) || strings.HasPrefix(rest, `'''`) {
			return from + 3
		}
		line := content[from:LineEnd(content, from)]
		for i := 1; i < len(line); i++ {
			if line[i] == rest[0] && line[i-1] != '\\' {
				return from + i + 1
			}
		}
		return from + len(line)
	}
	_, size := utf8.DecodeRuneInString(rest)
	return from + size
}

var tokenWord = finding.Pattern(`^[#_$]*[\pL\pN_$]+`)

// LineEnd returns the end of the line at an offset.
func LineEnd(content []byte, from int) int {
	if i := strings.IndexAny(string(content[from:]), "\r\n"); i >= 0 {
		return from + i
	}
	return len(content)
}
