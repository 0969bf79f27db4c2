package plain

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"
	cuestrings "cuelang.org/go/pkg/strings"
	cuetime "cuelang.org/go/pkg/time"

	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/schema"
)

// A Schema has the packages of the embedded schema that automations are compared with. It is safe for
// concurrent use.
type Schema struct {
	// packages has the names of the schema's packages by import path.
	packages map[string]string

	mu sync.Mutex
	reader
}

// Embedded returns the packages that automations can refer to.
var Embedded = sync.OnceValue(func() *Schema { return newSchema("automation", "placeholder", "segment") })

// newSchema returns a schema of some packages. Their definitions are read on first use. [Schema.Decide] never
// accepts values of definitions that it can't read exactly.
func newSchema(packages ...string) *Schema {
	s := &Schema{packages: map[string]string{}, reader: reader{done: map[string]*typ{}}}
	for _, pkg := range packages {
		s.packages[schema.ModulePath+"/"+pkg] = pkg
	}
	return s
}

// definition returns the type of a definition such as "segment.#Track", nil if the schema has no such
// definition.
func (s *Schema) definition(name string) *typ {
	if d := schema.Declarations()[name]; d == nil || !strings.HasPrefix(d.Name, "#") {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reader.definition(name)
}

// text returns the value of a string field, such as "placeholder.userId".
func (s *Schema) text(name string) (string, bool) {
	lit, ok := source.Declared(name).(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	return unquote(lit.Value)
}

// isAutomation reports whether a node is unified with the definition of a call.
func (s *Schema) isAutomation(n *node) bool {
	for _, name := range schema.Calls {
		if t := s.definition("automation." + name); t != nil && slices.Contains(n.types, t) {
			return true
		}
	}
	return false
}

// A typKind is a form of constraint.
type typKind uint8

const (
	never     typKind = iota // not read exactly: nothing is accepted
	top                      // _
	basic                    // string, int, number, bool, null
	constant                 // a literal
	predicate                // of a string
	bounds                   // of an int
	all                      // a & b
	either                   // a | b
	listOf                   // [...a], [b, ...a]
	structOf                 // {...}
	count                    // matchN(1, [{a!: _, ...}, {b!: _, ...}])
)

// A typ is a value of the schema, in a form that data can be compared with. It accepts only values that CUE
// accepts.
type typ struct {
	kind typKind

	kinds  []nodeKind        // of basic
	ints   bool              // of basic: of the numbers, ints only
	value  *node             // of constant: a string, a boolean or an int
	holds  func(string) bool // of predicate
	parts  []*typ            // of all and either
	from   int64             // of bounds: the least, and the most
	to     int64
	preset *node // of either: the default, nil if there is none
	elem   *typ  // of listOf
	first  *typ  // of listOf: the required first element; nil if there is none

	// fields, rest and open are of structOf. rest constrains every field, nil if there is no pattern; open
	// allows fields that are not among fields.
	fields map[string]*fieldTyp
	rest   *typ
	open   bool
	// required and filled have the labels of such fields.
	required, filled []string
	// unclosed means that other parts of a conjunction decide which fields are allowed.
	unclosed bool

	// counted, least and most are of count.
	counted     []string
	least, most int
}

// A fieldTyp is a field of a struct.
type fieldTyp struct {
	typ *typ
	// required means that the field must be present, possibly filled in.
	required bool
	// fill is the value of the field if the author sets none, nil for no value.
	fill *node
}

// A reader makes types from the schema's syntax.
type reader struct{ done map[string]*typ }

// definition returns the type of a definition. Because definitions may refer to each other in a cycle, the type
// is registered before it is complete.
func (r *reader) definition(name string) *typ {
	if t, ok := r.done[name]; ok {
		return t
	}
	t := &typ{}
	r.done[name] = t
	expr := source.Declared(name)
	if expr == nil {
		return t
	}
	pkg, _, _ := strings.Cut(name, ".")
	*t = *r.expr(pkg, expr)
	return t
}

func (r *reader) expr(pkg string, e ast.Expr) *typ {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return r.expr(pkg, e.X)
	case *ast.Ident:
		return r.ident(pkg, e)
	case *ast.SelectorExpr:
		return r.selector(e)
	case *ast.BasicLit:
		return literalTyp(e)
	case *ast.UnaryExpr:
		return bound(e)
	case *ast.BinaryExpr:
		switch e.Op {
		case token.AND:
			return r.conjunction(pkg, e)
		case token.OR:
			return r.disjunction(pkg, e)
		}
	case *ast.StructLit:
		return r.structure(pkg, e)
	case *ast.ListLit:
		if n := len(e.Elts); n == 1 || n == 2 {
			if dots, ok := e.Elts[n-1].(*ast.Ellipsis); ok && dots.Type != nil {
				t := &typ{kind: listOf, elem: r.expr(pkg, dots.Type)}
				if n == 2 {
					t.first = r.expr(pkg, e.Elts[0])
				}
				return t
			}
		}
	case *ast.CallExpr:
		return r.call(e)
	}
	return &typ{}
}

func (r *reader) ident(pkg string, e *ast.Ident) *typ {
	if strings.HasPrefix(e.Name, "#") {
		return r.definition(pkg + "." + e.Name)
	}
	if e.Node != nil {
		return &typ{} // it is not predeclared
	}
	switch e.Name {
	case "string":
		return &typ{kind: basic, kinds: []nodeKind{stringKind}}
	case "number":
		return &typ{kind: basic, kinds: []nodeKind{numberKind}}
	case "int":
		return &typ{kind: basic, kinds: []nodeKind{numberKind}, ints: true}
	case "bool":
		return &typ{kind: basic, kinds: []nodeKind{boolKind}}
	case "_":
		return &typ{kind: top}
	}
	return &typ{}
}

// importOf returns the path of the package that an identifier refers to.
func importOf(e ast.Expr) string {
	id, ok := e.(*ast.Ident)
	if !ok {
		return ""
	}
	spec, ok := id.Node.(*ast.ImportSpec)
	if !ok || spec.Name != nil {
		return ""
	}
	p, _ := literal.Unquote(spec.Path.Value)
	return p
}

func (r *reader) selector(e *ast.SelectorExpr) *typ {
	sel, ok := e.Sel.(*ast.Ident)
	if !ok {
		return &typ{}
	}
	from := importOf(e.X)
	if from == "time" && sel.Name == "Time" {
		return &typ{kind: predicate, holds: func(s string) bool { ok, err := cuetime.Time(s); return ok && err == nil }}
	}
	if pkg, ok := strings.CutPrefix(from, schema.ModulePath+"/"); ok && strings.HasPrefix(sel.Name, "#") {
		return r.definition(pkg + "." + sel.Name)
	}
	return &typ{}
}

func literalTyp(e *ast.BasicLit) *typ {
	n := &node{}
	if n.scalar(e, false) != nil {
		return &typ{}
	}
	switch n.kind {
	case stringKind, boolKind:
		return &typ{kind: constant, value: n}
	case nullKind:
		return &typ{kind: basic, kinds: []nodeKind{nullKind}}
	case numberKind:
		if simpleInt(e.Value) {
			return &typ{kind: constant, value: n} // it equals only its own node: see same
		}
	}
	return &typ{}
}

// bound reads !="" and =~"...", and >=1, >0 and <=64, which are used with ints.
func bound(e *ast.UnaryExpr) *typ {
	lit, ok := e.X.(*ast.BasicLit)
	if ok && lit.Kind == token.INT && simpleInt(lit.Value) {
		n, err := strconv.ParseInt(lit.Value, 10, 64)
		if err != nil {
			return &typ{}
		}
		switch e.Op {
		case token.GEQ:
			return &typ{kind: bounds, from: n, to: math.MaxInt64}
		case token.GTR:
			return &typ{kind: bounds, from: n + 1, to: math.MaxInt64}
		case token.LEQ:
			return &typ{kind: bounds, from: math.MinInt64, to: n}
		}
		return &typ{}
	}
	if !ok || lit.Kind != token.STRING {
		return &typ{}
	}
	text, ok := unquote(lit.Value)
	if !ok {
		return &typ{}
	}
	switch e.Op {
	case token.NEQ:
		return &typ{kind: predicate, holds: func(s string) bool { return s != text }}
	case token.MAT:
		if pattern, err := regexp.Compile(text); err == nil {
			return &typ{kind: predicate, holds: pattern.MatchString}
		}
	}
	return &typ{}
}

// conjunction reads a & b. A struct literal next to a reference adds constraints to fields. The reference
// decides which fields are allowed, so it must be closed.
func (r *reader) conjunction(pkg string, e *ast.BinaryExpr) *typ {
	t := &typ{kind: all}
	var collect func(e ast.Expr)
	collect = func(e ast.Expr) {
		if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.AND {
			collect(b.X)
			collect(b.Y)
			return
		}
		part := r.expr(pkg, e)
		if part.kind == structOf {
			if _, literal := e.(*ast.StructLit); literal {
				part.unclosed = true
			}
		}
		t.parts = append(t.parts, part)
	}
	collect(e)
	for _, part := range t.parts {
		if part.kind == structOf && part.unclosed && !part.open && !t.closed() {
			return &typ{}
		}
	}
	return t
}

// closed reports whether a type itself decides which fields a struct may have.
func (t *typ) closed() bool {
	switch t.kind {
	case structOf:
		return !t.open && !t.unclosed && t.rest == nil
	case all:
		return slices.ContainsFunc(t.parts, (*typ).closed)
	}
	return false
}

func (r *reader) disjunction(pkg string, e *ast.BinaryExpr) *typ {
	if source.IsAdvice(e) {
		return &typ{kind: top}
	}
	t := &typ{kind: either}
	sure := true
	var collect func(e ast.Expr)
	collect = func(e ast.Expr) {
		if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.OR {
			collect(b.X)
			collect(b.Y)
			return
		}
		if u, ok := e.(*ast.UnaryExpr); ok && u.Op == token.MUL {
			part := r.expr(pkg, u.X)
			sure = sure && part.kind == constant && t.preset == nil
			t.preset, t.parts = part.value, append(t.parts, part)
			return
		}
		t.parts = append(t.parts, r.expr(pkg, e))
	}
	collect(e)
	if !sure {
		return &typ{}
	}
	return t
}

func (r *reader) structure(pkg string, lit *ast.StructLit) *typ {
	t := &typ{kind: structOf, fields: map[string]*fieldTyp{}}
	for _, d := range lit.Elts {
		switch d := d.(type) {
		case *ast.CommentGroup:
		case *ast.Ellipsis:
			if d.Type != nil {
				return &typ{}
			}
			t.open = true
		case *ast.EmbedDecl:
			part := r.expr(pkg, d.Expr)
			if part.kind != structOf || part.rest != nil {
				return &typ{}
			}
			for label, f := range part.fields {
				t.add(label, f)
			}
			t.open = t.open || part.open
		case *ast.Field:
			if d.Alias != nil || d.Value == nil {
				return &typ{}
			}
			if pattern, ok := d.Label.(*ast.ListLit); ok {
				if !isString(pattern) || t.rest != nil {
					return &typ{}
				}
				t.rest = r.expr(pkg, d.Value)
				continue
			}
			label, ok := schemaLabel(d)
			if !ok {
				return &typ{}
			}
			t.add(label, r.field(pkg, d))
		default:
			return &typ{}
		}
	}
	for label, f := range t.fields {
		if f.required {
			t.required = append(t.required, label)
		}
		if f.fill != nil {
			t.filled = append(t.filled, label)
		}
	}
	return t
}

// isString reports whether a pattern is [string].
func isString(pattern *ast.ListLit) bool {
	if len(pattern.Elts) != 1 {
		return false
	}
	id, ok := pattern.Elts[0].(*ast.Ident)
	return ok && id.Name == "string" && id.Node == nil
}

// schemaLabel returns the name of a field of the schema.
func schemaLabel(f *ast.Field) (string, bool) {
	switch l := f.Label.(type) {
	case *ast.Ident:
		return l.Name, plainIdent(l.Name)
	case *ast.BasicLit:
		if l.Kind == token.STRING {
			return unquote(l.Value)
		}
	}
	return "", false
}

func (r *reader) field(pkg string, d *ast.Field) *fieldTyp {
	f := &fieldTyp{typ: r.expr(pkg, d.Value), required: d.Constraint != token.OPTION}
	if d.Constraint == token.ILLEGAL {
		switch f.typ.kind {
		case constant:
			f.fill = f.typ.value
		case either:
			f.fill = f.typ.preset
		case structOf:
			if len(f.typ.fields) == 0 {
				f.fill = &node{kind: structKind}
			}
		}
	}
	return f
}

// add adds a field, which may already exist.
func (t *typ) add(label string, f *fieldTyp) {
	old, ok := t.fields[label]
	if !ok {
		t.fields[label] = f
		return
	}
	both := &fieldTyp{typ: &typ{kind: all, parts: []*typ{old.typ, f.typ}},
		required: old.required || f.required, fill: old.fill}
	if both.fill == nil {
		both.fill = f.fill
	} else if f.fill != nil && !both.fill.same(f.fill) {
		both.typ = &typ{}
	}
	t.fields[label] = both
}

// call reads strings.MaxRunes(n), time.Format(layout) and matchN(n, [...]).
func (r *reader) call(e *ast.CallExpr) *typ {
	switch f := e.Fun.(type) {
	case *ast.SelectorExpr:
		name, _, _ := ast.LabelName(f.Sel)
		if len(e.Args) != 1 {
			return &typ{}
		}
		lit, ok := e.Args[0].(*ast.BasicLit)
		if !ok {
			return &typ{}
		}
		switch from := importOf(f.X); {
		case from == "strings" && name == "MaxRunes" && lit.Kind == token.INT:
			if n, err := strconv.Atoi(lit.Value); err == nil {
				return &typ{kind: predicate, holds: func(s string) bool { return cuestrings.MaxRunes(s, n) }}
			}
		case from == "time" && name == "Format" && lit.Kind == token.STRING:
			if layout, ok := unquote(lit.Value); ok {
				return &typ{kind: predicate, holds: func(s string) bool {
					ok, err := cuetime.Format(s, layout)
					return ok && err == nil
				}}
			}
		}
	case *ast.Ident:
		if f.Name == "matchN" && f.Node == nil && len(e.Args) == 2 {
			return counting(e.Args[0], e.Args[1])
		}
	}
	return &typ{}
}

// counting reads matchN(n, ...) and matchN(>=n, ...) of structs that need one field.
func counting(number, of ast.Expr) *typ {
	t := &typ{kind: count}
	list, ok := of.(*ast.ListLit)
	if !ok {
		return &typ{}
	}
	for _, e := range list.Elts {
		st, ok := e.(*ast.StructLit)
		if !ok || len(st.Elts) != 2 {
			return &typ{}
		}
		f, ok1 := st.Elts[0].(*ast.Field)
		dots, ok2 := st.Elts[1].(*ast.Ellipsis)
		if !ok1 || !ok2 || dots.Type != nil || f.Constraint != token.NOT {
			return &typ{}
		}
		label, ok1 := schemaLabel(f)
		value, ok2 := f.Value.(*ast.Ident)
		if !ok1 || !ok2 || value.Name != "_" || value.Node != nil {
			return &typ{}
		}
		t.counted = append(t.counted, label)
	}
	t.most = len(t.counted)
	exactly := true
	if u, ok := number.(*ast.UnaryExpr); ok && u.Op == token.GEQ {
		exactly, number = false, u.X
	}
	lit, ok := number.(*ast.BasicLit)
	if !ok || lit.Kind != token.INT {
		return &typ{}
	}
	n, err := strconv.Atoi(lit.Value)
	if err != nil {
		return &typ{}
	}
	if t.least = n; exactly {
		t.most = n
	}
	return t
}
