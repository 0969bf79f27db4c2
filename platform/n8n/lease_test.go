package n8n

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// lease returns a lease of one minute.
func lease(id string) sync.Lease {
	now := time.Now()
	return sync.Lease{ID: id, Holder: id + "@laptop", Since: now, Until: now.Add(time.Minute)}
}

// leaseNames returns the names of the leases and candidates on n8n.
func (s *server) leaseNames(t testing.TB, project string) []string {
	t.Helper()
	return s.strings(t, "SELECT name FROM workflow_entity WHERE nodes LIKE ? AND name LIKE ?", `%"`+leaseID+`"%`, "segue "+project+":%")
}

func TestLease(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	t.Run("of several that want it at once, one has it at most", s.testLeaseRace)
	t.Run("who has it is told, and it is no automation", s.testLeaseTold)
	t.Run("two applies at once leave each automation once, all of one version", s.testAppliesWithLease)
	t.Run("it is renewed", s.testLeaseRenewed)
	t.Run("one that is killed at any point is in nobody's way for longer than its lease", s.testLeaseKilled)
	t.Run("an answer that is lost", s.testLeaseAnswerLost)
	t.Run("a copy of it is its maker's", s.testLeaseCopied)
}

func (s *server) testLeaseRace(t *testing.T) {
	const contenders, turns = 4, 3
	var inside, had atomic.Int64
	var all gosync.WaitGroup
	for i := range contenders {
		p := s.platform(Options{})
		all.Go(func() {
			for turn := range turns {
				l := lease(fmt.Sprintf("racer %d, turn %d", i, turn))
				l.Until = l.Since.Add(time.Hour) // it must not expire while others wait for it
				err := p.Lock(t.Context(), "race", l)
				for tries := 0; err != nil && tries < 200; tries++ {
					if held := (*sync.HeldError)(nil); !errors.As(err, &held) && sync.KindOf(err) != sync.Temporary {
						t.Errorf("%s: %v", l.Holder, err)
						return
					}
					err = p.Lock(t.Context(), "race", l)
				}
				if err != nil {
					t.Errorf("%s has never had it: %v", l.Holder, err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d have it at once", n)
				}
				had.Add(1)
				inside.Add(-1)
				if err := p.Unlock(t.Context(), "race", l); err != nil {
					t.Errorf("%s: unlock: %v", l.Holder, err)
				}
			}
		})
	}
	all.Wait()
	if had.Load() != contenders*turns {
		t.Errorf("it was had %d times, want %d", had.Load(), contenders*turns)
	}
	if left := s.leaseNames(t, "race"); len(left) > 0 {
		t.Errorf("the workflows %q are left", left)
	}
}

func (s *server) testLeaseTold(t *testing.T) {
	in := one("told", "https://example.com")
	p, other := s.platform(Options{}), s.platform(Options{})
	apply(t, p, in)
	ada := lease("ada")
	if err := p.Lock(t.Context(), "told", ada); err != nil {
		t.Fatal(err)
	}
	err := other.Lock(t.Context(), "told", lease("ben"))
	held := (*sync.HeldError)(nil)
	if !errors.As(err, &held) || held.Lease.Holder != "ada@laptop" || held.Lease.ID != "ada" {
		t.Errorf("the other one gets %v, want to hear of ada", err)
	}
	if held != nil && (held.Lease.Until.Sub(held.Lease.Since) > time.Minute+5*time.Second || held.Lease.Until.Sub(held.Lease.Since) < time.Minute) {
		t.Errorf("the lease is from %v to %v, want a minute", held.Lease.Since, held.Lease.Until)
	}
	names := s.leaseNames(t, "told")
	if len(names) != 1 || !strings.HasPrefix(names[0], "segue told: ada@laptop applies since 2") {
		t.Errorf("n8n shows the workflows %q", names)
	}
	if err := other.Lock(t.Context(), "another", lease("ben")); err != nil {
		t.Errorf("the lease of another project: %v", err)
	}
	platformtest.RequireExactly(t, s.platform(Options{}), in)
	for _, project := range []string{"told", "another"} {
		survey, err := s.platform(Options{}).Survey(t.Context(), project, []string{in.Automations[0].Key})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range survey.Others {
			if strings.Contains(o.Title, "applies since") {
				t.Errorf("the survey of %s tells of %s", project, o.Title)
			}
		}
	}
	// It does not disturb an apply.
	in.Secrets = platformtest.Secret("rotated")
	apply(t, p, in)
	if names := s.leaseNames(t, "told"); len(names) != 1 {
		t.Errorf("after an apply there are the leases %q", names)
	}
	if err := other.Unlock(t.Context(), "told", lease("ben")); err != nil {
		t.Errorf("unlock of what is not there: %v", err)
	}
	if err := p.Unlock(t.Context(), "told", ada); err != nil {
		t.Error(err)
	}
	if err := other.Lock(t.Context(), "told", lease("ben")); err != nil {
		t.Errorf("after an unlock: %v", err)
	}
}

func (s *server) testAppliesWithLease(t *testing.T) {
	versions := []sync.Desired{platformtest.Hundred("leased", "https://example.com"), platformtest.Hundred("leased", "https://example.com")}
	var both gosync.WaitGroup
	for i := range versions {
		in := &versions[i]
		in.Automations, in.Secrets = in.Automations[:8], platformtest.Secret("abc123")
		for j := range in.Automations {
			in.Automations[j].Name += fmt.Sprintf(", version %d", i)
		}
		both.Go(func() {
			p := s.platform(Options{})
			ctx, held, err := sync.TakeLease(t.Context(), p, in.Project, sync.LeaseOptions{
				Holder: fmt.Sprintf("apply %d", i), Wait: 10 * time.Minute, Pause: 100 * time.Millisecond, Calls: patient})
			if err != nil {
				t.Errorf("apply %d: %v", i, err)
				return
			}
			plan, err := sync.MakePlan(ctx, p, *in, sync.PlanOptions{AllowSecondProject: true, Calls: patient})
			if err == nil {
				_, err = sync.Apply(ctx, p, plan, *in, sync.ApplyOptions{Calls: patient})
			}
			if err := errors.Join(err, held.Release()); err != nil {
				t.Errorf("apply %d: %v", i, err)
			}
		})
	}
	both.Wait()
	stored, err := s.platform(Options{}).List(t.Context(), "leased")
	if err != nil || len(stored) != len(versions[0].Automations) {
		t.Fatalf("%d automations are there, %v; want %d", len(stored), err, len(versions[0].Automations))
	}
	last := 0
	if strings.HasSuffix(stored[0].Automation.Name, "version 1") {
		last = 1
	}
	platformtest.RequireExactly(t, s.platform(Options{}), versions[last])
	s.requireUsed(t, "leased")
	if left := s.leaseNames(t, "leased"); len(left) > 0 {
		t.Errorf("the workflows %q are left", left)
	}
}

func (s *server) testLeaseRenewed(t *testing.T) {
	p := s.platform(Options{})
	l := lease("ada")
	until := func() time.Time {
		t.Helper()
		held := (*sync.HeldError)(nil)
		if err := s.platform(Options{}).Lock(t.Context(), "renewed", lease("ben")); !errors.As(err, &held) {
			t.Fatalf("the other one gets %v", err)
		}
		return held.Lease.Until
	}
	if err := p.Lock(t.Context(), "renewed", l); err != nil {
		t.Fatal(err)
	}
	// n8n's clock has a resolution of seconds.
	for first := until(); !until().After(first); {
		if err := p.Lock(t.Context(), "renewed", l); err != nil {
			t.Fatal(err)
		}
	}
	if names := s.leaseNames(t, "renewed"); len(names) != 1 {
		t.Errorf("there are the leases %q, want one", names)
	}
	// Somebody else has held it meanwhile.
	if err := s.platform(Options{Transport: later}).Lock(t.Context(), "renewed", lease("ben")); err != nil {
		t.Fatal(err)
	}
	held := (*sync.HeldError)(nil)
	if err := p.Lock(t.Context(), "renewed", l); !errors.As(err, &held) || held.Lease.ID != "ben" {
		t.Errorf("one that has expired is renewed: %v", err)
	}
}

// later shifts the time of n8n's answers by an hour.
var later = roundTripper(func(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		res.Header.Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
	}
	return res, err
})

func (s *server) testLeaseKilled(t *testing.T) {
	for points := 1; ; points++ {
		if points > 10 {
			t.Fatal("a lease takes more than 10 writing requests")
		}
		mortal := &dying{left: points}
		p := s.platform(Options{Transport: mortal})
		err := p.Lock(t.Context(), "killed", lease("ada"))
		if err == nil {
			err = p.Unlock(t.Context(), "killed", lease("ada"))
		}
		survived := !mortal.dead()
		if survived != (err == nil) {
			t.Fatalf("killed after request %d: %v", points, err)
		}
		next := s.platform(Options{Transport: later})
		if err := next.Lock(t.Context(), "killed", lease("ben")); err != nil {
			t.Fatalf("killed after request %d: an hour later: %v", points, err)
		}
		if names := s.leaseNames(t, "killed"); len(names) != 1 || !strings.Contains(names[0], "ben@laptop") {
			t.Errorf("killed after request %d: there are the leases %q", points, names)
		}
		if err := next.Unlock(t.Context(), "killed", lease("ben")); err != nil {
			t.Fatal(err)
		}
		if survived {
			t.Logf("killed at %d points", points-1)
			return
		}
	}
}

// Each answer to a writing request is lost once, and Lock is called again.
func (s *server) testLeaseAnswerLost(t *testing.T) {
	var lost gosync.Map
	forgetful := roundTripper(func(r *http.Request) (*http.Response, error) {
		res, err := http.DefaultTransport.RoundTrip(r)
		if _, again := lost.LoadOrStore(r.Method, true); !again && r.Method != "GET" && err == nil {
			res.Body.Close()
			return nil, errDead
		}
		return res, err
	})
	p := s.platform(Options{Transport: forgetful})
	try := func(f func() error) {
		t.Helper()
		err := f()
		for tries := 0; err != nil && tries < 5; tries++ {
			if sync.KindOf(err) != sync.Temporary {
				t.Fatal(err)
			}
			err = f()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	try(func() error { return p.Lock(t.Context(), "lost", lease("ada")) })
	if names := s.leaseNames(t, "lost"); len(names) != 1 {
		t.Errorf("there are the leases %q, want one", names)
	}
	try(func() error { return p.Unlock(t.Context(), "lost", lease("ada")) })
	if names := s.leaseNames(t, "lost"); len(names) != 0 {
		t.Errorf("there are the leases %q", names)
	}
}

func (s *server) testLeaseCopied(t *testing.T) {
	p := s.platform(Options{})
	if err := p.Lock(t.Context(), "copied", lease("ada")); err != nil {
		t.Fatal(err)
	}
	ids := s.strings(t, "SELECT id FROM workflow_entity WHERE name LIKE 'segue copied: %'")
	if len(ids) != 1 {
		t.Fatalf("there are the leases %q", ids)
	}
	var copies []string
	for _, way := range copyings[:4] {
		copies = append(copies, way.copy(t, s, ids[0]))
	}
	if err := p.Unlock(t.Context(), "copied", lease("ada")); err != nil {
		t.Fatal(err)
	}
	for _, transport := range []http.RoundTripper{nil, later} {
		other := s.platform(Options{Transport: transport})
		if err := other.Lock(t.Context(), "copied", lease("ben")); err != nil {
			t.Errorf("a copy is in the way: %v", err)
		}
		if err := other.Unlock(t.Context(), "copied", lease("ben")); err != nil {
			t.Error(err)
		}
	}
	left := s.strings(t, "SELECT id FROM workflow_entity")
	for _, id := range copies {
		if !slices.Contains(left, id) {
			t.Errorf("the copy %s was deleted", id)
		}
	}
}
