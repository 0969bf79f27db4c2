package message

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// IsExpectation reports whether a path leads to what a test expects, or may be
// meant to: a field of a test by another name, or of tests.
func IsExpectation(p finding.Path) bool {
	if len(p) < 4 || p[0] != "automations" || p[2] != "tests" && p[2] != "test" {
		return false
	}
	if len(p) == 4 {
		return p[3] == "expect"
	}
	return len(p) == 5 && !slices.Contains(testFields, fmt.Sprint(p[4]))
}

// testFields are the fields of a test that have a value.
var testFields = []string{"values", "expectError", "expectURL"}

// checkTests checks an automation's tests, but for what they expect. Their texts
// are data: a value may hold braces.
func (m *Checked) checkTests(v any, f *shape.Field) (found findings) {
	at := m.At.With("tests")
	if tests, ok := v.(map[string]any); ok {
		for _, field := range append([]string{"expect"}, testFields...) {
			if _, named := tests[field]; named {
				w := finding.Newf("missing-field", at, finding.AtLabel, "a test needs a name: tests has the fields of one")
				w.Help = `write tests: "what it shows": {...}`
				return findings{w}
			}
		}
	}
	if f != nil {
		found = m.rules(false).Value(withoutPlaceholders(v), f.Shape, at)
	}
	tests, _ := v.(map[string]any)
	for _, name := range finding.SortedKeys(tests) {
		test, _ := tests[name].(map[string]any)
		values, _ := test["values"].(map[string]any)
		for _, placeholder := range finding.SortedKeys(values) {
			found = append(found, m.testValue(placeholder, at.With(name, "values", placeholder))...)
		}
	}
	return found
}

// testValue checks the name of a placeholder that a test has a value for.
func (m *Checked) testValue(name string, at finding.Path) findings {
	entry, ok := m.Catalog[name]
	switch {
	case !ok && m.Gaps.MayDefine(name):
	case !ok:
		w := finding.Newf("unknown-placeholder", at, finding.AtLabel, "there is no placeholder %q", name)
		if near := finding.Nearest(name, m.rules(false).Names()); near != "" {
			w.Suggestion, w.Help, w.Repair = near, finding.DidYouMean(near),
				&finding.Repair{How: finding.RenameField, Text: near}
		} else {
			w.Help = "the placeholders are " + finding.OneOf(m.rules(false).Names())
		}
		return findings{w}
	case m.Trigger != "" && !entry.ProvidedBy(m.Trigger):
		w := finding.Newf("placeholder-not-provided", at, finding.AtLabel,
			"a %s does not provide {{%s}}, so that a test can't have a value for it", m.Trigger, name)
		w.Help = "remove it from the values"
		return findings{w}
	}
	return nil
}

// withoutPlaceholders copies a decoded value without what looks like placeholders.
func withoutPlaceholders(v any) any {
	switch v := v.(type) {
	case string:
		return strings.NewReplacer("{", "_", "}", "_").Replace(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = withoutPlaceholders(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = withoutPlaceholders(e)
		}
		return out
	default:
		return v
	}
}
