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

// ComplaintOf is what the parser says first about a file, in words for its author.
func ComplaintOf(content []byte, err error) Complaint {
	first := cueerrors.Errors(err)[0]
	m := Complaint{content: content, Message: PlainMessage(first), From: len(content)}
	if pos := first.Position(); pos.IsValid() {
		m.From = min(pos.Offset(), len(content))
	}
	m.word()
	return m
}

// ContentRange converts two offsets.
func ContentRange(content []byte, from, to int) diagnostic.Range {
	return diagnostic.Range{Start: positionAt(content, from), End: positionAt(content, to)}
}

// A Complaint is the parser's first error, in words for the author of the file.
type Complaint struct {
	content                   []byte
	Message, Help, Suggestion string
	From, To                  int // what it is about
	// operand says that a value is missing, spare that what is there is too much.
	operand, spare bool
	// block is all that has the same cause, if it is more than a line.
	block Span
	// lost says that from there on nothing can be told of what was meant.
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

// word finds the place and the words for what the parser says.
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
		m.say("the string has no closing quote", `strings must be in double quotes: "…"`)
	case strings.Contains(raw, "not terminated"):
		m.lost = !balanced(m.content[m.From:LineEnd(m.content, m.From)])
		m.say("the string has no closing quote", `close it with "; a string over several lines is in """`)
	case strings.Contains(raw, "missing ','"):
		m.say("a field is to end here, with a new line or a comma",
			"start a new line, or put a comma, between two fields")
	case strings.Contains(raw, "expected label or ':'"):
		m.say("found "+thing(found)+" where the name of a field, or the colon behind it, is expected",
			"a field is written name: value")
	case strings.Contains(raw, "expected operand"):
		m.operand = true
		m.say("found "+thing(found)+" where a value is expected", "write a value")
	case strings.Contains(raw, "expected 'EOF'"):
		m.say("found "+thing(found)+" that closes nothing", "remove it, or open it before")
		m.superfluous()
	case strings.Contains(raw, "multiline"), strings.Contains(raw, "multi-line"):
		m.say("the lines of the string are not indented like its closing quotes",
			`give every line the blanks or tabs that stand before the closing """`)
	case strings.Contains(raw, "in escape sequence"), strings.Contains(raw, "unknown escape"):
		m.say("the string has an unknown escape", `write \\ for a backslash`)
	case strings.Contains(raw, "UTF-8"):
		m.say("the file is not UTF-8: the byte "+strconv.Quote(string(m.content[m.From:m.To]))+" is no character",
			"save the file as UTF-8")
	case strings.Contains(raw, "illegal") && strings.Contains(raw, "number"):
		m.number()
	case strings.HasPrefix(raw, "illegal character"):
		m.say("a character that can't stand here: "+strings.TrimPrefix(raw, "illegal character "),
			"remove it, or quote it")
	case strings.Contains(raw, "maximum nesting depth"):
		m.lost = true
		m.say("values are nested more than 10000 deep", "take them apart")
	case letAndField().MatchString(raw):
		m.letAndField(letAndField().FindStringSubmatch(raw)[1])
	case redeclared().MatchString(raw):
		m.redeclared(redeclared().FindStringSubmatch(raw)[1])
	case found != "":
		m.say("found "+thing(found)+" where something else is expected",
			"correct the syntax; cue fmt shows the place too")
	default:
		m.say("the file does not parse: "+raw, "correct the syntax; cue fmt shows the place too")
	}
}

// number words what starts like a number and is none: a date, a leading zero, a
// unit behind it.
func (m *Complaint) number() {
	for m.From > 0 && !strings.ContainsRune(" \t\r\n,:[{(&|\"", rune(m.content[m.From-1])) {
		m.From--
	}
	text := numberLike().Find(m.content[m.From:])
	m.To = m.From + max(1, len(text))
	if dateLike().Match(text) {
		m.Suggestion = strconv.Quote(string(text))
		m.say("a date stands between quotes", "write "+m.Suggestion)
		return
	}
	m.say("this is no number: "+string(text),
		"write a number without leading zeros and without a unit; strings must be quoted")
}

var (
	numberLike = finding.Pattern(`^[-+]?[0-9][0-9A-Za-z_.:+-]*`)
	dateLike   = finding.Pattern(`^[0-9]{4}-[0-9]{2}-[0-9]{2}`)
)

// redeclared words a name that is defined twice in one file.
func (m *Complaint) redeclared(name string) {
	if i := bytes.Index(m.content[m.From:LineEnd(m.content, m.From)], []byte(name)); i >= 0 {
		m.From += i
		m.To = m.From + len(name)
	}
	m.say("the file defines "+name+" twice", "give one of them another name, or remove it")
}

// letAndField words a let that has the name of a field, or of an import: CUE
// complains of the field's value, or of the let.
func (m *Complaint) letAndField(name string) {
	start := bytes.LastIndexByte(m.content[:m.From], '\n') + 1
	if i := bytes.LastIndex(m.content[start:m.From], []byte(name)); i >= 0 {
		m.From = start + i
	} else if i := bytes.Index(m.content[m.From:LineEnd(m.content, m.From)], []byte(name)); i >= 0 {
		m.From += i
	}
	m.To = TokenEnd(m.content, m.From)
	m.say(name+" is the name of a let and of something else: it can't be told which one is meant",
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

// unclosed reports a bracket that is open where the file ends or another kind of
// bracket closes: the place is the one that is open.
func (m *Complaint) unclosed(found string) bool {
	field := strings.HasPrefix(string(m.content[m.From:]), ":") // where none can be
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

// The words for what a merge leaves in a file.
const (
	mergeConflict = "the file has a merge conflict that is not resolved"
	MergeLeftover = "this line is left over from a merge conflict"
)

var conflictMarkers = []string{"<<<<<<<", "=======", ">>>>>>>"}

// conflict recognizes what a merge has left in the file.
func (m *Complaint) conflict() bool {
	if c, ok := conflictAround(m.content, m.From); ok {
		m.From, m.To = c.From, LineEnd(m.content, c.From)
		m.say(mergeConflict, "keep one of the two sides, and remove the lines that start with <<<<<<<, ======= and >>>>>>>")
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
	m.say(MergeLeftover, "remove it, and what belongs to the other side of the conflict")
	return true
}

// bareAddress recognizes an address without quotes at the end of a struct: what
// stands behind its colon is a comment.
func (m *Complaint) bareAddress() bool {
	before := bytes.TrimRight(m.content[:m.From], " \t\r\n")
	start := bytes.LastIndexByte(before, '\n') + 1
	at := bareAddress().FindSubmatchIndex(before[start:])
	if at == nil || !strings.Contains(m.Message, "expected operand") && !strings.Contains(m.Message, "found") {
		return false
	}
	m.From, m.To = start+at[2], start+at[3]
	m.Suggestion = strconv.Quote(string(m.content[m.From:m.To]))
	m.say("an address stands between quotes: without them, // starts a comment", "write "+m.Suggestion)
	return true
}

var bareAddress = finding.Pattern(`:[ \t]*(https?://[^\s"\\]+)[ \t,]*$`)

// superfluous finds the bracket that closes too much, where the file has one that
// closes nothing: the indentation shows which one that is.
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

// unopened recognizes fields that stand as if a brace were open around them, up to
// the one that closes it: behind a name that has nothing on its line, or deeper
// than the line before.
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
			m.say("no { opens what is closed below: the line before these fields may be missing",
				"write it, as in payload: {")
			return true
		}
		return false
	}
	return false
}

// A bracket stands in a file; its text is empty if there is none.
type bracket struct {
	at     int
	text   string
	indent int // of its line
}

// Brackets are what is to be known of those in a text.
type brackets struct {
	open []bracket // those that are not closed
	// left is the first one that is closed by a bracket on a line of less
	// indentation, which was to close one before it.
	left bracket
	// early is the first one that closes a bracket of another line which is
	// indented otherwise. It is crooked if it does not stand at the start of its
	// line.
	early   bracket
	crooked bool
}

// unclosed returns the bracket that lacks one to close it.
func (b brackets) unclosed() bracket {
	switch {
	case len(b.open) == 0:
		return bracket{}
	case b.left.text != "":
		return b.left
	}
	return b.open[len(b.open)-1]
}

// bracketsOf looks through a text as far as its first interpolation in brackets.
func bracketsOf(content []byte) brackets {
	var b brackets
	interpolated := false
	scanTokens(content, func(at int, tok token.Token, _ string) {
		switch tok {
		case token.INTERPOLATION:
			interpolated = true // the parser goes on from here by itself
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

// indentAt returns the indentation of the line that an offset is in, and whether
// there is nothing else before it.
func indentAt(content []byte, at int) (indent int, first bool) {
	line := content[bytes.LastIndexByte(content[:at], '\n')+1 : at]
	indent = len(line) - len(bytes.TrimLeft(line, " \t"))
	return indent, indent == len(line)
}

// TokenEnd returns where the token ends that starts at an offset, as far as that
// can be seen: a word, a text, or one character. It is never empty.
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

// LineEnd returns where the line ends that an offset is in.
func LineEnd(content []byte, from int) int {
	if i := strings.IndexAny(string(content[from:]), "\r\n"); i >= 0 {
		return from + i
	}
	return len(content)
}
