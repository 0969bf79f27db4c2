//go:build !unix

package platformtest

import "os/exec"

// ownGroup does nothing: only Unix has process groups.
func ownGroup(*exec.Cmd) {}

// killGroup ends the command. That it has ended already is no matter.
func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
