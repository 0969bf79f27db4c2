package source

import (
	"slices"

	"cuelang.org/go/cue/ast"
)

// IsClauseName reports whether an identifier refers to a name defined by a clause of a comprehension.
func IsClauseName(id *ast.Ident) bool {
	name, ok := id.Node.(*ast.Ident)
	return ok && name.Name == id.Name && name.Node == nil
}

// Labels lists the names of the fields that an expression may have, each once.
func (x *Index) Labels(e ast.Expr, depth int) []string {
	var out []string
	for _, label := range x.labels(e, depth) {
		if !slices.Contains(out, label) {
			out = append(out, label)
		}
	}
	return out
}

// labels is Labels with possible duplicates.
func (x *Index) labels(e ast.Expr, depth int) []string {
	if depth > MaxDepth {
		return nil
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return x.labels(e.X, depth)
	case *ast.BinaryExpr:
		return append(x.labels(e.X, depth), x.labels(e.Y, depth)...)
	case *ast.Ident:
		var out []string
		for _, def := range x.Definitions(e) {
			out = append(out, x.labels(def, depth+1)...)
		}
		return out
	case *ast.SelectorExpr:
		var out []string
		for _, s := range x.Picked(e, depth) {
			out = append(out, s.index.labels(s.Value, depth+1)...)
		}
		return out
	case *ast.StructLit:
		out := FieldNames(e)
		for _, d := range e.Elts {
			if embed, ok := d.(*ast.EmbedDecl); ok {
				out = append(out, x.labels(embed.Expr, depth+1)...)
			}
		}
		return out
	}
	return nil
}

// A Selection is the value of a selector. index is the index of its package, which may be an imported one.
type Selection struct {
	index *Index
	Value ast.Expr
}

// Picked returns the values that a selector selects, in this package or an imported one.
func (x *Index) Picked(e *ast.SelectorExpr, depth int) []Selection {
	if depth > MaxDepth {
		return nil
	}
	label, _, err := ast.LabelName(e.Sel)
	if err != nil {
		return nil
	}
	of := []Selection{{x, e.X}}
	switch inner := e.X.(type) {
	case *ast.SelectorExpr:
		of = x.Picked(inner, depth+1)
	case *ast.Ident:
		spec, ok := inner.Node.(*ast.ImportSpec)
		if !ok || x.ImportedIndex == nil {
			break
		}
		var out []Selection
		if other := x.ImportedIndex(spec); other != nil {
			for _, s := range other.topFields(label) {
				out = append(out, Selection{other, s.Value})
			}
		}
		return out
	}
	var out []Selection
	for _, o := range of {
		for _, s := range o.index.Descend(o.Value, label, depth) {
			out = append(out, Selection{o.index, s.Value})
		}
	}
	return out
}

// FieldNames lists the literal field names of a struct, through conjunctions.
func FieldNames(e ast.Expr) []string {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return FieldNames(e.X)
	case *ast.BinaryExpr:
		return append(FieldNames(e.X), FieldNames(e.Y)...)
	case *ast.StructLit:
		var out []string
		for _, d := range e.Elts {
			if f, ok := d.(*ast.Field); ok {
				if label, ok := FieldLabel(f); ok {
					out = append(out, label)
				}
			}
		}
		return out
	}
	return nil
}

// Elements lists the values that a loop over an expression iterates over, if they are written as a list or a
// struct.
func (x *Index) Elements(e ast.Expr, depth int) []ast.Expr {
	if depth > MaxDepth {
		return nil
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return x.Elements(e.X, depth)
	case *ast.BinaryExpr:
		return append(x.Elements(e.X, depth+1), x.Elements(e.Y, depth+1)...)
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
		for _, def := range x.Definitions(e) {
			out = append(out, x.Elements(def, depth+1)...)
		}
		return out
	case *ast.SelectorExpr:
		var out []ast.Expr
		for _, s := range x.Picked(e, depth+1) {
			out = append(out, s.index.Elements(s.Value, depth+1)...)
		}
		return out
	}
	return nil
}
