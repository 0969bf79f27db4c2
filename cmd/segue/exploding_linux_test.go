package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// children lists the processes that a process has started, and that have not ended.
func children(parent int) []int {
	var out []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		state, ppid := statusOf(name)
		if ppid == parent && state != "Z" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			out = append(out, pid)
		}
	}
	return out
}

// statusOf reads the state and the parent of a process; "" if it is gone.
func statusOf(stat string) (state string, parent int) {
	content, err := os.ReadFile(stat)
	if err != nil {
		return "", 0
	}
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

func running(pid int) bool {
	state, _ := statusOf(fmt.Sprintf("/proc/%d/stat", pid))
	return state != "" && state != "Z"
}

// observe looks at the children of a process until stop is called, which returns how
// many there were at once, and all of them.
func observe(parent int) (stop func() (most int, all []int)) {
	quit, done := make(chan struct{}), make(chan struct{})
	most, seen := 0, map[int]bool{}
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			now := children(parent)
			most = max(most, len(now))
			for _, pid := range now {
				seen[pid] = true
			}
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	}()
	return func() (int, []int) {
		close(quit)
		<-done
		return most, slices.Sorted(maps.Keys(seen))
	}
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(patience)
	for !holds() {
		select {
		case <-limit:
			t.Fatalf("it never came to that: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// busy starts segue on a project that keeps it busy until it is ended: its limits are
// of a day. It returns once all children are at work.
func busy(t *testing.T) (cmd *exec.Cmd, stderr *bytes.Buffer, working []int) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes all of two processors, and with the race detector minutes until then")
	}
	cmd, _ = segueIn(t, explodingProject(t), "vet", "--limit-time", "24h", "--limit-memory", "2GB")
	stderr = &bytes.Buffer{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	until(t, "two children", func() bool {
		working = children(cmd.Process.Pid)
		return len(working) == 2
	})
	return cmd, stderr, working
}

// gone waits until processes have ended.
func gone(t *testing.T, pids []int) {
	t.Helper()
	until(t, "the children have ended", func() bool { return !slices.ContainsFunc(pids, running) })
}

// Ctrl-C ends what would go on for days, and all children.
func TestCtrlCEndsAnExplosion(t *testing.T) {
	t.Parallel()
	cmd, stderr, working := busy(t)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its status is asked for below
	if got := cmd.ProcessState.ExitCode(); got != statusFailed || stderr.String() != "error: interrupted\n" {
		t.Errorf("status %d: %s", got, stderr.String())
	}
	for _, pid := range working {
		if running(pid) {
			t.Errorf("the child %d is still there", pid)
		}
	}
}

// Whatever ends segue ends its children.
func TestAKilledSegueLeavesNoChild(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGQUIT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			cmd, _, working := busy(t)
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // killed
			gone(t, working)
		})
	}
}
