package platformtest

import (
	"testing"

	"github.com/seguehq/segue/sync"
)

// Moves checks that an automation with a new key keeps its identifier, exists once,
// and fires under the new key: after a move of a key, of a folder, and together with
// a new name of the project.
func Moves(t *testing.T, b *Bench) {
	c := &scene{Bench: b, project: "moves", direct: patientPlatform{t, b.Platform}}
	t.Cleanup(func() { c.clear(t) })
	r := StartRecorder(t)
	in := c.desired(c.automation("old/a", r.URL+"/v1/track"), c.plain("old/stays"))
	c.apply(t, in)
	id := c.find(t, "old/a").ID
	step := func(name, project, key string, moves sync.Moves) {
		t.Run(name, func(t *testing.T) {
			in.Automations[0].Key, in.Automations[0].Name = key, name
			in.Moves, in.Former = moves, ""
			if project != in.Project {
				in.Former, in.Project = in.Project, project
			}
			plan := c.plan(t, in)
			if plan.Count(sync.Create)+plan.Count(sync.Delete) > 0 {
				t.Fatalf("the plan does not only move it: %+v", plan.Changes)
			}
			for _, change := range plan.Changes {
				a, addresses := b.Platform.(sync.Addresser)
				if moved := change.Address != nil && change.Address.After == a.Address(project, change.Key); addresses && !moved {
					t.Errorf("%s: the plan does not show the new endpoint: %+v", change.Key, change.Address)
				}
			}
			if _, err := sync.Apply(t.Context(), b.Platform, plan, in, sync.ApplyOptions{Calls: quick}); err != nil {
				t.Fatal(err)
			}
			RequireExactly(t, b.Platform, in)
			c.project = project
			if now := c.find(t, key).ID; now != id {
				t.Errorf("its ID was %s, and is %s", id, now)
			}
			c.fires(t, r, in.Automations[0], map[string]any{"userId": "u1"}, in.Secrets)
		})
	}
	step("by its key", "moves", "mid/a", sync.Moves{"old/a": "mid/a"})
	step("by its folder", "moves", "new/deep/a", sync.Moves{"mid/...": "new/deep/..."})
	step("with the project", "moves-b", "last/a", sync.Moves{"new/...": "mid/...", "mid/deep/a": "last/a"})
}
