package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
)

// A scene is a platform on which one change of each kind is due.
func scene(t *testing.T) (*memory, Desired) {
	t.Helper()
	m := newMemory()
	apply(t, m, desired(
		makeAutomation("growth/same", 1, "KEPT"),
		makeAutomation("growth/update", 1),
		makeAutomation("growth/delete", 1, "DROPPED"),
	))
	other := makeAutomation("growth/update", 9)
	m.put("", Marker{Project: "other", Key: other.Key, Hash: other.Hash()}, other)
	m.calls = nil
	return m, desired(
		makeAutomation("growth/same", 1, "KEPT"),
		makeAutomation("growth/update", 2),
		makeAutomation("growth/create", 1, "ADDED"),
	)
}

// survives says of each fault whether the engine gets past it by itself, for a
// write that the platform has or has not done.
func survives(op, name string) bool {
	switch name {
	case "400 before", "foreign error":
		return false
	case "401 before":
		return false
	default:
		return true
	}
}

func TestApplyGetsPastEveryFaultOfEveryCall(t *testing.T) {
	for _, op := range []string{"create", "update", "delete", "putSecret", "deleteSecret"} {
		for name, f := range faults {
			for _, unique := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/unique=%v", op, name, unique), func(t *testing.T) {
					m, in := scene(t)
					m.unique = unique
					plan := mustPlan(t, m, in)
					m.calls = nil
					struck := false
					m.fault = func(_ int, call, _ string) *fault {
						if struck || call != op {
							return nil
						}
						struck = true
						return f
					}
					result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick})
					if !struck {
						t.Fatalf("%s was never called: %q", op, m.calls)
					}
					if want := survives(op, name); want != (err == nil) {
						t.Errorf("error = %v, want success %v", err, want)
					}
					if err == nil && f.when != late {
						checkSettled(t, m, in)
						if n := result.CountOutcome(Done); n != len(plan.Changes)+len(plan.Secrets) {
							t.Errorf("%d changes done, want all", n)
						}
					}
					if err != nil && result.CountOutcome(Failed) != 1 {
						t.Errorf("%d changes failed, want 1: %v", result.CountOutcome(Failed), err)
					}
					if f.when == after && m.count(op) != map[bool]int{true: 1}[struck] {
						t.Errorf("%s was called %d times, want once: the work was done", op, m.count(op))
					}
					heal(t, m, in)
				})
			}
		}
	}
}

func TestApplyGivesUpAfterSoManyTriesAndTheNextApplyHeals(t *testing.T) {
	for _, op := range []string{"create", "update", "delete", "putSecret", "deleteSecret", "find", "secrets"} {
		t.Run(op, func(t *testing.T) {
			m, in := scene(t)
			plan := mustPlan(t, m, in)
			m.calls = nil
			m.fault = func(_ int, call, _ string) *fault {
				if call == op || op == "find" && call == "create" || op == "secrets" && call == "putSecret" {
					return faults["503 before"]
				}
				return nil
			}
			result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick})
			var incomplete *IncompleteError
			if !errors.As(err, &incomplete) || incomplete.Failed != 1 {
				t.Fatalf("error = %v, want one failure", err)
			}
			if got := m.count(op); got != quick.Tries {
				t.Errorf("%s was called %d times, want %d", op, got, quick.Tries)
			}
			if !strings.Contains(err.Error(), "(gave up after 6 tries)") {
				t.Errorf("error = %v", err)
			}
			// What is stored last is not kept from being done by an automation
			// that failed, but a secret that is needed must be there first.
			if op == "putSecret" && m.count("create") > 0 {
				t.Error("an automation was created without its secret")
			}
			if op == "update" && result.Count(Create) != 1 {
				t.Error("a failed update has stopped a create")
			}
			heal(t, m, in)
		})
	}
}

// A carrier is a platform whose automations carry their secrets.
type carrier struct{ *memory }

func (carrier) CarriesSecrets() {}

// A secret that automations carry is there as soon as one of them is, and not
// before.
func TestASecretIsCreatedWithTheAutomationThatCarriesIt(t *testing.T) {
	for _, test := range []struct {
		name    string
		refused string // keys with this prefix
		outcome Outcome
		events  []string
	}{
		{"all are written", "none", Done, []string{"done growth/a", "done growth/b", "done S"}},
		{"one is written", "growth/a", Done, []string{"failed growth/a", "done growth/b", "done S"}},
		{"none is written", "growth/", NotStarted, []string{"failed growth/a", "failed growth/b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMemory()
			in := desired(makeAutomation("growth/a", 1, "S"), makeAutomation("growth/b", 1, "S"))
			plan := mustPlan(t, carrier{m}, in)
			m.fault = func(_ int, call, key string) *fault {
				if call == "create" && strings.HasPrefix(key, test.refused) {
					return faults["400 before"]
				}
				return nil
			}
			var events []string
			result, _ := Apply(t.Context(), carrier{m}, plan, in, ApplyOptions{Parallelism: 1, Calls: quick, Progress: func(e Event) {
				if e.Kind != EventStarted {
					events = append(events, fmt.Sprintf("%s %s%s", e.Kind, e.Key, e.Secret))
				}
			}})
			if got := result.Secrets[0]; got.Outcome != test.outcome {
				t.Errorf("the secret is %s (%s), want %s", got.Outcome, got.Error, test.outcome)
			}
			if diff := cmp.Diff(test.events, events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			heal(t, m, in)
		})
	}
}

// A secret that can't be put is not reported on twice, and keeps what needs it
// from being written.
func TestACarriedSecretThatFails(t *testing.T) {
	m := newMemory()
	in := desired(makeAutomation("growth/a", 1, "S"))
	plan := mustPlan(t, carrier{m}, in)
	m.fault = func(_ int, call, _ string) *fault {
		if call == "putSecret" {
			return faults["400 before"]
		}
		return nil
	}
	failed := 0
	result, _ := Apply(t.Context(), carrier{m}, plan, in, ApplyOptions{Calls: quick, Progress: func(e Event) {
		if e.Kind == EventFailed {
			failed++
		}
	}})
	if got := result.Secrets[0].Outcome; got != Failed || failed != 1 || m.count("create") != 0 {
		t.Errorf("the secret is %s after %d events, and there were %d creates", got, failed, m.count("create"))
	}
	heal(t, m, in)
}

// What somebody else has created in the meantime is as it is wanted, and was not
// created by this apply; what a lost answer was about was.
func TestACreateThatFindsItDone(t *testing.T) {
	for name, created := range map[string]bool{"by somebody else": false, "by itself": true} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			in := desired(makeAutomation("growth/a", 1))
			plan := mustPlan(t, m, in)
			if created {
				m.fault = func(_ int, call, _ string) *fault {
					if call == "create" && m.count("create") == 1 {
						return faults["timeout late"]
					}
					return nil
				}
			} else {
				apply(t, m, in)
			}
			var last Event
			result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick, Progress: func(e Event) { last = e }})
			if err != nil {
				t.Fatal(err)
			}
			want, event, count := AlreadyThere, EventFound, 0
			if created {
				want, event, count = Done, EventDone, 1
			}
			if got := result.Changes[0].Outcome; got != want || last.Kind != event || result.Count(Create) != count {
				t.Errorf("outcome %s, last event %s, %d created; want %s, %s, %d", got, last.Kind, result.Count(Create), want, event, count)
			}
			m.fault = nil
			checkSettled(t, m, in)
		})
	}
}

func TestApplyNeverDeletesASecretThatSomethingStillNeeds(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	m.fault = func(_ int, call, _ string) *fault {
		if call == "delete" {
			return faults["400 before"]
		}
		return nil
	}
	result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick})
	if err == nil || m.count("deleteSecret") != 0 || m.secrets["growth"]["DROPPED"] == "" {
		t.Errorf("error = %v, secrets = %q: DROPPED must stay", err, m.secrets["growth"])
	}
	i := slices.IndexFunc(result.Secrets, func(s SecretResult) bool { return s.Name == "DROPPED" })
	want := "secret DROPPED: delete on local: not started: growth/delete may still need it"
	if got := result.Secrets[i]; got.Outcome != NotStarted || got.Error != want {
		t.Errorf("outcome = %s, %q; want %q", got.Outcome, got.Error, want)
	}
	heal(t, m, in)
}

func TestApplyDeletesNoSecretWhenItCannotTellWhatIsThere(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	m.fault = func(_ int, call, _ string) *fault {
		if call == "list" {
			return faults["503 before"]
		}
		return nil
	}
	result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick})
	if err == nil || m.count("deleteSecret") != 0 || result.CountOutcome(NotStarted) != 1 {
		t.Errorf("error = %v after %d deletes, want the secret left alone", err, m.count("deleteSecret"))
	}
	heal(t, m, in)
}

func TestApplyStopsWhenTheCredentialsAreWrong(t *testing.T) {
	m := newMemory()
	var all []automation.Automation
	for i := range 20 {
		all = append(all, makeAutomation(fmt.Sprintf("growth/a%02d", i), 1))
	}
	in := desired(all...)
	plan := mustPlan(t, m, in)
	m.fault = func(_ int, op, key string) *fault {
		if op == "create" && key >= "growth/a05" {
			return faults["401 before"]
		}
		return nil
	}
	result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Parallelism: 1, Calls: quick})
	if d, f, n := result.CountOutcome(Done), result.CountOutcome(Failed), result.CountOutcome(NotStarted); d != 5 || f != 1 || n != 14 {
		t.Errorf("done, failed, not started = %d, %d, %d; want 5, 1, 14", d, f, n)
	}
	if want := "1 failed, 14 not started: growth/a05: create on local: 401: unauthorized"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	if want := "growth/a06: create on local: not started: the platform refuses the credentials: 401: unauthorized"; result.Changes[6].Error != want {
		t.Errorf("error = %s, want %s", result.Changes[6].Error, want)
	}
	heal(t, m, in)
}

func TestApplyRefusesAPlanOfSomethingElse(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	m.calls = nil
	more, changed, elsewhere := in, in, in
	more.Automations = append(slices.Clone(in.Automations), makeAutomation("growth/more", 1))
	changed.Automations = slices.Clone(in.Automations)
	changed.Automations[0].Enabled = false
	elsewhere.Target = "prod"
	for name, in := range map[string]Desired{"more": more, "changed": changed, "elsewhere": elsewhere} {
		result, err := Apply(t.Context(), m, plan, in, ApplyOptions{})
		var stale *StaleError
		if result != nil || !errors.As(err, &stale) {
			t.Errorf("%s: %v, %v; want a StaleError", name, result, err)
		}
	}
	strange, damaged, bare := *plan, *plan, in
	strange.Format = "segue/plan/v2"
	damaged.Changes = []Change{{Key: "growth/nowhere", Action: Update, Base: &Base{}}}
	bare.Secrets = nil
	for name, f := range map[string]func() (*Result, error){
		"format":  func() (*Result, error) { return Apply(t.Context(), m, &strange, in, ApplyOptions{}) },
		"damaged": func() (*Result, error) { return Apply(t.Context(), m, &damaged, in, ApplyOptions{}) },
		"secrets": func() (*Result, error) { return Apply(t.Context(), m, plan, bare, ApplyOptions{}) },
	} {
		if result, err := f(); result != nil || err == nil {
			t.Errorf("%s: %v, %v; want an error", name, result, err)
		}
	}
	if len(m.calls) > 0 {
		t.Errorf("the platform was called: %q", m.calls)
	}
	// The order of the automations is not part of the code.
	slices.Reverse(in.Automations)
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Error(err)
	}
}

func TestApplyOrdersAndReportsItsSteps(t *testing.T) {
	m, in := scene(t)
	plan := mustPlan(t, m, in)
	m.calls = nil
	m.fault = func(n int, op, _ string) *fault {
		if op == "create" && n == 1 {
			return faults["429 before"]
		}
		return nil
	}
	var events []string
	opts := ApplyOptions{Parallelism: 1, Calls: quick, Progress: func(e Event) {
		events = append(events, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Action, " ", e.Key, e.Secret)))
	}}
	result, err := Apply(t.Context(), m, plan, in, opts)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"started create ADDED", "done create ADDED",
		"started create growth/create", "retrying create growth/create", "done create growth/create",
		"started update growth/update", "done update growth/update",
		"started delete growth/delete", "done delete growth/delete",
		"started delete DROPPED", "done delete DROPPED",
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	calls := []string{
		"putSecret ADDED", "create growth/create", "find growth/create", "create growth/create", "find growth/create",
		"update growth/update", "delete growth/delete", "list growth", "deleteSecret DROPPED", "list growth",
	}
	if diff := cmp.Diff(calls, m.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if c, u, d := result.Count(Create), result.Count(Update), result.Count(Delete); c != 1 || u != 1 || d != 1 || result.Unchanged != 1 {
		t.Errorf("created, updated, deleted, unchanged = %d, %d, %d, %d; want 1 each", c, u, d, result.Unchanged)
	}
}

func TestProgressIsSerialised(t *testing.T) {
	m := newMemory()
	var all []automation.Automation
	for i := range 50 {
		all = append(all, makeAutomation(fmt.Sprintf("growth/a%02d", i), 1))
	}
	in := desired(all...)
	events := 0 // the race detector watches it
	_, err := Apply(t.Context(), m, mustPlan(t, m, in), in, ApplyOptions{Calls: quick, Progress: func(Event) { events++ }})
	if err != nil || events != 100 {
		t.Errorf("%d events, %v; want 100", events, err)
	}
}

// A settling platform settles, or fails to, as often as it is told.
type settling struct {
	*memory
	errs []error // what the calls return, one by one; nil afterwards
}

func (s *settling) Settle(_ context.Context, project string) error {
	s.calls = append(s.calls, "settle "+project)
	if len(s.errs) == 0 {
		return nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return err
}

func TestApplySettlesLast(t *testing.T) {
	busy, no := &Error{Kind: Temporary, Status: 503, Message: "busy"}, &Error{Kind: Refused, Status: 400, Message: "no"}
	for name, test := range map[string]struct {
		errs    []error
		refused bool // a change is refused
		calls   int
		want    string // of the error; "" for none
	}{
		"at once":                            {calls: 1},
		"at the second try":                  {errs: []error{busy}, calls: 2},
		"not at all":                         {errs: []error{no}, calls: 1, want: "1 failed, 0 not started: clean up on local: 400: no"},
		"after a failure":                    {refused: true, calls: 1, want: "1 failed, 0 not started: growth/create"},
		"after a failure, and not patiently": {errs: []error{busy}, refused: true, calls: 1, want: "2 failed, 0 not started: growth/create"},
	} {
		t.Run(name, func(t *testing.T) {
			m, in := scene(t)
			p := &settling{m, test.errs}
			if test.refused {
				m.fault = func(_ int, op, _ string) *fault {
					if op == "create" {
						return &fault{before, no}
					}
					return nil
				}
			}
			result, err := Apply(t.Context(), p, mustPlan(t, p, in), in, ApplyOptions{Calls: quick})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
				t.Errorf("error = %v, want %q", err, test.want)
			}
			if (result.Unsettled != nil) != (result.UnsettledError != "") || result.Unsettled != nil && !errors.Is(err, result.Unsettled) {
				t.Errorf("unsettled: %v, %q", result.Unsettled, result.UnsettledError)
			}
			if got := m.count("settle"); got != test.calls || m.calls[len(m.calls)-1] != "settle growth" {
				t.Errorf("calls = %q, want %d to settle, at the end", m.calls, test.calls)
			}
		})
	}
}

func TestApplySettlesNothingThatItDidNotTouch(t *testing.T) {
	m, in := scene(t)
	p := &settling{memory: m}
	ctx, cancel := context.WithCancel(t.Context())
	plan := mustPlan(t, p, in)
	cancel()
	if _, err := Apply(ctx, p, plan, in, ApplyOptions{Calls: quick}); err == nil {
		t.Error("an apply that was cancelled has no error")
	}
	heal(t, m, in)
	m.calls = nil
	if _, err := Apply(t.Context(), p, mustPlan(t, p, in), in, ApplyOptions{Calls: quick}); err != nil {
		t.Error(err)
	}
	if n := m.count("settle"); n != 0 {
		t.Errorf("%d calls to settle", n)
	}
}
