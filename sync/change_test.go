package sync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
)

func TestACreateThatSucceedsIsDoneEvenIfItCannotBeLookedUp(t *testing.T) {
	m := newMemory()
	in := desired(makeAutomation("growth/a", 1))
	plan := mustPlan(t, m, in)
	m.calls = nil
	m.fault = func(n int, op, _ string) *fault {
		if n == 0 || op == "find" && n > 1 { // one failed create, one look-up that works
			return faults["503 before"]
		}
		return nil
	}
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Error(err)
	}
	heal(t, m, in)
}

func TestARefusedLookUpIsTriedAgain(t *testing.T) {
	m := newMemory()
	in := desired(makeAutomation("growth/a", 1))
	plan := mustPlan(t, m, in)
	m.calls = nil
	m.fault = func(n int, _, _ string) *fault {
		switch n {
		case 0: // the create
			return faults["400 after"]
		case 1, 2: // its look-up
			return faults["400 before"]
		}
		return nil
	}
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}); err != nil || m.count("create") != 1 {
		t.Errorf("error = %v after %d creates, want one", err, m.count("create"))
	}
	checkSettled(t, m, in)
}

func TestACancelledCreateDoesNotGoOnToUpdate(t *testing.T) {
	m := newMemory()
	in := desired(makeAutomation("growth/a", 2))
	plan := mustPlan(t, m, in)
	ctx, cancel := context.WithCancel(t.Context())
	m.fault = meddle("create", nil, func() {
		old := makeAutomation("growth/a", 1)
		m.put("", Marker{Project: "growth", Key: old.Key, Hash: old.Hash()}, old)
		cancel()
	})
	if _, err := Apply(ctx, m, plan, in, ApplyOptions{Calls: quick}); err == nil || m.count("update") != 0 {
		t.Errorf("error = %v after %d updates, want an error and none", err, m.count("update"))
	}
	heal(t, m, in)
}

// hanging is a platform whose first create never ends by itself.
type hanging struct {
	*memory
	hung atomic.Bool
}

func (h *hanging) Create(ctx context.Context, project string, a automation.Automation) (Stored, error) {
	if h.hung.CompareAndSwap(false, true) {
		<-ctx.Done()
		return Stored{}, ctx.Err()
	}
	return h.memory.Create(ctx, project, a)
}

func TestACallThatHangsEndsWithItsTimeout(t *testing.T) {
	h := &hanging{memory: newMemory()}
	in := desired(makeAutomation("growth/a", 1))
	calls := quick
	calls.Timeout = 20 * time.Millisecond
	if _, err := Apply(t.Context(), h, mustPlan(t, h, in), in, ApplyOptions{Calls: calls}); err != nil {
		t.Error(err)
	}
	checkSettled(t, h.memory, in)
}

func TestApplyFinishesWhatIsInFlightWhenCancelled(t *testing.T) {
	t.Run("with an answer", func(t *testing.T) { cancelInFlight(t, true) })
	t.Run("with a look-up", func(t *testing.T) { cancelInFlight(t, false) })
}

func cancelInFlight(t *testing.T, answered bool) {
	m := newMemory()
	var all []automation.Automation
	for i := range 10 {
		all = append(all, makeAutomation(fmt.Sprintf("growth/a%02d", i), 1))
	}
	in := desired(all...)
	plan := mustPlan(t, m, in)
	ctx, cancel := context.WithCancel(t.Context())
	m.fault = func(_ int, op, key string) *fault {
		if op != "create" || key != "growth/a03" {
			return nil
		}
		cancel()
		if answered {
			return nil
		}
		return faults["503 after"] // done, and the look-up must still find out
	}
	result, err := Apply(ctx, m, plan, in, ApplyOptions{Parallelism: 1, Calls: quick})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	if d, f, n := result.CountOutcome(Done), result.CountOutcome(Failed), result.CountOutcome(NotStarted); d != 4 || f != 0 || n != 6 {
		t.Errorf("done, failed, not started = %d, %d, %d; want 4, 0, 6", d, f, n)
	}
	if result.Changes[3].Settled == answered || (m.count("find") == 1) == answered {
		t.Errorf("result = %+v after %d look-ups", result.Changes[3], m.count("find"))
	}
	heal(t, m, in)
}

func TestApplyDoesNotTryAgainWhenCancelled(t *testing.T) {
	m := newMemory()
	in := desired(makeAutomation("growth/a", 1))
	plan := mustPlan(t, m, in)
	ctx, cancel := context.WithCancel(t.Context())
	m.fault = func(_ int, op, _ string) *fault {
		if op == "create" {
			cancel()
			return faults["503 before"]
		}
		return nil
	}
	_, err := Apply(ctx, m, plan, in, ApplyOptions{Calls: quick})
	want := "1 failed, 0 not started: growth/a: create on local: 503: busy (interrupted before the next try)"
	if err == nil || err.Error() != want || m.count("create") != 1 {
		t.Errorf("error = %v after %d creates, want %s", err, m.count("create"), want)
	}
}

func TestApplyObeysAPauseThatIsTooLong(t *testing.T) {
	m := newMemory()
	in := desired(makeAutomation("growth/a", 1))
	plan := mustPlan(t, m, in)
	m.fault = func(_ int, op, _ string) *fault {
		if op == "create" {
			return &fault{before, &Error{Kind: Temporary, Status: 429, RetryAfter: time.Hour, Message: "slow down"}}
		}
		return nil
	}
	_, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick})
	if err == nil || !strings.HasSuffix(err.Error(), "429: slow down (gave up: the platform asks to wait 1h0m0s)") || m.count("create") != 1 {
		t.Errorf("error = %v after %d creates", err, m.count("create"))
	}
}

// meddle has somebody write to the platform at the moment of a call.
func meddle(op string, f *fault, write func()) func(int, string, string) *fault {
	done := false
	return func(_ int, call, _ string) *fault {
		if done || call != op {
			return nil
		}
		done = true
		write()
		return f
	}
}

func TestApplyMeetsSomebodyElse(t *testing.T) {
	const key = "growth/a"
	v1, v2, v3 := makeAutomation(key, 1), makeAutomation(key, 2), makeAutomation(key, 3)
	none := []automation.Automation{}
	one := func(a automation.Automation) []automation.Automation { return []automation.Automation{a} }
	for _, tt := range []struct {
		name         string
		stored, want []automation.Automation
		op           string
		write        func(m *memory)
		fault        *fault
		err          string
	}{
		{
			name: "an update of what was changed is refused", stored: one(v1), want: one(v2), op: "update",
			write: func(m *memory) { s := m.find("growth", key)[0]; m.put(s.ID, s.Marker, v3) },
			err:   "growth/a: update on local: 412: changed on the platform since the plan; plan again",
		},
		{
			name: "also when the answer was another error", stored: one(v1), want: one(v2), op: "update", fault: faults["503 before"],
			write: func(m *memory) { s := m.find("growth", key)[0]; m.put(s.ID, s.Marker, v3) },
			err:   "growth/a: update on local: changed on the platform since the plan; plan again",
		},
		{
			name: "an update to what it already is succeeds", stored: one(v1), want: one(v2), op: "update",
			write: func(m *memory) {
				s := m.find("growth", key)[0]
				m.put(s.ID, Marker{Project: "growth", Key: key, Hash: v2.Hash()}, v2)
			},
		},
		{
			name: "half of an own update is completed", stored: one(v1), want: one(v2), op: "update", fault: faults["503 before"],
			write: func(m *memory) {
				s := m.find("growth", key)[0]
				m.put(s.ID, Marker{Project: "growth", Key: key, Hash: v2.Hash()}, v1)
			},
		},
		{
			name: "an update of what was deleted is refused", stored: one(v1), want: one(v2), op: "update",
			write: func(m *memory) { delete(m.stored, m.find("growth", key)[0].ID) },
			err:   "growth/a: update on local: deleted on the platform since the plan; plan again",
		},
		{
			name: "an update of what was replaced by the same succeeds", stored: one(v1), want: one(v2), op: "update",
			write: func(m *memory) {
				delete(m.stored, m.find("growth", key)[0].ID)
				m.put("", Marker{Project: "growth", Key: key, Hash: v2.Hash()}, v2)
			},
		},
		{
			name: "a delete of what was changed is refused", stored: one(v1), want: none, op: "delete",
			write: func(m *memory) { s := m.find("growth", key)[0]; m.put(s.ID, s.Marker, v3) },
			err:   "growth/a: delete on local: changed on the platform since the plan; plan again",
		},
		{
			name: "a delete of what is gone succeeds", stored: one(v1), want: none, op: "delete",
			write: func(m *memory) { delete(m.stored, m.find("growth", key)[0].ID) },
		},
		{
			name: "a create of what another one has created is refused", stored: none, want: one(v2), op: "create",
			write: func(m *memory) { m.put("", Marker{Project: "growth", Key: key, Hash: v1.Hash()}, v1) },
			err:   "growth/a: create on local: created on the platform since the plan; plan again",
		},
		{
			name: "also where an answer was lost", stored: none, want: one(v2), op: "create", fault: faults["503 before"],
			write: func(m *memory) { m.put("", Marker{Project: "growth", Key: key, Hash: v1.Hash()}, v1) },
			err:   "growth/a: create on local: created on the platform since the plan; plan again",
		},
		{
			name: "half of an own create is completed", stored: none, want: one(v2), op: "create", fault: faults["503 before"],
			write: func(m *memory) { m.put("", Marker{Project: "growth", Key: key, Hash: v2.Hash()}, v1) },
		},
		{
			name: "a create of what is there and right takes it", stored: none, want: one(v2), op: "create",
			write: func(m *memory) { m.put("", Marker{Project: "growth", Key: key, Hash: v2.Hash()}, v2) },
		},
		{
			name: "a create that left two keeps one", stored: none, want: one(v2), op: "create", fault: faults["503 after"],
			write: func(m *memory) { m.unique = false; m.put("", Marker{Project: "growth", Key: key, Hash: v2.Hash()}, v2) },
		},
		{
			name: "a create beside two that others have created is refused", stored: none, want: one(v2), op: "create", fault: faults["400 before"],
			write: func(m *memory) {
				m.put("", Marker{Project: "growth", Key: key, Hash: v1.Hash()}, v1)
				m.put("", Marker{Project: "growth", Key: key, Hash: v3.Hash()}, v3)
			},
			err: "growth/a: create on local: created on the platform since the plan; plan again",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory()
			apply(t, m, desired(tt.stored...))
			in := desired(tt.want...)
			plan := mustPlan(t, m, in)
			m.fault = meddle(tt.op, tt.fault, func() { tt.write(m) })
			result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick})
			if tt.err == "" {
				if err != nil {
					t.Errorf("error = %v", err)
				}
				checkSettled(t, m, in)
				return
			}
			want := strings.Replace(tt.err, "412: ", "", 1)
			if err == nil || result.Changes[0].Error != want {
				t.Errorf("error = %v, want %s", err, want)
			}
			if KindOf(result.Changes[0].Err) != Conflict {
				t.Errorf("kind = %v, want Conflict", KindOf(result.Changes[0].Err))
			}
			heal(t, m, in)
		})
	}
}

// A platform that is gone says so once.
func TestUnknownSaysOnceWhatIsTheSame(t *testing.T) {
	gone := &Error{Kind: Temporary, Message: "can't reach http://x: connection refused"}
	for _, test := range []struct {
		look error
		want string
	}{
		{fmt.Errorf("%w (gave up after 4 tries)", gone), "whether it took effect is unknown: can't reach http://x: connection refused (gave up after 4 tries)"},
		{errors.New("no list"), "can't reach http://x: connection refused; whether it took effect is unknown: no list"},
	} {
		err := unknown(gone, test.look)
		if err.Error() != test.want {
			t.Errorf("got %q, want %q", err, test.want)
		}
		if KindOf(err) != Temporary || !errors.Is(err, test.look) {
			t.Errorf("%v: its causes are lost", err)
		}
	}
}
