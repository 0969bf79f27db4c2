package platformtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	gosync "sync"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// errKilled is the error of every request after segue was killed.
var errKilled = errors.New("segue was killed")

// A Mortal sends requests until its process is killed: the last answer is lost,
// and nothing is sent afterwards.
type Mortal struct {
	mu   gosync.Mutex
	left int
}

// NewMortal returns a process that is killed after this number of requests.
func NewMortal(requests int) *Mortal { return &Mortal{left: requests} }

// RoundTrip implements [http.RoundTripper].
func (m *Mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.left--
	left := m.left
	m.mu.Unlock()
	if left < 0 {
		return nil, errKilled
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if left == 0 && err == nil {
		res.Body.Close()
		return nil, errKilled
	}
	return res, err
}

// People work on a platform by its own editor's API, beside segue.
type People struct {
	// Open returns the platform, which sends its requests by the transport.
	Open func(t testing.TB, transport http.RoundTripper) sync.Platform
	// Acts are their possible actions.
	Acts []Act
	// Everything returns all objects on the platform by their IDs, without fields
	// that the platform changes by itself.
	Everything func(t testing.TB) map[string][]byte
	// Release makes objects of theirs give up every endpoint.
	Release func(t testing.TB, ids []string)
	// Fire calls the automation's endpoint, and waits until its message was sent.
	Fire func(t testing.TB, project string, a automation.Automation, values map[string]any) error
}

// An Act is an action of people on an automation of the project.
type Act struct {
	Name string
	// Do performs the action. It returns the IDs of people's objects that it has
	// created or changed.
	Do func(t testing.TB, rng *rand.Rand, own sync.Stored) (theirs []string)
}

// Chaos runs random actions of people and randomly killed applies, while the code
// changes too, for this number of rounds. People's objects must never change. At the
// end every automation of the project is there once and fires, and the plan is
// empty.
func Chaos(t *testing.T, people People, seed uint64, rounds int) {
	t.Logf("seed %d, %d rounds", seed, rounds)
	rng := rand.New(rand.NewPCG(seed, 0))
	listener := StartRecorder(t)
	c := &chaos{People: people, t: t, rng: rng, url: listener.URL, theirs: map[string][]byte{}, counts: map[string]int{}}
	for range 4 {
		c.add()
	}
	for range rounds {
		c.act()
		c.code()
		c.apply()
		c.requireTheirs()
		if t.Failed() {
			t.Fatalf("seed %d: what was done: %q", seed, c.log)
		}
	}
	t.Logf("what people did: %v", c.counts)

	var ids []string
	for id := range c.theirs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	people.Release(t, ids)
	c.remember(ids)
	p := people.Open(t, http.DefaultTransport)
	in := c.desired()
	for range 3 { // an update may have to wait for a delete
		plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowMassDelete: true, AllowSecondProject: true, Calls: quick})
		if err != nil {
			t.Fatalf("plan: %v", err)
		}
		if plan.Empty() {
			break
		}
		if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: quick}); err != nil {
			t.Errorf("the last apply: %v", err)
		}
	}
	c.requireTheirs()
	RequireExactly(t, p, in)
	for _, a := range in.Automations {
		if !a.Enabled {
			continue
		}
		if err := people.Fire(t, in.Project, a, map[string]any{"userId": "u-" + a.Key}); err != nil {
			t.Errorf("fire %s: %v", a.Key, err)
			continue
		}
		if got := listener.Next(t); !bytes.Contains(got.Body, []byte(`"u-`+a.Key+`"`)) {
			t.Errorf("%s has sent %s", a.Key, got.Body)
		}
	}
	if t.Failed() {
		t.Logf("seed %d: what was done: %q", seed, c.log)
	}
}

// A chaos is one run of [Chaos].
type chaos struct {
	People
	t           *testing.T
	rng         *rand.Rand
	url         string
	automations []automation.Automation
	serial      int
	// theirs are people's objects in their last state.
	theirs map[string][]byte
	counts map[string]int
	log    []string
}

const chaosProject = "chaos"

// add adds an automation to the code.
func (c *chaos) add() {
	c.serial++
	s := scene{project: chaosProject}
	c.automations = append(c.automations, s.automation(fmt.Sprintf("growth/a%02d", c.serial), c.url))
}

func (c *chaos) desired() sync.Desired {
	return sync.Desired{Project: chaosProject, Target: "test", Automations: slices.Clone(c.automations), Secrets: Secret("abc123")}
}

// act makes people do one to three actions.
func (c *chaos) act() {
	p := c.Open(c.t, http.DefaultTransport)
	for range 1 + c.rng.IntN(3) {
		own, err := patientPlatform{c.t, p}.List(c.t.Context(), chaosProject)
		if err != nil {
			c.t.Fatalf("list: %v", err)
		}
		if len(own) == 0 {
			return
		}
		slices.SortFunc(own, func(a, b sync.Stored) int { return bytes.Compare([]byte(a.Marker.Key+a.ID), []byte(b.Marker.Key+b.ID)) })
		one, what := own[c.rng.IntN(len(own))], c.Acts[c.rng.IntN(len(c.Acts))]
		c.log = append(c.log, what.Name+" "+one.Marker.Key)
		c.counts[what.Name]++
		c.remember(what.Do(c.t, c.rng, one))
	}
}

// remember records the state of people's objects.
func (c *chaos) remember(ids []string) {
	if len(ids) == 0 {
		return
	}
	all := c.Everything(c.t)
	for _, id := range ids {
		if content, there := all[id]; there {
			c.theirs[id] = content
		} else {
			delete(c.theirs, id)
		}
	}
}

// code changes the code.
func (c *chaos) code() {
	i := c.rng.IntN(len(c.automations))
	a := &c.automations[i]
	switch c.rng.IntN(8) {
	case 0:
		a.Name += "."
		c.log = append(c.log, "code: edit "+a.Key)
	case 1:
		c.serial++
		old := a.Key
		a.Key = fmt.Sprintf("growth/a%02d", c.serial)
		c.log = append(c.log, "code: rename "+old+" to "+a.Key)
	case 2:
		c.log = append(c.log, "code: replace "+a.Key)
		c.automations = slices.Delete(c.automations, i, i+1)
		c.add()
	}
}

// apply runs an apply, which is killed in most cases.
func (c *chaos) apply() {
	lives := 1 + c.rng.IntN(60)
	var transport http.RoundTripper = NewMortal(lives)
	if c.rng.IntN(3) == 0 {
		lives, transport = -1, http.DefaultTransport
	}
	p := c.Open(c.t, transport)
	in := c.desired()
	plan, err := sync.MakePlan(c.t.Context(), p, in, sync.PlanOptions{AllowMassDelete: true, Calls: hasty})
	if err == nil {
		_, err = sync.Apply(c.t.Context(), p, plan, in, sync.ApplyOptions{Calls: hasty})
	}
	c.log = append(c.log, fmt.Sprintf("apply, %d requests: %v", lives, err))
}

// hasty configures calls of a killed process, which retries can't help.
var hasty = sync.Calls{Tries: 2, BackOff: quick.BackOff}

// requireTheirs checks that people's objects have not changed.
func (c *chaos) requireTheirs() {
	all := c.Everything(c.t)
	for id, content := range c.theirs {
		switch now, there := all[id]; {
		case !there:
			c.t.Errorf("%s, which is not the project's own, is gone", id)
		case !bytes.Equal(now, content):
			c.t.Errorf("%s, which is not the project's own, has changed\nfrom %s\nto   %s", id, content, now)
		}
	}
}

// seedVariable holds the seed of a [Chaos] that is to be repeated.
const seedVariable = "SEGUE_TEST_SEED"

// Seed returns a new seed, or the one in SEGUE_TEST_SEED.
func Seed(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv(seedVariable)
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", seedVariable, err)
	}
	return seed
}
