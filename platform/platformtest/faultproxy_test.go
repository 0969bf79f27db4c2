package platformtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// A recorder is a backend that counts its requests.
type recorder struct {
	work atomic.Int64
	done chan string // gets the body of each request
}

func newRecorder() *recorder { return &recorder{done: make(chan string, 1000)} }

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.work.Add(1)
	r.done <- string(body)
	w.Header().Set("X-Backend", "yes")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "did %s", body)
}

// post sends a request over a connection of its own.
func post(ctx context.Context, url, body string) (status int, answer string, header http.Header, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), resp.Header, err
}

func TestEachFaultDoesWhatItSays(t *testing.T) {
	for _, tt := range []struct {
		fault  Fault
		status int // 0 for a reset
		worked bool
	}{
		{TooManyBefore, 429, false},
		{TooManyAfter, 429, true},
		{UnavailableBefore, 503, false},
		{UnavailableAfter, 503, true},
		{ErrorBefore, 500, false},
		{ErrorAfter, 500, true},
		{BadRequestAfter, 400, true},
		{ResetBefore, 0, false},
		{ResetAfter, 0, true},
		{Slow, 201, true},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			backend := newRecorder()
			p := StartFaultProxy(t, backend, 1, Faults{Rate: 1, Kinds: []Fault{tt.fault}})
			status, answer, header, err := post(t.Context(), p.URL+"/x", "body")
			if reset := errors.Is(err, syscall.ECONNRESET); reset != (tt.status == 0) || err != nil && !reset {
				t.Fatalf("error = %v", err)
			}
			if status != tt.status {
				t.Errorf("status = %d, want %d", status, tt.status)
			}
			if fromBackend := header.Get("X-Backend") != "" || strings.Contains(answer, "did body"); fromBackend != (tt.fault == Slow) {
				t.Errorf("the answer is %q, %v", answer, header)
			}
			if worked := backend.work.Load() == 1; worked != tt.worked {
				t.Errorf("work was done: %v, want %v", worked, tt.worked)
			}
			if tt.worked {
				if got := <-backend.done; got != "body" {
					t.Errorf("the backend got %q", got)
				}
			}
			if p.Counts()[tt.fault] != 1 || p.Requests() != 1 {
				t.Errorf("counts = %v of %d requests", p.Counts(), p.Requests())
			}
			p.RequireAll(t)
		})
	}
}

func TestAHangLastsUntilTheClientGivesUp(t *testing.T) {
	for fault, worked := range map[Fault]bool{HangBefore: false, HangAfter: true, Late: true} {
		t.Run(string(fault), func(t *testing.T) {
			backend := newRecorder()
			arrived := make(chan struct{}, 1)
			p := StartFaultProxy(t, backend, 1, Faults{
				Rate: 1, Kinds: []Fault{fault},
				Match: func(*http.Request) bool { arrived <- struct{}{}; return true },
			})
			ctx, giveUp := context.WithCancel(t.Context())
			defer giveUp()
			failed := make(chan error, 1)
			go func() {
				_, _, _, err := post(ctx, p.URL, "body")
				failed <- err
			}()
			<-arrived
			if fault == HangAfter {
				<-backend.done // the work is done while the client still waits
			}
			giveUp()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("error = %v, want context.Canceled", err)
			}
			p.server.Close() // waits for what is in flight
			if (backend.work.Load() == 1) != worked {
				t.Errorf("work was done %d times, want %v", backend.work.Load(), worked)
			}
		})
	}
}

// faultsOf returns the faults of requests with these bodies, each sent this
// number of times.
func faultsOf(t *testing.T, seed uint64, faults Faults, times int, bodies ...string) map[string][]Fault {
	t.Helper()
	p := StartFaultProxy(t, newRecorder(), seed, faults)
	met := map[string][]Fault{}
	for range times {
		for _, body := range bodies {
			r := httptest.NewRequest(http.MethodPost, "/x", nil)
			f, _ := p.choose(r, []byte(body))
			met[body] = append(met[body], f)
		}
	}
	return met
}

func TestTheSeedDecidesWhateverTheOrder(t *testing.T) {
	faults := Faults{Rate: 0.7}
	one := faultsOf(t, 1, faults, 20, "a", "b", "c")
	same := faultsOf(t, 1, faults, 20, "c", "a", "b")
	other := faultsOf(t, 2, faults, 20, "a", "b", "c")
	for _, body := range []string{"a", "b", "c"} {
		if !slices.Equal(one[body], same[body]) {
			t.Errorf("%s met %v, then %v", body, one[body], same[body])
		}
		if slices.Equal(one[body], other[body]) {
			t.Errorf("%s met the same with another seed: %v", body, one[body])
		}
	}
	if slices.Equal(one["a"], one["b"]) {
		t.Errorf("different requests met the same: %v", one["a"])
	}
}

func TestFaultsInARowAreBounded(t *testing.T) {
	met := faultsOf(t, 1, Faults{Rate: 1, InARow: 2, Kinds: []Fault{ResetBefore}}, 6, "a")["a"]
	if want := []Fault{ResetBefore, ResetBefore, "", ResetBefore, ResetBefore, ""}; !slices.Equal(met, want) {
		t.Errorf("faults = %q, want %q", met, want)
	}
}

func TestEveryKindOfFaultStrikes(t *testing.T) {
	var bodies []string
	for i := range 300 {
		bodies = append(bodies, fmt.Sprint(i))
	}
	seen := map[Fault]bool{}
	faulty := 0
	for _, met := range faultsOf(t, 1, Faults{Rate: 0.3}, 1, bodies...) {
		seen[met[0]] = true
		if met[0] != "" {
			faulty++
		}
	}
	for _, f := range AllFaults {
		if !seen[f] {
			t.Errorf("%q never struck", f)
		}
	}
	if seen[Late] || faulty < 60 || faulty > 120 {
		t.Errorf("%d of 300 requests were faulty, late ones: %v", faulty, seen[Late])
	}
}

func TestAReadIsNeverRefused(t *testing.T) {
	p := StartFaultProxy(t, newRecorder(), 1, Faults{Rate: 1, Kinds: []Fault{BadRequestAfter}})
	for method, want := range map[string]Fault{"GET": Slow, "HEAD": Slow, "PUT": BadRequestAfter, "DELETE": BadRequestAfter} {
		if f, _ := p.choose(httptest.NewRequest(method, "/x", nil), nil); f != want {
			t.Errorf("%s met %q, want %q", method, f, want)
		}
	}
}

func TestOnlyMatchingRequestsFail(t *testing.T) {
	p := StartFaultProxy(t, newRecorder(), 1, Faults{
		Rate: 1, Kinds: []Fault{UnavailableBefore},
		Match: func(r *http.Request) bool { return r.URL.Path == "/fails" },
	})
	for path, want := range map[string]int{"/fails": 503, "/works": 201} {
		if status, _, _, err := post(t.Context(), p.URL+path, ""); status != want || err != nil {
			t.Errorf("%s: %d, %v; want %d", path, status, err, want)
		}
	}
}

func TestRetryAfterIsShortOrAbsent(t *testing.T) {
	p := StartFaultProxy(t, newRecorder(), 1, Faults{Rate: 1, Kinds: []Fault{TooManyBefore}})
	seen := map[string]bool{}
	for i := range 40 {
		_, _, header, err := post(t.Context(), p.URL, fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		seen[header.Get("Retry-After")] = true
	}
	for _, want := range []string{"", "0", "0.01", "0.005"} {
		if !seen[want] {
			t.Errorf("Retry-After %q was never sent: %v", want, seen)
		}
	}
}

func TestKill(t *testing.T) {
	for _, midway := range []bool{false, true} {
		backend := newRecorder()
		var kills atomic.Int64
		p := StartFaultProxy(t, backend, 1, Faults{KillAfter: 2, KillMidway: midway, OnKill: func() { kills.Add(1) }})
		for i := range 5 {
			_, _, _, err := post(t.Context(), p.URL, "")
			if dead := i >= 2; dead != errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("request %d: %v", i, err)
			}
		}
		want := int64(2)
		if midway {
			want++
		}
		if backend.work.Load() != want || kills.Load() != 1 || p.Killed() != 3 || p.Requests() != 5 {
			t.Errorf("work, kills, killed, requests = %d, %d, %d, %d; want %d, 1, 3, 5", backend.work.Load(), kills.Load(), p.Killed(), p.Requests(), want)
		}
	}
}

func TestBackendPassesOnToAnotherServer(t *testing.T) {
	recorder := newRecorder()
	server := httptest.NewServer(recorder)
	t.Cleanup(server.Close)
	p := StartFaultProxy(t, Backend(t, server.URL), 1, Faults{Rate: 1, InARow: 1, Kinds: []Fault{BadRequestAfter}})
	for _, want := range []int{400, 201} {
		status, _, _, err := post(t.Context(), p.URL+"/x", "body")
		if status != want || err != nil {
			t.Errorf("status = %d, %v; want %d", status, err, want)
		}
		if got := <-recorder.done; got != "body" {
			t.Errorf("the server got %q", got)
		}
	}
}

// silent records errors instead of failing.
type silent struct {
	testing.TB
	errors int
}

func (s *silent) Helper()               {}
func (s *silent) Errorf(string, ...any) { s.errors++ }

func TestRequireAllMissesWhatNeverStruck(t *testing.T) {
	p := StartFaultProxy(t, newRecorder(), 1, Faults{Kinds: []Fault{Slow, Late}})
	s := &silent{TB: t}
	if p.RequireAll(s); s.errors != 2 {
		t.Errorf("%d errors, want 2", s.errors)
	}
}
