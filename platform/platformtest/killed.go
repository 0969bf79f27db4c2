package platformtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// Kills says how applies are killed, again and again, while requests fail.
type Kills struct {
	// Process is the name of the test that calls [ApplyingProcess], and does nothing else.
	Process string
	// Server is the base URL of the platform.
	Server string
	// ReadOnly is that of [Faults].
	ReadOnly func(*http.Request) bool
	// Most is the most automations, 0 for no bound.
	Most int
	// Open returns the platform at a URL, which sends its requests by the transport.
	Open OpenPlatform
}

// An OpenPlatform returns the platform at a base URL. It sends its requests by the
// transport, gives up on one after the timeout, and knows the values of the secrets.
type OpenPlatform func(t testing.TB, base string, transport http.RoundTripper, timeout time.Duration,
	secrets map[string]automation.Secret) sync.Platform

const (
	// kills is how often an apply is killed.
	kills = 10
	// Of ten requests three fail: one in the network, and two by their answers. Some of the
	// faults only take their time, and an answer may be too short to be cut.
	networkRate, answerRate = 0.15, 0.25
	// applyVariable has the [applying] of a process.
	applyVariable = "SEGUE_TEST_APPLY"
	// struckPrefix begins the line that a process writes for each toxic that has struck.
	struckPrefix = "struck: "
)

// An applying is what a process applies, and how.
type applying struct {
	URL     string
	Network Network
	Seed    uint64
	// Size is the number of automations, and Version that of the code.
	Size, Version int
}

// code returns a version of the code: with the next one a quarter of the automations
// changes, and one in fifty goes while as many come.
func (a applying) code() sync.Desired {
	s := scene{project: "killed"}
	in := s.desired()
	first := a.Version * a.Size / 50
	for i := first; i < first+a.Size; i++ {
		one := s.automation(fmt.Sprintf("team-%d/a%05d", i%7, i), "https://api.segment.io/v1/track")
		one.Name += fmt.Sprintf(", version %d", (a.Version+i)/4)
		in.Automations = append(in.Automations, one)
	}
	return in
}

// calls get past any number of faults that is probable.
func (applying) calls() sync.Calls {
	return sync.Calls{Timeout: time.Second, Tries: 40,
		BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(2 * time.Millisecond) }}
}

// ApplyingProcess is all of a test that [KilledApplies] runs as a process, to kill it.
// Otherwise it skips the test.
func ApplyingProcess(t *testing.T, open OpenPlatform) {
	var a applying
	text := os.Getenv(applyVariable)
	if text == "" {
		t.Skip("for a test that kills it")
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	in, calls := a.code(), a.calls()
	struck := func(toxic Toxic) { fmt.Print(struckPrefix + toxic + "\n") } // one write, which a kill does not tear
	p := open(t, a.URL, a.Network.Transport(a.Seed, networkRate, struck), calls.Timeout, in.Secrets)
	// An apply that was killed early may have left little, all of which is gone from the code now.
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{Calls: calls, AllowMassDelete: true})
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Parallelism: 16, Calls: calls}); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// KilledApplies has processes apply 1,000 automations, 16 at a time, while 3 requests in 10
// fail. Ten of them are killed at a random request, and the code changes in between. The
// last one lives: each automation is there once then, and the plan is empty. It returns
// what is there. With -short there are 250 automations.
func KilledApplies(t *testing.T, k Kills) sync.Desired {
	t.Helper()
	seed := Seed(t)
	size := 1000
	if testing.Short() {
		size = 250
	}
	if k.Most > 0 {
		size = min(size, k.Most)
	}
	t.Logf("seed %d (%s repeats it), %d automations", seed, seedVariable, size)
	u, err := url.Parse(k.Server)
	if err != nil {
		t.Fatal(err)
	}
	r := &killing{Kills: k, network: StartNetwork(t, u.Host), rng: rand.New(rand.NewPCG(seed, 0)), counts: map[string]int{}}
	killed := 0
	next := applying{Size: size, Network: r.network, Seed: seed}
	for ; killed < kills; next.Version++ {
		if next.Version == 4*kills {
			t.Fatalf("only %d of %d applies lived until they were to be killed", killed, next.Version)
		}
		after := 1 + r.rng.IntN(size/2)
		if next.Seed++; r.apply(t, next, after) {
			killed++
			t.Logf("version %d of the code: killed at request %d", next.Version, after)
		}
	}
	if next.Seed++; r.apply(t, next, 0) {
		t.Error("the last apply was killed")
	}
	t.Logf("%d applies, of which %d were killed; %d requests to the answering proxy", next.Version+1, killed, r.requests)
	for _, kind := range slices.Sorted(maps.Keys(r.counts)) {
		t.Logf("%6d %s", r.counts[kind], kind)
	}
	for _, kind := range r.kinds() {
		if r.counts[kind] == 0 {
			t.Errorf("the fault %q never struck", kind)
		}
	}
	in := next.code()
	RequireExactly(t, k.Open(t, k.Server, nil, 30*time.Second, in.Secrets), in)
	return in
}

// A killing is one run of [KilledApplies].
type killing struct {
	Kills
	network  Network
	rng      *rand.Rand
	counts   map[string]int // by the kind of fault
	requests int
}

func (r *killing) kinds() []string {
	var all []string
	for _, f := range AllFaults {
		all = append(all, string(f))
	}
	for _, toxic := range AllToxics {
		all = append(all, string(toxic))
	}
	return all
}

// apply runs a process that applies, and kills it after so many requests, 0 for never. It
// reports whether the process was killed.
func (r *killing) apply(t *testing.T, a applying, after int) (killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+r.Process+"$", "-test.timeout=10m")
	started := make(chan struct{}) // before that, the process is not there to be killed
	proxy := StartFaultProxy(t, Backend(t, r.Server), a.Seed, Faults{
		Rate: answerRate, ReadOnly: r.ReadOnly, KillAfter: after, KillMidway: r.rng.IntN(2) == 0,
		OnKill: func() {
			<-started
			_ = cmd.Process.Kill() // it is waited for below
		},
	})
	a.URL = proxy.URL
	job, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), applyVariable+"="+string(job)), &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	err = cmd.Wait()
	killed = proxy.Killed() > 0
	var exit *exec.ExitError
	if err != nil && !(killed && errors.As(err, &exit) && exit.ExitCode() < 0) {
		t.Fatalf("version %d of the code, to be killed after %d requests: %v\n%s", a.Version, after, err, out.Bytes())
	}
	for f, n := range proxy.Counts() {
		r.counts[string(f)] += n
	}
	r.requests += proxy.Requests()
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		if toxic, ok := strings.CutPrefix(lines.Text(), struckPrefix); ok {
			r.counts[toxic]++
		}
	}
	return killed
}
