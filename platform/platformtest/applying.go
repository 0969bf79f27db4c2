package platformtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// applyChecks check plan and apply with a platform.
var applyChecks = []check{
	{name: "100 automations applied 8 at a time are there, each once", run: func(t *testing.T, c *scene) {
		in := c.hundred("https://example.com")
		c.apply(t, in)
		for i := range 10 {
			in.Automations[i].Name += ", edited"
		}
		for i := range 5 {
			in.Automations[20+i].Enabled = false
		}
		in.Automations = slices.Delete(in.Automations, 50, 60)
		in.Secrets = secrets("rotated")
		plan := c.apply(t, in)
		if plan.Count(sync.Update) != 15 || plan.Count(sync.Delete) != 10 || len(plan.Changes) != 25 || len(plan.Secrets) != 1 {
			t.Errorf("10 edited, 5 switched off, 10 removed, a secret rotated: the plan has %d updates, %d deletes, %d changes and %d secrets",
				plan.Count(sync.Update), plan.Count(sync.Delete), len(plan.Changes), len(plan.Secrets))
		}
	}},
	{name: "an edit by hand is an update, field by field, and apply reverts it", run: func(t *testing.T, c *scene) {
		in := c.desired(c.automation("growth/a", "https://example.com/a"), c.automation("growth/b", "https://example.com/b"))
		c.apply(t, in)
		c.EditPayload(t, c.find(t, "growth/a"), "event", `By "hand" \ ${x} 日本 🚀`)
		c.SwitchOff(t, c.find(t, "growth/b"))
		plan := c.plan(t, in)
		for i := range plan.Changes {
			plan.Changes[i].Base, plan.Changes[i].Content, plan.Changes[i].Endpoint = nil, nil, ""
		}
		want := []sync.Change{
			{Key: "growth/a", Action: sync.Update, Reason: sync.Drifted, Name: "Automation growth/a", Differences: []sync.Difference{
				{Path: "action.payload.event", Before: raw(`By "hand" \ ${x} 日本 🚀`), After: raw("Event of growth/a")}}},
			{Key: "growth/b", Action: sync.Update, Reason: sync.Drifted, Name: "Automation growth/b", Differences: []sync.Difference{
				{Path: "enabled", Before: raw(false), After: raw(true)}}},
		}
		if diff := cmp.Diff(want, plan.Changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if len(plan.Secrets) != 0 {
			t.Errorf("secrets would change: %+v", plan.Secrets)
		}
		c.apply(t, in)
	}},
	{name: "moving a node on the canvas is not a difference", needs: Canvas, run: layout, without: layout},
	{name: "a protected automation stops a plan that would delete it", run: func(t *testing.T, c *scene) {
		in := c.desired(c.plain("growth/a"), c.plain("growth/b"))
		in.Automations[0].Protect = true
		c.apply(t, in)
		in.Automations = in.Automations[1:]
		plan := c.plan(t, in)
		if len(plan.Blocks) != 1 || plan.Blocks[0].Kind != sync.Protected {
			t.Errorf("blocks = %+v, want one that protects growth/a", plan.Blocks)
		}
	}},
	{name: "an apply is one write, and leaves out automations that somebody has changed", needs: OneWrite, run: func(t *testing.T, c *scene) {
		if _, ok := c.Platform.(sync.Batcher); !ok {
			t.Fatal("the platform is not a sync.Batcher")
		}
		in := c.desired(c.plain("growth/a"), c.plain("growth/b"))
		c.apply(t, in)
		in.Automations[0].Name, in.Automations[1].Name = "A", "B"
		in.Automations = append(in.Automations, c.plain("growth/c"))
		plan := c.plan(t, in)
		c.EditPayload(t, c.find(t, "growth/b"), "event", "By hand")
		before := c.find(t, "growth/b")
		result, err := sync.Apply(t.Context(), c.Platform, plan, in, sync.ApplyOptions{Calls: quick})
		wantKind(t, "apply of a plan that was overtaken", err, sync.Conflict)
		if result.CountOutcome(sync.Done) != 2 || result.CountOutcome(sync.Failed) != 1 {
			t.Errorf("%d changes done, %d failed; want 2 and the one that was overtaken", result.CountOutcome(sync.Done), result.CountOutcome(sync.Failed))
		}
		if diff := cmp.Diff(before, c.find(t, "growth/b")); diff != "" {
			t.Errorf("the edit by hand was changed:\n%s", diff)
		}
		c.apply(t, in)
	}, without: func(t *testing.T, c *scene) {
		if _, ok := c.Platform.(sync.Batcher); ok {
			t.Error("the platform is a sync.Batcher")
		}
		in := c.desired(c.plain("growth/a"), c.plain("growth/b"))
		c.apply(t, in)
		in.Automations[0].Name, in.Automations[1].Name = "A", "B"
		plan := c.plan(t, in)
		c.EditPayload(t, c.find(t, "growth/b"), "event", "By hand")
		result, err := sync.Apply(t.Context(), c.Platform, plan, in, sync.ApplyOptions{Calls: quick})
		if err == nil || result.CountOutcome(sync.Done) != 1 || result.CountOutcome(sync.Failed) != 1 {
			t.Errorf("apply of a plan that was overtaken: %v; want one change done and one refused", err)
		}
		c.apply(t, in)
	}},
}

// layout moves everything that can be moved, and expects an empty plan.
func layout(t *testing.T, c *scene) {
	in := c.desired(c.automation("growth/a", "https://example.com/a"))
	c.apply(t, in)
	c.Move(t, c.find(t, "growth/a"))
	RequireExactly(t, c.Platform, in)
	// And it can still be updated.
	in.Automations[0].Name = "Updated"
	c.apply(t, in)
}

// hundred returns a hundred automations that post to the URL with a secret.
func (c *scene) hundred(url string) sync.Desired {
	in := c.desired()
	for i := range 100 {
		in.Automations = append(in.Automations, c.automation(fmt.Sprintf("team-%d/a%03d", i%7, i), url))
	}
	return in
}

// Hundred returns a hundred automations of a project that post to the URL with
// the secret WRITE_KEY, whose value is abc123.
func Hundred(project, url string) sync.Desired {
	return (&scene{project: project}).hundred(url)
}

// Secret returns the secrets of [Hundred] with another value.
func Secret(value string) map[string]automation.Secret { return secrets(value) }

func raw(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
