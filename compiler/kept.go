package compiler

import (
	"context"
	"encoding/json"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/compiler/cache"
	"github.com/seguehq/segue/compiler/evaluate"
)

// A kept has the results of a session's last run by their keys, so that the next one
// need not even ask the cache.
type kept struct {
	mu        sync.Mutex
	last, now map[cache.Key][]evaluate.Package
}

// begin begins a run: what the one before did not use is dropped.
func (k *kept) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last, k.now = k.now, map[cache.Key][]evaluate.Package{}
}

func (k *kept) get(key cache.Key) ([]evaluate.Package, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	packages, ok := k.last[key]
	if ok {
		k.now[key] = packages
	}
	return packages, ok
}

func (k *kept) put(key cache.Key, packages []evaluate.Package) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now[key] = packages
}

// recall gives the results that were kept, and returns the keys by which others can be,
// by folder.
func (c *compilation) recall(
	ctx context.Context, done func(dir string, packages []evaluate.Package),
) map[string]cache.Key {
	c.kept.begin()
	if c.opts.Cache == nil && len(c.kept.last) == 0 && !c.again {
		return nil
	}
	in, ok := c.keys()
	if !ok {
		return nil
	}
	keys := make([]cache.Key, len(c.Dirs))
	known := make([]bool, len(c.Dirs))
	var group errgroup.Group
	group.SetLimit(c.opts.workers())
	for i, dir := range c.Dirs {
		group.Go(func() error {
			keys[i], known[i] = in.key(dir)
			return nil
		})
	}
	_ = group.Wait() // none fails
	byDir := map[string]cache.Key{}
	var ask []cache.Key
	var asked []string
	for i, dir := range c.Dirs {
		if !known[i] {
			continue
		}
		byDir[dir] = keys[i]
		if packages, ok := c.kept.get(keys[i]); ok {
			done(dir, packages)
		} else {
			ask, asked = append(ask, keys[i]), append(asked, dir)
		}
	}
	c.opts.Cache.GetAll(ctx, ask, func(i int, value []byte) {
		var packages []evaluate.Package
		if json.Unmarshal(value, &packages) != nil {
			return // of another version, whatever its key says
		}
		c.kept.put(ask[i], packages)
		done(asked[i], packages)
	})
	return byDir
}

// keep keeps the results of a folder for the next run.
func (c *compilation) keep(ctx context.Context, key cache.Key, packages []evaluate.Package) {
	c.kept.put(key, packages)
	if c.opts.Cache == nil {
		return
	}
	if value, err := json.Marshal(packages); err == nil {
		c.opts.Cache.Put(ctx, key, value)
	}
}
