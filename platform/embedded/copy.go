package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// copyTries is the number of attempts to copy a file that changes during the
// copy.
const copyTries = 10

// openCopy opens a copy of the platform's file at path, for folders that can't
// be written: SQLite writes beside a file even to read it. It also copies the
// log beside the file, which may hold the latest writes. The key is read in
// place. Call discard to remove the copy, even after an error.
func openCopy(ctx context.Context, path string) (_ *Store, discard func() error, err error) {
	discard = func() error { return nil }
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, discard, fmt.Errorf("%s: %w", path, err)
	}
	dir, err := os.MkdirTemp("", "segue-") // with mode 0700
	if err != nil {
		return nil, discard, err
	}
	discard = func() error { return os.RemoveAll(dir) }
	file := filepath.Join(dir, "platform.db")
	if err := copyUnchanged(full, file); err != nil {
		return nil, discard, fmt.Errorf("%s: %w", path, cause(err))
	}
	key := full + ".key"
	if _, err := os.Stat(key); errors.Is(err, fs.ErrNotExist) {
		key = file + ".key" // a new one, for the copy
	}
	store, err := openPrepared(ctx, file, key, path, lockWait)
	return store, discard, err
}

// unwritable returns the error of writing to a regular file, and nil if it can be
// written or is not a regular file.
func unwritable(path string) error {
	if stat, err := os.Stat(path); err != nil || !stat.Mode().IsRegular() {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		err = f.Close()
	}
	if !isUnwritable(err) {
		return nil
	}
	return err
}

// copyUnchanged copies a file and the log beside it in a consistent state.
func copyUnchanged(from, to string) error {
	for range copyTries {
		before := stateOf(from)
		if err := copyFile(from, to); err != nil {
			return err
		}
		err := copyFile(from+"-wal", to+"-wal")
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.Remove(to + "-wal"); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
		if err != nil {
			return err
		}
		if stateOf(from) == before {
			return nil
		}
	}
	return errors.New("it can't be written from here, and other processes kept changing it while it was copied; try again")
}

// A fileState changes with every write to a file or to the log beside it.
type fileState [2]struct {
	size     int64
	modified time.Time
}

func stateOf(path string) (state fileState) {
	for i, p := range []string{path, path + "-wal"} {
		if stat, err := os.Stat(p); err == nil {
			state[i].size, state[i].modified = stat.Size(), stat.ModTime()
		}
	}
	return state
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
