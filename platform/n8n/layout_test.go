package n8n

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// storeFirst stores two workflows in the layout of the first version of segue, and
// returns their automations.
func (s *server) storeFirst(t *testing.T) (in sync.Desired, ids []string) {
	t.Helper()
	b, err := os.ReadFile("testdata/first-layout.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []workflow
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	in = two("older", "abc123")
	in.Secrets = nil
	for i, w := range all {
		var made struct{ ID string }
		s.rest(t, "POST", "/api/v1/workflows", w, &made)
		s.rest(t, "POST", "/api/v1/workflows/"+made.ID+"/activate", nil, nil)
		ids = append(ids, made.ID)
		a := &in.Automations[i]
		a.Action.Headers = map[string]automation.Header{"Content-Type": a.Action.Headers["Content-Type"]}
	}
	in.Automations[1].Action.Method = "DELETE"
	return in, ids
}

// Workflows of another version of segue are rewritten, and not reported as
// changed by hand.
func TestWorkflowsOfAnotherSegue(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	in, ids := s.storeFirst(t)
	recorder := platformtest.StartRecorder(t)
	plan := func(t *testing.T) *sync.Plan {
		t.Helper()
		plan, err := sync.MakePlan(t.Context(), s.platform(Options{}), in, sync.PlanOptions{})
		if err != nil || len(plan.Changes) != 2 {
			t.Fatalf("the plan has %+v, %v", plan, err)
		}
		return plan
	}
	for _, c := range plan(t).Changes {
		if c.Action != sync.Update || c.Reason != sync.Outdated || len(c.Differences) > 0 {
			t.Errorf("the plan has %s %s, for %s, with %v", c.Action, c.Key, c.Reason, c.Differences)
		}
	}

	s.edit(t, ids[1], func(w map[string]any) {
		for _, n := range w["nodes"].([]any) {
			if n := n.(map[string]any); n["id"] == sendID {
				n["parameters"].(map[string]any)["options"].(map[string]any)["timeout"] = 5
			}
		}
	})
	in.Automations[0].Action.URL = recorder.URL
	changes := plan(t).Changes
	if c := changes[0]; c.Reason != sync.CodeChanged || len(c.Differences) != 1 || c.Differences[0].Path != "action.url" {
		t.Errorf("after a change of the code, the plan has %s, for %s, with %v", c.Key, c.Reason, c.Differences)
	}
	const edited = "changed in n8n: nodes or connections of another version of segue"
	if c := changes[1]; c.Reason != sync.Drifted || len(c.Differences) != 1 || !strings.Contains(string(c.Differences[0].Before), edited) {
		t.Errorf("after a change by hand, the plan has %s, for %s, with %v", c.Key, c.Reason, c.Differences)
	}

	p := s.platform(Options{})
	apply(t, p, in)
	platformtest.RequireExactly(t, s.platform(Options{}), in)
	var now []string
	for _, a := range in.Automations {
		found, err := p.Find(t.Context(), "older", a.Key)
		if err != nil || len(found) != 1 {
			t.Fatalf("found %+v, %v", found, err)
		}
		now = append(now, found[0].ID)
	}
	if !slices.Equal(now, ids) {
		t.Errorf("they are the workflows %v, want %v", now, ids)
	}
	hook := s.webhook("older", in.Automations[0].Key)
	if err := fire(hook, map[string]any{"userId": "u"}); err != nil {
		t.Fatal(err)
	}
	recorder.Next(t)
	if status, answer := post(t, hook, "application/json", "{}"); status != 422 {
		t.Errorf("without a value it answers %d: %s", status, answer)
	}
}
