package source

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
)

// usual recognizes what people write who think of another language.
func (m *complaint) usual() bool {
	line := m.content[strings.LastIndexByte(string(m.content[:m.From]), '\n')+1 : m.From]
	first := string(m.content)
	if i := strings.IndexByte(first, '\n'); i >= 0 {
		first = first[:i]
	}
	rest := string(m.content[m.From:])
	switch {
	case hashComment().Match(m.content[m.From-len(line):LineEnd(m.content, m.From)]) || strings.HasPrefix(rest, "/*"):
		m.From -= len(strings.TrimLeft(string(line), " \t"))
		m.To = LineEnd(m.content, m.From)
		m.say("this is no comment in CUE", "a comment starts with //")
	case strings.HasPrefix(rest, "#") && strings.Contains(m.Message, "missing ','"):
		m.To = LineEnd(m.content, m.From)
		m.say("this is no comment in CUE", "a comment starts with //")
	case elseWord().MatchString(rest):
		m.say("an if has no else", "write a second if, with the opposite condition")
	case m.halfConjunction():
	case strings.Contains(m.Message, "else requires"):
		m.say("an if has no else", "write a second if, with the opposite condition")
	case strings.HasPrefix(rest, ";"):
		m.say("found ; where a field ends", "remove it: a new line or a comma ends a field")
	case strings.HasPrefix(rest, "“"), strings.HasPrefix(rest, "”"), strings.HasPrefix(rest, "‘"), strings.HasPrefix(rest, "’"):
		m.say("typographic quotes don't make a text", `write straight quotes: "`)
	case strings.HasPrefix(rest, "{") && strings.Contains(m.Message, "missing ','"):
		m.say("two values stand side by side", "put & between a definition and what is added to it, as in automation.#Identify & {")
	case strings.HasPrefix(rest, ":") && hyphenName().Match(line):
		name := hyphenName().FindString(string(line))
		m.To, m.From = m.From, m.From-len(name)
		m.say("a name with a hyphen stands between quotes", "write "+strconv.Quote(name))
		m.Suggestion = strconv.Quote(name)
	case strings.Contains(m.Message, "invalid import path"):
		m.say("this is no import path", `write it with /, without blanks, and without what is used of the package, as in "example.com/team/shared"`)
	case strings.TrimSpace(string(line)) == "import" && strings.HasPrefix(rest, `"`):
		m.To, m.From = m.From-1, m.From-len(strings.TrimLeft(string(line), " \t"))
		m.say("an import stands before all fields", "move it up, below the package clause")
	case m.dottedName(string(line)), m.wordsWithoutQuotes(string(line)):
	case m.documentMark(first), m.importFirst():
	case packageClause().Match(line):
		m.say("a package's name is made of letters, digits and _", "correct the name")
	case m.misspeltPackage(first), m.assigned(), m.clause(string(line)):
	default:
		return false
	}
	return true
}

// dottedName recognizes trigger.pattern: "x" for trigger: pattern: "x".
func (m *complaint) dottedName(line string) bool {
	name := dotted().FindString(line)
	if name == "" || !strings.HasPrefix(string(m.content[m.From:]), ":") {
		return false
	}
	m.To, m.From = m.From, m.From-len(name)
	m.Suggestion = strings.ReplaceAll(name, ".", ": ")
	m.say("a field within a field is not written with a dot", "write "+m.Suggestion+": ...")
	return true
}

var dotted = finding.Pattern(`[\pL_$][\pL\pN_$]*(?:\.[\pL_$][\pL\pN_$]*)+$`)

// wordsWithoutQuotes recognizes a text of several words that lacks its quotes, or
// the first one.
func (m *complaint) wordsWithoutQuotes(line string) bool {
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
	if fields := strings.Fields(text); TruthWords[fields[0]] != "" || Predeclared(fields[0]) || slices.Contains([]string{"and", "or", "in"}, fields[1]) {
		return false // an expression, as others write it
	}
	m.From, m.To = start, start+len(text)
	words := strings.TrimRight(text, "\" \t")
	m.Suggestion = strconv.Quote(words)
	m.say("a text stands between quotes", "write "+m.Suggestion)
	return true
}

var (
	wordBefore = finding.Pattern(`:[ \t]*([\pL][\pL\pN_'’-]*)[ \t]+$`)
	wordsAhead = finding.Pattern(`^[\pL][\pL\pN_'’.!?/()&+ \t-]*"?`)
)

// documentMark recognizes the line with which YAML starts a document.
func (m *complaint) documentMark(first string) bool {
	if strings.TrimRight(first, " \t\r") != "---" || bytes.Count(m.content[:m.From], []byte("\n")) > 1 {
		return false
	}
	m.From, m.To = 0, len("---")
	m.say("this line is YAML's", "remove it: a file starts with its package clause")
	return true
}

// importFirst recognizes a package clause behind an import.
func (m *complaint) importFirst() bool {
	at := lateClause().FindSubmatchIndex(m.content)
	if at == nil || m.From < at[2] || m.From > at[3] {
		return false
	}
	m.From, m.To = at[2], at[3]
	m.say("the package clause comes before the imports", "move it to the first line")
	return true
}

var lateClause = finding.Pattern(`(?m)^\s*import\b[^{}]*?\n[ \t]*(package[ \t]+[\pL\pN_]+)`)

// interpolation finds one that is not closed before what looks like the next text.
func (m *complaint) interpolation() bool {
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

// clause recognizes a package clause, an import or a let that is not written as
// such, by the first word of its line.
func (m *complaint) clause(line string) bool {
	word := strings.Trim(leadingWord().FindString(line), "\ufeff \t")
	if word == "" || !strings.Contains(m.Message, "found") && !strings.Contains(m.Message, "missing") && !strings.Contains(m.Message, "expected") {
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
		m.say("an import is not written like this", `write import "path"; or import (, a path between quotes on each line, and )`)
	case word == "package" && strings.TrimSpace(line) == word:
		m.say("a package clause is not written like this", "write package and its name, as in package growth")
	case word == "let" && strings.HasPrefix(string(m.content[m.From:]), ":"):
		m.say("found : where = is expected", "a let is written let name = value")
	case word == "if" && strings.TrimSpace(line) == "if not":
		m.From, m.To, m.Suggestion = start+len("if "), start+len("if not"), "!"
		m.say("found not where a condition is expected", "the opposite of a condition is written with !, as in !x")
	case word == "for" || word == "if":
		m.From, m.To = start, LineEnd(m.content, start)
		m.say("this "+word+" is not written as CUE has it", map[string]string{"for": "write for name, value in list {", "if": "write if condition {"}[word])
	default:
		return false
	}
	return true
}

// halfConjunction recognizes fields behind an & at the end of a line, where a
// brace was to open.
func (m *complaint) halfConjunction() bool {
	start := bytes.LastIndexByte(m.content[:m.From], '\n') + 1
	before := bytes.TrimRight(m.content[:start], " \t\r\n")
	if !strings.HasPrefix(string(m.content[m.From:]), ":") || !bytes.HasSuffix(before, []byte("&")) {
		return false
	}
	m.From, m.To = len(before)-1, len(before)
	m.say("nothing follows this &", "open the fields that follow with {")
	return true
}

// misspeltPackage recognizes a first line that is nearly a package clause.
func (m *complaint) misspeltPackage(first string) bool {
	word := firstWord().FindStringSubmatchIndex(first)
	if word == nil || m.From > len(first) || finding.Nearest(first[word[2]:word[3]], []string{"package"}) == "" {
		return false
	}
	m.From, m.To = word[2], word[3]
	m.say("found "+first[word[2]:word[3]]+" where the package clause is expected", finding.DidYouMean("package"))
	m.Suggestion = "package"
	return true
}

// assigned recognizes = and => for a colon: the parser complains of the sign
// behind it, of the line after it, or of what follows the bracket that closes its
// value.
func (m *complaint) assigned() bool {
	if !strings.Contains(m.Message, "expected label or ':'") && !strings.Contains(m.Message, "expected operand") && !strings.Contains(m.Message, "missing ','") {
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
