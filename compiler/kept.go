package compiler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/compiler/cache"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/workspace"
)

// A kept has the last results of each folder with their keys, so that the next run need not even ask the cache.
type kept struct {
	mu sync.Mutex
	of map[string]keptResult
}

type keptResult struct {
	key      cache.Key
	packages []evaluate.Package
}

// begin begins a run over all folders: it drops the results of others.
func (k *kept) begin(dirs []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.of, func(dir string, _ keptResult) bool {
		_, found := slices.BinarySearch(dirs, dir)
		return !found
	})
}

func (k *kept) empty() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.of) == 0
}

func (k *kept) get(dir string, key cache.Key) ([]evaluate.Package, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.of[dir]
	return r.packages, ok && r.key == key
}

func (k *kept) put(dir string, key cache.Key, packages []evaluate.Package) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of = map[string]keptResult{}
	}
	k.of[dir] = keptResult{key, packages}
}

// recall passes on the kept results of folders that are not known yet, and returns the keys for their results.
func (c *compilation) recall(
	ctx context.Context, known func(dir string) bool, done func(dir string, packages []evaluate.Package),
) map[string]cache.Key {
	if len(c.patterns) == 0 {
		c.kept.begin(c.Dirs)
	}
	if c.opts.Cache == nil && c.kept.empty() && !c.again {
		return nil
	}
	in := c.inputs()
	if !c.keysOf(in) {
		return nil
	}
	dirs := slices.DeleteFunc(slices.Clone(c.Dirs), known)
	keys := make([]cache.Key, len(dirs))
	clear := make([]bool, len(dirs))
	var group errgroup.Group
	group.SetLimit(c.opts.workers())
	for i, dir := range dirs {
		group.Go(func() error {
			keys[i], clear[i] = in.key(dir)
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	byDir := map[string]cache.Key{}
	var ask []cache.Key
	var asked []string
	for i, dir := range dirs {
		if !clear[i] {
			continue
		}
		byDir[dir] = keys[i]
		if packages, ok := c.kept.get(dir, keys[i]); ok {
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
		c.kept.put(asked[i], ask[i], packages)
		done(asked[i], packages)
	})
	return byDir
}

// keep keeps the results of a folder for the next run. Results of unsaved text are not worth a place on disk.
func (c *compilation) keep(ctx context.Context, dir string, key cache.Key, packages []evaluate.Package) {
	c.kept.put(dir, key, packages)
	if c.opts.Cache == nil || len(c.unsaved) > 0 {
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
	in := newInputs(c.Evaluation, newSeen())
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
