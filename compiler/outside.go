package compiler

import (
	"fmt"
	"path/filepath"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/diagnostic"
)

// outside reports automations that stand at the top of a package and not in its
// field automations. CUE has nothing against them, and nothing would become of
// them. One that something else refers to is a template.
func (e *evaluation) outside(inst *build.Instance, value cue.Value) (diagnostic.List, error) {
	fields, err := value.Fields()
	if err != nil {
		return nil, nil // which has a finding of its own
	}
	var out diagnostic.List
	dir := e.loader.relative(inst.Dir)
	for fields.Next() {
		v, name := fields.Value(), labelOf(fields)
		if name == "automations" || !isText(v, "call") || !isText(v, "name") {
			continue
		}
		field := ownField(inst, name)
		if field == nil || usesName(inst.Files, name) {
			continue
		}
		if imported, err := e.imported(dir); err != nil || imported {
			return nil, err
		}
		out = append(out, diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "misplaced-automation",
			File: e.loader.relative(field.Pos().Filename()), Range: rangeOf(field.Label.Pos(), field.Label.End()), Path: valuePath{name}.String(),
			Message: fmt.Sprintf("the automation %s does not stand under automations: nothing would become of it", name),
			Help:    fmt.Sprintf("write automations: %s: ...; let a template for others be a definition, such as #Base", labelSelector(name))})
	}
	return out, nil
}

// isText reports whether a struct has a text of that name.
func isText(v cue.Value, name string) bool {
	_, err := v.LookupPath(valueSelector(name)).String()
	return err == nil
}

// ownField returns a field at the top of the files in a package's own folder.
func ownField(inst *build.Instance, name string) *ast.Field {
	for _, f := range inst.Files {
		if field := topField(f, name); field != nil && filepath.Dir(f.Filename) == inst.Dir {
			return field
		}
	}
	return nil
}

// usesName reports whether something in the files refers to a field at their top.
func usesName(files []*ast.File, name string) bool {
	found := false
	for _, f := range files {
		ast.Walk(f, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok {
				ast.Walk(field.Value, func(n ast.Node) bool {
					id, ok := n.(*ast.Ident)
					found = found || ok && id.Name == name
					return !found
				}, nil)
				return false
			}
			return !found
		}, nil)
	}
	return found
}

// imported reports whether another package of the project imports one.
func (e *evaluation) imported(dir string) (bool, error) {
	x, err := e.explainer()
	if err != nil {
		return false, err
	}
	dirs := x.projectDirs()
	for _, other := range dirs {
		names, err := x.sourceFiles(other)
		if err != nil {
			return false, err
		}
		for _, name := range names {
			f, err := parser.ParseFile(filepath.Join(e.loader.root, filepath.FromSlash(other), name), nil, parser.ImportsOnly)
			if err != nil {
				continue // which has a finding of its own
			}
			for spec := range f.ImportSpecs() {
				if in, ok := dirs[ast.ParseImportPath(importPath(spec)).Unqualified().String()]; ok && in == dir {
					return true, nil
				}
			}
		}
	}
	return false, nil
}
