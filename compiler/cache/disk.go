package cache

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The folder holds its marker, the time of the last trim, packs of entries, and
// single entries in up to 256 folders, named by the first byte of the key:
//
//	CACHEDIR.TAG
//	trim.txt
//	packs/94d2... (16 digits).pack
//	3f/9a0c... (62 digits)
//
// While a file is being written, its name ends in .tmp and 16 digits.
//
// All other files in the folder belong to somebody else, and are left alone. All writes and removals go through
// an [os.Root], so that no link leads outside.
const (
	markerName = "CACHEDIR.TAG"
	stampName  = "trim.txt"
	// The first line is from https://bford.info/cachedir/. It tells backup programs to leave the folder out.
	marker = "Signature: 8a477f597d28d172789f06886806bc55\n" +
		"# This folder is the cache of segue. \"segue cache clean\" empties it.\n"
)

// usedAgain is the age at which the time of a file's last use is renewed. It avoids a write for each read.
const usedAgain = time.Hour

// maxFailures is the number of consecutive failed writes after which the folder is not written to any more.
const maxFailures = 3

// A disk is the folder of a cache.
type disk struct {
	root  *os.Root
	dir   string
	limit int64
	warn  func(string)

	mu           sync.Mutex
	pending      map[Key][]byte // entries that are not written yet
	pendingBytes int
	packs        []*pack // open packs
	closed       []*pack // packs that are not open yet, the next one last
	listed       bool    // closed has been read

	warned   sync.Once
	failures atomic.Int32 // consecutive failed writes

	written  atomic.Int64 // bytes since the last trim by this process
	stamped  sync.Once    // the stamp has been looked at
	trimming atomic.Bool
	trims    sync.WaitGroup
	ctx      context.Context
	cancel   context.CancelFunc
}

// openDisk opens a folder. It makes the folder if it does not exist.
func openDisk(dir string, limit int64, warn func(string)) (*disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := openRoot(dir)
	if err != nil {
		return nil, err
	}
	d := &disk{root: root, dir: dir, limit: limit, warn: warn, pending: map[Key][]byte{}}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	if content, _ := read(root, markerName, diskBlock); string(content) != marker {
		if err := d.replace(markerName, []byte(marker)); err != nil {
			d.failed(err)
		}
	}
	return d, nil
}

// openRoot opens a folder if it is a cache of segue, or can become one.
func openRoot(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if err := recognize(root); err != nil {
		root.Close()
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return root, nil
}

// recognize returns an error unless a folder has the marker, or no files of others. The marker may be damaged,
// or another process may be about to write it.
func recognize(root *os.Root) error {
	content, err := read(root, markerName, diskBlock)
	if string(content) == marker {
		return nil
	}
	foreign := errors.New("it holds other files and is not a cache of segue; name another folder")
	damaged := strings.TrimRight(string(content), "\x00")
	if !strings.HasPrefix(marker, damaged) || errors.Is(err, fs.ErrInvalid) {
		return foreign
	}
	if ignoreMissing(err) != nil {
		return err
	}
	top, err := root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	names, err := top.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !isFanOut(name) && name != packFolder && name != stampName && !strings.HasPrefix(name, markerName) {
			return foreign
		}
	}
	return nil
}

// path returns the path of a key's entry in the folder, outside of packs.
func (k Key) path() string {
	s := k.String()
	return s[:2] + "/" + s[2:]
}

// isFanOut reports whether a name may be that of a folder of entries.
func isFanOut(name string) bool { return len(name) == 2 && isHex(name) }

// isHex reports whether a name consists of lowercase hexadecimal digits.
func isHex(name string) bool { return strings.Trim(name, "0123456789abcdef") == "" }

// parseEntry reports whether a name may be that of a file in a folder of entries, and whether that file is
// still being written.
func parseEntry(name string) (temporary, ok bool) {
	name, random, temporary := strings.Cut(name, ".tmp")
	return temporary, len(name) == 2*len(Key{})-2 && isHex(name) && (!temporary || (len(random) == 16 && isHex(random)))
}

// parsePack is like parseEntry, for the folder of packs.
func parsePack(name string) (temporary, ok bool) {
	name, random, temporary := strings.Cut(name, ".tmp")
	name, ending := strings.CutSuffix(name, packEnding)
	return temporary, ending && len(name) == 16 && isHex(name) && (!temporary || (len(random) == 16 && isHex(random)))
}

// get returns the value of a key.
func (d *disk) get(key Key) ([]byte, bool) {
	d.mu.Lock()
	pending := d.pending[key]
	d.mu.Unlock()
	if pending != nil {
		value, err := decode(key, pending)
		return value, err == nil
	}
	for seen := 0; ; {
		packs := d.packsFrom(seen)
		if len(packs) == 0 {
			break
		}
		seen += len(packs)
		for _, p := range packs {
			entry := p.find(key)
			if entry == nil {
				continue
			}
			if value, err := decode(key, entry); err == nil {
				p.touch.Do(func() { touch(d.root, p.name, p.used) })
				return value, true
			}
		}
	}
	entry, err := read(d.root, key.path(), maxEntry)
	if err != nil {
		return nil, false
	}
	value, err := decode(key, entry)
	return value, err == nil
}

// touch records that a file is in use.
func touch(root *os.Root, name string, used time.Time) {
	now := time.Now()
	if age := now.Sub(used); age > usedAgain || age < -usedAgain {
		_ = root.Chtimes(name, now, now) // if it fails, the file is only removed earlier
	}
}

// read returns the content of a regular file of a limited size, and records its use.
//
// It does not go through the root, which would take three times as long. Following a link does no harm, because
// the content is checked.
func read(root *os.Root, name string, limit int64) ([]byte, error) {
	file := root.Name() + string(filepath.Separator) + filepath.FromSlash(name)
	// Opening anything but a regular file could block.
	info, err := os.Lstat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fs.ErrInvalid
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content := make([]byte, info.Size())
	if _, err := io.ReadFull(f, content); err != nil {
		return nil, err
	}
	touch(root, name, info.ModTime())
	return content, nil
}

// write writes an entry or a pack, and reports whether it is in the folder.
func (d *disk) write(name string, content []byte) bool {
	if err := d.replace(name, content); err != nil {
		if !errors.Is(err, errLost) {
			d.failed(err)
		}
		return false
	}
	d.failures.Store(0)
	d.grown(int64(len(content)))
	return true
}

// failed counts a failed write, and warns about the first one.
func (d *disk) failed(err error) {
	d.failures.Add(1)
	d.warned.Do(func() { d.warn(fmt.Sprintf("can't write to the cache folder %s: %v", d.dir, err)) })
}

// errLost is the error for a file that another process is reading, which Windows then protects, or whose folder
// another process has removed.
var errLost = errors.New("in use")

// replace writes a file completely or not at all. It does not sync the file: the checksum reveals a file that a
// power cut has damaged.
func (d *disk) replace(name string, content []byte) error {
	var random [8]byte
	_, _ = rand.Read(random[:]) // it never fails
	temporary := name + ".tmp" + hex.EncodeToString(random[:])
	err := create(d.root, temporary, content)
	if folder := path.Dir(name); err != nil && folder != "." {
		// The folder does not exist yet, or a file has its name.
		if info, e := d.root.Lstat(folder); e == nil && !info.IsDir() {
			_ = d.root.Remove(folder)
		}
		if e := d.root.Mkdir(folder, 0o700); e != nil && !errors.Is(e, fs.ErrExist) {
			return errors.Join(err, e)
		}
		if err = create(d.root, temporary, content); errors.Is(err, fs.ErrNotExist) {
			return errLost // another process removes the folders
		}
	}
	if err == nil {
		err = d.root.Rename(temporary, name)
		if info, e := d.root.Lstat(name); err != nil && e == nil && !info.Mode().IsRegular() {
			_ = d.root.RemoveAll(name)
			err = d.root.Rename(temporary, name)
		} else if err != nil && (e == nil || errors.Is(err, fs.ErrNotExist)) {
			err = errLost
		}
	}
	if err != nil {
		_ = d.root.Remove(temporary)
	}
	return err
}

// create writes a new file.
func create(root *os.Root, name string, content []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// close writes the pending entries, and waits for a trim until ctx is done.
func (d *disk) close(ctx context.Context) {
	d.mu.Lock()
	d.flush()
	for _, p := range d.packs {
		p.file.Close()
	}
	d.packs = nil
	d.mu.Unlock()
	stop := context.AfterFunc(ctx, d.cancel)
	d.trims.Wait()
	stop()
	d.cancel()
	d.root.Close()
}
