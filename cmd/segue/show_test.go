package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/seguehq/segue/sync"
)

// Of two automations of a key, the plan says which one is deleted.
func TestAPlanNamesTheDuplicateThatGoes(t *testing.T) {
	var out bytes.Buffer
	newTerminal(nil, &out, &out).showPlan(&sync.Plan{Target: "prod", Changes: []sync.Change{
		{Key: "growth/a", Action: sync.Delete, Reason: sync.Duplicate, Name: "Welcome\x1b[2J", Base: &sync.Base{ID: "id\x1b2"}, Kept: "id1"},
	}})
	const want = `delete growth/a: a second one, "Welcome\x1b[2J", that segue has made (id\x1b2)`
	if !strings.Contains(out.String(), want) {
		t.Errorf("%q is missing in\n%s", want, out.String())
	}
}

// Values that look alike are shown with escapes, so that the difference can be seen
// and written into the code.
func TestValuesThatLookAlike(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, code, made, want string }{
		{"composed", "\"Cafe\u0301\"", "\"Caf\u00e9\"", `the code has "Cafe\u0301", the platform has made "Caf\u00e9"; write "Caf\u00e9" in the code`},
		{"a space that does not break", "\"a\u00a0b\"", `"a b"`, `the code has "a\u00a0b", the platform has made "a b"; write "a b" in the code`},
		{"beyond the basic plane", "\"\U0001d400\"", `"A"`, `the code has "\U0001d400", the platform has made "A"; write "A" in the code`},
		{"a space at the end", `"Café "`, `"Café"`, `the code has "Caf\u00e9 ", the platform has made "Caf\u00e9"; write "Caf\u00e9" in the code`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			shown := newTerminal(strings.NewReader(""), &out, io.Discard)
			shown.showAltered([]sync.Altered{{Key: "growth/one", Differences: []sync.Difference{
				{Path: "name", Before: json.RawMessage(test.made), After: json.RawMessage(test.code)}}}})
			if !strings.Contains(out.String(), test.want) {
				t.Errorf("shown:\n%s\nwant in it:\n%s", out.String(), test.want)
			}
		})
	}
}
