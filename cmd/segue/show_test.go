package main

import (
	"bytes"
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
	const want = `delete growth/a: a second one that segue has made, "Welcome\x1b[2J" (id\x1b2)`
	if !strings.Contains(out.String(), want) {
		t.Errorf("%q is missing in\n%s", want, out.String())
	}
}
