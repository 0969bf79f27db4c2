package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/diagnostic"
)

// watchFlag makes a command run again after each change.
func watchFlag() cli.Flag {
	return &cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "run again after each change of the project's files, until Ctrl-C"}
}

// watchable returns an error if --watch is not possible.
func watchable(c *cli.Context, format string) error {
	switch {
	case !c.Bool("watch"):
		return nil
	case c.Bool("fix"):
		return errors.New("--fix changes the files that --watch watches; use one of them")
	case format != "text" && format != "json":
		return fmt.Errorf("--watch prints findings again and again, which %s has no form for; use --format text or json", format)
	}
	return nil
}

// notesBeside returns the writer for notes about results in a format: beside them if
// people read them.
func (t *terminal) notesBeside(format string) io.Writer {
	if format == "text" {
		return t.stdout
	}
	return t.stderr // the other formats are for programs
}

// once does run, or with --watch does it again and again: see watch.
func (t *terminal) once(c *cli.Context, notes io.Writer, output string, run func(context.Context) error) error {
	if c.Bool("watch") {
		return t.watch(c.Context, notes, output, run)
	}
	return run(c.Context)
}

// errChanged ends a run because files have changed meanwhile.
var errChanged = errors.New("files have changed")

// watch calls run, and again after each change below the current folder, until ctx is
// done: then it returns nil. A change ends a run in progress. The result of a run is
// shown; watch only fails if all further runs would be useless. notes gets messages
// about watching and changes. output is the file, or the folder with a final slash,
// that run writes; "" for none.
func (t *terminal) watch(ctx context.Context, notes io.Writer, output string, run func(context.Context) error) error {
	w, err := newWatcher(output, fileOf(t.stdout), fileOf(t.stderr))
	if err != nil {
		return err
	}
	defer w.Close()
	go w.collect()
	for {
		changed, err := t.watched(ctx, w, notes, run)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(notes, "\n%s\n", changedText(changed))
		t.project().Again()
		t.project().Forget()
	}
}

// watched calls run once, and returns the files changed since it began, which may end
// it.
func (t *terminal) watched(ctx context.Context, w *watcher, notes io.Writer, run func(context.Context) error) ([]string, error) {
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- run(running) }()
	select {
	case err := <-done:
		if lost := t.stdout.err; lost != nil {
			return nil, lost
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		t.finish(err) // the status is for the end
	case changed := <-w.changes:
		cancel(errChanged)
		<-done
		return changed, nil
	case err := <-w.failed:
		cancel(err)
		<-done
		return nil, err
	}
	fmt.Fprintf(notes, "Watching %s for changes; stop it with Ctrl-C.\n", diagnostic.Printable(w.dir))
	select {
	case changed := <-w.changes:
		return changed, nil
	case err := <-w.failed:
		return nil, err
	case <-ctx.Done():
		return nil, nil
	}
}

// changedText says which files have changed.
func changedText(names []string) string {
	const most = 3
	text := strings.Join(names[:min(len(names), most)], ", ")
	if n := len(names) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	if len(names) == 1 {
		return diagnostic.Printable(text) + " has changed."
	}
	return diagnostic.Printable(text) + " have changed."
}

// A watcher reports changes below a folder.
type watcher struct {
	*fsnotify.Watcher
	dir    string      // the absolute path of the folder
	self   fs.FileInfo // of the folder
	output string      // the absolute path of the output, "" for none
	// streams are files that are written by this process.
	streams []fs.FileInfo
	// changes gives the names of changed files, and failed the reason why there are no more.
	changes chan []string
	failed  chan error
}

// newWatcher watches the current folder, but not the output.
func newWatcher(output string, streams ...*os.File) (*watcher, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("can't watch the project: %w", cause(err))
	}
	w := &watcher{dir: dir, changes: make(chan []string), failed: make(chan error, 1)}
	if w.self, err = os.Stat(dir); err != nil {
		return nil, fmt.Errorf("can't watch %s: %w", dir, cause(err))
	}
	if output != "" {
		if w.output, err = filepath.Abs(output); err != nil {
			return nil, err
		}
	}
	for _, f := range streams {
		if f == nil {
			continue
		}
		if stat, err := f.Stat(); err == nil && stat.Mode().IsRegular() {
			w.streams = append(w.streams, stat)
		}
	}
	if w.Watcher, err = fsnotify.NewWatcher(); err != nil {
		return nil, watchError(dir, err)
	}
	if err := w.addAll(dir); err != nil {
		w.Close()
		return nil, err
	}
	if runtime.GOOS == "linux" {
		// Of a folder that a process is in, such as this one, inotify tells only by the one
		// above that it is gone.
		_ = w.Add(filepath.Dir(dir)) // it may not be ours to read
	}
	return w, nil
}

// watchError is the error of a folder that can't be watched.
func watchError(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
		err = errors.New("the system lets a user watch no more folders; on Linux, fs.inotify.max_user_watches and max_user_instances set how many")
	}
	return fmt.Errorf("can't watch %s: %w", dir, cause(err))
}

// addAll watches a folder and those in it.
func (w *watcher) addAll(dir string) error {
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			return nil // it has gone; or nothing of it is read
		case err != nil:
			return watchError(name, err)
		case !entry.IsDir():
			return nil
		case name != w.dir && w.ignores(name):
			return filepath.SkipDir
		}
		if err := w.Add(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return watchError(name, err)
		}
		return nil
	})
}

// removeAll stops watching a folder that has gone, and those in it: where it was moved
// within the project, its new name is watched from then on.
func (w *watcher) removeAll(dir string) {
	for _, name := range w.WatchList() {
		if name == dir || strings.HasPrefix(name, dir+string(filepath.Separator)) {
			_ = w.Remove(name) // it is not to be watched any more
		}
	}
}

// ignores reports whether a change of a file is none of the project's: the files of
// Git and segue, and those that editors write beside the one that is edited, have names
// that begin with a dot, or such as "a.cue~", "#a.cue#" and, of vim, "4913".
func (w *watcher) ignores(name string) bool {
	if w.output != "" && (name == w.output || strings.HasPrefix(name, w.output+string(filepath.Separator))) {
		return true
	}
	rel, err := filepath.Rel(w.dir, name)
	if err != nil {
		return true
	}
	for part := range strings.SplitSeq(filepath.ToSlash(rel), "/") {
		if strings.HasPrefix(part, ".") && part != "." || strings.HasPrefix(part, "#") || strings.HasSuffix(part, "~") || part == "4913" {
			return true
		}
	}
	stat, err := os.Stat(name)
	return err == nil && slices.ContainsFunc(w.streams, func(s fs.FileInfo) bool { return os.SameFile(s, stat) })
}

// settling is how long after a change others are taken to belong to it: those of an
// editor that writes a file in several steps. What comes later makes another run.
const settling = 50 * time.Millisecond

// collect puts changes together, until the watcher is closed.
func (w *watcher) collect() {
	changed := map[string]bool{}
	var settled <-chan time.Time
	var out chan<- []string
	for {
		select {
		case event, ok := <-w.Events:
			if !ok {
				return
			}
			name, err := w.take(event)
			if err != nil {
				w.failed <- err
				return
			}
			if name == "" {
				continue
			}
			changed[name] = true
			if settled == nil && out == nil {
				settled = time.After(settling)
			}
		case err, ok := <-w.Errors:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) { // there were too many
				if err = w.addAll(w.dir); err == nil {
					changed["the project"], settled = true, time.After(settling)
					continue
				}
			}
			w.failed <- watchError(w.dir, err)
			return
		case <-settled:
			settled, out = nil, w.changes
		case out <- slices.Sorted(maps.Keys(changed)):
			changed, out = map[string]bool{}, nil
		}
	}
}

// take takes an event in, and returns the name of the changed file, relative to the
// folder; "" if it does not matter. It is an error if the folder is gone.
func (w *watcher) take(event fsnotify.Event) (string, error) {
	if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
		if now, err := os.Stat(w.dir); err != nil || !os.SameFile(now, w.self) {
			return "", fmt.Errorf("the project's folder %s is gone", w.dir)
		}
		w.removeAll(event.Name)
	}
	if event.Op == fsnotify.Chmod || w.ignores(event.Name) {
		return "", nil
	}
	if event.Has(fsnotify.Create) {
		if stat, err := os.Lstat(event.Name); err == nil && stat.IsDir() {
			if err := w.addAll(event.Name); err != nil {
				return "", err
			}
		}
	}
	rel, err := filepath.Rel(w.dir, event.Name)
	if err != nil || rel == "." {
		return "", nil
	}
	return filepath.ToSlash(rel), nil
}
