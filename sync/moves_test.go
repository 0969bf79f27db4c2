package sync

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withMoves is what the code wants, with moves.
func withMoves(in Desired, moves Moves) Desired {
	in.Moves = moves
	return in
}

func TestAMovedAutomationKeepsItsIdentifier(t *testing.T) {
	for name, tt := range map[string]struct {
		from, to string
		moves    Moves
	}{
		"a key":               {"old/a", "new/b", Moves{"old/a": "new/b"}},
		"a folder":            {"old/deep/a", "new/deep/a", Moves{"old/...": "new/..."}},
		"from the root":       {"a", "new/a", Moves{"...": "new/..."}},
		"to the root":         {"old/a", "a", Moves{"old/...": "..."}},
		"twice":               {"old/a", "new/a", Moves{"old/a": "mid/a", "mid/a": "new/a"}},
		"a key in a folder":   {"old/a", "new/b", Moves{"old/...": "new/...", "old/a": "new/b"}},
		"a folder, and a key": {"old/a", "new/b", Moves{"old/...": "mid/...", "mid/a": "new/b"}},
		"the nearest folder":  {"old/in/a", "new/a", Moves{"old/in/...": "new/...", "old/...": "other/..."}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			// What the moves of other folders need to lead somewhere.
			stays, other := makeAutomation("stays/s", 1, "S"), makeAutomation("other/o", 1)
			mid := makeAutomation("mid/m", 1)
			apply(t, m, desired(makeAutomation(tt.from, 1, "S"), stays, other, mid))
			id := m.find("growth", tt.from)[0].ID
			in := withMoves(desired(makeAutomation(tt.to, 1, "S"), stays, other, mid, makeAutomation("new/n", 1)), tt.moves)
			plan := mustPlan(t, m, in)
			if plan.Count(Delete) != 0 || len(plan.Blocks) > 0 {
				t.Fatalf("plan deletes %d, blocks %v", plan.Count(Delete), plan.Blocks)
			}
			if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}); err != nil {
				t.Fatal(err)
			}
			if found := m.find("growth", tt.to); len(found) != 1 || found[0].ID != id {
				t.Errorf("%s is %+v, want the one with the ID %s", tt.to, found, id)
			}
			checkSettled(t, m, in)
		})
	}
}

// Whatever fails in the apply of a move, one automation is left, and the next apply
// gets there.
func TestAMoveUnderFaults(t *testing.T) {
	for name, f := range faults {
		m := newMemory()
		apply(t, m, desired(makeAutomation("old/a", 1, "S"), makeAutomation("b", 1)))
		id := m.find("growth", "old/a")[0].ID
		in := withMoves(desired(makeAutomation("new/a", 2, "S"), makeAutomation("b", 1)), Moves{"old/a": "new/a"})
		plan := mustPlan(t, m, in)
		failed := false
		m.fault = func(_ int, op, key string) *fault {
			if op == "update" && key == "new/a" && !failed {
				failed = true
				return f
			}
			return nil
		}
		_, _ = Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick})
		if !failed {
			t.Errorf("%s: there was no update to fail", name)
		}
		heal(t, m, in)
		if found := m.find("growth", "new/a"); len(found) != 1 || found[0].ID != id {
			t.Errorf("%s: new/a is %+v, want the one with the ID %s", name, found, id)
		}
	}
}

// What was changed since the plan is not moved.
func TestAMoveOfWhatHasChangedIsRefused(t *testing.T) {
	m := newMemory()
	a := makeAutomation("old/a", 1)
	apply(t, m, desired(a))
	in := withMoves(desired(makeAutomation("new/a", 1)), Moves{"old/a": "new/a"})
	plan := mustPlan(t, m, in)
	if err := Verify(t.Context(), m, plan, nil, quick); err != nil {
		t.Errorf("Verify: %v", err)
	}
	edited := m.find("growth", "old/a")[0]
	m.put(edited.ID, edited.Marker, makeAutomation("old/a", 2))
	if err := Verify(t.Context(), m, plan, nil, quick); err == nil {
		t.Error("Verify finds nothing")
	}
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}); err == nil || !strings.Contains(err.Error(), "changed on the platform since the plan") {
		t.Errorf("error %v", err)
	}
	if len(m.find("growth", "old/a")) != 1 || len(m.stored) != 1 {
		t.Error("it was moved, or there are two")
	}
}

func TestWrongMovesChangeNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		stored, wanted []string
		moves          Moves
		want           string // in the error or the block
	}{
		"a circle":               {[]string{"a"}, []string{"b"}, Moves{"a": "b", "b": "a"}, "lead in a circle, back to a"},
		"a circle of folders":    {[]string{"x/a"}, []string{"y/a"}, Moves{"x/...": "y/...", "y/...": "x/..."}, "lead in a circle"},
		"a mixed circle":         {[]string{"x/a"}, []string{"y/b"}, Moves{"x/...": "y/...", "y/a": "x/a"}, "the code has no automation x/a"},
		"to nothing":             {[]string{"a"}, []string{"b"}, Moves{"a": "c"}, "the code has no automation c"},
		"a folder to nothing":    {[]string{"x/a"}, []string{"y/a"}, Moves{"x/...": "z/..."}, "the code has no automation z/..."},
		"of what is still there": {[]string{"a"}, []string{"a", "b"}, Moves{"a": "b"}, "the code still has a"},
		"onto one that is":       {[]string{"a", "b"}, []string{"b"}, Moves{"a": "b"}, "local has both"},
		"two onto one":           {[]string{"a", "c"}, []string{"b"}, Moves{"a": "b", "c": "b"}, "can't both be b"},
		"a key to a folder":      {[]string{"a"}, []string{"x/a"}, Moves{"a": "x/..."}, "moves a folder to a key"},
		"of a misspelt key":      {[]string{"a", "s"}, []string{"b", "s"}, Moves{"aa": "b"}, "there is no aa on local, and a would be deleted, which seems to be the same automation; write `moved: \"a\": \"b\"`"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			var stored, wanted Desired
			for _, key := range tt.stored {
				a := makeAutomation(key, 1)
				a.Name = "Same"
				stored.Automations = append(stored.Automations, a)
			}
			for _, key := range tt.wanted {
				a := makeAutomation(key, 1)
				a.Name = "Same"
				wanted.Automations = append(wanted.Automations, a)
			}
			apply(t, m, desired(stored.Automations...))
			before := len(m.calls)
			in := withMoves(desired(wanted.Automations...), tt.moves)
			plan, err := MakePlan(t.Context(), m, in, PlanOptions{AllowMassDelete: true, Calls: quick})
			if err == nil {
				_, err = Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick})
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if slices.ContainsFunc(m.calls[before:], func(call string) bool {
				return !strings.HasPrefix(call, "list ") && !strings.HasPrefix(call, "secrets ")
			}) {
				t.Errorf("calls %q", m.calls[before:])
			}
		})
	}
}

// A line stays harmless once it was applied, and on a target that has nothing yet.
func TestAMoveThatIsDone(t *testing.T) {
	in := withMoves(desired(makeAutomation("new/a", 1)), Moves{"old/a": "new/a", "older/...": "new/..."})
	m := newMemory()
	apply(t, m, in)
	if plan := mustPlan(t, m, in); !plan.Empty() || len(plan.Warnings) > 0 {
		t.Errorf("plan %+v, want none", plan)
	}
}

// A selection of the former key alone leaves the automation where it is.
func TestAMoveOutOfTheSelection(t *testing.T) {
	m := newMemory()
	apply(t, m, desired(makeAutomation("old/a", 1), makeAutomation("old/b", 1)))
	in := withMoves(desired(makeAutomation("new/a", 1), makeAutomation("old/b", 2)), Moves{"old/a": "new/a"})
	only, err := NewSelection(nil, []string{"old/*"})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := MakePlan(t.Context(), m, in, PlanOptions{Only: only, Calls: quick})
	if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Key != "old/b" || plan.Changes[0].Action != Update {
		t.Errorf("plan %+v, error %v; want an update of old/b", plan, err)
	}
}

func TestPlanOffersRenames(t *testing.T) {
	for name, tt := range map[string]struct {
		stored, wanted []string
		want           []Rename
	}{
		"a key":                  {[]string{"x/a", "x/s"}, []string{"x/b", "x/s"}, []Rename{{"x/a", "x/b"}}},
		"a folder":               {[]string{"x/a", "x/b"}, []string{"y/a", "y/b"}, []Rename{{"x/...", "y/..."}}},
		"a part of a folder":     {[]string{"x/a", "x/b", "x/c"}, []string{"y/a", "y/b"}, []Rename{{"x/a", "y/a"}, {"x/b", "y/b"}}},
		"into several folders":   {[]string{"x/a", "x/b"}, []string{"y/a", "z/b"}, []Rename{{"x/a", "y/a"}, {"x/b", "z/b"}}},
		"another content":        {[]string{"x/a"}, []string{"x/c"}, nil},
		"nothing that is gone":   {[]string{"x/a"}, []string{"x/a", "y/a"}, nil},
		"two that are the same":  {[]string{"x/a"}, []string{"y/a", "z/a"}, nil},
		"from the project's top": {[]string{"a", "b"}, []string{"y/a", "y/b"}, []Rename{{"a", "y/a"}, {"b", "y/b"}}},
	} {
		// The content goes by the last part of the key.
		content := map[string]int{"a": 1, "b": 1, "c": 3, "s": 4}
		if strings.Contains(name, "folder") || strings.Contains(name, "top") {
			content["b"] = 2
		}
		all := func(keys []string) Desired {
			var in Desired
			for _, key := range keys {
				a := makeAutomation(key, content[key[len(key)-1:]])
				a.Name = "Same"
				in.Automations = append(in.Automations, a)
			}
			return desired(in.Automations...)
		}
		m := newMemory()
		apply(t, m, all(tt.stored))
		in := all(tt.wanted)
		plan := mustPlan(t, m, in)
		if diff := cmp.Diff(tt.want, plan.Renames); diff != "" {
			t.Errorf("%s: renames (-want +got):\n%s", name, diff)
		}
		if len(plan.Renames) == 0 {
			continue
		}
		in.Moves = Moves{}
		for _, r := range plan.Renames {
			in.Moves[r.From] = r.To
		}
		for _, c := range mustPlan(t, m, in).Changes {
			if c.Action == Create {
				t.Errorf("%s: with %v, %s is still created", name, in.Moves, c.Key)
			}
		}
	}
}
