package source

import (
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// AboutUse has the codes of findings about a value that is wrong where it is used. If two uses have such a
// finding, the value itself is wrong.
var AboutUse = map[string]bool{
	"wrong-type": true, "invalid-value": true, "missing-cast": true, "placeholder-type": true,
	"invalid-time": true, "out-of-range": true, "too-long": true,
}

// origin returns the literal that sets a finding's value, if the site only refers to it and there is no other
// such literal; else nil.
func (x *Index) origin(f finding.Finding, s Site) *ast.BasicLit {
	if f.Spot != finding.AtValue {
		return nil
	}
	use := literalPart(s.Value)
	if _, ok := use.(*ast.BasicLit); ok {
		return nil
	}
	var found []*ast.BasicLit
	if src := x.SourceOf(f.Origin); src != nil {
		if from := SiteAt(src.Syntax, f.Origin); from.Value != nil && from.Value != use {
			found = x.literals(from.Value, 0)
		}
	}
	if len(found) == 0 {
		found = x.literals(use, 0)
	}
	found = slices.DeleteFunc(found, func(lit *ast.BasicLit) bool {
		text, err := literal.Unquote(lit.Value)
		return f.Part != "" && (err != nil || !strings.Contains(text, f.Part))
	})
	if _, pure := use.(*ast.Interpolation); len(found) != 1 || pure && f.Part == "" {
		return nil
	}
	return found[0]
}

// literals lists the literals in an expression, through references.
func (x *Index) literals(e ast.Expr, depth int) []*ast.BasicLit {
	if depth > MaxDepth {
		return nil
	}
	var out []*ast.BasicLit
	switch e := e.(type) {
	case *ast.ParenExpr:
		return x.literals(e.X, depth)
	case *ast.BinaryExpr:
		if e.Op == token.AND || e.Op == token.ADD {
			return append(x.literals(e.X, depth+1), x.literals(e.Y, depth+1)...)
		}
	case *ast.Interpolation:
		for i, part := range e.Elts {
			if i%2 == 1 { // between the parts of the string
				out = append(out, x.literals(part, depth+1)...)
			}
		}
	case *ast.BasicLit:
		return []*ast.BasicLit{e}
	case *ast.Ident:
		for _, def := range x.Definitions(e) {
			out = append(out, x.literals(def, depth+1)...)
		}
	case *ast.SelectorExpr:
		for _, s := range x.Picked(e, depth+1) {
			out = append(out, s.index.literals(s.Value, depth+1)...)
		}
	}
	return slices.CompactFunc(out, func(a, b *ast.BasicLit) bool { return a == b })
}

// ByOrigin merges findings about several uses of one value into one finding at the value. It does the same if
// only one of the elements that a comprehension uses in one place is wrong. If several elements are wrong, the
// use is wrong, and the finding is placed there.
func ByOrigin(list diagnostic.List) diagnostic.List {
	uses, elements := map[flowEnd]map[flowEnd]bool{}, map[flowEnd]map[flowEnd]bool{}
	for _, d := range list {
		value, use, _ := flow(d)
		if value == (flowEnd{}) {
			continue
		}
		if uses[value] == nil {
			uses[value] = map[flowEnd]bool{}
		}
		if elements[use] == nil {
			elements[use] = map[flowEnd]bool{}
		}
		uses[value][use], elements[use][value] = true, true
	}
	first := map[flowEnd]int{} // into out
	out := list[:0]
	for _, d := range list {
		value, use, element := flow(d)
		at := use
		switch {
		case value == (flowEnd{}):
			out = append(out, d)
			continue
		case len(uses[value]) > 1 || element && len(elements[use]) == 1:
			at = value
			d.File, d.Range, d.Fix = value.file, value.at, nil
		case !element || len(elements[use]) == 1:
			out = append(out, d)
			continue
		}
		if at == value {
			d.Related = []diagnostic.Related{{Message: finding.UsedHere, File: use.file, Range: use.at}}
		}
		if i, told := first[at]; !told {
			first[at] = len(out)
			out = append(out, d)
		} else if !slices.Contains(out[i].Related, d.Related[0]) {
			out[i].Related = append(out[i].Related, d.Related[0])
		}
	}
	return out
}

// A flowEnd is the place of a value or of its use, for findings of one code.
type flowEnd struct {
	code, file string
	at         diagnostic.Range
}

// flow returns the places of the value that a finding is about and of its use, and whether the value is an
// element that a comprehension iterates over. The results are zero if the places are not known.
func flow(d diagnostic.Diagnostic) (value, use flowEnd, element bool) {
	for _, r := range d.Related {
		if AboutUse[d.Code] && (r.Message == finding.GivenHere || r.Message == finding.ElementHere) {
			return flowEnd{d.Code, r.File, r.Range}, flowEnd{d.Code, d.File, d.Range}, r.Message == finding.ElementHere
		}
	}
	return flowEnd{}, flowEnd{}, false
}
