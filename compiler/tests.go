package compiler

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// TestOptions say which tests to run.
type TestOptions struct {
	Options
	// Run restricts the tests to those for which it matches key and name, as in "growth/account-activated/sends
	// the name". Samples are then not checked. Nil means all tests.
	Run *regexp.Regexp
}

// A TestReport has the test results of a project.
type TestReport struct {
	// Packages has those with automations or findings, in order.
	Packages []TestedPackage `json:"packages"`
	// Diagnostics has the findings of compiling the project, in file order. Automations with errors are not
	// tested.
	Diagnostics diagnostic.List `json:"diagnostics"`
}

// A TestedPackage has the test results of one folder.
type TestedPackage struct {
	// Folder is relative to the project, "." for its root.
	Folder string `json:"package"`
	// Automations is the number of tested automations.
	Automations int `json:"automations"`
	// Broken means that the package has errors, so that not everything was tested.
	Broken bool `json:"broken"`
	// Results are sorted by the automations' keys, the sample first.
	Results []evaluate.TestResult `json:"results"`
}

// Failed returns the number of results with problems.
func (p TestedPackage) Failed() int {
	n := 0
	for _, r := range p.Results {
		if len(r.Problems) > 0 {
			n++
		}
	}
	return n
}

// Tests returns the number of the author's tests. The check of the sample does not count.
func (p TestedPackage) Tests() int {
	n := 0
	for _, r := range p.Results {
		if r.Test != "" {
			n++
		}
	}
	return n
}

// Test compiles a project with the files that end in _test.cue, and runs the tests of its automations. It also
// checks each automation's message with the samples filled in: against the schema of the message, with real
// values in the place of placeholders, and against the tracking plan.
func Test(ctx context.Context, opts TestOptions) (*TestReport, error) {
	return NewSession(opts.Options).Test(ctx, opts.Target, opts.Patterns, opts.Run)
}

// Test is like the function [Test]. run restricts the tests: see [TestOptions].
func (s *Session) Test(ctx context.Context, target string, patterns []string, run *regexp.Regexp) (*TestReport, error) {
	result, err := s.compile(ctx, target, patterns, &evaluate.TestRun{Only: run})
	if err != nil {
		return nil, err
	}
	report := &TestReport{Diagnostics: result.Diagnostics, Packages: []TestedPackage{}}
	if result.Project == nil {
		return report, nil
	}
	unknownAutomations(result.packages, report.Diagnostics)
	report.Packages = packagesOf(result.packages, report.Diagnostics)
	return report, nil
}

// packagesOf groups the results by package.
func packagesOf(all []evaluate.Package, findings diagnostic.List) []TestedPackage {
	folders := map[string]*TestedPackage{}
	folder := func(dir string) *TestedPackage {
		if folders[dir] == nil {
			folders[dir] = &TestedPackage{Folder: dir, Results: []evaluate.TestResult{}}
		}
		return folders[dir]
	}
	tests := map[string][]evaluate.AutomationTests{}
	for _, p := range all {
		if len(p.Tests) > 0 {
			tests[p.Dir] = append(tests[p.Dir], p.Tests...)
		}
	}
	for dir, of := range tests {
		slices.SortFunc(of, func(a, b evaluate.AutomationTests) int { return cmp.Compare(a.Key, b.Key) })
		p := folder(dir)
		for _, t := range of {
			p.Automations++
			for _, r := range t.Results {
				r.Passed = len(r.Problems) == 0
				p.Results = append(p.Results, r)
			}
		}
	}
	for _, d := range findings {
		if d.Severity == diagnostic.Error && d.File != "" {
			folder(path.Dir(d.File)).Broken = true
		}
	}
	out := []TestedPackage{}
	for _, dir := range finding.SortedKeys(folders) {
		out = append(out, *folders[dir])
	}
	return out
}

// unknownAutomations rewords findings about tests in a _test.cue file whose automation does not exist: they
// lack the automation, not a call.
func unknownAutomations(all []evaluate.Package, findings diagnostic.List) {
	names := map[string][]string{} // by folder
	for _, p := range all {
		for _, t := range p.Tests {
			names[p.Dir] = append(names[p.Dir], t.Name)
		}
	}
	for dir := range names {
		slices.Sort(names[dir])
	}
	for i := range findings {
		d := &findings[i]
		if d.Code != "not-an-automation" || !workspace.IsTestFile(d.File) {
			continue
		}
		dir := path.Dir(d.File)
		name := strings.TrimPrefix(d.Key, dir+"/")
		*d = finding.Diagnose("unknown-automation", *d)
		d.Message = fmt.Sprintf("the tests are for %q, but the package has no automation of that name", name)
		d.Help = "its automations are " + finding.OneOf(names[dir])
		if near := finding.Nearest(name, names[dir]); near != "" {
			d.Suggestion, d.Help = near, finding.DidYouMean(near)
		} else if len(names[dir]) == 0 {
			d.Help = "write the automation"
		}
	}
}
