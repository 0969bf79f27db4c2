//go:build unix

package cache

import (
	"os/signal"
	"syscall"
)

// pipe makes a named pipe, which blocks who opens it.
func pipe(name string) error { return syscall.Mkfifo(name, 0o600) }

// limitFiles has writing beyond a size fail, as on a full disk.
func limitFiles(size uint64) error {
	signal.Ignore(syscall.SIGXFSZ)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: size})
}
