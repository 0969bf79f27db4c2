package platformtest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// helperVariable makes the test binary act as the program that a test starts:
// an HTTP server at the address in the variable.
const helperVariable = "SEGUE_TEST_SERVER"

func TestMain(m *testing.M) {
	if addr := os.Getenv(helperVariable); addr != "" {
		fmt.Println("listening")
		fmt.Println(http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, os.Getpid())
		})))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestAProcessIsReadyAndIsKilled(t *testing.T) {
	addr := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
	var pids [2]string
	t.Run("process", func(t *testing.T) {
		p := StartProcess(t, Command{Args: []string{os.Args[0]}, Dir: t.TempDir(), Env: []string{helperVariable + "=" + addr}, Ready: "http://" + addr})
		for i := range pids {
			_, pid, _, err := post(t.Context(), "http://"+addr, "")
			if err != nil {
				t.Fatal(err)
			}
			pids[i] = pid
			if i == 0 {
				p.Kill()
				p.Kill() // killing twice is allowed
				p.Start()
			}
		}
		if pids[0] == pids[1] || strings.Count(p.Log(), "listening") != 2 {
			t.Errorf("pids %v, log %q", pids, p.Log())
		}
	})
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the program is still there after the test")
	}
}

// failing records a fatal error instead of failing.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper() {}
func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	panic(f)
}
func (f *failing) Skipf(format string, args ...any) { f.Fatalf("skip: "+format, args...) }

// fails returns the message that f fails or skips with.
func fails(t *testing.T, f func(testing.TB)) (message string) {
	t.Helper()
	tb := &failing{TB: t}
	defer func() {
		if r := recover(); r != nil && r != any(tb) {
			panic(r)
		}
		message = tb.message
	}()
	f(tb)
	return ""
}

func TestAProgramThatEndsIsNotWaitedFor(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	got := fails(t, func(tb testing.TB) {
		StartProcess(tb, Command{Args: []string{os.Args[0]}, Env: []string{helperVariable + "=" + taken.Addr().String()},
			Ready: fmt.Sprintf("http://127.0.0.1:%d", FreePort(t))})
	})
	if !strings.Contains(got, "the program has ended") || !strings.Contains(got, "address already in use") {
		t.Errorf("message = %q", got)
	}
}

func TestRequireNarrows(t *testing.T) {
	for list, skipped := range map[string]bool{"": false, "nodered": false, "embedded, nodered": false, "embedded": true, "node": true} {
		t.Setenv(platformsVariable, list)
		got := fails(t, func(tb testing.TB) { Require(tb, "nodered") })
		if (got != "") != skipped || skipped && !strings.Contains(got, "NOT TESTED: SEGUE_TEST_PLATFORMS="+list+" skips nodered") {
			t.Errorf("%q: %q", list, got)
		}
	}
}

// writePackage returns a directory for [Program.Dir].
func writePackage(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"package.json": `{"dependencies":{"some-program":"` + version + `"}}`, "package-lock.json": `{}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAProgramThatCannotBeHadFailsTheTest(t *testing.T) {
	for name, tt := range map[string]struct{ dir, want string }{
		"no lock file":     {t.TempDir(), "package.json"},
		"no exact version": {writePackage(t, "^1.2.3"), "does not name an exact version"},
		"no node":          {writePackage(t, "1.2.3"), "node is not on the PATH"},
	} {
		t.Setenv("PATH", "")
		got := fails(t, func(tb testing.TB) { Program{Package: "some-program", Dir: tt.dir}.Install(tb) })
		if !strings.Contains(got, tt.want) || !strings.Contains(got, platformsVariable) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAnInstallationThatFailsIsTriedOnce(t *testing.T) {
	bin, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	const npm = "#!/bin/sh\necho \"$1\" >>%s\necho 'npm error 404' >&2\nexit 1\n"
	for name, text := range map[string]string{"npm": fmt.Sprintf(npm, log), "node": "#!/bin/sh\n"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := exec.Command(filepath.Join(bin, "node")).Output(); err != nil {
		t.Skipf("scripts don't run here: %v", err)
	}
	t.Setenv("PATH", bin)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	p := Program{Package: "some-program", Dir: writePackage(t, "1.2.3")}
	install := func(tb testing.TB) { p.Install(tb) }
	if got := fails(t, install); !strings.Contains(got, "npm error 404") || !strings.Contains(got, platformsVariable) {
		t.Errorf("the first test fails with %q, want npm's own error", got)
	}
	for range 2 {
		if got, want := fails(t, install), "some-program can't be installed: "+t.Name()+" says why"; got != want {
			t.Errorf("another test fails with %q, want %q", got, want)
		}
	}
	if tries, err := os.ReadFile(log); err != nil || string(tries) != "ci\n" {
		t.Errorf("npm was called with %q, %v; want one try", tries, err)
	}
}

func TestAProgramIsShared(t *testing.T) {
	addr := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
	var p *Process
	var pids [2]string
	for i := range pids {
		t.Run(fmt.Sprint("test ", i), func(t *testing.T) {
			if p == nil {
				p = StartShared(t, Command{Args: []string{os.Args[0]}, Dir: os.TempDir(),
					Env: []string{helperVariable + "=" + addr}, Ready: "http://" + addr})
			} else {
				p.Use(t)
			}
			var err error
			if _, pids[i], _, err = post(t.Context(), "http://"+addr, ""); err != nil {
				t.Fatal(err)
			}
		})
	}
	if p == nil {
		t.Fatal("it was not started")
	}
	p.Kill()
	if pids[0] != pids[1] || pids[0] == "" {
		t.Errorf("the tests have used the processes %v, want one", pids)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the program is still there after it was killed")
	}
}

func TestARecorderWaits(t *testing.T) {
	r := StartRecorder(t)
	sent := make(chan error, 1)
	go func() {
		_, _, _, err := post(t.Context(), r.URL+"/a%20b?c=d", "body")
		sent <- err
	}()
	got := r.Next(t)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.URI != "/a%20b?c=d" || string(got.Body) != "body" {
		t.Errorf("got %+v", got)
	}
	if more := r.Take(); len(more) != 0 {
		t.Errorf("more: %+v", more)
	}
}
