package compiler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/project"
	"github.com/seguehq/segue/diagnostic"
)

// A compilation is one run over the packages of a project.
type compilation struct {
	*evaluate.Evaluation
	opts Options
	// patterns are those that selected the folders, and unsaved has the files that differ from the disk.
	patterns []string
	unsaved  map[string][]byte
	// settings is the content of segue.cue before it was read.
	settings string
	kept     *kept
	// again means that the session will compile again.
	again bool
	// lineage is that of the project: see [opened].
	lineage string
	// same has the results of earlier runs on the same files, by target and folder; nil if there are none.
	same map[[2]string][]evaluate.Package
	// inputs returns the inputs of the results.
	inputs func() *inputs
}

// size returns the number of bytes of the project that the evaluation of a folder's packages reads.
func (c *compilation) size(dir string) int64 { return max(c.inputs().size(dir), c.Loader.Sizes[dir]) }

// run evaluates the packages in the folders. The result is in the order of the folders, independent of which is
// done first.
func (c *compilation) run(ctx context.Context) ([]evaluate.Package, error) {
	results := map[string][]evaluate.Package{}
	var mu sync.Mutex
	done := func(dir string, packages []evaluate.Package) {
		mu.Lock()
		defer mu.Unlock()
		results[dir] = packages
	}
	c.repeat(done)
	keys := c.recall(ctx, func(dir string) bool { _, known := results[dir]; return known }, done)
	var fresh []string
	evaluated := func(dir string, packages []evaluate.Package) {
		if _, ok := keys[dir]; ok && c.keepable(packages) {
			mu.Lock()
			fresh = append(fresh, dir)
			mu.Unlock()
		}
		done(dir, packages)
	}
	rest := c.inChildren
	if c.opts.Children == nil {
		rest = c.here
	}
	for _, way := range []func(context.Context, []string, func(string, []evaluate.Package)) error{c.plainPackages, rest} {
		todo := slices.DeleteFunc(slices.Clone(c.Dirs), func(dir string) bool { _, known := results[dir]; return known })
		if err := way(ctx, todo, evaluated); err != nil {
			return nil, err
		}
	}
	lasting := c.unchanged(ctx, fresh, keys)
	for _, dir := range lasting {
		c.keep(ctx, dir, keys[dir], results[dir])
	}
	c.remember(results, func(dir string) bool { return !slices.Contains(fresh, dir) || slices.Contains(lasting, dir) })
	var out []evaluate.Package
	for _, dir := range c.Dirs {
		out = append(out, results[dir]...)
	}
	return out, nil
}

// repeat passes on the results of earlier runs on the same files.
func (c *compilation) repeat(done func(dir string, packages []evaluate.Package)) {
	if c.Tests != nil {
		return
	}
	for _, dir := range c.Dirs {
		if packages, ok := c.same[[2]string{c.Target, dir}]; ok {
			done(dir, packages)
		}
	}
}

// remember keeps results for the next run on the same files, except those of files that have changed meanwhile.
func (c *compilation) remember(results map[string][]evaluate.Package, lasting func(dir string) bool) {
	if c.Tests != nil || c.same == nil {
		return
	}
	for dir, packages := range results {
		if lasting(dir) && !slices.ContainsFunc(packages, func(p evaluate.Package) bool { return p.Volatile }) {
			c.same[[2]string{c.Target, dir}] = packages
		}
	}
}

// here evaluates folders in this process, and passes on the result of each.
func (c *compilation) here(
	ctx context.Context, dirs []string, done func(dir string, packages []evaluate.Package),
) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.opts.workers())
	for chunk := range slices.Chunk(dirs, evaluate.ChunkSize) {
		group.Go(func() error {
			return c.Chunk(ctx, chunk, func(i int, f func() ([]evaluate.Package, error)) error {
				packages, err := f()
				if err == nil {
					done(chunk[i], packages)
				}
				return err
			})
		})
	}
	return group.Wait()
}

// released returns the withheld findings of packages that CUE refuses although no package that they import has
// an error.
func released(packages []evaluate.Package) (diagnostic.List, error) {
	folders := map[string][]*evaluate.Package{}
	for i := range packages {
		p := &packages[i]
		folders[p.Dir] = append(folders[p.Dir], p)
	}
	var explained func(awaits []string, seen map[string]bool) bool
	explained = func(awaits []string, seen map[string]bool) bool {
		return slices.ContainsFunc(awaits, func(dir string) bool {
			if seen[dir] {
				return false
			}
			seen[dir] = true
			return slices.ContainsFunc(folders[dir], func(p *evaluate.Package) bool {
				return p.Found.HasErrors() || explained(p.Awaits, seen)
			})
		})
	}
	var out diagnostic.List
	for i := range packages {
		p := &packages[i]
		if len(p.Awaits) == 0 || explained(p.Awaits, map[string]bool{}) {
			continue
		}
		if p.Unexplained != "" {
			return nil, fmt.Errorf("%s: CUE refuses the package, with only this error: %s", p.Dir, p.Unexplained)
		}
		out = append(out, p.Withheld...)
	}
	return out, nil
}

// join combines the results of the packages. partial means that only a part of the project was compiled.
func (c *compilation) join(result *Result, partial bool) error {
	found, err := released(result.packages)
	if err != nil {
		return err
	}
	result.Diagnostics = append(result.Diagnostics, found...)
	if slices.ContainsFunc(result.packages, func(p evaluate.Package) bool { return p.Sourceless }) {
		d, err := project.NoSource(c.Disk)
		if err != nil {
			return err
		}
		result.Diagnostics = append(result.Diagnostics, d)
	}
	claimed, sameButCase := map[string]*evaluate.Compiled{}, map[string]*evaluate.Compiled{}
	var all []*evaluate.Compiled
	for i := range result.packages {
		p := &result.packages[i]
		result.Diagnostics = append(result.Diagnostics, c.Project.Gaps.Untold(diagnostic.List(p.Found))...)
		for j := range p.Automations {
			one := &p.Automations[j]
			one.Of = p
			if first, taken := claimed[one.Automation.Key]; taken {
				d, err := c.duplicate(one, first)
				if err != nil {
					return err
				}
				result.Diagnostics = append(result.Diagnostics, d)
				continue
			}
			claimed[one.Automation.Key] = one
			folded := strings.ToLower(one.Automation.Key)
			if first := sameButCase[folded]; first == nil {
				sameButCase[folded] = one
			} else {
				d, err := c.duplicate(one, first)
				if err != nil {
					return err
				}
				d.Message = fmt.Sprintf("the keys %s and %s differ only in capitals, which the files of some systems do not",
					one.Automation.Key, first.Automation.Key)
				result.Diagnostics = append(result.Diagnostics, finding.Otherwise(d))
			}
			all = append(all, one)
			if only := one.Facts.Targets; c.Target != "" && only != nil && !slices.Contains(only, c.Target) {
				result.Elsewhere = append(result.Elsewhere, one.Automation.Key)
				continue
			}
			result.Document.Automations = append(result.Document.Automations, one.Automation)
		}
	}
	slices.SortFunc(result.Document.Automations, func(a, b automation.Encoded) int {
		return strings.Compare(a.Key, b.Key)
	})
	if !partial && !result.Diagnostics.HasErrors() {
		unused, err := project.UnusedSecrets(c.Disk, c.unusedSecrets(all))
		if err != nil {
			return err
		}
		result.Diagnostics = append(result.Diagnostics, unused...)
	}
	if result.Diagnostics, err = c.compare(all, result.Diagnostics, partial); err != nil {
		return err
	}
	result.Diagnostics = append(result.Diagnostics, c.Disk.Findings()...)
	result.Diagnostics = tidy(c.Disk, result.Diagnostics)
	if c.opts.Strict || c.Project.Strict {
		finding.MakeErrors(result.Diagnostics)
	}
	return nil
}

// unusedSecrets returns the names of secrets in segue.cue that neither it nor an automation uses.
func (c *compilation) unusedSecrets(all []*evaluate.Compiled) []string {
	used := c.Project.UsedSecrets()
	unused := slices.DeleteFunc(finding.SortedKeys(c.Project.Secrets), func(name string) bool { return used[name] })
	for _, one := range all {
		if len(unused) == 0 {
			break
		}
		if a, err := one.Automation.Decode(); err == nil {
			names := a.SecretNames()
			unused = slices.DeleteFunc(unused, func(name string) bool { return slices.Contains(names, name) })
		}
	}
	return unused
}

// duplicate reports that two packages declare the same key.
func (c *compilation) duplicate(second, first *evaluate.Compiled) (diagnostic.Diagnostic, error) {
	x := c.Explainer()
	place := func(of *evaluate.Compiled) (diagnostic.Diagnostic, error) {
		p, err := x.Open(of.Of.Dir, of.Of.Name, nil)
		if err != nil {
			return diagnostic.Diagnostic{}, err
		}
		f := finding.New("duplicate-key", finding.Path{"automations", of.Name}, finding.AtLabel,
			"two automations have the key "+of.Automation.Key, "rename one of them")
		f.Key = of.Automation.Key
		return p.Index.Place(f, token.NoPos), nil
	}
	d, err := place(second)
	if err != nil {
		return d, err
	}
	other, err := place(first)
	d.Related = []diagnostic.Related{{Message: "the other one", File: other.File, Range: other.Range}}
	return d, err
}

// plainPackages decides packages of plain data in the folders. The others are left to CUE.
func (c *compilation) plainPackages(
	ctx context.Context, dirs []string, done func(dir string, packages []evaluate.Package),
) error {
	r := evaluate.PlainReader{Evaluation: c.Evaluation}
	if reason := r.Unfit(); reason != "" || c.opts.EvaluateAll {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.opts.workers())
	for _, dir := range dirs {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if p, err := r.Pkg(dir); err == nil {
				done(dir, []evaluate.Package{p})
			} // CUE decides the others
			return nil
		})
	}
	return group.Wait()
}
