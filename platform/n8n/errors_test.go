package n8n

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// wantError checks an error's kind, and that its message contains every part
// and no secret.
func wantError(t *testing.T, err error, kind sync.ErrorKind, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of kind %d about %q", kind, parts)
	}
	if got := sync.KindOf(err); got != kind {
		t.Errorf("error %q is of kind %d, want %d", err, got, kind)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not hold %q", err, part)
		}
	}
	if strings.Contains(err.Error(), testKey) || strings.Contains(err.Error(), "eyJ") {
		t.Errorf("error %q holds the API key", err)
	}
}

// testKey is an API key that no n8n has issued.
const testKey = "n8n_api_0123456789abcdef"

// notReady is n8n's answer, with status 503, after a slow ping of its database.
const notReady = `{"code":503,"message":"Database is not ready!"}`

// limitHook makes n8n refuse to activate some workflows, as a host of n8n can:
// n8n runs the hooks in EXTERNAL_HOOK_FILES, and passes on their exceptions.
const limitHook = `module.exports = {workflow: {activate: [async (workflow) => {
	if (workflow.name.startsWith('One too many')) throw new Error('` + limitReached + `');
}]}};`

const limitReached = "You have reached the limit of 5 active workflows of your plan"

func TestBadInput(t *testing.T) {
	t.Parallel()
	hook := filepath.Join(t.TempDir(), "hook.js")
	if err := os.WriteFile(hook, []byte(limitHook), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, "EXTERNAL_HOOK_FILES="+hook)
	list := func(t *testing.T, key automation.Secret) error {
		t.Helper()
		p, err := New(s.url, key, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		_, err = p.List(t.Context(), "growth")
		return err
	}
	t.Run("a wrong API key", func(t *testing.T) {
		wantError(t, list(t, automation.NewSecret(testKey)), sync.Unauthorized, "does not accept the API key", "Settings > n8n API")
	})
	t.Run("an expired API key", func(t *testing.T) {
		// n8n does not make keys that have already expired.
		var key automation.Secret
		for soon := 2 * time.Second; key.Reveal() == ""; soon *= 2 {
			made, err := s.newKey(t, time.Now().Add(soon).Unix())
			if err != nil && (soon > time.Minute || !strings.Contains(err.Error(), "must be in the future")) {
				t.Fatal(err)
			}
			key = made
		}
		err := list(t, key)
		for ; err == nil; err = list(t, key) {
			time.Sleep(100 * time.Millisecond)
		}
		wantError(t, err, sync.Unauthorized, "has expired, on ", "Settings > n8n API")
	})
	t.Run("a workflow limit, in its own words", func(t *testing.T) {
		p := s.platform(Options{})
		in := two("limit", "abc123")
		in.Automations[0].Name = "One too many"
		plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true})
		if err != nil {
			t.Fatal(err)
		}
		result, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: patient})
		wantError(t, err, sync.Refused, in.Automations[0].Key, "400: "+limitReached)
		if result.Count(sync.Create) != 1 {
			t.Errorf("%d automations were created, want the other one", result.Count(sync.Create))
		}
		in.Automations[0].Name = "Not one too many any more"
		apply(t, p, in)
		platformtest.RequireExactly(t, p, in)
		s.requireUsed(t, "limit")
	})
	// n8n has no license for the variables of this endpoint. The endpoints that
	// segue uses need no license, but a future n8n may require one.
	t.Run("a license refusal, in n8n's own words", func(t *testing.T) {
		err := s.platform(Options{}).do(t.Context(), call{method: "GET", path: "/variables"})
		wantError(t, err, sync.Refused, "403: Your license does not allow for feat:variables. To enable feat:variables, please upgrade to a license that supports this feature.")
	})
	// All versions check requests against a description of their API. A request
	// unknown to this version gets the same answer as one that segue uses gets
	// from an older version.
	t.Run("a version that is too old", func(t *testing.T) {
		for name, c := range map[string]call{
			"a query parameter": {method: "GET", path: "/workflows", query: url.Values{"fromTheFuture": {"true"}}},
			"a field":           {method: "POST", path: "/workflows", in: map[string]any{"name": "n", "nodes": []any{}, "connections": map[string]any{}, "settings": map[string]any{}, "fromTheFuture": true}},
			"a field of a node": {method: "POST", path: "/workflows", in: map[string]any{"name": "n", "nodes": []any{map[string]any{"fromTheFuture": true}}, "connections": map[string]any{}, "settings": map[string]any{}}},
			"a credential type": {method: "POST", path: "/credentials", in: map[string]any{"name": "name", "type": "fromTheFuture", "data": map[string]any{}}},
		} {
			t.Run(name, func(t *testing.T) {
				err := s.platform(Options{}).do(t.Context(), c)
				wantError(t, err, sync.Refused, "400: n8n at "+s.url+" has a version that segue does not support", Versions)
			})
		}
	})
	t.Run("a webhook path that somebody else has", func(t *testing.T) {
		p := s.platform(Options{})
		in := platformtest.Hundred("conflict", "https://example.com")
		in.Automations = in.Automations[:2]
		hook := newNode("h", "Hook", "n8n-nodes-base.webhook", 2, 0, 0, map[string]any{
			"path": webhookPath("conflict", in.Automations[0].Key), "httpMethod": "POST", "options": map[string]any{}})
		hook["webhookId"] = webhookID("someone", "else")
		var foreign struct{ ID string }
		s.rest(t, "POST", "/api/v1/workflows", workflow{Name: "Somebody's", Nodes: []node{hook}, Connections: map[string]any{}, Settings: map[string]any{}}, &foreign)
		s.rest(t, "POST", "/api/v1/workflows/"+foreign.ID+"/activate", nil, nil)
		plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true})
		if err != nil {
			t.Fatal(err)
		}
		result, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: patient})
		wantError(t, err, sync.Refused, "POST /webhook/segue/conflict/team-0/a000 is held by", `"Somebody's"`, foreign.ID, "change or delete it there")
		if result.Count(sync.Create) != 1 {
			t.Errorf("%d automations were created, want the other one", result.Count(sync.Create))
		}
		// After the remedy, the next apply continues.
		s.rest(t, "POST", "/api/v1/workflows/"+foreign.ID+"/deactivate", nil, nil)
		apply(t, p, in)
		platformtest.RequireExactly(t, p, in)
	})
	t.Run("n8n's database is not ready for a while", func(t *testing.T) {
		var skip, refuse atomic.Int64 // so many requests
		p := s.platform(Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if skip.Add(-1) >= 0 || refuse.Add(-1) < 0 {
				return http.DefaultTransport.RoundTrip(r)
			}
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, err := io.WriteString(w, notReady)
			return w.Result(), err
		})})
		in := two("unready", "abc123")
		refuse.Store(2)
		plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true})
		if err != nil {
			t.Fatal(err)
		}
		refuse.Store(3)
		if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{}); err != nil {
			t.Fatal(err)
		}
		platformtest.RequireExactly(t, p, in)
		s.requireCredentials(t, "unready", 1)
		// Whichever request of a rotation is refused, the next apply completes
		// it, in this process or another.
		for i := range int64(16) {
			in.Secrets = platformtest.Secret(fmt.Sprintf("rotated %d", i))
			plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true})
			if err != nil {
				t.Fatal(err)
			}
			refuse.Store(1)
			skip.Store(i)
			if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: patient}); err != nil {
				t.Fatal(err)
			}
			refuse.Store(0)
			s.requireCredentials(t, "unready", 1)
		}
		apply(t, p, sync.Desired{Project: "unready", Target: "test"})
		s.requireCredentials(t, "unready", 0)
	})
	t.Run("n8n goes away midway", func(t *testing.T) {
		kill := &tripwire{}
		p := s.platform(Options{Transport: kill})
		in := platformtest.Hundred("away", "https://example.com")
		in.Automations = in.Automations[:20]
		tripped := kill.set(30)
		done := make(chan error)
		go func() {
			plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true})
			if err == nil {
				_, err = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Parallelism: 8, Calls: sync.Calls{Tries: 2}})
			}
			done <- err
		}()
		<-tripped
		s.process.Kill()
		wantError(t, <-done, sync.Temporary, "failed", "can't reach n8n at "+s.url, "is it running?")
		_, err := p.List(t.Context(), "away")
		wantError(t, err, sync.Temporary, "connection refused")
		s.process.Start()
		apply(t, p, in)
		platformtest.RequireExactly(t, p, in)
	})
}

func TestPublicAPISwitchedOff(t *testing.T) {
	t.Parallel()
	s := launch(t, "N8N_PUBLIC_API_DISABLED=true")
	s.apiKey = automation.NewSecret(testKey)
	_, err := s.platform(Options{}).List(t.Context(), "growth")
	wantError(t, err, sync.Refused, "public API switched off", "N8N_PUBLIC_API_DISABLED")
}

// answering returns a server that gives the same answer to everything.
func answering(t *testing.T, status int, kind, body string) *Platform {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	p, err := New(server.URL, automation.NewSecret(testKey), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAnswers covers answers that can't be provoked from a real n8n. A key has
// scopes only with a license: n8n 1.123's getApiKeyScopeMiddleware then answers
// 403, "Forbidden".
func TestAnswers(t *testing.T) {
	const json = "application/json; charset=utf-8"
	for name, test := range map[string]struct {
		status     int
		kind, body string
		want       sync.ErrorKind
		parts      []string
	}{
		"a key without scopes":                 {403, json, `{"message":"Forbidden"}`, sync.Unauthorized, []string{"all scopes of workflows and credentials"}},
		"a refusal, in its own words":          {403, json, `{"message":"Not in your plan"}`, sync.Refused, []string{"403: Not in your plan"}},
		"parallel writes over SQLite":          {400, json, `{"message":"SQLITE_ERROR: cannot start a transaction within a transaction"}`, sync.Temporary, []string{"mishandles parallel writes"}},
		"parallel writes, another way":         {400, json, `{"message":"Transaction is not started yet, start transaction before committing or rolling it back."}`, sync.Temporary, nil},
		"a request that makes no sense":        {400, json, `{"message":"request/body/name must be string"}`, sync.Refused, []string{"must be string"}},
		"an overloaded proxy":                  {503, "text/html", "busy", sync.Temporary, []string{"503"}},
		"a database that is not ready":         {503, json, notReady, sync.Temporary, []string{"503: Database is not ready!"}},
		"a version that could not be stored":   {400, json, noReason, sync.Temporary, []string{"no reason", "workflow history"}},
		"too many requests":                    {429, json, `{"message":"Too many requests"}`, sync.Temporary, nil},
		"starting up":                          {200, "text/html", "n8n is starting up. Please wait", sync.Temporary, []string{"starting up"}},
		"something else":                       {200, "text/html", "<h1>Hello</h1>", sync.Refused, []string{"probably not an n8n", "Hello"}},
		"nothing there":                        {404, "text/html", "Cannot GET /api/v1/workflows", sync.Temporary, []string{"no public API"}},
		"an answer that quotes the key":        {400, json, `{"message":"bad key ` + testKey + `"}`, sync.Refused, []string{"bad key (secret)"}},
		"an answer that disturbs the terminal": {400, json, `{"message":"a\u001b[31mb"}`, sync.Refused, []string{"a\uFFFD[31mb"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := answering(t, test.status, test.kind, test.body).List(t.Context(), "growth")
			wantError(t, err, test.want, test.parts...)
		})
	}
}

func TestExpiredKeyTellsWhen(t *testing.T) {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1700000000}`))
	p := answering(t, 401, "application/json", `{"message":"unauthorized"}`)
	p.apiKey = automation.NewSecret("eyJ." + claims + ".sig")
	_, err := p.List(t.Context(), "growth")
	wantError(t, err, sync.Unauthorized, "has expired, on 14 November 2023")
}

func TestNewRefuses(t *testing.T) {
	key := automation.NewSecret(testKey)
	for name, test := range map[string]struct {
		url string
		key automation.Secret
	}{
		"no URL": {"", key}, "no host": {"http://", key}, "a path": {"/n8n", key}, "another scheme": {"ftp://example.com", key},
		"no key": {"https://example.com", automation.Secret{}}, "a key with a line break": {"https://example.com", automation.NewSecret(testKey + "\n")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.url, test.key, Options{})
			if err == nil || strings.Contains(err.Error(), testKey) {
				t.Errorf("error %v", err)
			}
		})
	}
	if _, err := New("https://user:pass@example.com/n8n/", key, Options{}); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := answering(t, 200, "application/json", `{"data":[]}`).List(ctx, "growth")
	if err == nil || !errors.Is(err, context.Canceled) && sync.KindOf(err) != sync.Temporary {
		t.Errorf("error %v", err)
	}
}

// Cursors that lead in a circle are an error, and not a list without an end.
func TestACircleOfCursors(t *testing.T) {
	next := map[string]string{"": "x", "x": "y", "y": "x"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"data":[{"id":"1"}],"nextCursor":%q}`, next[r.FormValue("cursor")])
	}))
	t.Cleanup(server.Close)
	p, err := New(server.URL, automation.NewSecret(testKey), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	_, err = p.List(t.Context(), "growth")
	wantError(t, err, sync.Refused, "does not end")
}
