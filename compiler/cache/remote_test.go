package cache

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
)

// secret is a credential that must never be shown.
const secret = "tokSECRETvalue"

// connect returns a config with only a server, which is reached by a token.
func connect(t testing.TB, address string, warn func(string)) Config {
	t.Helper()
	r, err := NewRemote(address, secret, false)
	if err != nil {
		t.Fatal(err)
	}
	r.timeout = time.Minute // for a busy machine
	return Config{Remote: r, Warn: func(note string) {
		if strings.Contains(note, secret) {
			t.Errorf("a credential is shown: %q", note)
		}
		warn(note)
	}}
}

// serve starts a server that fails in some way, and counts its requests.
func serve(t testing.TB, answer http.HandlerFunc) (address string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return server.URL + "/segue", requests
}

// forge returns an entry whose checksum matches, with any block.
func forge(k Key, size int, block []byte) []byte {
	entry := append(make([]byte, headerSize), block...)
	copy(entry, entryFormat)
	copy(entry[len(entryFormat):], k[:])
	copy(entry[keyEnd:], length(size))
	copy(entry[keyEnd+8:], length(len(block)))
	sum := checksum(entry)
	copy(entry[sizesEnd:], sum[:])
	return entry
}

// However a server fails: nothing is found, one note says why, and after a few
// requests it is left alone.
func TestAServerThatFailsIsGivenUp(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	elsewhere, followed := serve(t, func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect is followed: %s %v", r.URL, r.Header)
	})
	_ = followed
	good := func(i int) []byte { return encode(key(i), value(i)) }
	which := func(r *http.Request) int {
		for i := range 100 {
			if strings.HasSuffix(r.URL.Path, key(i).String()) {
				return i
			}
		}
		return -1
	}
	body := func(f func(i int) []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(f(which(r))) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, r.Header.Get("Authorization"))
		}
	}
	raw := func(answer func(r *http.Request) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, answer(r))
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"hangs":                  {func(_ http.ResponseWriter, r *http.Request) { wait(r.Context(), hang) }, "does not answer in time"},
		"hangs in the body":      {stall(hang), "does not answer in time"},
		"500":                    {status(500), "answers 500 Internal Server Error"},
		"503":                    {status(503), "answers 503"},
		"401":                    {status(401), "check SEGUE_CACHE_TOKEN"},
		"403":                    {status(403), "answers 403 Forbidden"},
		"an unknown status":      {status(799), "answers 799"},
		"a redirect":             {status(302), "redirects are not followed"},
		"a lasting redirect":     {status(308), "redirects are not followed"},
		"204":                    {status(204), "answers 204"},
		"garbage":                {body(func(int) []byte { return []byte("<html>Please sign in " + secret + "</html>") }), "damaged"},
		"nothing":                {body(func(int) []byte { return nil }), "damaged"},
		"a cut entry":            {body(func(i int) []byte { e := good(i); return e[:len(e)-1] }), "damaged"},
		"a longer entry":         {body(func(i int) []byte { return append(good(i), 0) }), "damaged"},
		"another's entry":        {body(func(i int) []byte { return good(i + 1) }), "the entry of another key"},
		"another's entry, named": {body(func(i int) []byte { e := good(i + 1); k := key(i); copy(e[len(entryFormat):], k[:]); return e }), "damaged"},
		"a forged length":        {body(func(i int) []byte { return forge(key(i), 5, s2.Encode(nil, []byte("x"))) }), "damaged"},
		"a forged huge length":   {body(func(i int) []byte { return forge(key(i), 1<<40, s2.Encode(nil, []byte("x"))) }), "damaged"},
		"a bomb":                 {body(func(i int) []byte { return forge(key(i), 10, s2.Encode(nil, make([]byte, 1<<20))) }), "damaged"},
		"a forged block":         {body(func(i int) []byte { return forge(key(i), 1, []byte{1, 0xff, 0xff, 0xff}) }), "damaged"},
		"a huge body, with size": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", fmt.Sprint(maxEntry+1)) }, "too large"},
		"a huge body, without":   {pour, "too large"},
		"a body that is cut off": {raw(func(*http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nsegue" }), "closes the connection"},
		"no HTTP":                {raw(func(r *http.Request) string { return "SSH-2.0-" + r.Header.Get("Authorization") + "\r\n\r\n" }), "does not speak HTTP"},
		"a status with a secret": {raw(func(*http.Request) string { return "HTTP/1.1 500 " + secret + "\r\n\r\n" }), "answers 500"},
		"nothing at all":         {raw(func(*http.Request) string { return "" }), "closes the connection"},
		"a forged gzip encoding": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte{0x1f, 0x8b})
		}, "damaged"},
		"a header without an end": {raw(func(*http.Request) string { return "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 11<<20) }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, requests := serve(t, c.answer)
			var n notes
			config := connect(t, address, n.add)
			if strings.HasPrefix(name, "hangs") {
				config.Remote.timeout = 20 * time.Millisecond
			}
			cache := Open(config)
			for i := range 50 {
				if got, ok := cache.Get(t.Context(), key(i)); ok {
					t.Errorf("key %d: found %q", i, got)
				}
			}
			if all := n.list(); len(all) != 1 || !strings.Contains(all[0], c.want) || !strings.Contains(all[0], address) {
				t.Errorf("notes: %q", all)
			}
			if got := requests.Load(); got > maxInRow {
				t.Errorf("%d requests", got)
			}
			cache.Close(t.Context())
		})
	}
}

func wait(ctx context.Context, end chan struct{}) {
	select {
	case <-ctx.Done():
	case <-end:
	}
}

func stall(end chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, entryFormat)
		w.(http.Flusher).Flush()
		wait(r.Context(), end)
	}
}

func pour(w http.ResponseWriter, _ *http.Request) {
	block := make([]byte, 1<<20)
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// An unreachable server, and one whose certificate nobody has signed.
func TestAServerThatCanNotBeReached(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	strange := httptest.NewUnstartedServer(http.NotFoundHandler())
	strange.Config.ErrorLog = log.New(io.Discard, "", 0)
	strange.StartTLS()
	t.Cleanup(strange.Close)
	for address, want := range map[string]string{closed.URL: "can't be reached", strange.URL: "can't be trusted"} {
		var n notes
		c := Open(connect(t, address, n.add))
		for i := range 2 * maxInRow {
			c.Put(t.Context(), key(i), value(i))
			if _, ok := c.Get(t.Context(), key(i)); ok {
				t.Error("found")
			}
		}
		c.Close(t.Context())
		all := n.list()
		if len(all) != 2 || !strings.Contains(all[0], want) || !strings.Contains(all[1], want) {
			t.Errorf("notes: %q", all)
		}
	}
}

// A server that takes nothing: each is tried once or a few times, and reading goes on.
func TestServerThatAcceptsNothing(t *testing.T) {
	for status, tries := range map[int]int64{401: 1, 403: 3, 405: 1, 411: 3, 413: 20, 500: 3, 507: 1, 400: 3, 307: 1} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			address, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					_, _ = w.Write(encode(key(1), value(1)))
					return
				}
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(status)
			})
			var n notes
			config := connect(t, address, n.add)
			c := Open(config)
			for i := range 20 {
				c.Put(t.Context(), key(i), value(i))
				c.remote.uploads.Wait() // one after the other
			}
			if _, ok := c.Get(t.Context(), key(1)); !ok {
				t.Error("it can't be read any more")
			}
			c.Close(t.Context())
			if got := requests.Load(); got != tries+1 {
				t.Errorf("%d requests, want %d", got, tries+1)
			}
			if all := n.list(); (status == 413) != (len(all) == 0) || len(all) > 1 || (len(all) == 1 && !strings.Contains(all[0], fmt.Sprint("answers ", status))) {
				t.Errorf("notes: %q", all)
			}
			if counts := c.Counts(); counts.Uploaded != 0 || counts.Dropped == 0 {
				t.Errorf("%+v", counts)
			}
		})
	}
}

func TestNothingIsWrittenToAReadOnlyServer(t *testing.T) {
	address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("%s", r.Method)
		}
		http.NotFound(w, r)
	})
	r, err := NewRemote(address, secret, true)
	if err != nil {
		t.Fatal(err)
	}
	c := Open(Config{Dir: t.TempDir(), Remote: r, Warn: func(n string) { t.Error(n) }})
	for i := range 300 {
		c.Put(t.Context(), key(i), value(i))
		c.Get(t.Context(), key(1000+i))
	}
	c.Close(t.Context())
}

// Closing waits only for the allowed time, and canceled uploads make no note.
func TestUploadsAreCanceled(t *testing.T) {
	end, begun := make(chan struct{}), make(chan struct{}, 100)
	defer close(end)
	address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { begun <- struct{}{}; wait(r.Context(), end) })
	config := connect(t, address, func(n string) { t.Error(n) })
	config.Remote.timeout = time.Hour
	c := Open(config)
	for i := range 50 {
		c.Put(t.Context(), key(i), value(i))
	}
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Close(ctx)
	if n := c.Counts(); n.Dropped != 50 {
		t.Errorf("%+v", n)
	}
}

// The queue of uploads is bounded.
func TestUploadsAreBounded(t *testing.T) {
	end := make(chan struct{})
	address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { wait(r.Context(), end) })
	config := connect(t, address, func(n string) { t.Error(n) })
	config.Remote.timeout = time.Hour
	c := Open(config)
	entry := make([]byte, 9<<20)
	var taken atomic.Int64
	for i := range 20 {
		c.remote.put(key(i), entry, func(ok bool) {
			if ok {
				taken.Add(1)
			}
		})
	}
	if n := c.remote.queued.Load(); n > maxQueued {
		t.Errorf("%d bytes are waiting", n)
	}
	close(end)
	c.Close(t.Context())
	if n := taken.Load(); n != maxQueued/(9<<20) {
		t.Errorf("%d were taken", n)
	}
}

// When the caller stops, it is not the server's failure.
func TestACallerThatStopsIsNotAFailure(t *testing.T) {
	end := make(chan struct{})
	defer close(end)
	address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { wait(r.Context(), end) })
	config := connect(t, address, func(n string) { t.Error(n) })
	config.Remote.timeout = time.Hour
	c := Open(config)
	for i := range 2 * maxInAll {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, ok := c.Get(ctx, key(i)); ok {
			t.Error("found")
		}
	}
	if c.remote.reading.ctx.Err() != nil {
		t.Error("the server has been given up")
	}
	c.Close(t.Context())
}

// When a server is given up, those who wait for it go on.
func TestGivingUpCancelsRequests(t *testing.T) {
	var n atomic.Int64
	end := make(chan struct{})
	defer close(end)
	address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) <= 4 {
			wait(r.Context(), end)
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	var said notes
	config := connect(t, address, said.add)
	config.Remote.timeout = time.Hour
	c := Open(config)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() { c.Get(t.Context(), key(i)) })
	}
	all.Wait()
	c.Close(t.Context())
	if len(said.list()) != 1 {
		t.Errorf("%q", said.list())
	}
}

// The credential goes to the server, once.
func TestCredentials(t *testing.T) {
	var got atomic.Value
	address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusInternalServerError)
	})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("me", "pass@"+secret)
	for _, c := range []struct{ address, token, want string }{
		{address, "", ""},
		{address, secret, "Bearer " + secret},
		{u.String(), "", "Basic bWU6cGFzc0B0b2tTRUNSRVR2YWx1ZQ=="},
	} {
		r, err := NewRemote(c.address, c.token, false)
		if err != nil {
			t.Fatal(err)
		}
		var n notes
		cache := Open(Config{Remote: r, Warn: n.add})
		for i := range 5 {
			cache.Get(t.Context(), key(i))
		}
		cache.Close(t.Context())
		if got.Load() != c.want || strings.Contains(fmt.Sprint(n.list(), r), secret) || strings.Contains(fmt.Sprint(n.list(), r), "me:") {
			t.Errorf("sent %q, want %q; shown %q", got.Load(), c.want, n.list())
		}
	}
}

// Results from the server are kept in the folder.
func TestMachinesShare(t *testing.T) {
	var mu sync.Mutex
	objects := map[string][]byte{}
	address, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, ok := objects[r.URL.Path]
		switch {
		case r.Method == http.MethodPut:
			objects[r.URL.Path], _ = io.ReadAll(r.Body)
			w.WriteHeader(http.StatusCreated)
		case !ok:
			http.NotFound(w, r)
		default:
			_, _ = w.Write(b)
		}
	})
	machine := func() Config {
		c := connect(t, address, func(n string) { t.Error(n) })
		c.Dir = t.TempDir()
		return c
	}
	a, b := machine(), machine()
	put(t, a, 40)
	if found := hits(t, b, 41); found != 40 {
		t.Errorf("%d of 40 found", found)
	}
	before := requests.Load()
	if found := hits(t, b, 40); found != 40 || requests.Load() != before {
		t.Errorf("%d of 40 found, with %d requests", found, requests.Load()-before)
	}
}
