// Package compiler turns a project's CUE files into automations.
//
// [Compile] reads segue.cue, loads every package below it, evaluates each
// against the schema in this binary and checks every placeholder. What comes
// out is an [automation.Document] in canonical order, and a
// [diagnostic.List] with all that is wrong in all packages: a package that is
// broken does not hide the others.
//
// A [Session] does that again and again for one project, with text that is not saved in
// place of files.
//
// The files of this package are the way of a project:
//
//	session.go      the project as it was read, for one compilation or many
//	compilation.go  all packages: those that were kept, those of plain data, the others
//	inputs.go       what the result of a package depends on; kept.go: what was kept by that
//	children.go     packages that may explode, in child processes that are held to limits
//	advice.go       what comes from comparing automations
//	passes.go       what is done with all findings in the end
//	tests.go        the tests of automations, as a report
//
// CUE decides whether a value is right. When it is not, the package is explained: see
// the packages resolve, explain and shape. docs/architecture.md shows the rooms, and the
// corpus in testdata/corpus holds all of this to its word.
package compiler

import (
	"context"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/cache"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/limits"
	"github.com/seguehq/segue/diagnostic"
)

// Options say what to compile, and how.
type Options struct {
	// Dir is the project's root, "" for the current folder.
	Dir string
	// Target names the target whose sources are used; "" for the sources as the
	// project gives them.
	Target string
	// Patterns restrict the packages by their folders, relative to the root:
	// "growth", "./growth/...". None stands for all.
	Patterns []string
	// Workers is how many packages are evaluated at once; 0 stands for one for
	// each processor.
	Workers int
	// EvaluateAll has CUE evaluate all packages. Else those of plain data are decided
	// from their syntax, with the same result.
	EvaluateAll bool
	// Strict makes errors of all warnings that no automation allows, as strict: true in
	// segue.cue does.
	Strict bool
	// Children are the processes in which packages are evaluated that may explode, with
	// a command that calls [Serve]. Nil stands for this process, without any limits.
	Children *limits.Pool
	// Limits are what the evaluation of a package may take. What is zero is given by
	// segue.cue, or goes by the size of the package's files: see [limits.For].
	Limits limits.Limits
	// Version tells this segue from all others: results are kept by it. They are not
	// kept if it is "".
	Version string
	// Cache keeps the results of packages without errors from one run to the next; nil
	// keeps none.
	Cache *cache.Cache
}

// A Result is what a project compiles to.
type Result struct {
	// Project is nil if segue.cue has errors.
	Project *config.Project
	// Document holds the automations that have no errors, in order of their keys.
	Document automation.Document
	// Elsewhere are the keys of the automations that are for other targets alone.
	Elsewhere []string
	// Diagnostics are all findings, in file order.
	Diagnostics diagnostic.List
	packages    []evaluate.Package
}

// Compile compiles a project. Mistakes in its files are diagnostics; an error is
// returned only when the files can't be read or ctx is done.
func Compile(ctx context.Context, opts Options) (*Result, error) {
	return NewSession(opts).Compile(ctx, opts.Target, opts.Patterns)
}
