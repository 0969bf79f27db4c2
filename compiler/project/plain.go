package project

import (
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/schema"
)

// The largest file that can be plain: in bytes, and in levels within each other.
const (
	plainBytes = 256 << 10
	plainDepth = 100
)

// plainNames are CUE's own names that a plain file can use.
var plainNames = []string{"true", "false", "null", "string", "number", "bool", "int", "float", "_"}

// Plain reports whether the content of segue.cue can be evaluated in a time that goes
// by its size: there is nothing in it that refers to something else but the schema's
// project, that is computed, or that combines alternatives. So it is with nearly all
// projects.
func Plain(content []byte) bool {
	if len(content) > plainBytes {
		return false
	}
	f, err := parser.ParseFile("", content)
	if err != nil {
		return true // CUE does not evaluate it either
	}
	return !slices.ContainsFunc(f.Decls, func(d ast.Decl) bool { return !plainDecl(d, 0) })
}

func plainDecl(d ast.Decl, depth int) bool {
	switch d := d.(type) {
	case *ast.CommentGroup, *ast.Package:
		return true
	case *ast.ImportDecl:
		return !slices.ContainsFunc(d.Specs, func(spec *ast.ImportSpec) bool { return !isProjectSchema(spec) })
	case *ast.EmbedDecl:
		return isProjectDefinition(d.Expr)
	case *ast.Ellipsis:
		return d.Type == nil
	case *ast.Field:
		name, _, err := ast.LabelName(d.Label)
		if err != nil || len(d.Attrs) > 0 || name == "jsonSchema" {
			return false // which reads another file
		}
		return plainExpr(d.Value, depth+1)
	}
	return false
}

// isProjectSchema reports whether an import is that of the schema of segue.cue.
func isProjectSchema(spec *ast.ImportSpec) bool {
	p, err := literal.Unquote(spec.Path.Value)
	return err == nil && p == schema.ModulePath+"/project"
}

// isProjectDefinition reports whether an expression is the schema's definition of a
// project, which segue.cue is unified with anyway.
func isProjectDefinition(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return false
	}
	spec, ok := x.Node.(*ast.ImportSpec)
	name, _, err := ast.LabelName(sel.Sel)
	return ok && isProjectSchema(spec) && err == nil && name == "#Project"
}

func plainExpr(e ast.Expr, depth int) bool {
	if depth > plainDepth {
		return false
	}
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return slices.Contains(plainNames, e.Name) && e.Node == nil
	case *ast.ParenExpr:
		return plainExpr(e.X, depth+1)
	case *ast.UnaryExpr:
		return plainExpr(e.X, depth+1)
	case *ast.BinaryExpr:
		return e.Op == token.OR && plainExpr(e.X, depth+1) && plainExpr(e.Y, depth+1)
	case *ast.ListLit:
		return !slices.ContainsFunc(e.Elts, func(x ast.Expr) bool {
			dots, open := x.(*ast.Ellipsis)
			return open && dots.Type != nil && !plainExpr(dots.Type, depth+1) || !open && !plainExpr(x, depth+1)
		})
	case *ast.StructLit:
		return !slices.ContainsFunc(e.Elts, func(d ast.Decl) bool { return !plainDecl(d, depth) })
	}
	return false
}
