package source

import (
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// Fix returns the fix of a finding that is placed at d.Range in one of the sites of its value. It returns nil
// if no fix is certain.
func (x *Index) Fix(d *diagnostic.Diagnostic, f finding.Finding, chosen Site, sites []Site) *diagnostic.Fix {
	src := x.SourceOf(chosen.Value.Pos())
	if f.Repair == nil || src == nil || src.Name != d.File {
		return nil
	}
	if !f.Repair.Shared && !x.own(f.At, chosen.Value) {
		return nil // the correction may be wrong for others that use the value
	}
	switch f.Repair.How {
	case finding.RenameField:
		return x.rename(d, f, chosen, sites)
	case finding.RewriteText:
		lit, ok := onlyLiteral(chosen, sites)
		text := f.Repair.Text
		if !ok || lit.Kind != token.STRING || strings.ContainsAny(text, "\"\\\n\r'") ||
			strings.ContainsAny(f.Part, "\\\n\r") || src.Covered(d.Range) != f.Part {
			return nil
		}
		return finding.Rewrite(d.File, d.Range, text, text)
	default:
		lit, ok := onlyLiteral(chosen, sites)
		if !ok || x.NodeRange(lit) != d.Range {
			return nil
		}
		return finding.Rewrite(d.File, d.Range, f.Repair.Text, f.Repair.Text)
	}
}

// own reports whether a part of an automation is written in the automation itself, not in something that it
// refers to. In segue.cue everything counts as its own.
func (x *Index) own(at finding.Path, n ast.Node) bool {
	if len(at) < 2 || at[0] != "automations" {
		return true
	}
	return slices.ContainsFunc(x.Sites(at[:2]), func(s Site) bool {
		return x.SourceOf(s.Value.Pos()) == x.SourceOf(n.Pos()) && Contains(s.Value, n)
	})
}

// onlyLiteral returns the literal that sets a value, if there is exactly one.
func onlyLiteral(chosen Site, sites []Site) (*ast.BasicLit, bool) {
	n := 0
	for _, s := range sites {
		if _, ok := literalPart(s.Value).(*ast.BasicLit); ok {
			n++
		}
	}
	lit, ok := literalPart(chosen.Value).(*ast.BasicLit)
	return lit, ok && n < 2
}

// lineStarts returns the offsets of a file's lines. It computes them once, because a large file can have many
// findings.
func (s *File) lineStarts() []int {
	if s.lines == nil {
		s.lines = []int{0}
		for i, b := range s.Content {
			if b == '\n' {
				s.lines = append(s.lines, i+1)
			}
		}
	}
	return s.lines
}

// position converts an offset into a line and column.
func (s *File) position(offset int) diagnostic.Position {
	line, exact := slices.BinarySearch(s.lineStarts(), offset)
	if exact {
		line++
	}
	return diagnostic.Position{Line: line, Column: offset - s.lines[line-1] + 1}
}

// Covered returns the text that a range covers, "" if it is not in the file.
func (s *File) Covered(r diagnostic.Range) string {
	lines := s.lineStarts()
	if r.Start.Line < 1 || r.End.Line < r.Start.Line || r.End.Line > len(lines) {
		return ""
	}
	start, end := lines[r.Start.Line-1]+r.Start.Column-1, lines[r.End.Line-1]+r.End.Column-1
	if start < 0 || end < start || end > len(s.Content) {
		return ""
	}
	return string(s.Content[start:end])
}

// rename renames a field, unless something refers to it by the old name.
func (x *Index) rename(d *diagnostic.Diagnostic, f finding.Finding, chosen Site, sites []Site) *diagnostic.Fix {
	if chosen.Field == nil || len(sites) > 1 || x.NodeRange(chosen.Field.Label) != d.Range {
		return nil
	}
	old, ok := FieldLabel(chosen.Field)
	if !ok || x.referredTo(chosen.Field, old) {
		return nil
	}
	switch label := chosen.Field.Label.(type) {
	case *ast.Ident:
		text := f.Repair.Text
		if ast.StringLabelNeedsQuoting(text) && !strings.HasPrefix(text, "#") {
			text = strconv.Quote(text)
		}
		return finding.Rewrite(d.File, d.Range, text, f.Repair.Text)
	case *ast.BasicLit:
		if strings.HasPrefix(label.Value, `"`) && !strings.HasPrefix(label.Value, `"""`) {
			return finding.Rewrite(d.File, d.Range, strconv.Quote(f.Repair.Text), f.Repair.Text)
		}
	}
	return nil
}

// referredTo reports whether an expression of the files may refer to a field.
func (x *Index) referredTo(field *ast.Field, name string) bool {
	if x.references == nil {
		x.references = map[ast.Node]bool{}
		x.selected = map[string]bool{}
		for _, s := range x.Sources {
			ast.Walk(s.Syntax, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Ident:
					x.references[n.Node] = true
				case *ast.SelectorExpr:
					if label, _, err := ast.LabelName(n.Sel); err == nil {
						x.selected[label] = true
					}
				}
				return true
			}, nil)
		}
	}
	return x.references[field] || x.references[field.Value] || x.selected[name]
}

// WithoutClashes removes the fixes that would give two fields of a struct the
// same name.
func WithoutClashes(found diagnostic.List) {
	type label struct{ file, parent, name string }
	places := map[label][]diagnostic.Range{}
	of := func(d diagnostic.Diagnostic) (label, bool) {
		if d.Fix == nil || !slices.Contains([]string{"unknown-field", "unknown-code", "unplanned-property",
			"header-case"}, d.Code) {
			return label{}, false
		}
		parent := d.Path
		if i := strings.LastIndexByte(strings.TrimSuffix(parent, `"`), '.'); i >= 0 {
			parent = parent[:i]
		}
		return label{d.File, parent, d.Suggestion}, true
	}
	for _, d := range found {
		if l, ok := of(d); ok && !slices.Contains(places[l], d.Range) {
			places[l] = append(places[l], d.Range)
		}
	}
	for i, d := range found {
		if l, ok := of(d); ok && len(places[l]) > 1 {
			found[i].Fix = nil
		}
	}
}
