package embedded

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// handlerFor is the API over a new file, with the token testToken.
func handlerFor(t *testing.T) (http.Handler, *Store) {
	t.Helper()
	s := openStore(t, dataFile(t))
	d := newDispatcher(s, fast(), newLogBook().logger())
	t.Cleanup(d.Close)
	return newAPI(s, d, automation.NewSecret(testToken), newLogBook().logger()), s
}

// do sends a request with the token to a handler; header holds names and values.
func do(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+testToken)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// newBody is the body that creates an automation.
func newBody(t testing.TB, project string, a automation.Automation) string {
	t.Helper()
	body := map[string]any{"automation": a}
	if project != "" {
		body["marker"] = sync.Marker{Project: project, Key: a.Key, Hash: a.Hash()}
	}
	return string(must(json.Marshal(body))(t))
}

func TestAutomationLifeCycle(t *testing.T) {
	h, _ := handlerFor(t)
	a := sample("growth/a", "https://example.com/")
	w := do(h, "POST", "/v1/automations", newBody(t, "growth", a))
	if w.Code != 201 || w.Header().Get("ETag") != `"1"` {
		t.Fatalf("create: %d %s, ETag %s", w.Code, w.Body, w.Header().Get("ETag"))
	}
	location := w.Header().Get("Location")
	var made storedAutomation
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	if want := must(a.Canonical())(t); string(made.Automation) != string(want) {
		t.Errorf("stored %s\nwant   %s", made.Automation, want)
	}
	if w := do(h, "GET", location, ""); w.Code != 200 || w.Header().Get("ETag") != `"1"` {
		t.Errorf("get: %d %s", w.Code, w.Body)
	}

	a.Name = "Changed by hand"
	byHand := string(must(json.Marshal(map[string]any{"automation": a}))(t))
	for _, test := range []struct {
		ifMatch string
		want    int
	}{{"", 428}, {`"2"`, 412}, {`W/"1"`, 412}, {"1", 412}, {`"7", "1"`, 200}, {`"1"`, 412}, {"*", 200}} {
		if w := do(h, "PUT", location, byHand, "If-Match", test.ifMatch); w.Code != test.want {
			t.Errorf("PUT with If-Match %s: %d %s, want %d", test.ifMatch, w.Code, w.Body, test.want)
		}
	}
	var changed storedAutomation
	json.Unmarshal(do(h, "GET", location, "").Body.Bytes(), &changed)
	if diff := cmp.Diff(made.Marker, changed.Marker); diff != "" {
		t.Errorf("a PUT without a marker changed it (-before +after):\n%s", diff)
	}
	if changed.Revision != "3" {
		t.Errorf("revision %s, want 3", changed.Revision)
	}

	a.Action.Headers = nil // without a marker there are no secrets
	bare := strings.Replace(newBody(t, "", a), "{", `{"marker":null,`, 1)
	if w := do(h, "PUT", location, bare, "If-Match", `"3"`); w.Code != 200 || strings.Contains(w.Body.String(), "marker") {
		t.Errorf("remove the marker: %d %s", w.Code, w.Body)
	}
	if w := do(h, "GET", "/v1/automations?project=growth", ""); !strings.Contains(w.Body.String(), `"automations":[]`) {
		t.Errorf("the project has %s, want none", w.Body)
	}

	if w := do(h, "DELETE", location, ""); w.Code != 428 {
		t.Errorf("DELETE without If-Match: %d", w.Code)
	}
	if w := do(h, "DELETE", location, "", "If-Match", `"1"`); w.Code != 412 {
		t.Errorf("DELETE of an old revision: %d", w.Code)
	}
	if w := do(h, "DELETE", location, "", "If-Match", `"4"`); w.Code != 204 {
		t.Errorf("DELETE: %d %s", w.Code, w.Body)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if w := do(h, method, location, byHand, "If-Match", `"4"`); w.Code != 404 {
			t.Errorf("%s of a deleted automation: %d", method, w.Code)
		}
	}
}

func TestProjectAndKeyAreUnique(t *testing.T) {
	h, _ := handlerFor(t)
	a, b := sample("growth/a", "https://example.com/"), sample("growth/b", "https://example.com/")
	post := func(project string, a automation.Automation, want int) string {
		t.Helper()
		w := do(h, "POST", "/v1/automations", newBody(t, project, a))
		if w.Code != want {
			t.Fatalf("POST %s %s: %d %s, want %d", project, a.Key, w.Code, w.Body, want)
		}
		return w.Header().Get("Location")
	}
	post("growth", a, 201)
	post("growth", a, 409)
	post("other", a, 201)
	location := post("growth", b, 201)
	if w := do(h, "PUT", location, newBody(t, "growth", a), "If-Match", `"1"`); w.Code != 409 || !strings.Contains(w.Body.String(), `"exists"`) {
		t.Errorf("PUT of a key that is taken: %d %s", w.Code, w.Body)
	}
	bare := sample("growth/a", "https://example.com/")
	bare.Action.Headers = nil
	post("", bare, 201)
	post("", bare, 201) // by hand, as often as one likes
}

func TestRequestsThatAreRefused(t *testing.T) {
	h, _ := handlerFor(t)
	change := func(f func(*automation.Automation)) string {
		a := sample("growth/a", "https://example.com/")
		f(&a)
		return newBody(t, "growth", a)
	}
	good := change(func(*automation.Automation) {})
	header := func(name string, h automation.Header) string {
		return change(func(a *automation.Automation) { a.Action.Headers[name] = h })
	}
	text := func(s string) automation.Header { return automation.Header{Value: automation.Credential{Text: s}} }
	payload := func(s string) string {
		return change(func(a *automation.Automation) { a.Action.Payload = json.RawMessage(s) })
	}
	address := func(s string) string { return change(func(a *automation.Automation) { a.Action.URL = s }) }
	for name, test := range map[string]struct {
		method, target, body string
		header               []string
		status               int
		want                 string
	}{
		"no token":         {"GET", "/v1/automations", "", []string{"Authorization", ""}, 401, "unauthorized"},
		"wrong token":      {"GET", "/v1/automations", "", []string{"Authorization", "Bearer tok-guessed"}, 401, "unauthorized"},
		"wrong scheme":     {"GET", "/v1/automations", "", []string{"Authorization", "Basic " + testToken}, 401, "unauthorized"},
		"no token, 404":    {"GET", "/v1/nothing", "", []string{"Authorization", ""}, 401, "unauthorized"},
		"no token, 405":    {"PATCH", "/v1/automations", "", []string{"Authorization", ""}, 401, "unauthorized"},
		"unknown path":     {"GET", "/v1/nothing", "", nil, 404, "no-such-path"},
		"untidy path":      {"GET", "/v1//automations", "", nil, 404, "no-such-path"},
		"path with dots":   {"GET", "/v1/secrets/../automations", "", nil, 404, "no-such-path"},
		"unknown id":       {"GET", "/v1/automations/999", "", nil, 404, "not-found"},
		"odd id":           {"GET", "/v1/automations/%2e%2e%1b[31m", "", nil, 404, "not-found"},
		"id with zeros":    {"GET", "/v1/automations/01", "", nil, 404, "not-found"},
		"wrong method":     {"PATCH", "/v1/automations", "", nil, 405, "method-not-allowed"},
		"unknown filter":   {"GET", "/v1/automations?projcet=growth", "", nil, 400, "bad-parameter"},
		"filter twice":     {"GET", "/v1/automations?project=a&project=b", "", nil, 400, "bad-parameter"},
		"key alone":        {"GET", "/v1/automations?key=a", "", nil, 400, "bad-parameter"},
		"odd limit":        {"GET", "/v1/automations?limit=many", "", nil, 400, "bad-parameter"},
		"high limit":       {"GET", "/v1/automations?limit=201", "", nil, 400, "bad-parameter"},
		"no limit":         {"GET", "/v1/automations?limit=0", "", nil, 400, "bad-parameter"},
		"odd cursor":       {"GET", "/v1/automations?cursor=x", "", nil, 400, "bad-parameter"},
		"another's cursor": {"GET", "/v1/automations?cursor=" + nextCursor("d", 1), "", nil, 400, "bad-parameter"},
		"odd status":       {"GET", "/v1/deliveries?status=done", "", nil, 400, "bad-parameter"},
		"no project":       {"GET", "/v1/secrets", "", nil, 400, "bad-parameter"},
		"a form":           {"POST", "/v1/automations", "a=b", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "not-json"},
		"no content type":  {"POST", "/v1/automations", good, []string{"Content-Type", ""}, 415, "not-json"},
		"no JSON":          {"POST", "/v1/automations", "hello", nil, 400, "malformed"},
		"half JSON":        {"POST", "/v1/automations", good[:20], nil, 400, "malformed"},
		"more than JSON":   {"POST", "/v1/automations", good + "{}", nil, 400, "malformed"},
		"no UTF-8":         {"POST", "/v1/automations", "\"\xff\"", nil, 400, "malformed"},
		"unknown field":    {"POST", "/v1/automations", strings.Replace(good, `"url"`, `"uri"`, 1), nil, 400, "unknown field"},
		"wrong type":       {"POST", "/v1/automations", strings.Replace(good, `"enabled":true`, `"enabled":"yes"`, 1), nil, 400, "enabled can't be of the JSON type string"},
		"no automation":    {"POST", "/v1/automations", `{}`, nil, 400, "malformed"},
		"odd marker":       {"POST", "/v1/automations", strings.Replace(good, `"hash"`, `"hush"`, 1), nil, 400, "marker"},
		"too large":        {"POST", "/v1/automations", `"` + strings.Repeat("x", 1<<20) + `"`, nil, 413, "too-large"},
		"no name":          {"POST", "/v1/automations", change(func(a *automation.Automation) { a.Name = "" }), nil, 422, "no name"},
		"odd trigger":      {"POST", "/v1/automations", change(func(a *automation.Automation) { a.Trigger.Kind = "cron" }), nil, 422, "trigger.kind"},
		"no trigger":       {"POST", "/v1/automations", change(func(a *automation.Automation) { a.Trigger.Name = "" }), nil, 422, "trigger.name"},
		"odd action":       {"POST", "/v1/automations", change(func(a *automation.Automation) { a.Action.Kind = "mail" }), nil, 422, "action.kind"},
		"odd method":       {"POST", "/v1/automations", change(func(a *automation.Automation) { a.Action.Method = "PO ST" }), nil, 422, "action.method"},
		"relative URL":     {"POST", "/v1/automations", address("/v1/group"), nil, 422, "action.url"},
		"file URL":         {"POST", "/v1/automations", address("file:///etc/passwd"), nil, 422, "action.url"},
		"host to fill in":  {"POST", "/v1/automations", address("https://{{userId}}/"), nil, 422, "action.url"},
		"malformed URL":    {"POST", "/v1/automations", address("https://example.com/{{userId"), nil, 422, "action.url"},
		"odd payload":      {"POST", "/v1/automations", payload(`{"a":["{{userId"]}`), nil, 422, "payload.a[0]"},
		"null payload":     {"POST", "/v1/automations", payload(`null`), nil, 422, "action.payload"},
		"odd header name":  {"POST", "/v1/automations", header("A b", text("x")), nil, 422, "not a header's name"},
		"small header":     {"POST", "/v1/automations", header("accept", text("x")), nil, 422, "must be written Accept"},
		"two lines":        {"POST", "/v1/automations", header("Accept", text("a\r\nb")), nil, 422, "control character"},
		"malformed header": {"POST", "/v1/automations", header("Accept", text("{{x")), nil, 422, "Accept"},
		"another key":      {"POST", "/v1/automations", strings.Replace(good, `"key":"growth/a","name"`, `"key":"growth/b","name"`, 1), nil, 422, "they must be the same"},
		"secret, no project": {"POST", "/v1/automations", newBody(t, "", sample("growth/a", "https://example.com/")), nil, 422,
			"belongs to no project"},
		"empty secret":      {"PUT", "/v1/secrets/p/S", `{"value":""}`, nil, 422, "invalid-secret"},
		"number as secret":  {"PUT", "/v1/secrets/p/S", `{"value":8675309}`, nil, 400, "value can't be of the JSON type number"},
		"long secret":       {"PUT", "/v1/secrets/p/S", `{"value":"` + strings.Repeat("x", secretLimit+1) + `"}`, nil, 422, "invalid-secret"},
		"odd secret name":   {"PUT", "/v1/secrets/p/%0a", `{"value":"x"}`, nil, 422, "invalid-secret"},
		"compare for none":  {"POST", "/v1/secrets:compare", `{}`, nil, 400, "malformed"},
		"odd kind":          {"POST", "/v1/occurrences", `{"kind":"x","name":"n"}`, nil, 422, "invalid-occurrence"},
		"no occasion":       {"POST", "/v1/occurrences", `{"kind":"pattern"}`, nil, 422, "invalid-occurrence"},
		"odd occurrence id": {"POST", "/v1/occurrences", `{"kind":"pattern","name":"n","id":"../x"}`, nil, 422, "invalid-occurrence"},
		"list as data":      {"POST", "/v1/occurrences", `{"kind":"pattern","name":"n","data":[]}`, nil, 422, "invalid-occurrence"},
		"null as data":      {"POST", "/v1/occurrences", `{"kind":"pattern","name":"n","data":null}`, nil, 422, "invalid-occurrence"},
		"no occurrence":     {"GET", "/v1/occurrences/x", "", nil, 404, "not-found"},
	} {
		t.Run(name, func(t *testing.T) {
			w := do(h, test.method, test.target, test.body, test.header...)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("got %d %s, want %d and %q", w.Code, w.Body, test.status, test.want)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type is %s", got)
			}
			if w.Code == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
			if w.Code == 405 && w.Header().Get("Allow") != "GET, POST" {
				t.Errorf("Allow is %q", w.Header().Get("Allow"))
			}
			for _, secret := range []string{testToken, "tok-guessed", "8675309", "\x1b"} {
				if strings.Contains(w.Body.String(), secret) {
					t.Errorf("the answer holds %q", secret)
				}
			}
		})
	}
	if w := do(h, "GET", "/v1/automations", ""); !strings.Contains(w.Body.String(), `"automations":[]`) {
		t.Errorf("something was stored nevertheless: %s", w.Body)
	}
	if w := do(h, "GET", "/v1/health", "", "Authorization", ""); w.Code != 200 {
		t.Errorf("health without a token: %d", w.Code)
	}
}

func TestBodyWithoutLengthIsLimited(t *testing.T) {
	h, _ := handlerFor(t)
	server := httptest.NewServer(h)
	defer server.Close()
	r, _ := http.NewRequest("POST", server.URL+"/v1/automations", io.MultiReader(strings.NewReader(`"`), strings.NewReader(strings.Repeat("x", 2<<20))))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+testToken)
	res := must(http.DefaultClient.Do(r))(t)
	res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("got %d, want 413", res.StatusCode)
	}
}

func TestOneOfManyReplacementsWins(t *testing.T) {
	h, _ := handlerFor(t)
	location := do(h, "POST", "/v1/automations", newBody(t, "growth", sample("growth/a", "https://example.com/"))).Header().Get("Location")
	var won, lost atomic.Int32
	var running gosync.WaitGroup
	for i := range 16 {
		a := sample("growth/a", "https://example.com/")
		a.Name = fmt.Sprint("writer ", i)
		body := newBody(t, "growth", a)
		running.Go(func() {
			switch w := do(h, "PUT", location, body, "If-Match", `"1"`); w.Code {
			case 200:
				won.Add(1)
			case 412:
				lost.Add(1)
			default:
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	running.Wait()
	if won.Load() != 1 || lost.Load() != 15 {
		t.Errorf("%d won and %d lost, want 1 and 15", won.Load(), lost.Load())
	}
}

func TestPagesWhileAutomationsAreAdded(t *testing.T) {
	h, _ := handlerFor(t)
	add := func(key string) {
		t.Helper()
		if w := do(h, "POST", "/v1/automations", newBody(t, "growth", sample(key, "https://example.com/"))); w.Code != 201 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	for i := range 10 {
		add(fmt.Sprintf("growth/%d", i))
	}
	var keys []string
	cursor := ""
	for pages := 0; ; pages++ {
		var page automationPage
		w := do(h, "GET", "/v1/automations?project=growth&limit=3&cursor="+url.QueryEscape(cursor), "")
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Automations) > 3 {
			t.Fatalf("%v: %s", err, w.Body)
		}
		for _, a := range page.Automations {
			keys = append(keys, a.Marker.Key)
		}
		if pages == 1 {
			// One that was listed goes, one that was not goes, and one comes.
			do(h, "DELETE", "/v1/automations/"+page.Automations[0].ID, "", "If-Match", "*")
			do(h, "DELETE", "/v1/automations/8", "", "If-Match", "*")
			add("growth/late")
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	want := []string{"growth/0", "growth/1", "growth/2", "growth/3", "growth/4", "growth/5", "growth/6", "growth/8", "growth/9", "growth/late"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys in pages (-want +got):\n%s", diff)
	}
}

func TestPageEndsEarlyWhenRecordsAreLarge(t *testing.T) {
	h, s := handlerFor(t)
	a := sample("", "https://example.com/")
	a.Name = strings.Repeat("x", 1_000_000)
	for i := range 7 {
		a.Key = fmt.Sprint("growth/", i)
		must(s.createAutomation(t.Context(), &sync.Marker{Project: "growth", Key: a.Key, Hash: "h"}, a))(t)
	}
	w := do(h, "GET", "/v1/automations?limit=200", "")
	if got := w.Body.Len(); got > pageBytes+2<<20 || !strings.Contains(w.Body.String(), "nextCursor") {
		t.Errorf("a page of %d bytes, want less and a next one", got)
	}
	p := platformOver(t, s)
	if all := must(p.List(t.Context(), "growth"))(t); len(all) != 7 {
		t.Errorf("%d automations in all pages, want 7", len(all))
	}
}
