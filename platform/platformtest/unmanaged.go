package platformtest

import (
	"slices"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// RoundTrip checks that automations that lose their markers are found as unmanaged, can
// be read, and are taken over again: each keeps its identifier and its content, nothing
// else changes, and the next plan is empty. unmark removes a marker, as a person would.
func RoundTrip(t *testing.T, b *Bench, unmark func(t testing.TB, stored sync.Stored)) {
	c := &scene{Bench: b, project: "roundtrip", direct: patientPlatform{t, b.Platform}}
	t.Cleanup(func() { c.clear(t) })
	r := StartRecorder(t)
	disabled := c.plain("deep/down/disabled")
	disabled.Enabled = false
	put := c.plain("put")
	put.Action.Method, put.Action.URL = "PUT", "https://example.com/{{userId}}?q=a%20b"
	track := c.plain("growth/track")
	track.Action.URL = r.URL + "/v1/track"
	in := c.desired(track, disabled, put)
	c.apply(t, in)
	before := map[string]sync.Stored{}
	for _, a := range in.Automations {
		before[a.Key] = c.find(t, a.Key)
		unmark(t, before[a.Key])
	}
	unmanaged, err := sync.ListUnmanaged(t.Context(), b.Platform, in, quick)
	if err != nil {
		t.Fatal(err)
	}
	var read []automation.Automation
	for key, was := range before {
		at := slices.IndexFunc(unmanaged, func(u sync.Unmanaged) bool { return u.ID == was.ID })
		if at < 0 {
			t.Fatalf("%s, without its marker, is not found", key)
		}
		u := unmanaged[at]
		if u.Against != "" || !u.Adoptable {
			t.Fatalf("%s can't be read: %s", u.Title, u.Against)
		}
		got := u.Automation
		if got.Key == "" {
			got.Key = key
		}
		if got.Trigger != was.Automation.Trigger { // some platforms keep its name in the marker
			got.Trigger = was.Automation.Trigger
		}
		wantSame(t, u.Title, sync.Stored{ID: was.ID, Revision: was.Revision, Marker: sync.MarkerOf(c.project, got), Automation: got}, c.project, in.Automations[slices.IndexFunc(in.Automations, func(a automation.Automation) bool { return a.Key == key })])
		read = append(read, got)
	}
	in.Automations = read
	plan, err := sync.MakePlan(t.Context(), b.Platform, in, sync.PlanOptions{Adopt: true, Calls: quick})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Changes) != len(read) || plan.Count(sync.Update) != len(read) {
		t.Fatalf("the plan does not take all of them over: %+v", plan.Changes)
	}
	if _, err := sync.Apply(t.Context(), b.Platform, plan, in, sync.ApplyOptions{Calls: quick}); err != nil {
		t.Fatal(err)
	}
	RequireExactly(t, b.Platform, in)
	for key, was := range before {
		if now := c.find(t, key); now.ID != was.ID {
			t.Errorf("%s: its ID was %s, and is %s", key, was.ID, now.ID)
		}
	}
	c.fires(t, r, track, map[string]any{"userId": "u1"}, in.Secrets)
}
