package resolve

import (
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/source"
)

// loosen opens the structs of a file that get their fields from a definition. A definition allows only the
// fields that it names, and the lenient schema names hardly any. An author's definition such as
//
//	#Track: automation.#Track & {payload: properties: team: "growth"}
//
// would therefore allow only the fields written there and refuse all others. The shapes decide which fields are
// allowed. Structs that are made only of the author's own structs stay closed.
func (p *Opened) loosen(f *ast.File) {
	for _, d := range f.Decls {
		if field, ok := d.(*ast.Field); ok {
			p.open1(field.Value, false)
		}
	}
}

// open1 opens the structs in an expression. made means that a definition is combined with it.
func (p *Opened) open1(e ast.Expr, made bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		p.open1(e.X, made)
	case *ast.UnaryExpr:
		p.open1(e.X, made)
	case *ast.BinaryExpr:
		if e.Op == token.AND {
			made = made || p.derives(e, 0)
		}
		p.open1(e.X, made)
		p.open1(e.Y, made)
	case *ast.ListLit:
		for _, x := range e.Elts {
			p.open1(x, made)
		}
	case *ast.StructLit:
		made = made || p.derives(e, 0)
		open := false
		for _, d := range e.Elts {
			switch d := d.(type) {
			case *ast.Ellipsis:
				open = true
			case *ast.Field:
				p.open1(d.Value, made)
			case *ast.EmbedDecl:
				p.open1(d.Expr, made)
			case *ast.Comprehension:
				p.open1(d.Value, made)
			}
		}
		if made && !open {
			// A struct without braces starts and ends where its elements do.
			e.Elts = slices.Insert(e.Elts, 0, ast.Decl(&ast.Ellipsis{Ellipsis: e.Pos()}))
		}
	}
}

// derives reports whether an expression builds on a definition, which then decides which fields are allowed, or
// on something that was taken out.
func (p *Opened) derives(e ast.Expr, depth int) bool {
	if depth > source.MaxDepth {
		return false
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return p.derives(e.X, depth)
	case *ast.UnaryExpr:
		return p.derives(e.X, depth)
	case *ast.BinaryExpr:
		return p.derives(e.X, depth) || p.derives(e.Y, depth)
	case *ast.SelectorExpr, *ast.IndexExpr:
		return true
	case *ast.Ident:
		if p.family.holes[e] || strings.HasPrefix(e.Name, "#") || strings.HasPrefix(e.Name, "_#") {
			return true
		}
		for _, def := range p.Index.Definitions(e) {
			if p.derives(def, depth+1) {
				return true
			}
		}
	case *ast.StructLit:
		for _, d := range e.Elts {
			if embed, ok := d.(*ast.EmbedDecl); ok && p.derives(embed.Expr, depth) {
				return true
			}
		}
	}
	return false
}
