// Package compiler turns a project's CUE files into automations.
//
// [Compile] reads segue.cue, loads every package below it, evaluates each against the schema in this binary and
// checks every placeholder. The result is an [automation.Document] in canonical order, and a [diagnostic.List]
// with the findings of all packages: a broken package does not hide the others.
//
// A [Session] repeats that for one project, with unsaved text in the place of files.
//
// The files of this package, in the order of the steps:
//
//	session.go      the project as read, for one compilation or many
//	compilation.go  all packages: cached ones, those of plain data, and the others
//	inputs.go       the inputs of a package's result; kept.go: results kept by their inputs
//	children.go     packages that may explode, in child processes with limits
//	advice.go       advice from comparing automations
//	passes.go       final passes over all findings
//	tests.go        the tests of automations, as a report
//
// CUE decides whether a value is valid. If not, the package is explained: see the packages resolve, explain and
// shape. docs/architecture.md shows the rooms, and the corpus in testdata/corpus verifies all of this.
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

// Options say which packages to compile, and how.
type Options struct {
	// Dir is the project's root, "" for the current folder.
	Dir string
	// Target is the target whose sources are used; "" for the project's sources without overrides.
	Target string
	// Patterns restrict the packages by their folders, relative to the root: "growth", "./growth/...". Without
	// patterns, all packages are compiled.
	Patterns []string
	// Workers is the number of packages that are evaluated at once; 0 means one for each processor.
	Workers int
	// EvaluateAll makes CUE evaluate all packages. Otherwise packages of plain data are decided from their
	// syntax, with the same result.
	EvaluateAll bool
	// Strict makes errors of all warnings that no automation allows, as strict: true in segue.cue does.
	Strict bool
	// Inputs has values for fields with @tag, by name, in place of those in segue.cue. An input that segue.cue
	// does not declare is an error.
	Inputs map[string]string
	// Children are the processes that evaluate packages which may explode, with a command that calls [Serve].
	// Nil means this process, without limits.
	Children *limits.Pool
	// Limits is how much the evaluation of a package may use. Zeros mean the limits in segue.cue, or else
	// limits that depend on the size of the package's files: see [limits.For].
	Limits limits.Limits
	// Version identifies this build of segue. It is part of the key of kept results. If it is "", results are
	// not kept.
	Version string
	// Cache keeps the results of packages without errors between runs; nil means no cache.
	Cache *cache.Cache
}

// A Result is the result of compiling a project.
type Result struct {
	// Project is nil if segue.cue has errors.
	Project *config.Project
	// Document has the automations without errors, sorted by key.
	Document automation.Document
	// Elsewhere has the keys of the automations that are only for other targets.
	Elsewhere []string
	// Diagnostics has all findings, in file order.
	Diagnostics diagnostic.List
	packages    []evaluate.Package
}

// Compile compiles a project. Mistakes in its files are diagnostics. It returns an error only if the files
// can't be read or ctx is done.
func Compile(ctx context.Context, opts Options) (*Result, error) {
	return NewSession(opts).Compile(ctx, opts.Target, opts.Patterns)
}
