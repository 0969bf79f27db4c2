package limits

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup puts the process that cmd starts in a group of its own: Ctrl-C does not
// reach it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

// killGroup kills the process. It has started no others.
func killGroup(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may have ended by itself
}

// processorTime is what this process has used of the processors.
func processorTime() time.Duration {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0
	}
	used, _ := timeOf(self)
	return used
}

// usage returns what a child has used of the processors. Its memory is not to be had
// without more ado.
func usage(p *os.Process) (used time.Duration, held uint64, ok bool) {
	err := p.WithHandle(func(handle uintptr) { used, ok = timeOf(syscall.Handle(handle)) })
	return used, 0, ok && err == nil
}

func timeOf(process syscall.Handle) (used time.Duration, ok bool) {
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(process, &created, &exited, &kernel, &user); err != nil {
		return 0, false
	}
	return span(kernel) + span(user), true
}

// span returns a Filetime that is a length of time, in steps of 100 ns. Its method
// Nanoseconds is for points in time.
func span(t syscall.Filetime) time.Duration {
	return time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime)) * 100
}
