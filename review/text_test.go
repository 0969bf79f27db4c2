package review

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// sample is an automation for tests.
func sample(key, payload string) automation.Automation {
	return automation.Automation{
		Key: key, Name: "Name of " + key, Enabled: true, Trigger: automation.Trigger{Kind: automation.Pattern, Name: "Account activated"},
		Action: automation.Request{Kind: automation.KindHTTPRequest, Method: "POST", URL: "https://api.segment.io/v1/track", Payload: json.RawMessage(payload)},
	}
}

// differing returns the differences between two payloads, as in a plan.
func differing(t testing.TB, before, after string) []sync.Difference {
	t.Helper()
	found, err := sync.Compare(json.RawMessage(before), json.RawMessage(after))
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		found[i].Path = "action.payload." + found[i].Path
		found[i].Place = &sync.Place{File: "growth/growth.cue", Line: 10 + i}
	}
	return found
}

// samplePlan returns a plan with every kind of change.
func samplePlan(t testing.TB) *sync.Plan {
	create := sample("growth/created", `{"event":"Account activated","properties":{"products":[{"id":1,"name":"One"},{"id":2,"name":"Two"}],"total":12.5},"userId":"{{userId}}"}`)
	gone := sample("growth/gone", `{"event":"Gone"}`)
	stored, err := gone.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	numbers := make([]string, 500)
	for i := range numbers {
		numbers[i] = `{"id":` + strings.Repeat("1", 1+i%7) + `}`
	}
	list := strings.Join(numbers, ",")
	quote := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	text := func(word string) string {
		return quote("line one\nline two\nline three\nline four\n" + word + " five\nline six\nline seven\nline eight\nline nine")
	}
	update := sample("growth/updated", `{}`)
	return &sync.Plan{
		Format: sync.PlanFormat, Project: "growth", Target: "prod", Product: "n8n 2.41.1", Unchanged: []string{"growth/same"},
		Warnings: []string{"the version is newer than any that was tested"},
		Others:   []sync.Bystander{{Kind: sync.Copy, ID: "8Jq2", Title: `workflow "Welcome (copy)" (8Jq2)`, Key: "growth/welcome"}},
		Changes: []sync.Change{
			{Key: "growth/created", Action: sync.Create, Reason: sync.New, Name: create.Name, Content: &create,
				Endpoint: "https://n8n.example.com/webhook/segue/growth/growth/created", Place: &sync.Place{File: "growth/growth.cue", Line: 5}},
			{Key: "growth/gone", Action: sync.Delete, Reason: sync.Removed, Name: gone.Name, Base: &sync.Base{ID: "id1", Revision: "1", Content: stored}},
			{Key: "growth/updated", Action: sync.Update, Reason: sync.CodeChangedAndDrifted, Name: update.Name, Content: &update, Base: &sync.Base{ID: "id2", Revision: "4"},
				Differences: differing(t,
					`{"count":1,"gone":true,"json":`+quote(`{"a":[1,2,3],"b":"x"}`)+`,"list":[`+list+`],"long":"The quick brown fox jumps over the lazy dog, and nobody minds.","look":"Cafe`+"\u0301"+`","nothing":"a`+"\u200b"+`b","object":{"a":1},"space":"Welcome ","text":`+text("line")+`}`,
					`{"count":2,"json":`+quote(`{"a":[0,1,2,3],"b":"y"}`)+`,"list":[{"id":0},`+list+`],"long":"The quick red fox jumps over the lazy dog, and nobody minds.","look":"Café","new":{"deeply":{"nested":["value","and","more","of","it","than","fits"]}},"nothing":"ab","object":7,"space":"Welcome","text":`+text("LINE")+`}`)},
		},
		Secrets: []sync.SecretChange{{Name: "SEGMENT_WRITE_KEY", Action: sync.Rotate, UsedBy: []string{"growth/created"}}},
	}
}

// golden compares with a file in testdata. SEGUE_UPDATE renews it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("SEGUE_UPDATE") != "" {
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), renewed with SEGUE_UPDATE=1:\n%s", file, diff)
	}
}

func TestText(t *testing.T) {
	for name, o := range map[string]TextOptions{
		"plan.txt": {}, "plan_full.txt": {Full: true}, "plan_narrow.txt": {Width: 60}, "plan_color.txt": {Color: true, Width: 100},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Text(&b, samplePlan(t), o); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.Bytes())
			for range 3 {
				var again bytes.Buffer
				if err := Text(&again, samplePlan(t), o); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
					t.Fatalf("the second text differs from the first: %v", err)
				}
			}
		})
	}
}

// Everything in a plan except sentences fits the width of the terminal.
func TestTextKeepsToTheWidth(t *testing.T) {
	for _, width := range []int{40, 80, 120} {
		var b bytes.Buffer
		p := samplePlan(t)
		p.Product, p.Warnings, p.Others = "", nil, nil
		for i := range p.Changes[2].Differences {
			p.Changes[2].Differences[i].Place = nil
		}
		if err := Text(&b, p, TextOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		changes, _, _ := strings.Cut(b.String(), "\nPlan for")
		for l := range strings.Lines(changes) {
			l = strings.TrimSuffix(l, "\n")
			if !strings.HasPrefix(l, " ") || strings.Contains(l, "look alike") || strings.HasSuffix(l, ":") {
				continue
			}
			if got := uniseg.StringWidth(l); got > width {
				t.Errorf("a line of %d columns on a terminal of %d: %s", got, width, l)
			}
		}
	}
}

// Any value of a plan may try to control the terminal.
func TestTextSteersNoTerminal(t *testing.T) {
	evil := "x\x1b[2J\u202e\u0007"
	a := sample("growth/"+evil, `{"event":"`+"\u202e"+`"}`)
	a.Name, a.Trigger.Name, a.Action.URL = evil, evil, evil
	value, err := json.Marshal(evil + strings.Repeat(" long", 20))
	if err != nil {
		t.Fatal(err)
	}
	p := &sync.Plan{Project: evil, Target: evil, Product: evil, Warnings: []string{evil}, Orphaned: []string{evil},
		Others:  []sync.Bystander{{Title: evil, Endpoint: evil, Takes: evil}},
		Secrets: []sync.SecretChange{{Name: evil, UsedBy: []string{evil}}},
		Altered: []sync.Altered{{Key: evil, Differences: []sync.Difference{{Path: evil, Before: value, After: value, Place: &sync.Place{File: evil}}}}},
		Changes: []sync.Change{
			{Key: a.Key, Action: sync.Create, Content: &a, Endpoint: evil, Place: &sync.Place{File: evil}, Taken: &sync.Bystander{Title: evil}},
			{Key: a.Key, Action: sync.Update, Content: &a, Base: &sync.Base{ID: evil}, Reason: sync.Moved, Differences: []sync.Difference{
				{Path: evil, Before: value, After: json.RawMessage(`"` + strings.Repeat("y", 90) + `"`), Place: &sync.Place{File: evil}}}},
		}}
	for _, o := range []TextOptions{{}, {Full: true}, {Width: 30}} {
		var b bytes.Buffer
		if err := Text(&b, p, o); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\u202e\u0007") {
			t.Errorf("control characters in\n%q", b.String())
		}
	}
}
