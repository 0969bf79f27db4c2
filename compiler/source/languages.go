package source

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
)

// A habit is a common mistake, usually from another language, with the words to explain it. It is recognized
// where the parser reports an error.
type habit struct {
	// Each of these must match if it is set: the line of the error up to its place, the whole line, the text
	// after the place, and a part of the parser's message.
	before, line, after func() *regexp.Regexp
	says                string
	// about sets the part of the file that the finding is about. If it is nil, that is the token at the place
	// of the error.
	about func(m *Complaint, before string)
	// message and help are those of the finding.
	message, help string
	// recognize does all of this itself, where a table entry is not enough.
	recognize func(m *Complaint, before string) bool
}

// habits has the habits in the order in which they are tried. The first match wins.
var habits = []habit{
	{line: hashComment, about: wholeLine, message: notAComment, help: commentHelp},
	{after: finding.Pattern(`^/\*`), about: wholeLine, message: notAComment, help: commentHelp},
	{after: finding.Pattern(`^#`), says: "missing ','", about: restOfLine, message: notAComment, help: commentHelp},
	{after: finding.Pattern(`^(else|elif|elseif)\b`), message: noElse, help: elseHelp},
	{recognize: (*Complaint).halfConjunction},
	{says: "else requires", message: noElse, help: elseHelp},
	{after: finding.Pattern(`^;`), message: "found ; where a field ends",
		help: "remove it: a new line or a comma ends a field"},
	{after: finding.Pattern(`^[“”‘’]`), message: "typographic quotes can't delimit a string",
		help: `write straight quotes: "`},
	{after: finding.Pattern(`^\{`), says: "missing ','", message: "two values follow each other",
		help: "put & between a definition and the fields that you add, as in automation.#Identify & {"},
	{recognize: (*Complaint).hyphenatedName},
	{says: "invalid import path", message: "this is not an import path",
		help: `write it with /, without whitespace and without the name used from the package: "example.com/team/shared"`},
	{before: finding.Pattern(`^\s*import\s*$`), after: finding.Pattern(`^"`), about: wordBehind,
		message: "imports must come before all fields", help: "move it up, below the package clause"},
	{recognize: (*Complaint).dottedName},
	{recognize: (*Complaint).wordsWithoutQuotes},
	{recognize: (*Complaint).documentMark},
	{recognize: (*Complaint).importFirst},
	{before: finding.Pattern(`^\x{FEFF}?package[ \t]+[\pL\pN_]*$`),
		message: "a package's name consists of letters, digits and _", help: "correct the name"},
	{recognize: (*Complaint).misspeltPackage},
	{recognize: (*Complaint).assigned},
	{recognize: (*Complaint).clause},
}

const (
	notAComment = "this is not a comment in CUE"
	commentHelp = "a comment starts with //"
	noElse      = "CUE has no else"
	elseHelp    = "write a second if, with the opposite condition"
)

// habitual recognizes a habit and words the error.
func (m *Complaint) habitual() bool {
	before := string(m.content[bytes.LastIndexByte(m.content[:m.From], '\n')+1 : m.From])
	line := string(m.content[m.From-len(before) : LineEnd(m.content, m.From)])
	after := string(m.content[m.From:])
	matches := func(form func() *regexp.Regexp, text string) bool { return form == nil || form().MatchString(text) }
	for _, h := range habits {
		switch {
		case h.recognize != nil:
			if h.recognize(m, before) {
				return true
			}
		case matches(h.before, before) && matches(h.line, line) && matches(h.after, after) &&
			strings.Contains(m.Message, h.says):
			if h.about != nil {
				h.about(m, before)
			}
			m.say(h.message, h.help)
			return true
		}
	}
	return false
}

// wholeLine extends an error to its line, without the indentation.
func wholeLine(m *Complaint, before string) {
	m.From -= len(strings.TrimLeft(before, " \t"))
	m.To = LineEnd(m.content, m.From)
}

// restOfLine extends an error from its place to the end of its line.
func restOfLine(m *Complaint, _ string) { m.To = LineEnd(m.content, m.From) }

// wordBehind moves an error to the word before its place.
func wordBehind(m *Complaint, before string) {
	m.From, m.To = m.From-len(strings.TrimLeft(before, " \t")), m.From-1
}

// firstLine returns the first line of the file.
func (m *Complaint) firstLine() string {
	line, _, _ := strings.Cut(string(m.content), "\n")
	return line
}

// hyphenatedName recognizes a field's name with a hyphen but without quotes.
func (m *Complaint) hyphenatedName(before string) bool {
	name := hyphenName().FindString(before)
	if name == "" || m.From == len(m.content) || m.content[m.From] != ':' {
		return false
	}
	m.To, m.From = m.From, m.From-len(name)
	m.say("a name with a hyphen must be quoted", "write "+strconv.Quote(name))
	m.Suggestion = strconv.Quote(name)
	return true
}

// dottedName recognizes trigger.pattern: "x" for trigger: pattern: "x".
func (m *Complaint) dottedName(line string) bool {
	name := dotted().FindString(line)
	if name == "" || !strings.HasPrefix(string(m.content[m.From:]), ":") {
		return false
	}
	m.To, m.From = m.From, m.From-len(name)
	m.Suggestion = strings.ReplaceAll(name, ".", ": ")
	m.say("nested fields are not written with a dot", "write "+m.Suggestion+": ...")
	return true
}

var dotted = finding.Pattern(`[\pL_$][\pL\pN_$]*(?:\.[\pL_$][\pL\pN_$]*)+$`)

// wordsWithoutQuotes recognizes a string of several words without quotes, or without the first one.
func (m *Complaint) wordsWithoutQuotes(line string) bool {
	at := wordBefore().FindStringSubmatchIndex(line)
	if at == nil || !strings.Contains(m.Message, "missing ','") || strings.HasPrefix(string(m.content[m.From:]), `"`) {
		return false
	}
	start := m.From - len(line) + at[2]
	text := wordsAhead().FindString(string(m.content[start:LineEnd(m.content, start)]))
	after := strings.TrimLeft(string(m.content[start+len(text):LineEnd(m.content, start)]), " \t")
	if start+len(text) <= m.From || strings.HasPrefix(after, ":") {
		return false // it is the name of the next field
	}
	if fields := strings.Fields(text); TruthWords[fields[0]] != "" || Predeclared(fields[0]) ||
		slices.Contains([]string{"and", "or", "in"}, fields[1]) {
		return false // an expression, as in another language
	}
	m.From, m.To = start, start+len(text)
	words := strings.TrimRight(text, "\" \t")
	m.Suggestion = strconv.Quote(words)
	m.say("strings must be quoted", "write "+m.Suggestion)
	return true
}

var (
	wordBefore = finding.Pattern(`:[ \t]*([\pL][\pL\pN_'’-]*)[ \t]+$`)
	wordsAhead = finding.Pattern(`^[\pL][\pL\pN_'’.!?/()&+ \t-]*"?`)
)

// documentMark recognizes the line that starts a document in YAML.
func (m *Complaint) documentMark(string) bool {
	if strings.TrimRight(m.firstLine(), " \t\r") != "---" || bytes.Count(m.content[:m.From], []byte("\n")) > 1 {
		return false
	}
	m.From, m.To = 0, len("---")
	m.say("this line is YAML, not CUE", "remove it: a file starts with its package clause")
	return true
}

// importFirst recognizes a package clause after an import.
func (m *Complaint) importFirst(string) bool {
	at := lateClause().FindSubmatchIndex(m.content)
	if at == nil || m.From < at[2] || m.From > at[3] {
		return false
	}
	m.From, m.To = at[2], at[3]
	m.say("the package clause must come before the imports", "move it to the first line")
	return true
}

var lateClause = finding.Pattern(`(?m)^\s*import\b[^{}]*?\n[ \t]*(package[ \t]+[\pL\pN_]+)`)

// interpolation finds an interpolation that is not closed before the probable start of the next string.
func (m *Complaint) interpolation() bool {
	line := string(m.content[:m.From])
	line = line[strings.LastIndexByte(line, '\n')+1:]
	open := strings.LastIndex(line, `\(`)
	if open < 0 || strings.LastIndex(line, ")") > open {
		return false
	}
	m.From += open - len(line)
	m.To = m.From + len(`\(`)
	return true
}

// clause recognizes a malformed package clause, import or let by the first word of its line.
func (m *Complaint) clause(line string) bool {
	word := strings.Trim(leadingWord().FindString(line), "\ufeff \t")
	if word == "" || !strings.Contains(m.Message, "found") && !strings.Contains(m.Message, "missing") &&
		!strings.Contains(m.Message, "expected") {
		return false
	}
	start := m.From - len(line) + strings.Index(line, word)
	near := finding.Nearest(strings.ToLower(word), []string{"package", "import"})
	if lower := strings.ToLower(word); lower == "package" || lower == "import" {
		near = lower
	}
	switch {
	case near != "" && near != word && strings.TrimSpace(line) == word:
		m.From, m.To, m.Suggestion = start, start+len(word), near
		m.say("found "+word+" where "+near+" is meant", finding.DidYouMean(near))
	case word == "import":
		m.From, m.To = start, LineEnd(m.content, start)
		m.say("an import is not written like this",
			`write import "path"; or import (, a quoted path on each line, and )`)
	case word == "package" && strings.TrimSpace(line) == word:
		m.say("a package clause is not written like this", "write package and its name, as in package growth")
	case word == "let" && strings.HasPrefix(string(m.content[m.From:]), ":"):
		m.say("found : where = is expected", "a let is written let name = value")
	case word == "if" && strings.TrimSpace(line) == "if not":
		m.From, m.To, m.Suggestion = start+len("if "), start+len("if not"), "!"
		m.say("found not where a condition is expected", "negate a condition with !, as in !x")
	case word == "for" || word == "if":
		m.From, m.To = start, LineEnd(m.content, start)
		m.say("this "+word+" is not valid CUE",
			map[string]string{"for": "write for name, value in list {", "if": "write if condition {"}[word])
	default:
		return false
	}
	return true
}

// halfConjunction recognizes fields after an & at the end of a line, where a brace is missing.
func (m *Complaint) halfConjunction(string) bool {
	start := bytes.LastIndexByte(m.content[:m.From], '\n') + 1
	before := bytes.TrimRight(m.content[:start], " \t\r\n")
	if !strings.HasPrefix(string(m.content[m.From:]), ":") || !bytes.HasSuffix(before, []byte("&")) {
		return false
	}
	m.From, m.To = len(before)-1, len(before)
	m.say("nothing follows this &", "open the fields that follow with {")
	return true
}

// misspeltPackage recognizes a first line that resembles a package clause.
func (m *Complaint) misspeltPackage(string) bool {
	first := m.firstLine()
	word := firstWord().FindStringSubmatchIndex(first)
	if word == nil || m.From > len(first) || finding.Nearest(first[word[2]:word[3]], []string{"package"}) == "" {
		return false
	}
	m.From, m.To = word[2], word[3]
	m.say("found "+first[word[2]:word[3]]+" where the package clause is expected", finding.DidYouMean("package"))
	m.Suggestion = "package"
	return true
}

// assigned recognizes = and => in the place of a colon. The parser's error is at the sign, in the line after
// it, or after the bracket that closes its value.
func (m *Complaint) assigned(string) bool {
	if !strings.Contains(m.Message, "expected label or ':'") && !strings.Contains(m.Message, "expected operand") &&
		!strings.Contains(m.Message, "missing ','") {
		return false
	}
	before := bytes.TrimRight(m.content[:m.From], " \t\r\n,")
	end := len(before)
	if end > 0 && strings.IndexByte("}])", before[end-1]) >= 0 {
		if open := bracketsOf(before[:end-1]).open; len(open) > 0 {
			end = open[len(open)-1].at
		}
	}
	start := bytes.LastIndexByte(m.content[:end], '\n') + 1
	at := assignment().FindSubmatchIndex(m.content[start:LineEnd(m.content, min(end, len(m.content)))])
	if at == nil {
		return false
	}
	m.From, m.To = start+at[2], start+at[3]
	m.say("found "+string(m.content[m.From:m.To])+" where a colon is expected", "a field is written name: value")
	return true
}
