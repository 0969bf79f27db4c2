package main

import (
	"os"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCondition knows [mount]: whether the script may mount file systems. Only
// the superuser may, and not in every container.
func scriptCondition(name string) (bool, error) {
	switch name {
	case "mount":
		return canMount(), nil
	case "root":
		return os.Geteuid() == 0, nil
	default:
		return false, unknownCondition(name)
	}
}

func canMount() bool {
	dir, err := os.MkdirTemp("", "segue-mount")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		return false
	}
	return syscall.Unmount(dir, syscall.MNT_DETACH) == nil
}

// diskCommand makes a folder a disk of its own, or changes the size of the one
// that it is: disk folder SIZE
func diskCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "disk folder SIZE")
	dir := ts.MkAbs(args[0])
	if err := os.Mkdir(dir, 0o777); err != nil {
		ts.Check(syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, "size="+args[1]))
		return
	}
	ts.Check(syscall.Mount("none", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { ts.Check(syscall.Unmount(dir, syscall.MNT_DETACH)) })
}

// readonlyCommand makes a folder one that nobody can write to, the superuser
// included: readonly folder
func readonlyCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "readonly folder")
	dir := ts.MkAbs(args[0])
	if os.Geteuid() != 0 {
		ts.Check(os.Chmod(dir, 0o555))
		ts.Defer(func() { ts.Check(os.Chmod(dir, 0o755)) })
		return
	}
	ts.Check(syscall.Mount(dir, dir, "", syscall.MS_BIND, ""))
	ts.Defer(func() { ts.Check(syscall.Unmount(dir, syscall.MNT_DETACH)) })
	ts.Check(syscall.Mount(dir, dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""))
}
