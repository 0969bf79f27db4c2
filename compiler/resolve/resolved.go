package resolve

import (
	"maps"
	"slices"

	"cuelang.org/go/cue/ast"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// A Resolved package is an opened one without what leads nowhere, so that it can be
// evaluated.
type Resolved struct {
	*Opened
	// Patched is what can be evaluated of each file, by its absolute name.
	Patched map[string]*ast.File
	// Refused says that CUE does not take a file at all, for which there is a
	// finding.
	Refused bool
	// Awaits are the folders of packages that are imported and can't be used: that
	// is explained there.
	Awaits []string
	// Found are the findings so far: those of the opened package, and those about
	// what leads nowhere.
	Found diagnostic.List
	// altered says that an operator was put right, for which there is a finding.
	altered bool
}

// A resolution is a package while it is resolved.
type resolution struct {
	*Opened
	patched          map[string]*ast.File
	altered, refused bool
	awaits           []string
	circles          map[string]bool // of imports that have a finding, by its message
}

// Resolve finds imports and references that lead nowhere, and puts a hole in their
// place so that the rest can be evaluated. It takes over the syntax of the opened
// package, whose index then finds what is left of it.
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

// AsIs is the package as it is: CUE has not refused it, or it is not to be evaluated.
func (p *Opened) AsIs() *Resolved { return &Resolved{Opened: p, Patched: p.parsed, Found: p.Found} }

// Damaged reports whether something was taken out of the files or altered, so that a value
// that is open may be no mistake of its own.
func (p *Resolved) Damaged() bool {
	return p.Unparsed || p.altered || len(p.Torn)+len(p.family.holes) > 0
}

// Mended reports whether something that leads nowhere was replaced, here or in a package
// that is imported, by what was certainly meant.
func (p *Resolved) Mended() bool { return len(p.family.mended) > 0 }

// Partial reports whether a struct may have more fields than can be seen, for
// what it is made of has a hole.
func (p *Resolved) Partial(at finding.Path) bool {
	if !p.Damaged() {
		return false
	}
	sites := p.Index.Sites(at)
	return len(sites) == 0 || p.Unparsed || p.tornAutomation(at) ||
		slices.ContainsFunc(sites, func(s source.Site) bool { return p.hasHole(s.Value, 0) })
}

// tornAutomation reports whether a part of an automation may have been taken out
// of the files: its name stands there.
func (p *Opened) tornAutomation(at finding.Path) bool {
	if len(p.Torn) == 0 || len(at) < 2 || at[0] != "automations" {
		return false
	}
	name, _ := at[1].(string)
	return p.tornWord(name)
}

// hasHole reports whether one of the parts that make up a value is a hole.
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

// Undetermined reports whether what an automation is can't be told, because a
// reference in it, or in what it may be made of, leads nowhere.
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
