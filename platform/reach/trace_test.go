package reach

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
)

// A trace is a log of what a client with a token of "TOKsecretVALUE77y" does.
type trace struct {
	text   bytes.Buffer
	client *http.Client
}

func newTrace(t *testing.T, level slog.Level) *trace {
	t.Helper()
	tr := &trace{}
	mask := automation.NewMask(automation.NewSecret(token))
	log := slog.New(slog.NewJSONHandler(&tr.text, &slog.HandlerOptions{Level: level}))
	tr.client = NewClient(Traced(newTransport(), log, mask), mask)
	t.Cleanup(tr.client.CloseIdleConnections)
	return tr
}

// do sends a request and reads the answer.
func (tr *trace) do(t *testing.T, ctx context.Context, method, address, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Echo", "value "+token)
	req.Header.Set("X-N8N-API-KEY", "unknown-to-the-mask")
	res, err := tr.client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// lines are the records, by message.
func (tr *trace) lines(t *testing.T) map[string]map[string]any {
	t.Helper()
	lines := map[string]map[string]any{}
	for line := range strings.Lines(tr.text.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines[record["msg"].(string)] = record
	}
	return lines
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Set-Cookie", "session=unknown-to-the-mask")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.Copy(w, r.Body)
}

func TestTraceOfARequest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	tr := newTrace(t, slog.LevelInfo)
	tr.do(t, t.Context(), "POST", server.URL+"/v1/things?a=1", `{"name":"Ada"}`)
	lines := tr.lines(t)
	answer := lines["answer"]
	if len(lines) != 1 || answer["method"] != "POST" || answer["url"] != server.URL+"/v1/things?a=1" || answer["status"] != 201.0 ||
		answer["bytes"] != 14.0 || answer["level"] != "INFO" || answer["headers"] != nil || answer["body"] != nil {
		t.Errorf("got %s", tr.text.String())
	}
	if took, ok := answer["duration"].(float64); !ok || time.Duration(took) <= 0 {
		t.Errorf("it took %v", answer["duration"])
	}

	tr = newTrace(t, slog.LevelDebug)
	tr.do(t, t.Context(), "POST", server.URL+"/v1/things", `{"name":"Ada"}`)
	lines = tr.lines(t)
	for _, what := range []string{"request", "answer"} {
		if lines[what]["body"] != `{"name":"Ada"}` || lines[what]["headers"] == nil {
			t.Errorf("the %s is logged as %v", what, lines[what])
		}
	}

	tr = newTrace(t, slog.LevelError)
	tr.do(t, t.Context(), "POST", server.URL+"/v1/things", `{"name":"Ada"}`)
	if tr.text.Len() > 0 {
		t.Errorf("at the level of errors there is %s", tr.text.String())
	}
}

// Wherever a secret is, and in whichever form, no log has it.
func TestTraceHidesSecrets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	tr := newTrace(t, slog.LevelDebug)
	encoded := base64.StdEncoding.EncodeToString([]byte(token + ":"))
	forms := []string{token, encoded, url.QueryEscape(token), fmt.Sprintf("%x", token)}
	body, err := json.Marshal(forms)
	if err != nil {
		t.Fatal(err)
	}
	tr.do(t, t.Context(), "POST", server.URL+"/v1/things?key="+url.QueryEscape(token)+"&basic="+encoded, string(body))
	// One that ends beyond the cut is hidden whole.
	tr.do(t, t.Context(), "POST", server.URL+"/v1/things", strings.Repeat("x", TracedBody-5)+token+strings.Repeat("y", 100))
	text := tr.text.String()
	for _, form := range append(forms, "unknown-to-the-mask", token[:5]) {
		if strings.Contains(text, form) {
			t.Errorf("the log holds %q", form)
		}
	}
	if !strings.Contains(text, `"X-Echo":"value (secret)"`) || !strings.Contains(text, "key=(secret)") {
		t.Errorf("got %s", text)
	}
	// The log of a request that gets no answer has none either.
	server.Close()
	tr = newTrace(t, slog.LevelDebug)
	tr.do(t, t.Context(), "GET", server.URL+"/?key="+token, "")
	if line := tr.lines(t)["no answer"]; line["level"] != "WARN" || strings.Contains(tr.text.String(), token) {
		t.Errorf("got %s", tr.text.String())
	}
	// What no mask knows yet is said to be private.
	server = httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	tr = newTrace(t, slog.LevelDebug)
	if got := tr.do(t, Private(t.Context()), "POST", server.URL, "session-of-the-user"); got != "session-of-the-user" {
		t.Errorf("the answer is %q", got)
	}
	if strings.Contains(tr.text.String(), "session-of-the-user") {
		t.Errorf("got %s", tr.text.String())
	}
}

func TestTraceCutsBodies(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/packed" {
			echo(w, r)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(w)
		_, _ = io.WriteString(packed, token)
		_ = packed.Close()
	}))
	defer server.Close()
	long := strings.Repeat("äö", 100_000)
	for name, test := range map[string]struct {
		body string
		want func(logged string) bool
	}{
		"a long body": {long, func(s string) bool {
			return strings.HasPrefix(long, s[:TracedBody]) && strings.HasSuffix(s, "… (cut: 400000 bytes in all)") && len(s) < TracedBody+50
		}},
		"what is not text": {"\x00\xff\xfe", func(s string) bool { return s == "(3 bytes that are not text)" }},
		"nothing":          {"", func(s string) bool { return s == "" }},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrace(t, slog.LevelDebug)
			if got := tr.do(t, t.Context(), "POST", server.URL, test.body); got != test.body {
				t.Fatalf("the answer has %d bytes, want %d", len(got), len(test.body))
			}
			for _, what := range []string{"request", "answer"} {
				if logged, _ := tr.lines(t)[what]["body"].(string); !test.want(logged) {
					t.Errorf("the %s is logged as %.100q", what, logged)
				}
			}
		})
	}
	// A compressed body could hold a secret that no mask finds.
	tr := newTrace(t, slog.LevelDebug)
	req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/packed", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	res, err := tr.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if logged, _ := tr.lines(t)["answer"]["body"].(string); !strings.HasSuffix(logged, "bytes that are not text)") {
		t.Errorf("a compressed body is logged as %q", logged)
	}
}

// Without a log, nothing is between the client and the transport.
func TestNoLogIsNoWork(t *testing.T) {
	transport := newTransport()
	if got := Traced(transport, nil, nil); got != http.RoundTripper(transport) {
		t.Errorf("got %T", got)
	}
}
