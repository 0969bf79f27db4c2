//go:build unix

package sync

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
)

// A shell's <(command) is a pipe that somebody writes to.
func TestResolveReadsAPipe(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	fmt.Fprintln(write, "hunter2")
	write.Close()
	r := SecretResolver{Trusted: everything, Sources: map[string]automation.SecretSource{"S": {File: fmt.Sprintf("/dev/fd/%d", read.Fd())}}}
	if secrets, err := r.Resolve(t.Context(), []SecretUse{{Secret: "S"}}); err != nil || secrets["S"].Reveal() != "hunter2" {
		t.Errorf("got %q, %v", secrets["S"].Reveal(), err)
	}
}

func TestResolveDoesNotWaitForAPipeForEver(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	r := SecretResolver{Trusted: everything, Timeout: 20 * time.Millisecond, Sources: map[string]automation.SecretSource{"S": {File: pipe}}}
	_, err := r.Resolve(t.Context(), []SecretUse{{Secret: "S"}})
	if err == nil || !strings.Contains(err.Error(), "took longer than 20ms") {
		t.Errorf("error = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Timeout = 0
	if _, err := r.Resolve(ctx, []SecretUse{{Secret: "S"}}); err == nil {
		t.Error("no error of a context that is done")
	}
}
