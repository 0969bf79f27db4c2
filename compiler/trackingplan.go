package compiler

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/diagnostic"
)

// The tracking plan is the one field of segue.cue that is not a value but says
// what values may be. It is evaluated with the file, for it may refer to what
// else is there, but under the name of a definition: CUE then closes its structs
// and does not ask for values in it.
const (
	planField      = "trackingPlan"
	planDefinition = "#trackingPlan"
)

// A trackingPlan says which events a project may send, with which properties.
// What is usual in a plan is read into Go once and is free to use; the rest is
// asked of CUE, under mu.
type trackingPlan struct {
	// events holds what is planned of the properties by event, nil for anything.
	events map[string]*planned
	// anyEvent says that the plan names no events, so that all are in it.
	anyEvent bool
	// traits holds what is planned of the traits by call.
	traits map[string]*planned

	// A cue.Context is not for concurrent use, and the packages are checked
	// concurrently. fits remembers its answers, so that most checks do not even
	// take the time of one evaluation.
	mu      sync.Mutex
	context *cue.Context
	fits    map[planQuestion]bool
}

// A planQuestion is whether a value, as CUE text, fits what is planned.
type planQuestion struct {
	planned *planned
	value   string
}

// planned is what a tracking plan says of one value.
type planned struct {
	value cue.Value
	// kinds are the JSON types that are allowed.
	kinds cue.Kind
	// texts are the only texts allowed, if any are named.
	texts []string
	// exact says that this is all there is to say: CUE need not be asked.
	exact bool
	// inParent says that CUE can be asked only about the struct around it: the
	// plan refers to itself here.
	inParent bool

	required bool // of a field
	fields   map[string]*planned
	open     bool
	elem     *planned // of a list, if all are alike

	doc   string
	place diagnostic.Related
}

// hidePlan names the tracking plan, and the descriptions of platforms, in a
// project file's syntax as definitions, and undo names them as before. Where near is set, a misspelt name is hidden as
// well: what it holds is no mistake of its own. names are those that were found.
func hidePlan(f *ast.File, near bool) (names []string, undo func()) {
	undo = func() {}
	for _, d := range f.Decls {
		field, ok := d.(*ast.Field)
		if !ok {
			continue
		}
		label, ok := fieldLabel(field)
		definition := hiddenAs(label, near)
		if !ok || definition == "" {
			continue
		}
		names = append(names, label)
		before, rest := field.Label, undo
		undo = func() { field.Label = before; rest() }
		hidden := ast.NewIdent(definition)
		ast.SetPos(hidden, before.Pos())
		field.Label = hidden
	}
	return names, undo
}

// parseProject parses a file for the loader, and hides what is no value in the
// project file.
func parseProject(l *loader, name string, src any, cfg parser.Config) (*ast.File, error) {
	f, err := l.parse(name, src, cfg)
	if f != nil && filepath.Base(name) == projectFile {
		hidePlan(f, false)
	}
	return f, err
}

// evaluateHidingPlan evaluates the project file as far as that goes. names are
// the fields that were taken for the tracking plan.
func evaluateHidingPlan(p *explained) (v cue.Value, names []string) {
	for _, s := range p.index.sources {
		hidden, undo := hidePlan(s.syntax, true)
		defer undo()
		names = append(names, hidden...)
	}
	return p.evaluate(), names
}

// planReader reads the tracking plan of a project file.
type planReader struct {
	*explained
	plan *trackingPlan
	// left bounds how many values are read into Go: plans may refer to
	// themselves.
	left int
}

// Beyond these, CUE is asked about a value as a whole.
const (
	maxPlanned      = 20_000
	maxPlannedDepth = 12
)

// trackingPlan reads the tracking plan from the project file's value. It is nil
// if there is none; what is wrong with it becomes findings.
func readTrackingPlan(p *explained, file cue.Value) *trackingPlan {
	v := file.LookupPath(cue.MakePath(cue.Def(planDefinition)))
	if !v.Exists() {
		return nil
	}
	before := len(p.found)
	r := &planReader{explained: p, plan: &trackingPlan{
		events: map[string]*planned{}, traits: map[string]*planned{},
		context: cuecontext.New(), fits: map[planQuestion]bool{}}, left: maxPlanned}
	at := valuePath{planField}
	c := &checker{}
	c.value(r.outline(v, at), shapeOf("project.#TrackingPlan"), at)
	for _, f := range c.found {
		p.add(f, token.NoPos)
	}
	if p.found[before:].HasErrors() {
		return nil
	}
	lookup := func(v cue.Value, names ...string) cue.Value {
		for _, n := range names {
			v = v.LookupPath(valueSelector(n))
		}
		return v
	}
	fromFile := &schemaPlan{events: map[string]cue.Value{}, traits: map[string]cue.Value{}}
	events := lookup(v, "events")
	r.plan.anyEvent = !events.Exists()
	if name, err := lookup(v, "jsonSchema").String(); err == nil {
		fromFile = r.jsonSchema(name)
		r.plan.anyEvent = r.plan.anyEvent && len(fromFile.events) == 0
	}
	r.fromFile(fromFile)
	if fields, err := events.Fields(); err == nil {
		for fields.Next() {
			event := labelOf(fields)
			properties := lookup(fields.Value(), "properties")
			if old, ok := fromFile.events[event]; ok && properties.Exists() {
				properties = properties.Unify(old)
			}
			if old := r.plan.events[event]; old == nil || properties.Exists() {
				r.plan.events[event] = r.read(properties, at.with("events", event, "properties"), 0)
			}
		}
	}
	for _, call := range []string{"identify", "group"} {
		if traits := lookup(v, call, "traits"); traits.Exists() {
			if old, ok := fromFile.traits[call]; ok {
				traits = traits.Unify(old)
			}
			r.plan.traits[call] = r.read(traits, at.with(call, "traits"), 0)
		}
	}
	if p.found[before:].HasErrors() {
		return nil
	}
	return r.plan
}

// outline is the plan as decoded JSON, without what is planned of properties and
// traits, which are no values.
func (r *planReader) outline(v cue.Value, at valuePath) any {
	kind := v.IncompleteKind()
	depth, section := len(at)-1, any(planField)
	if depth > 0 {
		section = at[1]
	}
	// constraints says that what is below here, if anything, is no value.
	constraints := depth == 3 || depth == 2 && section != "events"
	switch {
	case constraints && kind == cue.StructKind, constraints && kind == cue.BottomKind && v.Validate() == nil:
		return broken{}
	case depth == 1 && kind == cue.StructKind && section != "events" && section != "identify" && section != "group":
		return broken{} // a misspelt name
	case depth == 3 && at[3] == "description" && kind == cue.StringKind:
		return "" // for people, who may write what they want
	case kind == cue.StructKind:
		fields, err := v.Fields()
		if err != nil {
			break
		}
		m := map[string]any{}
		for fields.Next() {
			name := labelOf(fields)
			m[name] = r.outline(fields.Value(), at.with(name))
		}
		return m
	}
	return r.raw(v, at)
}

// read reads what is planned of a value. A value that does not exist stands for
// anything, which is nil.
func (r *planReader) read(v cue.Value, at valuePath, depth int) *planned {
	if !v.Exists() {
		return nil
	}
	p := &planned{value: v, kinds: v.IncompleteKind(), place: r.placeOf(v), doc: docOf(v)}
	if p.kinds == cue.BottomKind {
		if err := v.Validate(); isCycle(err) {
			return &planned{kinds: cue.TopKind, exact: true, inParent: true}
		} else if err != nil {
			r.cueErrors(err, at)
			return nil
		}
		p.kinds = cue.TopKind // a constraint on what is not there yet
	}
	if r.left--; r.left < 0 || depth > maxPlannedDepth {
		return p
	}
	op, args := v.Eval().Expr()
	switch {
	case p.kinds&cue.StructKind != 0 && r.fields(p, at, depth):
		p.exact = p.exact && op == cue.NoOp && p.kinds == cue.StructKind
	case p.kinds == cue.ListKind:
		r.elements(p, at, depth, op)
	case op == cue.NoOp:
		p.exact = !v.IsConcrete() && p.kinds&(cue.StructKind|cue.ListKind) == 0 || p.kinds == cue.TopKind ||
			v.IsConcrete() && p.kinds&(cue.StringKind|cue.NullKind) != 0
		if s, err := v.String(); err == nil {
			p.texts = []string{s}
		}
	case op == cue.OrOp:
		p.alternatives(args)
	}
	return p
}

// isCycle reports whether a value is a definition within itself, which CUE does
// not follow.
func isCycle(err error) bool { return err != nil && strings.Contains(err.Error(), "structural cycle") }

// alternatives reads a disjunction of types and texts.
func (p *planned) alternatives(args []cue.Value) {
	p.exact = true
	free := false // some alternative is any text
	for _, a := range args {
		a = a.Eval()
		op, _ := a.Expr()
		s, err := a.String()
		switch {
		case err == nil:
			p.texts = append(p.texts, s)
		case op != cue.NoOp || a.IsConcrete() && a.Kind() != cue.NullKind || a.IncompleteKind()&(cue.StructKind|cue.ListKind) != 0:
			p.exact = false
			free = free || a.IncompleteKind()&cue.StringKind != 0
		default:
			free = free || a.IncompleteKind()&cue.StringKind != 0
		}
	}
	if free {
		p.texts = nil
	}
}

// fields reads a struct. It reports whether it is one, with fields to speak of;
// exact is then about the struct itself, not about the fields.
func (r *planReader) fields(p *planned, at valuePath, depth int) bool {
	fields, err := p.value.Fields(cue.Optional(true), cue.Patterns(true))
	if err != nil {
		return false
	}
	named, exact := map[string]*planned{}, true
	for fields.Next() {
		s := fields.Selector()
		if s.ConstraintType() == cue.PatternConstraint || !s.IsString() {
			exact = false
			continue
		}
		name := s.Unquoted()
		if field := r.read(fields.Value(), at.with(name), depth+1); field != nil {
			field.required = s.ConstraintType() != cue.OptionalConstraint
			named[name] = field
			exact = exact && !field.inParent
		}
	}
	if p.kinds != cue.StructKind && len(named) == 0 {
		return false
	}
	p.fields, p.exact, p.open = named, exact, p.value.Allows(cue.AnyString)
	return true
}

// elements reads a list whose elements are all alike. Another one is left to CUE.
func (r *planReader) elements(p *planned, at valuePath, depth int, op cue.Op) {
	elem := p.value.LookupPath(cue.MakePath(cue.AnyIndex))
	if !elem.Exists() || p.value.LookupPath(cue.MakePath(cue.Index(0))).Exists() {
		return
	}
	p.elem = r.read(elem, at, depth+1)
	p.exact = op == cue.NoOp
}

// docOf returns the start of a value's comment.
func docOf(v cue.Value) string {
	for _, g := range v.Doc() {
		return strings.Join(strings.Fields(g.Text()), " ")
	}
	return ""
}

// placeOf says where in the project's files something is planned.
func (r *planReader) placeOf(v cue.Value) diagnostic.Related {
	pos := v.Pos()
	if !pos.IsValid() || r.loader.isSchema(pos.Filename()) {
		return diagnostic.Related{}
	}
	out := diagnostic.Related{Message: "the tracking plan", File: r.loader.relative(pos.Filename()), Range: rangeOf(pos, pos)}
	if s := r.index.sourceOf(pos); s != nil {
		if e := exprAt(s.syntax, pos); e != nil {
			out.Range = rangeOf(e.Pos(), e.End())
		}
	}
	return out
}

// closest returns the planned field or event that was probably meant.
func closest(name string, among map[string]*planned, taken map[string]any) string {
	names := slices.DeleteFunc(sorted(among), func(n string) bool { _, ok := taken[n]; return ok })
	return Nearest(name, names)
}
