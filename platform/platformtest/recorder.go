package platformtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// recorderPatience is the time that a [Recorder] waits for an expected request.
// It only ends a test that would fail anyway.
const recorderPatience = 30 * time.Second

// A Received is one request that reached a [Recorder].
type Received struct {
	Method string
	// URI is the path and the query as sent, including escapes.
	URI    string
	Header http.Header
	Body   []byte
}

// A Recorder is an HTTP server on the loopback interface that records requests,
// as the endpoint of automations under test. It answers 200, except after
// [Recorder.Fail].
type Recorder struct {
	// URL is the server's URL, without a slash at the end.
	URL string

	mu      sync.Mutex
	queue   []Received
	arrived chan struct{} // closed and replaced with each request
	// failures is the number of next requests that get the status failure.
	failures, failure int
}

// StartRecorder starts a recorder that lives as long as the test.
func StartRecorder(t testing.TB) *Recorder {
	r := &Recorder{arrived: make(chan struct{})}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// ServeHTTP records the request.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // ignore half a request
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, Received{Method: req.Method, URI: req.RequestURI, Header: req.Header.Clone(), Body: body})
	close(r.arrived)
	r.arrived = make(chan struct{})
	if r.failures > 0 {
		r.failures--
		w.WriteHeader(r.failure)
	}
}

// Fail makes the next n requests fail with a status. They are recorded like all
// others.
func (r *Recorder) Fail(n, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures, r.failure = n, status
}

// Next takes the oldest request that was not yet taken, and waits if there is
// none. The test fails if none arrives.
func (r *Recorder) Next(t testing.TB) Received {
	t.Helper()
	timeout := time.After(recorderPatience)
	for {
		r.mu.Lock()
		if len(r.queue) > 0 {
			first := r.queue[0]
			r.queue = r.queue[1:]
			r.mu.Unlock()
			return first
		}
		arrived := r.arrived
		r.mu.Unlock()
		select {
		case <-arrived:
		case <-timeout:
			t.Fatalf("no request has come within %v", recorderPatience)
		case <-t.Context().Done():
			t.Fatal("no request has come")
		}
	}
}

// Take takes all received requests that were not yet taken. It does not wait.
func (r *Recorder) Take() []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.queue
	r.queue = nil
	return all
}
