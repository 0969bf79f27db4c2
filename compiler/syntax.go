package compiler

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/diagnostic"
)

// syntaxError reports why a file does not parse. What the parser says after its
// first complaint follows from that one.
func (p *explained) syntaxError(s *source, err error) {
	d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "syntax-error", File: s.name}
	first := cueerrors.Errors(err)[0]
	m := complaint{content: s.content, message: plainMessage(first), from: len(s.content)}
	if pos := first.Position(); pos.IsValid() {
		m.from = min(pos.Offset(), len(s.content))
	}
	m.word()
	d.Message, d.Help, d.Suggestion = m.message, m.help, m.suggestion
	d.Range = contentRange(s.content, m.from, m.to)
	p.found = append(p.found, d)
}

// contentRange converts two offsets.
func contentRange(content []byte, from, to int) diagnostic.Range {
	return diagnostic.Range{Start: positionAt(content, from), End: positionAt(content, to)}
}

// A complaint is the parser's first error on its way to the author.
type complaint struct {
	content                   []byte
	message, help, suggestion string
	from, to                  int // what it is about
}

var (
	foundToken    = regexp.MustCompile(`found '([^']*)'( .*)?$`)
	hyphenName    = regexp.MustCompile(`[\pL\pN_$]+(-[\pL\pN_$]+)+$`)
	assignment    = regexp.MustCompile(`^[ \t]*[\pL\pN_$"-]+[ \t]*(=)[ \t]`)
	firstWord     = regexp.MustCompile(`^\x{FEFF}?[ \t]*([a-z]+)[ \t]+[a-z_A-Z0-9]+[ \t]*\r?$`)
	packageClause = regexp.MustCompile(`^\x{FEFF}?package[ \t]+[\pL\pN_]*$`)
)

// word finds the place and the words for what the parser says.
func (m *complaint) word() {
	m.to = tokenEnd(m.content, m.from)
	raw := m.message
	found := ""
	if f := foundToken.FindStringSubmatch(raw); f != nil {
		found = f[1]
		if t := strings.TrimSpace(f[2]); t != "" {
			found = t
		}
	}
	if m.unclosed(found) || m.usual() {
		return
	}
	switch {
	case strings.Contains(raw, "not terminated") && m.interpolation():
		m.say(`this \( is not closed`, "close it with )")
	case strings.Contains(raw, "not terminated"):
		m.say("the text has no closing quote", `close it with "; a text over several lines stands between """`)
	case strings.Contains(raw, "missing ','"):
		m.say("a field is to end here, with a new line or a comma", "start a new line, or put a comma, between two fields")
	case strings.Contains(raw, "expected label or ':'"):
		m.say("found "+thing(found)+" where the name of a field, or the colon behind it, is expected", "a field is written name: value")
	case strings.Contains(raw, "expected operand"):
		m.say("found "+thing(found)+" where a value is expected", "write a value")
	case strings.Contains(raw, "expected 'EOF'"):
		m.say("found "+thing(found)+" that closes nothing", "remove it, or open it before")
	case strings.Contains(raw, "multiline"), strings.Contains(raw, "multi-line"):
		m.say("the lines of the text are not indented as its closing quotes are", `give every line the blanks or tabs that stand before the closing """`)
	case strings.Contains(raw, "in escape sequence"), strings.Contains(raw, "unknown escape"):
		m.say("the text has an escape that does not exist", `write \\ for a backslash`)
	case strings.Contains(raw, "UTF-8"):
		m.say("the file is not UTF-8: the byte "+strconv.Quote(string(m.content[m.from:m.to]))+" is no character", "save the file as UTF-8")
	case strings.HasPrefix(raw, "illegal character"):
		m.say("a character that can't stand here: "+strings.TrimPrefix(raw, "illegal character "), "remove it, or put it into a text between quotes")
	case found != "":
		m.say("found "+thing(found)+" where something else is expected", "correct the syntax; cue fmt shows the place too")
	default:
		m.say("the file does not parse: "+raw, "correct the syntax; cue fmt shows the place too")
	}
}

func (m *complaint) say(message, help string) { m.message, m.help = message, help }

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
func (m *complaint) unclosed(found string) bool {
	if found != "EOF" && found != "}" && found != "]" && found != ")" {
		return false
	}
	at, open := openBracket(m.content[:m.from])
	closing := map[string]string{"{": "}", "[": "]", "(": ")"}[open]
	if open == "" || closing == found {
		return false
	}
	m.from, m.to = at, at+1
	m.say("this "+open+" is not closed", "close it with "+closing)
	return true
}

// openBracket returns the last bracket that is open at the end of a text.
func openBracket(content []byte) (at int, open string) {
	type bracket struct {
		at   int
		text string
	}
	var stack []bracket
	var s scanner.Scanner
	f := token.NewFile("", -1, len(content))
	s.Init(f, content, func(token.Pos, string, []any) {}, 0)
	for {
		pos, tok, _ := s.Scan()
		switch tok {
		case token.EOF:
			if len(stack) == 0 {
				return 0, ""
			}
			last := stack[len(stack)-1]
			return last.at, last.text
		case token.LBRACE, token.LBRACK, token.LPAREN:
			stack = append(stack, bracket{pos.Offset(), tok.String()})
		case token.RBRACE, token.RBRACK, token.RPAREN:
			if len(stack) > 0 {
				stack = stack[:len(stack)-1]
			}
		case token.INTERPOLATION:
			return 0, "" // the parser resumes these by itself
		}
	}
}

// usual recognizes what people write who think of another language.
func (m *complaint) usual() bool {
	line := m.content[strings.LastIndexByte(string(m.content[:m.from]), '\n')+1 : m.from]
	first := string(m.content)
	if i := strings.IndexByte(first, '\n'); i >= 0 {
		first = first[:i]
	}
	rest := string(m.content[m.from:])
	switch {
	case strings.HasPrefix(strings.TrimSpace(string(line)), "#") || strings.HasPrefix(rest, "/*"):
		m.from -= len(strings.TrimLeft(string(line), " \t"))
		m.to = lineEnd(m.content, m.from)
		m.say("this is no comment in CUE", "a comment starts with //")
	case strings.HasPrefix(rest, ";"):
		m.say("found ; where a field ends", "remove it: a new line or a comma ends a field")
	case strings.HasPrefix(rest, "“"), strings.HasPrefix(rest, "”"), strings.HasPrefix(rest, "‘"), strings.HasPrefix(rest, "’"):
		m.say("typographic quotes don't make a text", `write straight quotes: "`)
	case strings.HasPrefix(rest, "{") && strings.Contains(m.message, "missing ','"):
		m.say("two values stand side by side", "put & between a definition and what is added to it, as in automation.#Identify & {")
	case strings.HasPrefix(rest, ":") && hyphenName.Match(line):
		name := hyphenName.FindString(string(line))
		m.to, m.from = m.from, m.from-len(name)
		m.say("a name with a hyphen stands between quotes", "write "+strconv.Quote(name))
		m.suggestion = strconv.Quote(name)
	case strings.TrimSpace(string(line)) == "import" && strings.HasPrefix(rest, `"`):
		m.to, m.from = m.from-1, m.from-len(strings.TrimLeft(string(line), " \t"))
		m.say("an import stands before all fields", "move it up, below the package clause")
	case packageClause.Match(line):
		m.say("a package's name is made of letters, digits and _", "correct the name")
	case m.misspeltPackage(first), m.assigned():
	default:
		return false
	}
	return true
}

// interpolation finds one that is not closed before what looks like the next text.
func (m *complaint) interpolation() bool {
	line := string(m.content[:m.from])
	line = line[strings.LastIndexByte(line, '\n')+1:]
	open := strings.LastIndex(line, `\(`)
	if open < 0 || strings.LastIndex(line, ")") > open {
		return false
	}
	m.from += open - len(line)
	m.to = m.from + len(`\(`)
	return true
}

// misspeltPackage recognizes a first line that is nearly a package clause.
func (m *complaint) misspeltPackage(first string) bool {
	word := firstWord.FindStringSubmatchIndex(first)
	if word == nil || m.from > len(first) || nearest(first[word[2]:word[3]], []string{"package"}) == "" {
		return false
	}
	m.from, m.to = word[2], word[3]
	m.say("found "+first[word[2]:word[3]]+" where the package clause is expected", didYouMean("package"))
	m.suggestion = "package"
	return true
}

// assigned recognizes = for a colon: the parser complains of the line after it.
func (m *complaint) assigned() bool {
	if !strings.Contains(m.message, "expected label or ':'") {
		return false
	}
	before := strings.TrimRight(string(m.content[:m.from]), " \t\r\n")
	start := strings.LastIndexByte(before, '\n') + 1
	at := assignment.FindStringSubmatchIndex(before[start:])
	if at == nil {
		return false
	}
	m.from, m.to = start+at[2], start+at[3]
	m.say("found = where a colon is expected", "a field is written name: value")
	return true
}

// tokenEnd returns where the token ends that starts at an offset, as far as that
// can be seen: a word, a text, or one character. It is never empty.
func tokenEnd(content []byte, from int) int {
	if from >= len(content) {
		return from + 1
	}
	rest := string(content[from:])
	if w := tokenWord.FindString(rest); w != "" {
		return from + len(w)
	}
	if rest[0] == '"' || rest[0] == '\'' {
		if strings.HasPrefix(rest, `"""`) || strings.HasPrefix(rest, `'''`) {
			return from + 3
		}
		line := content[from:lineEnd(content, from)]
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

var tokenWord = regexp.MustCompile(`^[#_$]*[\pL\pN_$]+`)

// lineEnd returns where the line ends that an offset is in.
func lineEnd(content []byte, from int) int {
	if i := strings.IndexAny(string(content[from:]), "\r\n"); i >= 0 {
		return from + i
	}
	return len(content)
}
