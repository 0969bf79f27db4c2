package compiler

import (
	"fmt"
	"path/filepath"
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/diagnostic"
)

// A heritage says which automations of a package stand in its own folder. Files
// of the same package in the folders above belong to it too, as CUE has it; an
// automation belongs to the folder that declares it.
type heritage struct {
	dir        string // as the files' names have it
	own, above map[string]bool
	files      map[string]bool // those above
	// both are declared here and above, in order.
	both []string
}

// heritageOf sorts the automations that the files of a package declare.
func heritageOf(dir string, files []*ast.File) heritage {
	h := heritage{dir: filepath.Clean(dir), own: map[string]bool{}, above: map[string]bool{}, files: map[string]bool{}}
	for _, f := range files {
		in := h.above
		if filepath.Dir(f.Filename) == h.dir {
			in = h.own
		} else {
			h.files[f.Filename] = true
		}
		for _, name := range newIndex([]*source{{syntax: f}}).names("automations") {
			in[name] = true
		}
	}
	for _, name := range sorted(h.own) {
		if h.above[name] {
			h.both = append(h.both, name)
		}
	}
	return h
}

// inherits reports whether an automation, whose value CUE places at pos, comes
// from a folder above.
func (h heritage) inherits(name string, pos token.Pos) bool {
	switch {
	case h.own[name]:
		return false
	case h.above[name]:
		return true
	default:
		return pos.IsValid() && h.files[pos.Filename()]
	}
}

// names lists the literal field names of a top-level struct.
func (x *index) names(field string) []string {
	var out []string
	for _, s := range x.sites(valuePath{field}) {
		out = append(out, fieldNames(s.value)...)
	}
	return out
}

func (p *opened) heritage() heritage {
	return heritageOf(p.loader.full(p.dir), p.files())
}

// files are those of the package, as they are written.
func (p *opened) files() []*ast.File {
	var files []*ast.File
	for _, s := range p.index.sources {
		files = append(files, s.syntax)
	}
	return files
}

// declaredTwice reports automations that are declared in the package's folder
// and in one above.
func (p *opened) declaredTwice() {
	h := p.heritage()
	var own, above []*source
	for _, s := range p.index.sources {
		if filepath.Dir(s.syntax.Filename) == h.dir {
			own = append(own, s)
		} else {
			above = append(above, s)
		}
	}
	here, there := newIndex(own), newIndex(above)
	for _, name := range h.both {
		f := finding{path: valuePath{"automations", name}, spot: atLabel, Diagnostic: diagnostic.Diagnostic{
			Severity: diagnostic.Error, Code: "duplicate-key", Key: keyOf(p.dir, name),
			Message: fmt.Sprintf("%s is declared here and in a folder above, in the same package", name),
			Help:    "declare it in one folder, or give one of them another name"}}
		d := here.place(f, token.NoPos)
		other := there.place(f, token.NoPos)
		d.Related = []diagnostic.Related{{Message: "the other one", File: other.File, Range: other.Range}}
		p.found = append(p.found, d)
	}
}

// declaredAgain puts one finding in the place of the conflicts, among those from
// an index on, of an automation that is declared twice, each time with a call: a
// copy that was not given a name of its own.
func (p *opened) declaredAgain(name string, from int) {
	at := valuePath{"automations", name}
	conflict := func(d diagnostic.Diagnostic) bool { return d.Code == "conflicting-values" }
	if !slices.ContainsFunc(p.found[from:], conflict) {
		return
	}
	whole := slices.DeleteFunc(p.index.sites(at), func(s site) bool { return s.field == nil || !p.derives(s.value, 0) })
	if len(whole) < 2 {
		return
	}
	p.found = append(p.found[:from], slices.DeleteFunc(p.found[from:], conflict)...)
	first, second := whole[0].field.Label, whole[1].field.Label
	d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "duplicate-key", Path: at.String(), Key: keyOf(p.dir, name),
		Message: name + " is declared twice in the package, with different contents", Help: "give one of them another name"}
	if src := p.index.sourceOf(second.Pos()); src != nil {
		d.File, d.Range = src.name, p.index.nodeRange(second)
	}
	if src := p.index.sourceOf(first.Pos()); src != nil {
		d.Related = []diagnostic.Related{{Message: "the other one", File: src.name, Range: p.index.nodeRange(first)}}
	}
	p.found = append(p.found, d)
}

// declaredEachTurn puts one finding in the place of the conflicts, among those
// from an index on, of an automation that every turn of a comprehension declares
// under the same name.
func (p *opened) declaredEachTurn(name string, from int) {
	conflict := func(d diagnostic.Diagnostic) bool { return d.Code == "conflicting-values" }
	if !slices.ContainsFunc(p.found[from:], conflict) {
		return
	}
	for _, s := range p.index.sources {
		label, clauses := turnLabel(s.syntax, name)
		if label == nil {
			continue
		}
		p.found = append(p.found[:from], slices.DeleteFunc(p.found[from:], conflict)...)
		d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "duplicate-key", Key: keyOf(p.dir, name),
			Path: valuePath{"automations", name}.String(), File: s.name, Range: p.index.nodeRange(label),
			Message: "every turn of the loop declares the same automation, " + name,
			Help:    "make the name of what the loop goes through, as in \"" + name + "-\\(" + clauses[len(clauses)-1] + ")\""}
		if id, ok := label.(*ast.Ident); ok && slices.Contains(clauses, id.Name) {
			d.Suggestion = "(" + id.Name + ")"
			d.Help = "write " + d.Suggestion + " for the value of " + id.Name
			d.Fix = edit(d.File, d.Range, d.Suggestion, d.Suggestion)
		}
		p.found = append(p.found, d)
		return
	}
}

// turnLabel returns the label of a field of a name that stands directly in a
// comprehension over several values, and what its clauses define.
func turnLabel(f *ast.File, name string) (label ast.Label, clauses []string) {
	ast.Walk(f, func(n ast.Node) bool {
		c, ok := n.(*ast.Comprehension)
		if !ok || label != nil {
			return label == nil
		}
		st, ok := c.Value.(*ast.StructLit)
		names := clauseNames(c)
		if !ok || len(names) == 0 {
			return true
		}
		for _, d := range st.Elts {
			if field, ok := d.(*ast.Field); ok {
				if text, ok := fieldLabel(field); ok && text == name {
					label, clauses = field.Label, names
				}
			}
		}
		return true
	}, nil)
	return label, clauses
}
