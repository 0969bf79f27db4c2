package shape

import (
	"fmt"
	"path"
	"strings"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/schema"
)

// Lenient is the schema turned into one that accepts everything and still
// gives what the schema gives: the fixed values and the defaults. Evaluated with
// it, a value with mistakes keeps all of its fields, each with its own place in
// the author's files; the shapes then say what is wrong with them. With the
// schema itself, CUE would stop at the first mistake.
//
// The schema keeps to a subset of CUE, which a test checks: definitions,
// structs, references, constraints and disjunctions.
var Lenient = sync.OnceValue(func() map[string][]byte {
	giving := givingDefinitions()
	out := map[string][]byte{}
	for name, content := range schema.Files() {
		f, err := parser.ParseFile(name, content)
		if err != nil {
			panic(fmt.Sprintf("the embedded schema does not parse: %v", err))
		}
		l := lenient{pkg: path.Dir(name), giving: giving, used: map[string]bool{}}
		if out[name], err = format.Node(l.file(f)); err != nil {
			panic(fmt.Sprintf("the lenient schema can't be written: %v", err))
		}
	}
	return out
})

// lenient turns one file of the schema.
type lenient struct {
	pkg string
	// giving are the definitions, such as "segment.#OrderCompleted", that give
	// a value something: a fixed field or a default. All others accept anything,
	// and so a value of a wrong type stays what the author wrote.
	giving map[string]bool
	used   map[string]bool // imports
}

// givingDefinitions finds the definitions that give a value something.
func givingDefinitions() map[string]bool {
	defs := map[string]ast.Expr{}
	for name, d := range schema.Declarations() {
		if strings.HasPrefix(d.Name, "#") {
			defs[name] = source.Declared(name)
		}
	}
	giving := map[string]bool{}
	for changed := true; changed; {
		changed = false
		for name, expr := range defs {
			l := lenient{pkg: strings.SplitN(name, ".", 2)[0], giving: giving}
			if !giving[name] && l.gives(expr) {
				giving[name], changed = true, true
			}
		}
	}
	return giving
}

// gives reports whether an expression gives a value something.
func (l *lenient) gives(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return l.gives(e.X)
	case *ast.Ident:
		return l.giving[l.pkg+"."+e.Name]
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		return ok && l.giving[x.Name+"."+e.Sel.(*ast.Ident).Name]
	case *ast.BinaryExpr:
		return e.Op == token.AND && (l.gives(e.X) || l.gives(e.Y))
	case *ast.StructLit:
		for _, d := range e.Elts {
			switch d := d.(type) {
			case *ast.EmbedDecl:
				if l.gives(d.Expr) {
					return true
				}
			case *ast.Field:
				_, literal := d.Value.(*ast.BasicLit)
				if d.Constraint == token.ILLEGAL && (literal || defaultOf(d.Value) != nil) || l.gives(d.Value) {
					return true
				}
			}
		}
	}
	return false
}

func (l *lenient) file(f *ast.File) *ast.File {
	var decls []ast.Decl
	for _, d := range f.Decls {
		if field, ok := d.(*ast.Field); ok {
			decls = append(decls, &ast.Field{Label: field.Label, Value: l.expr(field.Value)})
		}
	}
	out := &ast.File{Filename: f.Filename, Decls: []ast.Decl{&ast.Package{Name: ast.NewIdent(f.PackageName())}}}
	for spec := range f.ImportSpecs() {
		if l.used[source.ImportName(spec)] {
			out.Decls = append(out.Decls, &ast.ImportDecl{Specs: []*ast.ImportSpec{
				{Name: spec.Name, Path: &ast.BasicLit{Kind: token.STRING, Value: spec.Path.Value}}}})
		}
	}
	out.Decls = append(out.Decls, decls...)
	return out
}

func anything() ast.Expr { return ast.NewIdent("_") }

// expr returns an expression that accepts at least what e accepts.
func (l *lenient) expr(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return l.expr(e.X)
	case *ast.BasicLit:
		return &ast.BasicLit{Kind: e.Kind, Value: e.Value}
	case *ast.Ident:
		if !l.giving[l.pkg+"."+e.Name] {
			return anything()
		}
		return ast.NewIdent(e.Name)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok && l.giving[x.Name+"."+e.Sel.(*ast.Ident).Name] {
			l.used[x.Name] = true
			return &ast.SelectorExpr{X: ast.NewIdent(x.Name), Sel: ast.NewIdent(e.Sel.(*ast.Ident).Name)}
		}
	case *ast.BinaryExpr:
		if e.Op == token.AND {
			x, y := l.expr(e.X), l.expr(e.Y)
			switch {
			case isAnything(x):
				return y
			case isAnything(y):
				return x
			}
			return ast.NewBinExpr(token.AND, x, y)
		}
		if def := defaultOf(e); def != nil && e.Op == token.OR {
			return ast.NewBinExpr(token.OR, &ast.UnaryExpr{Op: token.MUL, X: lenientDefault(def)}, anything())
		}
	case *ast.StructLit:
		return l.structure(e)
	}
	return anything()
}

func isAnything(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "_"
}

// defaultOf returns the alternative of a disjunction that is marked as default.
func defaultOf(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		if e.Op == token.OR && !source.IsAdvice(e) {
			if d := defaultOf(e.X); d != nil {
				return d
			}
			return defaultOf(e.Y)
		}
	case *ast.UnaryExpr:
		if e.Op == token.MUL {
			return e.X
		}
	}
	return nil
}

// lenientDefault copies a default without its positions: a literal or a list of
// literals.
func lenientDefault(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.BasicLit:
		return &ast.BasicLit{Kind: e.Kind, Value: e.Value}
	case *ast.ListLit:
		out := &ast.ListLit{}
		for _, x := range e.Elts {
			out.Elts = append(out.Elts, lenientDefault(x))
		}
		return out
	}
	return anything()
}

func (l *lenient) structure(s *ast.StructLit) ast.Expr {
	if !l.gives(s) {
		return anything()
	}
	out := &ast.StructLit{}
	for _, d := range s.Elts {
		switch d := d.(type) {
		case *ast.EmbedDecl:
			if embedded := l.expr(d.Expr); !isAnything(embedded) {
				out.Elts = append(out.Elts, &ast.EmbedDecl{Expr: embedded})
			}
		case *ast.Field:
			value := l.expr(d.Value)
			if _, literal := d.Value.(*ast.BasicLit); literal && d.Constraint != token.ILLEGAL {
				value = anything()
			}
			field := &ast.Field{Label: d.Label, Value: value, Constraint: d.Constraint}
			if d.Constraint == token.NOT {
				field.Constraint = token.OPTION
			}
			if _, pattern := d.Label.(*ast.ListLit); !pattern && d.Constraint == token.ILLEGAL &&
				(!fixed(d.Value) || isAnything(value)) {
				// A plain field that only constrains would be incomplete.
				field.Constraint = token.OPTION
			}
			out.Elts = append(out.Elts, field)
		}
	}
	out.Elts = append(out.Elts, &ast.Ellipsis{})
	return out
}

// fixed reports whether a field of the schema has a value or a default of its own.
func fixed(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.StructLit, *ast.ListLit:
		return true
	case *ast.BinaryExpr:
		if e.Op == token.AND {
			return fixed(e.X) || fixed(e.Y)
		}
		return defaultOf(e) != nil
	case *ast.SelectorExpr, *ast.Ident:
		return false
	}
	return false
}
