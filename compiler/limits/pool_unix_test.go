//go:build unix

package limits

import (
	"os"
	"strconv"
	"syscall"
	"testing"
)

// Keys typed at the terminal go to the parent's process group.
func TestGroupOfItsOwn(t *testing.T) {
	pid, err := strconv.Atoi(pidOf(t, newPool(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	group, err := syscall.Getpgid(pid)
	if err != nil {
		t.Fatal(err)
	}
	if group != pid || group == syscall.Getpgrp() {
		t.Errorf("child %d of %d is in group %d", pid, os.Getpid(), group)
	}
}

// Nothing is left of children that fell, and of those that were closed: this process
// has no child, not even one that it has not waited for.
func TestNothingIsLeft(t *testing.T) {
	pool := newPool(t, 2)
	do(t, pool, limited(strict, "spin", "panic", "exit", "echo 1"))
	pool.Close()
	var status syscall.WaitStatus
	if pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil); err != syscall.ECHILD {
		t.Errorf("child %d is left: %v, %v", pid, status, err)
	}
}
