package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	const want = `delete growth/a: a second one, "Welcome\x1b[2J", made by segue (id\x1b2)`
	if !strings.Contains(out.String(), want) {
		t.Errorf("%q is missing in\n%s", want, out.String())
	}
}

// Values that look alike are shown with escapes, so that the difference can be seen
// and written into the code.
func TestValuesThatLookAlike(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, code, made, want string }{
		{"composed", "\"Cafe\u0301\"", "\"Caf\u00e9\"", `the code has "Cafe\u0301", the platform stores "Caf\u00e9"; write "Caf\u00e9" in the code`},
		{"a space that does not break", "\"a\u00a0b\"", `"a b"`, `the code has "a\u00a0b", the platform stores "a b"; write "a b" in the code`},
		{"beyond the basic plane", "\"\U0001d400\"", `"A"`, `the code has "\U0001d400", the platform stores "A"; write "A" in the code`},
		{"a space at the end", `"Café "`, `"Café"`, `the code has "Caf\u00e9 ", the platform stores "Caf\u00e9"; write "Caf\u00e9" in the code`},
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

// A platform that goes away under many changes is one error, with a count.
func TestFailuresOfOneCauseAreOne(t *testing.T) {
	t.Parallel()
	gone := errors.New("can't reach http://127.0.0.1:1: connection refused")
	r := &sync.Result{Target: "prod"}
	for i := range 19 {
		key := fmt.Sprintf("growth/%02d", i)
		r.Changes = append(r.Changes, sync.ChangeResult{Key: key, Action: sync.Create, Outcome: sync.Failed,
			Err: &sync.ChangeError{Subject: key, Action: sync.Create, Target: "prod", Err: gone}})
	}
	r.Changes = append(r.Changes, sync.ChangeResult{Key: "growth/odd", Action: sync.Update, Outcome: sync.Failed,
		Err: &sync.ChangeError{Subject: "growth/odd", Action: sync.Update, Target: "prod", Err: errors.New("503: busy")}})
	const want = `20 failed, 0 not started; apply again to continue
  19 changes: create on prod: can't reach http://127.0.0.1:1: connection refused (growth/00, growth/01, growth/02 and 16 more)
  growth/odd: update on prod: 503: busy`
	if got := failures(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
