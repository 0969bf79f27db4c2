// Package cache keeps results between runs: in a folder on disk, and optionally
// on a server that machines share.
//
// A result has a [Key], the SHA-256 hash of everything that it depends on. The caller computes it, and the
// cache never looks into a result. Two runs with the same key may share results, so everything that can change
// a result belongs in its key, including the version of segue.
//
//	config, err := cache.FromEnvironment(os.Getenv)
//	if err != nil {
//		return err // an invalid variable
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
// Problems of the cache are never errors for the caller. An entry that is missing, damaged or in another format
// is a miss, and the cache works without a folder or a server that can't be used. It notifies the caller once,
// through [Config].Warn. Every entry holds its key and a checksum, so Get returns exactly the bytes that were
// put under the key, or nothing. That guards against damage, but not against a forged entry from somebody with
// write access to the cache.
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

// A Key names a result: the SHA-256 hash of everything that it depends on.
type Key [32]byte

// String returns the key in lowercase hex.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// A Cache keeps results. Its methods may be called concurrently, and many processes can use the same folder.
type Cache struct {
	disk   *disk   // nil without a folder
	remote *remote // nil without a server
	counts struct{ disk, remote, misses, stored, uploaded, dropped atomic.Int64 }
}

// Counts has the numbers of operations of a [Cache] since it was opened.
type Counts struct {
	Disk, Remote, Misses int64 // results found on disk, on the server, or not at all
	Stored               int64 // entries that were written to the folder
	Uploaded, Dropped    int64 // entries that were uploaded to the server, and those that were not
}

// Open opens a cache. It always succeeds: it sends a note to config.Warn about a folder or a server that can't
// be used. If neither can be used, it returns nil, so that callers need not compute keys.
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

// Get returns the value that was put under a key. If the folder does not have it, Get asks the server, and
// keeps the answer in the folder.
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

// GetAll gets many values, several at a time, and calls found for each hit with its index in keys. It calls
// found from several goroutines, and returns when all calls have returned.
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

// Parallel returns a useful number of concurrent requests for results. It is higher with a server, because
// requests then mostly wait for the network.
func (c *Cache) Parallel() int {
	if c != nil && c.remote != nil {
		return max(maxRequests, runtime.GOMAXPROCS(0))
	}
	return runtime.GOMAXPROCS(0)
}

// Put keeps a value under a key and replaces the previous value. Values of more than [MaxValue] bytes are not
// kept. The upload to the server runs in the background.
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

// Flush writes all pending values to the folder, for a process that goes on.
func (c *Cache) Flush() {
	if c == nil || c.disk == nil {
		return
	}
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	c.disk.flush()
}

// Counts returns the numbers of operations since the cache was opened.
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

// Close waits until the uploads and a running removal of old entries are done, or until ctx is done; then it
// abandons the rest. The cache must not be used afterwards.
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
