package sync

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seguehq/segue/automation"
)

// apply plans and applies without faults.
func apply(t *testing.T, m *memory, in Desired) *Result {
	t.Helper()
	result, err := Apply(t.Context(), m, mustPlan(t, m, in), in, ApplyOptions{Calls: quick})
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return result
}

// withoutContent compares changes without the automations that they hold.
var withoutContent = cmp.Options{cmpopts.IgnoreFields(Change{}, "Content"), cmpopts.IgnoreFields(Base{}, "Content")}

func TestPlanTellsWhyAnUpdateIsNeeded(t *testing.T) {
	const key = "growth/a"
	v1, v2, v3 := makeAutomation(key, 1), makeAutomation(key, 2), makeAutomation(key, 3)
	version := func(before, after int) []Difference {
		return []Difference{{Path: "action.payload.traits.version", Before: json.RawMessage(fmt.Sprint(before)), After: json.RawMessage(fmt.Sprint(after))}}
	}
	for _, tt := range []struct {
		name            string
		applied, actual automation.Automation
		want            automation.Automation
		reason          Reason
		differences     []Difference
	}{
		{"code changed", v1, v1, v2, CodeChanged, version(1, 2)},
		{"platform drifted", v1, v2, v1, Drifted, version(2, 1)},
		{"both, differently", v1, v2, v3, CodeChangedAndDrifted, version(2, 3)},
		{"both, alike", v1, v2, v2, MarkerOnly, nil},
		{"unchanged", v1, v1, v1, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory()
			s := m.put("", Marker{Project: "growth", Key: key, Hash: tt.applied.Hash()}, tt.actual)
			plan := mustPlan(t, m, desired(tt.want))
			if tt.reason == "" {
				if !plan.Empty() || !cmp.Equal(plan.Unchanged, []string{key}) {
					t.Errorf("plan = %+v, want %s unchanged", plan, key)
				}
				return
			}
			want := []Change{{
				Key: key, Action: Update, Reason: tt.reason, Name: tt.want.Name,
				Base:        &Base{ID: s.ID, Revision: s.Revision, Hash: tt.applied.Hash()},
				Differences: tt.differences,
			}}
			if diff := cmp.Diff(want, plan.Changes, withoutContent); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			heal(t, m, desired(tt.want))
		})
	}
}

// What an older version of segue has written in a form that lacks something is
// written again, and nobody is said to have changed it.
func TestPlanWritesAgainWhatIsOutdated(t *testing.T) {
	v1, v2 := makeAutomation("growth/a", 1), makeAutomation("growth/a", 2)
	for reason, want := range map[Reason]automation.Automation{Outdated: v1, CodeChanged: v2} {
		m := newMemory()
		s := m.put("", MarkerOf("growth", v1), v1)
		s.Outdated = true
		m.stored[s.ID] = s
		plan := mustPlan(t, m, desired(want))
		if len(plan.Changes) != 1 || plan.Changes[0].Reason != reason || plan.Changes[0].Action != Update {
			t.Errorf("changes = %+v, want an update because of %s", plan.Changes, reason)
		}
		heal(t, m, desired(want))
	}
}

func TestPlanLeavesWhatIsNotTheProjectsOwn(t *testing.T) {
	m := newMemory()
	a := makeAutomation("growth/a", 1)
	m.put("", Marker{}, a)
	m.put("", Marker{Key: "growth/a", Hash: a.Hash()}, a)
	m.put("", Marker{Project: "other", Key: "growth/a", Hash: a.Hash()}, a)
	m.put("", Marker{Project: "growth", Hash: a.Hash()}, a) // no key: not one of ours

	plan := mustPlan(t, m, desired(makeAutomation("growth/b", 1)))
	want := []Change{{Key: "growth/b", Action: Create, Reason: New, Name: "Name of growth/b"}}
	if diff := cmp.Diff(want, plan.Changes, withoutContent); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if plan := mustPlan(t, m, desired()); !plan.Empty() {
		t.Errorf("changes of an empty project = %+v, want none", plan.Changes)
	}
}

func TestPlanGoesByTheMarkersKeyNotTheContents(t *testing.T) {
	m := newMemory()
	a := makeAutomation("growth/a", 1)
	content := a
	content.Key = "" // a platform that keeps the key in the marker alone
	m.put("", Marker{Project: "growth", Key: "growth/a", Hash: a.Hash()}, content)
	if plan := mustPlan(t, m, desired(a)); !plan.Empty() {
		t.Errorf("plan = %+v, want no changes", plan)
	}
}

func TestPlanCountsAnAutomationThatIsListedTwiceOnce(t *testing.T) {
	m := newMemory()
	a := makeAutomation("growth/a", 1)
	s := m.put("", Marker{Project: "growth", Key: a.Key, Hash: a.Hash()}, a)
	if got := len(groupByKey("growth", []Stored{s, s})["growth/a"]); got != 1 {
		t.Errorf("groupByKey counts %d, want 1", got)
	}
}

func TestPlanDeletesDuplicatesButOne(t *testing.T) {
	const key = "growth/a"
	v1, v2, off := makeAutomation(key, 1), makeAutomation(key, 2), makeAutomation(key, 1)
	off.Enabled = false
	type stored struct{ applied, actual automation.Automation }
	one, two := stored{v1, v1}, stored{v2, v2}
	for _, tt := range []struct {
		name    string
		stored  []stored // id0001, id0002, ...
		want    []automation.Automation
		changes string
	}{
		{"the one with the lowest ID stays", []stored{one, one}, []automation.Automation{v2}, "update id0001 code, delete id0002 duplicate"},
		{"whatever the code wants", []stored{one, two, two}, []automation.Automation{v2}, "update id0001 code, delete id0002 duplicate, delete id0003 duplicate"},
		{"unless it is off", []stored{{off, off}, one}, []automation.Automation{v1}, "delete id0001 duplicate"},
		{"none stays of a removed key", []stored{one, two}, nil, "delete id0001 removed, delete id0002 duplicate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory()
			m.unique = false
			for _, s := range tt.stored {
				m.put("", Marker{Project: "growth", Key: key, Hash: s.applied.Hash()}, s.actual)
			}
			in := desired(tt.want...)
			plan, err := MakePlan(t.Context(), m, in, PlanOptions{AllowMassDelete: len(tt.want) == 0})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range plan.Changes {
				got = append(got, fmt.Sprint(c.Action, " ", c.Base.ID, " ", c.Reason))
			}
			if s := strings.Join(got, ", "); s != tt.changes {
				t.Errorf("changes = %s, want %s", s, tt.changes)
			}
			if len(plan.Blocks) > 0 {
				t.Errorf("blocks = %+v, want none", plan.Blocks)
			}
			heal(t, m, in)
		})
	}
}

func TestPlanKeepsOrphansAndTheirSecrets(t *testing.T) {
	m := newMemory()
	old, now := makeAutomation("growth/old", 1, "OLD"), makeAutomation("growth/now", 1, "NOW")
	gone := makeAutomation("growth/gone", 1, "GONE")
	apply(t, m, desired(old, now, gone))
	apply(t, m, desired(old, now))

	in := desired(now)
	opts := PlanOptions{KeepOrphans: true, Calls: quick}
	plan, err := MakePlan(t.Context(), m, in, opts)
	if err != nil {
		t.Fatal(err)
	}
	if !plan.Empty() || !cmp.Equal(plan.Orphaned, []string{"growth/old"}) {
		t.Errorf("plan = %+v, want nothing to do and growth/old orphaned", plan)
	}

	// Once somebody has edited the orphan, what it needs is anybody's guess.
	m.secrets["growth"]["STRAY"] = "x"
	edited := old
	edited.Action.Headers = nil
	m.put(m.find("growth", "growth/old")[0].ID, Marker{Project: "growth", Key: "growth/old", Hash: old.Hash()}, edited)
	if plan, err = MakePlan(t.Context(), m, in, opts); err != nil || len(plan.Secrets) > 0 {
		t.Errorf("secret changes beside an edited orphan = %+v, %v; want none", plan.Secrets, err)
	}
}

func TestPlanShowsSecretChangesWithoutValues(t *testing.T) {
	m := newMemory()
	a := makeAutomation("growth/a", 1, "KEPT", "ROTATED", "DROPPED")
	apply(t, m, desired(a))

	in := desired(makeAutomation("growth/a", 1, "KEPT", "ROTATED", "ADDED"))
	in.Secrets["ROTATED"] = automation.NewSecret("hunter2-rotated")
	in.Secrets["ADDED"] = automation.NewSecret("hunter2-added")
	in.Secrets["UNUSED"] = automation.NewSecret("hunter2-unused")
	plan := mustPlan(t, m, in)
	want := []SecretChange{
		{Name: "ADDED", Action: Create, UsedBy: []string{"growth/a"}},
		{Name: "DROPPED", Action: Delete},
		{Name: "ROTATED", Action: Rotate, UsedBy: []string{"growth/a"}},
	}
	if diff := cmp.Diff(want, plan.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	b, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"hunter2", "value of"} {
		if strings.Contains(string(b), value) {
			t.Errorf("the plan holds a secret's value: %s", b)
		}
	}
	heal(t, m, in)
}

func TestPlanBlocks(t *testing.T) {
	many := func(from, to int) (all []automation.Automation) {
		for i := from; i < to; i++ {
			all = append(all, makeAutomation(fmt.Sprintf("growth/a%02d", i), 1))
		}
		return all
	}
	protected := makeAutomation("growth/protected", 1)
	protected.Protect = true
	for _, tt := range []struct {
		name   string
		stored []automation.Automation
		want   []automation.Automation
		allow  bool
		blocks []BlockKind
	}{
		{"all of one", many(0, 1), nil, false, []BlockKind{MassDelete}},
		{"all, though others come", many(0, 3), many(5, 9), false, []BlockKind{MassDelete}},
		{"most of nine", many(0, 9), many(0, 1), false, nil},
		{"half of ten", many(0, 10), many(0, 5), false, nil},
		{"more than half of ten", many(0, 10), many(0, 4), false, []BlockKind{MassDelete}},
		{"all, allowed", many(0, 10), nil, true, nil},
		{"protected", append(many(0, 2), protected), many(0, 2), false, []BlockKind{Protected}},
		{"protected, mass allowed", append(many(0, 2), protected), nil, true, []BlockKind{Protected}},
		{"protected and mass", []automation.Automation{protected}, nil, false, []BlockKind{Protected, MassDelete}},
		{"nothing stored", nil, nil, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory()
			apply(t, m, desired(tt.stored...))
			in := desired(tt.want...)
			plan, err := MakePlan(t.Context(), m, in, PlanOptions{AllowMassDelete: tt.allow})
			if err != nil {
				t.Fatal(err)
			}
			var got []BlockKind
			for _, b := range plan.Blocks {
				got = append(got, b.Kind)
			}
			if diff := cmp.Diff(tt.blocks, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("blocks (-want +got):\n%s", diff)
			}
			calls := len(m.calls)
			_, err = Apply(t.Context(), m, plan, in, ApplyOptions{})
			if blocked := len(tt.blocks) > 0; blocked != (err != nil) || blocked && len(m.calls) != calls {
				t.Errorf("Apply: %v after %d calls", err, len(m.calls)-calls)
			}
		})
	}
}

func TestPlanBlockNamesTheKeyAndTheRemedy(t *testing.T) {
	m := newMemory()
	a := makeAutomation("growth/precious", 1)
	a.Protect = true
	other := makeAutomation("growth/other", 1)
	apply(t, m, desired(a, other))
	plan, err := MakePlan(t.Context(), m, desired(other), PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Apply(t.Context(), m, plan, desired(other), ApplyOptions{})
	want := "growth/precious is protected and would be deleted from local; put it back with `protect: false`, apply, then remove it"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestPlanSurvivesJSON(t *testing.T) {
	m := newMemory()
	apply(t, m, desired(makeAutomation("growth/a", 1, "S"), makeAutomation("growth/b", 1), makeAutomation("growth/c", 1)))
	in := desired(makeAutomation("growth/a", 2), makeAutomation("growth/c", 1), makeAutomation("growth/d <&>", 1, "T"))
	plan := mustPlan(t, m, in)
	b, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var back Plan
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plan, &back); diff != "" {
		t.Errorf("plan after JSON (-want +got):\n%s", diff)
	}
	if _, err := Apply(t.Context(), m, &back, in, ApplyOptions{Calls: quick}); err != nil {
		t.Fatal(err)
	}
	checkSettled(t, m, in)
}

func TestPlanReadsThroughTemporaryFaults(t *testing.T) {
	m := newMemory()
	m.fault = func(n int, _, _ string) *fault {
		if n%3 != 2 {
			return faults["503 before"]
		}
		return nil
	}
	if plan := mustPlan(t, m, desired(makeAutomation("growth/a", 1))); plan.Count(Create) != 1 {
		t.Errorf("plan = %+v, want one create", plan)
	}
	m.fault = func(int, string, string) *fault { return faults["401 before"] }
	_, err := MakePlan(t.Context(), m, desired(), PlanOptions{Calls: quick})
	if want := "list automations on local: 401: unauthorized"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestPlanRefusesWhatCannotBePlanned(t *testing.T) {
	a := makeAutomation("growth/a", 1, "S")
	for name, in := range map[string]Desired{
		"growth/a: two automations have this key": desired(a, a),
		"growth/a: the secret S has no value":     {Project: "growth", Automations: []automation.Automation{a}},
		`automation "Name of " has no key`:        desired(makeAutomation("", 1)),
		"a project must have a name":              {},
		"growth/bad payload: has no canonical form": desired(func() automation.Automation {
			b := makeAutomation("growth/bad payload", 1)
			b.Action.Payload = []byte("{")
			return b
		}()),
	} {
		m := newMemory()
		if _, err := MakePlan(t.Context(), m, in, PlanOptions{}); err == nil || err.Error() != name {
			t.Errorf("error = %v, want %s", err, name)
		}
	}
}

func TestVerifyNamesWhatHasMoved(t *testing.T) {
	m := newMemory()
	apply(t, m, desired(makeAutomation("growth/changed", 1), makeAutomation("growth/deleted", 1), makeAutomation("growth/same", 1)))
	in := desired(makeAutomation("growth/changed", 2), makeAutomation("growth/deleted", 2), makeAutomation("growth/same", 2), makeAutomation("growth/new", 1))
	plan := mustPlan(t, m, in)
	if err := Verify(t.Context(), m, plan, nil, quick); err != nil {
		t.Errorf("Verify of a fresh plan: %v", err)
	}
	s := m.find("growth", "growth/changed")[0]
	m.put(s.ID, s.Marker, makeAutomation("growth/changed", 9))
	s = m.stored[s.ID]
	s.Changed = time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC)
	m.stored[s.ID] = s
	delete(m.stored, m.find("growth", "growth/deleted")[0].ID)
	a := makeAutomation("growth/new", 7)
	m.put("", Marker{Project: "growth", Key: a.Key, Hash: a.Hash()}, a)
	err := Verify(t.Context(), m, plan, nil, quick)
	want := "the plan is stale: growth/changed was changed at 2026-11-28T09:30:00Z (action.payload.traits.version was 1 and is 9); " +
		"growth/deleted was deleted; growth/new exists on the platform by now; plan again"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant %s", err, want)
	}
}

func TestPlanWithoutSecretsSaysAllButWhatWouldBeRotated(t *testing.T) {
	m := newMemory()
	kept, gone := makeAutomation("growth/a", 1, "KEPT", "ROTATED"), makeAutomation("growth/b", 1, "GONE")
	apply(t, m, desired(kept, gone))
	in := desired(makeAutomation("growth/a", 2, "KEPT", "ROTATED"), makeAutomation("growth/c", 1, "NEW"))
	in.Secrets["ROTATED"] = automation.NewSecret("another value")
	with := mustPlan(t, m, in)

	values := in.Secrets
	in.Secrets = nil
	plan, err := MakePlan(t.Context(), m, in, PlanOptions{NoSecrets: true, Calls: quick})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(with.Changes, plan.Changes); diff != "" {
		t.Errorf("changes (-with secrets +without):\n%s", diff)
	}
	want := []SecretChange{{Name: "GONE", Action: Delete}, {Name: "NEW", Action: Create, UsedBy: []string{"growth/c"}}}
	if diff := cmp.Diff(want, plan.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if !plan.SecretsUnknown || with.SecretsUnknown {
		t.Errorf("SecretsUnknown is %v without secrets and %v with", plan.SecretsUnknown, with.SecretsUnknown)
	}
	before := len(m.calls)
	in.Secrets = values
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}); err == nil || len(m.calls) != before {
		t.Errorf("such a plan was applied: %v", err)
	}
}
