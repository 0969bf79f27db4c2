package project

import (
	"fmt"
	"path/filepath"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/explain"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

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
		label, ok := source.FieldLabel(field)
		definition := explain.HiddenAs(label, near)
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
func parseProject(l *workspace.Loader, name string, src any, cfg parser.Config) (*ast.File, error) {
	f, err := l.Parse(name, src, cfg)
	if f != nil && filepath.Base(name) == config.ProjectFile {
		hidePlan(f, false)
	}
	return f, err
}

// evaluateHidingPlan evaluates the project file as far as that goes. names are
// the fields that were taken for the tracking plan.
func evaluateHidingPlan(opened *resolve.Opened) (p *explain.Evaluated, names []string) {
	for _, s := range opened.Index.Sources {
		hidden, undo := hidePlan(s.Syntax, true)
		defer undo()
		names = append(names, hidden...)
	}
	return explain.Evaluate(opened.Resolve()), names
}

// A planReader reads the tracking plan of a project file.
type planReader struct {
	of    *explain.Evaluated
	plan  *config.TrackingPlan
	judge *judge
	// left bounds how many values are read into Go: plans may refer to
	// themselves.
	left int
	// found are the findings of this reader.
	found diagnostic.List
}

// Beyond these, CUE is asked about a value as a whole.
const (
	maxPlanned      = 20_000
	maxPlannedDepth = 12
)

// readTrackingPlan reads the tracking plan from the project file's value. It is nil
// if there is none; what is wrong with it becomes findings.
func readTrackingPlan(p *explain.Evaluated) (*config.TrackingPlan, diagnostic.List) {
	v := p.Value.LookupPath(cue.MakePath(cue.Def(explain.PlanDefinition)))
	if !v.Exists() {
		return nil, nil
	}
	r := &planReader{of: p, plan: &config.TrackingPlan{
		Events: map[string]*config.PlanValue{}, Traits: map[string]*config.PlanValue{}}, judge: newJudge(),
		left: maxPlanned}
	r.plan.Judge = r.judge
	at := finding.Path{explain.PlanField}
	outline, found := planOutline(p.Convert(false), v, at)
	checked := check.Rules{}.Value(outline, shape.Of("project.#TrackingPlan"), at)
	r.found = append(found, p.Index.PlaceAll(checked, "", token.NoPos)...)
	if r.found.HasErrors() {
		return nil, r.found
	}
	lookup := func(v cue.Value, names ...string) cue.Value {
		for _, n := range names {
			v = v.LookupPath(finding.FieldPath(n))
		}
		return v
	}
	events := lookup(v, "events")
	r.plan.AnyEvent = !events.Exists()
	if given := lookup(v, "jsonSchema"); given.Exists() {
		r.readFiles(stringsOf(given))
	}
	if fields, err := events.Fields(); err == nil {
		for fields.Next() {
			event := source.LabelOf(fields)
			properties := lookup(fields.Value(), "properties")
			r.plan.Events[event] = r.read(properties, at.With("events", event, "properties"), 0)
		}
	}
	for _, call := range []string{"identify", "group"} {
		if traits := lookup(v, call, "traits"); traits.Exists() {
			r.plan.Traits[call] = r.read(traits, at.With(call, "traits"), 0)
		}
	}
	if r.found.HasErrors() {
		return nil, r.found
	}
	return r.plan, r.found
}

// stringsOf are a string, or those of a list. What else there may be has a finding.
func stringsOf(v cue.Value) []string {
	if s, err := v.String(); err == nil {
		return []string{s}
	}
	var out []string
	list, err := v.List()
	for err == nil && list.Next() {
		if s, err := list.Value().String(); err == nil {
			out = append(out, s)
		}
	}
	return out
}

// planOutline is the plan as decoded JSON, without what is planned of properties and
// traits, which are not values.
func planOutline(c *explain.Conversion, v cue.Value, at finding.Path) (any, diagnostic.List) {
	kind := v.IncompleteKind()
	depth, section := len(at)-1, any(explain.PlanField)
	if depth > 0 {
		section = at[1]
	}
	// constraints says that what is below here, if anything, is not a value.
	constraints := depth == 3 || depth == 2 && section != "events"
	switch {
	case constraints && kind == cue.StructKind, constraints && kind == cue.BottomKind && v.Validate() == nil:
		return shape.Broken{}, nil
	case depth == 1 && kind == cue.StructKind && section != "events" && section != "identify" && section != "group":
		return shape.Broken{}, nil // a misspelt name
	case depth == 3 && at[3] == "description" && kind == cue.StringKind:
		return "", nil // for people, who may write what they want
	case kind == cue.StructKind:
		fields, err := v.Fields()
		if err != nil {
			break
		}
		m := map[string]any{}
		var found diagnostic.List
		for fields.Next() {
			name := source.LabelOf(fields)
			value, more := planOutline(c, fields.Value(), at.With(name))
			m[name], found = value, append(found, more...)
		}
		return m, found
	}
	return c.Value(v, at)
}

// read reads what is planned of a value. A value that does not exist stands for
// anything, which is nil.
func (r *planReader) read(v cue.Value, at finding.Path, depth int) *config.PlanValue {
	if !v.Exists() {
		return nil
	}
	kinds := v.IncompleteKind()
	if kinds == cue.BottomKind {
		if err := v.Validate(); isCycle(err) {
			return &config.PlanValue{Kinds: config.AnyKind, Exact: true, InParent: true}
		} else if err != nil {
			r.found = append(r.found, r.of.ErrorsAt(err, at)...)
			return nil
		}
		kinds = cue.TopKind // a constraint on what is not there yet
	}
	p := &config.PlanValue{Kinds: kindsOf(kinds), Place: r.plannedAt(v), Doc: docOf(v)}
	r.judge.values[p] = v
	if r.left--; r.left < 0 || depth > maxPlannedDepth {
		p.Constraint = constraintText(v, kinds)
		return p
	}
	op, args := v.Eval().Expr()
	switch {
	case kinds&cue.StructKind != 0 && r.fields(p, v, at, depth):
		p.Exact = p.Exact && op == cue.NoOp && kinds == cue.StructKind
	case kinds == cue.ListKind:
		r.elements(p, v, at, depth, op)
	case op == cue.NoOp:
		p.Exact = !v.IsConcrete() && kinds&(cue.StructKind|cue.ListKind) == 0 || kinds == cue.TopKind ||
			v.IsConcrete() && kinds&(cue.StringKind|cue.NullKind) != 0
		if s, err := v.String(); err == nil {
			p.Texts = []string{s}
		}
	case op == cue.OrOp:
		readAlternatives(p, args)
	}
	if !p.Exact {
		p.Constraint = constraintText(v, kinds)
	}
	return p
}

// kindsOf are the JSON types of what CUE may take.
func kindsOf(k cue.Kind) config.Kinds {
	var out config.Kinds
	for kind, json := range map[cue.Kind]config.Kinds{
		cue.StringKind: config.StringKind, cue.IntKind: config.IntegerKind, cue.FloatKind: config.FractionKind,
		cue.BoolKind:   config.BooleanKind,
		cue.StructKind: config.ObjectKind, cue.ListKind: config.ListKind, cue.NullKind: config.NullKind,
	} {
		if k&kind != 0 {
			out |= json
		}
	}
	return out
}

// constraintText shows a constraint on a scalar, "" for one that is too long to be of
// use.
func constraintText(v cue.Value, kinds cue.Kind) string {
	const most = 80
	if kinds&(cue.StructKind|cue.ListKind) != 0 {
		return ""
	}
	text := uintPattern().ReplaceAllString(strings.Join(strings.Fields(fmt.Sprint(v)), " "), ">=0")
	if len(text) > most {
		return ""
	}
	return text
}

// uintPattern is how CUE prints a whole number that is not negative.
var uintPattern = finding.Pattern(`\buint\b`)

// readAlternatives reads a disjunction of types and texts.
func readAlternatives(p *config.PlanValue, args []cue.Value) {
	p.Exact = true
	free := false // some alternative is any text
	for _, a := range args {
		a = a.Eval()
		op, _ := a.Expr()
		s, err := a.String()
		switch {
		case err == nil:
			p.Texts = append(p.Texts, s)
		case op != cue.NoOp || a.IsConcrete() && a.Kind() != cue.NullKind ||
			a.IncompleteKind()&(cue.StructKind|cue.ListKind) != 0:
			p.Exact = false
			free = free || a.IncompleteKind()&cue.StringKind != 0
		default:
			free = free || a.IncompleteKind()&cue.StringKind != 0
		}
	}
	if free {
		p.Texts = nil
	}
}

// isCycle reports whether a value is a definition within itself, which CUE does
// not follow.
func isCycle(err error) bool { return err != nil && strings.Contains(err.Error(), "structural cycle") }

// fields reads a struct. It reports whether it is one, with fields to speak of;
// exact is then about the struct itself, not about the fields.
func (r *planReader) fields(p *config.PlanValue, v cue.Value, at finding.Path, depth int) bool {
	fields, err := v.Fields(cue.Optional(true), cue.Patterns(true))
	if err != nil {
		return false
	}
	named, exact := map[string]*config.PlanValue{}, true
	for fields.Next() {
		s := fields.Selector()
		if s.ConstraintType() == cue.PatternConstraint || !s.IsString() {
			exact = false
			continue
		}
		name := s.Unquoted()
		if field := r.read(fields.Value(), at.With(name), depth+1); field != nil {
			field.Required = s.ConstraintType() != cue.OptionalConstraint
			named[name] = field
			exact = exact && !field.InParent
		}
	}
	if v.IncompleteKind() != cue.StructKind && len(named) == 0 {
		return false
	}
	p.Fields, p.Exact, p.Open = named, exact, v.Allows(cue.AnyString)
	return true
}

// elements reads a list whose elements are all alike. Another one is left to CUE.
func (r *planReader) elements(p *config.PlanValue, v cue.Value, at finding.Path, depth int, op cue.Op) {
	elem := v.LookupPath(cue.MakePath(cue.AnyIndex))
	if !elem.Exists() || v.LookupPath(cue.MakePath(cue.Index(0))).Exists() {
		return
	}
	p.Elem = r.read(elem, at, depth+1)
	p.Exact = op == cue.NoOp
}

// docOf returns the start of a value's comment.
func docOf(v cue.Value) string {
	for _, g := range v.Doc() {
		return strings.Join(strings.Fields(g.Text()), " ")
	}
	return ""
}

// plannedAt says where in the project's files something is planned.
func (r *planReader) plannedAt(v cue.Value) diagnostic.Related {
	pos := v.Pos()
	if !pos.IsValid() || r.of.Loader.IsSchema(pos.Filename()) {
		return diagnostic.Related{}
	}
	out := diagnostic.Related{Message: "the tracking plan", File: r.of.Loader.Relative(pos.Filename()),
		Range: source.RangeOf(pos, pos)}
	if s := r.of.Index.SourceOf(pos); s != nil {
		if e := source.ExprAt(s.Syntax, pos); e != nil {
			out.Range = source.RangeOf(e.Pos(), e.End())
		}
	}
	return out
}
