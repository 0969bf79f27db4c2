package explain

import (
	"fmt"
	"strconv"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// refersToItself reports a field whose value depends on itself, directly or through other fields. All fields of
// a cycle share one finding.
func (c *Conversion) refersToItself(v cue.Value, at finding.Path) (found diagnostic.List, ok bool) {
	sites := c.Index.Sites(at)
	src := c.Index.SourceOf(v.Pos())
	if src != nil {
		sites = append(sites, source.SiteAt(src.Syntax, v.Pos()))
	}
	for _, s := range sites {
		if s.Field == nil {
			continue
		}
		id, circle := circleOf(s.Field)
		if id == nil {
			continue
		}
		whole := at[:min(2, len(at))].String()
		if c.circular[s.Field.Value] == whole {
			return nil, true
		}
		for _, value := range circle {
			c.circular[value] = whole
		}
		f := finding.New("cycle", at, finding.AtValue,
			at.Subject()+" refers to itself", "break the cycle: give one of these fields a literal value")
		var fix *diagnostic.Fix
		placeholder := automation.Reference{Name: id.Name}.String()
		if around, ok := c.Index.Interpolated(id); ok && resolve.RefersTo(id, s.Field) {
			f.Help = "a placeholder is written " + placeholder
			if _, known := c.Catalog[id.Name]; known {
				fix = finding.Rewrite(c.Index.SourceOf(id.Pos()).Name, around, placeholder, placeholder)
			}
		} else if s.Field.Value == ast.Expr(id) {
			f.Help = fmt.Sprintf("strings must be quoted: %q; placeholders also need braces: %q", id.Name,
				placeholder)
		}
		if label, ok := s.Field.Label.(*ast.Ident); ok && src != nil && resolve.RefersTo(id, s.Field) &&
			source.BindsAround(src.Syntax, id) {
			name := strconv.Quote(id.Name)
			f.Help = fmt.Sprintf("quote the field's name so that it does not hide the other %s: %s: %s",
				id.Name, name, id.Name)
			fix = finding.Rewrite(src.Name, c.Index.NodeRange(label), name, name)
		}
		d := c.Index.Place(f, id.Pos())
		d.Fix = fix
		return diagnostic.List{d}, true
	}
	return nil, false
}

// circleOf returns the values that a field's value depends on, if that includes itself, and the identifier in
// it that leads back to it.
func circleOf(field *ast.Field) (*ast.Ident, []ast.Expr) {
	for _, id := range operands(field.Value) {
		if circle := wayTo(id, field, nil); circle != nil {
			return id, circle
		}
	}
	return nil, nil
}

// wayTo returns the values from the one that an identifier refers to, up to the value of a field. It returns
// nil if none leads there.
func wayTo(id *ast.Ident, field *ast.Field, passed []ast.Expr) []ast.Expr {
	if resolve.RefersTo(id, field) {
		return append(passed, field.Value)
	}
	value, _ := id.Node.(ast.Expr)
	if f, ok := id.Node.(*ast.Field); ok {
		value = f.Value
	}
	if value == nil || len(passed) > source.MaxDepth {
		return nil
	}
	for _, next := range operands(value) {
		if way := wayTo(next, field, append(passed, value)); way != nil {
			return way
		}
	}
	return nil
}

// operands lists the identifiers that an expression is calculated from.
func operands(e ast.Expr) []*ast.Ident {
	var out []*ast.Ident
	ast.Walk(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StructLit, *ast.ListLit, *ast.SelectorExpr, *ast.IndexExpr, *ast.Comprehension:
			return false
		case *ast.Ident:
			out = append(out, n)
		}
		return true
	}, nil)
	return out
}
