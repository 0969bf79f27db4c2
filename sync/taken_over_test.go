package sync

import (
	"errors"
	"strings"
	"testing"
)

// While an apply waits for the lease, another one may take over what this one would.
func TestVerifySeesWhatWasTakenOver(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	gone := makeAutomation("growth/gone", 1)
	in := desired(a)
	in.Former = "old"
	m := newSurveying()
	m.other(Foreign, "x1", MarkerOf("old", a), a, "")
	m.other(Foreign, "x2", MarkerOf("old", gone), gone, "")
	p := owning{m}
	plan := mustPlan(t, p, in)
	if err := Verify(t.Context(), p, plan, nil, quick); err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), p, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Fatal(err)
	}
	var stale *StaleError
	if err := Verify(t.Context(), p, plan, nil, quick); !errors.As(err, &stale) || len(stale.Reasons) != 1 {
		t.Errorf("error = %v, want that growth/a was taken over", err)
	}
}

// What another apply has taken over in the meantime is not deleted, and not told as such.
func TestADeleteDoesNotTakeATakeOverForADelete(t *testing.T) {
	gone := makeAutomation("growth/gone", 1)
	in := desired()
	in.Former = "old"
	m := newSurveying()
	o := m.other(Foreign, "x2", MarkerOf("old", gone), gone, "")
	p := owning{m}
	plan := mustPlan(t, p, in)
	if got := brief(plan); len(got) != 1 || got[0] != "delete growth/gone removed x2" {
		t.Fatalf("changes = %q", got)
	}
	m.put(o.ID, MarkerOf("growth", gone), gone)
	_, err := Apply(t.Context(), p, plan, in, ApplyOptions{Calls: quick})
	if err == nil || !strings.Contains(err.Error(), "taken over on the platform since the plan") || len(m.stored) != 1 {
		t.Errorf("error = %v, stored %+v", err, m.stored)
	}
}
