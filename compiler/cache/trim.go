package cache

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// trimAgain is how long after a trim the next one is due.
	trimAgain = time.Hour
	// trimShare of the limit, and what one process has written is a reason to trim.
	trimShare = 16
	// abandoned is how old a file is that nobody writes to any more.
	abandoned = time.Hour
	// diskBlock is what files take on disk, in bytes, rounded up.
	diskBlock = 4096
)

// A Usage is what a folder holds.
type Usage struct {
	Entries int
	Bytes   int64 // on disk: sizes are rounded up to blocks of 4 KiB
}

// A stored file is an entry or a pack in the folder.
type stored struct {
	name string
	used int64 // when it was last used, in Unix nanoseconds
	size int64 // on disk
}

// count adds a file.
func (u *Usage) count(root *os.Root, name string, temporary bool, info fs.FileInfo) {
	if !info.Mode().IsRegular() {
		return
	}
	u.Bytes += onDisk(info.Size())
	switch {
	case temporary:
	case strings.HasSuffix(name, packEnding):
		if p := (&pack{name: name}); p.open(root) == nil {
			u.Entries += len(p.index) / recordSize
			p.file.Close()
		}
	default:
		u.Entries++
	}
}

// grown starts a trim where one is due. Only a process that writes trims, and it
// looks at the time of the last trim once: a run that changes nothing never waits
// for one.
func (d *disk) grown(n int64) {
	due := d.written.Add(onDisk(n)) > d.limit/trimShare
	d.stamped.Do(func() {
		info, err := d.root.Lstat(stampName)
		age := time.Duration(0)
		if err == nil {
			age = time.Since(info.ModTime())
		}
		due = due || err != nil || age > trimAgain || age < -trimAgain
	})
	if !due || !d.trimming.CompareAndSwap(false, true) {
		return
	}
	d.written.Store(0)
	d.trims.Go(func() {
		defer d.trimming.Store(false)
		// First of all, so that other processes leave it to this one.
		_ = d.replace(stampName, []byte("The time of this file is that of the last trim.\n"))
		trim(d.ctx, d.root, d.limit)
	})
}

// trim removes the entries and packs whose last use is the longest ago, until the
// others take nine tenths of the limit, and files that were never written to the
// end. Many processes may do it at once: each removes the same ones.
func trim(ctx context.Context, root *os.Root, limit int64) {
	var files []stored
	total := int64(0)
	old := time.Now().Add(-abandoned)
	_ = walk(ctx, root, func(name string, temporary bool, info fs.FileInfo) {
		switch {
		case temporary && info.ModTime().Before(old):
			_ = root.Remove(name)
		case !temporary && info.Mode().IsRegular():
			files = append(files, stored{name, info.ModTime().UnixNano(), onDisk(info.Size())})
			total += onDisk(info.Size())
		}
	})
	if total <= limit {
		return
	}
	slices.SortFunc(files, func(a, b stored) int {
		return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(a.name, b.name))
	})
	for _, f := range files {
		if total <= limit/10*9 || ctx.Err() != nil {
			return
		}
		// It may have been used or removed in the meantime.
		if info, err := root.Lstat(f.name); err == nil && info.ModTime().UnixNano() == f.used {
			_ = root.Remove(f.name)
		}
		total -= f.size
	}
}

func onDisk(size int64) int64 { return (size + diskBlock - 1) / diskBlock * diskBlock }

// walk calls a function for everything that has the name of an entry or a pack, or
// of one that is being written. It follows no links.
func walk(ctx context.Context, root *os.Root, each func(name string, temporary bool, info fs.FileInfo)) error {
	folders, err := list(root, ".")
	if err != nil {
		return err
	}
	var failed error
	for _, folder := range folders {
		parse := parseEntry
		if folder == packFolder {
			parse = parsePack
		} else if !isFanOut(folder) {
			continue
		}
		if info, err := root.Lstat(folder); err != nil || !info.IsDir() {
			continue
		}
		names, err := list(root, folder)
		failed = errors.Join(failed, ignoreMissing(err))
		for _, name := range names {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			temporary, ok := parse(name)
			if !ok {
				continue
			}
			name = folder + "/" + name
			if info, err := root.Lstat(name); err == nil {
				each(name, temporary, info)
			}
		}
	}
	return failed
}

// list returns the names in a folder.
func list(root *os.Root, name string) ([]string, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Measure returns what the cache in a folder holds; nothing where there is no
// folder. It is an error if the folder is not a cache of segue.
func Measure(dir string) (Usage, error) {
	var u Usage
	root, err := openRoot(dir)
	if err != nil {
		return u, ignoreMissing(err)
	}
	defer root.Close()
	err = walk(context.Background(), root, func(name string, temporary bool, info fs.FileInfo) {
		u.count(root, name, temporary, info)
	})
	return u, err
}

// Clean empties the cache in a folder and returns what it has removed. It removes
// nothing but the cache's own files, and leaves the folder with its marker, since
// other processes may be using it. It is an error if the folder is not a cache of
// segue.
func Clean(dir string) (Usage, error) {
	var u Usage
	root, err := openRoot(dir)
	if err != nil {
		return u, ignoreMissing(err)
	}
	defer root.Close()
	var failed error
	err = walk(context.Background(), root, func(name string, temporary bool, info fs.FileInfo) {
		before := u
		u.count(root, name, temporary, info)
		if err := root.RemoveAll(name); err != nil {
			failed, u = errors.Join(failed, err), before
		}
	})
	folders, _ := list(root, ".")
	for _, folder := range folders {
		if info, err := root.Lstat(folder); (isFanOut(folder) || folder == packFolder) && err == nil && info.IsDir() {
			_ = root.Remove(folder) // it is not empty where something is left
		}
	}
	_ = root.Remove(stampName) // an old one is as good as none
	return u, errors.Join(err, failed)
}
