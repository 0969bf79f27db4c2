package sync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A ledger keeps records.
type ledger []Record

func (l *ledger) record(e Record) error {
	*l = append(*l, e)
	return nil
}

// last returns the last record about each change: a later one corrects it.
func (l ledger) last() map[string]Record {
	last := map[string]Record{}
	for _, e := range l {
		last[fmt.Sprint(e.Action, " ", e.Key, e.Secret)] = e
	}
	return last
}

func TestEveryChangeIsRecordedOnceWithItsRevisions(t *testing.T) {
	for name, platform := range map[string]func(*memory) Platform{
		"one by one": func(m *memory) Platform { return m },
		"batch":      func(m *memory) Platform { return batcher{m} },
		"carrier":    func(m *memory) Platform { return carrier{m} },
	} {
		t.Run(name, func(t *testing.T) {
			m, in := scene(t)
			before := map[string]Stored{}
			for _, key := range []string{"growth/update", "growth/delete"} {
				before[key] = m.find("growth", key)[0]
			}
			plan := mustPlan(t, m, in)
			var l ledger
			if _, err := Apply(t.Context(), platform(m), plan, in, ApplyOptions{Calls: quick, Record: l.record}); err != nil {
				t.Fatal(err)
			}
			created, updated := m.find("growth", "growth/create")[0], m.find("growth", "growth/update")[0]
			want := map[string]Record{
				"create growth/create": {Key: "growth/create", Action: Create, Reason: New, Outcome: Done, ID: created.ID, After: created.Revision},
				"update growth/update": {Key: "growth/update", Action: Update, Reason: CodeChanged, Outcome: Done,
					ID: updated.ID, Before: before["growth/update"].Revision, After: updated.Revision},
				"delete growth/delete": {Key: "growth/delete", Action: Delete, Reason: Removed, Outcome: Done,
					ID: before["growth/delete"].ID, Before: before["growth/delete"].Revision},
				"create ADDED":   {Secret: "ADDED", Action: Create, Outcome: Done},
				"delete DROPPED": {Secret: "DROPPED", Action: Delete, Outcome: Done},
			}
			if diff := cmp.Diff(want, l.last()); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if len(l) != len(want) {
				t.Errorf("%d records, want %d: %+v", len(l), len(want), l)
			}
		})
	}
}

// Whatever goes wrong, the records say what the result says, and a revision is the one
// that is stored.
func TestRecordsSayWhatTheResultSays(t *testing.T) {
	for _, op := range []string{"create", "update", "delete", "putSecret", "deleteSecret", "list", "find", "batch"} {
		for name, f := range faults {
			for kind, platform := range map[string]func(*memory) Platform{
				"one by one": func(m *memory) Platform { return m },
				"batch":      func(m *memory) Platform { return batcher{m} },
			} {
				t.Run(fmt.Sprintf("%s/%s/%s", op, name, kind), func(t *testing.T) {
					m, in := scene(t)
					plan := mustPlan(t, m, in)
					struck := false
					m.fault = func(_ int, call, _ string) *fault {
						if struck || call != op {
							return nil
						}
						struck = true
						return f
					}
					var l ledger
					result, _ := Apply(t.Context(), platform(m), plan, in, ApplyOptions{Calls: quick, Record: l.record})
					last := l.last()
					for _, c := range result.Changes {
						e := last[fmt.Sprint(c.Action, " ", c.Key)]
						if e.Outcome != c.Outcome || e.Error != c.Error {
							t.Errorf("%s: recorded as %s (%s), and the result is %s (%s)", c.Key, e.Outcome, e.Error, c.Outcome, c.Error)
						}
						there := m.find("growth", c.Key)
						if c.Outcome == Done && c.Action != Delete && (len(there) != 1 || there[0].Revision != e.After || there[0].ID != e.ID) {
							t.Errorf("%s: recorded as %s at %q, and there is %+v", c.Key, e.ID, e.After, there)
						}
					}
					for _, s := range result.Secrets {
						if e := last[fmt.Sprint(s.Action, " ", s.Name)]; e.Outcome != s.Outcome || e.Error != s.Error {
							t.Errorf("%s: recorded as %s, and the result is %s", s.Name, e.Outcome, s.Outcome)
						}
					}
				})
			}
		}
	}
}

func TestNothingIsStartedThatCannotBeRecorded(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	m.calls = nil
	full := errors.New("no space left")
	result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick, Parallelism: 1, Record: func(e Record) error {
		if e.Key != "" {
			return full
		}
		return nil
	}})
	if !errors.Is(err, full) || !strings.Contains(err.Error(), "the audit can't be written") {
		t.Errorf("error = %v", err)
	}
	if n := m.count("create") + m.count("update") + m.count("delete"); n != 1 {
		t.Errorf("%d changes were made, want the one of which the record was lost: %q", n, m.calls)
	}
	if n := result.CountOutcome(NotStarted); n != 3 { // two automations, and the secret that is deleted
		t.Errorf("%d changes were not started, want 3: %+v", n, result.Changes)
	}
	heal(t, m, in)
}

func TestWhatIsInterruptedIsRecorded(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	ctx, cancel := context.WithCancelCause(t.Context())
	m.fault = func(_ int, op, _ string) *fault {
		if op == "create" {
			cancel(errors.New("interrupted"))
		}
		return nil
	}
	var l ledger
	if _, err := Apply(ctx, m, plan, in, ApplyOptions{Calls: quick, Parallelism: 1, Record: l.record}); err == nil {
		t.Fatal("no error")
	}
	got := map[string]string{}
	for change, e := range l.last() {
		got[change] = string(e.Outcome) + " " + e.Error
	}
	want := map[string]string{
		"create ADDED": "done ", "create growth/create": "done ",
		"update growth/update": "not started growth/update: update on local: not started: interrupted",
		"delete growth/delete": "not started growth/delete: delete on local: not started: interrupted",
		"delete DROPPED":       "not started secret DROPPED: delete on local: not started: interrupted",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// A record that turns out to be wrong is followed by another, and so is a second copy that
// goes.
func TestWhatAnotherApplyDoesIsRecorded(t *testing.T) {
	m := newMemory()
	m.unique = false
	in := desired(makeAutomation("growth/a", 1), makeAutomation("growth/b", 1))
	plan := mustPlan(t, m, in)
	b := makeAutomation("growth/b", 9)
	m.fault = func(n int, op, _ string) *fault {
		if op == "list" { // the review: another apply has made a second a, and another b
			m.put("", MarkerOf("growth", in.Automations[0]), in.Automations[0])
			s := m.find("growth", "growth/b")[0]
			m.put(s.ID, MarkerOf("growth", b), b)
			m.fault = nil
		}
		return nil
	}
	var l ledger
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick, Parallelism: 1, Record: l.record}); err == nil {
		t.Fatal("no error")
	}
	var got []string
	for _, e := range l {
		got = append(got, strings.TrimSpace(fmt.Sprint(e.Action, " ", e.Key, " ", e.Reason, " ", e.ID, " ", e.Outcome)))
	}
	want := []string{
		"create growth/a new id0001 done", "create growth/b new id0002 done",
		"delete growth/a duplicate id0003 done", "create growth/b new id0002 failed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// A platform can tell how many times a call has been made.
func TestACallKnowsWhichTryItIs(t *testing.T) {
	m, in := scene(t)
	counted := &counting{memory: m, failing: 2}
	if _, err := MakePlan(t.Context(), counted, in, PlanOptions{Calls: quick, AllowMassDelete: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, counted.tries); diff != "" {
		t.Errorf("tries (-want +got):\n%s", diff)
	}
	if n := TryOf(t.Context()); n != 0 {
		t.Errorf("outside of a call it is try %d", n)
	}
}

// counting is a memory whose lists fail for some time, and that notes their tries.
type counting struct {
	*memory
	failing int
	tries   []int
}

func (c *counting) List(ctx context.Context, project string) ([]Stored, error) {
	c.tries = append(c.tries, TryOf(ctx))
	if c.failing--; c.failing >= 0 {
		return nil, &Error{Kind: Temporary, Message: "busy"}
	}
	return c.memory.List(ctx, project)
}
