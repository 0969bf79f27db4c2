package workspace

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// maxFile is the largest file that is read, in bytes. It holds some 30,000
// automations; what is larger is not something that people wrote.
const maxFile = 8 << 20

// mostLinks is how many links are followed on the way to one file.
const mostLinks = 40

// A Disk is the part of the disk that a project is read from. All reading
// of a project's files, CUE's own included, goes through it: it opens nothing
// that a link leads out to, nothing that may never end, and nothing huge.
//
// A name in a workspace is relative to its folder and has slashes.
type Disk struct {
	// Dir is the boundary: an absolute path without links in it, of the project's
	// folder.
	Dir string
	// stage is where CUE takes the project to be: a folder that does not exist, and
	// whose name nobody can guess.
	stage string
	// Root confines the opening of files, whatever happens to links meanwhile.
	Root *os.Root
	// Modules is where packages of other modules come from.
	Modules *registry
	// followed are the folders that a path leads to when links in it are followed.
	followed sync.Map // of string to string

	// unsaved are texts that take the place of what files hold, by their names.
	unsaved map[string][]byte

	mu sync.Mutex
	// aside are the files and folders that are not read, by name, with the reason.
	aside map[string]diagnostic.Diagnostic
	// told are those whose findings were taken.
	told map[string]bool
}

// Open opens the folder of a project, an absolute path without links.
// Waiting for a module registry ends with ctx.
func Open(ctx context.Context, dir string) (*Disk, error) {
	root, err := os.OpenRoot(dir) // closed when nothing refers to it any more
	if err != nil {
		return nil, fmt.Errorf("can't open the project: %w", err)
	}
	stage := filepath.Join(filepath.VolumeName(dir)+string(filepath.Separator), "segue-"+rand.Text())
	return &Disk{Dir: dir, stage: stage, Root: root, Modules: newRegistry(ctx),
		aside: map[string]diagnostic.Diagnostic{}, told: map[string]bool{}}, nil
}

// OpenProject opens the folder of a project. Texts of unsaved, by their names, take the
// place of what the files on the disk hold; there need be no such files. Waiting for
// a module registry ends with ctx.
func OpenProject(ctx context.Context, dir string, unsaved map[string][]byte) (*Disk, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, fmt.Errorf("can't open the project: %w", err)
	}
	disk, err := Open(ctx, root)
	if err != nil {
		return nil, err
	}
	disk.unsaved = unsaved
	return disk, nil
}

// A Refusal is why something is not read: an error to CUE, a finding to people.
type Refusal struct{ diagnostic.Diagnostic }

func (r *Refusal) Error() string { return r.Message }

func refuse(code, message, help string) *Refusal {
	return &Refusal{finding.Diagnose(code, diagnostic.Diagnostic{Message: message, Help: help})}
}

// RefusalOf says why a file or folder can't be read.
func RefusalOf(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return refuse("unreadable-file", fmt.Sprintf("this can't be read: %v", err), "make it readable, or remove it")
}

// private are folders whose content is not the project's: Git's, which may hold
// a token, and the embedded platform's, which holds the key of its secrets.
var private = []string{".git", ".segue"}

// resolve follows the links in a name. The result has none, and is in the
// workspace.
func (w *Disk) resolve(name string) (string, error) {
	name = path.Clean(name)
	if name == "." {
		return ".", nil
	}
	real, ok := w.followed.Load(path.Dir(name))
	if !ok {
		parent, err := w.resolve(path.Dir(name))
		if err != nil {
			return "", err
		}
		w.followed.Store(path.Dir(name), parent)
		real = parent
	}
	return w.follow(real.(string), []string{path.Base(name)})
}

// follow goes on from a folder without links.
func (w *Disk) follow(real string, rest []string) (string, error) {
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == ".." && real == ".":
			return "", outside()
		case part == "..":
			real = path.Dir(real)
			continue
		case slices.ContainsFunc(private, func(p string) bool { return strings.EqualFold(p, part) }):
			return "", refuse("outside-project", "this leads into "+part+", which is not read: it may hold credentials",
				"keep the file elsewhere in the project")
		}
		next := path.Join(real, part)
		info, err := w.Root.Lstat(filepath.FromSlash(next))
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			real = next
			continue
		}
		if links++; links > mostLinks {
			return "", refuse("unreadable-file", "this is a link that leads in a circle", "remove the link, or correct it")
		}
		target, err := w.Root.Readlink(filepath.FromSlash(next))
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(target) && !leavesFolder(real, filepath.ToSlash(target)) {
			rest = append(strings.Split(filepath.ToSlash(target), "/"), rest...)
			continue
		}
		// It may lead out and in again.
		if real, err = w.reenter(filepath.Join(w.Dir, filepath.FromSlash(next))); err != nil {
			return "", err
		}
	}
	return real, nil
}

// leavesFolder reports whether a way from a folder goes above the top, if only to
// come back.
func leavesFolder(from, target string) bool {
	depth := 0
	if from != "." {
		depth = strings.Count(from, "/") + 1
	}
	for _, part := range strings.Split(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// reenter returns the place in the workspace that a full path leads to.
func (w *Disk) reenter(full string) (string, error) {
	real, err := filepath.EvalSymlinks(full)
	if err != nil {
		return "", outside()
	}
	name, ok := w.name(real)
	if !ok {
		return "", outside()
	}
	return w.resolve(name) // which has no links
}

func outside() *Refusal {
	return refuse("outside-project", "this is a link that leads out of the project, and nothing outside of it is read",
		"put a copy in its place, or the project's folder higher up")
}

// name returns what a full path is called in the workspace.
func (w *Disk) name(full string) (string, bool) {
	rel, err := filepath.Rel(w.Dir, full)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// full returns the full path of a name.
func (w *Disk) full(name string) string { return filepath.Join(w.Dir, filepath.FromSlash(name)) }

// Stat describes what a name leads to. Links are followed.
func (w *Disk) Stat(name string) (fs.FileInfo, error) {
	if text, ok := w.unsaved[path.Clean(name)]; ok {
		return fileInfo{name: path.Base(name), size: int64(len(text))}, nil
	}
	real, err := w.resolve(name)
	if err != nil {
		return nil, err
	}
	return w.Root.Lstat(filepath.FromSlash(real))
}

// Exists reports whether there is something by that name, whether or not it can
// be read.
func (w *Disk) Exists(name string) bool {
	if _, ok := w.unsaved[path.Clean(name)]; ok {
		return true
	}
	_, err := w.Root.Lstat(filepath.FromSlash(path.Clean(name)))
	return err == nil
}

// ReadDir lists a folder, in order of the names.
func (w *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := w.readDir(name)
	return w.withUnsaved(path.Clean(name), entries, err)
}

// withUnsaved adds the files that are not on the disk yet to a list of a folder's, and
// the folders that these are in.
func (w *Disk) withUnsaved(dir string, entries []fs.DirEntry, err error) ([]fs.DirEntry, error) {
	added := map[string]fs.FileInfo{}
	for name, text := range w.unsaved {
		rest, inside := name, dir == "."
		if !inside {
			rest, inside = strings.CutPrefix(name, dir+"/")
		}
		if !inside {
			continue
		}
		first, _, below := strings.Cut(rest, "/")
		added[first] = fileInfo{name: first, size: int64(len(text)), dir: below}
	}
	for _, e := range entries {
		delete(added, e.Name())
	}
	if len(added) == 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return entries, err
	}
	for _, info := range added {
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

func (w *Disk) readDir(name string) ([]fs.DirEntry, error) {
	real, err := w.resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := w.Root.Lstat(filepath.FromSlash(real))
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: w.full(name), Err: syscall.ENOTDIR}
	}
	f, err := w.Root.OpenFile(filepath.FromSlash(real), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Read returns the content of a regular file that is not huge. Of anything else,
// the error is a [refusal].
func (w *Disk) Read(name string) ([]byte, error) {
	if text, ok := w.unsaved[path.Clean(name)]; ok {
		if len(text) > maxFile {
			return nil, tooLarge(int64(len(text)))
		}
		return text, nil
	}
	f, err := w.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = tooLarge(int64(len(content))) // it has grown
	}
	if err != nil {
		return nil, err
	}
	return content, nil
}

// open opens a regular file that is not huge.
func (w *Disk) open(name string) (*os.File, error) {
	real, err := w.resolve(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && w.Exists(name) {
			err = refuse("unreadable-file", "the file is a link to nothing", "remove the link, or correct it")
		}
		return nil, err
	}
	// To open a device may do something.
	info, err := w.Root.Lstat(filepath.FromSlash(real))
	if err == nil {
		err = fit(info)
	}
	if err != nil {
		return nil, err
	}
	// Without waiting, lest a pipe has taken its place.
	f, err := w.Root.OpenFile(filepath.FromSlash(real), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = fit(info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// fit says what is against reading a file, nil if nothing is.
func fit(info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return refuse("unreadable-file", "this is not a regular file", "remove it from the project")
	case info.Size() > maxFile:
		return tooLarge(info.Size())
	}
	return nil
}

func tooLarge(size int64) *Refusal {
	return refuse("file-too-large",
		fmt.Sprintf("the file has %s, and the largest that is read has %s", megabytes(size), megabytes(maxFile)),
		"split it, or remove it from the project")
}

// megabytes shows a size in bytes, rounded up to a tenth, so that what is above a limit
// is shown as more.
func megabytes(size int64) string {
	tenths := (size*10 + 1<<20 - 1) >> 20
	if tenths%10 == 0 {
		return fmt.Sprintf("%d MB", tenths/10)
	}
	return fmt.Sprintf("%d.%d MB", tenths/10, tenths%10)
}

// Unfit reports whether a file can't be read, and why.
func (w *Disk) Unfit(name string) (diagnostic.Diagnostic, bool) {
	var err error
	if text, ok := w.unsaved[path.Clean(name)]; !ok {
		var f *os.File
		if f, err = w.open(name); err == nil {
			f.Close()
		}
	} else if len(text) > maxFile {
		err = tooLarge(int64(len(text)))
	}
	if err == nil {
		return diagnostic.Diagnostic{}, false
	}
	d := RefusalOf(err).Diagnostic
	d.File = name
	return d, true
}

// setAside keeps a file out of all that follows, with a finding, if reading it
// could do harm or is not possible.
func (w *Disk) setAside(name string) bool {
	if w.IsAside(name) {
		return true
	}
	d, unfit := w.Unfit(name)
	if unfit {
		w.putAside(name, d)
	}
	return unfit
}

// putAside keeps a file or folder out with a finding, unless there is one.
func (w *Disk) putAside(name string, d diagnostic.Diagnostic) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.aside[name]; !known {
		w.aside[name] = d
	}
}

func (w *Disk) IsAside(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, aside := w.aside[name]
	return aside
}

// Findings are those about what was put aside since they were last asked for, and
// about a registry that was of no use.
func (w *Disk) Findings() diagnostic.List {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out diagnostic.List
	for _, name := range finding.SortedKeys(w.aside) {
		if !w.told[name] {
			w.told[name] = true
			out = append(out, w.aside[name])
		}
	}
	if d := w.Modules.finding(w); d != nil && !w.told[d.Code] {
		w.told[d.Code] = true
		out = append(out, *d)
	}
	return out
}
