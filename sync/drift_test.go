package sync

import (
	"slices"
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

// What the code has for other targets alone is not gone from the code.
func TestWhatIsForOtherTargetsIsNotGoneFromTheCode(t *testing.T) {
	m := newMemory()
	stays, goes, elsewhere := makeAutomation("growth/stays", 1), makeAutomation("growth/goes", 1), makeAutomation("growth/elsewhere", 1)
	apply(t, m, desired(stays, goes, elsewhere))
	in := desired(stays)
	in.Elsewhere = []string{elsewhere.Key}

	plan := mustPlan(t, m, in)
	reasons := map[string]Reason{}
	for _, c := range plan.Changes {
		reasons[c.Key] = c.Reason
	}
	if diff := cmp.Diff(map[string]Reason{goes.Key: Removed, elsewhere.Key: Elsewhere}, reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	kinds := map[string]DriftKind{}
	for _, d := range plan.Drift().Found {
		kinds[d.Key] = d.Kind
	}
	if diff := cmp.Diff(map[string]DriftKind{goes.Key: NotInCode, elsewhere.Key: NotForTarget}, kinds); diff != "" {
		t.Errorf("drift (-want +got):\n%s", diff)
	}
	entries, err := Inventory(t.Context(), m, in, Selection{}, quick)
	if err != nil || entries[0].Reason != Elsewhere || entries[1].Reason != Removed {
		t.Errorf("inventory = %+v, %v", entries, err)
	}
	kept, err := MakePlan(t.Context(), m, in, PlanOptions{Calls: quick, KeepOrphans: true})
	if err != nil || !slices.Equal(kept.Orphaned, []string{goes.Key}) || !slices.Equal(kept.Elsewhere, []string{elsewhere.Key}) {
		t.Errorf("orphaned %v, elsewhere %v, %v", kept.Orphaned, kept.Elsewhere, err)
	}

	// It is deleted under the same guards.
	elsewhere.Protect = true
	s := m.find("growth", elsewhere.Key)[0]
	m.put(s.ID, MarkerOf("growth", elsewhere), elsewhere)
	plan, err = MakePlan(t.Context(), m, in, PlanOptions{Calls: quick, AllowMassDelete: true})
	if err != nil || len(plan.Blocks) != 1 || plan.Blocks[0].Kind != Protected {
		t.Fatalf("blocks = %+v, %v", plan.Blocks, err)
	}
	if want := "put the target back under its `only`, with `protect: false`, apply, then take it out"; plan.Blocks[0].Remedy != want {
		t.Errorf("remedy = %q, want %q", plan.Blocks[0].Remedy, want)
	}
}
