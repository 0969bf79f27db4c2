package shape

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/schema"
)

// A Kind is the JSON type that a shape asks for, or a special text.
type Kind int

const (
	Any Kind = iota
	Text
	Number
	Integer
	Boolean
	Time // an RFC 3339 instant
	Date // an instant or a calendar date
	Null
	Struct
	List
	Union
)

// A Shape is what the schema says of a value, in the form that findings are made
// from. CUE decides whether a value is right; a shape says what is wrong with it,
// all of it, and in the words of the domain.
type Shape struct {
	Kind Kind
	// isDefault says that the shape is that of a default, one of several values.
	isDefault bool
	// Definition is where the shape was defined, such as "segment.#Context".
	Definition string

	NonEmptyText bool     // of a text
	Consts       []string // the only texts allowed, if any
	OrLone       bool     // or else one placeholder by itself
	// Advised says that the spec names the type, and that Segment takes any other, which the
	// schema writes as *T | _ or, of a scalar, as _ @spec(T).
	Advised  bool
	Pattern  *regexp.Regexp // what a text has to look like
	MaxRunes int            // of a text, 0 for no limit
	Min, Max *int64         // of an integer

	Fields map[string]*Field
	Open   bool   // of a struct: other fields are allowed
	Rest   *Shape // of a struct: what all other fields are
	Counts []Count

	Elem         *Shape // of a list
	NonEmptyList bool   // of a list
	Alts         []*Shape
}

// A Field is one field of a struct.
type Field struct {
	Shape    *Shape
	Required bool
	// Given says that the schema itself sets the field, defaulted that an author
	// can set it otherwise.
	Given, defaulted bool
	// Doc is the field's comment.
	Doc string
	// SetBySegment says that Segment overwrites whatever is sent.
	SetBySegment bool
}

// A Count says how many of some fields a struct needs.
type Count struct {
	Fields  []string
	Exactly bool // one; else at least one
}

// All are the shapes of all definitions by package and name, such as
// "segment.#Context".
var All = sync.OnceValue(func() map[string]*Shape {
	out := map[string]*Shape{}
	for name := range schema.Declarations() {
		if s := find(name); s != nil {
			out[name] = s
		}
	}
	return out
})

// Of returns the shape of a definition, such as "segment.#Identify".
func Of(definition string) *Shape {
	s := find(definition)
	if s == nil {
		panic("the schema does not define " + definition)
	}
	return s
}

// OfEvent returns the shape of a semantic event by its name, such as "Order Completed";
// nil if Segment has no such event.
func OfEvent(event string) *Shape {
	name, ok := schema.Events()[event]
	if !ok {
		return nil
	}
	return find(name)
}

// read are the shapes that were derived so far, for most runs need a few of them.
var read = struct {
	sync.Mutex
	shapeReader
}{shapeReader: shapeReader{done: map[string]*Shape{}}}

// find returns the shape of a definition, nil if the schema has none of that name.
func find(definition string) *Shape {
	d := schema.Declarations()[definition]
	if d == nil || !strings.HasPrefix(d.Name, "#") {
		return nil
	}
	read.Lock()
	defer read.Unlock()
	return read.definition(definition)
}

// shapeReader derives shapes from the schema's syntax. The schema keeps to a
// subset of CUE that this covers; a test fails when it does not.
type shapeReader struct {
	done map[string]*Shape
}

// definition returns the shape of a definition. Definitions may refer to each
// other in a circle: the shape is known before it is filled in.
func (r *shapeReader) definition(name string) *Shape {
	if s, ok := r.done[name]; ok {
		return s
	}
	s := &Shape{}
	r.done[name] = s
	expr := source.Declared(name)
	if expr == nil {
		return s
	}
	pkg, def, _ := strings.Cut(name, ".")
	switch name {
	case "segment.#Number":
		s.Kind = Number
	case "segment.#Integer":
		s.Kind = Integer
	case "segment.#Boolean":
		s.Kind = Boolean
	case "segment.#Time":
		s.Kind = Time
	case "segment.#Date":
		s.Kind = Date
	default:
		*s = *r.expr(pkg, expr)
	}
	if s.Definition == "" {
		s.Definition = pkg + "." + def
	}
	return s
}

func (r *shapeReader) expr(pkg string, e ast.Expr) *Shape {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return r.expr(pkg, e.X)
	case *ast.Ident:
		switch e.Name {
		case "string":
			return &Shape{Kind: Text}
		case "number":
			return &Shape{Kind: Number}
		case "int":
			return &Shape{Kind: Integer}
		case "bool":
			return &Shape{Kind: Boolean}
		case "_":
			return &Shape{Kind: Any, Definition: "_"}
		case "null":
			return &Shape{Kind: Null}
		}
		return r.definition(pkg + "." + e.Name)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			if label, _, err := ast.LabelName(e.Sel); err == nil {
				if x.Name == "time" {
					return &Shape{Kind: Time}
				}
				return r.definition(x.Name + "." + label)
			}
		}
	case *ast.BasicLit:
		return literalShape(e)
	case *ast.UnaryExpr:
		return r.unary(pkg, e)
	case *ast.BinaryExpr:
		a, b := r.expr(pkg, e.X), r.expr(pkg, e.Y)
		if e.Op == token.OR {
			return union(a, b)
		}
		return intersection(a, b)
	case *ast.StructLit:
		return r.structure(pkg, e)
	case *ast.ListLit:
		return r.list(pkg, e)
	case *ast.CallExpr:
		return r.call(e)
	}
	return &Shape{Kind: Any}
}

func literalShape(e *ast.BasicLit) *Shape {
	switch e.Kind {
	case token.STRING:
		if s, err := literal.Unquote(e.Value); err == nil {
			return &Shape{Kind: Text, Consts: []string{s}}
		}
	case token.TRUE, token.FALSE:
		return &Shape{Kind: Boolean}
	case token.NULL:
		return &Shape{Kind: Null}
	case token.INT:
		return &Shape{Kind: Integer}
	case token.FLOAT:
		return &Shape{Kind: Number}
	}
	return &Shape{Kind: Any}
}

func (r *shapeReader) unary(pkg string, e *ast.UnaryExpr) *Shape {
	lit, _ := e.X.(*ast.BasicLit)
	switch e.Op {
	case token.MUL:
		s := *r.expr(pkg, e.X)
		s.isDefault = true
		return &s
	case token.NEQ:
		return &Shape{Kind: Text, NonEmptyText: true}
	case token.MAT:
		if lit != nil {
			if s, err := literal.Unquote(lit.Value); err == nil {
				return &Shape{Kind: Text, Pattern: regexp.MustCompile(s)}
			}
		}
	case token.GTR, token.GEQ, token.LEQ, token.LSS:
		if lit != nil {
			if n, err := strconv.ParseInt(lit.Value, 10, 64); err == nil {
				s := &Shape{Kind: Integer}
				switch e.Op {
				case token.GTR:
					n++
					s.Min = &n
				case token.GEQ:
					s.Min = &n
				case token.LSS:
					n--
					s.Max = &n
				default:
					s.Max = &n
				}
				return s
			}
		}
	}
	return &Shape{Kind: Any}
}

func (r *shapeReader) structure(pkg string, lit *ast.StructLit) *Shape {
	s := &Shape{Kind: Struct, Fields: map[string]*Field{}}
	for _, d := range lit.Elts {
		switch d := d.(type) {
		case *ast.Ellipsis:
			s.Open = true
		case *ast.EmbedDecl:
			embedded := r.expr(pkg, d.Expr)
			if embedded.Kind != Struct {
				continue
			}
			merged := mergeStructs(s, embedded)
			merged.Definition, merged.Open = "", s.Open || embedded.Open
			*s = *merged
		case *ast.Field:
			if _, pattern := d.Label.(*ast.ListLit); pattern {
				s.Rest = r.advised(pkg, d)
				continue
			}
			label, _, err := ast.LabelName(d.Label)
			if err != nil {
				continue
			}
			f := &Field{Shape: r.advised(pkg, d), Required: d.Constraint == token.NOT, Doc: comment(d),
				Given: d.Constraint == token.ILLEGAL, defaulted: defaultOf(d.Value) != nil}
			for _, a := range d.Attrs {
				f.SetBySegment = f.SetBySegment || a.Text == "@segment(sets)"
			}
			if old, ok := s.Fields[label]; ok {
				f.Shape = intersection(old.Shape, f.Shape)
				f.Required, f.Given = f.Required || old.Required, f.Given || old.Given
				f.SetBySegment = f.SetBySegment || old.SetBySegment
			}
			s.Fields[label] = f
		}
	}
	return s
}

// advised returns the shape of a field: of its value, or what its attribute says that the
// spec asks for.
func (r *shapeReader) advised(pkg string, d *ast.Field) *Shape {
	for _, a := range d.Attrs {
		if key, body := a.Split(); key == "spec" {
			if e, err := parser.ParseExpr("schema", body); err == nil {
				s := *r.expr(pkg, e)
				s.Advised = true
				return &s
			}
		}
	}
	return r.expr(pkg, d.Value)
}

func (r *shapeReader) list(pkg string, lit *ast.ListLit) *Shape {
	s := &Shape{Kind: List, Elem: &Shape{Kind: Any}}
	for _, e := range lit.Elts {
		if dots, ok := e.(*ast.Ellipsis); ok {
			if dots.Type != nil {
				s.Elem = r.expr(pkg, dots.Type)
			}
			continue
		}
		s.NonEmptyList = true
	}
	return s
}

// call reads strings.MaxRunes(n), time.Format(layout) and matchN(count, [...]).
func (r *shapeReader) call(e *ast.CallExpr) *Shape {
	switch f := e.Fun.(type) {
	case *ast.SelectorExpr:
		name, _, _ := ast.LabelName(f.Sel)
		switch name {
		case "MaxRunes":
			if lit, ok := e.Args[0].(*ast.BasicLit); ok {
				if n, err := strconv.Atoi(lit.Value); err == nil {
					return &Shape{Kind: Text, MaxRunes: n}
				}
			}
		case "Format":
			return &Shape{Kind: Date}
		}
	case *ast.Ident:
		if f.Name == "matchN" && len(e.Args) == 2 {
			if list, ok := e.Args[1].(*ast.ListLit); ok {
				_, exactly := e.Args[0].(*ast.BasicLit)
				count := Count{Exactly: exactly}
				for _, alt := range list.Elts {
					if st, ok := alt.(*ast.StructLit); ok {
						for _, d := range st.Elts {
							if field, ok := d.(*ast.Field); ok {
								if label, _, err := ast.LabelName(field.Label); err == nil {
									count.Fields = append(count.Fields, label)
								}
							}
						}
					}
				}
				return &Shape{Kind: Struct, Open: true, Counts: []Count{count}}
			}
		}
	}
	return &Shape{Kind: Any}
}

// union is a | b. Texts with fixed values become one text with several.
func union(a, b *Shape) *Shape {
	switch {
	case a.isDefault && b.Kind == Any: // *T | _
		advised := *a
		advised.isDefault, advised.Advised = false, true
		return &advised
	case a.Kind == Any || b.Kind == Any:
		return &Shape{Kind: Any}
	case a.Kind == Text && b.Kind == Text && len(a.Consts) > 0 && len(b.Consts) > 0:
		return &Shape{Kind: Text, Consts: append(append([]string{}, a.Consts...), b.Consts...)}
	case a.Kind == Text && len(a.Consts) > 0 && b.Definition == "segment.#TextPlaceholder":
		return &Shape{Kind: Text, Consts: a.Consts, OrLone: true}
	case a.isDefault && a.Kind == b.Kind:
		return b // *true | bool, *8 | (int & >0), *"30s" | =~"s$"
	case b.isDefault && a.Kind == b.Kind:
		return a
	}
	u := &Shape{Kind: Union}
	for _, s := range []*Shape{a, b} {
		if s.Kind == Union {
			u.Alts = append(u.Alts, s.Alts...)
		} else {
			u.Alts = append(u.Alts, s)
		}
	}
	return u
}

// intersection is a & b, of the forms that the schema uses.
func intersection(a, b *Shape) *Shape {
	switch {
	case a.Kind == Any:
		return b
	case b.Kind == Any:
		return a
	case a.Kind == Struct && b.Kind == Struct:
		return mergeStructs(a, b)
	case a.Kind != b.Kind:
		return a
	}
	m := *a
	m.NonEmptyText = a.NonEmptyText || b.NonEmptyText
	if len(b.Consts) > 0 {
		m.Consts = b.Consts
	}
	if b.Pattern != nil {
		m.Pattern = b.Pattern
	}
	m.MaxRunes = max(a.MaxRunes, b.MaxRunes)
	if b.Min != nil {
		m.Min = b.Min
	}
	if b.Max != nil {
		m.Max = b.Max
	}
	return &m
}

// mergeStructs joins the fields of both. A closed struct with a struct literal
// on it, as the semantic events are written, keeps the closed one's fields only
// in CUE; here the union serves, since both sides agree on their fields.
func mergeStructs(a, b *Shape) *Shape {
	m := &Shape{Kind: Struct, Definition: a.Definition, Fields: map[string]*Field{},
		Open: a.Open && b.Open, Advised: a.Advised && b.Advised, Rest: a.Rest,
		Counts: append(append([]Count{}, a.Counts...), b.Counts...)}
	if b.Rest != nil {
		m.Rest = b.Rest
	}
	for _, s := range []*Shape{a, b} {
		for name, f := range s.Fields {
			old, ok := m.Fields[name]
			if !ok {
				m.Fields[name] = f
				continue
			}
			both := *old
			both.Shape = intersection(old.Shape, f.Shape)
			both.Required, both.Given = old.Required || f.Required, old.Given || f.Given
			both.defaulted = old.defaulted && f.defaulted
			m.Fields[name] = &both
		}
	}
	return m
}

// comment returns the text of a field's doc comment.
func comment(n ast.Node) string {
	var b strings.Builder
	for _, g := range ast.Comments(n) {
		if g.Doc {
			b.WriteString(strings.TrimSpace(g.Text()))
		}
	}
	return b.String()
}
