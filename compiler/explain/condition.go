package explain

import (
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// OpenAutomations reports why automations are missing. It reports nothing if an existing finding may be the
// reason.
func (p *Evaluated) OpenAutomations() diagnostic.List {
	automations := p.Value.LookupPath(finding.FieldPath("automations"))
	err := OpenStruct(p.Value, automations, p.Files())
	if err == nil || p.Damaged() || p.Value.Validate() != nil {
		return nil
	}
	return p.Convert(false).openAutomations(err)
}

// openAutomations reports conditions, loops and names without a value, on which the automations of a package
// depend. CUE silently leaves out the automations that depend on them.
func (c *Conversion) openAutomations(err error) (found diagnostic.List) {
	at := finding.Path{"automations"}
	named := false
	for _, e := range cueerrors.Errors(err) {
		format, _ := e.Msg()
		places := c.authorPlaces(e)
		f := finding.New("missing-value", at, finding.AtValue, "", "")
		switch {
		case strings.HasPrefix(format, "key value of dynamic field"):
			label := c.labelAt(places)
			if label == nil {
				found = append(found, c.errors(e, nil)...)
				break
			}
			named = true
			f.Message, f.Help = "the name of an automation has no value, because a value in it is not set",
				"set every value that the name refers to"
			found = append(found, c.placedAt(f, label))
		case strings.HasPrefix(format, "invalid interpolation") && named:
		case strings.HasPrefix(format, "incomplete"), strings.HasPrefix(format, "non-concrete"):
			clause := c.openClause(places)
			if clause == nil {
				found = append(found, c.errors(e, nil)...)
				break
			}
			found = append(found, c.openCondition(f, clause, places))
		default:
			found = append(found, c.errors(e, nil)...)
		}
	}
	return found
}

// openCondition makes the finding about a condition that has no value.
func (p *Evaluated) openCondition(f finding.Finding, clause ast.Expr, places []token.Pos) diagnostic.Diagnostic {
	src := p.Index.SourceOf(clause.Pos())
	f.Recode("missing-value")
	f.Message = src.Covered(p.Index.NodeRange(clause)) +
		" has no value, so everything that depends on it would be left out"
	f.Help = "give it a value, or a default where it is declared"
	for _, pos := range places {
		if declared := p.Index.SourceOf(pos); !source.Contains(clause, &ast.Ident{NamePos: pos}) {
			f.Related = append(f.Related, diagnostic.Related{Message: "declared here", File: declared.Name,
				Range: source.ContentRange(declared.Content, pos.Offset(),
					source.TokenEnd(declared.Content, pos.Offset()))})
		}
	}
	return p.placedAt(f, clause)
}

// placedAt returns a finding placed at a node.
func (p *Evaluated) placedAt(f finding.Finding, n ast.Node) diagnostic.Diagnostic {
	d := f.Diagnostic
	d.Path, d.File, d.Range = f.At.String(), p.Index.SourceOf(n.Pos()).Name, p.Index.NodeRange(n)
	return d
}

// labelAt returns the computed label that contains one of the given positions.
func (p *Evaluated) labelAt(places []token.Pos) ast.Label {
	var found ast.Label
	for _, pos := range places {
		ast.Walk(p.Index.SourceOf(pos).Syntax, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || found != nil {
				return found == nil
			}
			switch field.Label.(type) {
			case *ast.Interpolation, *ast.ParenExpr:
				if source.Contains(field.Label, &ast.Ident{NamePos: pos}) {
					found = field.Label
				}
			}
			return true
		}, nil)
	}
	return found
}

// openClause returns the condition of a comprehension that depends on a declaration at one of the given
// positions.
func (p *Evaluated) openClause(places []token.Pos) ast.Expr {
	var found ast.Expr
	for _, s := range p.Index.Sources {
		ast.Walk(s.Syntax, func(n ast.Node) bool {
			clause, ok := n.(*ast.IfClause)
			if !ok || found != nil {
				return found == nil
			}
			for _, pos := range places {
				if source.Contains(clause.Condition, &ast.Ident{NamePos: pos}) {
					found = clause.Condition
				}
			}
			ast.Walk(clause.Condition, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					for _, declared := range p.declarations(e) {
						for _, pos := range places {
							if source.Contains(declared, &ast.Ident{NamePos: pos}) {
								found = clause.Condition
							}
						}
					}
				}
				return true
			}, nil)
			return true
		}, nil)
	}
	return found
}

// declarations returns the values of the fields that a reference refers to.
func (p *Evaluated) declarations(e ast.Expr) []ast.Expr {
	switch e := e.(type) {
	case *ast.Ident:
		return p.Index.Definitions(e)
	case *ast.SelectorExpr:
		var out []ast.Expr
		for _, s := range p.Index.Picked(e, 0) {
			out = append(out, s.Value)
		}
		return out
	}
	return nil
}

// lackingElement finds the element without a field that a loop reads from each element. If the element has a
// field with a similar name, that field is reported, otherwise the element.
func (p *Evaluated) lackingElement(f *finding.Finding, id *ast.Ident, label string) bool {
	var source ast.Expr
	for _, s := range p.Index.Sources {
		ast.Walk(s.Syntax, func(n ast.Node) bool {
			if clause, ok := n.(*ast.ForClause); ok && ast.Node(clause.Value) == id.Node {
				source = clause.Source
			}
			return true
		}, nil)
	}
	if source == nil {
		return false
	}
	var lacking []ast.Expr
	elements := p.Index.Elements(source, 0)
	for _, e := range elements {
		if _, written := e.(*ast.StructLit); written && len(p.Index.Descend(e, label, 0)) == 0 {
			lacking = append(lacking, e)
		}
	}
	if len(lacking) == 0 || len(lacking) == len(elements) {
		return false
	}
	e := lacking[0]
	f.Message = "this element has no field " + label + ", but the loop reads it from each element"
	f.Help = "add " + label + ", or read it only from elements that have it"
	f.File, f.Range = p.Index.SourceOf(e.Pos()).Name, p.Index.NodeRange(e)
	near := finding.Nearest(label, p.Index.Labels(e, 0))
	if slices.ContainsFunc(elements, func(o ast.Expr) bool {
		return o != e && slices.Contains(p.Index.Labels(o, 0), near)
	}) {
		near = "" // others have both
	}
	if sites := p.Index.Descend(e, near, 0); near != "" && len(sites) == 1 && sites[0].Field != nil {
		f.Recode("unknown-field")
		f.Message = "the loop reads the field " + label + " of each element, but this one has " + near
		f.Range, f.Suggestion, f.Help = p.Index.NodeRange(sites[0].Field.Label), label, finding.DidYouMean(label)
		if _, plain := sites[0].Field.Label.(*ast.Ident); plain {
			f.Fix = finding.Rewrite(f.File, f.Range, label, label)
		}
	}
	return true
}

// hiddenName matches a hidden field as CUE shows it, with its package.
var hiddenName = finding.Pattern(`(_#?[\pL\pN_$]*)\([^()\s]*:[\pL\pN_$]+\)`)

// OpenStruct returns why some or all automations of a package are missing: they depend on a condition, a loop
// or a name without a value.
func OpenStruct(pkg, automations cue.Value, files []*ast.File) error {
	if automations.Exists() {
		if err := automations.Err(); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(files, automationsInClause) {
		return nil // nothing that an automation depends on is missing
	}
	return pkg.Err()
}

// automationsInClause reports whether a file has automations in a comprehension.
func automationsInClause(f *ast.File) bool {
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
		c, ok := d.(*ast.Comprehension)
		if !ok {
			return false
		}
		return slices.Contains(source.FieldNames(c.Value), "automations")
	})
}
