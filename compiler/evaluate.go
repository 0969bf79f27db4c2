package compiler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
)

// chunkSize is how many packages share a cue.Context. A context keeps all that
// it ever built, so that a larger number costs memory; every context evaluates
// the schema anew, so that a smaller one costs time. See docs/performance.md.
const chunkSize = 25

// An evaluation is one run over the packages of a project.
type evaluation struct {
	project *Project
	disk    *workspace
	target  string
	loader  *loader
	// dirs are the folders whose packages are evaluated.
	dirs   []string
	limits Limits
	dog    *watchdog
	// once sets projectDirs, which the explainers share.
	once        sync.Once
	projectDirs func() map[string]string
	// sourceless says that an automation needs a source, and the project has none.
	sourceless atomic.Bool
	// tests gets every automation that compiles, unless it is nil.
	tests *testRun
}

// explainer returns one that reads the same files.
func (e *evaluation) explainer() *explainer {
	x := newExplainer(e.disk, e.project.Catalog, e.dirs)
	x.loader.tests = e.loader.tests
	// What one of them has found out serves all.
	e.once.Do(func() { e.projectDirs = x.projectDirs })
	x.projectDirs = e.projectDirs
	return x
}

// A compiled automation still knows where it comes from.
type compiled struct {
	automation automation.Automation
	dir, pkg   string
	name       string
	position   token.Pos
	facts      facts
}

// An evaluated package has automations, or findings, or both.
type evaluated struct {
	dir, pkg    string
	automations []compiled
	diagnostics diagnostic.List
	// refused is what CUE has against a package that has no error of its own: the
	// packages in the folders that it awaits are to have one.
	refused error
	awaits  []string
}

// run evaluates the packages in the folders. The result is in the order of the
// folders, whichever is done first.
func (e *evaluation) run(ctx context.Context, dirs []string, workers int) ([]evaluated, error) {
	e.dog = newWatchdog(e.limits)
	defer close(e.dog.stop)
	dirs, alone, out := sortFolders(e.limits, dirs, e.firstFile)
	var chunks [][]string
	for chunk := range slices.Chunk(dirs, chunkSize) {
		chunks = append(chunks, chunk)
	}
	results := make([][]evaluated, len(chunks))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, chunk := range chunks {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			var err error
			results[i], err = e.chunk(ctx, chunk)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out = append(out, slices.Concat(results...)...)
	for _, dir := range alone {
		p, err := e.chunk(ctx, []string{dir})
		if err != nil {
			return nil, err
		}
		out = append(out, p...)
	}
	return out, nil
}

// chunk evaluates some packages in a context of their own.
func (e *evaluation) chunk(ctx context.Context, dirs []string) ([]evaluated, error) {
	var bytes int64
	for _, dir := range dirs {
		bytes += e.loader.sizes[dir]
	}
	work := e.dog.begin(dirs, bytes)
	defer work.end()
	var out []evaluated
	cueContext := cuecontext.New()
	files := e.loader.reading()
	for _, inst := range e.loader.packages(dirs, files.parse) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		dir := e.loader.relative(inst.Dir)
		work.on(dir, e.loader.sizes[dir])
		p := evaluated{dir: dir}
		var err error
		if tests := testFiles(inst); tests != nil {
			p.diagnostics, err = e.strayTests(dir, tests)
		} else if inst.PkgName == "_" {
			p.diagnostics, err = e.unnamed(dir, inst)
		} else {
			p, err = e.pkg(cueContext, inst, files)
		}
		if err != nil {
			return nil, err
		}
		for _, f := range inst.BuildFiles {
			if attr := files.out[f.Filename]; attr != nil && filepath.Dir(f.Filename) == inst.Dir {
				if d, unwanted := fileCondition(e.loader.relative(f.Filename), attr); unwanted {
					p.diagnostics = append(p.diagnostics, d)
				}
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// unnamed explains the files of a folder that do not say which package they
// belong to.
func (e *evaluation) unnamed(dir string, inst *build.Instance) (diagnostic.List, error) {
	if inst.Err != nil {
		return nil, fmt.Errorf("%s: %w", dir, inst.Err)
	}
	if len(inst.BuildFiles) == 1 && e.loader.relative(inst.BuildFiles[0].Filename) == projectFile {
		return nil, nil
	}
	x := e.explainer()
	return x.unnamed(dir)
}

// A candidate is one automation on its way through a package.
type candidate struct {
	name     string
	pkg      string
	found    []finding // of the checks
	failure  error     // of CUE
	facts    facts     // if it is emitted
	position token.Pos
	bytes    bool // there may be bytes in it
}

// pkg evaluates one package. The quick way is for packages without findings;
// the others are explained.
func (e *evaluation) pkg(ctx *cue.Context, inst *build.Instance, files *reading) (evaluated, error) {
	failure := files.failure(inst)
	dir := e.loader.relative(inst.Dir)
	out := evaluated{dir: dir, pkg: inst.PkgName}
	var candidates []candidate
	clean := failure == nil
	if clean {
		value := ctx.BuildInstance(inst)
		failure = value.Validate()
		clean = failure == nil
		h := heritageOf(inst.Dir, inst.Files)
		clean = clean && len(h.both) == 0
		automations := value.LookupPath(valueSelector("automations"))
		fields, err := fieldsOf(automations)
		if err != nil && automations.Exists() {
			clean, failure = false, err
		}
		if !automations.Exists() {
			if out.diagnostics = e.misspeltAutomations(inst); len(out.diagnostics) > 0 {
				return out, nil // the rest can be told once the name is right
			}
		}
		if failure == nil {
			// CUE leaves out what is under a condition or a name that is still open.
			if failure = openStruct(value, automations, inst.Files); failure != nil {
				clean = false
			}
		}
		if failure == nil {
			if out.diagnostics, err = e.outside(inst, value); err != nil {
				return out, err
			}
		}
		if err == nil {
			for fields.Next() {
				name := labelOf(fields)
				if h.inherits(name, fields.Value().Pos()) || slices.Contains(h.both, name) {
					continue
				}
				c := candidate{name: name, pkg: inst.PkgName, position: fields.Value().Pos(), bytes: files.bytes}
				a, err := e.candidate(fields.Value(), dir, name, &c)
				if err != nil {
					return out, err
				}
				if a != nil {
					out.automations = append(out.automations, compiled{*a, dir, inst.PkgName, name, c.position, c.facts})
				}
				clean = clean && c.failure == nil && len(c.found) == 0
				candidates = append(candidates, c)
			}
		}
	}
	if clean {
		return out, nil
	}
	return out, e.explain(&out, failure, candidates)
}

// misspeltAutomations reports a package without automations that has a field of
// nearly that name, or one that is optional: CUE has nothing against it, and
// nothing would be compiled.
func (e *evaluation) misspeltAutomations(inst *build.Instance) diagnostic.List {
	var out diagnostic.List
	for _, f := range inst.Files {
		for _, d := range f.Decls {
			field, ok := d.(*ast.Field)
			if !ok || filepath.Dir(f.Filename) != inst.Dir {
				continue
			}
			label, ok := fieldLabel(field)
			if ok && label == "automations" && field.Constraint != token.ILLEGAL {
				out = append(out, diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "missing-value", File: e.loader.relative(f.Filename),
					Range: rangeOf(field.Label.Pos(), field.Label.End()), Path: label,
					Message: "automations has no value: a field with " + field.Constraint.String() + " only says what it may be", Help: "write automations: without " + field.Constraint.String()})
				continue
			}
			if !ok || strings.ContainsAny(label[:min(1, len(label))], "#_") || Nearest(label, []string{"automations"}) == "" {
				continue
			}
			out = append(out, diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unknown-field", File: e.loader.relative(f.Filename),
				Range: rangeOf(field.Label.Pos(), field.Label.End()), Path: valuePath{label}.String(),
				Message:    "the package has no automations: segue reads the field automations, not " + label,
				Suggestion: "automations", Help: didYouMean("automations")})
		}
	}
	return out
}

// candidate checks one automation and emits it if nothing is wrong with it.
func (e *evaluation) candidate(v cue.Value, dir, name string, c *candidate) (*automation.Automation, error) {
	b, err := encodeAutomation(v)
	if err != nil {
		c.failure = err
		return nil, nil
	}
	var raw any
	if err := unmarshalNumber(b, &raw); err != nil {
		return nil, err
	}
	if c.bytes {
		raw = withBytes(v, raw)
	}
	m := e.message(raw, dir, name)
	m.check(true)
	c.found = m.found
	for i := range c.found {
		f := &c.found[i]
		if inner := v.LookupPath(selectors(f.path[2:])); inner.Exists() {
			f.position, f.origin = inner.Pos(), originOf(inner)
		}
	}
	if m.sourceless {
		e.sourceless.Store(true)
	}
	if m.failed() || m.sourceless {
		return nil, nil
	}
	c.facts = m.facts()
	a, err := m.emit()
	if err == nil && e.tests != nil {
		e.tests.add(v, m, a, dir, c.pkg)
	}
	return a, err
}

// explain finds places for the findings of a package, and findings for what CUE
// refused.
func (e *evaluation) explain(out *evaluated, failure error, candidates []candidate) error {
	x := e.explainer()
	files, err := x.open(out.dir, out.pkg, nil)
	if err != nil {
		return err
	}
	p := newExplained(files)
	known := map[string]candidate{}
	broken := failure != nil
	p.declaredTwice()
	for _, c := range candidates {
		known[c.name] = c
		broken = broken || c.failure != nil
	}
	if !broken {
		// CUE is content: only the checks have something to say.
		for _, c := range candidates {
			p.addAll(c.found, keyOf(out.dir, c.name), c.position)
		}
		out.diagnostics = append(out.diagnostics, p.found...)
		return nil
	}
	value := p.evaluate()
	e.explainAutomations(p, value, known)
	if failure != nil {
		e.explainDefinitions(p, value)
	}
	if failure != nil && !p.found.HasErrors() {
		if len(p.awaits) == 0 {
			p.cueErrors(failure, nil)
		} else {
			out.refused, out.awaits = failure, p.awaits
		}
	}
	if failure != nil && len(p.awaits) == 0 && len(p.found) == 0 && e.disk.modules.failure() == nil {
		return fmt.Errorf("%s: CUE refuses the package, and says no more than: %w", out.dir, failure)
	}
	out.diagnostics = append(out.diagnostics, p.found...)
	return nil
}

// unexplained finds the packages that CUE refuses though no package that they
// import has an error, and says of them what CUE says.
func (e *evaluation) unexplained(packages []evaluated) (diagnostic.List, error) {
	folders := map[string][]evaluated{}
	for _, p := range packages {
		folders[p.dir] = append(folders[p.dir], p)
	}
	var explained func(awaits []string, seen map[string]bool) bool
	explained = func(awaits []string, seen map[string]bool) bool {
		return slices.ContainsFunc(awaits, func(dir string) bool {
			if seen[dir] {
				return false
			}
			seen[dir] = true
			return slices.ContainsFunc(folders[dir], func(p evaluated) bool {
				return p.diagnostics.HasErrors() || explained(p.awaits, seen)
			})
		})
	}
	var out diagnostic.List
	for _, p := range packages {
		if p.refused == nil || explained(p.awaits, map[string]bool{}) {
			continue
		}
		x := e.explainer()
		files, err := x.open(p.dir, p.pkg, nil)
		if err != nil {
			return nil, err
		}
		opened := newExplained(files)
		if opened.cueErrors(p.refused, nil); !opened.found.HasErrors() && e.disk.modules.failure() == nil {
			return nil, fmt.Errorf("%s: CUE refuses the package, and says no more than: %w", p.dir, p.refused)
		}
		out = append(out, opened.found...)
	}
	return out, nil
}

// addAll places the findings of an automation.
func (p *explained) addAll(found []finding, key string, position token.Pos) {
	for _, f := range found {
		f.Key = key
		p.add(f, position)
	}
}

// explainAutomations checks every automation of a package that was evaluated
// leniently.
func (e *evaluation) explainAutomations(p *explained, value cue.Value, known map[string]candidate) {
	automations := value.LookupPath(valueSelector("automations"))
	if !automations.Exists() {
		p.explainOpen(value, automations)
		return
	}
	fields, err := fieldsOf(automations)
	if err != nil {
		at := valuePath{"automations"}
		c := &checker{}
		if raw := p.raw(automations, at); raw != (broken{}) {
			c.wrongType(raw, &shape{kind: structShape}, at)
			p.addAll(c.found, "", automations.Pos())
		}
		return
	}
	p.explainOpen(value, automations)
	h := p.heritage()
	for fields.Next() {
		name := labelOf(fields)
		v := fields.Value()
		if h.inherits(name, v.Pos()) || slices.Contains(h.both, name) {
			continue // explained in the folder above
		}
		at := valuePath{"automations", name}
		key := keyOf(p.dir, name)
		if c, ok := known[name]; ok && c.failure == nil {
			p.addAll(c.found, key, c.position)
			continue
		}
		before := len(p.found)
		m := e.message(p.raw(v, at), p.dir, name)
		m.undetermined, m.partial = p.undetermined(at), p.partials
		m.check(false)
		for i := range p.found[before:] {
			p.found[before+i].Key = key
		}
		for i := range m.found {
			f := &m.found[i]
			f.position = p.positions[f.path.String()]
			if inner := v.LookupPath(selectors(f.path[len(at):])); inner.Exists() {
				f.origin = originOf(inner)
			}
		}
		// An argument without its # is no field of an automation either.
		m.found = slices.DeleteFunc(m.found, func(f finding) bool {
			return f.Code == "unknown-field" && slices.ContainsFunc(p.found[before:], func(d diagnostic.Diagnostic) bool {
				return d.Code == f.Code && d.Path == f.path.String()
			})
		})
		p.addAll(m.found, key, v.Pos())
		p.declaredAgain(name, before)
		p.declaredEachTurn(name, before)
		// What was taken out or mended has its finding; CUE's complaint follows from it.
		if c, ok := known[name]; ok && !p.damaged() && len(p.mended) == 0 && !p.found[before:].HasErrors() {
			from := len(p.found)
			p.cueErrors(c.failure, nil)
			for i := range p.found[from:] {
				p.found[from+i].Key = key
			}
		}
	}
}

// explainDefinitions checks the definitions of a package that automations build
// on.
func (e *evaluation) explainDefinitions(p *explained, value cue.Value) {
	if !value.Exists() {
		return
	}
	fields, err := value.Fields(cue.Definitions(true))
	if err != nil {
		return
	}
	p.draft = true
	defer func() { p.draft = false }()
	for fields.Next() {
		v, name := fields.Value(), fields.Selector().String()
		if call := v.LookupPath(valueSelector("call")); !fields.Selector().IsDefinition() || !call.IsConcrete() {
			continue
		}
		at := valuePath{name}
		m := e.message(p.raw(v, at), p.dir, name)
		m.at, m.partial = at, p.partials
		m.checkDraft()
		for i := range m.found {
			m.found[i].position = p.positions[m.found[i].path.String()]
		}
		p.addAll(m.found, "", v.Pos())
	}
}

// errNotStruct is the error of a value that has elements where fields are wanted.
var errNotStruct = errors.New("not a struct")

// fieldsOf returns the fields of a struct. CUE would list the elements of a list
// that is in conflict with something else.
func fieldsOf(v cue.Value) (*cue.Iterator, error) {
	fields, err := v.Fields()
	if err != nil {
		return nil, err
	}
	for probe, _ := v.Fields(); probe.Next(); {
		if !probe.Selector().IsString() {
			return nil, cmp.Or(v.Err(), errNotStruct)
		}
	}
	return fields, nil
}

// labelOf is the name of the field that an iterator is at.
func labelOf(fields *cue.Iterator) string {
	if s := fields.Selector(); s.IsString() {
		return s.Unquoted()
	}
	return fields.Selector().String()
}

// selectors converts a path for CUE.
func selectors(p valuePath) cue.Path {
	out := make([]cue.Selector, len(p))
	for i, step := range p {
		switch step := step.(type) {
		case int:
			out[i] = cue.Index(step)
		case string:
			out[i] = labelSelector(step)
		}
	}
	return cue.MakePath(out...)
}

// keyOf is the key of an automation: the package's folder and the name.
func keyOf(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// duplicate reports that two packages claim one key.
func (e *evaluation) duplicate(second, first *compiled) (diagnostic.Diagnostic, error) {
	x := e.explainer()
	place := func(c *compiled) (diagnostic.Diagnostic, error) {
		p, err := x.open(c.dir, c.pkg, nil)
		if err != nil {
			return diagnostic.Diagnostic{}, err
		}
		f := finding{path: valuePath{"automations", c.name}, spot: atLabel, Diagnostic: diagnostic.Diagnostic{
			Severity: diagnostic.Error, Code: "duplicate-key", Key: c.automation.Key,
			Message: fmt.Sprintf("two automations have the key %s", c.automation.Key),
			Help:    "give one of them another name"}}
		return p.index.place(f, token.NoPos), nil
	}
	d, err := place(second)
	if err != nil {
		return d, err
	}
	other, err := place(first)
	d.Related = []diagnostic.Related{{Message: "the other one", File: other.File, Range: other.Range}}
	return d, err
}
