package sync

import (
	"errors"
	"slices"
	"testing"
)

func TestSelectionHas(t *testing.T) {
	keys := []string{"growth/a", "growth/ab", "growth/eu/b", "growthier/c", "root", "x.y/a"}
	for _, tt := range []struct{ folders, keys, want []string }{
		{nil, nil, keys},
		{[]string{"./..."}, nil, keys},
		{[]string{"..."}, nil, keys},
		{[]string{"."}, nil, []string{"root"}},
		{[]string{"growth"}, nil, []string{"growth/a", "growth/ab"}},
		{[]string{"./growth/"}, nil, []string{"growth/a", "growth/ab"}},
		{[]string{"growth/..."}, nil, []string{"growth/a", "growth/ab", "growth/eu/b"}},
		{[]string{`growth\eu`, "growthier"}, nil, []string{"growth/eu/b", "growthier/c"}},
		{nil, []string{"growth/a"}, []string{"growth/a"}},
		{nil, []string{"growth/*"}, []string{"growth/a", "growth/ab"}},
		{nil, []string{"growth/a*"}, []string{"growth/a", "growth/ab"}},
		{nil, []string{"growth/..."}, []string{"growth/a", "growth/ab", "growth/eu/b"}},
		{nil, []string{".../b", "root"}, []string{"growth/eu/b", "root"}},
		{nil, []string{"x?y/a", "growth"}, nil},
		{[]string{"growth/..."}, []string{".../b", "root"}, []string{"growth/eu/b"}},
	} {
		s, err := NewSelection(tt.folders, tt.keys)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !s.Has(key) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("folders %q, keys %q: %q, want %q", tt.folders, tt.keys, got, tt.want)
		}
	}
	if _, err := NewSelection(nil, []string{""}); err == nil {
		t.Error("an empty pattern is accepted")
	}
}

// What is left out stays, with the secrets that it needs, whatever the code says.
func TestPlanLeavesOutWhatIsNotSelected(t *testing.T) {
	m := newMemory()
	a, b, gone, other := makeAutomation("growth/a", 1, "A"), makeAutomation("lifecycle/b", 1, "B"),
		makeAutomation("growth/gone", 1, "GONE"), makeAutomation("lifecycle/gone", 1, "OTHER")
	apply(t, m, desired(a, b, gone, other))
	before := m.find("growth", "lifecycle/b")[0].Revision
	only, err := NewSelection([]string{"growth/..."}, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := desired(makeAutomation("growth/a", 2, "A"), makeAutomation("lifecycle/b", 2, "B"))
	in := all.Selected(only)
	plan, err := MakePlan(t.Context(), m, in, PlanOptions{Only: only, Calls: quick})
	if err != nil {
		t.Fatal(err)
	}
	if plan.LeftOut != 2 || !slices.Equal(plan.Only, []string{"growth/..."}) || len(plan.Blocks) > 0 {
		t.Errorf("only %q, left out %d, blocks %v; want two left out", plan.Only, plan.LeftOut, plan.Blocks)
	}
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Fatal(err)
	}
	if got, want := m.keys("growth"), []string{"growth/a", "lifecycle/b", "lifecycle/gone"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	if now := m.find("growth", "lifecycle/b")[0].Revision; now != before {
		t.Error("what is left out was written")
	}
	if n := len(m.secrets["growth"]); n != 4 {
		t.Errorf("%d secrets, want all four", n)
	}
	heal(t, m, all)
}

func TestPlanRefusesAPatternThatMatchesNothing(t *testing.T) {
	m := newMemory()
	apply(t, m, desired(makeAutomation("growth/stored", 1)))
	in := desired(makeAutomation("growth/wanted", 1))
	for pattern, matches := range map[string]bool{"growth/wanted": true, "growth/stored": true, "growth/*": true, "growth": false, "*": false} {
		only, err := NewSelection(nil, []string{pattern})
		if err != nil {
			t.Fatal(err)
		}
		_, err = MakePlan(t.Context(), m, in, PlanOptions{Only: only, AllowMassDelete: true, Calls: quick})
		var none *NoMatchError
		if errors.As(err, &none) == matches {
			t.Errorf("%q: error %v", pattern, err)
		}
	}
}
