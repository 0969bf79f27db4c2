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

// CUE can't be interrupted, and takes its process along when it recurses without end.
// So what may explode is evaluated in children, which are held to limits: see the
// package limits. A child gets folders, and gives what their packages come to.

// A commission is what the folders of a task have in common.
type commission struct {
	// Run tells one compilation from another: what a child has read for one serves
	// for the next tasks of the same.
	Run      string            `json:"run"`
	Dir      string            `json:"dir"`
	Unsaved  map[string][]byte `json:"unsaved,omitempty"`
	Target   string            `json:"target,omitempty"`
	Inputs   map[string]string `json:"inputs,omitempty"`
	Patterns []string          `json:"patterns,omitempty"`
	// Tests says that tests are run, Only which.
	Tests bool   `json:"tests,omitempty"`
	Only  string `json:"only,omitempty"`
	// Project says that segue.cue is evaluated, and nothing else.
	Project bool `json:"project,omitempty"`
}

// Serve evaluates what the processes that have started this one ask for, and never
// returns. The version is the one of [Options.Children].
func Serve(version string) {
	var c child
	limits.Serve(version, c.do)
}

// A child evaluates packages for another process.
type child struct {
	run  string
	work *evaluate.Evaluation
}

// do does one task.
func (c *child) do(work *limits.Work) error {
	var ask commission
	if err := json.Unmarshal(work.Shared, &ask); err != nil {
		return err
	}
	ctx := context.Background() // who does not want to wait ends the process
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
		o, err := ask.open(ctx)
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

// open reads the project that is asked for.
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

// inChildren evaluates folders in child processes, and gives what each comes to.
func (c *compilation) inChildren(
	ctx context.Context, dirs []string, done func(dir string, packages []evaluate.Package),
) error {
	ask := commission{Run: rand.Text(), Dir: c.Disk.Dir, Unsaved: c.unsaved, Target: c.Target, Patterns: c.patterns,
		Inputs: c.Project.Given}
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
		_ = group.Wait() // asked for below
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
			// There is no result, and nothing that could be kept as one.
			if failure == nil {
				failure = fmt.Errorf("%s: %w", dir, err)
			}
			return
		}
		results <- func() { done(dir, packages) }
	})
	return errors.Join(err, failure)
}

// projectOverrun evaluates segue.cue in a child, unless it is plain enough to be
// evaluated anywhere. It returns the finding if that went over a limit.
func (o Options) projectOverrun(
	ctx context.Context, disk *workspace.Disk, unsaved map[string][]byte,
) (*diagnostic.Diagnostic, error) {
	if o.Children == nil {
		return nil, nil
	}
	content, err := disk.Read(config.ProjectFile)
	if err != nil || project.Plain(content) {
		return nil, nil // what can't be read has its finding
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
		// Any other error comes again where the file is evaluated.
	})
	return found, err
}

// firstFile names the first file of a folder.
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

// givenUp is the finding about a package, or segue.cue, whose evaluation went over
// a limit.
func givenUp(name string, over *limits.Overrun, file string) diagnostic.Diagnostic {
	d := finding.Diagnose("over-budget", diagnostic.Diagnostic{File: file,
		Message: fmt.Sprintf("%s was given up: its evaluation %v", name, over),
		Help: "look for a comprehension or a list that multiplies, or split it; " +
			"limits in segue.cue can allow it more"})
	switch over.Limit {
	case limits.Depth:
		d.Help = "look for a definition that holds itself, or split it"
	case limits.Crash:
		d.Help = "this is a bug in CUE or segue, unless somebody has ended the process; please report it with the package"
	}
	return d
}
