package sync

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seguehq/segue/automation"
)

// killAt makes the platform dead to the engine from the n-th call on, as if the
// process had been killed: if midway, the n-th call still does its work.
func killAt(n int, midway bool, die func()) func(int, string, string) *fault {
	start := -1
	return func(call int, _, _ string) *fault {
		if start < 0 {
			start = call
		}
		if call-start < n {
			return nil
		}
		die()
		if call-start == n && midway {
			return faults["reset after"]
		}
		return faults["reset before"]
	}
}

func TestAnApplyThatIsKilledAtAnyCallIsHealedByTheNext(t *testing.T) {
	for _, midway := range []bool{false, true} {
		for _, unique := range []bool{true, false} {
			for n := 0; ; n++ {
				m, in := scene(t)
				m.unique = unique
				plan := mustPlan(t, m, in)
				ctx, cancel := context.WithCancel(t.Context())
				dead := false
				m.fault = killAt(n, midway, func() { dead = true; cancel() })
				result, err := Apply(ctx, m, plan, in, ApplyOptions{Parallelism: 2, Calls: quick})
				cancel()
				if result == nil || dead != (err != nil) {
					t.Fatalf("killed at call %d: %v, %v", n, result, err)
				}
				checkSingle(t, m, in.Project)
				heal(t, m, in)
				if t.Failed() {
					t.Fatalf("killed at call %d, midway %v, unique %v", n, midway, unique)
				}
				if !dead {
					if n < 5 {
						t.Fatalf("an apply took %d calls only", n)
					}
					break
				}
			}
		}
	}
}

// checkSingle fails if a key is stored more than once.
func checkSingle(t *testing.T, m *memory, project string) {
	t.Helper()
	seen := map[string]bool{}
	for _, key := range m.keys(project) {
		if seen[key] {
			t.Errorf("%s is stored more than once", key)
		}
		seen[key] = true
	}
}

// A history is a random sequence of edits to code and platform, with applies in
// between that go wrong.
type history struct {
	*rand.Rand
	m        *memory
	versions map[string]int // of each automation in the code
	secrets  map[string]string
}

func (h *history) key() string    { return fmt.Sprintf("growth/a%02d", h.IntN(12)) }
func (h *history) secret() string { return fmt.Sprintf("S%d", h.IntN(3)) }

// code returns what the code wants now. Which secrets an automation refers to
// depends on its version.
func (h *history) code() Desired {
	in := desired()
	for key, v := range h.versions {
		var names []string
		for i := range v % 3 {
			names = append(names, fmt.Sprintf("S%d", (v+i)%3))
		}
		in.Automations = append(in.Automations, makeAutomation(key, v, names...))
	}
	for name, value := range h.secrets {
		in.Secrets[name] = automation.NewSecret(value)
	}
	return in
}

// edit changes the code.
func (h *history) edit() {
	switch h.IntN(5) {
	case 0:
		delete(h.versions, h.key())
	case 1:
		h.secrets[h.secret()] = fmt.Sprint("value ", h.Int())
	default:
		h.versions[h.key()] = h.IntN(6)
	}
}

// drift changes the platform as people do.
func (h *history) drift() {
	ids := slices.Sorted(maps.Keys(h.m.stored))
	for range ids {
		s := h.m.stored[ids[h.IntN(len(ids))]]
		if s.Marker.Project != "growth" {
			continue
		}
		switch h.IntN(6) {
		case 0:
			delete(h.m.stored, s.ID)
		case 1:
			h.m.put("", s.Marker, s.Automation) // a copy, marker and all
		case 2:
			h.m.put(s.ID, Marker{}, s.Automation) // not ours any more
		case 3:
			h.m.put(s.ID, Marker{Project: "growth", Key: s.Marker.Key, Hash: "sha256:0"}, s.Automation)
		default:
			h.m.put(s.ID, s.Marker, makeAutomation(s.Marker.Key, h.IntN(6)))
		}
		return
	}
}

// plague strikes so many of 100 calls with one of the faults, and lets people
// drift the platform during others. Half of the plagues kill, by calling die,
// after a random number of calls.
func (h *history) plague(percent int, die func()) func(int, string, string) *fault {
	var kinds []*fault
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		kinds = append(kinds, faults[name])
	}
	left, dead := -1, false
	if h.IntN(2) == 0 {
		left = h.IntN(40)
	}
	return func(int, string, string) *fault {
		if left == 0 {
			dead = true
			die()
		}
		left--
		switch {
		case dead:
			return faults["reset before"]
		case h.IntN(100) < percent:
			return kinds[h.IntN(len(kinds))]
		case h.IntN(100) < 5:
			h.drift()
		}
		return nil
	}
}

func TestAnyHistoryIsHealedByTheNextApply(t *testing.T) {
	histories := 100
	if testing.Short() {
		histories = 10
	}
	for seed := range uint64(histories) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := &history{
				Rand: rand.New(rand.NewPCG(seed, 1)), m: newMemory(), versions: map[string]int{},
				secrets: map[string]string{"S0": "a", "S1": "b", "S2": "c"},
			}
			h.m.unique = seed%2 == 0
			foreign := makeAutomation("growth/a01", 7)
			h.m.put("", Marker{Project: "other", Key: foreign.Key, Hash: foreign.Hash()}, foreign)
			for range 8 {
				for range h.IntN(6) {
					h.edit()
				}
				if h.IntN(3) == 0 {
					h.drift()
				}
				in := h.code()
				plan := mustPlan(t, h.m, in)
				ctx, cancel := context.WithCancel(t.Context())
				h.m.fault = h.plague(h.IntN(60), cancel)
				result, err := Apply(ctx, h.m, plan, in, ApplyOptions{Parallelism: 3, Calls: quick})
				cancel()
				h.m.fault = nil
				checkResult(t, plan, result, err)
			}
			in := h.code()
			heal(t, h.m, in)
			if found := h.m.find("other", foreign.Key); len(found) != 1 || !matches(foreign.Hash(), found[0]) {
				t.Errorf("another project's automation = %+v, want it untouched", found)
			}
		})
	}
}

// checkResult fails unless the result accounts for every change of the plan.
func checkResult(t *testing.T, plan *Plan, result *Result, err error) {
	t.Helper()
	if result == nil {
		t.Fatalf("no result: %v", err)
	}
	done := result.CountOutcome(Done)
	all := done + result.CountOutcome(AlreadyThere) + result.CountOutcome(Failed) + result.CountOutcome(NotStarted)
	changes := len(plan.Changes) + len(plan.Secrets)
	if result.Unsettled != nil {
		changes++ // it counts as one that failed
	}
	if all != changes {
		t.Errorf("%d outcomes of %d changes", all, changes)
	}
	if done += result.CountOutcome(AlreadyThere); (err == nil) != (done == all) {
		t.Errorf("error = %v with %d of %d changes done", err, done, all)
	}
	for i, c := range result.Changes {
		if c.Key != plan.Changes[i].Key || (c.Outcome == Done || c.Outcome == AlreadyThere) != (c.Err == nil) {
			t.Errorf("outcome of %s = %+v", plan.Changes[i].Key, c)
		}
	}
}

// Whatever goes wrong with the answers, as long as each call is either done at
// once or not at all, no call ever makes a second copy.
func TestNoFaultMakesTwoOfOneAutomation(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		m := newMemory()
		m.unique = false // nothing but the look-up stands in the way
		var all []automation.Automation
		for i := range 10 {
			all = append(all, makeAutomation(fmt.Sprintf("growth/a%02d", i), 1))
		}
		in := desired(all...)
		plan := mustPlan(t, m, in)
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(faults)), func(n string) bool { return faults[n].when == late })
		m.fault = func(int, string, string) *fault {
			if r.IntN(2) == 0 {
				return faults[names[r.IntN(len(names))]]
			}
			return nil
		}
		_, _ = Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}) // many fail, and must
		checkSingle(t, m, "growth")
		heal(t, m, in)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
