package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for something before it takes it for
// broken. Nothing that works comes near it.
const patience = 5 * time.Minute

// A process is a program that runs beside the script.
type process struct {
	cmd      *exec.Cmd
	terminal *os.File // nil for one without a terminal
	reading  sync.WaitGroup
	exited   chan struct{}
	err      error // of Wait, once exited is closed

	mu                  sync.Mutex
	stdout, stderr, all bytes.Buffer
	changed             chan struct{} // closed when there is more output
}

// stream is where a process writes.
type stream struct {
	p  *process
	to *bytes.Buffer
}

func (s stream) Write(b []byte) (int, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.to.Write(b)
	s.p.all.Write(b)
	close(s.p.changed)
	s.p.changed = make(chan struct{})
	return len(b), nil
}

// startCommand starts a program: start [-pty] NAME program [argument...]
// With -pty it runs on a terminal of its own, of 100 columns.
func startCommand(ts *testscript.TestScript, neg bool, args []string) {
	onTerminal := len(args) > 0 && args[0] == "-pty"
	if onTerminal {
		args = args[1:]
	}
	arguments(ts, neg, args, 2, "start [-pty] NAME program [argument...]")
	program := args[1]
	if !strings.ContainsRune(program, filepath.Separator) {
		found, err := lookPath(ts, program)
		ts.Check(err)
		program = found
	}
	if signal.Ignored(syscall.SIGHUP) {
		// The tests run under nohup or the like; the program is to hear of it.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	p := &process{cmd: exec.Command(program, args[2:]...), exited: make(chan struct{}), changed: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = ts.MkAbs("."), scriptEnvironment(ts)
	if onTerminal {
		f, err := pty.StartWithSize(p.cmd, &pty.Winsize{Rows: 40, Cols: 100})
		ts.Check(err)
		p.terminal = f
		// A terminal ends with an error when nobody writes to it any more.
		p.reading.Go(func() { _, _ = io.Copy(stream{p, &p.stdout}, f) })
	} else {
		p.cmd.Stdout, p.cmd.Stderr = stream{p, &p.stdout}, stream{p, &p.stderr}
		ts.Check(p.cmd.Start())
	}
	go func() {
		p.err = p.cmd.Wait()
		p.reading.Wait()
		close(p.exited)
	}()
	stageOf(ts).processes[args[0]] = p
	ts.Defer(func() {
		_ = p.cmd.Process.Kill() // it has ended, in a script that went well
		<-p.exited
		if p.terminal != nil {
			_ = p.terminal.Close()
		}
	})
}

// scriptEnvironment is the environment of a script's programs.
func scriptEnvironment(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "WORK", "TERM", "GORACE", "GOCOVERDIR", "NO_COLOR",
		"SEGUE_CACHE_DIR", "SEGMENT_WRITE_KEY", "SEGUE_PLATFORM_TOKEN", "NODE_RED_PASSWORD"} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func lookPath(ts *testscript.TestScript, program string) (string, error) {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, program)
		if stat, err := os.Stat(path); err == nil && stat.Mode().IsRegular() && stat.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &exec.Error{Name: program, Err: exec.ErrNotFound}
}

func processOf(ts *testscript.TestScript, name string) *process {
	p := stageOf(ts).processes[name]
	if p == nil {
		ts.Fatalf("nothing was started as %s", name)
	}
	return p
}

// awaitCommand waits until what a process has written matches, and puts the
// first group into a variable: await NAME regexp [VARIABLE]
func awaitCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "await NAME regexp [VARIABLE]")
	p := processOf(ts, args[0])
	pattern, err := regexp.Compile(`(?m)` + args[1])
	ts.Check(err)
	limit := time.After(patience)
	for over := false; ; {
		p.mu.Lock()
		found, changed, all := pattern.FindSubmatch(p.all.Bytes()), p.changed, p.all.String()
		p.mu.Unlock()
		switch {
		case found != nil:
			if len(args) > 2 {
				ts.Setenv(args[2], string(found[1]))
			}
			return
		case over:
			ts.Fatalf("%s never wrote %s:\n%s", args[0], args[1], all)
		}
		select {
		case <-changed:
		case <-p.exited:
			over = true // once more, for what came last
		case <-limit:
			over = true
		}
	}
}

// typeCommand types a line at a process's terminal; ^C is Ctrl-C: type NAME TEXT
func typeCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "type NAME TEXT")
	p := processOf(ts, args[0])
	if p.terminal == nil {
		ts.Fatalf("%s has no terminal; start it with -pty", args[0])
	}
	text := args[1] + "\n"
	if args[1] == "^C" {
		text = "\x03"
	}
	_, err := p.terminal.WriteString(text)
	ts.Check(err)
}

// interruptCommand sends a process what Ctrl-C does: interrupt NAME
func interruptCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "interrupt NAME")
	ts.Check(processOf(ts, args[0]).cmd.Process.Signal(os.Interrupt))
}

// hangUpCommand sends a process what it gets when its terminal ends: hangup NAME
func hangUpCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "hangup NAME")
	ts.Check(processOf(ts, args[0]).cmd.Process.Signal(syscall.SIGHUP))
}

// endCommand waits until a process has ended, with the exit status, and makes
// its output that of the command: end NAME [STATUS]
func endCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "end NAME [STATUS]")
	p := processOf(ts, args[0])
	want := 0
	if len(args) > 1 {
		var err error
		want, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.mu.Lock()
		defer p.mu.Unlock()
		ts.Fatalf("%s does not end:\n%s", args[0], p.all.String())
	}
	_, _ = io.WriteString(ts.Stdout(), strings.ReplaceAll(p.stdout.String(), "\r\n", "\n"))
	_, _ = io.WriteString(ts.Stderr(), p.stderr.String())
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		ts.Fatalf("%v", p.err)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%s: exit status %d, want %d:\n%s", args[0], got, want, p.all.String())
	}
}
