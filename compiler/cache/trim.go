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
	// trimAgain is the time from a trim to the next one.
	trimAgain = time.Hour
	// A process trims after it has written limit/trimShare bytes.
	trimShare = 16
	// abandoned is the age after which a temporary file is considered abandoned.
	abandoned = time.Hour
	// diskBlock is the unit of the size of files on disk, in bytes.
	diskBlock = 4096
)

// A Usage is the contents of a folder.
type Usage struct {
	Entries int
	Bytes   int64 // on disk: sizes are rounded up to blocks of 4 KiB
}

// A stored file is an entry or a pack in the folder.
type stored struct {
	name string
	used int64 // time of the last use, in Unix nanoseconds
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

// grown starts a trim if one is due. Only a process that writes trims, and it checks the time of the last trim
// once. So a run that changes nothing never waits for a trim.
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
		// This comes first, so that other processes leave the trim to this one.
		_ = d.replace(stampName, []byte("The time of this file is the time of the last trim.\n"))
		trim(d.ctx, d.root, d.limit)
	})
}

// trim removes the least recently used entries and packs until the others take nine tenths of the limit. It
// also removes abandoned temporary files. Many processes may trim at once: each removes the same files.
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

// walk calls a function for every file with the name of an entry or a pack, or of one that is being written. It
// does not follow links.
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

// Measure returns the contents of the cache in a folder, zero if the folder does not exist. It is an error if
// the folder is not a cache of segue.
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

// Clean empties the cache in a folder and returns the removed contents. It only removes the cache's own files.
// The folder and its marker stay, because other processes may be using them. It is an error if the folder is
// not a cache of segue.
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
			_ = root.Remove(folder) // this fails if the folder is not empty
		}
	}
	_ = root.Remove(stampName) // an old stamp is like none
	return u, errors.Join(err, failed)
}
