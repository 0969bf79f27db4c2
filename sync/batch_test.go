package sync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// batcher is a memory that makes all changes in one write.
type batcher struct{ *memory }

func (m batcher) Batch(ctx context.Context, project string, b Batch) error {
	var made []Stored
	err := m.write(ctx, "batch", project, func() error {
		for _, u := range b.Updates {
			if err := m.current(u.Old); err != nil {
				return &BatchError{Key: u.New.Key, Err: err}
			}
		}
		for _, old := range b.Deletes {
			if err := m.current(old); err != nil {
				return &BatchError{Key: old.Marker.Key, Err: err}
			}
		}
		for _, a := range b.Creates {
			if len(m.find(project, a.Key)) > 0 {
				return &BatchError{Key: a.Key, Err: &Error{Kind: Exists, Message: "taken"}}
			}
			if a.Name == "bad" {
				return &BatchError{Key: a.Key, Err: &Error{Kind: Refused, Status: 400, Message: "bad name"}}
			}
		}
		for _, old := range b.Deletes {
			delete(m.stored, old.ID)
		}
		for _, u := range b.Updates {
			made = append(made, m.put(u.Old.ID, Marker{Project: project, Key: u.New.Key, Hash: u.New.Hash()}, u.New))
		}
		for _, a := range b.Creates {
			made = append(made, m.put("", Marker{Project: project, Key: a.Key, Hash: a.Hash()}, a))
		}
		if m.secrets[project] == nil {
			m.secrets[project] = map[string]string{}
		}
		for name, value := range b.PutSecrets {
			m.secrets[project][name] = value.Reveal()
		}
		for _, name := range b.DeleteSecrets {
			delete(m.secrets[project], name)
		}
		return nil
	})
	if err == nil {
		for _, s := range made {
			b.Stored(s)
		}
	}
	return err
}

func TestABatchIsOneWrite(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	m.calls = nil
	var events []string
	result, err := Apply(t.Context(), batcher{m}, plan, in, ApplyOptions{Calls: quick, Progress: func(e Event) {
		events = append(events, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Action, " ", e.Key, e.Secret)))
	}})
	if err != nil {
		t.Fatal(err)
	}
	// The first list tells whether the secret that is deleted is needed by others, the
	// second what is there in the end.
	if diff := cmp.Diff([]string{"list growth", "batch growth", "list growth"}, m.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	want := []string{
		"started create growth/create", "started delete growth/delete", "started update growth/update",
		"done create growth/create", "done delete growth/delete", "done update growth/update",
		"done create ADDED", "done delete DROPPED",
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if n := result.CountOutcome(Done); n != 5 {
		t.Errorf("%d changes are done, want 5", n)
	}
	checkSettled(t, m, in)
}

func TestABatchOfNothingIsNotWritten(t *testing.T) {
	m, _ := scene(t)
	in := desired(makeAutomation("growth/same", 1, "KEPT"), makeAutomation("growth/update", 1), makeAutomation("growth/delete", 1, "DROPPED"))
	plan := mustPlan(t, m, in)
	m.calls = nil
	if _, err := Apply(t.Context(), batcher{m}, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Fatal(err)
	}
	if len(m.calls) != 0 {
		t.Errorf("calls = %q", m.calls)
	}
}

func TestABatchGetsPastEveryFault(t *testing.T) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			m, in := scene(t)
			plan := mustPlan(t, m, in)
			m.calls = nil
			struck := false
			m.fault = func(_ int, call, _ string) *fault {
				if struck || call != "batch" {
					return nil
				}
				struck = true
				return f
			}
			result, err := Apply(t.Context(), batcher{m}, plan, in, ApplyOptions{Calls: quick})
			if want := survives("batch", name); want != (err == nil) {
				t.Errorf("error = %v, want success %v", err, want)
			}
			if err == nil && result.CountOutcome(Done) != 5 || err != nil && result.CountOutcome(Failed) != 5 {
				t.Errorf("%d done, %d failed; want all or nothing", result.CountOutcome(Done), result.CountOutcome(Failed))
			}
			if f.when == after && m.count("batch") != 1 {
				t.Errorf("what was done was done again: %q", m.calls)
			}
			if err == nil {
				m.fault = nil
				m.mu.Lock()
				m.land() // a batch that comes late finds other revisions
				m.mu.Unlock()
				checkSettled(t, m, in)
			} else {
				heal(t, m, in)
			}
		})
	}
}

func TestABatchGetsPastFaultsOfItsLookUps(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	m.calls = nil
	m.fault = func(n int, call, _ string) *fault {
		if call == "batch" && m.count("batch") == 1 {
			return faults["reset after"]
		}
		if n%2 == 0 {
			return faults["400 before"]
		}
		return nil
	}
	if _, err := Apply(t.Context(), batcher{m}, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Fatal(err)
	}
	m.fault = nil
	if m.count("batch") != 1 {
		t.Errorf("calls = %q", m.calls)
	}
	checkSettled(t, m, in)
}

func TestABatchGoesOnWithoutWhatWasOvertaken(t *testing.T) {
	edited := makeAutomation("growth/update", 7)
	for name, overtake := range map[string]func(m *memory) (key string){
		"changed": func(m *memory) string {
			s := m.find("growth", "growth/update")[0]
			m.put(s.ID, s.Marker, edited)
			return "growth/update"
		},
		"deleted": func(m *memory) string {
			delete(m.stored, m.find("growth", "growth/update")[0].ID)
			return "growth/update"
		},
		"changed what is deleted": func(m *memory) string {
			s := m.find("growth", "growth/delete")[0]
			m.put(s.ID, s.Marker, edited)
			return "growth/delete"
		},
		"created": func(m *memory) string {
			m.put("", Marker{Project: "growth", Key: "growth/create", Hash: "x"}, edited)
			return "growth/create"
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, in := scene(t)
			plan := mustPlan(t, m, in)
			culprit := overtake(m)
			before := m.find("growth", culprit)
			result, err := Apply(t.Context(), batcher{m}, plan, in, ApplyOptions{Calls: quick})
			if err == nil || KindOf(err) != Conflict || !strings.Contains(err.Error(), culprit+": ") || !strings.Contains(err.Error(), "plan again") {
				t.Errorf("error = %v", err)
			}
			if diff := cmp.Diff(before, m.find("growth", culprit)); diff != "" {
				t.Errorf("what was overtaken has changed (-before +after):\n%s", diff)
			}
			for _, c := range result.Changes {
				want := Done
				if c.Key == culprit {
					want = Failed
				}
				if c.Outcome != want {
					t.Errorf("%s: %s, want %s: %v", c.Key, c.Outcome, want, c.Err)
				}
			}
			heal(t, m, in)
		})
	}
}

func TestARefusedChangeOfABatchDoesNotStopTheOthers(t *testing.T) {
	m, in := scene(t)
	for i := range in.Automations {
		if in.Automations[i].Key == "growth/create" {
			in.Automations[i].Name = "bad"
		}
	}
	plan := mustPlan(t, m, in)
	result, err := Apply(t.Context(), batcher{m}, plan, in, ApplyOptions{Calls: quick})
	var first *ChangeError
	if !errors.As(err, &first) || first.Subject != "growth/create" || !strings.Contains(err.Error(), "bad name") {
		t.Errorf("error = %v", err)
	}
	if result.CountOutcome(Failed) != 1 || result.CountOutcome(NotStarted) != 0 || result.CountOutcome(Done) != 4 {
		t.Errorf("%d failed, %d not started, %d done", result.CountOutcome(Failed), result.CountOutcome(NotStarted), result.CountOutcome(Done))
	}
	if len(m.find("growth", "growth/delete")) != 0 || len(m.find("growth", "growth/create")) != 0 {
		t.Error("the others were not changed, or the refused one was")
	}
}

func TestABatchKeepsASecretThatOthersNeed(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	added := makeAutomation("growth/added-since", 1, "DROPPED")
	m.put("", Marker{Project: "growth", Key: added.Key, Hash: added.Hash()}, added)
	result, err := Apply(t.Context(), batcher{m}, plan, in, ApplyOptions{Calls: quick})
	if err == nil || !strings.Contains(err.Error(), "growth/added-since may still need it") {
		t.Errorf("error = %v", err)
	}
	if m.secrets["growth"]["DROPPED"] == "" || m.secrets["growth"]["ADDED"] == "" {
		t.Errorf("secrets = %v", m.secrets["growth"])
	}
	if result.CountOutcome(Done) != 4 || result.CountOutcome(NotStarted) != 1 {
		t.Errorf("%d done, %d not started", result.CountOutcome(Done), result.CountOutcome(NotStarted))
	}
}

func TestACancelledBatchIsNotStarted(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	m.calls = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	result, err := Apply(ctx, batcher{m}, plan, in, ApplyOptions{Calls: quick})
	if err == nil || result.CountOutcome(NotStarted) != 5 || len(m.calls) != 0 {
		t.Errorf("error = %v, %d not started, calls %q", err, result.CountOutcome(NotStarted), m.calls)
	}
}

func TestABatchEndsWithWrongCredentials(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	m.calls = nil
	m.fault = func(_ int, call, _ string) *fault { return faults["401 before"] }
	result, err := Apply(t.Context(), batcher{m}, plan, in, ApplyOptions{Calls: quick})
	if !errors.As(err, new(*Error)) || KindOf(err) != Unauthorized || result.CountOutcome(Done) != 0 {
		t.Errorf("error = %v", err)
	}
}
