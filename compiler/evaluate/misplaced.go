package evaluate

import (
	"fmt"
	"path"
	"path/filepath"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// misplacedAutomations reports automations that are outside of the field automations of a package, or hidden in
// it. CUE accepts them, but segue would ignore them. An automation that something else refers to is a template.
//
// volatile means that the findings depend on the other packages of the project.
func (e *Evaluation) misplacedAutomations(
	inst *build.Instance, value cue.Value,
) (found diagnostic.List, volatile bool, err error) {
	fields, err := value.Fields()
	if err != nil {
		return nil, false, nil // this has a finding of its own
	}
	const elsewhere = "the automations under %s are not under automations, so they are ignored"
	dir := e.Loader.Relative(inst.Dir)
	for fields.Next() {
		v, name := fields.Value(), source.LabelOf(fields)
		single := isAutomation(v)
		if name == "automations" || !single && !holdsAny(v) {
			continue
		}
		field := ownField(inst, name)
		if field == nil || usesName(inst.Files, name) {
			continue
		}
		volatile = true
		if imported, err := e.imported(dir); err != nil || imported {
			return nil, volatile, err
		}
		d := e.misplaced(field, finding.Path{name})
		switch near := finding.Nearest(name, []string{"automations"}); {
		case single:
			d.Message = fmt.Sprintf("the automation %s is not under automations, so it is ignored", name)
			d.Help = fmt.Sprintf("write automations: %s: ...; make a template a definition, such as #Base",
				finding.Selector(name))
		case near != "":
			d = finding.Diagnose("unknown-field", d)
			d.Suggestion, d.Help = near, finding.DidYouMean(near)
			d.Message = fmt.Sprintf(elsewhere, name)
			d.Fix = finding.Rewrite(d.File, d.Range, near, near)
		default:
			d.Message = fmt.Sprintf(elsewhere, name)
			d.Help = fmt.Sprintf("move them under automations; put templates in a hidden field, such as _%s",
				message.SlugOf(name))
		}
		found = append(found, d)
	}
	found = append(found, e.hidden(inst, value.LookupPath(finding.FieldPath("automations")))...)
	return found, volatile, nil
}

// misplaced returns a finding about the name of a field that automations do not belong in.
func (e *Evaluation) misplaced(field *ast.Field, at finding.Path) diagnostic.Diagnostic {
	return finding.Diagnose("misplaced-automation", diagnostic.Diagnostic{Path: at.String(),
		File: e.Loader.Relative(field.Pos().Filename()), Range: source.RangeOf(field.Label.Pos(), field.Label.End())})
}

// hidden reports automations under automations that CUE does not treat as regular fields: hidden fields,
// definitions, and optional fields.
func (e *Evaluation) hidden(inst *build.Instance, automations cue.Value) diagnostic.List {
	fields, err := automations.Fields(cue.All())
	if err != nil {
		return nil
	}
	var out diagnostic.List
	for fields.Next() {
		s := fields.Selector()
		if s.IsString() && s.ConstraintType() == 0 || !isAutomation(fields.Value()) {
			continue
		}
		name := s.String()
		if s.IsString() {
			name = s.Unquoted()
		}
		for _, f := range inst.Files {
			if filepath.Dir(f.Filename) != inst.Dir || usesName(inst.Files, name) {
				continue
			}
			ast.Walk(f, func(n ast.Node) bool {
				field, ok := n.(*ast.Field)
				if !ok {
					return true
				}
				label, _, err := ast.LabelName(field.Label)
				if at := source.PathAt(f, field.Pos()); err == nil && label == name && len(at) == 2 && at[0] == "automations" {
					d := e.misplaced(field, at)
					d.Message = fmt.Sprintf("CUE does not treat %s as a regular field, so the automation is ignored", s)
					d.Help = "use a name without _, # or ?; put templates at the top level of the file"
					out = append(out, d)
				}
				return true
			}, nil)
		}
	}
	return out
}

// isAutomation reports whether a value is an automation, or probably meant as one.
func isAutomation(v cue.Value) bool { return isText(v, "call") && isText(v, "name") }

// holdsAny reports whether a field of a struct is an automation.
func holdsAny(v cue.Value) bool {
	if v.IncompleteKind() != cue.StructKind {
		return false
	}
	fields, err := v.Fields()
	for err == nil && fields.Next() {
		if isAutomation(fields.Value()) {
			return true
		}
	}
	return false
}

// isText reports whether a struct has a string of that name.
func isText(v cue.Value, name string) bool {
	_, err := v.LookupPath(finding.FieldPath(name)).String()
	return err == nil
}

// ownField returns a top-level field in the files of a package's own folder.
func ownField(inst *build.Instance, name string) *ast.Field {
	for _, f := range inst.Files {
		if field := source.TopField(f.Decls, name); field != nil && filepath.Dir(f.Filename) == inst.Dir {
			return field
		}
	}
	return nil
}

// usesName reports whether something in the files refers to a field by its name.
func usesName(files []*ast.File, name string) bool {
	labels := map[ast.Node]bool{}
	found := false
	for _, f := range files {
		ast.Walk(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Package, *ast.ImportDecl:
				return false
			case *ast.Field:
				labels[n.Label] = true
			case *ast.Ident:
				found = found || n.Name == name && !labels[n]
			}
			return !found
		}, nil)
	}
	return found
}

// imported reports whether another package of the project imports the one in dir.
func (e *Evaluation) imported(dir string) (bool, error) {
	x := e.Explainer()
	dirs := x.ProjectDirs()
	for _, other := range dirs {
		names, err := x.SourceFiles(other)
		if err != nil {
			return false, err
		}
		for _, name := range names {
			content, err := x.Loader.Read(path.Join(other, name))
			if err != nil {
				continue // this has a finding of its own
			}
			f, err := parser.ParseFile(name, content, parser.ImportsOnly)
			if err != nil {
				continue
			}
			for spec := range f.ImportSpecs() {
				if in, ok := dirs[ast.ParseImportPath(source.ImportPath(spec)).Unqualified().String()]; ok && in == dir {
					return true, nil
				}
			}
		}
	}
	return false, nil
}
