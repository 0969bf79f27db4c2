package evaluate

import (
	"cmp"
	"path"
	"path/filepath"
	"slices"

	"cuelang.org/go/cue/build"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// testFiles returns the files of a package if all of them are for segue test, else nil.
func testFiles(inst *build.Instance) []string {
	var tests []string
	all := slices.Concat(inst.BuildFiles, inst.IgnoredFiles, inst.OrphanedFiles, inst.UnknownFiles, inst.InvalidFiles)
	for _, f := range all {
		switch {
		case workspace.IsTestFile(f.Filename):
			tests = append(tests, f.Filename)
		case workspace.IsSource(filepath.Base(f.Filename)) && slices.Contains(inst.BuildFiles, f):
			return nil
		}
	}
	return tests
}

// strayTests reports test files whose package has no other files in the folder. If another file lacks a package
// clause, it reports nothing: that file has a finding.
func (e *Evaluation) strayTests(dir string, files []string) (diagnostic.List, error) {
	x := e.Explainer()
	sources, err := x.SourceFiles(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range sources {
		if workspace.IsTestFile(name) {
			continue
		}
		s, broken, err := x.Read(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if s.Syntax.PackageName() == "" || broken != nil && source.PackageIdent(s.Syntax) == nil {
			return nil, nil
		}
		names = append(names, s.Syntax.PackageName())
	}
	var out diagnostic.List
	for _, file := range files {
		s, _, err := x.Read(e.Loader.Relative(file))
		if err != nil {
			return nil, err
		}
		clause := source.PackageIdent(s.Syntax)
		if clause == nil {
			continue
		}
		d := finding.Diagnose("no-package", diagnostic.Diagnostic{
			File: s.Name, Range: source.RangeOf(clause.Pos(), clause.End()),
			Message: "these tests belong to the package " + clause.Name + ", which the folder does not have",
			Help:    "declare its automations, or remove the file"})
		if names = slices.Compact(slices.Sorted(slices.Values(names))); len(names) > 0 {
			d.Help = "its package is " + finding.OneOf(names)
		}
		if near := finding.Nearest(clause.Name, names); near != "" || len(names) == 1 {
			d.Suggestion = cmp.Or(near, finding.OneOf(names))
			d.Help = finding.DidYouMean("package " + d.Suggestion)
		}
		out = append(out, d)
	}
	return out, nil
}
