package limits

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup puts the process that cmd starts in a group of its own, so that Ctrl-C does not reach it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

// killGroup kills the process. It has not started others.
func killGroup(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may have ended by itself
}

// processorTime returns the processor time that this process has used.
func processorTime() time.Duration {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0
	}
	used, _ := timeOf(self)
	return used
}

// usage returns the processor time that a child has used. On Windows it does not return memory.
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

// span converts a Filetime that is a duration, in units of 100 ns. Its method Nanoseconds is only for points in
// time.
func span(t syscall.Filetime) time.Duration {
	return time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime)) * 100
}
