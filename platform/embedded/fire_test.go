package embedded

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
)

var activated = Occurrence{Kind: automation.Pattern, Name: "Account activated", Data: json.RawMessage(`{"userId":"u1","userName":"Ann"}`)}

// withAutomations opens a platform with these automations in the project growth
// and the write key abc123.
func withAutomations(t *testing.T, o LocalOptions, all ...automation.Automation) *Platform {
	t.Helper()
	p := openLocal(t, dataFile(t), o)
	fill(t, p, all...)
	return p
}

func fill(t *testing.T, p *Platform, all ...automation.Automation) {
	t.Helper()
	if err := p.PutSecret(t.Context(), "growth", writeKey, automation.NewSecret("abc123")); err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		must(p.Create(t.Context(), "growth", a))(t)
	}
}

// waitFinal waits until no delivery of the occurrence is pending.
func waitFinal(t *testing.T, p *Platform, id string) []Delivery {
	t.Helper()
	for {
		all := must(p.Deliveries(t.Context(), DeliveryQuery{Occurrence: id}))(t)
		if len(all) > 0 && len(must(p.Deliveries(t.Context(), DeliveryQuery{Occurrence: id, Status: Pending}))(t)) == 0 {
			return must(p.Deliveries(t.Context(), DeliveryQuery{Occurrence: id}))(t)
		}
	}
}

func TestFireDeliversEachEnabledAutomationOfTheTrigger(t *testing.T) {
	target := newEndpoint(t)
	a, b, off, other, journey := sample("growth/a", target.URL+"/a?u={{userId}}"), sample("growth/b", target.URL+"/b"),
		sample("growth/off", target.URL+"/off"), sample("growth/other", target.URL+"/other"), sample("growth/journey", target.URL+"/journey")
	off.Enabled = false
	other.Trigger.Name = "account activated"
	journey.Trigger.Kind = automation.Journey
	p := withAutomations(t, LocalOptions{Delivery: fast()}, a, b, off, other, journey)

	// A value can't break the message, or inject fields or placeholders.
	name := "O\"Neil\n{{x}} \u2028 \\u0041 </script> {{userId}}"
	o := activated
	o.Data = must(json.Marshal(map[string]any{"userId": "a/b&c=d", "userName": name}))(t)
	result := must(p.Fire(t.Context(), o))(t)

	var paths []string
	for _, r := range target.requests() {
		paths = append(paths, r.Path)
		if got := r.Header.Get("Authorization"); got != "Basic YWJjMTIzOg==" {
			t.Errorf("Authorization is %q, want Basic YWJjMTIzOg==", got)
		}
		var body struct {
			UserID string `json:"userId"`
			Traits struct{ Name string }
		}
		if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
			t.Errorf("the body is not JSON: %v\n%s", err, r.Body)
		}
		if body.Traits.Name != name || body.UserID != "a/b&c=d" {
			t.Errorf("arrived: %q and %q", body.Traits.Name, body.UserID)
		}
	}
	if len(paths) != 2 || !strings.Contains(strings.Join(paths, " "), "/a?u=a%2Fb%26c%3Dd") || !strings.Contains(strings.Join(paths, " "), "/b") {
		t.Errorf("requests for %q, want /a?u=a%%2Fb%%26c%%3Dd and /b", paths)
	}
	var keys []string
	for _, d := range result.Deliveries {
		keys = append(keys, d.Automation.Key)
		if d.Status != Delivered || len(d.Attempts) != 1 || d.Attempts[0].Status != 200 || d.FinishedAt == nil || d.DueAt != nil || d.Occurrence != result.ID {
			t.Errorf("delivery %+v", d)
		}
		if h := d.Request.Headers["Authorization"]; h.Username.Secret != writeKey {
			t.Errorf("the secret is recorded as %+v, want a reference", h)
		}
	}
	if diff := cmp.Diff([]string{"growth/a", "growth/b"}, keys); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
}

func TestFireWithoutAutomations(t *testing.T) {
	p := withAutomations(t, LocalOptions{})
	if r := must(p.Fire(t.Context(), activated))(t); len(r.Deliveries) != 0 || r.ID == "" {
		t.Errorf("got %+v", r)
	}
}

func TestDeliveryIsRetried(t *testing.T) {
	target := newEndpoint(t, answerWith(500), answerWith(408), answerWith(429, "Retry-After", "0"), reset, answerWith(204))
	p := withAutomations(t, LocalOptions{Delivery: fast()}, sample("growth/a", target.URL))
	d := must(p.Fire(t.Context(), activated))(t).Deliveries[0]
	var statuses []int
	for i, a := range d.Attempts {
		statuses = append(statuses, a.Status)
		if a.Number != i+1 || (a.Error == "") != (a.Status == 204) {
			t.Errorf("attempt %+v", a)
		}
	}
	if diff := cmp.Diff([]int{500, 408, 429, 0, 204}, statuses); diff != "" || d.Status != Delivered || d.Error != "" {
		t.Errorf("%s %q, statuses (-want +got):\n%s", d.Status, d.Error, diff)
	}
	if d.Attempts[0].Answer != "answer 500" {
		t.Errorf("the answer is recorded as %q", d.Attempts[0].Answer)
	}
	if n := len(target.requests()); n != 5 {
		t.Errorf("%d requests, want 5: none after a success", n)
	}
}

func TestDeliveryIsGivenUp(t *testing.T) {
	always := func(h http.HandlerFunc) []http.HandlerFunc {
		return []http.HandlerFunc{h, h, h, h, h, h, h, h, h, h}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, test := range map[string]struct {
		answers  []http.HandlerFunc
		url      string
		change   func(*automation.Automation)
		attempts int
		want     string
	}{
		"server error":  {always(answerWith(503)), "", nil, 6, "given up after 6 attempts: answered 503 Service Unavailable"},
		"refused":       {always(answerWith(400)), "", nil, 1, "answered 400 Bad Request"},
		"redirect":      {always(answerWith(307, "Location", "https://elsewhere.example/x?token=1")), "", nil, 1, "a redirect to https://elsewhere.example/x; deliveries do not follow redirects"},
		"nobody there":  {nil, gone.URL, nil, 6, "connection refused"},
		"value missing": {nil, "", func(a *automation.Automation) { a.Action.Payload = json.RawMessage(`{"x":"{{accountId}}"}`) }, 0, "no value for placeholder {{accountId}}"},
		"cast fails":    {nil, "", func(a *automation.Automation) { a.Action.Payload = json.RawMessage(`{"x":"{{userName | number}}"}`) }, 0, "is not a number"},
		"secret missing": {nil, "", func(a *automation.Automation) {
			a.Action.Headers["X"] = automation.Header{Value: automation.Credential{Secret: "OTHER"}}
		}, 0, "the secret OTHER of project growth is not stored"},
	} {
		t.Run(name, func(t *testing.T) {
			target := newEndpoint(t, test.answers...)
			if test.url == "" {
				test.url = target.URL
			}
			bad := sample("growth/bad", test.url)
			if test.change != nil {
				test.change(&bad)
			}
			fine := newEndpoint(t)
			p := withAutomations(t, LocalOptions{Delivery: fast()}, bad, sample("growth/fine", fine.URL))
			all := must(p.Fire(t.Context(), activated))(t).Deliveries
			if d := all[0]; d.Status != Failed || !strings.Contains(d.Error, test.want) || len(d.Attempts) != test.attempts {
				t.Errorf("%s after %d attempts: %q, want failed after %d: %q", d.Status, len(d.Attempts), d.Error, test.attempts, test.want)
			}
			if all[1].Status != Delivered {
				t.Errorf("the other one: %+v", all[1])
			}
		})
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	target := newEndpoint(t, answerWith(429, "Retry-After", "1200"), answerWith(503, "Retry-After", "1000000"))
	log := newLogBook()
	p := withAutomations(t, LocalOptions{Delivery: fast(), Logger: log.logger()}, sample("growth/a", target.URL), sample("growth/b", target.URL))
	ctx, cancel := context.WithCancel(t.Context())
	fired := make(chan error)
	go func() {
		_, err := p.Fire(ctx, activated)
		fired <- err
	}()
	<-log.attempted
	<-log.attempted
	cancel()
	if err := <-fired; err == nil {
		t.Error("Fire ended without an error though deliveries are pending")
	}
	var longest, shortest time.Duration
	for _, d := range must(p.Deliveries(t.Context(), DeliveryQuery{Status: Pending}))(t) {
		wait := d.DueAt.Sub(d.Attempts[0].StartedAt)
		if longest == 0 || wait > longest {
			longest = wait
		}
		if shortest == 0 || wait < shortest {
			shortest = wait
		}
	}
	if shortest < 1200*time.Second || shortest > 1300*time.Second || longest < longestRetryAfter || longest > longestRetryAfter+time.Minute {
		t.Errorf("waits of %v and %v, want 20 minutes and, at most, an hour", shortest, longest)
	}
}

func TestWaitsGrow(t *testing.T) {
	o := DeliveryOptions{}.withDefaults()
	for attempts, middle := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 9: time.Minute} {
		if got := o.wait(attempts); got < middle/2 || got > middle*3/2+1 {
			t.Errorf("wait after %d attempts: %v, want about %v", attempts, got, middle)
		}
	}
}

func TestPreviewSendsNothing(t *testing.T) {
	target := newEndpoint(t)
	broken := sample("growth/b", target.URL)
	broken.Action.Payload = json.RawMessage(`{"x":"{{accountId}}"}`)
	p := withAutomations(t, LocalOptions{Delivery: fast()}, sample("growth/a", target.URL), broken)
	previews := must(p.Preview(t.Context(), activated))(t)
	if len(previews) != 2 || previews[0].Request == nil || previews[0].Request.Body != `{"traits":{"name":"Ann"},"userId":"u1"}` {
		t.Fatalf("got %+v", previews)
	}
	want := automation.Header{Scheme: automation.Basic, Username: automation.Credential{Secret: writeKey}}
	if diff := cmp.Diff(want, previews[0].Request.Headers["Authorization"]); diff != "" {
		t.Errorf("Authorization (-want +got):\n%s", diff)
	}
	if previews[1].Request != nil || !strings.Contains(previews[1].Error, "accountId") {
		t.Errorf("the broken one: %+v", previews[1])
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(target.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if all := must(openLocal(t, p.place, LocalOptions{}).Deliveries(t.Context(), DeliveryQuery{}))(t); len(all) != 0 {
		t.Errorf("stored: %+v", all)
	}
}

func TestOneIDIsOneOccurrence(t *testing.T) {
	target := newEndpoint(t)
	p := withAutomations(t, LocalOptions{Delivery: fast()}, sample("growth/a", target.URL))
	o := activated
	o.ID = "order-1"
	var running gosync.WaitGroup
	for range 4 {
		running.Go(func() {
			if r, err := p.Fire(t.Context(), o); err != nil || len(r.Deliveries) != 1 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	running.Wait()
	if n := len(target.requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	o.Data = json.RawMessage(`{"userId":"another"}`)
	if _, err := p.Fire(t.Context(), o); err == nil || !strings.Contains(err.Error(), "other content") {
		t.Errorf("the same id with other content: %v", err)
	}
}

func TestSeveralDispatchersSendOnce(t *testing.T) {
	target := newEndpoint(t)
	path := dataFile(t)
	var all []*Platform
	for range 3 {
		all = append(all, openLocal(t, path, LocalOptions{Delivery: fast()}))
	}
	fill(t, all[0], sample("growth/a", target.URL), sample("growth/b", target.URL))
	const each = 10
	var running gosync.WaitGroup
	for _, p := range all {
		for i := range each {
			running.Go(func() {
				o := activated
				o.Data = fmt.Appendf(nil, `{"userId":"%p-%d","userName":"x"}`, p, i)
				if _, err := p.Fire(t.Context(), o); err != nil {
					t.Error(err)
				}
			})
		}
	}
	running.Wait()
	if n := len(target.requests()); n != len(all)*each*2 {
		t.Errorf("%d requests, want %d", n, len(all)*each*2)
	}
}

func TestCloseLeavesTheRestPending(t *testing.T) {
	started, end := make(chan struct{}), make(chan struct{})
	slow := func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-end
	}
	target := newEndpoint(t, slow)
	path := dataFile(t)
	o := fast()
	o.Parallel = 1
	p := openLocal(t, path, LocalOptions{Delivery: o})
	fill(t, p, sample("growth/a", target.URL), sample("growth/b", target.URL), sample("growth/c", target.URL))
	ctx, cancel := context.WithCancel(t.Context())
	fired := make(chan struct{})
	go func() {
		defer close(fired)
		p.Fire(ctx, activated)
	}()
	<-started
	cancel()
	<-fired
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	close(end)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	sent := len(target.requests())

	// Reading sends nothing; firing also sends the deliveries left over.
	again := openLocal(t, path, LocalOptions{Delivery: fast()})
	pending := must(again.Deliveries(t.Context(), DeliveryQuery{Status: Pending}))(t)
	if sent+len(pending) != 3 || len(pending) == 0 {
		t.Fatalf("%d sent and %d pending, want 3 in all and some pending", sent, len(pending))
	}
	nobodys := activated
	nobodys.Name = "Nobody's"
	must(again.Fire(t.Context(), nobodys))(t)
	waitFinal(t, again, pending[0].Occurrence)
	if n := len(target.requests()); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// TestFiringProcess is not a test: TestKilledProcessIsHealed runs and kills it.
func TestFiringProcess(t *testing.T) {
	path := os.Getenv("SEGUE_TEST_FIRE")
	if path == "" {
		t.Skip("for TestKilledProcessIsHealed")
	}
	o := fast()
	o.Parallel = 1
	openLocal(t, path, LocalOptions{Delivery: o}).Fire(t.Context(), activated)
}

func TestKilledProcessIsHealed(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	reached, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	target := newEndpoint(t, func(http.ResponseWriter, *http.Request) { close(reached); <-end })
	p := withAutomations(t, LocalOptions{}, sample("growth/a", target.URL), sample("growth/b", target.URL))
	p.Close()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFiringProcess$")
	c.Env = append(os.Environ(), "SEGUE_TEST_FIRE="+p.place)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	<-reached
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.Wait()

	store := openStore(t, p.place)
	store.now = func() time.Time { return time.Now().Add(time.Minute) } // claims have run out
	d := newDispatcher(store, fast(), newLogBook().logger())
	d.Start()
	defer d.Close()
	after := platformOver(t, store)
	pending := must(after.Deliveries(t.Context(), DeliveryQuery{}))(t)
	for _, d := range waitFinal(t, after, pending[0].Occurrence) {
		if d.Status != Delivered {
			t.Errorf("%s: %s %q", d.Automation.Key, d.Status, d.Error)
		}
	}
	// The delivery in progress is sent again: delivery is at least once.
	if n := len(target.requests()); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

func TestSecretsAreNowhere(t *testing.T) {
	const secret, other = `wk"9f8e7d/6c5b4a<&>`, "another-secret-0123456789"
	basic := base64.StdEncoding.EncodeToString([]byte(secret + ":"))
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://"+other+".example/")
			w.WriteHeader(status)
			fmt.Fprintln(w, r.Header.Get("Authorization"), r.Header.Get("X-Key"), encoded, secret, other)
			json.NewEncoder(w).Encode(secret)
			// A secret that begins just before the end of the kept part.
			io.WriteString(w, strings.Repeat("x", 4*answerBytes)[:answerBytes]+secret)
		}
	}
	cut := func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", answerBytes-5)+other+strings.Repeat("y", 500))
	}
	target := newEndpoint(t, echo(500), echo(302), cut)
	log := newLogBook()
	path := dataFile(t)
	url := served(t, ServeOptions{Data: path, Token: automation.NewSecret(testToken), Logger: log.logger(), Delivery: fast()})
	p := must(NewClient(url, automation.NewSecret(testToken), ClientOptions{}))(t)
	a := sample("growth/a", target.URL)
	a.Action.Headers["X-Key"] = automation.Header{Value: automation.Credential{Secret: writeKey}}
	must(p.Create(t.Context(), "growth", a))(t)
	for name, value := range map[string]string{writeKey: secret, "OTHER": other} {
		if err := p.PutSecret(t.Context(), "growth", name, automation.NewSecret(value)); err != nil {
			t.Fatal(err)
		}
	}
	must(p.Secrets(t.Context(), "growth", map[string]automation.Secret{writeKey: automation.NewSecret(secret)}))(t)
	redirected := must(p.Fire(t.Context(), activated))(t)
	cutOff := must(p.Fire(t.Context(), activated))(t)
	if got := target.requests()[0].Header.Get("X-Key"); got != secret {
		t.Fatalf("the endpoint got %q", got)
	}
	if d := redirected.Deliveries[0]; d.Status != Failed || len(d.Attempts) != 2 || strings.Count(d.Attempts[0].Answer, "(secret)") < 6 {
		t.Errorf("got %+v", d)
	}
	if got, want := cutOff.Deliveries[0].Attempts[0].Answer, strings.Repeat("x", answerBytes-5)+"(secret)"; got != want {
		t.Errorf("the cut answer ends in %q", got[max(0, len(got)-40):])
	}

	places := map[string][]byte{"log": log.bytes()}
	for _, suffix := range []string{"", "-wal", ".key"} {
		places["file "+suffix] = must(os.ReadFile(path + suffix))(t)
	}
	for _, target := range []string{"/v1/automations", "/v1/secrets?project=growth", "/v1/deliveries", "/v1/deliveries/" + redirected.Deliveries[0].ID, "/v1/occurrences/" + redirected.ID,
		"/metrics", "/healthz"} {
		r, _ := http.NewRequest("GET", url+target, nil)
		r.Header.Set("Authorization", "Bearer "+testToken)
		res := must(http.DefaultClient.Do(r))(t)
		places["answer "+target] = must(io.ReadAll(res.Body))(t)
		res.Body.Close()
	}
	for place, text := range places {
		if len(text) == 0 {
			t.Errorf("%s is empty", place)
		}
		for _, s := range []string{secret, other, basic, encoded, testToken, "9f8e7d", "another"} {
			if bytes.Contains(text, []byte(s)) {
				t.Errorf("%s holds %q", place, s)
			}
		}
	}
}
