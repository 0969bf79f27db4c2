package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/platform/rest"
	"github.com/seguehq/segue/sync"
)

// quick configures calls without long pauses.
var quick = sync.Calls{Timeout: 10 * time.Second, Tries: 12, BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) }}

// wanted returns n automations that use one secret.
func wanted(n int) sync.Desired {
	d := sync.Desired{Project: "load", Target: "prod", Secrets: map[string]automation.Secret{"WRITE_KEY": automation.NewSecret("abc123")}}
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

// The network loses requests and answers, and the platform reports errors for
// work that it has done. Still each automation is there once, and the next plan
// is empty.
func TestApplyThroughFaults(t *testing.T) {
	in := wanted(300)
	server := startAcme(t)
	proxy := platformtest.StartFaultProxy(t, platformtest.Backend(t, server.URL), 7, platformtest.Faults{Rate: 0.3})
	d := described(t, worked(t))
	through := client(t, d, proxy.URL, rest.Options{Timeout: 300 * time.Millisecond})
	apply := func() *sync.Result {
		t.Helper()
		plan, err := sync.MakePlan(t.Context(), through, in, sync.PlanOptions{Calls: quick})
		if err != nil {
			t.Fatal(err)
		}
		result, err := sync.Apply(t.Context(), through, plan, in, sync.ApplyOptions{Parallelism: 8, Calls: quick})
		if err != nil {
			t.Fatalf("apply: %v", err)
		}
		return result
	}
	if got := apply().Count(sync.Create); got != 300 {
		t.Errorf("created %d automations, want 300", got)
	}
	proxy.RequireAll(t)
	platformtest.RequireExactly(t, client(t, d, server.URL, rest.Options{}), in)
	if got := len(server.rules); got != 300 {
		t.Errorf("the server has %d rules, want 300", got)
	}
	// Then creates, updates and deletes at once.
	in.Automations = in.Automations[30:]
	for i := range 30 {
		in.Automations[i].Name += ", edited"
	}
	in.Secrets = map[string]automation.Secret{"WRITE_KEY": automation.NewSecret("rotated")}
	apply()
	platformtest.RequireExactly(t, client(t, d, server.URL, rest.Options{}), in)
	if got := len(server.rules); got != 270 {
		t.Errorf("the server has %d rules, want 270", got)
	}
}

// TestApplyingProcess is not a test: TestKilledApplies runs and kills it.
func TestApplyingProcess(t *testing.T) { platformtest.ApplyingProcess(t, openAt) }

func openAt(t testing.TB, base string, transport http.RoundTripper, timeout time.Duration, secrets map[string]automation.Secret) sync.Platform {
	t.Helper()
	return client(t, described(t, worked(t)), base, rest.Options{Transport: transport, Timeout: timeout, Secrets: secrets})
}

// Fewer than a thousand automations, since each look-up reads the whole list, while requests fail in all ways and segue is killed again and
// again.
func TestKilledApplies(t *testing.T) {
	if testing.Short() {
		t.Skip("the embedded platform has the same test")
	}
	platformtest.Require(t, "rest")
	server := startAcme(t)
	in := platformtest.KilledApplies(t, platformtest.Kills{Process: "TestApplyingProcess", Open: openAt, Server: server.URL, Most: 250})
	if got := len(server.rules); got != len(in.Automations) {
		t.Errorf("the server has %d rules, want %d", got, len(in.Automations))
	}
}
