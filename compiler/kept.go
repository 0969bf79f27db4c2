package compiler

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/compiler/cache"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/workspace"
)

// A kept has the results of a session's last run by their keys, so that the next run need not even ask the
// cache.
type kept struct {
	mu        sync.Mutex
	last, now map[cache.Key][]evaluate.Package
}

// begin begins a run: it drops the results that the run before did not use.
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

// recall passes on the kept results, and returns the keys for the results of all folders.
func (c *compilation) recall(
	ctx context.Context, done func(dir string, packages []evaluate.Package),
) map[string]cache.Key {
	c.kept.begin()
	if c.opts.Cache == nil && len(c.kept.last) == 0 && !c.again {
		return nil
	}
	in := c.inputs()
	if !c.keysOf(in) {
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
	_ = group.Wait() // none returns an error
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
		packages, err := evaluate.Decode(value)
		if err != nil {
			return // from another version, despite the same key
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
	if value, err := evaluate.Encode(packages); err == nil {
		c.opts.Cache.Put(ctx, key, value)
	}
}

// unchanged returns the folders whose files have not changed since their keys were computed. An evaluation
// reads the files later. If somebody saves a file in between, its result must not be kept under the old key.
func (c *compilation) unchanged(ctx context.Context, dirs []string, keys map[string]cache.Key) []string {
	if len(dirs) == 0 {
		return nil
	}
	disk, err := workspace.OpenProject(ctx, c.Disk.Dir, c.unsaved)
	if err != nil {
		return nil
	}
	defer disk.Rest()
	if settings(disk) != c.settings {
		return nil
	}
	in := newInputs(c.Evaluation)
	in.disk, in.entries = disk, disk.ReadDir
	if !c.keysOf(in) {
		return nil
	}
	same := make([]bool, len(dirs))
	var group errgroup.Group
	group.SetLimit(c.opts.workers())
	for i, dir := range dirs {
		group.Go(func() error {
			key, ok := in.key(dir)
			same[i] = ok && key == keys[dir]
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	var out []string
	for i, dir := range dirs {
		if same[i] {
			out = append(out, dir)
		}
	}
	return out
}

// settings returns the content of segue.cue, or the error of reading it.
func settings(disk *workspace.Disk) string {
	content, err := disk.Read(config.ProjectFile)
	return fmt.Sprintf("%v %s", err, content)
}
