package sync

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
)

// Drift is what somebody has done to the platform, and nothing that the code alone has.
func TestDriftIsWhatHasHappenedOnThePlatform(t *testing.T) {
	m := newMemory()
	first := desired(makeAutomation("growth/code", 1), makeAutomation("growth/edited", 1), makeAutomation("growth/both", 1),
		makeAutomation("growth/gone", 1), makeAutomation("growth/orphan", 1), makeAutomation("growth/same", 1, "ROTATED"))
	apply(t, m, first)
	if d := mustPlan(t, m, first).Drift(); !d.Empty() {
		t.Errorf("right after an apply: %+v", d.Found)
	}
	at := time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC)
	for _, key := range []string{"growth/edited", "growth/both"} {
		s := m.find("growth", key)[0]
		m.put(s.ID, s.Marker, makeAutomation(key, 9))
		s = m.stored[s.ID]
		s.Changed = at
		m.stored[s.ID] = s
	}
	delete(m.stored, m.find("growth", "growth/gone")[0].ID)
	twice := makeAutomation("growth/same", 1, "ROTATED")
	m.put("", MarkerOf("growth", twice), twice)

	in := desired(makeAutomation("growth/code", 2), makeAutomation("growth/edited", 1), makeAutomation("growth/both", 2),
		makeAutomation("growth/gone", 1), makeAutomation("growth/same", 1, "ROTATED"))
	in.Secrets["ROTATED"] = automation.NewSecret("another value")
	place := func(key string, path ...any) *Place { return &Place{File: key, Line: 1 + len(path)} }
	plan, err := MakePlan(t.Context(), m, in, PlanOptions{Calls: quick, Place: place})
	if err != nil {
		t.Fatal(err)
	}
	d := plan.Drift()
	for i := range d.Found {
		d.Found[i].ID = ""
	}
	changed := func(key string, before, after string) []Difference {
		return []Difference{{Path: "action.payload.traits.version", Before: []byte(before), After: []byte(after), Place: &Place{File: key, Line: 5}}}
	}
	want := []Drifting{
		{Kind: EditedToo, Key: "growth/both", Name: "Name of growth/both", Changed: "2026-11-28T09:30:00Z", Place: &Place{"growth/both", 1}, Differences: changed("growth/both", "2", "9")},
		{Kind: Edited, Key: "growth/edited", Name: "Name of growth/edited", Changed: "2026-11-28T09:30:00Z", Place: &Place{"growth/edited", 1}, Differences: changed("growth/edited", "1", "9")},
		{Kind: Missing, Key: "growth/gone", Name: "Name of growth/gone", Place: &Place{"growth/gone", 1}},
		{Kind: NotInCode, Key: "growth/orphan", Name: "Name of growth/orphan"},
		{Kind: SecondCopy, Key: "growth/same", Name: "Name of growth/same"},
		{Kind: OtherSecret, Secret: "ROTATED"},
	}
	if diff := cmp.Diff(want, d.Found); diff != "" {
		t.Errorf("drift (-want +got):\n%s", diff)
	}

	// Where the target does not prune, what is not in the code is told of all the same.
	plan, err = MakePlan(t.Context(), m, in, PlanOptions{Calls: quick, KeepOrphans: true})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[DriftKind]int{}
	for _, f := range plan.Drift().Found {
		kinds[f.Kind]++
	}
	if kinds[NotInCode] != 1 || kinds[Missing] != 1 || kinds[Edited] != 1 {
		t.Errorf("kinds = %v", kinds)
	}
}
