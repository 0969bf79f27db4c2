package compiler

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"cuelang.org/go/cue"
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
	target  string
	loader  *loader
}

// A compiled automation still knows where it comes from.
type compiled struct {
	automation automation.Automation
	dir, pkg   string
	name       string
}

// An evaluated package has automations, or findings, or both.
type evaluated struct {
	automations []compiled
	diagnostics diagnostic.List
}

// run evaluates the packages in the folders. The result is in the order of the
// folders, whichever is done first.
func (e *evaluation) run(ctx context.Context, dirs []string, workers int) ([]evaluated, error) {
	var chunks [][]string
	for chunk := range slices.Chunk(dirs, chunkSize) {
		chunks = append(chunks, chunk)
	}
	results := make([][]evaluated, len(chunks))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, chunk := range chunks {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			results[i], err = e.chunk(ctx, chunk)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(results...), nil
}

// chunk evaluates some packages in a context of their own.
func (e *evaluation) chunk(ctx context.Context, dirs []string) ([]evaluated, error) {
	var out []evaluated
	cueContext := cuecontext.New()
	for _, inst := range e.loader.packages(dirs, nil) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if inst.PkgName == "_" && inst.Err != nil {
			broken, err := e.unparsable(e.loader.relative(inst.Dir), inst.Err)
			if err != nil {
				return nil, err
			}
			out = append(out, broken...)
			continue
		}
		if inst.PkgName == "_" {
			out = append(out, evaluated{diagnostics: e.unnamed(inst)})
			continue
		}
		p, err := e.pkg(cueContext, inst)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// unparsable explains the packages of a folder in which a file does not parse:
// the loader stops there without saying which packages there are.
func (e *evaluation) unparsable(dir string, failure error) ([]evaluated, error) {
	x, err := newExplainer(e.project.Dir, e.project.Catalog)
	if err != nil {
		return nil, err
	}
	names, err := x.packageNames(dir)
	if err != nil {
		return nil, err
	}
	var out []evaluated
	for _, name := range names {
		found, err := e.explain(dir, name, failure, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, evaluated{diagnostics: found})
	}
	return out, nil
}

// unnamed warns of files without a package clause, which CUE passes over.
func (e *evaluation) unnamed(inst *build.Instance) diagnostic.List {
	var out diagnostic.List
	for _, f := range inst.BuildFiles {
		name := e.loader.relative(f.Filename)
		if name == projectFile {
			continue
		}
		out = append(out, diagnostic.Diagnostic{Severity: diagnostic.Warning, Code: "no-package", File: name,
			Message: "the file has no package clause, so that nothing in it is used",
			Help:    "put package " + packageName(filepath.Dir(f.Filename)) + " on its first line"})
	}
	return out
}

// packageName proposes a package's name for a folder.
func packageName(dir string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return -1
	}, filepath.Base(dir))
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return "automations"
	}
	return name
}

// A candidate is one automation on its way through a package.
type candidate struct {
	name     string
	found    []finding // of the checks
	failure  error     // of CUE
	position token.Pos
}

// pkg evaluates one package. The quick way is for packages without findings;
// the others are explained.
func (e *evaluation) pkg(ctx *cue.Context, inst *build.Instance) (evaluated, error) {
	var out evaluated
	dir := e.loader.relative(inst.Dir)
	failure := error(inst.Err)
	var candidates []candidate
	clean := inst.Err == nil
	if inst.Err == nil {
		value := ctx.BuildInstance(inst)
		failure = value.Validate()
		clean = failure == nil
		inherited := e.inherited(inst)
		fields, err := value.LookupPath(valueSelector("automations")).Fields()
		if err == nil {
			for fields.Next() {
				name := fields.Selector().Unquoted()
				if inherited(name, fields.Value()) {
					continue
				}
				c := candidate{name: name, position: fields.Value().Pos()}
				a, err := e.candidate(fields.Value(), dir, name, &c)
				if err != nil {
					return out, err
				}
				if a != nil {
					out.automations = append(out.automations, compiled{*a, dir, inst.PkgName, name})
				}
				clean = clean && c.failure == nil && len(c.found) == 0
				candidates = append(candidates, c)
			}
		}
	}
	if clean {
		return out, nil
	}
	var err error
	out.diagnostics, err = e.explain(dir, inst.PkgName, failure, candidates)
	return out, err
}

// candidate checks one automation and emits it if nothing is wrong with it.
func (e *evaluation) candidate(v cue.Value, dir, name string, c *candidate) (*automation.Automation, error) {
	if c.failure = v.Validate(cue.Concrete(true)); c.failure != nil {
		return nil, nil
	}
	b, err := v.MarshalJSON()
	if err != nil {
		c.failure = err
		return nil, nil
	}
	var raw any
	if err := unmarshalNumber(b, &raw); err != nil {
		return nil, err
	}
	m := e.message(raw, dir, name)
	m.check(true)
	c.found = m.found
	for i := range c.found {
		f := &c.found[i]
		if inner := v.LookupPath(selectors(f.path[2:])); inner.Exists() {
			f.position = inner.Pos()
		}
	}
	if m.failed() {
		return nil, nil
	}
	return m.emit()
}

// inherited returns a function that says whether an automation comes from a
// file in a folder above, whose package it belongs to.
func (e *evaluation) inherited(inst *build.Instance) func(string, cue.Value) bool {
	own := false
	for _, f := range inst.BuildFiles {
		own = own || filepath.Dir(f.Filename) != inst.Dir
	}
	if !own {
		return func(string, cue.Value) bool { return false }
	}
	declared := map[string]bool{} // by the package's own files
	above := map[string]bool{}
	for _, f := range inst.Files {
		for _, s := range newIndex([]*source{{syntax: f}}).names("automations") {
			if filepath.Dir(f.Filename) == inst.Dir {
				declared[s] = true
			} else {
				above[s] = true
			}
		}
	}
	return func(name string, v cue.Value) bool {
		switch {
		case declared[name]:
			return false
		case above[name]:
			return true
		default:
			return v.Pos().IsValid() && filepath.Dir(v.Pos().Filename()) != inst.Dir
		}
	}
}

// names lists the literal field names of a top-level struct.
func (x *index) names(field string) []string {
	var out []string
	for _, s := range x.sites(valuePath{field}) {
		out = append(out, fieldNames(s.value)...)
	}
	return out
}

// explain finds places for the findings of a package, and findings for what CUE
// refused.
func (e *evaluation) explain(dir, pkg string, failure error, candidates []candidate) (diagnostic.List, error) {
	x, err := newExplainer(e.project.Dir, e.project.Catalog)
	if err != nil {
		return nil, err
	}
	p, err := x.open(dir, pkg, nil)
	if err != nil {
		return nil, err
	}
	known := map[string]candidate{}
	broken := failure != nil
	for _, c := range candidates {
		known[c.name] = c
		broken = broken || c.failure != nil
	}
	if !broken {
		// CUE is content: only the checks have something to say.
		for _, c := range candidates {
			p.addAll(c.found, e.key(dir, c.name), c.position)
		}
		return p.found, nil
	}
	value := p.evaluate()
	e.explainAutomations(p, value, known)
	if failure != nil && !p.found.HasErrors() {
		p.cueErrors(failure, nil)
	}
	if failure != nil && len(p.found) == 0 {
		return nil, fmt.Errorf("%s: CUE refuses the package, and says no more than: %w", dir, failure)
	}
	return p.found, nil
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
		return
	}
	fields, err := automations.Fields()
	if err != nil {
		p.cueErrors(automations.Err(), valuePath{"automations"})
		return
	}
	own := map[string]bool{}
	for _, s := range p.index.sources {
		if filepath.ToSlash(filepath.Dir(s.name)) == p.dir {
			for _, name := range newIndex([]*source{s}).names("automations") {
				own[name] = true
			}
		}
	}
	for fields.Next() {
		name := fields.Selector().Unquoted()
		v := fields.Value()
		if s := p.index.sourceOf(v.Pos()); !own[name] && s != nil && filepath.ToSlash(filepath.Dir(s.name)) != p.dir {
			continue // of a folder above, explained there
		}
		at := valuePath{"automations", name}
		key := e.key(p.dir, name)
		if c, ok := known[name]; ok && c.failure == nil {
			p.addAll(c.found, key, c.position)
			continue
		}
		before := len(p.found)
		m := e.message(p.raw(v, at), p.dir, name)
		m.undetermined = p.undetermined(at)
		m.check(false)
		for i := range p.found[before:] {
			p.found[before+i].Key = key
		}
		for i := range m.found {
			m.found[i].position = p.positions[m.found[i].path.String()]
		}
		p.addAll(m.found, key, v.Pos())
		if c, ok := known[name]; ok && !p.found[before:].HasErrors() {
			from := len(p.found)
			p.cueErrors(c.failure, nil)
			for i := range p.found[from:] {
				p.found[from+i].Key = key
			}
		}
	}
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

// key is the key of an automation: the package's folder and the name.
func (e *evaluation) key(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// duplicate reports that two packages claim one key.
func (e *evaluation) duplicate(second, first *compiled) (diagnostic.Diagnostic, error) {
	x, err := newExplainer(e.project.Dir, e.project.Catalog)
	if err != nil {
		return diagnostic.Diagnostic{}, err
	}
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
