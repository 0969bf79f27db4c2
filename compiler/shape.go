package compiler

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/schema"
)

// A shapeKind is the JSON type that a shape asks for, or a special text.
type shapeKind int

const (
	anyShape shapeKind = iota
	textShape
	numberShape
	integerShape
	booleanShape
	timeShape // an RFC 3339 instant
	dateShape // an instant or a calendar date
	nullShape
	structShape
	listShape
	unionShape
)

// A shape is what the schema says of a value, in the form that findings are made
// from. CUE decides whether a value is right; a shape says what is wrong with it,
// all of it, and in the words of the domain.
type shape struct {
	kind shapeKind
	// isDefault says that the shape is that of a default, one of several values.
	isDefault bool
	// definition is where the shape was defined, such as "segment.#Context".
	definition string

	nonEmpty bool           // of a text
	consts   []string       // the only texts allowed, if any
	orLone   bool           // or else one placeholder by itself
	pattern  *regexp.Regexp // what a text has to look like
	maxRunes int            // of a text, 0 for no limit
	min, max *int64         // of an integer

	fields map[string]*fieldShape
	open   bool   // of a struct: other fields are allowed
	rest   *shape // of a struct: what all other fields are
	counts []fieldCount

	elem     *shape // of a list
	nonempty bool   // of a list
	alts     []*shape
}

// A fieldShape is one field of a struct.
type fieldShape struct {
	shape    *shape
	required bool
	// given says that the schema itself sets the field, defaulted that an author
	// can set it otherwise.
	given, defaulted bool
	// doc is the field's comment.
	doc string
	// setBySegment says that Segment overwrites whatever is sent.
	setBySegment bool
}

// A fieldCount says how many of some fields a struct needs.
type fieldCount struct {
	fields  []string
	exactly bool // one; else at least one
}

// schemaShapes are the shapes of all definitions by package and name, such as
// "segment.#Context". They are read once, from the embedded schema.
var schemaShapes = sync.OnceValue(func() map[string]*shape {
	r := shapeReader{defs: schemaDefinitions(), done: map[string]*shape{}}
	for name := range r.defs {
		r.definition(name)
	}
	return r.done
})

// schemaDefinitions reads the definitions of the embedded schema, by package and
// name.
func schemaDefinitions() map[string]ast.Expr {
	defs := map[string]ast.Expr{}
	for name, content := range schema.Files() {
		f, err := parser.ParseFile(name, content, parser.ParseComments)
		if err != nil {
			panic(fmt.Sprintf("the embedded schema does not parse: %v", err))
		}
		for _, d := range f.Decls {
			if field, ok := d.(*ast.Field); ok {
				if label, ok := fieldLabel(field); ok && strings.HasPrefix(label, "#") {
					defs[path.Dir(name)+"."+label] = field.Value
				}
			}
		}
	}
	return defs
}

// shapeOf returns the shape of a definition, such as "segment.#Identify".
func shapeOf(definition string) *shape {
	s, ok := schemaShapes()[definition]
	if !ok {
		panic("the schema does not define " + definition)
	}
	return s
}

// shapeReader derives shapes from the schema's syntax. The schema keeps to a
// subset of CUE that this covers; a test fails when it does not.
type shapeReader struct {
	defs map[string]ast.Expr
	done map[string]*shape
}

// definition returns the shape of a definition. Definitions may refer to each
// other in a circle: the shape is known before it is filled in.
func (r *shapeReader) definition(name string) *shape {
	if s, ok := r.done[name]; ok {
		return s
	}
	s := &shape{}
	r.done[name] = s
	expr, ok := r.defs[name]
	if !ok {
		return s
	}
	pkg, def, _ := strings.Cut(name, ".")
	switch name {
	case "segment.#Number":
		s.kind = numberShape
	case "segment.#Integer":
		s.kind = integerShape
	case "segment.#Boolean":
		s.kind = booleanShape
	case "segment.#Time":
		s.kind = timeShape
	case "segment.#Date":
		s.kind = dateShape
	default:
		*s = *r.expr(pkg, expr)
	}
	if s.definition == "" {
		s.definition = pkg + "." + def
	}
	return s
}

func (r *shapeReader) expr(pkg string, e ast.Expr) *shape {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return r.expr(pkg, e.X)
	case *ast.Ident:
		switch e.Name {
		case "string":
			return &shape{kind: textShape}
		case "number":
			return &shape{kind: numberShape}
		case "int":
			return &shape{kind: integerShape}
		case "bool":
			return &shape{kind: booleanShape}
		case "_":
			return &shape{kind: anyShape, definition: "_"}
		case "null":
			return &shape{kind: nullShape}
		}
		return r.definition(pkg + "." + e.Name)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			if label, _, err := ast.LabelName(e.Sel); err == nil {
				if x.Name == "time" {
					return &shape{kind: timeShape}
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
	return &shape{kind: anyShape}
}

func literalShape(e *ast.BasicLit) *shape {
	switch e.Kind {
	case token.STRING:
		if s, err := literal.Unquote(e.Value); err == nil {
			return &shape{kind: textShape, consts: []string{s}}
		}
	case token.TRUE, token.FALSE:
		return &shape{kind: booleanShape}
	case token.NULL:
		return &shape{kind: nullShape}
	case token.INT:
		return &shape{kind: integerShape}
	case token.FLOAT:
		return &shape{kind: numberShape}
	}
	return &shape{kind: anyShape}
}

func (r *shapeReader) unary(pkg string, e *ast.UnaryExpr) *shape {
	lit, _ := e.X.(*ast.BasicLit)
	switch e.Op {
	case token.MUL:
		s := *r.expr(pkg, e.X)
		s.isDefault = true
		return &s
	case token.NEQ:
		return &shape{kind: textShape, nonEmpty: true}
	case token.MAT:
		if lit != nil {
			if s, err := literal.Unquote(lit.Value); err == nil {
				return &shape{kind: textShape, pattern: regexp.MustCompile(s)}
			}
		}
	case token.GTR, token.GEQ, token.LEQ, token.LSS:
		if lit != nil {
			if n, err := strconv.ParseInt(lit.Value, 10, 64); err == nil {
				s := &shape{kind: integerShape}
				switch e.Op {
				case token.GTR:
					n++
					s.min = &n
				case token.GEQ:
					s.min = &n
				case token.LSS:
					n--
					s.max = &n
				default:
					s.max = &n
				}
				return s
			}
		}
	}
	return &shape{kind: anyShape}
}

func (r *shapeReader) structure(pkg string, lit *ast.StructLit) *shape {
	s := &shape{kind: structShape, fields: map[string]*fieldShape{}}
	for _, d := range lit.Elts {
		switch d := d.(type) {
		case *ast.Ellipsis:
			s.open = true
		case *ast.EmbedDecl:
			embedded := r.expr(pkg, d.Expr)
			if embedded.kind != structShape {
				continue
			}
			merged := mergeStructs(s, embedded)
			merged.definition, merged.open = "", s.open || embedded.open
			*s = *merged
		case *ast.Field:
			if _, pattern := d.Label.(*ast.ListLit); pattern {
				s.rest = r.expr(pkg, d.Value)
				continue
			}
			label, _, err := ast.LabelName(d.Label)
			if err != nil {
				continue
			}
			f := &fieldShape{shape: r.expr(pkg, d.Value), required: d.Constraint == token.NOT, doc: comment(d),
				given: d.Constraint == token.ILLEGAL, defaulted: defaultOf(d.Value) != nil}
			for _, a := range d.Attrs {
				f.setBySegment = f.setBySegment || a.Text == "@segment(sets)"
			}
			if old, ok := s.fields[label]; ok {
				f.shape = intersection(old.shape, f.shape)
				f.required, f.given = f.required || old.required, f.given || old.given
				f.setBySegment = f.setBySegment || old.setBySegment
			}
			s.fields[label] = f
		}
	}
	return s
}

func (r *shapeReader) list(pkg string, lit *ast.ListLit) *shape {
	s := &shape{kind: listShape, elem: &shape{kind: anyShape}}
	for _, e := range lit.Elts {
		if dots, ok := e.(*ast.Ellipsis); ok {
			if dots.Type != nil {
				s.elem = r.expr(pkg, dots.Type)
			}
			continue
		}
		s.nonempty = true
	}
	return s
}

// call reads strings.MaxRunes(n), time.Format(layout) and matchN(count, [...]).
func (r *shapeReader) call(e *ast.CallExpr) *shape {
	switch f := e.Fun.(type) {
	case *ast.SelectorExpr:
		name, _, _ := ast.LabelName(f.Sel)
		switch name {
		case "MaxRunes":
			if lit, ok := e.Args[0].(*ast.BasicLit); ok {
				if n, err := strconv.Atoi(lit.Value); err == nil {
					return &shape{kind: textShape, maxRunes: n}
				}
			}
		case "Format":
			return &shape{kind: dateShape}
		}
	case *ast.Ident:
		if f.Name == "matchN" && len(e.Args) == 2 {
			if list, ok := e.Args[1].(*ast.ListLit); ok {
				_, exactly := e.Args[0].(*ast.BasicLit)
				count := fieldCount{exactly: exactly}
				for _, alt := range list.Elts {
					if st, ok := alt.(*ast.StructLit); ok {
						for _, d := range st.Elts {
							if field, ok := d.(*ast.Field); ok {
								if label, _, err := ast.LabelName(field.Label); err == nil {
									count.fields = append(count.fields, label)
								}
							}
						}
					}
				}
				return &shape{kind: structShape, open: true, counts: []fieldCount{count}}
			}
		}
	}
	return &shape{kind: anyShape}
}

// union is a | b. Texts with fixed values become one text with several.
func union(a, b *shape) *shape {
	if a.kind == anyShape || b.kind == anyShape {
		return &shape{kind: anyShape}
	}
	switch {
	case a.kind == textShape && b.kind == textShape && len(a.consts) > 0 && len(b.consts) > 0:
		return &shape{kind: textShape, consts: append(append([]string{}, a.consts...), b.consts...)}
	case a.kind == textShape && len(a.consts) > 0 && b.definition == "segment.#TextPlaceholder":
		return &shape{kind: textShape, consts: a.consts, orLone: true}
	case a.isDefault && a.kind == b.kind:
		return b // *true | bool, *8 | (int & >0), *"30s" | =~"s$"
	case b.isDefault && a.kind == b.kind:
		return a
	}
	u := &shape{kind: unionShape}
	for _, s := range []*shape{a, b} {
		if s.kind == unionShape {
			u.alts = append(u.alts, s.alts...)
		} else {
			u.alts = append(u.alts, s)
		}
	}
	return u
}

// intersection is a & b, of the forms that the schema uses.
func intersection(a, b *shape) *shape {
	switch {
	case a.kind == anyShape:
		return b
	case b.kind == anyShape:
		return a
	case a.kind == structShape && b.kind == structShape:
		return mergeStructs(a, b)
	case a.kind != b.kind:
		return a
	}
	m := *a
	m.nonEmpty = a.nonEmpty || b.nonEmpty
	if len(b.consts) > 0 {
		m.consts = b.consts
	}
	if b.pattern != nil {
		m.pattern = b.pattern
	}
	m.maxRunes = max(a.maxRunes, b.maxRunes)
	if b.min != nil {
		m.min = b.min
	}
	if b.max != nil {
		m.max = b.max
	}
	return &m
}

// mergeStructs joins the fields of both. A closed struct with a struct literal
// on it, as the semantic events are written, keeps the closed one's fields only
// in CUE; here the union serves, since both sides agree on their fields.
func mergeStructs(a, b *shape) *shape {
	m := &shape{kind: structShape, definition: a.definition, fields: map[string]*fieldShape{},
		open: a.open && b.open, rest: a.rest, counts: append(append([]fieldCount{}, a.counts...), b.counts...)}
	if b.rest != nil {
		m.rest = b.rest
	}
	for _, s := range []*shape{a, b} {
		for name, f := range s.fields {
			old, ok := m.fields[name]
			if !ok {
				m.fields[name] = f
				continue
			}
			both := *old
			both.shape = intersection(old.shape, f.shape)
			both.required, both.given = old.required || f.required, old.given || f.given
			both.defaulted = old.defaulted && f.defaulted
			m.fields[name] = &both
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
