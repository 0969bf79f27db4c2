package sync

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
)

// What a batch leaves out goes on to run as it is, with the secrets that it has.
func TestABatchKeepsTheSecretsOfWhatItLeavesOut(t *testing.T) {
	for name, test := range map[string]struct {
		stored, wanted automation.Automation
	}{
		"an update that is refused": {makeAutomation("growth/a", 1, "OLD"), func() automation.Automation {
			a := makeAutomation("growth/a", 2)
			a.Name = "bad"
			return a
		}()},
		"a delete that waits for what takes its place": {makeAutomation("growth/a", 1, "OLD"), func() automation.Automation {
			a := makeAutomation("growth/b", 1)
			a.Name = "bad"
			return a
		}()},
	} {
		for _, former := range []string{"", "old"} {
			t.Run(name+", former project "+former, func(t *testing.T) {
				m := newSurveying()
				project := "growth"
				stored := test.stored
				if test.wanted.Key != stored.Key {
					stored.Name = "bad" // it is paired with the one that takes its place
				}
				in := desired(test.wanted, makeAutomation("growth/good", 1))
				if former != "" {
					project, in.Former = former, former
					m.other(Foreign, "x1", MarkerOf(project, stored), stored, "")
				} else {
					m.put("x1", MarkerOf(project, stored), stored)
				}
				m.secrets[project] = map[string]string{"OLD": "value of OLD"}
				p := &refusing{m}
				plan := mustPlan(t, p, in)
				if len(plan.Secrets) != 1 || plan.Secrets[0].Action != Delete {
					t.Fatalf("secrets = %+v, want one that is deleted", plan.Secrets)
				}
				result, err := Apply(t.Context(), p, plan, in, ApplyOptions{Calls: quick})
				if err == nil || !strings.Contains(err.Error(), "bad name") || len(m.find("growth", "growth/good")) != 1 {
					t.Fatalf("error = %v", err)
				}
				if _, there := m.stored["x1"]; !there || m.secrets[project]["OLD"] == "" {
					t.Errorf("the automation that is there has lost its secret: %v", m.secrets)
				}
				if result.Secrets[0].Outcome != NotStarted {
					t.Errorf("the secret is %s, want not started", result.Secrets[0].Outcome)
				}
			})
		}
	}
}

// refusing is a batcher that surveys, and refuses what has a bad name.
type refusing struct{ *surveying }

func (r *refusing) Batch(ctx context.Context, project string, b Batch) error {
	for _, u := range b.Updates {
		if u.New.Name == "bad" {
			return &BatchError{Key: u.New.Key, Err: &Error{Kind: Refused, Status: 400, Message: "bad name"}}
		}
	}
	return batcher{r.memory}.Batch(ctx, project, b)
}

// What is written again on demand is the same before and after: what is there says
// nothing of whether it was written.
func TestReplaceIsWrittenThoughACallFails(t *testing.T) {
	a, b := makeAutomation("growth/a", 1, "KEY"), makeAutomation("growth/b", 1)
	in := desired(a, b)
	for _, batch := range []bool{false, true} {
		for _, name := range []string{"503 before", "reset before", "timeout before", "503 after"} {
			t.Run(name, func(t *testing.T) {
				m := newMemory()
				heal(t, m, in)
				plan, err := MakePlan(t.Context(), m, in, PlanOptions{Replace: []string{"growth/b"}, ReplaceSecrets: true, Calls: quick})
				if err != nil {
					t.Fatal(err)
				}
				struck := map[string]bool{}
				m.fault = func(_ int, op, _ string) *fault {
					if struck[op] || op != "batch" && op != "update" && op != "putSecret" {
						return nil
					}
					struck[op] = true
					return faults[name]
				}
				var p Platform = m
				if batch {
					p = batcher{m}
				}
				before := plan.Changes[0].Base.Revision
				m.calls = nil
				if _, err := Apply(t.Context(), p, plan, in, ApplyOptions{Calls: quick}); err != nil {
					t.Fatal(err)
				}
				if m.stored[plan.Changes[0].Base.ID].Revision == before {
					t.Error("the automation was not written again")
				}
				if !batch && m.count("putSecret") != 2 || batch && name != "503 after" && m.count("batch") != 2 {
					t.Errorf("calls = %q: the secret was not written again", m.calls)
				}
			})
		}
	}
}

// halfway is a platform that needs two requests for an update: the content with the
// marker, and then whether it is switched on.
type halfway struct {
	owning
	failed bool
}

func (h *halfway) Update(ctx context.Context, old Stored, next Marker, a automation.Automation) (Stored, error) {
	half := a
	half.Enabled = h.failed
	s, err := h.owning.Update(ctx, old, next, half)
	if err == nil && !h.failed {
		h.failed = true
		return Stored{}, &Error{Kind: Temporary, Status: 503, Message: "busy"}
	}
	return s, err
}

func TestATakeOverThatWasCutInHalfGoesOn(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	for _, kind := range []OtherKind{Foreign, Copy} {
		t.Run(string(kind), func(t *testing.T) {
			m := newSurveying()
			in := desired(a)
			project := "growth"
			if kind == Foreign {
				project, in.Former = "old", "old"
			}
			m.other(kind, "x1", MarkerOf(project, a), a, "")
			p := &halfway{owning: owning{m}}
			plan, err := MakePlan(t.Context(), p, in, PlanOptions{Adopt: true, Calls: quick})
			if err != nil || plan.Count(Update) != 1 {
				t.Fatalf("plan = %+v, error %v", plan, err)
			}
			if _, err := Apply(t.Context(), p, plan, in, ApplyOptions{Calls: quick}); err != nil {
				t.Error(err)
			}
			if s := m.stored["x1"]; !matches(a.Hash(), s) || s.Marker.Project != "growth" {
				t.Errorf("stored = %+v", s)
			}
		})
	}
}

// An edit that a person makes during an apply is put right by it. If the person
// makes it again, it is drift, and nothing that the platform has made.
func TestAnEditDuringAnApplyIsNotTakenForThePlatforms(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	in := desired(a)
	edited := a
	edited.Name = "Edited"
	m := newMemory()
	p := &meeting{memory: m, at: "create growth/a", work: func(m *memory) {
		s := m.find("growth", a.Key)[0]
		m.put(s.ID, s.Marker, edited)
	}}
	plan := mustPlan(t, p, in)
	if _, err := Apply(t.Context(), p, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Fatal(err)
	}
	checkSettled(t, m, in)
	s := m.find("growth", a.Key)[0]
	m.put(s.ID, s.Marker, edited)
	if plan := mustPlan(t, m, in); len(plan.Altered) > 0 || len(plan.Changes) != 1 || plan.Changes[0].Reason != Drifted {
		t.Errorf("plan = %+v, want drift", plan)
	}
}

// What the platform makes of an automation says nothing against deleting a secret
// that it does not refer to.
func TestASecretGoesThoughThePlatformNormalises(t *testing.T) {
	a, b := makeAutomation("growth/a", 1), makeAutomation("growth/b", 1, "OLD")
	a.Name = "One "
	m := newMemory()
	m.trims = true
	in := desired(a, b)
	plan := mustPlan(t, m, in)
	var altered *AlteredError
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}); !errors.As(err, &altered) {
		t.Fatalf("error = %v", err)
	}
	in = desired(a, makeAutomation("growth/b", 1))
	plan = mustPlan(t, m, in)
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Error(err)
	}
	if plan = mustPlan(t, m, in); !plan.Empty() {
		t.Errorf("the next plan is not empty: %+v", plan)
	}
}

// changing is a memory on which somebody does something right after a list.
type changing struct {
	*meeting
	after int // so many lists
	work  func(m *memory)
}

func (c *changing) List(ctx context.Context, project string) ([]Stored, error) {
	all, err := c.meeting.List(ctx, project)
	if c.after--; c.after == 0 {
		c.work(c.memory)
	}
	return all, err
}

// The list that is read in the end may be old by the time that a second copy goes.
func TestASecondCopyStaysWhereTheFirstHasGone(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	for name, work := range map[string]func(m *memory){
		"deleted": func(m *memory) { delete(m.stored, "id0000") },
		"archived": func(m *memory) {
			s := m.stored["id0000"]
			s.Archived, s.Revision = true, "archived"
			m.stored["id0000"] = s
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			m.unique = false
			in := desired(a)
			plan := mustPlan(t, m, in)
			p := &changing{&meeting{memory: m, at: "create growth/a", work: func(m *memory) {
				m.put("id0000", MarkerOf("growth", a), a)
			}}, 1, work}
			if _, err := Apply(t.Context(), p, plan, in, ApplyOptions{Calls: quick}); err != nil {
				t.Error(err)
			}
			if found := m.find("growth", "growth/a"); len(found) != 1 || found[0].ID != "id0001" {
				t.Errorf("stored = %+v, want id0001", found)
			}
		})
	}
}

// What the platform makes of it is noted by one more write, which may fail as any other.
func TestWhatAPlatformMakesOfItIsNotedThoughACallFails(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	a.Name = "One "
	in := desired(a)
	for _, name := range []string{"503 before", "503 after", "412 after", "timeout after"} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			m.trims = true
			plan := mustPlan(t, m, in)
			struck := false
			m.fault = func(_ int, op, _ string) *fault {
				if struck || op != "update" {
					return nil
				}
				struck = true
				return faults[name]
			}
			result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick})
			var altered *AlteredError
			if !struck || !errors.As(err, &altered) || len(result.Altered) != 1 {
				t.Errorf("error = %v, result %+v", err, result)
			}
			if plan := mustPlan(t, m, in); !plan.Empty() || len(plan.Altered) != 1 {
				t.Errorf("plan = %+v", plan)
			}
		})
	}
}

// Adopt takes no copy of another project's, and none of the former project's is left
// beside a new one where its own can't be told.
func TestCopiesOfOtherProjects(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	in := desired(a)
	m := newSurveying()
	m.unique = false
	m.other(Copy, "x1", MarkerOf("old", a), a, "")
	p := owning{m}
	for _, test := range []struct {
		former string
		adopt  bool
		want   string
	}{
		{"", true, "create growth/a new"},
		{"", false, "create growth/a new"},
		{"old", false, "create growth/a new, taken by x1"},
		{"old", true, "update growth/a adopted x1"},
	} {
		in.Former = test.former
		plan, err := MakePlan(t.Context(), p, in, PlanOptions{Adopt: test.adopt, Calls: quick})
		if err != nil {
			t.Fatal(err)
		}
		if got := brief(plan); len(got) != 1 || got[0] != test.want {
			t.Errorf("former %q, adopt %v: %q, want %q", test.former, test.adopt, got, test.want)
		}
	}
}

func TestADuplicateStaysWhereTheOneToKeepIsGone(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	in := desired(a, makeAutomation("growth/b", 1))
	for _, batch := range []bool{false, true} {
		m := newMemory()
		m.put("id1", MarkerOf("growth", a), a)
		m.put("id2", MarkerOf("growth", a), a)
		plan := mustPlan(t, m, in)
		if diff := cmp.Diff([]string{"delete growth/a duplicate id2", "create growth/b new"}, brief(plan)); diff != "" {
			t.Fatalf("changes (-want +got):\n%s", diff)
		}
		delete(m.stored, "id1")
		var p Platform = m
		if batch {
			p = batcher{m}
		}
		_, err := Apply(t.Context(), p, plan, in, ApplyOptions{Calls: quick})
		if err == nil || !strings.Contains(err.Error(), "the copy that was to stay, id1, is gone") {
			t.Errorf("batch %v: error = %v", batch, err)
		}
		if _, there := m.stored["id2"]; !there || len(m.find("growth", "growth/b")) != 1 {
			t.Errorf("batch %v: stored = %v", batch, m.keys("growth"))
		}
	}
}

// lagging is a memory whose list is a few looks behind what was written.
type lagging struct {
	*memory
	behind int
	old    []Stored
	left   int
}

func (l *lagging) List(ctx context.Context, project string) ([]Stored, error) {
	now, err := l.memory.List(ctx, project)
	if l.left > 0 {
		l.left--
		return l.old, err
	}
	l.old, l.left = now, l.behind
	return now, err
}

func (l *lagging) CreateConfirmed(ctx context.Context, project string, a automation.Automation) (Stored, error) {
	return l.Create(ctx, project, a)
}

func (l *lagging) Confirm(context.Context, string, []string) (map[string]error, error) {
	return nil, nil
}

// Where the list may lag behind, what it shows at first accuses nobody.
func TestTheLastLookWaitsForAListThatLags(t *testing.T) {
	before, after := makeAutomation("growth/update", 1), makeAutomation("growth/update", 2)
	gone := makeAutomation("growth/gone", 1)
	twice := makeAutomation("growth/twice", 1)
	m := newMemory()
	for _, a := range []automation.Automation{before, gone, twice, twice} {
		m.put("", MarkerOf("growth", a), a)
	}
	p := &lagging{memory: m, behind: 2}
	in := desired(after, twice)
	plan := mustPlan(t, p, in)
	if _, err := Apply(t.Context(), p, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Error(err)
	}
	checkSettled(t, m, in)
	if n := m.count("delete"); n != 2 {
		t.Errorf("%d deletes, want 2: %q", n, m.calls)
	}
}

// Who interrupts a batch that was refused reads which change was to blame, and that the
// others were not started.
func TestABatchThatIsInterruptedBlamesTheOneThatWasRefused(t *testing.T) {
	bad := makeAutomation("growth/bad", 1)
	bad.Name = "bad"
	in := desired(bad, makeAutomation("growth/good", 1))
	m := newMemory()
	plan := mustPlan(t, m, in)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.fault = func(_ int, op, _ string) *fault {
		if op == "batch" {
			cancel()
		}
		return nil
	}
	result, err := Apply(ctx, batcher{m}, plan, in, ApplyOptions{Calls: quick})
	if err == nil || result.Changes[0].Outcome != Failed || !strings.Contains(result.Changes[0].Error, "bad name") ||
		result.Changes[1].Outcome != NotStarted || strings.Contains(result.Changes[1].Error, "bad name") {
		t.Errorf("result = %+v, error %v", result, err)
	}
}
