package cache

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"sort"
	"sync"
	"time"
)

// Making a file takes much longer than writing to one. So if there are many entries, they are written as packs
// of up to a few hundred:
//
//	16 bytes   format
//	 8 bytes   number of entries, big-endian
//	           for each entry, in the order of keys: the key (32 bytes), its
//	           offset in the file and its length (8 bytes each, big-endian)
//	32 bytes   SHA-256 of everything above
//	           the entries
//
// An entry in a pack also has its own checksum.
const (
	packFormat = "segue pack v01\n\n"
	countEnd   = len(packFormat) + 8
	recordSize = len(Key{}) + 16

	packFolder = "packs"
	packEnding = ".pack"

	packMin     = 32      // the minimum number of entries for a pack
	packEntries = 256     // the number of entries that are written at once
	packBytes   = 4 << 20 // and their size
	packMax     = 65_536  // the maximum number of entries in a pack
	maxPacks    = 512     // the maximum number of packs that are searched
)

// A pack is a file that holds several entries.
type pack struct {
	name  string
	file  *os.File
	size  int64
	index []byte // the records
	used  time.Time
	touch sync.Once // records that it is in use
}

// add keeps an entry, and writes the pending ones if there are many. It reports whether the entry is kept.
func (d *disk) add(key Key, entry []byte) bool {
	if d.failures.Load() >= maxFailures || int64(len(entry)) > d.limit/4 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pendingBytes += len(entry) - len(d.pending[key])
	d.pending[key] = entry
	if len(d.pending) >= packEntries || d.pendingBytes >= packBytes {
		return d.flush()
	}
	return true
}

// flush writes the pending entries, and reports whether all were written. The caller holds the lock.
func (d *disk) flush() bool {
	entries := d.pending
	d.pending, d.pendingBytes = map[Key][]byte{}, 0
	if len(entries) < packMin {
		all := true
		for key, entry := range entries {
			all = d.write(key.path(), entry) && all
		}
		return all
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // it never fails
	name := packFolder + "/" + hex.EncodeToString(random[:]) + packEnding
	content := encodePack(entries)
	if !d.write(name, content) {
		return false
	}
	p := &pack{name: name, size: int64(len(content)), used: time.Now()}
	if p.open(d.root) != nil {
		return false
	}
	d.packs = append(d.packs, p)
	return true
}

func encodePack(entries map[Key][]byte) []byte {
	keys := slices.SortedFunc(maps.Keys(entries), func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	content := binary.BigEndian.AppendUint64([]byte(packFormat), uint64(len(keys)))
	at := countEnd + len(keys)*recordSize + sha256.Size
	for _, key := range keys {
		content = append(content, key[:]...)
		content = binary.BigEndian.AppendUint64(content, uint64(at))
		content = binary.BigEndian.AppendUint64(content, uint64(len(entries[key])))
		at += len(entries[key])
	}
	sum := sha256.Sum256(content)
	content = append(content, sum[:]...)
	for _, key := range keys {
		content = append(content, entries[key]...)
	}
	return content
}

// open opens a pack and reads its index.
func (p *pack) open(root *os.Root) error {
	f, err := root.Open(p.name)
	if err != nil {
		return err
	}
	index, err := decodeIndex(f)
	if err != nil {
		f.Close()
		return err
	}
	p.file, p.index = f, index
	return nil
}

// decodeIndex reads the records of a pack. The pack may be arbitrary bytes.
func decodeIndex(r io.Reader) ([]byte, error) {
	damaged := errors.New("it is not a pack, or damaged")
	start := make([]byte, countEnd)
	if _, err := io.ReadFull(r, start); err != nil || string(start[:len(packFormat)]) != packFormat {
		return nil, damaged
	}
	n := binary.BigEndian.Uint64(start[len(packFormat):])
	if n > packMax {
		return nil, damaged
	}
	rest := make([]byte, int(n)*recordSize+sha256.Size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, damaged
	}
	index := rest[:int(n)*recordSize]
	hash := sha256.New()
	hash.Write(start)
	hash.Write(index)
	if !bytes.Equal(hash.Sum(nil), rest[len(index):]) {
		return nil, damaged
	}
	return index, nil
}

// find returns the entry of a key, nil if the pack does not have it.
func (p *pack) find(key Key) []byte {
	n := len(p.index) / recordSize
	i := sort.Search(n, func(i int) bool { return bytes.Compare(p.index[i*recordSize:][:len(key)], key[:]) >= 0 })
	if i == n || !bytes.Equal(p.index[i*recordSize:][:len(key)], key[:]) {
		return nil
	}
	record := p.index[i*recordSize+len(key):]
	at, length := binary.BigEndian.Uint64(record), binary.BigEndian.Uint64(record[8:])
	if size := uint64(p.size); at > size || length > min(size-at, uint64(maxEntry)) {
		return nil
	}
	entry := make([]byte, length)
	if _, err := p.file.ReadAt(entry, int64(at)); err != nil {
		return nil
	}
	return entry
}

// packsFrom returns the open packs from an index on. If there are none, it opens the next one: packs that were
// used long ago are only opened for a key that no other pack has. It returns none at the end.
func (d *disk) packsFrom(i int) []*pack {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.listed {
		d.closed, d.listed = listPacks(d.root), true
	}
	for i == len(d.packs) && len(d.closed) > 0 {
		last := len(d.closed) - 1
		if p := d.closed[last]; p.open(d.root) == nil {
			d.packs = append(d.packs, p)
		}
		d.closed = d.closed[:last]
	}
	return d.packs[i:]
}

// listPacks returns the packs of the folder, the most recently used ones last. Their number is limited because
// many are open at once.
func listPacks(root *os.Root) []*pack {
	names, _ := list(root, packFolder)
	var packs []*pack
	for _, name := range names {
		name = packFolder + "/" + name
		info, err := root.Lstat(name)
		temporary, ok := parsePack(path.Base(name))
		if err == nil && ok && !temporary && info.Mode().IsRegular() {
			packs = append(packs, &pack{name: name, size: info.Size(), used: info.ModTime()})
		}
	}
	slices.SortFunc(packs, func(a, b *pack) int { return a.used.Compare(b.used) })
	return packs[max(0, len(packs)-maxPacks):]
}
