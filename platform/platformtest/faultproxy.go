// Package platformtest is what platforms are tested with.
//
// [StartFaultProxy] puts a proxy in front of a platform that fails in the ways
// in which networks and servers do, and in the worst one of all: it does the
// work and says that it has not.
//
//	proxy := platformtest.StartFaultProxy(t, handler, seed, platformtest.Faults{Rate: 0.3})
//	client, err := embedded.NewClient(proxy.URL, token, embedded.ClientOptions{})
//	... // work through the client, and see that it copes
//	proxy.RequireAll(t)
//
// It answers, which no proxy of bytes can do: [StartNetwork] has Shopify's toxiproxy for
// what happens to those, such as a reset in the middle of an answer. [KilledApplies] uses
// both, on processes that it kills.
//
// [Run] is the conformance suite: what every [sync.Platform] has to do, by what
// it stores, by what plan and apply make of it, and by the messages that are
// sent when an automation fires, which a [Recorder] receives. What a platform
// can't do is declared in its [Harness], and the table in docs/platforms.md
// shows it.
//
// A [Program] is a real platform from the npm registry, and [StartProcess] runs
// it. [Require] lets SEGUE_TEST_PLATFORMS narrow the platforms that are tested.
package platformtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Fault is one way in which a request goes wrong. "Before" and "after" say
// whether the backend gets to do the work.
type Fault string

// The faults. There is no 400 before the work, and none of a request that only
// reads: that would be a refusal, which a client must not get past.
const (
	TooManyBefore     Fault = "429 before"
	TooManyAfter      Fault = "429 after"
	UnavailableBefore Fault = "503 before"
	UnavailableAfter  Fault = "503 after"
	ErrorBefore       Fault = "500 before"
	ErrorAfter        Fault = "500 after"
	BadRequestAfter   Fault = "400 after"
	ResetBefore       Fault = "reset before"
	ResetAfter        Fault = "reset after"
	// Slow answers after a few milliseconds.
	Slow Fault = "slow"
	// HangBefore and HangAfter never answer: the client's timeout has to pass.
	HangBefore Fault = "hang before"
	HangAfter  Fault = "hang after"
	// Late does the work when the client has given up. It is not among
	// [AllFaults]: on a platform without unique keys nothing can prevent a
	// second copy then, only the next apply can clear it away.
	Late Fault = "late"
)

// AllFaults are the faults that a client is expected to get past by itself.
var AllFaults = []Fault{
	TooManyBefore, TooManyAfter, UnavailableBefore, UnavailableAfter, ErrorBefore, ErrorAfter, BadRequestAfter,
	ResetBefore, ResetAfter, Slow, HangBefore, HangAfter,
}

// Faults says what a [FaultProxy] does to requests. The zero value does
// nothing but pass them on.
type Faults struct {
	// Rate is the probability of a fault, from 0 to 1.
	Rate float64
	// Kinds are the faults to choose from, [AllFaults] if it is empty.
	Kinds []Fault
	// InARow is the most faults in a row that requests of the same method, URL
	// and body meet, 3 if it is zero. Slow counts as none.
	InARow int
	// Match picks the requests that may fail, all if it is nil. The body has
	// been read.
	Match func(*http.Request) bool
	// ReadOnly tells the requests that only read, GET and HEAD if it is nil.
	// One that would meet a [BadRequestAfter] meets a [Slow].
	ReadOnly func(*http.Request) bool
	// Delay is how long Slow takes, 3 ms if it is zero.
	Delay time.Duration
	// KillAfter is the number of requests after which everything is dead, as
	// if a process had been killed: every connection is reset. 0 is never.
	// Requests that do not Match count too.
	KillAfter int
	// KillMidway lets the request after that still do its work unanswered.
	KillMidway bool
	// OnKill, if not nil, is called once, when the first request is killed.
	OnKill func()
}

// A FaultProxy is an HTTP server on the loopback interface that passes requests
// on to a backend and fails on purpose. The same seed gives the same faults to
// the same requests, in whatever order they come.
//
// An [http.Transport] repeats a GET by itself when a connection that it has
// used before is reset; who counts requests should switch keep-alive off.
type FaultProxy struct {
	// URL is the base of the proxy's URLs, without a slash at the end.
	URL string

	backend http.Handler
	seed    uint64
	faults  Faults
	server  *httptest.Server
	closing chan struct{}

	mu       sync.Mutex
	seen     map[uint64]*history
	counts   map[Fault]int
	requests int
	killed   int
}

// A history is what has happened to the requests that are alike.
type history struct{ requests, inARow int }

// Backend returns a handler that passes requests on to another server.
func Backend(t testing.TB, base string) http.Handler {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	proxy.Transport = transport
	proxy.ErrorLog = log.New(io.Discard, "", 0) // clients that go away are meant to
	return proxy
}

// StartFaultProxy starts a proxy in front of backend and stops it when the test
// ends. A failed test logs the faults that there were.
func StartFaultProxy(t testing.TB, backend http.Handler, seed uint64, faults Faults) *FaultProxy {
	t.Helper()
	if len(faults.Kinds) == 0 {
		faults.Kinds = AllFaults
	}
	if faults.InARow == 0 {
		faults.InARow = 3
	}
	if faults.ReadOnly == nil {
		faults.ReadOnly = func(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
	}
	if faults.Delay == 0 {
		faults.Delay = 3 * time.Millisecond
	}
	p := &FaultProxy{
		backend: backend, seed: seed, faults: faults, closing: make(chan struct{}),
		seen: map[uint64]*history{}, counts: map[Fault]int{},
	}
	p.server = httptest.NewServer(p)
	p.URL = p.server.URL
	t.Cleanup(func() {
		close(p.closing)
		p.server.Close()
		if t.Failed() {
			t.Logf("fault proxy, seed %d: %d requests, faults %v", seed, p.Requests(), p.Counts())
		}
	})
	return p
}

// Counts returns how often each fault has struck.
func (p *FaultProxy) Counts() map[Fault]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// Requests returns how many requests have come in, killed ones included.
func (p *FaultProxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// Killed returns how many requests came after the kill.
func (p *FaultProxy) Killed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.killed
}

// RequireAll fails the test unless every kind of fault has struck.
func (p *FaultProxy) RequireAll(t testing.TB) {
	t.Helper()
	counts := p.Counts()
	for _, f := range p.faults.Kinds {
		if counts[f] == 0 {
			t.Errorf("the fault %q never struck in %d requests", f, p.Requests())
		}
	}
}

// ServeHTTP passes a request on, or not.
func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Read to the end, so that the same bytes can be hashed and passed on, and
	// the server notices when the client goes away.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if killed, midway := p.count(); killed {
		if midway {
			p.work(r, body)
		}
		reset(w)
		return
	}
	fault, random := p.choose(r, body)
	p.fail(w, r, body, fault, random)
}

// fail passes the request on with the fault, "" for none.
func (p *FaultProxy) fail(w http.ResponseWriter, r *http.Request, body []byte, fault Fault, random uint64) {
	when, after := strings.CutSuffix(string(fault), " after")
	if after {
		p.work(r, body)
	}
	switch status, _, _ := strings.Cut(when, " "); status {
	case "429":
		// None, at once, soon, and soon in the fractions that some servers give.
		if value := [...]string{"", "0", "0.01", "0.005"}[random%4]; value != "" {
			w.Header().Set("Retry-After", value)
		}
		answer(w, http.StatusTooManyRequests, "slow down")
	case "503":
		answer(w, http.StatusServiceUnavailable, "busy")
	case "500":
		answer(w, http.StatusInternalServerError, "broken")
	case "400":
		answer(w, http.StatusBadRequest, "SQLITE_ERROR: cannot start a transaction within a transaction")
	case "reset":
		reset(w)
	case "hang":
		p.hang(r)
		reset(w)
	case string(Late):
		p.hang(r)
		p.work(r, body)
		reset(w)
	case string(Slow):
		select {
		case <-time.After(p.faults.Delay):
		case <-r.Context().Done():
		}
		fallthrough
	default:
		p.backend.ServeHTTP(w, r)
	}
}

// count counts a request and says whether it is killed, and if so whether it
// may do its work.
func (p *FaultProxy) count() (killed, midway bool) {
	p.mu.Lock()
	p.requests++
	killed = p.faults.KillAfter > 0 && p.requests > p.faults.KillAfter
	first := killed && p.killed == 0
	if killed {
		p.killed++
	}
	p.mu.Unlock()
	if first && p.faults.OnKill != nil {
		p.faults.OnKill()
	}
	return killed, first && p.faults.KillMidway
}

// choose returns the fault that the request meets, and some random bits. Both
// depend on the seed, on the request and on how many like it came before, and
// on nothing else.
func (p *FaultProxy) choose(r *http.Request, body []byte) (Fault, uint64) {
	if p.faults.Match != nil && !p.faults.Match(r) {
		return "", 0
	}
	h := fnv.New64a()
	for _, part := range []string{r.Method, r.URL.RequestURI(), string(body)} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // a hash never fails
		_, _ = io.WriteString(h, part)
	}
	id := h.Sum64()

	p.mu.Lock()
	defer p.mu.Unlock()
	past := p.seen[id]
	if past == nil {
		past = &history{}
		p.seen[id] = past
	}
	random := rand.New(rand.NewPCG(p.seed, id+uint64(past.requests)))
	past.requests++
	if random.Float64() >= p.faults.Rate || past.inARow >= p.faults.InARow {
		past.inARow = 0
		return "", 0
	}
	fault := p.faults.Kinds[random.IntN(len(p.faults.Kinds))]
	if fault == BadRequestAfter && p.faults.ReadOnly(r) {
		fault = Slow
	}
	if fault == Slow {
		past.inARow = 0
	} else {
		past.inARow++
	}
	p.counts[fault]++
	return fault, random.Uint64()
}

// work has the backend do the request, whatever becomes of the client, and
// drops the answer.
func (p *FaultProxy) work(r *http.Request, body []byte) {
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.backend.ServeHTTP(httptest.NewRecorder(), r)
}

// hang waits until the client gives up.
func (p *FaultProxy) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-p.closing:
	}
}

func answer(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "{\"message\":%q}\n", message) // the client may be gone
}

// reset breaks the connection off, so that the client gets a TCP reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing then resets
	}
	_ = conn.Close()
}
