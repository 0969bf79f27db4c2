package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	gosync "sync"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
)

const (
	testToken = "tok-5b1c2d3e4f"
	writeKey  = "SEGMENT_WRITE_KEY"
)

// sample is an automation that posts to target when "Account activated" happens.
func sample(key, target string) automation.Automation {
	return automation.Automation{
		Key: key, Name: "Automation " + key, Enabled: true,
		Trigger: automation.Trigger{Kind: automation.Pattern, Name: "Account activated"},
		Action: automation.Request{
			Kind: automation.KindHTTPRequest, Method: "POST", URL: target,
			Headers: map[string]automation.Header{
				"Authorization": {Scheme: automation.Basic, Username: automation.Credential{Secret: writeKey}},
				"Content-Type":  {Value: automation.Credential{Text: "application/json"}},
			},
			Payload: json.RawMessage(`{"traits":{"name":"{{userName}}"},"userId":"{{userId}}"}`),
		},
	}
}

// fast returns delivery options with the shortest waits.
func fast() DeliveryOptions {
	return DeliveryOptions{FirstWait: time.Millisecond, LongestWait: time.Millisecond}
}

func openLocal(t *testing.T, path string, o LocalOptions) *Platform {
	t.Helper()
	p, err := OpenLocal(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func openStore(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func dataFile(t *testing.T) string { return filepath.Join(t.TempDir(), "platform.db") }

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// A received is one request to an endpoint.
type received struct {
	Header http.Header
	Path   string
	Body   string
}

// An endpoint receives deliveries and gives its answers in order; after the
// last one it answers 200.
type endpoint struct {
	*httptest.Server
	mu      gosync.Mutex
	got     []received
	answers []http.HandlerFunc
}

func newEndpoint(t *testing.T, answers ...http.HandlerFunc) *endpoint {
	e := &endpoint{answers: answers}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		n := len(e.got)
		e.got = append(e.got, received{r.Header.Clone(), r.URL.RequestURI(), string(body)})
		e.mu.Unlock()
		if n < len(e.answers) {
			e.answers[n](w, r)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) requests() []received {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]received(nil), e.got...)
}

func answerWith(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "answer %d", status)
	}
}

// reset ends the connection without an answer.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// A logBook keeps a log and signals each recorded attempt.
type logBook struct {
	mu  gosync.Mutex
	buf bytes.Buffer
	// attempted receives a value for each recorded attempt.
	attempted chan struct{}
}

func newLogBook() *logBook { return &logBook{attempted: make(chan struct{}, 1000)} }

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(b, []byte(`msg="delivery attempted"`)) {
		l.attempted <- struct{}{}
	}
	return l.buf.Write(b)
}

func (l *logBook) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.buf.Bytes())
}

// served runs Serve until the test ends, and returns its URL.
func served(t *testing.T, o ServeOptions) string {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	o.Ready = func(addr string) { ready <- addr }
	go func() { done <- Serve(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	select {
	case addr := <-ready:
		return "http://" + addr
	case err := <-done:
		done <- nil
		t.Fatalf("Serve: %v", err)
		return ""
	}
}
