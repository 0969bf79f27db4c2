package evaluate

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/explain"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// matching returns the folders that match one of the patterns.
func matching(dirs, patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		return dirs, nil
	}
	var out []string
	for _, pattern := range patterns {
		matches := workspace.Pattern(pattern)
		n := len(out)
		for _, dir := range dirs {
			if matches(dir) {
				out = append(out, dir)
			}
		}
		if len(out) == n {
			return nil, fmt.Errorf("no package matches %q; a pattern is a folder of the project such as growth, "+
				"or ./growth/... with all folders below it", pattern)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// ChunkSize is the number of packages that share a cue.Context. A context keeps everything that it ever built,
// so a larger number costs memory. Every context evaluates the schema again, so a smaller number costs time.
// See docs/performance.md.
const ChunkSize = 25

// An Evaluation is one run over the packages of a project.
type Evaluation struct {
	Project *config.Project
	Disk    *workspace.Disk
	Target  string
	Loader  *workspace.Loader
	// Dirs has the folders whose packages are evaluated.
	Dirs []string
	// once sets projectDirs, which the explainers share.
	once        sync.Once
	projectDirs func() map[string]string
	// Tests selects the tests to run, nil for none.
	Tests *TestRun
}

// New prepares the evaluation of the packages that match the patterns.
func New(
	disk *workspace.Disk, settings *config.Project, target string, patterns []string, tests *TestRun,
) (*Evaluation, error) {
	loader := workspace.NewLoader(disk, schema.Files())
	loader.Tests, loader.Inputs = tests != nil, settings.InputsOf(target)
	all, err := loader.PackageDirs()
	if err != nil {
		return nil, err
	}
	dirs, err := matching(all, patterns)
	if err != nil {
		return nil, err
	}
	return &Evaluation{Project: settings, Disk: disk, Target: target, Loader: loader, Dirs: dirs, Tests: tests}, nil
}

// Explainer returns a reader of the same files, to explain errors.
func (e *Evaluation) Explainer() *resolve.Reader {
	x := resolve.NewReader(e.Disk, e.Project.Catalog, e.Dirs)
	x.Loader.Tests, x.Loader.Inputs = e.Loader.Tests, e.Loader.Inputs
	// All explainers share the result of the first search.
	e.once.Do(func() { e.projectDirs = x.ProjectDirs })
	x.ProjectDirs = e.projectDirs
	return x
}

// Chunk evaluates the packages of some folders in a context of their own. It calls each for every folder, with
// a function that evaluates it.
func (e *Evaluation) Chunk(
	ctx context.Context, dirs []string, each func(i int, f func() ([]Package, error)) error,
) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	cueContext := cuecontext.New()
	files := e.Loader.Reading()
	samples := &sampleSchema{}
	loaded := map[string][]*build.Instance{}
	for _, inst := range e.Loader.Packages(dirs, files.Parse) {
		dir := e.Loader.Relative(inst.Dir)
		loaded[dir] = append(loaded[dir], inst)
	}
	for i, dir := range dirs {
		err := each(i, func() ([]Package, error) {
			var out []Package
			for _, inst := range loaded[dir] {
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				p, err := e.folder(cueContext, inst, files, samples)
				if err != nil {
					return nil, err
				}
				out = append(out, p)
			}
			return out, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// folder evaluates a loaded package.
func (e *Evaluation) folder(
	ctx *cue.Context, inst *build.Instance, files *workspace.Reading, samples *sampleSchema,
) (Package, error) {
	dir := e.Loader.Relative(inst.Dir)
	p := Package{Dir: dir}
	var found diagnostic.List
	var err error
	if tests := testFiles(inst); tests != nil {
		found, err = e.strayTests(dir, tests)
	} else if inst.PkgName == "_" {
		found, err = e.unnamed(dir, inst)
	} else {
		p, err = e.pkg(ctx, inst, files, samples)
	}
	if err != nil {
		return p, err
	}
	p.Found = append(p.Found, found...)
	for _, f := range inst.BuildFiles {
		if attr := files.Out[f.Filename]; attr != nil && filepath.Dir(f.Filename) == inst.Dir {
			if d, unwanted := workspace.FileCondition(e.Loader.Relative(f.Filename), attr); unwanted {
				p.Found = append(p.Found, d)
			}
		}
	}
	return p, nil
}

// unnamed explains the files of a folder that have no package clause.
func (e *Evaluation) unnamed(dir string, inst *build.Instance) (diagnostic.List, error) {
	if inst.Err != nil {
		return nil, fmt.Errorf("%s: %w", dir, inst.Err)
	}
	if len(inst.BuildFiles) == 1 && e.Loader.Relative(inst.BuildFiles[0].Filename) == config.ProjectFile {
		return nil, nil
	}
	x := e.Explainer()
	return x.Unnamed(dir)
}

// A candidate is an automation of a package during its evaluation.
type candidate struct {
	name     string
	position token.Pos
	found    []finding.Finding // from the checks
	failure  error             // from CUE
	// sourceless means that it needs a source, but the project has none.
	sourceless bool
	emitted    *automation.Automation // nil if it has an error
	compiled   Compiled               // its place and facts, if it is emitted
	tested     *tested                // nil if it is not tested
}

// pkg evaluates one package. Packages without findings take the quick path; the others are explained.
func (e *Evaluation) pkg(
	ctx *cue.Context, inst *build.Instance, files *workspace.Reading, samples *sampleSchema,
) (Package, error) {
	out := Package{Dir: e.Loader.Relative(inst.Dir), Name: inst.PkgName}
	failure := files.Failure(inst)
	var candidates []candidate
	var emitted []automation.Automation
	var of []Compiled
	clean := failure == nil
	if clean {
		value := ctx.BuildInstance(inst)
		if !value.LookupPath(finding.FieldPath("automations")).Exists() {
			if out.Found = e.misspeltAutomations(inst); len(out.Found) > 0 {
				return out, nil // the rest can only be checked once the name is right
			}
		}
		if failure = refusal(value, inst); failure == nil {
			found, volatile, err := e.misplacedAutomations(inst, value)
			if out.Found, out.Volatile = Findings(found), volatile; err != nil {
				return out, err
			}
		}
		h := source.HeritageOf(inst.Dir, inst.Files)
		clean = failure == nil && len(h.Both) == 0
		var err error
		if candidates, err = e.candidates(value, out.Dir, h, files.Bytes); err != nil {
			return out, err
		}
	}
	var tests []*tested
	for _, c := range candidates {
		if c.emitted != nil {
			emitted = append(emitted, *c.emitted)
			of = append(of, c.compiled)
		}
		if c.tested != nil {
			tests = append(tests, c.tested)
		}
		out.Sourceless = out.Sourceless || c.sourceless
		clean = clean && c.failure == nil && len(c.found) == 0
	}
	if err := out.add(emitted, of); err != nil {
		return out, err
	}
	if !clean {
		if err := e.explain(&out, failure, candidates); err != nil {
			return out, err
		}
	}
	return out, e.conclude(&out, tests, samples)
}

// refusal returns the reason that CUE refuses a package or can't list its automations, nil if there is none.
func refusal(value cue.Value, inst *build.Instance) error {
	automations := value.LookupPath(finding.FieldPath("automations"))
	if _, err := source.FieldsOf(automations); err != nil && automations.Exists() {
		return err
	}
	if err := value.Validate(); err != nil {
		return err
	}
	// CUE leaves out fields under a condition or name that is still open.
	return explain.OpenStruct(value, automations, inst.Files)
}

// candidates checks the automations of a package, except those from a folder above. bytes means that they may
// contain bytes.
func (e *Evaluation) candidates(value cue.Value, dir string, h source.Heritage, bytes bool) ([]candidate, error) {
	fields, err := source.FieldsOf(value.LookupPath(finding.FieldPath("automations")))
	if err != nil {
		return nil, nil // if there are automations, this has a finding of its own
	}
	var out []candidate
	for fields.Next() {
		name := source.LabelOf(fields)
		if h.Inherits(name, fields.Value().Pos()) || slices.Contains(h.Both, name) {
			continue
		}
		c, err := e.candidate(fields.Value(), dir, name, bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// misspeltAutomations reports a package without automations that has a field with a similar name, or an
// optional one. CUE accepts that, and nothing would be compiled.
func (e *Evaluation) misspeltAutomations(inst *build.Instance) Findings {
	var out Findings
	for _, f := range inst.Files {
		for _, d := range f.Decls {
			field, ok := d.(*ast.Field)
			if !ok || filepath.Dir(f.Filename) != inst.Dir {
				continue
			}
			label, ok := source.FieldLabel(field)
			if ok && label == "automations" && field.Constraint != token.ILLEGAL {
				out = append(out, finding.Diagnose("missing-value", diagnostic.Diagnostic{File: e.Loader.Relative(f.Filename),
					Range: source.RangeOf(field.Label.Pos(), field.Label.End()), Path: label,
					Message: "automations has no value: a field with " + field.Constraint.String() + " is only a constraint",
					Help:    "write automations without " + field.Constraint.String()}))
				continue
			}
			if !ok || strings.ContainsAny(label[:min(1, len(label))], "#_") ||
				finding.Nearest(label, []string{"automations"}) == "" {
				continue
			}
			out = append(out, finding.Diagnose("unknown-field", diagnostic.Diagnostic{File: e.Loader.Relative(f.Filename),
				Range: source.RangeOf(field.Label.Pos(), field.Label.End()), Path: finding.Path{label}.String(),
				Message:    "the package has no automations: segue reads the field automations, not " + label,
				Suggestion: "automations", Help: finding.DidYouMean("automations")}))
		}
	}
	return out
}

// candidate checks one automation. If it has no errors, it is emitted and tested.
func (e *Evaluation) candidate(v cue.Value, dir, name string, bytes bool) (c candidate, err error) {
	c = candidate{name: name, position: v.Pos()}
	b, err := EncodeAutomation(v)
	if err != nil {
		c.failure = err
		return c, nil
	}
	var raw any
	if err := source.UnmarshalNumber(b, &raw); err != nil {
		return c, err
	}
	if bytes {
		raw = withBytes(v, raw)
	}
	m := e.message(raw, dir, name).Check(true)
	c.found = m.Found
	for i := range c.found {
		f := &c.found[i]
		if inner := v.LookupPath(source.Selectors(f.At[2:])); inner.Exists() {
			f.Position, f.Origin = inner.Pos(), source.OriginOf(inner)
		}
	}
	c.sourceless = m.Sourceless
	if m.Failed() || m.Sourceless {
		return c, nil
	}
	facts := m.Facts()
	a, err := m.Emit()
	if err != nil {
		return c, err
	}
	c.emitted, c.compiled = a, Compiled{Name: name, Place: placeOf(e.Loader, c.position), Facts: facts}
	if e.Tests != nil {
		c.tested = e.Tests.test(v, m, a)
	}
	return c, nil
}

// message prepares an automation for its checks.
func (e *Evaluation) message(value any, dir, name string) message.Unchecked {
	return message.Unchecked{
		Decoded: value, Key: finding.KeyOf(dir, name), At: finding.Path{"automations", name},
		Catalog: e.Project.Catalog, Gaps: e.Project.Gaps, Sources: e.Project.SourcesOf(e.Target),
		Targets: finding.SortedKeys(e.Project.Targets), Plan: e.Project.Plan, Triggers: e.Project.Triggers,
	}
}
