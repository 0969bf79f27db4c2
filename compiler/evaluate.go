package compiler

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
	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/explain"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// chunkSize is how many packages share a cue.Context. A context keeps all that
// it ever built, so that a larger number costs memory; every context evaluates
// the schema anew, so that a smaller one costs time. See docs/performance.md.
const chunkSize = 25

// An evaluation is one run over the packages of a project.
type evaluation struct {
	project *config.Project
	disk    *workspace.Disk
	target  string
	loader  *workspace.Loader
	// dirs are the folders whose packages are evaluated.
	dirs []string
	// once sets projectDirs, which the explainers share.
	once        sync.Once
	projectDirs func() map[string]string
	// tests says which tests are run, nil for none at all.
	tests *testRun
}

// newEvaluation prepares the evaluation of the packages that patterns name.
func newEvaluation(disk *workspace.Disk, settings *config.Project, target string, patterns []string, tests *testRun) (*evaluation, error) {
	loader := workspace.NewLoader(disk, schema.Files())
	loader.Tests = tests != nil
	all, err := loader.PackageDirs()
	if err != nil {
		return nil, err
	}
	dirs, err := matching(all, patterns)
	if err != nil {
		return nil, err
	}
	return &evaluation{project: settings, disk: disk, target: target, loader: loader, dirs: dirs, tests: tests}, nil
}

// explainer returns one that reads the same files.
func (e *evaluation) explainer() *resolve.Reader {
	x := resolve.NewReader(e.disk, e.project.Catalog, e.dirs)
	x.Loader.Tests = e.loader.Tests
	// What one of them has found out serves all.
	e.once.Do(func() { e.projectDirs = x.ProjectDirs })
	x.ProjectDirs = e.projectDirs
	return x
}

// chunk evaluates the packages of some folders in a context of their own. each is
// called for every folder, with a function that evaluates it.
func (e *evaluation) chunk(ctx context.Context, dirs []string, each func(i int, f func() ([]pkg, error)) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	cueContext := cuecontext.New()
	files := e.loader.Reading()
	samples := &sampleSchema{}
	loaded := map[string][]*build.Instance{}
	for _, inst := range e.loader.Packages(dirs, files.Parse) {
		dir := e.loader.Relative(inst.Dir)
		loaded[dir] = append(loaded[dir], inst)
	}
	for i, dir := range dirs {
		err := each(i, func() ([]pkg, error) {
			var out []pkg
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

// folder evaluates what was loaded of a folder.
func (e *evaluation) folder(ctx *cue.Context, inst *build.Instance, files *workspace.Reading, samples *sampleSchema) (pkg, error) {
	dir := e.loader.Relative(inst.Dir)
	p := pkg{Dir: dir}
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
			if d, unwanted := workspace.FileCondition(e.loader.Relative(f.Filename), attr); unwanted {
				p.Found = append(p.Found, d)
			}
		}
	}
	return p, nil
}

// unnamed explains the files of a folder that do not say which package they
// belong to.
func (e *evaluation) unnamed(dir string, inst *build.Instance) (diagnostic.List, error) {
	if inst.Err != nil {
		return nil, fmt.Errorf("%s: %w", dir, inst.Err)
	}
	if len(inst.BuildFiles) == 1 && e.loader.Relative(inst.BuildFiles[0].Filename) == config.ProjectFile {
		return nil, nil
	}
	x := e.explainer()
	return x.Unnamed(dir)
}

// A candidate is one automation on its way through a package.
type candidate struct {
	name     string
	pkg      string
	found    []finding.Finding // of the checks
	failure  error             // of CUE
	facts    check.Facts       // if it is emitted
	position token.Pos
	bytes    bool // there may be bytes in it
	// sourceless says that it needs a source, and the project has none.
	sourceless bool
}

// pkg evaluates one package. The quick way is for packages without findings;
// the others are explained.
func (e *evaluation) pkg(ctx *cue.Context, inst *build.Instance, files *workspace.Reading, samples *sampleSchema) (pkg, error) {
	failure := files.Failure(inst)
	dir := e.loader.Relative(inst.Dir)
	out := pkg{Dir: dir, Name: inst.PkgName}
	var tested []*tested
	var candidates []candidate
	clean := failure == nil
	if clean {
		value := ctx.BuildInstance(inst)
		failure = value.Validate()
		clean = failure == nil
		h := source.HeritageOf(inst.Dir, inst.Files)
		clean = clean && len(h.Both) == 0
		automations := value.LookupPath(finding.FieldPath("automations"))
		fields, err := source.FieldsOf(automations)
		if err != nil && automations.Exists() {
			clean, failure = false, err
		}
		if !automations.Exists() {
			if out.Found = e.misspeltAutomations(inst); len(out.Found) > 0 {
				return out, nil // the rest can be told once the name is right
			}
		}
		if failure == nil {
			// CUE leaves out what is under a condition or a name that is still open.
			if failure = explain.OpenStruct(value, automations, inst.Files); failure != nil {
				clean = false
			}
		}
		if failure == nil {
			if err = e.outside(inst, value, &out); err != nil {
				return out, err
			}
		}
		if err == nil {
			for fields.Next() {
				name := source.LabelOf(fields)
				if h.Inherits(name, fields.Value().Pos()) || slices.Contains(h.Both, name) {
					continue
				}
				c := candidate{name: name, pkg: inst.PkgName, position: fields.Value().Pos(), bytes: files.Bytes}
				a, t, err := e.candidate(fields.Value(), dir, name, &c)
				if err != nil {
					return out, err
				}
				if a != nil {
					out.Automations = append(out.Automations, compiled{Automation: *a, Name: name, Place: placeOf(e.loader, c.position), Facts: c.facts})
				}
				if t != nil {
					tested = append(tested, t)
				}
				out.Sourceless = out.Sourceless || c.sourceless
				clean = clean && c.failure == nil && len(c.found) == 0
				candidates = append(candidates, c)
			}
		}
	}
	if !clean {
		if err := e.explain(&out, failure, candidates); err != nil {
			return out, err
		}
	}
	return out, e.conclude(&out, tested, samples)
}

// misspeltAutomations reports a package without automations that has a field of
// nearly that name, or one that is optional: CUE has nothing against it, and
// nothing would be compiled.
func (e *evaluation) misspeltAutomations(inst *build.Instance) findings {
	var out findings
	for _, f := range inst.Files {
		for _, d := range f.Decls {
			field, ok := d.(*ast.Field)
			if !ok || filepath.Dir(f.Filename) != inst.Dir {
				continue
			}
			label, ok := source.FieldLabel(field)
			if ok && label == "automations" && field.Constraint != token.ILLEGAL {
				out = append(out, diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "missing-value", File: e.loader.Relative(f.Filename),
					Range: source.RangeOf(field.Label.Pos(), field.Label.End()), Path: label,
					Message: "automations has no value: a field with " + field.Constraint.String() + " only says what it may be", Help: "write automations: without " + field.Constraint.String()})
				continue
			}
			if !ok || strings.ContainsAny(label[:min(1, len(label))], "#_") || finding.Nearest(label, []string{"automations"}) == "" {
				continue
			}
			out = append(out, diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unknown-field", File: e.loader.Relative(f.Filename),
				Range: source.RangeOf(field.Label.Pos(), field.Label.End()), Path: finding.Path{label}.String(),
				Message:    "the package has no automations: segue reads the field automations, not " + label,
				Suggestion: "automations", Help: finding.DidYouMean("automations")})
		}
	}
	return out
}

// candidate checks one automation, and emits and tests it if nothing is wrong with it.
func (e *evaluation) candidate(v cue.Value, dir, name string, c *candidate) (*automation.Automation, *tested, error) {
	b, err := encodeAutomation(v)
	if err != nil {
		c.failure = err
		return nil, nil, nil
	}
	var raw any
	if err := source.UnmarshalNumber(b, &raw); err != nil {
		return nil, nil, err
	}
	if c.bytes {
		raw = withBytes(v, raw)
	}
	m := e.message(raw, dir, name)
	m.Check(true)
	c.found = m.Found
	for i := range c.found {
		f := &c.found[i]
		if inner := v.LookupPath(source.Selectors(f.At[2:])); inner.Exists() {
			f.Position, f.Origin = inner.Pos(), source.OriginOf(inner)
		}
	}
	c.sourceless = m.Sourceless
	if m.Failed() || m.Sourceless {
		return nil, nil, nil
	}
	c.facts = m.Facts()
	a, err := m.Emit()
	if err != nil || e.tests == nil {
		return a, nil, err
	}
	return a, e.tests.test(v, m, a), nil
}

// explain finds places for the findings of a package, and findings for what CUE
// refused.
func (e *evaluation) explain(out *pkg, failure error, candidates []candidate) error {
	x := e.explainer()
	files, err := x.Open(out.Dir, out.Name, nil)
	if err != nil {
		return err
	}
	p := explain.New(files)
	known := map[string]candidate{}
	broken := failure != nil
	p.DeclaredTwice()
	for _, c := range candidates {
		known[c.name] = c
		broken = broken || c.failure != nil
	}
	if !broken {
		// CUE is content: only the checks have something to say.
		for _, c := range candidates {
			p.AddAll(c.found, finding.KeyOf(out.Dir, c.name), c.position)
		}
		out.Found = append(out.Found, p.Found...)
		return nil
	}
	value := p.Evaluate()
	e.explainAutomations(p, value, known)
	if failure != nil {
		e.explainDefinitions(p, value)
	}
	if failure != nil && !p.Found.HasErrors() {
		if len(p.Awaits) == 0 {
			p.CueErrors(failure, nil)
		} else {
			if err := e.withhold(out, failure, p.Awaits); err != nil {
				return err
			}
		}
	}
	if failure != nil && len(p.Awaits) == 0 && len(p.Found) == 0 && e.disk.Modules.Failure() == nil {
		return fmt.Errorf("%s: CUE refuses the package, and says no more than: %w", out.Dir, failure)
	}
	out.Found = append(out.Found, p.Found...)
	return nil
}

// withhold notes what CUE says of a package that it refuses, should no package that it
// imports have an error.
func (e *evaluation) withhold(out *pkg, refused error, awaits []string) error {
	files, err := e.explainer().Open(out.Dir, out.Name, nil)
	if err != nil {
		return err
	}
	opened := explain.New(files)
	opened.CueErrors(refused, nil)
	if !opened.Found.HasErrors() && e.disk.Modules.Failure() == nil {
		out.Unexplained = refused.Error()
	}
	out.Withheld, out.Awaits = findings(opened.Found), awaits
	return nil
}

// explainAutomations checks every automation of a package that was evaluated
// leniently.
func (e *evaluation) explainAutomations(p *explain.Package, value cue.Value, known map[string]candidate) {
	automations := value.LookupPath(finding.FieldPath("automations"))
	if !automations.Exists() {
		p.ExplainOpen(value, automations)
		return
	}
	fields, err := source.FieldsOf(automations)
	if err != nil {
		at := finding.Path{"automations"}
		c := &check.Checker{}
		if raw := p.Raw(automations, at); raw != (shape.Broken{}) {
			c.WrongType(raw, &shape.Shape{Kind: shape.Struct}, at)
			p.AddAll(c.Found, "", automations.Pos())
		}
		return
	}
	p.ExplainOpen(value, automations)
	h := p.Heritage()
	for fields.Next() {
		name := source.LabelOf(fields)
		v := fields.Value()
		if h.Inherits(name, v.Pos()) || slices.Contains(h.Both, name) {
			continue // explained in the folder above
		}
		at := finding.Path{"automations", name}
		key := finding.KeyOf(p.Dir, name)
		if c, ok := known[name]; ok && c.failure == nil {
			p.AddAll(c.found, key, c.position)
			continue
		}
		before := len(p.Found)
		m := e.message(p.Raw(v, at), p.Dir, name)
		m.Undetermined, m.Partial = p.Undetermined(at), p.Partials
		m.Check(false)
		for i := range p.Found[before:] {
			p.Found[before+i].Key = key
		}
		for i := range m.Found {
			f := &m.Found[i]
			f.Position = p.Positions[f.At.String()]
			if inner := v.LookupPath(source.Selectors(f.At[len(at):])); inner.Exists() {
				f.Origin = source.OriginOf(inner)
			}
		}
		// An argument without its # is no field of an automation either.
		m.Found = slices.DeleteFunc(m.Found, func(f finding.Finding) bool {
			return f.Code == "unknown-field" && slices.ContainsFunc(p.Found[before:], func(d diagnostic.Diagnostic) bool {
				return d.Code == f.Code && d.Path == f.At.String()
			})
		})
		p.AddAll(m.Found, key, v.Pos())
		p.DeclaredAgain(name, before)
		p.DeclaredEachTurn(name, before)
		// What was taken out or mended has its finding; CUE's complaint follows from it.
		if c, ok := known[name]; ok && !p.Damaged() && len(p.Mended) == 0 && !p.Found[before:].HasErrors() {
			from := len(p.Found)
			p.CueErrors(c.failure, nil)
			for i := range p.Found[from:] {
				p.Found[from+i].Key = key
			}
		}
	}
}

// explainDefinitions checks the definitions of a package that automations build
// on.
func (e *evaluation) explainDefinitions(p *explain.Package, value cue.Value) {
	if !value.Exists() {
		return
	}
	fields, err := value.Fields(cue.Definitions(true))
	if err != nil {
		return
	}
	p.Draft = true
	defer func() { p.Draft = false }()
	for fields.Next() {
		v, name := fields.Value(), fields.Selector().String()
		if call := v.LookupPath(finding.FieldPath("call")); !fields.Selector().IsDefinition() || !call.IsConcrete() {
			continue
		}
		at := finding.Path{name}
		m := e.message(p.Raw(v, at), p.Dir, name)
		m.At, m.Partial = at, p.Partials
		m.CheckDraft()
		for i := range m.Found {
			m.Found[i].Position = p.Positions[m.Found[i].At.String()]
		}
		p.AddAll(m.Found, "", v.Pos())
	}
}

// message prepares an automation for its checks.
func (e *evaluation) message(value any, dir, name string) *check.Message {
	return &check.Message{
		Checker: check.Checker{Catalog: e.project.Catalog, Gaps: e.project.Gaps},
		Decoded: value, Key: finding.KeyOf(dir, name), At: finding.Path{"automations", name},
		Sources: e.project.SourcesOf(e.target),
		Plan:    e.project.Plan, Triggers: e.project.Triggers,
	}
}
