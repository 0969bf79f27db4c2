package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// A path is opened from the project's folder, folder by folder. Most files are read along with others of their
// folder, so the last folders stay open, each confined to itself like the project's folder. If an open folder
// is moved, reading continues in that same folder.

// mostFolders is the maximum number of open folders.
const mostFolders = 32

// handles are open folders.
type handles struct {
	mu sync.Mutex
	// open is in the order of the last use. The names contain no links.
	open []handle
}

type handle struct {
	name string
	root *os.Root
}

// folder returns an open folder, nil if it can't be opened. Another call may close it at any time.
func (w *Disk) folder(real string) *os.Root {
	if real == "." {
		return w.Root
	}
	w.handles.mu.Lock()
	defer w.handles.mu.Unlock()
	return w.handles.folder(w.Root, real)
}

func (h *handles) folder(top *os.Root, real string) *os.Root {
	if i := slices.IndexFunc(h.open, func(o handle) bool { return o.name == real }); i >= 0 {
		found := h.open[i]
		h.open = append(slices.Delete(h.open, i, i+1), found)
		return found.root
	}
	parent := top
	if above := path.Dir(real); above != "." {
		if parent = h.folder(top, above); parent == nil {
			return nil
		}
	}
	root, err := parent.OpenRoot(path.Base(real))
	if err != nil {
		return nil
	}
	if len(h.open) >= mostFolders {
		h.open[0].root.Close()
		h.open = slices.Delete(h.open, 0, 1)
	}
	h.open = append(h.open, handle{real, root})
	return root
}

// Rest closes all open folders except the project's own, and forgets the files read. The disk can still be
// used.
func (w *Disk) Rest() {
	w.handles.mu.Lock()
	defer w.handles.mu.Unlock()
	for _, o := range w.handles.open {
		o.root.Close()
	}
	w.handles.open = nil
	w.contents.Clear()
	w.remembers.Store(0)
}

// Remember lets the disk keep the contents of files that are looked at until [Disk.Rest], up to a number of
// bytes. A run looks at each file, decides by its content whether it has changed, and then reads it.
func (w *Disk) Remember(bytes int64) { w.remembers.Store(bytes) }

// within calls f with the folder of a name without links and the name in it.
func within[T any](w *Disk, real string, f func(in *os.Root, base string) (T, error)) (T, error) {
	if root := w.folder(path.Dir(real)); root != nil {
		out, err := f(root, path.Base(real))
		if !errors.Is(err, os.ErrClosed) {
			return out, err
		}
	}
	return f(w.Root, filepath.FromSlash(real))
}

func (w *Disk) lstat(real string) (fs.FileInfo, error) { return within(w, real, (*os.Root).Lstat) }

func (w *Disk) readlink(real string) (string, error) { return within(w, real, (*os.Root).Readlink) }

// openReal opens a file or folder without blocking, in case a pipe has taken its place.
func (w *Disk) openReal(real string) (*os.File, error) {
	return within(w, real, func(in *os.Root, base string) (*os.File, error) {
		return in.OpenFile(base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	})
}
