package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// WriteFile replaces the content of a file. All files that segue writes are written by it, by these rules:
//
//   - A regular file is replaced in one step, so that a reader never sees half of
//     it, and keeps its mode. A new file is readable by everybody.
//   - A device or a pipe is written to, and stays a device or pipe. Waiting for
//     its reader ends with ctx.
//   - A link is followed and stays a link. If top is not "", it must not lead out
//     of that folder; missing folders below top are made.
func WriteFile(ctx context.Context, top, name string, content []byte) error {
	if top == "" {
		if f := openDescriptor(name); f != nil {
			return writeTo(ctx, f, content)
		}
	}
	real := followed(name)
	if top != "" {
		if rel, err := filepath.Rel(followed(top), real); err != nil || !filepath.IsLocal(rel) {
			return fmt.Errorf("a link in its path leads out of the folder %s, and segue writes nothing there; "+
				"remove the link", top)
		}
	}
	mode := fs.FileMode(0o644)
	switch info, err := os.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		if top == "" {
			break
		}
		if err := os.MkdirAll(filepath.Dir(real), 0o755); err != nil {
			return err
		}
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("it is a folder")
	case !info.Mode().IsRegular():
		return writeStream(ctx, name, content)
	default:
		mode = info.Mode().Perm()
	}
	return replaceFile(real, content, mode)
}

// replaceFile replaces a file by a new one. Until then its name starts with a dot, so that a file left by a
// killed process is ignored.
func replaceFile(name string, content []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".segue-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // does nothing after the rename
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Chmod(mode), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// openDescriptor returns the open file of a name such as /dev/stdout, nil for other names. Opening it by name
// would start at its beginning.
func openDescriptor(name string) *os.File {
	switch name = filepath.Clean(name); name {
	case "/dev/stdout":
		return os.Stdout
	case "/dev/stderr":
		return os.Stderr
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		number, ok := strings.CutPrefix(name, dir)
		n, err := strconv.ParseUint(number, 10, 31)
		switch {
		case !ok || err != nil:
		case n == 1:
			return os.Stdout
		case n == 2:
			return os.Stderr
		default:
			return os.NewFile(uintptr(n), name)
		}
	}
	return nil
}

// writeStream writes to a device or a pipe.
func writeStream(ctx context.Context, name string, content []byte) error {
	return unlessDone(ctx, func() error {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(content)
		return errors.Join(err, f.Close())
	})
}

func writeTo(ctx context.Context, f *os.File, content []byte) error {
	return unlessDone(ctx, func() error {
		_, err := f.Write(content)
		return err
	})
}

// unlessDone calls a function that may block for ever, and stops waiting for it when ctx is done.
func unlessDone(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// followed follows the links in a path as far as it exists.
func followed(name string) string {
	full, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	for range mostLinks {
		if real, err := filepath.EvalSymlinks(full); err == nil {
			return real
		}
		target, err := os.Readlink(full)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(followed(filepath.Dir(full)), target)
		}
		full = target // a link to a missing file
	}
	if parent := filepath.Dir(full); parent != full {
		return filepath.Join(followed(parent), filepath.Base(full))
	}
	return full
}

// ReadFile reads a file of the project in dir, by its name in findings. It refuses files that are outside of
// dir, not regular, or huge.
func ReadFile(dir, name string) ([]byte, error) {
	root, err := filepath.Abs(dir)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return nil, err
	}
	disk, err := Open(context.Background(), root)
	if err != nil {
		return nil, err
	}
	defer disk.Root.Close()
	defer disk.Rest()
	return disk.Read(name)
}
