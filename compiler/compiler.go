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
//	session.go   the project as it was read, for one compilation or many
//	inputs.go    what the result of a package depends on; kept.go: what was kept by that
//	plain.go     packages of plain data, decided from their syntax
//	children.go  the others, in child processes that are held to limits
//	evaluate.go  what a child does: packages to values
//	package.go   what a package comes to: a value
//	compiler.go  all packages to one result
//	advice.go    what comes from comparing automations
//	authortest.go, sample.go  tests of automations
//
// CUE decides whether a value is right. When it is not, the package is explained: see
// the packages resolve, explain and shape. docs/architecture.md shows the rooms, and the
// corpus in testdata/corpus holds all of this to its word.
package compiler

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/cache"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/limits"
	"github.com/seguehq/segue/compiler/project"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
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
	// Diagnostics are all findings, in file order.
	Diagnostics diagnostic.List
	packages    []pkg
}

// Compile compiles a project. Mistakes in its files are diagnostics; an error is
// returned only when the files can't be read or ctx is done.
func Compile(ctx context.Context, opts Options) (*Result, error) {
	return NewSession(opts).Compile(ctx, opts.Target, opts.Patterns)
}

// join makes one result of those of the packages. partial says that not all of the
// project was compiled.
func (e *evaluation) join(result *Result, partial bool) error {
	found, err := released(result.packages)
	if err != nil {
		return err
	}
	result.Diagnostics = append(result.Diagnostics, found...)
	if slices.ContainsFunc(result.packages, func(p pkg) bool { return p.Sourceless }) {
		d, err := project.NoSource(e.disk)
		if err != nil {
			return err
		}
		result.Diagnostics = append(result.Diagnostics, d)
	}
	claimed := map[string]*compiled{}
	var all []*compiled
	for i := range result.packages {
		p := &result.packages[i]
		result.Diagnostics = append(result.Diagnostics, e.project.Gaps.Untold(diagnostic.List(p.Found))...)
		for j := range p.Automations {
			c := &p.Automations[j]
			c.of = p
			if first, taken := claimed[c.Automation.Key]; taken {
				d, err := e.duplicate(c, first)
				if err != nil {
					return err
				}
				result.Diagnostics = append(result.Diagnostics, d)
				continue
			}
			claimed[c.Automation.Key] = c
			all = append(all, c)
			result.Document.Automations = append(result.Document.Automations, c.Automation)
		}
	}
	slices.SortFunc(result.Document.Automations, func(a, b automation.Automation) int { return strings.Compare(a.Key, b.Key) })
	if result.Diagnostics, err = e.compare(all, result.Diagnostics, partial); err != nil {
		return err
	}
	result.Diagnostics = append(result.Diagnostics, e.disk.Findings()...)
	result.Diagnostics = tidy(e.disk, result.Diagnostics)
	return nil
}

// A pass goes over all findings of a run once they are there.
type pass struct {
	// why says what the pass is for, and why it comes where it does.
	why string
	run func(disk *workspace.Disk, found diagnostic.List) diagnostic.List
}

// passes are run over the findings of a run, in this order.
var passes = []pass{
	{"Two fields of a struct that are both to be called the same can't both be renamed. It looks at all findings, before some are joined.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List {
			source.WithoutClashes(found)
			return found
		}},
	{"What follows goes through the findings in the order of their files.", sortFindings},
	{"That a value is none of those that are allowed follows where it is told that it has two values, and that its type is another than elsewhere where it is told that the type is wrong.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List { return withoutChoice(found) }},
	{"A value that several uses say is wrong is told once, at the value. It needs the findings about each use, and so comes before those are joined.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List { return source.ByOrigin(found) }},
	{"What a comprehension or a shared definition multiplies is one mistake.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List { return once(found) }},
	{"Some findings have got another place.", sortFindings},
	{"CUE has places behind the end of a line or a file. Files are read once each, and so in order.",
		func(disk *workspace.Disk, found diagnostic.List) diagnostic.List {
			source.WithinFiles(disk.Read, found)
			return found
		}},
	{"Nothing that looks like a credential is shown. It comes last, so that nothing can bring one in again.",
		func(disk *workspace.Disk, found diagnostic.List) diagnostic.List {
			credential.Conceal(disk.Read, found)
			return found
		}},
}

// tidy makes of the findings that packages, and what they have in common, have given
// those that people get to see.
func tidy(disk *workspace.Disk, found diagnostic.List) diagnostic.List {
	for _, p := range passes {
		found = p.run(disk, found)
	}
	return found
}

func sortFindings(_ *workspace.Disk, found diagnostic.List) diagnostic.List {
	found.Sort()
	return found
}

// once keeps one of the findings that tell of one mistake: those about the
// automations that a comprehension makes, or that share a definition with a
// mistake in it. The list is sorted.
func once(list diagnostic.List) diagnostic.List {
	type spot struct {
		file, code string
		at         diagnostic.Range
	}
	kept := map[spot][]int{} // into out
	out := list[:0]
	for _, d := range list {
		at := spot{d.File, d.Code, d.Range}
		if i := slices.IndexFunc(kept[at], func(i int) bool { return sameMistake(out[i], d) }); i < 0 {
			kept[at] = append(kept[at], len(out))
			out = append(out, d)
		} else if first := &out[kept[at][i]]; tellsMore(d, *first) {
			*first = d
		}
	}
	return out
}

// withoutChoice leaves out that a value is none of those that are allowed where
// it is told that it has two values, and that it is of another type than elsewhere
// where it is told that its type is wrong.
func withoutChoice(list diagnostic.List) diagnostic.List {
	type value struct{ key, path string }
	twice := map[value]bool{}
	for _, d := range list {
		if d.Code == "conflicting-values" {
			twice[value{d.Key, d.Path}] = true
		}
	}
	wrong := map[value]bool{}
	for _, d := range list {
		if d.Code == "wrong-type" {
			wrong[value{d.Key, d.Path}] = true
		}
	}
	return slices.DeleteFunc(list, func(d diagnostic.Diagnostic) bool {
		return d.Code == "invalid-value" && twice[value{d.Key, d.Path}] || d.Code == "property-type" && wrong[value{d.Key, d.Path}]
	})
}

// tellsMore reports whether a finding is better than another one of the same
// mistake: it says what was meant, or it is about the value itself.
func tellsMore(a, b diagnostic.Diagnostic) bool {
	if (a.Suggestion == "") != (b.Suggestion == "") {
		return a.Suggestion != ""
	}
	return a.Key == "" && b.Key != ""
}

// sameMistake reports whether two findings at one place, of one code, tell the
// same: word for word but for the key, or one of them of a value by itself and
// the other of an automation that only uses it.
func sameMistake(a, b diagnostic.Diagnostic) bool {
	if a.File == "" || a.Severity != b.Severity {
		return false
	}
	if a.Key != b.Key && (a.Key == "" || b.Key == "") && a.Path != "" && b.Path != "" && a.Severity == diagnostic.Error {
		return true
	}
	plain := func(d diagnostic.Diagnostic) string {
		if d.Key == "" {
			return d.Message
		}
		message := strings.ReplaceAll(d.Message, d.Key, "")
		if finding.AboutText[d.Code] || source.AboutUse[d.Code] { // one value that several fields have
			_, name, _ := strings.Cut(strings.TrimPrefix(d.Path, "automations."), ".")
			message = strings.Replace(message, name, "", 1)
		}
		return message
	}
	return plain(a) == plain(b)
}

// matching returns the folders that one of the patterns names.
func matching(dirs, patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		return dirs, nil
	}
	var out []string
	for _, pattern := range patterns {
		base, below := strings.CutSuffix(strings.ReplaceAll(pattern, `\`, "/"), "...")
		base = path.Clean(base)
		if base == "" {
			base = "."
		}
		n := len(out)
		for _, dir := range dirs {
			if dir == base || below && (base == "." || strings.HasPrefix(dir, base+"/")) {
				out = append(out, dir)
			}
		}
		if len(out) == n {
			return nil, fmt.Errorf("no package matches %q; a pattern is a folder of the project, such as growth, or ./growth/... with those below", pattern)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
