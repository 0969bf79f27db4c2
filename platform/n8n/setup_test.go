package n8n

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
)

// A release is an n8n that the tests run with.
type release struct {
	name    string // of the files with its results
	version string
	program platformtest.Program
}

// The releases: the last 1.x, and the newest one.
var (
	first  = release{"", "1.123.81", platformtest.Program{Package: "n8n", Dir: "testdata/npm", NpmArgs: []string{"--omit=optional"}}}
	newest = release{"2", newestTested, platformtest.Program{
		Package: "n8n", Dir: "testdata/npm-2", Node: "24.21.0", Timeout: 30 * time.Minute,
		// A client for Kafka that does not come built can't be built everywhere.
		NpmArgs: []string{"--omit=optional", "--ignore-scripts"}, Rebuild: []string{"sqlite3", "isolated-vm"},
		Useless: []string{".map", ".d.ts", ".d.mts", ".d.cts", ".md"},
	}}
	releases = []release{first, newest}
)

// eachRelease runs a test with a server of each release.
func eachRelease(t *testing.T, f func(t *testing.T, s *server), env ...string) {
	for _, r := range releases {
		t.Run(r.version, func(t *testing.T) {
			t.Parallel()
			f(t, startRelease(t, r, env...))
		})
	}
}

// A server is an n8n that runs for a test, with its owner logged in.
type server struct {
	t       testing.TB
	release release
	url     string
	data    string // its directory
	process *platformtest.Process
	client  *http.Client // has the owner's cookie
	apiKey  automation.Secret
	serial  atomic.Int64
}

// startServer starts an n8n 1.x of its own for the test, and sets its owner up.
func startServer(t testing.TB, env ...string) *server {
	t.Helper()
	return startRelease(t, first, env...)
}

// startRelease starts an n8n of a release.
func startRelease(t testing.TB, r release, env ...string) *server {
	t.Helper()
	s := launchRelease(t, r, env...)
	s.rest(t, "POST", "/rest/owner/setup", map[string]string{"email": "owner@example.com", "firstName": "Test", "lastName": "Owner", "password": "Segue-test-1"}, nil)
	s.rest(t, "POST", "/rest/login", map[string]string{"emailOrLdapLoginId": "owner@example.com", "password": "Segue-test-1"}, nil)
	key, err := s.newKey(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.apiKey = key
	return s
}

// launch starts an n8n 1.x, without an owner.
func launch(t testing.TB, env ...string) *server {
	t.Helper()
	return launchRelease(t, first, env...)
}

func launchRelease(t testing.TB, r release, env ...string) *server {
	t.Helper()
	platformtest.Require(t, "n8n")
	dir := r.program.Install(t)
	node, path := r.program.NodeJS(t)
	port := platformtest.FreePort(t)
	data := dataDir(t)
	s := &server{t: t, release: r, url: fmt.Sprintf("http://127.0.0.1:%d", port), data: data}
	s.process = platformtest.StartProcess(t, platformtest.Command{
		Args: []string{node, filepath.Join(dir, "node_modules", "n8n", "bin", "n8n"), "start"},
		Dir:  data,
		Env: append([]string{
			"N8N_USER_FOLDER=" + data, fmt.Sprintf("N8N_PORT=%d", port), "N8N_LISTEN_ADDRESS=127.0.0.1",
			"N8N_ENCRYPTION_KEY=segue-test", "GENERIC_TIMEZONE=UTC", "N8N_SECURE_COOKIE=false",
			"N8N_DIAGNOSTICS_ENABLED=false", "N8N_VERSION_NOTIFICATIONS_ENABLED=false", "N8N_TEMPLATES_ENABLED=false",
			"N8N_PERSONALIZATION_ENABLED=false", "N8N_HIRING_BANNER_ENABLED=false", "N8N_RUNNERS_ENABLED=false",
			// n8n 2 runs code in another process all the same, which asks here for work.
			fmt.Sprintf("N8N_RUNNERS_BROKER_PORT=%d", platformtest.FreePort(t)),
			// n8n answers 503 to all after a ping of its database that has taken
			// five seconds, as it may on a busy machine. Hence no pings.
			"DB_PING_INTERVAL_SECONDS=86400",
		}, append(path, env...)...),
		// It is 500 or less helpful until n8n's own pages are there.
		Ready: s.url + "/healthz/readiness",
		// Several of them start at once, on few cores.
		Timeout: 10 * time.Minute,
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Jar: jar, Timeout: 30 * time.Second}
	t.Cleanup(s.client.CloseIdleConnections)
	s.started()
	return s
}

// dataDir returns a directory for n8n's data: in memory where there is such
// a place, since every write of n8n is a few waits for the disk.
func dataDir(t testing.TB) string {
	t.Helper()
	if info, err := os.Stat("/dev/shm"); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	const prefix = "/dev/shm/segue-test-n8n-"
	old, _ := filepath.Glob(prefix + "*") // the pattern is good
	for _, dir := range old {
		// A test that was killed has left it.
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 6*time.Hour {
			_ = os.RemoveAll(dir) // somebody else may be at it
		}
	}
	dir, err := os.MkdirTemp(filepath.Dir(prefix), filepath.Base(prefix))
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// newKey makes an API key; expiresAt is in seconds since 1970, nil for never.
func (s *server) newKey(t testing.TB, expiresAt any) (automation.Secret, error) {
	t.Helper()
	var scopes struct{ Data []string }
	s.rest(t, "GET", "/rest/api-keys/scopes", nil, &scopes)
	var made struct{ Data struct{ RawAPIKey string } }
	status, answer, err := s.try("POST", "/rest/api-keys", map[string]any{
		"label": fmt.Sprintf("key %d", time.Now().UnixNano()), "expiresAt": expiresAt, "scopes": scopes.Data})
	if err == nil && status > 299 {
		err = fmt.Errorf("make an API key: %d: %s", status, answer)
	}
	if err == nil {
		err = json.Unmarshal(answer, &made)
	}
	return automation.NewSecret(made.Data.RawAPIKey), err
}

// started waits until n8n's own pages are there: they come last.
func (s *server) started() {
	s.t.Helper()
	for range 600 {
		if status, answer, err := s.try("GET", "/rest/settings", nil); err == nil && status == http.StatusOK && json.Valid(answer) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatal("n8n's own pages did not come")
}

// eventually waits until something is so.
func (s *server) eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for range 600 {
		if so() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("it did not come to it that %s", what)
}

// rest does a request of n8n's own pages, or of its API.
func (s *server) rest(t testing.TB, method, path string, in, out any) []byte {
	t.Helper()
	status, answer, err := s.try(method, path, in)
	if err != nil || status > 299 {
		t.Fatalf("%s %s: %d, %v: %s", method, path, status, err, answer)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, answer)
		}
	}
	return answer
}

func (s *server) try(method, path string, in any) (int, []byte, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return 0, nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, s.url+path, body)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-N8N-API-KEY", s.apiKey.Reveal())
	res, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// platform returns the server as a platform.
func (s *server) platform(options Options) *Platform {
	s.t.Helper()
	p, err := New(s.url, s.apiKey, options)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.Close() })
	return p
}

// counter counts requests by method and path.
type counter struct {
	mu     gosync.Mutex
	counts map[string]int
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[r.Method+" "+r.URL.Path]++
	c.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}
