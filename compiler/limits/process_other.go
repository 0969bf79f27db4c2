//go:build !unix && !windows

package limits

import (
	"os/exec"
	"time"
)

func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may have ended by itself
}

var started = time.Now()

// processorTime takes the time that has passed for what was used of the processors,
// where the system does not tell.
func processorTime() time.Duration { return time.Since(started) }
