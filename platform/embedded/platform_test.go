package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// platforms returns a served platform and an in-process one.
func platforms(t *testing.T) map[string]*Platform {
	token := automation.NewSecret(testToken)
	url := served(t, ServeOptions{Data: dataFile(t), Token: token, Delivery: fast()})
	client := must(NewClient(url, token, ClientOptions{}))(t)
	t.Cleanup(func() { client.Close() })
	return map[string]*Platform{"served": client, "in-process": openLocal(t, dataFile(t), LocalOptions{Delivery: fast()})}
}

func TestPlatformKeepsAutomations(t *testing.T) {
	for name, p := range platforms(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			a := sample("growth/a", "https://example.com/{{userId}}")
			made := must(p.Create(ctx, "growth", a))(t)
			if age := time.Since(made.Changed); age < -time.Minute || age > time.Hour {
				t.Errorf("changed %v, which is not now", made.Changed)
			}
			want := sync.Stored{ID: made.ID, Revision: "1", Changed: made.Changed, Marker: sync.Marker{Project: "growth", Key: "growth/a", Hash: a.Hash()}, Automation: a}
			if diff := cmp.Diff(want, made); diff != "" {
				t.Errorf("created (-want +got):\n%s", diff)
			}
			must(p.Create(ctx, "other", a))(t)
			_, err := p.Create(ctx, "growth", a)
			if sync.KindOf(err) != sync.Exists || !strings.Contains(err.Error(), "growth/a") {
				t.Errorf("create again: %v, want Exists", err)
			}
			for what, all := range map[string][]sync.Stored{
				"List": must(p.List(ctx, "growth"))(t), "Find": must(p.Find(ctx, "growth", "growth/a"))(t),
			} {
				if diff := cmp.Diff([]sync.Stored{want}, all); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
			if none := must(p.Find(ctx, "growth", "growth/none"))(t); len(none) != 0 {
				t.Errorf("found %+v", none)
			}

			a.Key, a.Name = "growth/moved", "Moved"
			moved := must(p.Update(ctx, made, sync.MarkerOf(made.Marker.Project, a), a))(t)
			if moved.ID != made.ID || moved.Revision == made.Revision || moved.Marker.Key != "growth/moved" || moved.Marker.Hash != a.Hash() {
				t.Errorf("moved: %+v", moved)
			}
			if _, err := p.Update(ctx, made, sync.MarkerOf(made.Marker.Project, a), a); sync.KindOf(err) != sync.Conflict {
				t.Errorf("update of an old revision: %v, want Conflict", err)
			}
			if err := p.Delete(ctx, made); sync.KindOf(err) != sync.Conflict {
				t.Errorf("delete of an old revision: %v, want Conflict", err)
			}
			if err := p.Delete(ctx, moved); err != nil {
				t.Error(err)
			}
			if err := p.Delete(ctx, moved); sync.KindOf(err) != sync.NotFound {
				t.Errorf("delete of a deleted automation: %v, want NotFound", err)
			}
			if _, err := p.Update(ctx, moved, sync.MarkerOf(moved.Marker.Project, a), a); sync.KindOf(err) != sync.NotFound {
				t.Errorf("update of a deleted automation: %v, want NotFound", err)
			}
			a.Action.URL = "nowhere"
			if _, err := p.Create(ctx, "growth", a); sync.KindOf(err) != sync.Refused || !strings.Contains(err.Error(), "action.url") {
				t.Errorf("create of a bad one: %v, want Refused", err)
			}
		})
	}
}

func TestPlatformListsAllPages(t *testing.T) {
	p := openLocal(t, dataFile(t), LocalOptions{})
	const n = 2*pageLimit + 1
	for i := range n {
		must(p.Create(t.Context(), "growth", sample(fmt.Sprint("growth/", i), "https://example.com/")))(t)
	}
	keys := map[string]bool{}
	for _, s := range must(p.List(t.Context(), "growth"))(t) {
		keys[s.Marker.Key] = true
	}
	if len(keys) != n {
		t.Errorf("%d automations, want %d", len(keys), n)
	}
}

func TestPlatformListsWhatItCannotRead(t *testing.T) {
	s := openStore(t, dataFile(t))
	p := platformOver(t, s)
	must(p.Create(t.Context(), "growth", sample("growth/a", "https://example.com/")))(t)
	if _, err := s.write.Exec(`UPDATE automations SET body = '{"name":7}'`); err != nil {
		t.Fatal(err)
	}
	all := must(p.List(t.Context(), "growth"))(t)
	if len(all) != 1 || all[0].Marker.Key != "growth/a" || all[0].Automation.Key != "growth/a" {
		t.Errorf("got %+v", all)
	}
}

func TestPlatformKeepsSecrets(t *testing.T) {
	for name, p := range platforms(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			put := func(project, name, value string) {
				t.Helper()
				if err := p.PutSecret(ctx, project, name, automation.NewSecret(value)); err != nil {
					t.Fatal(err)
				}
			}
			put("growth", "A", "old")
			put("growth", "A", "a")
			put("growth", "B", "b")
			put("growth", "C/ü ?", "c")
			put("other/project", "A", "x")
			want := map[string]automation.Secret{"A": automation.NewSecret("a"), "B": automation.NewSecret("x"), "D": automation.NewSecret("d")}
			got := must(p.Secrets(ctx, "growth", want))(t)
			if diff := cmp.Diff(map[string]sync.SecretState{"A": sync.Same, "B": sync.Different, "C/ü ?": sync.Unchecked}, got); diff != "" {
				t.Errorf("secrets (-want +got):\n%s", diff)
			}
			for range 2 {
				if err := p.DeleteSecret(ctx, "growth", "C/ü ?"); err != nil {
					t.Fatal(err)
				}
			}
			if got := must(p.Secrets(ctx, "growth", nil))(t); len(got) != 2 {
				t.Errorf("after deleting: %v", got)
			}
			if got := must(p.Secrets(ctx, "other/project", nil))(t); len(got) != 1 {
				t.Errorf("the other project has %v", got)
			}
			if err := p.PutSecret(ctx, "growth", "A", automation.Secret{}); sync.KindOf(err) != sync.Refused {
				t.Errorf("an empty secret: %v, want Refused", err)
			}
		})
	}
}

func TestPlatformFiresOverHTTP(t *testing.T) {
	target := newEndpoint(t, answerWith(500))
	p := platforms(t)["served"]
	fill(t, p, sample("growth/a", target.URL))
	if r := must(p.Fire(t.Context(), activated))(t); len(r.Deliveries) != 1 || r.Deliveries[0].Status != Delivered || len(r.Deliveries[0].Attempts) != 2 {
		t.Errorf("got %+v", r)
	}
	for want, q := range map[int]DeliveryQuery{1: {Project: "growth", Key: "growth/a", Status: Delivered}, 0: {Key: "growth/b"}} {
		if all := must(p.Deliveries(t.Context(), q))(t); len(all) != want {
			t.Errorf("%+v: %d deliveries, want %d", q, len(all), want)
		}
	}
}

func TestDeliveriesComeInPages(t *testing.T) {
	target := newEndpoint(t)
	var all []automation.Automation
	for i := range pageLimit + 10 {
		all = append(all, sample(fmt.Sprint("growth/", i), target.URL))
	}
	p := withAutomations(t, LocalOptions{Delivery: fast()}, all...)
	result := must(p.Fire(t.Context(), activated))(t)
	var want, got []string
	for i, d := range result.Deliveries {
		want, got = append(want, all[i].Key), append(got, d.Automation.Key)
	}
	if len(got) != len(all) || !slices.Equal(want, got) {
		t.Errorf("%d deliveries, want %d in order", len(got), len(all))
	}
	if newest := must(p.Deliveries(t.Context(), DeliveryQuery{Limit: 3}))(t); len(newest) != 3 || newest[0].Automation.Key != all[len(all)-1].Key {
		t.Errorf("newest: %+v", newest)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	problemAnswer := func(status int, code, detail string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			p := newProblem(status, code, "%s", detail)
			for i := 0; i < len(header); i += 2 {
				p.with(header[i], header[i+1])
			}
			p.send(w)
		}
	}
	text := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		kind   sync.ErrorKind
		after  time.Duration // at least
		want   string
	}{
		"unauthorized":      {problemAnswer(401, "unauthorized", "x"), sync.Unauthorized, 0, "401: URL does not accept the token; check the secret that the target's token names"},
		"forbidden":         {problemAnswer(403, "foreign-host", "only localhost"), sync.Unauthorized, 0, "403: only localhost"},
		"forbidden, HTML":   {text(403, "text/html", "no"), sync.Unauthorized, 0, "does not accept the token"},
		"not found":         {problemAnswer(404, "not-found", "gone"), sync.NotFound, 0, "404: gone"},
		"another's 404":     {text(404, "application/json", `{"error":"no"}`), sync.Refused, 0, "URL is probably not a segue platform; check the url"},
		"no such path":      {problemAnswer(404, "no-such-path", "none"), sync.Refused, 0, "404: none"},
		"exists":            {problemAnswer(409, "exists", "taken"), sync.Exists, 0, "409: taken"},
		"another conflict":  {problemAnswer(409, "occurrence-differs", "x"), sync.Refused, 0, "409: x"},
		"conflict":          {problemAnswer(412, "revision-changed", "new"), sync.Conflict, 0, "412: new"},
		"bad":               {problemAnswer(400, "malformed", "bad"), sync.Refused, 0, "400: bad"},
		"large":             {problemAnswer(413, "too-large", "big"), sync.Refused, 0, "413: big"},
		"invalid":           {problemAnswer(422, "invalid-automation", "inv\x1b[31malid"), sync.Refused, 0, "422: inv\uFFFD[31malid"},
		"slow down":         {problemAnswer(429, "x", "slow", "Retry-After", "7"), sync.Temporary, 7 * time.Second, "429: slow"},
		"slow down, a date": {problemAnswer(503, "busy", "busy", "Retry-After", date), sync.Temporary, 59 * time.Minute, "503: busy"},
		"bad gateway":       {text(502, "text/html", "<h1>Bad\x1b\ngateway</h1>"), sync.Temporary, 0, `502: URL failed: it answered "<h1>Bad\x1b\ngateway</h1>"`},
		"a page": {text(200, "text/html", "<!doctype html>"+strings.Repeat("x", 500)), sync.Refused, 0,
			`URL is probably not a segue platform; check the url: it answered "<!doctype html>` + strings.Repeat("x", 65) + `…"`},
		"JSON of another kind": {text(200, "application/json", `[1]`), sync.Refused, 0, "is probably not a segue platform"},
		"nothing":              {text(200, "application/json", ``), sync.Refused, 0, "it answered nothing"},
		"too much": {func(w http.ResponseWriter, r *http.Request) {
			for range answerLimit>>20 + 1 {
				w.Write(make([]byte, 1<<20))
			}
		}, sync.Refused, 0, "larger than 16 MiB"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://u:p@elsewhere.example/x", http.StatusFound)
		}, sync.Refused, 0, "redirects to https://elsewhere.example; put"},
		"no end": {text(200, "application/json", `{"automations":[],"nextCursor":"x"}`), sync.Refused, 0, "does not end"},
		"a circle": {func(w http.ResponseWriter, r *http.Request) {
			next := map[string]string{"": "x", "x": "y", "y": "x"}[r.FormValue("cursor")]
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"automations":[],"nextCursor":%q}`, next)
		}, sync.Refused, 0, "does not end"},
		"reset": {reset, sync.Temporary, 0, "URL closed the connection without an answer"},
		"half of it": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("{"))
		}, sync.Temporary, 0, "URL closed the connection in the middle of its answer"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			defer server.Close()
			with := strings.Replace(server.URL, "http://", "http://user:hidden@", 1)
			p := must(NewClient(with, automation.NewSecret(testToken), ClientOptions{}))(t)
			_, err := p.List(t.Context(), "growth")
			var e *sync.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want a *sync.Error", err)
			}
			if e.Kind != test.kind || e.RetryAfter < test.after {
				t.Errorf("kind %d after %v, want %d after %v", e.Kind, e.RetryAfter, test.kind, test.after)
			}
			if got := strings.ReplaceAll(err.Error(), server.URL, "URL"); !strings.Contains(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			for _, secret := range []string{testToken, "hidden", "u:p", "\x1b"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds %q: %v", secret, err)
				}
			}
		})
	}
}

func TestPlatformThatIsNotThere(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	p := must(NewClient(server.URL+"/base/", automation.Secret{}, ClientOptions{}))(t)
	_, err := p.List(t.Context(), "growth")
	if want := "can't reach " + server.URL + "/base: connection refused; is the platform running?"; sync.KindOf(err) != sync.Temporary || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, url := range []string{"", "127.0.0.1:8377", "ftp://example.com", "http://", "http://u:hidden@\x7f/"} {
		if _, err := NewClient(url, automation.Secret{}, ClientOptions{}); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("NewClient(%q): %v", url, err)
		}
	}
	if _, err := NewClient(server.URL, automation.NewSecret("hidden\n"), ClientOptions{}); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("a token with a line break: %v", err)
	}
}

func TestPlatformThatDoesNotAnswer(t *testing.T) {
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	defer server.Close()
	defer close(end)
	p := must(NewClient(server.URL, automation.Secret{}, ClientOptions{Timeout: 10 * time.Millisecond}))(t)
	if _, err := p.List(t.Context(), "growth"); sync.KindOf(err) != sync.Temporary || !strings.Contains(err.Error(), "no answer from "+server.URL) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.List(ctx, "growth"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want one that wraps context.Canceled", err)
	}
	local := openLocal(t, dataFile(t), LocalOptions{})
	if _, err := local.List(ctx, "growth"); !errors.Is(err, context.Canceled) {
		t.Errorf("in-process: %v, want one that wraps context.Canceled", err)
	}
}

func TestTokenIsMissing(t *testing.T) {
	url := served(t, ServeOptions{Data: dataFile(t), Token: automation.NewSecret(testToken)})
	p := must(NewClient(url, automation.Secret{}, ClientOptions{}))(t)
	_, err := p.List(t.Context(), "growth")
	if sync.KindOf(err) != sync.Unauthorized || !strings.Contains(err.Error(), "asks for a token, and the target has none") {
		t.Errorf("got %v", err)
	}
}

func TestRecordsSurviveJSON(t *testing.T) {
	want := Delivery{ID: "1", Status: Failed, Attempts: []Attempt{{Number: 1, Status: 500}}, Request: &PreparedRequest{Method: "POST", Body: "{}",
		Headers: map[string]automation.Header{"A": {Scheme: automation.Bearer, Value: automation.Credential{Secret: "S"}}}}}
	var got Delivery
	if err := json.Unmarshal(must(json.Marshal(want))(t), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
