package platformtest

import (
	"net/http"
	gosync "sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/sync"
)

// Traffic are the requests of a plan and of its apply, by what [Requests] calls them.
type Traffic struct{ Plan, Apply map[string]int }

// The steps of [Requests].
const (
	CreatesThree  = "three are created, with a secret"
	NothingToDo   = "there is nothing to do"
	UpdatesOne    = "one is updated"
	DeletesOne    = "one is deleted"
	RotatesSecret = "the secret is rotated"
)

// Requests checks how many requests plans and applies make, without a lease: one command
// after the other, each with a platform of its own. The name of a request has no identifier
// in it, "PUT /v1/automations/ID". A request without a name is not counted.
func Requests(t *testing.T, open func(t testing.TB, transport http.RoundTripper) sync.Platform, name func(*http.Request) string, want map[string]Traffic) {
	s := scene{project: "requests"}
	in := s.desired(s.automation("growth/a", "https://example.com"), s.automation("growth/b", "https://example.com"),
		s.automation("growth/c", "https://example.com"))
	step := func(what string) {
		t.Helper()
		counted := &tally{name: name, counts: map[string]int{}}
		p := open(t, counted)
		plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{Calls: quick})
		if err != nil {
			t.Fatalf("%s: plan: %v", what, err)
		}
		planned := counted.take()
		if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: quick, Parallelism: 1}); err != nil {
			t.Fatalf("%s: apply: %v", what, err)
		}
		if diff := cmp.Diff(want[what], Traffic{planned, counted.take()}); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", what, diff)
		}
	}
	step(CreatesThree)
	step(NothingToDo)
	in.Automations[0].Name += ", renamed"
	step(UpdatesOne)
	in.Secrets = secrets("rotated")
	step(RotatesSecret)
	in.Automations = in.Automations[:2]
	step(DeletesOne)
}

// A tally is a transport that counts requests by their names.
type tally struct {
	name func(*http.Request) string

	mu     gosync.Mutex
	counts map[string]int
}

// RoundTrip implements [http.RoundTripper].
func (c *tally) RoundTrip(r *http.Request) (*http.Response, error) {
	if name := c.name(r); name != "" {
		c.mu.Lock()
		c.counts[name]++
		c.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(r)
}

// take returns the counts, nil for none, and begins again.
func (c *tally) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts = map[string]int{}
	if len(counts) == 0 {
		return nil
	}
	return counts
}
