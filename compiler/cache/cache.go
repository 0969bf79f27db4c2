// Package cache keeps results between runs: in a folder on disk, and optionally
// on a server that machines share.
//
// A result has a [Key], the SHA-256 hash of everything that it depends on. The
// caller computes it, and the cache never looks into a result. Two runs that
// compute the same key may have each other's results, so whatever can change a
// result belongs into its key: the version of segue, too.
//
//	config, err := cache.FromEnvironment(os.Getenv)
//	if err != nil {
//		return err // a variable that can't be understood
//	}
//	config.Warn = func(note string) { fmt.Fprintln(os.Stderr, note) }
//	c := cache.Open(config)
//	defer c.Close(ctx)
//
//	value, ok := c.Get(ctx, key)
//	if !ok {
//		value = compute()
//		c.Put(ctx, key, value)
//	}
//
// [Cache.GetAll] gets many at once.
//
// Nothing that goes wrong here is an error of the caller: an entry that is
// missing, damaged or of another format is a miss, and a folder or a server that
// can't be used is done without. The caller hears of it once, through
// [Config].Warn. Every entry holds its key and a checksum, so Get gives exactly
// the bytes that were put under the key, or nothing. That guards against damage,
// not against somebody who may write to the cache and forges an entry.
//
// A nil *Cache is an empty cache that keeps nothing.
package cache

import (
	"context"
	"encoding/hex"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// A Key names a result: the SHA-256 hash of all that it depends on.
type Key [32]byte

// String returns the key in lowercase hex.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// A Cache keeps results. All of its methods can be called at the same time, and
// many processes can use the same folder.
type Cache struct {
	disk   *disk   // nil without a folder
	remote *remote // nil without a server
	counts struct{ disk, remote, misses, stored, uploaded, dropped atomic.Int64 }
}

// Counts say what a [Cache] has done since it was opened.
type Counts struct {
	Disk, Remote, Misses int64 // results found on disk, on the server, or not at all
	Stored               int64 // entries that the folder has taken
	Uploaded, Dropped    int64 // entries that the server has taken, and those that it was not given
}

// Open opens a cache. It always succeeds: what can't be used is done without, and
// a note of it goes to config.Warn. It returns nil if neither a folder nor a server is
// left, so that nobody computes keys in vain.
func Open(config Config) *Cache {
	c := &Cache{}
	warn := config.Warn
	if warn == nil {
		warn = func(string) {}
	}
	limit := config.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	if config.unset != nil {
		warn("no folder for the cache: " + config.unset.Error() + "; set SEGUE_CACHE_DIR to have one")
	}
	if config.Dir != "" {
		d, err := openDisk(config.Dir, limit, warn)
		if err != nil {
			warn("the cache folder is not used: " + err.Error())
		} else {
			c.disk = d
		}
	}
	if config.Remote != nil {
		c.remote = config.Remote.open(warn)
	}
	if c.disk == nil && c.remote == nil {
		return nil
	}
	return c
}

// Get returns the value that was put under a key. It asks the server if there is
// one and the folder does not have it, and keeps what that answers.
func (c *Cache) Get(ctx context.Context, key Key) ([]byte, bool) {
	if c == nil {
		return nil, false
	}
	value, ok := c.local(ctx, key)
	if !ok {
		value, ok = c.fetch(ctx, key)
	}
	if !ok {
		c.counts.misses.Add(1)
	}
	return value, ok
}

// local returns a value from the folder.
func (c *Cache) local(_ context.Context, key Key) ([]byte, bool) {
	if c.disk == nil {
		return nil, false
	}
	value, ok := c.disk.get(key)
	if ok {
		c.counts.disk.Add(1)
	}
	return value, ok
}

// fetch returns a value from the server, and keeps it in the folder.
func (c *Cache) fetch(ctx context.Context, key Key) ([]byte, bool) {
	if c.remote == nil {
		return nil, false
	}
	entry, value, ok := c.remote.get(ctx, key)
	if !ok {
		return nil, false
	}
	c.counts.remote.Add(1)
	c.store(key, entry)
	return value, true
}

// GetAll gets many values at once, several at a time, and calls found for each
// one that there is, with its index in keys. It calls found from several
// goroutines, and returns when all of them have.
func (c *Cache) GetAll(ctx context.Context, keys []Key, found func(i int, value []byte)) {
	if c == nil {
		return
	}
	var group errgroup.Group
	group.SetLimit(c.Parallel())
	for i, key := range keys {
		group.Go(func() error {
			if value, ok := c.Get(ctx, key); ok {
				found(i, value)
			}
			return nil
		})
	}
	_ = group.Wait() // none returns an error
}

// Parallel is how many results it is worth asking for at once. Results from a
// server take time on the way, not the processor's.
func (c *Cache) Parallel() int {
	if c != nil && c.remote != nil {
		return max(maxRequests, runtime.GOMAXPROCS(0))
	}
	return runtime.GOMAXPROCS(0)
}

// Put keeps a value under a key, in place of one that is there. Values of more
// than [MaxValue] bytes are not kept. The server gets it in the background.
func (c *Cache) Put(ctx context.Context, key Key, value []byte) {
	if c == nil || len(value) > MaxValue || ctx.Err() != nil || (c.disk == nil && !c.remote.writes()) {
		return
	}
	entry := encode(key, value)
	c.store(key, entry)
	if c.remote.writes() {
		c.remote.put(key, entry, func(taken bool) {
			if taken {
				c.counts.uploaded.Add(1)
			} else {
				c.counts.dropped.Add(1)
			}
		})
	}
}

func (c *Cache) store(key Key, entry []byte) {
	if c.disk != nil && c.disk.add(key, entry) {
		c.counts.stored.Add(1)
	}
}

// Flush writes what has been put up to now to the folder, for a process that goes on.
func (c *Cache) Flush() {
	if c == nil || c.disk == nil {
		return
	}
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	c.disk.flush()
}

// Counts returns what the cache has done up to now.
func (c *Cache) Counts() Counts {
	if c == nil {
		return Counts{}
	}
	n := &c.counts
	return Counts{
		Disk: n.disk.Load(), Remote: n.remote.Load(), Misses: n.misses.Load(),
		Stored: n.stored.Load(), Uploaded: n.uploaded.Load(), Dropped: n.dropped.Load(),
	}
}

// Close waits for uploads, and for the oldest entries to be removed where the
// folder has become too large, until ctx is done; it gives up the rest. The cache
// must not be used any more after it.
func (c *Cache) Close(ctx context.Context) {
	if c == nil {
		return
	}
	var both sync.WaitGroup
	if c.disk != nil {
		both.Go(func() { c.disk.close(ctx) })
	}
	if c.remote != nil {
		both.Go(func() { c.remote.close(ctx) })
	}
	both.Wait()
}
