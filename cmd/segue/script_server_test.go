package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A server is one that the script runs. Its URL is in the variable of its name.
type server struct {
	mu       sync.Mutex
	changed  *sync.Cond
	requests []string
	// waiting counts the requests that are held now, most the most that were at
	// one time.
	waiting, most int
	released      chan struct{}
}

func serve(ts *testscript.TestScript, name string, handle func(*server, http.ResponseWriter, *http.Request)) {
	s := &server{released: make(chan struct{})}
	s.changed = sync.NewCond(&s.mu)
	running := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(s, w, r) }))
	stageOf(ts).servers[name] = s
	ts.Setenv(name, running.URL)
	ts.Defer(func() {
		s.release()
		running.CloseClientConnections()
		running.Close()
	})
}

func serverOf(ts *testscript.TestScript, name string) *server {
	s := stageOf(ts).servers[name]
	if s == nil {
		ts.Fatalf("there is no server %s", name)
	}
	return s
}

// note remembers a request.
func (s *server) note(r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what arrived is what counts
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(r.Header[name], ", "))
	}
	fmt.Fprintf(&b, "\n%s\n", body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, b.String())
}

// listenCommand starts a server that takes every request: listen NAME
func listenCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "listen NAME")
	serve(ts, args[0], func(s *server, w http.ResponseWriter, r *http.Request) {
		s.note(r)
		_, _ = io.WriteString(w, `{"success": true}`)
	})
}

// receivedCommand writes the requests that a server has had: received NAME
func receivedCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "received NAME")
	s := serverOf(ts, args[0])
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(ts.Stdout(), strings.Join(s.requests, "\n"))
}

// sentCommand writes the value of a field in the last message that a server has
// had, and a newline: sent NAME traits.name
func sentCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "sent NAME path")
	s := serverOf(ts, args[0])
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		ts.Fatalf("%s has had no requests", args[0])
	}
	_, body, _ := strings.Cut(s.requests[len(s.requests)-1], "\n\n")
	var value any
	ts.Check(json.Unmarshal([]byte(body), &value))
	for name := range strings.SplitSeq(args[1], ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	fmt.Fprintln(ts.Stdout(), value)
}

// answerCommand starts a server that always gives the same answer:
// answer NAME STATUS CONTENT-TYPE BODY
func answerCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 4, "answer NAME STATUS CONTENT-TYPE BODY")
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	serve(ts, args[0], func(s *server, w http.ResponseWriter, r *http.Request) {
		s.note(r)
		w.Header().Set("Content-Type", args[2])
		w.WriteHeader(status)
		_, _ = io.WriteString(w, args[3])
	})
}

// echoCommand starts a server that answers a request that changes something, and
// any other for which there is no BODY, with all that it was sent, in several
// forms: echo NAME STATUS CONTENT-TYPE [BODY]
func echoCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 3, "echo NAME STATUS CONTENT-TYPE [BODY]")
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	serve(ts, args[0], func(s *server, w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body) // half a request is worth an echo
		s.note(r)
		if reads := r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, ":compare"); reads && len(args) > 3 {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, args[3])
			return
		}
		var headers bytes.Buffer
		_ = r.Header.Write(&headers) // a buffer takes everything
		text := r.Method + " " + r.RequestURI + " " + headers.String() + string(sent)
		for _, also := range []string{url.QueryEscape(text), base64.StdEncoding.EncodeToString([]byte(text)), html.EscapeString(text)} {
			text = also[max(0, len(also)-600):] + " " + text
		}
		said, _ := json.Marshal(text) // a string never fails
		w.Header().Set("Content-Type", args[2])
		w.Header().Set("Location", "http://127.0.0.1:1/"+url.PathEscape(r.Header.Get("Authorization")))
		w.WriteHeader(status)
		if strings.Contains(args[2], "json") {
			_, _ = fmt.Fprintf(w, `{"code": "bad", "detail": %s, "message": %s, "error_description": %s}`, said, said, said)
		} else {
			_, _ = io.WriteString(w, string(sent)+headers.String()+text)
		}
	})
}

// askedCommand writes how many requests a server has had: asked NAME
func askedCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "asked NAME")
	s := serverOf(ts, args[0])
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(ts.Stdout(), "%d requests, %d held at a time\n", len(s.requests), s.most)
}

// holdCommand starts a server that passes requests on to another, and holds
// those that create, update or delete automations, on the embedded platform or on
// Node-RED, until it is told to release
// them: hold NAME URL
func holdCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "hold NAME URL")
	to, err := url.Parse(args[1])
	ts.Check(err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // clients that were killed are meant to be
	serve(ts, args[0], func(s *server, w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" && (strings.HasPrefix(r.URL.Path, "/v1/automations") || r.URL.Path == "/flows") {
			s.hold()
		}
		r.Host = to.Host
		proxy.ServeHTTP(w, r)
	})
}

// hold returns once the server is released.
func (s *server) hold() {
	s.mu.Lock()
	s.waiting++
	s.most = max(s.most, s.waiting)
	s.changed.Broadcast()
	s.mu.Unlock()
	<-s.released
	s.mu.Lock()
	s.waiting--
	s.mu.Unlock()
}

func (s *server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.released:
	default:
		close(s.released)
	}
}

// heldCommand waits until a server holds so many requests: held NAME N
func heldCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "held NAME N")
	s := serverOf(ts, args[0])
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	late := false
	timer := time.AfterFunc(patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		s.changed.Broadcast()
	})
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.waiting < n && !late {
		s.changed.Wait()
	}
	if late {
		ts.Fatalf("%s holds %d requests, want %d", args[0], s.waiting, n)
	}
}

// releaseCommand lets a server hold nothing any more: release NAME
func releaseCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "release NAME")
	serverOf(ts, args[0]).release()
}
