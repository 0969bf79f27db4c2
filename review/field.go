package review

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/aymanbagabas/go-udiff/lcs"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// A Field is one field of a change.
type Field struct {
	// Path is the path of the field, as in a [sync.Difference]. Within JSON in a string,
	// it begins with "$".
	Path string `json:"path"`
	// Before and After are one line each, "" for no value. Values that look alike are
	// written with escapes. Both are empty if Lines or Fields has the details.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Added is true if there is no value before, Removed if there is none
	// after.
	Added   bool `json:"added,omitempty"`
	Removed bool `json:"removed,omitempty"`
	// Lines is the comparison of long values by lines.
	Lines []Line `json:"lines,omitempty"`
	// Fields are the fields of the JSON in a string.
	Fields []Field `json:"fields,omitempty"`
	// Note says where values differ that look alike.
	Note string `json:"note,omitempty"`
	// Place is the field's place in the code, "" if it is unknown.
	Place string `json:"place,omitempty"`
}

// A Sign marks a line as kept, added, removed or left out.
type Sign string

// The signs.
const (
	Same  Sign = " "
	Minus Sign = "-"
	Plus  Sign = "+"
	// Skip replaces equal lines that are left out; its text counts them.
	Skip Sign = "…"
)

// A Line is a line of a value, with the parts of it that have changed.
type Line struct {
	Sign  Sign   `json:"sign"`
	Parts []Part `json:"parts"`
}

// A Part is a piece of a line. A changed part is Marked.
type Part struct {
	Text   string `json:"text"`
	Marked bool   `json:"marked,omitempty"`
}

// Text is the whole line.
func (l Line) Text() string {
	var b strings.Builder
	for _, p := range l.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// longString is the length in bytes from which strings are compared by words. nearLines
// is the number of equal lines shown around different ones.
const (
	longString = 60
	nearLines  = 2
)

// fieldsOf breaks differences down.
func fieldsOf(differences []sync.Difference) []Field {
	fields := make([]Field, len(differences))
	for i, d := range differences {
		fields[i] = fieldOf(d)
	}
	return fields
}

func fieldOf(d sync.Difference) Field {
	f := Field{Path: diagnostic.Printable(d.Path), Added: d.Before == nil, Removed: d.After == nil, Place: placeText(d.Place)}
	before, wasString := stringIn(d.Before)
	after, isString := stringIn(d.After)
	switch {
	case wasString && isString && lookAlike(before, after):
		f.Before, f.After = ascii(line(d.Before)), ascii(line(d.After))
		f.Note = whereDifferent(before, after)
	case wasString && isString && holdsJSON(before) && holdsJSON(after):
		inner, err := sync.Compare(json.RawMessage(before), json.RawMessage(after))
		if err != nil || len(inner) == 0 { // only the form of the JSON differs
			f.Before, f.After = line(d.Before), line(d.After)
			break
		}
		f.Fields = fieldsOf(inner)
		for i := range f.Fields {
			f.Fields[i].Path = within(f.Fields[i].Path)
		}
	case wasString && isString && (strings.Contains(before, "\n") || strings.Contains(after, "\n")):
		f.Lines = compareLines(splitLines(before), splitLines(after))
	case wasString && isString && len(before)+len(after) > longString:
		f.Lines = compareWords(string(d.Before), string(d.After))
	case isLong(d.Before) || isLong(d.After):
		f.Lines = compareLines(indented(d.Before), indented(d.After))
	default:
		f.Before, f.After = line(d.Before), line(d.After)
	}
	return f
}

// within returns a path in the JSON in a string.
func within(path string) string {
	switch {
	case path == "":
		return "$"
	case strings.HasPrefix(path, "["):
		return "$" + path
	}
	return "$." + path
}

// line returns a value as one line, "" for none.
func line(v json.RawMessage) string { return diagnostic.Printable(string(v)) }

// stringIn returns the string of a JSON value that is one.
func stringIn(v json.RawMessage) (string, bool) {
	var s string
	if len(v) == 0 || v[0] != '"' || json.Unmarshal(v, &s) != nil {
		return "", false
	}
	return s, true
}

// holdsJSON reports whether a string is a JSON object or list.
func holdsJSON(s string) bool {
	s = strings.TrimSpace(s)
	return len(s) > 1 && (s[0] == '{' || s[0] == '[') && json.Valid([]byte(s))
}

// isLong reports whether an object or a list needs several lines.
func isLong(v json.RawMessage) bool {
	return len(v) > longString && (v[0] == '{' || v[0] == '[')
}

// indented returns the lines of a JSON value.
func indented(v json.RawMessage) []string {
	if v == nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(indent(v)), "\n"), "\n")
}

func splitLines(s string) []string { return strings.Split(s, "\n") }

// compareLines compares two lists of lines, and leaves out most of the equal ones. It
// compares a replaced line by its words.
func compareLines(before, after []string) []Line {
	var all []Line
	add := func(sign Sign, texts []string) {
		for _, text := range texts {
			all = append(all, Line{sign, []Part{{Text: diagnostic.Printable(text)}}})
		}
	}
	at := 0
	for _, d := range lcs.DiffLines(before, after) {
		add(Same, before[at:d.Start])
		removed, added := before[d.Start:d.End], after[d.ReplStart:d.ReplEnd]
		if len(removed) == len(added) {
			for i := range removed {
				all = append(all, compareWords(removed[i], added[i])...)
			}
		} else {
			add(Minus, removed)
			add(Plus, added)
		}
		at = d.End
	}
	add(Same, before[at:])
	return skipSame(all)
}

// skipSame leaves out equal lines that are not near a different one.
func skipSame(all []Line) []Line {
	near := make([]bool, len(all))
	for i, l := range all {
		if l.Sign == Same {
			continue
		}
		for j := max(0, i-nearLines); j <= min(len(all)-1, i+nearLines); j++ {
			near[j] = true
		}
	}
	var out []Line
	skipped := 0
	flush := func() {
		if skipped > 0 {
			out = append(out, Line{Skip, []Part{{Text: diagnostic.Plural(skipped, "line") + " the same"}}})
		}
		skipped = 0
	}
	for i, l := range all {
		if !near[i] {
			skipped++
			continue
		}
		flush()
		out = append(out, l)
	}
	flush()
	return out
}

// compareWords compares two lines, before and after, by their words.
func compareWords(before, after string) []Line {
	a, b := words(before), words(after)
	old, now := Line{Sign: Minus}, Line{Sign: Plus}
	at, atAfter := 0, 0
	for _, d := range lcs.DiffLines(a, b) {
		old.add(a[at:d.Start], false)
		now.add(b[atAfter:d.ReplStart], false)
		old.add(a[d.Start:d.End], true)
		now.add(b[d.ReplStart:d.ReplEnd], true)
		at, atAfter = d.End, d.ReplEnd
	}
	old.add(a[at:], false)
	now.add(b[atAfter:], false)
	return []Line{old, now}
}

// add appends words to a line.
func (l *Line) add(words []string, marked bool) {
	if len(words) > 0 {
		l.Parts = append(l.Parts, Part{diagnostic.Printable(strings.Join(words, "")), marked})
	}
}

// words splits a line into words, whitespace, and other characters.
func words(s string) []string {
	var all []string
	kind := func(r rune) int {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
			return 1
		case unicode.IsSpace(r):
			return 2
		}
		return 0
	}
	last := 0
	for _, r := range s {
		k := kind(r)
		if len(all) > 0 && k == last && k != 0 {
			all[len(all)-1] += string(r)
		} else {
			all = append(all, string(r))
		}
		last = k
	}
	return all
}
