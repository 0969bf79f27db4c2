package compiler

import (
	"fmt"
	"strconv"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
)

// refersToItself reports a field whose value is made of itself, directly or by
// way of others. All fields of a circle have one finding.
func (p *explained) refersToItself(v cue.Value, at valuePath) bool {
	sites := p.index.sites(at)
	src := p.index.sourceOf(v.Pos())
	if src != nil {
		sites = append(sites, siteAt(src.syntax, v.Pos()))
	}
	for _, s := range sites {
		if s.field == nil {
			continue
		}
		id, circle := circleOf(s.field)
		if id == nil {
			continue
		}
		whole := at[:min(2, len(at))].String()
		if p.circular[s.field.Value] == whole {
			return true
		}
		for _, value := range circle {
			p.circular[value] = whole
		}
		f := finding{path: at, Diagnostic: diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "cycle",
			Message: at.name() + " refers to itself", Help: "break the circle: let one of the values in it stand for itself"}}
		var fix *diagnostic.Fix
		placeholder := automation.Reference{Name: id.Name}.String()
		if around, ok := p.index.interpolated(id); ok && refersTo(id, s.field) {
			f.Help = "a placeholder is written " + placeholder
			if _, known := p.catalog[id.Name]; known {
				fix = edit(p.index.sourceOf(id.Pos()).name, around, placeholder, placeholder)
			}
		} else if s.field.Value == ast.Expr(id) {
			f.Help = fmt.Sprintf("a text stands between quotes: %q; a placeholder between braces too: %q", id.Name, placeholder)
		}
		if label, ok := s.field.Label.(*ast.Ident); ok && src != nil && refersTo(id, s.field) && bindsAround(src.syntax, id) {
			name := strconv.Quote(id.Name)
			f.Help = fmt.Sprintf("put the field's name in quotes, so that it does not hide the other %s: %s: %s", id.Name, name, id.Name)
			fix = edit(src.name, p.index.nodeRange(label), name, name)
		}
		p.add(f, id.Pos())
		p.found[len(p.found)-1].Fix = fix
		return true
	}
	return false
}

// circleOf returns the values that a field's value is made of, if it is one of
// them, and the identifier in it that leads back to it.
func circleOf(field *ast.Field) (*ast.Ident, []ast.Expr) {
	for _, id := range operands(field.Value) {
		if circle := wayTo(id, field, nil); circle != nil {
			return id, circle
		}
	}
	return nil, nil
}

// wayTo returns the values from the one that an identifier refers to up to that
// of a field, nil if there is no way.
func wayTo(id *ast.Ident, field *ast.Field, passed []ast.Expr) []ast.Expr {
	if refersTo(id, field) {
		return append(passed, field.Value)
	}
	value, _ := id.Node.(ast.Expr)
	if f, ok := id.Node.(*ast.Field); ok {
		value = f.Value
	}
	if value == nil || len(passed) > maxDepth {
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
