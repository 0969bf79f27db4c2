package embedded

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// wanted returns n automations that use one secret.
func wanted(n int) sync.Desired {
	d := sync.Desired{Project: "load", Target: "local", Secrets: map[string]automation.Secret{"WRITE_KEY": automation.NewSecret("abc123")}}
	for i := range n {
		d.Automations = append(d.Automations, automation.Automation{
			Key: fmt.Sprintf("team/a%03d", i), Name: fmt.Sprintf("Automation %d", i), Enabled: true,
			Trigger: automation.Trigger{Kind: automation.Pattern, Name: fmt.Sprintf("Pattern %d", i)},
			Action: automation.Request{
				Kind: automation.KindHTTPRequest, Method: "POST", URL: "https://api.segment.io/v1/track",
				Headers: map[string]automation.Header{"Authorization": {Scheme: automation.Basic, Username: automation.Credential{Secret: "WRITE_KEY"}}},
				Payload: json.RawMessage(fmt.Sprintf(`{"event":"Event %d","userId":"{{userId}}"}`, i)),
			},
		})
	}
	return d
}

// readsOnly reports whether a request changes nothing.
func readsOnly(r *http.Request) bool {
	return r.Method == http.MethodGet || r.URL.Path == "/v1/secrets:compare"
}

// The network loses requests and answers, and the platform reports errors for
// work that it has done. Still each automation is there once, and the next plan
// is empty.
func TestApplyThroughFaults(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			in := wanted(300)
			backend := served(t, ServeOptions{Data: filepath.Join(t.TempDir(), "platform.db"), Token: automation.NewSecret(testToken)})
			proxy := platformtest.StartFaultProxy(t, platformtest.Backend(t, backend), seed, platformtest.Faults{
				Rate: 0.3, ReadOnly: readsOnly,
			})
			through, err := NewClient(proxy.URL, automation.NewSecret(testToken), ClientOptions{})
			if err != nil {
				t.Fatal(err)
			}
			calls := sync.Calls{Timeout: 2 * time.Second, Tries: 12, BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) }}
			plan, err := sync.MakePlan(t.Context(), through, in, sync.PlanOptions{Calls: calls})
			if err != nil {
				t.Fatal(err)
			}
			result, err := sync.Apply(t.Context(), through, plan, in, sync.ApplyOptions{Parallelism: 8, Calls: calls})
			if err != nil {
				t.Fatalf("apply: %v", err)
			}
			if got := result.Count(sync.Create); got != 300 {
				t.Errorf("created %d automations, want 300", got)
			}
			proxy.RequireAll(t)

			direct, err := NewClient(backend, automation.NewSecret(testToken), ClientOptions{})
			if err != nil {
				t.Fatal(err)
			}
			requireExactly(t, direct, in)
			fires(t, direct)
		})
	}
}

// requireExactly checks that the platform holds each wanted automation once and
// nothing else, and that the next plan is empty.
func requireExactly(t *testing.T, p sync.Platform, in sync.Desired) {
	t.Helper()
	stored, err := p.List(t.Context(), in.Project)
	if err != nil {
		t.Fatal(err)
	}
	hashes := func(key func(int) (string, string), n int) []string {
		var out []string
		for i := range n {
			k, h := key(i)
			out = append(out, k+" "+h)
		}
		slices.Sort(out)
		return out
	}
	want := hashes(func(i int) (string, string) { return in.Automations[i].Key, in.Automations[i].Hash() }, len(in.Automations))
	got := hashes(func(i int) (string, string) { return stored[i].Marker.Key, stored[i].Automation.Hash() }, len(stored))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("automations on the platform (-want +got):\n%s", diff)
	}
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !plan.Empty() {
		t.Errorf("there is still something to do: %+v %+v", plan.Changes, plan.Secrets)
	}
}

// fires checks that the secret arrived whole. It uses a preview, which needs the
// secret and sends no message.
func fires(t *testing.T, p *Platform) {
	t.Helper()
	previews, err := p.Preview(t.Context(), Occurrence{Kind: automation.Pattern, Name: "Pattern 7", Data: json.RawMessage(`{"userId":"u"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if len(previews) != 1 || previews[0].Request == nil || previews[0].Request.Body != `{"event":"Event 7","userId":"u"}` {
		t.Errorf("preview of one trigger = %+v", previews)
	}
}

// TestApplyingProcess is not a test: TestKilledApplies runs and kills it.
func TestApplyingProcess(t *testing.T) { platformtest.ApplyingProcess(t, openAt) }

func openAt(t testing.TB, base string, transport http.RoundTripper, timeout time.Duration, _ map[string]automation.Secret) sync.Platform {
	t.Helper()
	p, err := NewClient(base, automation.NewSecret(testToken), ClientOptions{Transport: transport, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// A thousand automations, while requests fail in all ways and segue is killed again and
// again.
func TestKilledApplies(t *testing.T) {
	platformtest.Require(t, "embedded")
	platformtest.KilledApplies(t, platformtest.Kills{
		Process: "TestApplyingProcess", Open: openAt, ReadOnly: readsOnly,
		Server: served(t, ServeOptions{Data: filepath.Join(t.TempDir(), "platform.db"), Token: automation.NewSecret(testToken)}),
	})
}

// Every interleaving of two applies.
func TestTwoApplies(t *testing.T) {
	if testing.Short() {
		t.Skip("takes each interleaving in turn")
	}
	platformtest.Require(t, "embedded")
	server := served(t, ServeOptions{Data: filepath.Join(t.TempDir(), "platform.db"), Token: automation.NewSecret(testToken)})
	platformtest.TwoApplies(t, platformtest.Contest{Open: func(t testing.TB, transport http.RoundTripper) sync.Platform {
		return openAt(t, server, transport, time.Hour, nil)
	}})
}
