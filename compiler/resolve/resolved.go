package resolve

import (
	"maps"
	"slices"

	"cuelang.org/go/cue/ast"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// A Resolved package is an opened one without unresolvable parts, so that it can be evaluated.
type Resolved struct {
	*Opened
	// Patched has the part of each file that can be evaluated, by its absolute name.
	Patched map[string]*ast.File
	// Refused means that CUE refuses a file completely. That has a finding.
	Refused bool
	// Awaits has the folders of imported packages that can't be used. The reason is explained there.
	Awaits []string
	// Found has the findings so far: those of the opened package, and those about unresolvable parts.
	Found diagnostic.List
	// altered means that an operator was corrected. That has a finding.
	altered bool
}

// A resolution is a package while it is being resolved.
type resolution struct {
	*Opened
	patched          map[string]*ast.File
	altered, refused bool
	awaits           []string
	circles          map[string]bool // cycles of imports that have a finding, by its message
}

// Resolve finds imports and references that can't be resolved, and replaces them by holes so that the rest can
// be evaluated. It takes over the syntax of the opened package, so the index of that package then has the
// resolved syntax.
func (p *Opened) Resolve() *Resolved {
	scope := map[string]bool{}
	for _, s := range p.Index.Sources {
		if p.parsed[s.Syntax.Filename] == s.Syntax {
			for name := range source.NewIndex([]*source.File{s}).Top {
				scope[name] = true
			}
		}
	}
	found := slices.Clone(p.Found)
	all := &resolution{Opened: p, patched: maps.Clone(p.parsed), circles: map[string]bool{}}
	for _, s := range p.Index.Sources {
		if p.parsed[s.Syntax.Filename] != s.Syntax {
			continue
		}
		r := &resolver{resolution: all, src: s, scope: scope, imported: map[string]*ast.ImportSpec{},
			meant: map[string]bool{}, gone: map[ast.Node]bool{}, bare: map[ast.Node]bool{},
			unresolved: map[*ast.Ident]bool{}, respelt: map[*ast.Ident]*ast.Ident{},
			otherName: map[*ast.ImportSpec]*diagnostic.Diagnostic{}, added: map[string]*ast.ImportSpec{}}
		r.file()
		for _, d := range r.found {
			found = append(found, *d)
		}
	}
	return &Resolved{Opened: p, Patched: all.patched, Refused: all.refused, Awaits: all.awaits, altered: all.altered,
		Found: found}
}

// AsIs returns the package unchanged: CUE has not refused it, or it will not be evaluated.
func (p *Opened) AsIs() *Resolved { return &Resolved{Opened: p, Patched: p.parsed, Found: p.Found} }

// Damaged reports whether something was taken out of the files or altered. A value that is open may then not be
// a mistake of its own.
func (p *Resolved) Damaged() bool {
	return p.Unparsed || p.altered || len(p.Torn)+len(p.family.holes) > 0
}

// Mended reports whether an unresolvable part, here or in an imported package, was replaced by its certain
// correction.
func (p *Resolved) Mended() bool { return len(p.family.mended) > 0 }

// Partial reports whether a struct may have more fields than are visible because it contains a hole.
func (p *Resolved) Partial(at finding.Path) bool {
	if !p.Damaged() {
		return false
	}
	sites := p.Index.Sites(at)
	return len(sites) == 0 || p.Unparsed || p.tornAutomation(at) ||
		slices.ContainsFunc(sites, func(s source.Site) bool { return p.hasHole(s.Value, 0) })
}

// tornAutomation reports whether a part of an automation may have been taken out of the files: its name is in a
// part that was taken out.
func (p *Opened) tornAutomation(at finding.Path) bool {
	if len(p.Torn) == 0 || len(at) < 2 || at[0] != "automations" {
		return false
	}
	name, _ := at[1].(string)
	return p.tornWord(name)
}

// hasHole reports whether a value contains a hole.
func (p *Opened) hasHole(e ast.Expr, depth int) bool {
	if depth > source.MaxDepth {
		return false
	}
	switch e := e.(type) {
	case *ast.Ident:
		return p.family.holes[e] || slices.ContainsFunc(p.Index.Definitions(e),
			func(def ast.Expr) bool { return p.hasHole(def, depth+1) })
	case *ast.ParenExpr:
		return p.hasHole(e.X, depth)
	case *ast.BinaryExpr:
		return p.hasHole(e.X, depth) || p.hasHole(e.Y, depth)
	case *ast.StructLit:
		return p.family.holes[e] || slices.ContainsFunc(e.Elts, func(d ast.Decl) bool {
			embed, ok := d.(*ast.EmbedDecl)
			return ok && p.hasHole(embed.Expr, depth)
		})
	}
	return false
}

// Undetermined reports whether an automation is unknown because it refers to something that can't be resolved,
// directly or through other values.
func (p *Resolved) Undetermined(at finding.Path) bool {
	if !p.Damaged() {
		return false
	}
	sites := p.Index.Sites(at)
	return len(sites) == 0 || p.tornAutomation(at) || slices.ContainsFunc(sites, func(s source.Site) bool {
		_, plain := s.Value.(*ast.StructLit)
		return !plain || p.hasHole(s.Value, 0)
	})
}
