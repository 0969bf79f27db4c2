package nodered

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	gosync "sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// A number keeps all its digits everywhere.
func TestNumbersKeepTheirDigits(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := one(recorder, "growth")
	a := &in.Automations[0]
	a.Action.URL = recorder.URL + "/n/{{n}}?n={{n}}"
	a.Action.Payload = json.RawMessage(`{"cast":"{{n | number}}","text":"of {{n}}","whole":"{{n}}"}`)
	apply(t, p, in)
	r.settle(t)
	path := endpointPath("growth", a.Key)
	for _, n := range []string{"9007199254740993", "-12345678901234567890", "0.1234567890123456789", "1.10", "1e400", "-0", "0", "1E+2", "5e-324", "42"} {
		body := `{ "a\"1": [9007199254740993, {"b": "-1"}], "__proto__": 1, "\u006e" : ` + n + `, "userId" :"\\" }`
		if status, b := r.post(t, path, "application/json; charset=utf-8", []byte(body)); status != 200 {
			t.Fatalf("%s: %d: %s", n, status, b)
		}
		got := recorder.Next(t)
		escaped := strings.ReplaceAll(n, "+", "%2B")
		if want := "/n/" + escaped + "?n=" + escaped; got.URI != want {
			t.Errorf("%s: URL %s, want %s", n, got.URI, want)
		}
		if want := `{"cast":` + n + `,"text":"of ` + n + `","whole":"` + n + `"}`; string(got.Body) != want {
			t.Errorf("%s: body %s, want %s", n, got.Body, want)
		}
	}
	// Node-RED ignores the case of a path, but then parses the body itself: a
	// number that may have lost digits is not sent.
	shouted := strings.ToUpper(path)
	if status, b := r.post(t, shouted, "application/json", []byte(`{"n":42}`)); status != 200 {
		t.Errorf("%s: %d: %s", shouted, status, b)
	}
	recorder.Next(t)
	for _, n := range []string{"9007199254740993", "0.1234567890123456789", "1e400"} {
		if status, b := r.post(t, shouted, "application/json", []byte(`{"n":`+n+`}`)); status != 422 || !strings.Contains(b, "has lost digits") {
			t.Errorf("%s with %s: %d: %s", shouted, n, status, b)
		}
	}
	if got := recorder.Take(); len(got) > 0 {
		t.Errorf("%d messages more", len(got))
	}
}

// The endpoint only accepts one JSON object, and gives the reason otherwise.
func TestBodiesThatAreRefused(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := one(recorder, "growth")
	apply(t, p, in)
	r.settle(t)
	for name, tt := range map[string]struct {
		media, body string
		status      int
		want        string
	}{
		"form":             {"application/x-www-form-urlencoded", "userId=u1", 415, "Content-Type: application/json"},
		"text":             {"text/plain", `{"userId":"u1"}`, 415, "Content-Type: application/json"},
		"no type":          {"", `{"userId":"u1"}`, 415, "Content-Type: application/json"},
		"multipart":        {"multipart/form-data; boundary=x", "--x--", 415, "Content-Type: application/json"},
		"another JSON":     {"application/vnd.api+json", `{"userId":"u1"}`, 415, "Content-Type: application/json"},
		"another charset":  {"application/json; charset=latin1", `{"userId":"u1"}`, 415, "UTF-8"},
		"compressed":       {"application/json; x=gzip", "\x1f\x8b", 415, "Content-Encoding"},
		"empty":            {"application/json", "", 422, "the body is empty"},
		"whitespace":       {"application/json", " \n", 422, "the body is empty"},
		"list":             {"application/json", `[{"userId":"u1"}]`, 422, "one JSON object"},
		"string":           {"application/json", `"u1"`, 422, "one JSON object"},
		"number":           {"application/json", `12`, 422, "one JSON object"},
		"null":             {"application/json", `null`, 422, "one JSON object"},
		"two objects":      {"application/json", `{"userId":"u1"}{"userId":"u2"}`, 422, "not JSON"},
		"cut off":          {"application/json", `{"userId":"u1"`, 422, "not JSON"},
		"odd number":       {"application/json", `{"userId":"u1","n":01}`, 422, "not JSON"},
		"number as a name": {"application/json", `{1:"u1"}`, 422, "not JSON"},
		"no UTF-8":         {"application/json", "{\"userId\":\"\xff\"}", 422, "not UTF-8"},
		"an object in it":  {"application/json", `{"userId":{"n":"1"}}`, 422, "is not a string, a number or a boolean"},
	} {
		t.Run(name, func(t *testing.T) {
			status, b := r.post(t, endpointPath("growth", in.Automations[0].Key), tt.media, []byte(tt.body))
			var said struct{ Error string }
			if err := json.Unmarshal([]byte(b), &said); err != nil || status != tt.status || !strings.Contains(said.Error, tt.want) {
				t.Errorf("%d: %s; want %d: %s", status, b, tt.status, tt.want)
			}
		})
	}
	r.mustFire(t, recorder, "growth", in.Automations[0].Key)
}

// A message that Segment would drop is refused with the reason.
func TestMessagesThatSegmentWouldDrop(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := one(recorder, "growth")
	a := &in.Automations[0]
	a.Action.Payload = json.RawMessage(`{"event":"{{event}}","timestamp":"{{time}}","userId":"{{userId}}"}`)
	a.Placeholders = map[string]automation.PlaceholderLimit{"userId": {MaxLength: 5}}
	apply(t, p, in)
	r.settle(t)
	for body, want := range map[string]string{
		`{"userId":"","time":"2026-01-02T03:04:05Z","event":"E"}`:                          "Segment would drop the message: userId is empty",
		`{"userId":" ","time":"2026-01-02T03:04:05Z","event":"E"}`:                         "Segment would drop the message: userId is empty",
		`{"userId":"u1","time":"tomorrow","event":"E"}`:                                    `timestamp is not an ISO 8601 time: \"tomorrow\"`,
		`{"userId":"u1","time":"2026-01-02T03:04:05Z","event":""}`:                         "event is empty",
		`{"userId":"123456","time":"2026-01-02T03:04:05Z","event":"E"}`:                    "the value of {{userId}} has 6 bytes, and its maxLength is 5",
		`{"userId":1234567,"time":"2026-01-02T03:04:05Z","event":"E"}`:                     "the value of {{userId}} has 7 bytes, and its maxLength is 5",
		`{"userId":"\u00e9\u00e9\u00e9","time":"2026-01-02","event":""}`:                   "{{userId}} has 6 bytes",
		`{"userId":"u1","time":"2026-01-02","event":"` + strings.Repeat("x", 33000) + `"}`: "the maximum is 32768",
	} {
		if status, b := r.post(t, endpointPath("growth", a.Key), "application/json", []byte(body)); status != 422 || !strings.Contains(b, want) {
			t.Errorf("%.100s: %d: %s; want %s", body, status, b, want)
		}
	}
	if got := recorder.Take(); len(got) > 0 {
		t.Fatalf("%d messages were sent", len(got))
	}
	if status, b := r.post(t, endpointPath("growth", a.Key), "application/json", []byte(`{"userId":12345,"time":"2026-01-02T03:04:05Z","event":"E"}`)); status != 200 {
		t.Errorf("%d: %s", status, b)
	}
	recorder.Next(t)
}

// A temporary failure is retried, and the caller gets the final result.
func TestTriesAgain(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	var mu gosync.Mutex
	var answers []int // 0 means no answer
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b := new(strings.Builder)
		if err := req.Write(b); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, b.String())
		status := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
	}))
	defer server.Close()
	in := platformtest.Hundred("growth", server.URL+"/v1/track")
	in.Automations = in.Automations[:1]
	apply(t, p, in)
	r.settle(t)
	for name, tt := range map[string]struct {
		answers []int
		tries   int
		status  int
		want    map[string]any
	}{
		"at once":           {[]int{204}, 1, 200, map[string]any{"status": 204.0, "tries": 1.0}},
		"unavailable":       {[]int{503, 500, 200}, 3, 200, map[string]any{"status": 200.0, "tries": 3.0}},
		"too many requests": {[]int{429, 200}, 2, 200, map[string]any{"status": 200.0, "tries": 2.0}},
		"no answer":         {[]int{0, 408, 200}, 3, 200, map[string]any{"status": 200.0, "tries": 3.0}},
		"always":            {[]int{502}, 4, 502, map[string]any{"status": 502.0, "tries": 4.0}},
		"refused":           {[]int{400}, 1, 502, map[string]any{"status": 400.0, "tries": 1.0}},
		"redirected":        {[]int{307}, 1, 502, map[string]any{"status": 307.0, "tries": 1.0}},
	} {
		t.Run(name, func(t *testing.T) {
			mu.Lock()
			answers, bodies = tt.answers, nil
			mu.Unlock()
			status, b := r.post(t, endpointPath("growth", in.Automations[0].Key), "application/json", []byte(`{"userId":"u1"}`))
			var got map[string]any
			if err := json.Unmarshal([]byte(b), &got); err != nil || status != tt.status {
				t.Errorf("%d: %s; want %d", status, b, tt.status)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(bodies) != tt.tries {
				t.Fatalf("%d tries, want %d", len(bodies), tt.tries)
			}
			for _, body := range bodies {
				if body != bodies[0] || !strings.Contains(body, `"userId":"u1"`) || !strings.Contains(body, "Basic YWJjMTIzOg==") {
					t.Errorf("a try has sent:\n%s\nthe first one:\n%s", body, bodies[0])
				}
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		server.Close()
		status, b := r.post(t, endpointPath("growth", in.Automations[0].Key), "application/json", []byte(`{"userId":"u1"}`))
		if status != 502 || !strings.Contains(b, "ECONNREFUSED") || !strings.Contains(b, `"tries":4`) {
			t.Errorf("%d: %s", status, b)
		}
	})
}

// A caller that waits for a retry gets an answer if a deploy stops the flow
// meanwhile.
func TestAStopBetweenTries(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	tried := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600") // the longest pause
		w.WriteHeader(http.StatusServiceUnavailable)
		tried <- struct{}{}
	}))
	defer server.Close()
	in := platformtest.Hundred("growth", server.URL+"/v1/track")
	in.Automations = in.Automations[:1]
	apply(t, p, in)
	r.settle(t)
	answered := make(chan string, 1)
	go func() {
		status, b := r.post(t, endpointPath("growth", in.Automations[0].Key), "application/json", []byte(`{"userId":"u1"}`))
		answered <- http.StatusText(status) + " " + b
	}()
	<-tried
	if err := p.PutSecret(t.Context(), "growth", "WRITE_KEY", automation.NewSecret("another")); err != nil {
		t.Fatal(err)
	}
	if got, want := <-answered, "Bad Gateway {\"error\":\"the flow was stopped before"; !strings.HasPrefix(got, want) {
		t.Errorf("answer %s, want %s", got, want)
	}
	if len(tried) > 0 {
		t.Error("it was tried again")
	}
	// It is ready for the next.
	r.settle(t)
	if status, _ := r.post(t, endpointPath("growth", in.Automations[0].Key), "text/plain", nil); status != 415 {
		t.Errorf("afterwards: %d", status)
	}
}

// Two applies at once end with each automation there once.
func TestTwoAppliesAtOnce(t *testing.T) {
	r := start(t, "")
	in := platformtest.Hundred("growth", "https://example.com/v1/track")
	in.Automations = in.Automations[:15]
	other := in
	other.Automations = append([]automation.Automation(nil), in.Automations...)
	for i := range other.Automations {
		other.Automations[i].Name += ", the other way"
	}
	p, q := r.platform(t), r.platform(t)
	for range 3 {
		plans := []*sync.Plan{plan(t, p, in), plan(t, q, other)}
		errs := make(chan error, 2)
		go func() {
			_, err := sync.Apply(t.Context(), p, plans[0], in, sync.ApplyOptions{Calls: patient})
			errs <- err
		}()
		go func() {
			_, err := sync.Apply(t.Context(), q, plans[1], other, sync.ApplyOptions{Calls: patient})
			errs <- err
		}()
		refused := 0
		for range 2 {
			if err := <-errs; err != nil {
				refused++
				if kind := sync.KindOf(err); kind != sync.Conflict && kind != sync.Exists {
					t.Errorf("kind %d: %v", kind, err)
				}
			}
		}
		if refused != 1 {
			t.Errorf("%d applies were refused, want the one that came later", refused)
		}
		stored, err := p.List(t.Context(), "growth")
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, s := range stored {
			names[s.Marker.Key] = true
			if strings.Contains(s.Automation.Name, ", the other way") != strings.Contains(stored[0].Automation.Name, ", the other way") {
				t.Errorf("%s is of another apply than %s", s.Marker.Key, stored[0].Marker.Key)
			}
		}
		if len(stored) != 15 || len(names) != 15 {
			t.Errorf("%d automations of %d keys, want 15", len(stored), len(names))
		}
		apply(t, p, in)
		for i := range in.Automations {
			in.Automations[i].Name += "."
		}
	}
}
