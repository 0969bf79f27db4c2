package workspace

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// maxFile is the largest file that is read, in bytes. It holds some 30,000 automations. People do not write
// larger ones.
const maxFile = 8 << 20

// mostLinks is the maximum number of links on the way to one file.
const mostLinks = 40

// A Disk is the part of the disk that a project is read from. All reading of a project's files, CUE's own
// included, goes through it: it opens no link that leads out of the folder, no file that may never end, and no
// huge file.
//
// A name in a workspace is relative to its folder and has slashes.
type Disk struct {
	// Dir is the boundary: the absolute path of the project's folder, without links.
	Dir string
	// stage is the folder that CUE believes the project to be in. It does not exist, and nobody can guess its
	// name.
	stage string
	// Root confines the opening of files, even if links change meanwhile.
	Root    *os.Root
	handles handles
	// contents has the remembered files by name, and remembers is the number of bytes that may still be added.
	contents  sync.Map // of string to []byte
	remembers atomic.Int64
	// Modules provides packages of other modules.
	Modules *registry
	// followed maps folders to their paths without links.
	followed sync.Map // of string to string

	// unsaved has contents that replace those of files, by name.
	unsaved map[string][]byte
	// origin has the files of the module around the project, by name, with where they really are.
	origin map[string]string
	// keeps means that the folders are listed once for all loaders.
	keeps bool

	mu sync.Mutex
	// listing is that of the first loader, nil before. It never changes.
	listing *listing
	// aside has the files and folders that are not read, by name, with the reason.
	aside map[string]diagnostic.Diagnostic
	// told has those whose findings were returned.
	told map[string]bool
}

// Open opens the folder of a project, an absolute path without links.
// Waiting for a module registry ends with ctx.
func Open(ctx context.Context, dir string) (*Disk, error) {
	root, err := os.OpenRoot(dir) // closed when it is no longer referenced
	if err != nil {
		return nil, fmt.Errorf("can't open the project: %w", err)
	}
	stage := filepath.Join(filepath.VolumeName(dir)+string(filepath.Separator), "segue-"+rand.Text())
	return &Disk{Dir: dir, stage: stage, Root: root, Modules: newRegistry(ctx),
		aside: map[string]diagnostic.Diagnostic{}, told: map[string]bool{}}, nil
}

// OpenProject opens the folder of a project. The contents in unsaved, by name, replace those of the files on
// disk; these files need not exist. Waiting for a module registry ends with ctx.
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
	return disk, disk.joinRepository(ctx)
}

// A listing has what [Loader.PackageDirs] finds.
type listing struct {
	dirs    []string
	entries map[string][]fs.DirEntry
	sizes   map[string]int64
}

// KeepListing lists the folders once for all loaders: the caller does not use the disk any more after files have
// come or gone.
func (w *Disk) KeepListing() { w.keeps = true }

// With returns the disk with another unsaved content of a file that has one, without listing the folders again.
// Listing must not depend on the content, so the file must be a source of a listed package, and no content larger
// than a file may be. It returns nil if that is not so.
func (w *Disk) With(name string, content []byte) *Disk {
	old, known := w.unsaved[name]
	w.mu.Lock()
	defer w.mu.Unlock()
	// In a module around the project, the content may import more of it.
	if !known || w.origin != nil || w.listing == nil || w.listing.entries[path.Dir(name)] == nil ||
		!IsSource(path.Base(name)) || len(old) > maxFile || len(content) > maxFile {
		return nil
	}
	sizes := maps.Clone(w.listing.sizes)
	sizes[path.Dir(name)] += int64(len(content) - len(old))
	unsaved := maps.Clone(w.unsaved)
	unsaved[name] = content
	return &Disk{Dir: w.Dir, stage: w.stage, Root: w.Root, Modules: w.Modules, unsaved: unsaved, keeps: true,
		listing: &listing{w.listing.dirs, w.listing.entries, sizes}, aside: maps.Clone(w.aside), told: maps.Clone(w.told)}
}

// A Refusal is the reason that a file is not read: an error for CUE, a finding for people.
type Refusal struct{ diagnostic.Diagnostic }

func (r *Refusal) Error() string { return r.Message }

func refuse(code, message, help string) *Refusal {
	return &Refusal{finding.Diagnose(code, diagnostic.Diagnostic{Message: message, Help: help})}
}

// RefusalOf returns the reason that a file or folder can't be read.
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

// private has the folders whose contents are not the project's: Git's, which may hold a token, and the embedded
// platform's, which holds the key of its secrets.
var private = []string{".git", ".segue"}

// resolve follows the links in a name. The result has no links, and is within the project.
func (w *Disk) resolve(name string) (string, error) {
	real, _, err := w.resolveInfo(name)
	return real, err
}

// resolveInfo is resolve and also describes the file.
func (w *Disk) resolveInfo(name string) (string, fs.FileInfo, error) {
	name = path.Clean(name)
	if name == "." {
		info, err := w.lstat(".")
		return ".", info, err
	}
	real, ok := w.followed.Load(path.Dir(name))
	if !ok {
		parent, err := w.resolve(path.Dir(name))
		if err != nil {
			return "", nil, err
		}
		w.followed.Store(path.Dir(name), parent)
		real = parent
	}
	end, info, err := w.follow(real.(string), []string{path.Base(name)})
	if err == nil && info == nil { // it ends with a link to a folder above
		info, err = w.lstat(end)
	}
	return end, info, err
}

// follow continues from a folder without links. It describes the file if it has looked at it.
func (w *Disk) follow(real string, rest []string) (string, fs.FileInfo, error) {
	var last fs.FileInfo
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == ".." && real == ".":
			return "", nil, outside()
		case part == "..":
			real, last = path.Dir(real), nil
			continue
		case slices.ContainsFunc(private, func(p string) bool { return strings.EqualFold(p, part) }):
			return "", nil, refuse("outside-project", "this leads into "+part+
				", which segue does not read because it may hold credentials", "keep the file elsewhere in the project")
		}
		next := path.Join(real, part)
		info, err := w.lstat(next)
		if err != nil {
			return "", nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			real, last = next, info
			continue
		}
		if links++; links > mostLinks {
			return "", nil, refuse("unreadable-file", "this link leads back to itself", "remove the link, or correct it")
		}
		target, err := w.readlink(next)
		if err != nil {
			return "", nil, err
		}
		if !filepath.IsAbs(target) && !leavesFolder(real, filepath.ToSlash(target)) {
			rest = append(strings.Split(filepath.ToSlash(target), "/"), rest...)
			continue
		}
		// The path may lead out and back in.
		if real, last, err = w.reenter(filepath.Join(w.Dir, filepath.FromSlash(next))); err != nil {
			return "", nil, err
		}
	}
	return real, last, nil
}

// leavesFolder reports whether a path from a folder goes above the top, even if it comes back.
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

// reenter resolves a full path to a name in the project, and describes the file.
func (w *Disk) reenter(full string) (string, fs.FileInfo, error) {
	real, err := filepath.EvalSymlinks(full)
	if err != nil {
		return "", nil, outside()
	}
	name, ok := w.name(real)
	if !ok {
		return "", nil, outside()
	}
	return w.resolveInfo(name) // it has no links
}

func outside() *Refusal {
	return refuse("outside-project", "this link leads out of the project, and segue reads nothing outside of it",
		"replace it with a copy, or make a folder higher up the project")
}

// name converts a full path into a name in the project.
func (w *Disk) name(full string) (string, bool) {
	rel, err := filepath.Rel(w.Dir, full)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// full returns the full path of a name.
func (w *Disk) full(name string) string { return filepath.Join(w.Dir, filepath.FromSlash(name)) }

// Stat describes the file at a name. Links are followed.
func (w *Disk) Stat(name string) (fs.FileInfo, error) {
	if text, ok := w.unsaved[path.Clean(name)]; ok {
		return fileInfo{name: path.Base(name), size: int64(len(text))}, nil
	}
	_, info, err := w.resolveInfo(name)
	if err != nil && w.holdsUnsaved(path.Clean(name)) {
		return fileInfo{name: path.Base(name), dir: true}, nil
	}
	return info, err
}

// holdsUnsaved reports whether a folder has files that are not on disk.
func (w *Disk) holdsUnsaved(dir string) bool {
	for name := range w.unsaved {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// Exists reports whether a file or folder of that name exists, even if it can't be read.
func (w *Disk) Exists(name string) bool {
	if _, ok := w.unsaved[path.Clean(name)]; ok {
		return true
	}
	_, err := w.lstat(path.Clean(name))
	return err == nil || w.holdsUnsaved(path.Clean(name))
}

// ReadDir lists a folder, sorted by name.
func (w *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := w.readDir(name)
	return w.withUnsaved(path.Clean(name), entries, err)
}

// withUnsaved adds files that are not on disk yet, and their folders, to the entries of a folder.
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
	real, info, err := w.resolveInfo(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: w.full(name), Err: syscall.ENOTDIR}
	}
	f, err := w.openReal(real)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Read returns the content of a regular file that is not huge. For other files, the error is a [Refusal].
func (w *Disk) Read(name string) ([]byte, error) {
	if text, ok := w.unsaved[path.Clean(name)]; ok {
		if len(text) > maxFile {
			return nil, tooLarge(int64(len(text)))
		}
		return text, nil
	}
	if content, ok := w.contents.Load(path.Clean(name)); ok {
		return content.([]byte), nil
	}
	f, size, err := w.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readOpen(f, size)
}

// readOpen reads an open file of the given size in bytes.
func readOpen(f *os.File, size int64) ([]byte, error) {
	content := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err := content.ReadFrom(io.LimitReader(f, maxFile+1))
	if err == nil && content.Len() > maxFile {
		err = tooLarge(int64(content.Len())) // it has grown
	}
	if err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

// open opens a regular file that is not huge, and returns its size in bytes.
func (w *Disk) open(name string) (*os.File, int64, error) {
	real, info, err := w.resolveInfo(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && w.Exists(name) {
			err = refuse("unreadable-file", "the file is a link to nothing", "remove the link, or correct it")
		}
		return nil, 0, err
	}
	// Opening a device may have effects.
	if err := fit(info); err != nil {
		return nil, 0, err
	}
	f, err := w.openReal(real)
	if err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err == nil {
		err = fit(info)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// fit returns the reason that a file can't be read, nil if it can.
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
		fmt.Sprintf("the file has %s, but segue reads at most %s", megabytes(size), megabytes(maxFile)),
		"split it, or remove it from the project")
}

// megabytes shows a size in bytes, rounded up to a tenth, so that a size above a limit looks larger than the
// limit.
func megabytes(size int64) string {
	tenths := (size*10 + 1<<20 - 1) >> 20
	if tenths%10 == 0 {
		return fmt.Sprintf("%d MB", tenths/10)
	}
	return fmt.Sprintf("%d.%d MB", tenths/10, tenths%10)
}

// Unfit reports whether a file can't be read, and why.
func (w *Disk) Unfit(name string) (diagnostic.Diagnostic, bool) {
	_, err := w.size(name)
	if err == nil {
		return diagnostic.Diagnostic{}, false
	}
	d := RefusalOf(err).Diagnostic
	d.File = name
	return d, true
}

// size returns the number of bytes in a file, and an error if it can't be read.
func (w *Disk) size(name string) (int64, error) {
	if text, ok := w.unsaved[path.Clean(name)]; ok {
		if len(text) > maxFile {
			return 0, tooLarge(int64(len(text)))
		}
		return int64(len(text)), nil
	}
	f, size, err := w.open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if w.remembers.Add(-size) < 0 {
		w.remembers.Add(size)
		return size, nil
	}
	content, err := readOpen(f, size)
	if err != nil {
		return size, nil // the next read will report it
	}
	w.contents.Store(path.Clean(name), content)
	return int64(len(content)), nil
}

// setAside excludes a file, with a finding, if reading it could do harm or is not possible.
func (w *Disk) setAside(name string) bool {
	_, aside := w.sizeOrAside(name)
	return aside
}

// sizeOrAside is setAside and also returns the size in bytes of a file that is not excluded.
func (w *Disk) sizeOrAside(name string) (size int64, aside bool) {
	if w.IsAside(name) {
		return 0, true
	}
	size, err := w.size(name)
	if err == nil {
		return size, false
	}
	d := RefusalOf(err).Diagnostic
	d.File = name
	w.putAside(name, d)
	return 0, true
}

// putAside excludes a file or folder with a finding, unless it already has one.
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

// Told returns the names whose findings were returned, for [Disk.TellAgain].
func (w *Disk) Told() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.told)
}

// TellAgain restores the state that [Disk.Told] returned, so that each run on the disk gets all findings after
// that.
func (w *Disk) TellAgain(told map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = maps.Clone(told)
}

// Findings returns the findings about files put aside since the last call, and about a failed registry.
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
