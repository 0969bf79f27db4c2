package resolve

import (
	"path/filepath"
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// Heritage returns which automations of the package are declared in its own folder, and which in the folders
// above.
func (p *Opened) Heritage() source.Heritage {
	return source.HeritageOf(p.Loader.Full(p.Dir), p.Files())
}

// Files returns the files of the package, as they are written.
func (p *Opened) Files() []*ast.File {
	var files []*ast.File
	for _, s := range p.Index.Sources {
		files = append(files, s.Syntax)
	}
	return files
}

// DeclaredTwice reports automations that are declared both in the package's folder and in a folder above.
func (p *Opened) DeclaredTwice() (found diagnostic.List) {
	h := p.Heritage()
	var own, above []*source.File
	for _, s := range p.Index.Sources {
		if filepath.Dir(s.Syntax.Filename) == h.Dir {
			own = append(own, s)
		} else {
			above = append(above, s)
		}
	}
	here, there := source.NewIndex(own), source.NewIndex(above)
	for _, name := range h.Both {
		f := finding.New("duplicate-key", finding.Path{"automations", name}, finding.AtLabel,
			name+" is declared here and in a folder above, in the same package",
			"declare it in one folder, or give one of them another name")
		f.Key = finding.KeyOf(p.Dir, name)
		d := here.Place(f, token.NoPos)
		other := there.Place(f, token.NoPos)
		d.Related = []diagnostic.Related{{Message: "the other one", File: other.File, Range: other.Range}}
		found = append(found, d)
	}
	return found
}

// WithoutCopies returns the findings about an automation. It replaces conflicts by one finding if they come
// from declaring the automation more than once: twice with a call each, or in every iteration of a
// comprehension.
func (p *Opened) WithoutCopies(name string, found diagnostic.List) diagnostic.List {
	for _, declared := range []func(string) (diagnostic.Diagnostic, bool){p.declaredAgain, p.declaredEachTurn} {
		if !slices.ContainsFunc(found, isConflict) {
			return found
		}
		if d, ok := declared(name); ok {
			found = append(slices.DeleteFunc(slices.Clone(found), isConflict), d)
		}
	}
	return found
}

func isConflict(d diagnostic.Diagnostic) bool { return d.Code == "conflicting-values" }

// declaredAgain returns the finding about an automation that is declared twice, each time with a call: a copy
// that was not renamed.
func (p *Opened) declaredAgain(name string) (d diagnostic.Diagnostic, ok bool) {
	at := finding.Path{"automations", name}
	whole := slices.DeleteFunc(p.Index.Sites(at),
		func(s source.Site) bool { return s.Field == nil || !p.derives(s.Value, 0) })
	if len(whole) < 2 {
		return d, false
	}
	first, second := whole[0].Field.Label, whole[1].Field.Label
	d = finding.Diagnose("duplicate-key", diagnostic.Diagnostic{Path: at.String(), Key: finding.KeyOf(p.Dir, name),
		Message: name + " is declared twice in the package, with different contents",
		Help:    "give one of them another name"})
	if src := p.Index.SourceOf(second.Pos()); src != nil {
		d.File, d.Range = src.Name, p.Index.NodeRange(second)
	}
	if src := p.Index.SourceOf(first.Pos()); src != nil {
		d.Related = []diagnostic.Related{{Message: "the other one", File: src.Name, Range: p.Index.NodeRange(first)}}
	}
	return d, true
}

// declaredEachTurn returns the finding about an automation that every iteration of a comprehension declares
// under the same name.
func (p *Opened) declaredEachTurn(name string) (d diagnostic.Diagnostic, ok bool) {
	for _, s := range p.Index.Sources {
		label, clauses := turnLabel(s.Syntax, name)
		if label == nil {
			continue
		}
		d = finding.Diagnose("duplicate-key", diagnostic.Diagnostic{Key: finding.KeyOf(p.Dir, name),
			Path: finding.Path{"automations", name}.String(), File: s.Name, Range: p.Index.NodeRange(label),
			Message: "every iteration of the loop declares the same automation, " + name,
			Help: "use the loop variable in the name, as in \"" + name + "-\\(" +
				clauses[len(clauses)-1] + ")\""})
		if id, ok := label.(*ast.Ident); ok && slices.Contains(clauses, id.Name) {
			d.Suggestion = "(" + id.Name + ")"
			d.Help = "write " + d.Suggestion + " for the value of " + id.Name
			d.Fix = finding.Rewrite(d.File, d.Range, d.Suggestion, d.Suggestion)
		}
		return d, true
	}
	return d, false
}

// turnLabel returns the label of a field with the given name that is directly in a comprehension over several
// values, and the names that its clauses define.
func turnLabel(f *ast.File, name string) (label ast.Label, clauses []string) {
	ast.Walk(f, func(n ast.Node) bool {
		c, ok := n.(*ast.Comprehension)
		if !ok || label != nil {
			return label == nil
		}
		st, ok := c.Value.(*ast.StructLit)
		names := source.ClauseNames(c)
		if !ok || len(names) == 0 {
			return true
		}
		for _, d := range st.Elts {
			if field, ok := d.(*ast.Field); ok {
				if text, ok := source.FieldLabel(field); ok && text == name {
					label, clauses = field.Label, names
				}
			}
		}
		return true
	}, nil)
	return label, clauses
}
