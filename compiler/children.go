package compiler

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/limits"
	"github.com/seguehq/segue/compiler/project"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// CUE can't be interrupted, and endless recursion ends its process. So packages that may explode are evaluated
// in child processes with limits: see the package limits. A child gets folders, and returns the results of
// their packages.

// A commission has the common settings of the folders of a task.
type commission struct {
	// Run identifies a compilation: a child keeps the files that it has read for the next tasks of the same
	// one.
	Run string `json:"run"`
	// Lineage identifies runs of a session between which only unsaved contents have changed; "" if others may have.
	Lineage  string            `json:"lineage,omitempty"`
	Dir      string            `json:"dir"`
	Unsaved  map[string][]byte `json:"unsaved,omitempty"`
	Target   string            `json:"target,omitempty"`
	Inputs   map[string]string `json:"inputs,omitempty"`
	Patterns []string          `json:"patterns,omitempty"`
	// Tests means that tests are run, and Only selects them.
	Tests bool   `json:"tests,omitempty"`
	Only  string `json:"only,omitempty"`
	// Project means that only segue.cue is evaluated.
	Project bool `json:"project,omitempty"`
}

// Serve evaluates packages for the parent process, and never returns. The version must be that of
// [Options.Children].
func Serve(version string) {
	var c child
	limits.Serve(version, c.do)
}

// A child evaluates packages for another process.
type child struct {
	run  string
	work *evaluate.Evaluation
	// last is the project of the last run, and asked its commission.
	last  *opened
	asked commission
}

// open returns the project of a commission: that of the last run, if only unsaved contents have changed.
func (c *child) open(ctx context.Context, ask commission) (*opened, error) {
	o := c.last
	if ask.Lineage == "" || ask.Lineage != c.asked.Lineage || len(ask.Unsaved) != len(c.asked.Unsaved) {
		o = nil
	}
	for name, content := range ask.Unsaved {
		if o != nil && string(content) != string(c.asked.Unsaved[name]) {
			o = o.with(name, content)
		}
	}
	if o == nil {
		var err error
		if o, err = ask.open(ctx); err != nil {
			return nil, err
		}
		if ask.Lineage != "" && o.project != nil {
			o.keep(ask.Lineage)
		}
	}
	c.last, c.asked = o, ask
	return o, nil
}

// do does one task.
func (c *child) do(work *limits.Work) error {
	var ask commission
	if err := json.Unmarshal(work.Shared, &ask); err != nil {
		return err
	}
	ctx := context.Background() // a parent that does not want to wait ends the process
	if ask.Project {
		for i := range work.Items {
			work.Do(i, func() ([]byte, error) {
				_, err := ask.open(ctx)
				return nil, err
			})
		}
		return nil
	}
	if c.run != ask.Run {
		o, err := c.open(ctx, ask)
		if err != nil {
			return err
		}
		if o.project == nil {
			return errNoProject
		}
		var tests *evaluate.TestRun
		if ask.Tests {
			tests = &evaluate.TestRun{Only: regexpOf(ask.Only)}
		}
		if c.work, err = evaluate.New(o.disk, o.project, ask.Target, ask.Patterns, tests); err != nil {
			return err
		}
		c.run = ask.Run
	}
	dirs := make([]string, len(work.Items))
	for i, item := range work.Items {
		dirs[i] = string(item.Payload)
	}
	return c.work.Chunk(ctx, dirs, func(i int, f func() ([]evaluate.Package, error)) error {
		work.Do(i, func() ([]byte, error) {
			packages, err := f()
			if err != nil {
				return nil, err
			}
			if aside := c.work.Disk.Findings(); len(aside) > 0 {
				packages = append(packages, evaluate.Package{Dir: dirs[i], Found: evaluate.Findings(aside), Volatile: true})
			}
			return evaluate.Encode(packages)
		})
		return nil
	})
}

// open reads the project of the commission.
func (a commission) open(ctx context.Context) (*opened, error) {
	disk, err := workspace.OpenProject(ctx, a.Dir, a.Unsaved)
	if err != nil {
		return nil, err
	}
	o := &opened{disk: disk}
	if o.project, o.findings, err = project.Open(ctx, disk, nil); o.project != nil {
		o.project.Given = a.Inputs
	}
	return o, err
}

// inChildren evaluates folders in child processes, and passes on the result of each.
func (c *compilation) inChildren(
	ctx context.Context, dirs []string, done func(dir string, packages []evaluate.Package),
) error {
	ask := commission{Run: rand.Text(), Dir: c.Disk.Dir, Unsaved: c.unsaved, Target: c.Target, Patterns: c.patterns,
		Inputs: c.Project.Given, Lineage: c.lineage}
	if c.Tests != nil {
		ask.Tests = true
		if c.Tests.Only != nil {
			ask.Only = c.Tests.Only.String()
		}
	}
	shared, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.opts.workers())
	results := make(chan func(), 1)
	go func() {
		defer close(results)
		for chunk := range slices.Chunk(dirs, evaluate.ChunkSize) {
			group.Go(func() error { return c.childChunk(ctx, shared, chunk, results, done) })
		}
		_ = group.Wait() // the error is returned below
	}()
	for result := range results {
		result()
	}
	return group.Wait()
}

// childChunk evaluates some folders in a child.
func (c *compilation) childChunk(
	ctx context.Context, shared []byte, dirs []string, results chan<- func(),
	done func(dir string, packages []evaluate.Package),
) error {
	task := limits.Task{Shared: shared}
	for _, dir := range dirs {
		most := c.opts.Limits.Or(c.Project.EvaluationLimits()).Or(limits.For(c.size(dir)))
		task.Items = append(task.Items, limits.Item{Payload: []byte(dir), Limits: most})
	}
	var failure error
	err := c.opts.Children.Do(ctx, task, func(item int, result []byte, err error) {
		dir := dirs[item]
		var over *limits.Overrun
		var packages []evaluate.Package
		if errors.As(err, &over) {
			packages = []evaluate.Package{{Dir: dir, Found: evaluate.Findings{givenUp(dir, over, c.firstFile(dir))}}}
		} else if err == nil {
			packages, err = evaluate.Decode(result)
		}
		if err != nil && over == nil {
			// Without a result, there is nothing to keep.
			if failure == nil {
				failure = fmt.Errorf("%s: %w", dir, err)
			}
			return
		}
		results <- func() { done(dir, packages) }
	})
	return errors.Join(err, failure)
}

// projectOverrun evaluates segue.cue in a child, unless it is plain enough to be evaluated in this process. It
// returns the finding if that exceeded a limit.
func (o Options) projectOverrun(
	ctx context.Context, disk *workspace.Disk, unsaved map[string][]byte,
) (*diagnostic.Diagnostic, error) {
	if o.Children == nil {
		return nil, nil
	}
	content, err := disk.Read(config.ProjectFile)
	if err != nil || project.Plain(content) {
		return nil, nil // an unreadable file has a finding
	}
	shared, err := json.Marshal(commission{Dir: disk.Dir, Unsaved: unsaved, Project: true})
	if err != nil {
		return nil, err
	}
	var found *diagnostic.Diagnostic
	item := limits.Item{Limits: o.Limits.Or(limits.For(int64(len(content))))}
	err = o.Children.Do(ctx, limits.Task{Shared: shared, Items: []limits.Item{item}}, func(_ int, _ []byte, err error) {
		var over *limits.Overrun
		if errors.As(err, &over) {
			d := givenUp(config.ProjectFile, over, config.ProjectFile)
			found = &d
		}
		// Any other error occurs again when the file is evaluated here.
	})
	return found, err
}

// firstFile returns the name of the first file of a folder.
func (c *compilation) firstFile(dir string) string {
	entries, err := c.Loader.Disk.ReadDir(dir)
	if err != nil {
		return dir
	}
	for _, entry := range entries {
		if !entry.IsDir() && workspace.IsSource(entry.Name()) {
			return path.Join(dir, entry.Name())
		}
	}
	return dir
}

// givenUp returns the finding about a package, or segue.cue, whose evaluation exceeded a limit.
func givenUp(name string, over *limits.Overrun, file string) diagnostic.Diagnostic {
	d := finding.Diagnose("over-budget", diagnostic.Diagnostic{File: file,
		Message: fmt.Sprintf("%s was not evaluated completely: it %v", name, over),
		Help: "look for a comprehension or a list that multiplies, split it, " +
			"or raise the limits in segue.cue"})
	switch over.Limit {
	case limits.Depth:
		d.Help = "look for a definition that contains itself, or split it"
	case limits.Crash:
		d.Help = "this is a bug in CUE or segue, unless somebody killed the process; please report it with the package"
	}
	return d
}
