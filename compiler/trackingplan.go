package compiler

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	cuejson "cuelang.org/go/encoding/json"
	"cuelang.org/go/encoding/jsonschema"

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
func (l *loader) parseProject(name string, src any, cfg parser.Config) (*ast.File, error) {
	f, err := l.parse(name, src, cfg)
	if f != nil && filepath.Base(name) == projectFile {
		hidePlan(f, false)
	}
	return f, err
}

// evaluateHidingPlan evaluates the project file as far as that goes. names are
// the fields that were taken for the tracking plan.
func (p *explained) evaluateHidingPlan() (v cue.Value, names []string) {
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
func (p *explained) trackingPlan(file cue.Value) *trackingPlan {
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

// A schemaPlan is a tracking plan in JSON Schema.
type schemaPlan struct {
	events map[string]cue.Value // of the properties
	traits map[string]cue.Value // by call
	// common are properties that all events may have.
	common cue.Value
}

// fromFile takes over what the JSON Schema has.
func (r *planReader) fromFile(s *schemaPlan) {
	at := valuePath{planField, "jsonSchema"}
	var common *planned
	if s.common.Exists() {
		common = r.read(s.common, at, 0)
	}
	for _, event := range sorted(s.events) {
		p := r.read(s.events[event], at, 0)
		if p != nil && common != nil {
			p = p.with(common)
		}
		r.plan.events[event] = p
	}
	for call, v := range s.traits {
		r.plan.traits[call] = r.read(v, at, 0)
	}
}

// with adds the fields that all events have. CUE can't be asked about the
// result as a whole, only about its fields.
func (p *planned) with(common *planned) *planned {
	both := *p
	both.exact = true
	both.open = p.open && common.open
	both.fields = map[string]*planned{}
	for _, from := range []map[string]*planned{common.fields, p.fields} {
		for name, f := range from {
			both.fields[name] = f
		}
	}
	return &both
}

// fileProblem reports that the plan's JSON file can't be used.
func (r *planReader) fileProblem(help, format string, args ...any) {
	r.add(finding{path: valuePath{planField, "jsonSchema"}, Diagnostic: diagnostic.Diagnostic{
		Severity: diagnostic.Error, Code: "broken-plan", Message: fmt.Sprintf(format, args...), Help: help}}, token.NoPos)
}

// jsonProblem reports a mistake within the plan's JSON file.
func (r *planReader) jsonProblem(name string, err error, help string) {
	first := cueerrors.Errors(err)[0]
	d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "broken-plan", File: name,
		Message: "the tracking plan can't be read: " + strings.TrimPrefix(plainMessage(first), "invalid JSON for file "), Help: help}
	for _, pos := range cueerrors.Positions(first) {
		if r.loader.relative(pos.Filename()) == name {
			d.Range = rangeOf(pos, pos)
			d.Range.End.Column++
			break
		}
	}
	r.found = append(r.found, d)
}

// jsonSchema reads a tracking plan in JSON Schema. Its layout is one of
//
//	{"rules": {"events": [{"name": ..., "rules": SCHEMA OF THE MESSAGE}],
//	           "identify": SCHEMA OF THE MESSAGE, "group": ..., "global": ...}}
//	{"rules": [{"type": "TRACK", "key": ..., "jsonSchema": SCHEMA OF THE MESSAGE}]}
//	{"Event Name": SCHEMA OF THE PROPERTIES}
//
// the first two being what Segment Protocols exports and its public API returns.
// As there, a property that a schema does not name is not in the plan, unless
// the schema has additionalProperties.
func (r *planReader) jsonSchema(name string) *schemaPlan {
	out := &schemaPlan{events: map[string]cue.Value{}, traits: map[string]cue.Value{}}
	filename := filepath.Join(r.loader.root, filepath.FromSlash(name))
	content, problem := readPlanFile(filename)
	if problem != "" {
		help := "write a path that is relative to the project's folder"
		if near := nearest(filepath.Base(name), jsonFiles(filepath.Dir(filename))); near != "" {
			help = didYouMean(filepath.ToSlash(filepath.Join(filepath.Dir(filepath.FromSlash(name)), near)))
		}
		r.fileProblem(help, "the tracking plan %q %s", name, problem)
		return out
	}
	file := r.loader.relative(filename)
	syntax, err := cuejson.Extract(filename, content)
	if err != nil {
		r.jsonProblem(file, err, "correct the JSON")
		return out
	}
	v := r.plan.context.BuildExpr(syntax)
	if data := v.LookupPath(cue.ParsePath("data.rules")); data.Exists() {
		v = v.LookupPath(cue.ParsePath("data"))
	}
	s := &schemaReader{planReader: r, file: file, out: out}
	rules := v.LookupPath(cue.ParsePath("rules"))
	switch {
	case v.IncompleteKind() != cue.StructKind:
		r.fileProblem("see docs/tracking-plans.md for its layout", "the tracking plan %q is not a JSON object", name)
	case rules.IncompleteKind() == cue.ListKind:
		s.publicAPI(rules)
	case rules.LookupPath(cue.ParsePath("events")).IncompleteKind() == cue.ListKind:
		s.protocols(rules)
	default:
		s.plain(v)
	}
	return out
}

// readPlanFile reads a file, or says what is wrong with it.
func readPlanFile(filename string) (content []byte, problem string) {
	if _, err := os.Stat(filename); err != nil {
		return nil, "does not exist"
	}
	if d, bad := unfit(filename); bad {
		return nil, "can't be read: " + d.Message
	}
	content, err := os.ReadFile(filename)
	if err != nil {
		return nil, "can't be read"
	}
	return content, ""
}

func jsonFiles(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".json" {
			out = append(out, e.Name())
		}
	}
	return out
}

// A schemaReader reads the schemas of a JSON file.
type schemaReader struct {
	*planReader
	file string
	out  *schemaPlan
}

// protocols reads what Segment Protocols exports.
func (s *schemaReader) protocols(rules cue.Value) {
	s.newest(rules.LookupPath(cue.ParsePath("events")), func(rule cue.Value) (string, cue.Value) {
		name, _ := rule.LookupPath(cue.ParsePath("name")).String()
		return name, rule.LookupPath(cue.ParsePath("rules"))
	})
	for _, call := range []string{"identify", "group"} {
		if schema := rules.LookupPath(cue.ParsePath(call)); schema.IncompleteKind() == cue.StructKind {
			s.traits(call, schema)
		}
	}
	if global := rules.LookupPath(cue.ParsePath("global")); global.IncompleteKind() == cue.StructKind {
		s.out.common = s.block(global, "properties")
	}
}

// publicAPI reads the rules as Segment's public API lists them.
func (s *schemaReader) publicAPI(rules cue.Value) {
	kindOf := func(rule cue.Value) string {
		kind, _ := rule.LookupPath(cue.ParsePath("type")).String()
		return strings.ToUpper(kind)
	}
	schemaOf := func(rule cue.Value) cue.Value { return rule.LookupPath(cue.ParsePath("jsonSchema")) }
	s.newest(rules, func(rule cue.Value) (string, cue.Value) {
		name, _ := rule.LookupPath(cue.ParsePath("key")).String()
		if kindOf(rule) != "TRACK" {
			name = ""
		}
		return name, schemaOf(rule)
	})
	list, err := rules.List()
	for err == nil && list.Next() {
		switch kindOf(list.Value()) {
		case "IDENTIFY":
			s.traits("identify", schemaOf(list.Value()))
		case "GROUP":
			s.traits("group", schemaOf(list.Value()))
		case "COMMON":
			s.out.common = s.block(schemaOf(list.Value()), "properties")
		}
	}
}

// newest reads the rules of events, each of which may be there in several
// versions: the highest one counts.
func (s *schemaReader) newest(rules cue.Value, read func(cue.Value) (name string, schema cue.Value)) {
	version := map[string]int64{}
	list, err := rules.List()
	for err == nil && list.Next() {
		name, schema := read(list.Value())
		if name == "" {
			continue
		}
		n, _ := list.Value().LookupPath(cue.ParsePath("version")).Int64()
		if newest, seen := version[name]; seen && newest > n {
			continue
		}
		version[name] = n
		s.out.events[name] = s.block(schema, "properties")
	}
}

func (s *schemaReader) traits(call string, schema cue.Value) {
	if v := s.block(schema, "traits"); v.Exists() {
		s.out.traits[call] = v
	}
}

// plain reads an object of events with schemas of their properties.
func (s *schemaReader) plain(v cue.Value) {
	fields, err := v.Fields()
	for err == nil && fields.Next() {
		name := labelOf(fields)
		if strings.HasPrefix(name, "$") {
			continue // such as $schema
		}
		s.out.events[name] = s.extract(fields.Value())
	}
}

// block reads what the schema of a message says of its properties or traits.
func (s *schemaReader) block(schema cue.Value, name string) cue.Value {
	if !schema.Exists() {
		return cue.Value{}
	}
	message := s.extract(schema)
	fields, err := message.Fields(cue.Optional(true))
	for err == nil && fields.Next() {
		if fields.Selector().IsString() && fields.Selector().Unquoted() == name && fields.Value().IncompleteKind() == cue.StructKind {
			return fields.Value()
		}
	}
	return cue.Value{}
}

// extract makes CUE of a JSON Schema.
func (s *schemaReader) extract(v cue.Value) cue.Value {
	f, err := jsonschema.Extract(v, &jsonschema.Config{
		// What Segment's schemas are, unless they say otherwise in $schema.
		DefaultVersion: jsonschema.VersionDraft7,
		// As in Segment Protocols, what is not in the plan is not planned.
		OpenOnlyWhenExplicit: true,
	})
	if err != nil {
		s.jsonProblem(s.file, err, "write a JSON Schema")
		return cue.Value{}
	}
	closed := s.plan.context.BuildFile(asDefinition(f))
	if err := closed.Validate(); err != nil {
		s.jsonProblem(s.file, cueerrors.Promote(err, ""), "write a JSON Schema")
		return cue.Value{}
	}
	return closed.LookupPath(cue.MakePath(cue.Def("#schema")))
}

// asDefinition puts a file's content into the definition #schema, which closes
// its structs.
func asDefinition(f *ast.File) *ast.File {
	out := &ast.File{Filename: f.Filename}
	body := &ast.StructLit{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.ImportDecl:
			out.Decls = append(out.Decls, d)
		case *ast.Package, *ast.Attribute:
		default:
			body.Elts = append(body.Elts, d)
		}
	}
	out.Decls = append(out.Decls, &ast.Field{Label: ast.NewIdent("#schema"), Value: body})
	return out
}

// closest returns the planned field or event that was probably meant.
func closest(name string, among map[string]*planned, taken map[string]any) string {
	names := slices.DeleteFunc(sorted(among), func(n string) bool { _, ok := taken[n]; return ok })
	return nearest(name, names)
}
