package compiler

import "cuelang.org/go/cue/ast"

// isClauseName reports whether an identifier refers to a name that a clause of a
// comprehension defines.
func isClauseName(id *ast.Ident) bool {
	name, ok := id.Node.(*ast.Ident)
	return ok && name.Name == id.Name && name.Node == nil
}

// labels lists the names of the fields that an expression may have.
func (x *index) labels(e ast.Expr, depth int) []string {
	if depth > maxDepth {
		return nil
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return x.labels(e.X, depth)
	case *ast.BinaryExpr:
		return append(x.labels(e.X, depth), x.labels(e.Y, depth)...)
	case *ast.Ident:
		var out []string
		for _, def := range x.definitions(e) {
			out = append(out, x.labels(def, depth+1)...)
		}
		return out
	case *ast.SelectorExpr:
		var out []string
		for _, s := range x.picked(e, depth) {
			out = append(out, s.index.labels(s.value, depth+1)...)
		}
		return out
	case *ast.StructLit:
		out := fieldNames(e)
		for _, d := range e.Elts {
			if embed, ok := d.(*ast.EmbedDecl); ok {
				out = append(out, x.labels(embed.Expr, depth+1)...)
			}
		}
		return out
	}
	return nil
}

// A picked value is what a selector selects, which may be of another
// package.
type picked struct {
	index *index
	value ast.Expr
}

// picked returns what a selector selects, in this package or an imported one.
func (x *index) picked(e *ast.SelectorExpr, depth int) []picked {
	if depth > maxDepth {
		return nil
	}
	label, _, err := ast.LabelName(e.Sel)
	if err != nil {
		return nil
	}
	of := []picked{{x, e.X}}
	switch inner := e.X.(type) {
	case *ast.SelectorExpr:
		of = x.picked(inner, depth+1)
	case *ast.Ident:
		spec, ok := inner.Node.(*ast.ImportSpec)
		if !ok || x.importedIndex == nil {
			break
		}
		var out []picked
		if other := x.importedIndex(spec); other != nil {
			for _, s := range other.topFields(label) {
				out = append(out, picked{other, s.value})
			}
		}
		return out
	}
	var out []picked
	for _, o := range of {
		for _, s := range o.index.descend(o.value, label, depth) {
			out = append(out, picked{o.index, s.value})
		}
	}
	return out
}

// fieldNames lists the literal field names of a struct, through conjunctions.
func fieldNames(e ast.Expr) []string {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return fieldNames(e.X)
	case *ast.BinaryExpr:
		return append(fieldNames(e.X), fieldNames(e.Y)...)
	case *ast.StructLit:
		var out []string
		for _, d := range e.Elts {
			if f, ok := d.(*ast.Field); ok {
				if label, ok := fieldLabel(f); ok {
					out = append(out, label)
				}
			}
		}
		return out
	}
	return nil
}

// elements lists what a loop over an expression goes through, as far as it is
// written as a list or a struct.
func (x *index) elements(e ast.Expr, depth int) []ast.Expr {
	if depth > maxDepth {
		return nil
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return x.elements(e.X, depth)
	case *ast.BinaryExpr:
		return append(x.elements(e.X, depth+1), x.elements(e.Y, depth+1)...)
	case *ast.ListLit:
		return e.Elts
	case *ast.StructLit:
		var out []ast.Expr
		for _, d := range e.Elts {
			if field, ok := d.(*ast.Field); ok {
				out = append(out, field.Value)
			}
		}
		return out
	case *ast.Ident:
		var out []ast.Expr
		for _, def := range x.definitions(e) {
			out = append(out, x.elements(def, depth+1)...)
		}
		return out
	case *ast.SelectorExpr:
		var out []ast.Expr
		for _, s := range x.picked(e, depth+1) {
			out = append(out, s.index.elements(s.value, depth+1)...)
		}
		return out
	}
	return nil
}
