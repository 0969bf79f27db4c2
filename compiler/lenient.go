package compiler

import (
	"fmt"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/schema"
)

// lenientFiles is the schema turned into one that accepts everything and still
// gives what the schema gives: the fixed values and the defaults. Evaluated with
// it, a value with mistakes keeps all of its fields, each with its own place in
// the author's files; the shapes then say what is wrong with them. With the
// schema itself, CUE would stop at the first mistake.
//
// The schema keeps to a subset of CUE, which a test checks: definitions,
// structs, references, constraints and disjunctions.
var lenientFiles = sync.OnceValue(func() map[string][]byte {
	out := map[string][]byte{}
	for name, content := range schema.Files() {
		f, err := parser.ParseFile(name, content)
		if err != nil {
			panic(fmt.Sprintf("the embedded schema does not parse: %v", err))
		}
		if out[name], err = format.Node(lenientFile(f)); err != nil {
			panic(fmt.Sprintf("the lenient schema can't be written: %v", err))
		}
	}
	return out
})

func lenientFile(f *ast.File) *ast.File {
	used := map[string]bool{}
	var decls []ast.Decl
	for _, d := range f.Decls {
		if field, ok := d.(*ast.Field); ok {
			decls = append(decls, &ast.Field{Label: field.Label, Value: lenientExpr(field.Value, used)})
		}
	}
	out := &ast.File{Filename: f.Filename, Decls: []ast.Decl{&ast.Package{Name: ast.NewIdent(f.PackageName())}}}
	for spec := range f.ImportSpecs() {
		if used[importName(spec)] {
			out.Decls = append(out.Decls, &ast.ImportDecl{Specs: []*ast.ImportSpec{
				{Name: spec.Name, Path: &ast.BasicLit{Kind: token.STRING, Value: spec.Path.Value}}}})
		}
	}
	out.Decls = append(out.Decls, decls...)
	return out
}

// importName is the name under which a file refers to an import.
func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p, err := literal.Unquote(spec.Path.Value)
	if err != nil {
		return ""
	}
	return ast.ParseImportPath(p).Qualifier
}

func anything() ast.Expr { return ast.NewIdent("_") }

// lenientExpr returns an expression that accepts at least what e accepts.
func lenientExpr(e ast.Expr, used map[string]bool) ast.Expr {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return lenientExpr(e.X, used)
	case *ast.BasicLit:
		return &ast.BasicLit{Kind: e.Kind, Value: e.Value}
	case *ast.Ident:
		switch e.Name {
		case "string", "number", "int", "bool", "null", "_":
			return anything()
		}
		return ast.NewIdent(e.Name)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok && x.Name != "time" {
			used[x.Name] = true
			return &ast.SelectorExpr{X: ast.NewIdent(x.Name), Sel: ast.NewIdent(e.Sel.(*ast.Ident).Name)}
		}
	case *ast.BinaryExpr:
		if e.Op == token.AND {
			x, y := lenientExpr(e.X, used), lenientExpr(e.Y, used)
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
		return lenientStruct(e, used)
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
		if e.Op == token.OR {
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

func lenientStruct(s *ast.StructLit, used map[string]bool) ast.Expr {
	out := &ast.StructLit{}
	for _, d := range s.Elts {
		switch d := d.(type) {
		case *ast.EmbedDecl:
			out.Elts = append(out.Elts, &ast.EmbedDecl{Expr: lenientExpr(d.Expr, used)})
		case *ast.Field:
			value := lenientExpr(d.Value, used)
			if _, literal := d.Value.(*ast.BasicLit); literal && d.Constraint != token.ILLEGAL {
				value = anything()
			}
			field := &ast.Field{Label: d.Label, Value: value, Constraint: d.Constraint}
			if d.Constraint == token.NOT {
				field.Constraint = token.OPTION
			}
			if _, pattern := d.Label.(*ast.ListLit); !pattern && d.Constraint == token.ILLEGAL && !fixed(d.Value) {
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
