package platformtest

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	gosync "sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// A Contest is two applies of one project at the same time, none of which holds a lease.
// Each pair of plans is made before either is carried out, and then every interleaving is
// forced: one apply is held at one of its requests, whichever it is, until the other one
// has reached a request of its own, or has ended.
type Contest struct {
	// Open returns the platform. It sends its requests by the transport, and gives up on
	// none: one may be held for as long as the other apply takes.
	Open func(t testing.TB, transport http.RoundTripper) sync.Platform
	// Held picks the requests at which an apply may be held, all if it is nil.
	Held func(*http.Request) bool
	// Once has each apply be held once, and the other one run to its end meanwhile. Else
	// that is held at each of its requests too, until the first one has ended.
	Once bool
	// Turns has, by the name of the pair of plans, the numbers of the requests at which the
	// first apply is held, from 1, for platforms that take long. Nil means each in turn. It
	// needs Once.
	Turns map[string][]int
	// Plain leaves the secret out. Platforms that keep a slow hash of it take most of their
	// time for that.
	Plain bool
	// Overwrites picks the requests that the platform carries out whatever has happened
	// since segue has looked, nil for none. One that was held replaces what the other apply,
	// which has ended by then, has written, and neither can know.
	Overwrites func(*http.Request) bool
}

// contestCalls wait for one who is held.
var contestCalls = sync.Calls{Timeout: time.Hour, Elapsed: time.Hour, Tries: 20,
	BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(5 * time.Millisecond) }}

// A pair of codes whose plans are carried out at once.
type pair struct {
	name, project string
	// base is what is there before.
	base, one, other func(s scene) []automation.Automation
}

// pairs are the same plan twice, different plans, and plans that undo each other.
func pairs() []pair {
	named := func(who string, keys ...string) func(s scene) []automation.Automation {
		return func(s scene) (all []automation.Automation) {
			for _, key := range keys {
				a := s.automation("growth/"+key, "https://example.com/"+who)
				if who != "" {
					a.Name += ", by " + who
				}
				all = append(all, a)
			}
			return all
		}
	}
	base := named("", "changed", "gone")
	return []pair{
		{"the same plan", "same", base, named("both", "changed", "new"), named("both", "changed", "new")},
		{"different plans", "different", base, named("one", "changed", "gone", "new"), named("other", "changed", "new")},
		{"opposite plans", "opposite", base, named("one", "changed", "new"), named("other", "gone")},
	}
}

// TwoApplies runs the contest: whatever the interleaving, each automation ends as one of
// the two wanted it, whole and once, and who has not got what he wanted says so for the
// automation. The next apply leaves nothing to do.
func TwoApplies(t *testing.T, c Contest) {
	for _, p := range pairs() {
		for _, swapped := range []bool{false, true} {
			name := p.name
			if swapped {
				if p.name == pairs()[0].name {
					continue
				}
				p.one, p.other, name, p.project = p.other, p.one, name+", the other one first", p.project+"-swapped"
			}
			t.Run(name, func(t *testing.T) {
				interleavings, silent := 0, 0
				for first := range c.turns(name) {
					for second := 0; ; second++ {
						m := match{Contest: c, pair: p, first: first, second: second}
						held, bothHeld := m.run(t)
						if !held {
							if interleavings == 0 || c.Turns != nil {
								t.Errorf("the apply was not held at request %d", first)
							}
							t.Logf("%d interleavings, in %d of which one was overwritten unawares", interleavings, silent)
							return
						}
						interleavings++
						if m.silent {
							silent++
						}
						if t.Failed() {
							t.FailNow()
						}
						if c.Once || second > 0 && !bothHeld {
							break
						}
					}
				}
				t.Logf("%d interleavings, in %d of which one was overwritten unawares", interleavings, silent)
			})
		}
	}
}

// turns are the numbers of the requests at which the first apply is held, without end if it
// is held at each.
func (c Contest) turns(pair string) iter.Seq[int] {
	if c.Turns != nil {
		return slices.Values(c.Turns[pair])
	}
	return func(yield func(int) bool) {
		for n := 1; yield(n); n++ {
		}
	}
}

// A match is one interleaving: the first apply is held at a request, and the other one runs
// until one of its own, or to its end with 0.
type match struct {
	Contest
	pair
	first, second int
	// silent is set if one was overwritten and nobody could know.
	silent bool
}

// run plays it, in a project of its own. It reports whether the first apply had so many
// requests, and the second.
func (m *match) run(t *testing.T) (held, bothHeld bool) {
	t.Helper()
	s := scene{project: fmt.Sprintf("%s-%d-%d", m.project, m.first, m.second)}
	base := m.desired(s, m.base)
	plain := m.Open(t, http.DefaultTransport)
	if _, err := contested(t.Context(), plain, base, contestedPlan(t, plain, base)); err != nil {
		t.Fatalf("%s: the first apply of all: %v", s.project, err)
	}
	var applies [2]*contender
	for i, code := range []func(scene) []automation.Automation{m.one, m.other} {
		gate := &gate{picks: m.Held}
		in := m.desired(s, code)
		p := m.Open(t, gate)
		applies[i] = &contender{gate: gate, platform: p, in: in, plan: contestedPlan(t, p, in), ended: make(chan struct{})}
	}
	one, other := applies[0], applies[1]
	one.gate.holdAt(m.first)
	go one.apply(t.Context())
	held = one.heldOrEnded()
	if held {
		if m.second > 0 {
			other.gate.holdAt(m.second)
		}
		go other.apply(t.Context())
		bothHeld = other.heldOrEnded()
		one.gate.release()
		<-one.ended
		other.gate.release()
		<-other.ended
		m.judge(t, s, one, other)
	}
	// The next apply puts right whatever is left.
	again := contestedPlan(t, plain, other.in)
	if _, err := contested(t.Context(), plain, other.in, again); err != nil {
		t.Errorf("%s: the apply after both: %v", s.project, err)
	}
	RequireExactly(t, plain, other.in)
	nothing := sync.Desired{Project: s.project, Target: base.Target}
	if _, err := contested(t.Context(), plain, nothing, contestedPlan(t, plain, nothing)); err != nil {
		t.Errorf("%s: the last apply of all: %v", s.project, err)
	}
	return held, bothHeld
}

// desired returns the code's state of the project.
func (m *match) desired(s scene, code func(scene) []automation.Automation) sync.Desired {
	in := s.desired(code(s)...)
	if m.Plain {
		in.Secrets = nil
		for _, a := range in.Automations {
			delete(a.Action.Headers, "Authorization")
		}
	}
	return in
}

// judge looks at what is there once both have ended, and at what they have said.
func (m *match) judge(t *testing.T, s scene, one, other *contender) {
	t.Helper()
	stored, err := patientPlatform{t, m.Open(t, http.DefaultTransport)}.List(t.Context(), s.project)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]string{} // the hash by key
	for _, a := range stored {
		if there[a.Marker.Key] != "" {
			t.Errorf("%s: there are two of %s", s.project, a.Marker.Key)
		}
		there[a.Marker.Key] = a.Automation.Hash()
		if a.Automation.Hash() != a.Marker.Hash {
			t.Errorf("%s: %s is not as either has written it: %s", s.project, a.Marker.Key, canonicalText(a.Automation))
		}
	}
	for _, key := range []string{"growth/changed", "growth/gone", "growth/new"} {
		if there[key] != one.wants(key) && there[key] != other.wants(key) {
			t.Errorf("%s: %s is %q, as nobody wants it\none:   %v\nother: %v", s.project, key, there[key], one.err, other.err)
		}
		for name, c := range map[string]*contender{"the one that was held first": one, "the other one": other} {
			switch lost := there[key] != c.wants(key); {
			case !lost || !c.changes(key) || c.failed(key):
			case m.Overwrites != nil && (one.gate.heldOne(m.Overwrites) || other.gate.heldOne(m.Overwrites)):
				m.silent = true
			default:
				t.Errorf("%s: %s has lost %s, and has not said so: %v", s.project, name, key, c.err)
			}
		}
	}
	for _, c := range []*contender{one, other} {
		if (c.err == nil) != (c.result.CountOutcome(sync.Failed)+c.result.CountOutcome(sync.NotStarted) == 0) {
			t.Errorf("%s: the error is %v, and %d changes have failed", s.project, c.err, c.result.CountOutcome(sync.Failed))
		}
	}
}

// A contender is one of the two applies.
type contender struct {
	gate     *gate
	platform sync.Platform
	in       sync.Desired
	plan     *sync.Plan
	ended    chan struct{}
	result   *sync.Result
	err      error
}

func (c *contender) apply(ctx context.Context) {
	defer close(c.ended)
	c.result, c.err = contested(ctx, c.platform, c.in, c.plan)
}

// heldOrEnded waits until the apply is held or has ended, and reports whether it is held.
func (c *contender) heldOrEnded() bool {
	select {
	case <-c.gate.reached:
		return true
	case <-c.ended:
		return false
	}
}

// wants returns the hash of the automation that is wanted under the key, "" for none.
func (c *contender) wants(key string) string {
	for _, a := range c.in.Automations {
		if a.Key == key {
			return a.Hash()
		}
	}
	return ""
}

func (c *contender) changes(key string) bool {
	return slices.ContainsFunc(c.plan.Changes, func(change sync.Change) bool { return change.Key == key })
}

// failed reports whether the apply says that it has not got what it wanted.
func (c *contender) failed(key string) bool {
	return c.err != nil && slices.ContainsFunc(c.result.Changes, func(r sync.ChangeResult) bool {
		return r.Key == key && (r.Outcome == sync.Failed || r.Outcome == sync.NotStarted) && r.Error != ""
	})
}

func contestedPlan(t *testing.T, p sync.Platform, in sync.Desired) *sync.Plan {
	t.Helper()
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowMassDelete: true, AllowSecondProject: true, Calls: contestCalls})
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	return plan
}

// contested applies one change after the other, so that the requests come in one order.
func contested(ctx context.Context, p sync.Platform, in sync.Desired, plan *sync.Plan) (*sync.Result, error) {
	return sync.Apply(ctx, p, plan, in, sync.ApplyOptions{Parallelism: 1, Calls: contestCalls})
}

// A gate passes requests on, and holds one of them back.
type gate struct {
	picks func(*http.Request) bool

	mu      gosync.Mutex
	left    int // requests until the one that is held; 0 for none
	held    *http.Request
	reached chan struct{}
	open    chan struct{}
}

// holdAt has the gate hold the nth request from now on.
func (g *gate) holdAt(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.reached, g.open = n, make(chan struct{}), make(chan struct{})
}

// release lets the request pass, and all others.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != nil {
		g.left = 0
		close(g.open)
		g.open = nil
	}
}

// RoundTrip implements [http.RoundTripper].
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if open := g.arrive(r); open != nil {
		select {
		case <-open:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// arrive returns what the request has to wait for, nil for nothing.
func (g *gate) arrive(r *http.Request) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left == 0 || g.picks != nil && !g.picks(r) {
		return nil
	}
	if g.left--; g.left > 0 {
		return nil
	}
	g.held = r
	close(g.reached)
	return g.open
}

// heldOne reports whether the request that was held is one of those.
func (g *gate) heldOne(picks func(*http.Request) bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held != nil && picks(g.held)
}
