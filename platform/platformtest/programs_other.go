//go:build !unix

package platformtest

import "os/exec"

// ownGroup does nothing: only Unix has process groups.
func ownGroup(*exec.Cmd) {}

// killGroup ends the command. It may have ended already.
func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
