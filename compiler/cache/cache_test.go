package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// notes collects the warnings of a cache.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) add(note string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, note)
}

func (n *notes) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.all...)
}

// key is that of the i-th value.
func key(i int) Key { return sha256.Sum256(fmt.Append(nil, "key", i)) }

// value is the value of a key: of some KB, and in part not compressible.
func value(i int) []byte {
	random := rand.New(rand.NewPCG(uint64(i), 7))
	b := bytes.Repeat(fmt.Appendf(nil, "value %d ", i), i%400)
	for range i % 300 {
		b = append(b, byte(random.Uint32()))
	}
	return b
}

// put fills a folder with n values and closes it.
func put(t testing.TB, config Config, n int) {
	t.Helper()
	c := Open(config)
	for i := range n {
		c.Put(t.Context(), key(i), value(i))
	}
	c.Close(t.Context())
}

// hits is how many of n values are found, each of which must be the right one.
func hits(t testing.TB, config Config, n int) int {
	t.Helper()
	c := Open(config)
	defer c.Close(t.Context())
	found := 0
	for i := range n {
		if got, ok := c.Get(t.Context(), key(i)); ok {
			found++
			if !bytes.Equal(got, value(i)) {
				t.Fatalf("key %d has the value %q", i, got)
			}
		}
	}
	return found
}

func TestNextRunFindsEntries(t *testing.T) {
	for _, n := range []int{1, packMin - 1, packMin, 2*packEntries + 7} {
		config := Config{Dir: filepath.Join(t.TempDir(), "a", "segue"), Warn: func(note string) { t.Error(note) }}
		put(t, config, n)
		if found := hits(t, config, n+5); found != n {
			t.Errorf("%d of %d found", found, n)
		}
		usage, err := Measure(config.Dir)
		if err != nil || usage.Entries != n || usage.Bytes == 0 {
			t.Errorf("%d entries: %+v, %v", n, usage, err)
		}
	}
}

func TestEntriesAreFoundAtOnce(t *testing.T) {
	c := Open(Config{Dir: t.TempDir()})
	defer c.Close(t.Context())
	for i := range 3 * packEntries {
		c.Put(t.Context(), key(i), value(i))
		for _, j := range []int{i, i / 2, 0} {
			if got, ok := c.Get(t.Context(), key(j)); !ok || !bytes.Equal(got, value(j)) {
				t.Fatalf("after %d: key %d: %v", i, j, ok)
			}
		}
	}
	c.Put(t.Context(), key(1), []byte("another"))
	if got, _ := c.Get(t.Context(), key(1)); string(got) != "another" {
		t.Errorf("after a second Put: %q", got)
	}
}

func TestGetAll(t *testing.T) {
	config := Config{Dir: t.TempDir()}
	put(t, config, 100)
	c := Open(config)
	defer c.Close(t.Context())
	var keys []Key
	for i := range 120 {
		keys = append(keys, key(i))
	}
	var mu sync.Mutex
	found := map[int]bool{}
	c.GetAll(t.Context(), keys, func(i int, got []byte) {
		mu.Lock()
		defer mu.Unlock()
		found[i] = bytes.Equal(got, value(i))
	})
	for i := range 120 {
		if found[i] != (i < 100) {
			t.Errorf("key %d: %v", i, found[i])
		}
	}
	if n := c.Counts(); n.Disk != 100 || n.Misses != 20 {
		t.Errorf("%+v", n)
	}
}

func TestNoCacheIsEmpty(t *testing.T) {
	for _, c := range []*Cache{nil, Open(Config{})} {
		c.Put(t.Context(), key(1), value(1))
		if _, ok := c.Get(t.Context(), key(1)); ok {
			t.Error("found")
		}
		c.GetAll(t.Context(), []Key{key(1)}, func(int, []byte) { t.Error("found") })
		c.Counts()
		c.Close(t.Context())
	}
}

// files lists the files of a folder, relative to it, without the marker and the stamp.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Dir(path) != dir {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Each way to damage a file makes a miss, never another value, and the entry is
// made anew.
func TestDamagedEntryIsMissAndReplaced(t *testing.T) {
	type damage struct {
		name string
		do   func(t *testing.T, file string) error
	}
	change := func(f func(b []byte) []byte) func(*testing.T, string) error {
		return func(_ *testing.T, file string) error {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			return os.WriteFile(file, f(b), 0o600)
		}
	}
	replace := func(f func(file string) error) func(*testing.T, string) error {
		return func(t *testing.T, file string) error {
			if err := os.Remove(file); err != nil {
				return err
			}
			return f(file)
		}
	}
	outside := t.TempDir()
	kept := filepath.Join(outside, "kept")
	if err := os.WriteFile(kept, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	damages := []damage{
		{"empty", change(func([]byte) []byte { return nil })},
		{"cut by one", change(func(b []byte) []byte { return b[:len(b)-1] })},
		{"cut in the header", change(func(b []byte) []byte { return b[:40] })},
		{"longer", change(func(b []byte) []byte { return append(b, 0) })},
		{"another format", change(func(b []byte) []byte { b[14] ^= 3; return b })},
		{"a bit at the end", change(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
		{"zeros", change(func(b []byte) []byte { return make([]byte, len(b)) })},
		{"garbage", change(func(b []byte) []byte { return bytes.Repeat([]byte("garbage"), 1000) })},
		{"another's entry", change(func([]byte) []byte { return encode(key(999), value(999)) })},
		{"a huge file", func(_ *testing.T, file string) error { return os.Truncate(file, maxEntry+1) }},
		{"a folder", replace(func(file string) error { return os.Mkdir(file, 0o700) })},
		{"a folder with a file", replace(func(file string) error {
			return errors.Join(os.Mkdir(file, 0o700), os.WriteFile(filepath.Join(file, "x"), nil, 0o600))
		})},
		{"unreadable", func(_ *testing.T, file string) error { return os.Chmod(file, 0) }},
	}
	if runtime.GOOS != "windows" {
		damages = append(damages,
			damage{"a link", replace(func(file string) error { return os.Symlink(kept, file) })},
			damage{"a link to nowhere", replace(func(file string) error { return os.Symlink("/nowhere/x", file) })},
			damage{"a link to itself", replace(func(file string) error { return os.Symlink(file, file) })},
			damage{"its folder is a link", func(_ *testing.T, file string) error {
				return errors.Join(os.RemoveAll(filepath.Dir(file)), os.Symlink(outside, filepath.Dir(file)))
			}},
			damage{"its folder is a file", func(_ *testing.T, file string) error {
				return errors.Join(os.RemoveAll(filepath.Dir(file)), os.WriteFile(filepath.Dir(file), nil, 0o600))
			}},
		)
		damages = append(damages, damage{"a pipe", replace(pipe)})
	}
	for _, d := range damages {
		for kind, n := range map[string]int{"entry": 1, "pack": packMin} {
			t.Run(d.name+" "+kind, func(t *testing.T) {
				config := Config{Dir: filepath.Join(t.TempDir(), "segue"), Warn: func(note string) { t.Error(note) }}
				put(t, config, n)
				all := files(t, config.Dir)
				if len(all) != 1 {
					t.Fatalf("%q", all)
				}
				if err := d.do(t, all[0]); err != nil {
					t.Fatal(err)
				}
				// A pack whose end is damaged still has its other entries; root can read
				// everything; and one that has become longer is not damaged.
				found := hits(t, config, n)
				if kind == "entry" && found > 0 && !(d.name == "unreadable" && os.Geteuid() == 0) {
					t.Error("found")
				}
				put(t, config, n)
				if found := hits(t, config, n); found != n {
					t.Errorf("%d of %d are found after they have been put again", found, n)
				}
				if b, err := os.ReadFile(kept); string(b) != "somebody's" {
					t.Errorf("a file outside: %q, %v", b, err)
				}
				if entries, _ := os.ReadDir(outside); len(entries) != 1 {
					t.Errorf("the folder outside holds %v", entries)
				}
			})
		}
	}
}

// Every bit of an entry and of a pack counts.
func TestEveryBitCounts(t *testing.T) {
	entry := encode(key(1), []byte("a value, a value, a value"))
	for i := range entry {
		for bit := range 8 {
			entry[i] ^= 1 << bit
			if got, err := decode(key(1), entry); err == nil {
				t.Errorf("byte %d, bit %d: %q", i, bit, got)
			}
			entry[i] ^= 1 << bit
		}
	}
	if got, err := decode(key(1), entry); err != nil || string(got) != "a value, a value, a value" {
		t.Errorf("%q, %v", got, err)
	}
	entries := map[Key][]byte{key(1): encode(key(1), value(1)), key(2): encode(key(2), value(2))}
	content := encodePack(entries)
	indexEnd := countEnd + 2*recordSize + 32
	for i := range indexEnd {
		content[i] ^= 4
		if _, err := decodeIndex(bytes.NewReader(content)); err == nil {
			t.Errorf("byte %d of the index is wrong and not seen", i)
		}
		content[i] ^= 4
	}
	if _, err := decodeIndex(bytes.NewReader(content)); err != nil {
		t.Error(err)
	}
}

func TestUnusableFolderIsSkipped(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, want string }{
		"a file":              {file, "not a directory"},
		"below a file":        {filepath.Join(file, "segue"), "not a directory"},
		"somebody's folder":   {dir, "is not a cache of segue"},
		"a system's folder":   {"/proc/segue", ""},
		"a name with a zero":  {filepath.Join(dir, "a\x00b"), ""},
		"a name that is long": {filepath.Join(dir, strings.Repeat("x", 5000)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var n notes
			config := Config{Dir: c.dir, Warn: n.add}
			put(t, config, 3*packEntries)
			if hits(t, config, 3) != 0 {
				t.Error("found")
			}
			if all := n.list(); len(all) != 2 || !strings.Contains(all[0], c.want) {
				t.Errorf("notes of two runs: %q", all)
			}
		})
	}
	if b, _ := os.ReadFile(file); string(b) != "somebody's" {
		t.Errorf("the file holds %q", b)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("the folder holds %v", entries)
	}
}

// The file system has no room for entries any more, and later it has.
func TestAFullFolderIsNotedOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no limit for a file's size")
	}
	dir := t.TempDir()
	put(t, Config{Dir: dir}, 10)
	for _, run := range []int{1, packEntries} {
		out := rerun(t, "full", dir, fmt.Sprint(run))
		if n := strings.Count(out, "note: "); n != 1 || !strings.Contains(out, "can't write to") {
			t.Errorf("%d: %s", run, out)
		}
	}
	if leftover := files(t, dir); len(leftover) != 10 {
		t.Errorf("%d files", len(leftover))
	}
	if found := hits(t, Config{Dir: dir}, 10); found != 10 {
		t.Errorf("%d of 10 found", found)
	}
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	dir := filepath.Join(t.TempDir(), "new", "segue")
	put(t, Config{Dir: dir}, packMin)
	put(t, Config{Dir: dir}, 3)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[entry.IsDir()]; err == nil && info.Mode().Perm() != want {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The least recently used entries and packs are removed first.
func TestTheOldestAreRemoved(t *testing.T) {
	dir := t.TempDir()
	const n = 30
	for i := range n { // a file each
		c := Open(Config{Dir: dir})
		c.Put(t.Context(), key(i), value(299))
		c.Close(t.Context())
	}
	c := Open(Config{Dir: dir})
	defer c.Close(t.Context())
	used := time.Now().Add(-100 * time.Hour)
	for i := range n {
		if err := os.Chtimes(filepath.Join(dir, key(i).path()), used, used.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 { // reading is using
		if _, ok := c.Get(t.Context(), key(i)); !ok {
			t.Fatal("a miss")
		}
	}
	trim(t.Context(), c.disk.root, n*diskBlock)
	if u, err := Measure(dir); err != nil || u.Entries != n {
		t.Errorf("as much as the limit allows is there, and removed: %+v, %v", u, err)
	}
	trim(t.Context(), c.disk.root, 20*diskBlock)
	var kept []int
	for i := range n {
		if _, err := os.Lstat(filepath.Join(dir, key(i).path())); err == nil {
			kept = append(kept, i)
		}
	}
	if got, want := fmt.Sprint(kept), "[0 1 2 3 4 17 18 19 20 21 22 23 24 25 26 27 28 29]"; got != want {
		t.Errorf("kept %s, want %s", got, want)
	}
}

func TestAFolderKeepsToItsLimit(t *testing.T) {
	config := Config{Dir: t.TempDir(), Limit: 2 << 20}
	random := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		c := Open(config)
		for range 200 {
			b := make([]byte, 5000)
			for i := range b {
				b[i] = byte(random.Uint32())
			}
			c.Put(t.Context(), sha256.Sum256(b), b)
		}
		c.Close(t.Context())
		// The folder may exceed the limit by the writes of one run after its last trim.
		if u, err := Measure(config.Dir); err != nil || u.Bytes > config.Limit+config.Limit/2 {
			t.Errorf("%+v, %v", u, err)
		}
	}
	// An entry that would fill the folder is not kept.
	c := Open(config)
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	c.Put(t.Context(), key(1), b)
	if _, ok := c.Get(t.Context(), key(1)); ok {
		t.Error("an entry of half the limit is kept")
	}
	c.Close(t.Context())
}

func TestAbandonedFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	put(t, Config{Dir: dir}, packMin)
	put(t, Config{Dir: dir}, 1)
	old := time.Now().Add(-2 * abandoned)
	var left []string
	for _, name := range files(t, dir) {
		for i, when := range []time.Time{old, time.Now()} {
			temporary := fmt.Sprintf("%s.tmp%016x", name, i)
			if err := errors.Join(os.WriteFile(temporary, nil, 0o600), os.Chtimes(temporary, when, when)); err != nil {
				t.Fatal(err)
			}
			left = append(left, temporary)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	trim(t.Context(), root, DefaultLimit)
	for i, name := range left {
		if _, err := os.Stat(name); (err == nil) != (i%2 == 1) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCleanRemovesOnlyCacheFiles(t *testing.T) {
	dir := t.TempDir()
	put(t, Config{Dir: dir}, packMin)
	put(t, Config{Dir: dir}, 7)
	outside := t.TempDir()
	link := strings.Repeat("ab", 31)
	write := func(name string) string {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte("mine"), 0o600)); err != nil {
			t.Fatal(err)
		}
		return name
	}
	mine := []string{
		write(filepath.Join(dir, "notes.txt")), write(filepath.Join(dir, "ab", "notes.txt")), write(filepath.Join(dir, "packs", "x.pack")),
		write(filepath.Join(dir, "zz", link)), write(filepath.Join(outside, link)), write(filepath.Join(dir, "cd", "sub", link)),
		write(filepath.Join(dir, "0a.txt")),
	}
	_ = os.RemoveAll(filepath.Join(dir, "ff"))
	if runtime.GOOS != "windows" {
		if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "ff")), os.Symlink(mine[4], filepath.Join(dir, "ab", link))); err != nil {
			t.Fatal(err)
		}
	}
	before, err := Measure(dir)
	if err != nil {
		t.Fatal(err)
	}
	removed, err := Clean(dir)
	if err != nil || removed != before || removed.Entries < packMin {
		t.Errorf("removed %+v of %+v, %v", removed, before, err)
	}
	for _, name := range mine {
		if b, err := os.ReadFile(name); string(b) != "mine" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if u, err := Measure(dir); err != nil || u != (Usage{}) {
		t.Errorf("left: %+v, %v", u, err)
	}
	put(t, Config{Dir: dir}, 5)
	if found := hits(t, Config{Dir: dir}, 5); found != 5 {
		t.Errorf("%d of 5 found afterwards", found)
	}
}

func TestCleanRefusesAnotherFolder(t *testing.T) {
	for name, content := range map[string]string{"notes.txt": "", "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n# cargo\n", "ab.txt": ""} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		entry := filepath.Join(dir, key(1).path())
		if err := errors.Join(os.Mkdir(filepath.Dir(entry), 0o700), os.WriteFile(entry, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := Clean(dir); err == nil || !strings.Contains(err.Error(), "is not a cache of segue") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Measure(dir); err == nil {
			t.Errorf("%s: measured", name)
		}
		if _, err := os.Stat(entry); err != nil {
			t.Error(err)
		}
	}
	if u, err := Clean(filepath.Join(t.TempDir(), "missing")); err != nil || u != (Usage{}) {
		t.Errorf("a missing folder: %+v, %v", u, err)
	}
}

// A marker that a power cut has damaged is written again.
func TestDamagedMarkerIsReplaced(t *testing.T) {
	for _, content := range []string{"", marker[:50], strings.Repeat("\x00", len(marker)), "removed"} {
		dir := t.TempDir()
		put(t, Config{Dir: dir}, 3)
		name := filepath.Join(dir, markerName)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if content == "removed" {
			os.Remove(name)
		}
		if found := hits(t, Config{Dir: dir, Warn: func(n string) { t.Error(n) }}, 3); found != 3 {
			t.Errorf("%q: %d found", content, found)
		}
		if b, _ := os.ReadFile(name); string(b) != marker {
			t.Errorf("%q: %q", content, b)
		}
	}
}

// Closing writes pending entries, even if there is no time for anything else.
func TestCloseWritesPendingEntries(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	config := Config{Dir: t.TempDir()}
	const n = 2*packEntries + 50
	c := Open(config)
	for i := range n {
		c.Put(t.Context(), key(i), value(i))
	}
	c.Close(ctx)
	if found := hits(t, config, n); found != n {
		t.Errorf("%d of %d found", found, n)
	}
}

func TestFlushIsVisibleToOtherProcesses(t *testing.T) {
	config := Config{Dir: t.TempDir()}
	c := Open(config)
	defer c.Close(t.Context())
	for i := range 3 {
		c.Put(t.Context(), key(i), value(i))
	}
	if found := hits(t, config, 3); found != 0 {
		t.Errorf("%d found before", found)
	}
	c.Flush()
	if found := hits(t, config, 3); found != 3 {
		t.Errorf("%d of 3 found", found)
	}
}

func TestFromEnvironment(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", home)
	config := func(pairs ...string) (Config, error) {
		return FromEnvironment(func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		})
	}
	if c, err := config(); err != nil || filepath.Base(c.Dir) != "segue" || c.Limit != 1<<30 || c.Remote != nil {
		t.Errorf("%+v, %v", c, err)
	}
	c, err := config("SEGUE_CACHE_DIR", "off", "SEGUE_CACHE_SIZE", "200 MB", "SEGUE_CACHE_URL", "https://me:SECRET@cache.example/a/", "SEGUE_CACHE_READONLY", "1")
	if err != nil || c.Dir != "" || c.Limit != 200_000_000 || c.Remote.String() != "https://cache.example/a" || !c.Remote.ReadOnly() {
		t.Errorf("%+v, %v", c, err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v %s", c, c, c, c.Remote), "SECRET") {
		t.Error("a credential is shown")
	}
	for _, allowed := range []string{"http://me:SECRET@localhost:8080", "http://me:SECRET@127.0.0.1", "http://me:SECRET@[::1]:80/x", "http://cache.example"} {
		if _, err := config("SEGUE_CACHE_URL", allowed); err != nil {
			t.Errorf("%s: %v", allowed, err)
		}
	}
	for _, pairs := range [][]string{
		{"SEGUE_CACHE_DIR", "cache"}, {"SEGUE_CACHE_DIR", "./off"},
		{"SEGUE_CACHE_SIZE", "much"}, {"SEGUE_CACHE_SIZE", "-1"}, {"SEGUE_CACHE_SIZE", "0"}, {"SEGUE_CACHE_SIZE", "1000"}, {"SEGUE_CACHE_SIZE", "16EB"},
		{"SEGUE_CACHE_URL", "cache.example"}, {"SEGUE_CACHE_URL", "ftp://me:SECRET@cache.example"}, {"SEGUE_CACHE_URL", "https://"},
		{"SEGUE_CACHE_URL", "https://me:SECRET@cache.example/%zz"}, {"SEGUE_CACHE_URL", "https://cache.example/?sig=SECRET"},
		{"SEGUE_CACHE_URL", "http://me:SECRET@cache.example"}, {"SEGUE_CACHE_URL", "http://SECRET@localhost.example"},
		{"SEGUE_CACHE_URL", "http://cache.example", "SEGUE_CACHE_TOKEN", "SECRET"},
		{"SEGUE_CACHE_URL", "https://me:SECRET@cache.example", "SEGUE_CACHE_TOKEN", "SECRET"},
		{"SEGUE_CACHE_URL", "https://cache.example", "SEGUE_CACHE_TOKEN", "SECRET\r\nX: y"},
		{"SEGUE_CACHE_URL", "https://cache.example", "SEGUE_CACHE_READONLY", "perhaps"},
	} {
		_, err := config(pairs...)
		if err == nil || !strings.Contains(err.Error(), pairs[len(pairs)-2]) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %v", pairs, err)
		}
	}
	if runtime.GOOS != "windows" {
		t.Setenv("HOME", "")
		var n notes
		c, err = config()
		if err != nil {
			t.Fatal(err)
		}
		c.Warn = n.add
		if hits(t, c, 1) != 0 || len(n.list()) != 1 || !strings.Contains(n.list()[0], "SEGUE_CACHE_DIR") {
			t.Errorf("without a home: %q", n.list())
		}
	}
}
