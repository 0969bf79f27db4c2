package compiler

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seguehq/segue/automation"
)

// String says what a shape asks for: "a number".
func (s *shape) String() string { return oneOf(s.words()) }

func (s *shape) words() []string {
	if s.definition == "automation.#Header" {
		return []string{"a text", "a secret by its name"}
	}
	switch s.kind {
	case textShape:
		if len(s.consts) > 0 {
			quoted := make([]string, len(s.consts))
			for i, v := range s.consts {
				quoted[i] = strconv.Quote(v)
			}
			return quoted
		}
		return []string{"a text"}
	case numberShape:
		return []string{"a number"}
	case integerShape:
		return []string{s.integer()}
	case booleanShape:
		return []string{"true", "false"}
	case timeShape:
		return []string{"a time"}
	case dateShape:
		return []string{"a date", "a time"}
	case nullShape:
		return []string{"null"}
	case structShape:
		return []string{"a struct"}
	case listShape:
		return []string{"a list"}
	case unionShape:
		var words []string
		for _, alt := range s.alts {
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

func (s *shape) integer() string {
	switch {
	case s.min != nil && s.max != nil:
		return "a whole number from " + strconv.FormatInt(*s.min, 10) + " to " + strconv.FormatInt(*s.max, 10)
	case s.min != nil:
		return "a whole number from " + strconv.FormatInt(*s.min, 10)
	default:
		return "a whole number"
	}
}

// example shows how a value of the shape is written at a path.
func (s *shape) example(p valuePath) string {
	name := "it"
	if len(p) > 0 {
		if label, ok := p[len(p)-1].(string); ok {
			name = labelSelector(label).String()
		}
	}
	switch s.kind {
	case textShape:
		if len(s.consts) > 0 {
			return s.String()
		}
		return `a text between quotes, as in ` + name + `: "…"`
	case numberShape:
		return "a number without quotes, as in " + name + ": 42.5"
	case timeShape, dateShape:
		return "it between quotes, as in " + timeExamples(s)
	case structShape:
		if name == "headers" {
			return `the headers by their names, as in headers: "X-Team": "growth"`
		}
		if name == "allow" {
			return `the code of a warning, and the reason why it may be: allow: "event-name": "the other teams know it by this name"`
		}
		return "the fields between braces, as in " + name + ": {…}"
	case listShape:
		if name == "exec" {
			return `the command and its arguments in a list, as in exec: ["op", "read", "op://team/segment/key"]`
		}
		return "the elements between brackets, as in " + name + ": […]"
	default:
		return s.String()
	}
}

// bytesValue stands for CUE's bytes, which are no text: they would be sent in
// base64. It holds them.
type bytesValue string

// describe says what a value is: `the text "12"`.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		if utf8.RuneCountInString(v) > 40 {
			v = string([]rune(v)[:40]) + "…"
		}
		return "the text " + strconv.Quote(v)
	case json.Number:
		return "the number " + v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a struct"
	case bytesValue:
		return "bytes"
	default:
		return "null"
	}
}

// typeWord is the type of a placeholder for people, who write texts, not strings.
func typeWord(t automation.ValueType) string {
	if t == automation.StringValue {
		return "text"
	}
	return string(t)
}

// firstSentence returns the start of a field's comment, for a remedy.
func firstSentence(f *fieldShape) string {
	doc := strings.Join(strings.Fields(f.doc), " ")
	if i := strings.Index(doc, ". "); i >= 0 {
		doc = doc[:i]
	}
	doc = strings.TrimSuffix(doc, ".")
	if doc == "" {
		return f.shape.String()
	}
	return strings.ToLower(doc[:1]) + doc[1:]
}
