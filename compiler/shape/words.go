package shape

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
)

// String says what a shape asks for: "a number".
func (s *Shape) String() string { return finding.OneOf(s.words()) }

func (s *Shape) words() []string {
	if s.Definition == "automation.#Header" {
		return []string{"a string", "a secret by its name"}
	}
	switch s.Kind {
	case Text:
		if len(s.Consts) > 0 {
			quoted := make([]string, len(s.Consts))
			for i, v := range s.Consts {
				quoted[i] = strconv.Quote(v)
			}
			return quoted
		}
		return []string{"a string"}
	case Number:
		return []string{"a number"}
	case Integer:
		return []string{s.integer()}
	case Boolean:
		return []string{"true", "false"}
	case Time:
		return []string{"a time"}
	case Date:
		return []string{"a date", "a time"}
	case Null:
		return []string{"null"}
	case Struct:
		return []string{"an object"}
	case List:
		return []string{"a list"}
	case Union:
		var words []string
		for _, alt := range s.Alts {
			for _, w := range alt.words() {
				if !slices.Contains(words, w) {
					words = append(words, w)
				}
			}
		}
		return words
	default:
		return []string{"a value"}
	}
}

func (s *Shape) integer() string {
	switch {
	case s.Min != nil && s.Max != nil:
		return "an integer from " + strconv.FormatInt(*s.Min, 10) + " to " + strconv.FormatInt(*s.Max, 10)
	case s.Min != nil:
		return "an integer from " + strconv.FormatInt(*s.Min, 10)
	default:
		return "an integer"
	}
}

// Example shows how a value of the shape is written at a path.
func (s *Shape) Example(p finding.Path) string {
	name := "it"
	if len(p) > 0 {
		if label, ok := p[len(p)-1].(string); ok {
			name = finding.Selector(label).String()
		}
	}
	switch s.Kind {
	case Text:
		if len(s.Consts) > 0 {
			return s.String()
		}
		return `a quoted string, as in ` + name + `: "…"`
	case Number:
		return "a number without quotes, as in " + name + ": 42.5"
	case Time, Date:
		return "a quoted time, as in " + TimeExamples(s)
	case Struct:
		if name == "headers" {
			return `the headers by their names, as in headers: "X-Team": "growth"`
		}
		if name == "allow" {
			return "the code of a warning, and the reason why it may be: " +
				`allow: "event-name": "the other teams know it by this name"`
		}
		return "the fields in braces, as in " + name + ": {…}"
	case List:
		if name == "exec" {
			return `the command and its arguments in a list, as in exec: ["op", "read", "op://team/segment/key"]`
		}
		return "the elements in brackets, as in " + name + ": […]"
	default:
		return s.String()
	}
}

// Describe says what a value is: `the text "12"`.
func Describe(v any) string {
	switch v := v.(type) {
	case string:
		if utf8.RuneCountInString(v) > 40 {
			v = string([]rune(v)[:40]) + "…"
		}
		return "the string " + strconv.Quote(v)
	case json.Number:
		return "the number " + v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case Bytes:
		return "bytes"
	default:
		return "null"
	}
}

// TypeWord is the type of a placeholder for people, who write texts, not strings.
func TypeWord(t automation.ValueType) string {
	if t == automation.StringValue {
		return "string"
	}
	return string(t)
}

// FirstSentence returns the start of a field's comment, for a remedy.
func FirstSentence(f *Field) string {
	doc := strings.Join(strings.Fields(f.Doc), " ")
	if i := strings.Index(doc, ". "); i >= 0 {
		doc = doc[:i]
	}
	doc = strings.TrimSuffix(doc, ".")
	if doc == "" {
		return f.Shape.String()
	}
	return strings.ToLower(doc[:1]) + doc[1:]
}

const timeExample = "2026-03-14T09:26:53Z"

// TimeExamples shows how a shape's times are written.
func TimeExamples(s *Shape) string {
	if s.Kind == Date {
		return strconv.Quote(timeExample) + ` or "2026-03-14"`
	}
	return strconv.Quote(timeExample)
}
