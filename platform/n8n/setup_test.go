package n8n

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
		// A client for Kafka comes as source and can't be built everywhere.
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
	t       testing.TB // the current owner
	release release
	url     string
	data    string // its directory
	process *platformtest.Process
	client  *http.Client // has the owner's cookie
	apiKey  automation.Secret
	serial  atomic.Int64
}

// TestMain ends the servers that the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range shared.idle {
		if err := s.end(); err != nil {
			fmt.Println(err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// shared are servers that no test uses at the moment. Starting one takes longer than
// most tests. A test uses a server alone, because n8n can't handle parallel writes
// over SQLite, and gets it without workflows and credentials.
var shared struct {
	mu   gosync.Mutex
	idle []*server
}

// startServer gives the test an n8n 1.x.
func startServer(t testing.TB, env ...string) *server {
	t.Helper()
	return startRelease(t, first, env...)
}

// startRelease gives the test an n8n of a release: one used by another test, if the
// test needs no special environment.
func startRelease(t testing.TB, r release, env ...string) *server {
	t.Helper()
	platformtest.Require(t, "n8n")
	if len(env) > 0 {
		s := launchRelease(t, r, env...)
		s.setUp(t)
		return s
	}
	s := takeIdle(r)
	reused := s != nil
	if !reused {
		s = newServer(t, r)
	}
	t.Cleanup(func() { s.giveBack(t) })
	s.t = t
	if reused {
		s.process.Use(t)
		return s
	}
	s.process = platformtest.StartShared(t, s.command(t, env...))
	s.started()
	s.setUp(t)
	return s
}

// takeIdle returns an unused server of a release, or nil if there is none.
func takeIdle(r release) *server {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	for i, s := range shared.idle {
		if s.release.version == r.version {
			shared.idle = slices.Delete(shared.idle, i, i+1)
			return s
		}
	}
	return nil
}

// giveBack leaves the server to the next test if it can be cleared.
func (s *server) giveBack(t testing.TB) {
	if !t.Failed() {
		err := s.clear()
		if err == nil {
			shared.mu.Lock()
			defer shared.mu.Unlock()
			shared.idle = append(shared.idle, s)
			return
		}
		t.Logf("the server is not used again: %v", err)
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

// clear deletes all workflows and credentials. n8n 2 deletes a published workflow
// only a moment after it was unpublished.
func (s *server) clear() error {
	var err error
	for range 200 {
		var found int
		if found, err = s.clearOnce(); found == 0 && err == nil {
			return nil
		}
		if errors.Is(err, errNobodys) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.Join(errors.New("it does not get empty"), err)
}

// errNobodys is the reason for not reusing a server after parallel writes: it
// lists a workflow that belongs to nobody, which the API can't delete.
var errNobodys = errors.New("a workflow that is listed is not there")

// clearOnce deletes everything, and returns the number of deleted objects.
func (s *server) clearOnce() (found int, _ error) {
	send := func(method, path string, out any) error {
		status, answer, err := s.try(method, path, nil)
		switch {
		case err == nil && status == http.StatusNotFound:
			return fmt.Errorf("%w: %s %s", errNobodys, method, path)
		case err == nil && status > 299:
			return fmt.Errorf("%s %s: %d: %s", method, path, status, answer)
		}
		if err == nil && out != nil {
			err = json.Unmarshal(answer, out)
		}
		return err
	}
	type object struct {
		ID     string
		Active bool
	}
	var workflows, credentials struct{ Data []object }
	err := errors.Join(send("GET", "/api/v1/workflows?limit=250", &workflows), send("GET", "/rest/credentials", &credentials))
	for _, w := range workflows.Data {
		if w.Active {
			err = errors.Join(err, send("POST", "/api/v1/workflows/"+w.ID+"/deactivate", nil))
		}
		err = errors.Join(err, send("DELETE", "/api/v1/workflows/"+w.ID, nil))
	}
	for _, c := range credentials.Data {
		err = errors.Join(err, send("DELETE", "/api/v1/credentials/"+c.ID, nil))
	}
	return len(workflows.Data) + len(credentials.Data), err
}

// end kills the server, and removes its data.
func (s *server) end() error {
	if s.process != nil {
		s.process.Kill()
	}
	s.client.CloseIdleConnections()
	return os.RemoveAll(s.data)
}

// setUp makes the server's owner and an API key.
func (s *server) setUp(t testing.TB) {
	t.Helper()
	s.rest(t, "POST", "/rest/owner/setup", map[string]string{"email": "owner@example.com", "firstName": "Test", "lastName": "Owner", "password": "Segue-test-1"}, nil)
	s.rest(t, "POST", "/rest/login", map[string]string{"emailOrLdapLoginId": "owner@example.com", "password": "Segue-test-1"}, nil)
	key, err := s.newKey(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.apiKey = key
}

// launch starts an n8n 1.x for this test alone, without an owner.
func launch(t testing.TB, env ...string) *server {
	t.Helper()
	return launchRelease(t, first, env...)
}

func launchRelease(t testing.TB, r release, env ...string) *server {
	t.Helper()
	platformtest.Require(t, "n8n")
	s := newServer(t, r)
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})
	s.process = platformtest.StartProcess(t, s.command(t, env...))
	s.started()
	return s
}

// newServer returns a server that does not run yet.
func newServer(t testing.TB, r release) *server {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &server{t: t, release: r, url: fmt.Sprintf("http://127.0.0.1:%d", platformtest.FreePort(t)), data: dataDir(t),
		client: &http.Client{Jar: jar, Timeout: 30 * time.Second}}
}

// command returns the command that starts the server.
func (s *server) command(t testing.TB, env ...string) platformtest.Command {
	t.Helper()
	dir := s.release.program.Install(t)
	node, path := s.release.program.NodeJS(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(s.url, "http://"), ":")
	return platformtest.Command{
		Args: []string{node, filepath.Join(dir, "node_modules", "n8n", "bin", "n8n"), "start"},
		Dir:  s.data,
		Env: append([]string{
			"N8N_USER_FOLDER=" + s.data, "N8N_PORT=" + port, "N8N_LISTEN_ADDRESS=127.0.0.1",
			"N8N_ENCRYPTION_KEY=segue-test", "GENERIC_TIMEZONE=UTC", "N8N_SECURE_COOKIE=false",
			"N8N_DIAGNOSTICS_ENABLED=false", "N8N_VERSION_NOTIFICATIONS_ENABLED=false", "N8N_TEMPLATES_ENABLED=false",
			"N8N_PERSONALIZATION_ENABLED=false", "N8N_HIRING_BANNER_ENABLED=false", "N8N_RUNNERS_ENABLED=false",
			// n8n 2 runs code in another process in any case, which connects to this
			// port.
			fmt.Sprintf("N8N_RUNNERS_BROKER_PORT=%d", platformtest.FreePort(t)),
			// n8n answers 503 to all requests after a ping of its database that
			// has taken five seconds, which happens on a busy machine. So pings
			// are disabled.
			"DB_PING_INTERVAL_SECONDS=86400",
		}, append(path, env...)...),
		// Until n8n's own pages are available, the answer is 500 or worse.
		Ready: s.url + "/healthz/readiness", Timeout: 5 * time.Minute,
	}
}

// dataDir makes a directory for n8n's data, in memory if possible, because every write
// of n8n waits for the disk several times. The owner of the server removes it.
func dataDir(t testing.TB) string {
	t.Helper()
	const name = "segue-test-n8n-"
	for _, parent := range []string{"/dev/shm", os.TempDir()} {
		old, _ := filepath.Glob(filepath.Join(parent, name+"*")) // the pattern is valid
		for _, dir := range old {
			// A killed test has left it.
			if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 6*time.Hour {
				_ = os.RemoveAll(dir) // another process may be removing it too
			}
		}
	}
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		if dir, err := os.MkdirTemp("/dev/shm", name); err == nil {
			return dir
		}
	}
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		t.Fatal(err)
	}
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

// started waits until n8n's own pages are available, which are the last to
// start.
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

// rest makes a request like n8n's own pages, or to its API.
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
