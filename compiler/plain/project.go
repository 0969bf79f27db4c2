package plain

import (
	"fmt"
	"slices"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// projectSchema is the schema of segue.cue.
var projectSchema = sync.OnceValue(func() *Schema { return newSchema("project") })

// beyondData has the fields of segue.cue that are more than values, or whose presence has a meaning of its own.
var beyondData = []string{"platforms", "placeholders"}

// planFile is the only field of a tracking plan that is a value.
const planFile = "jsonSchema"

// Project decides segue.cue, parsed by CUE's parser. It returns the value that CUE would export, with the
// defaults of the schema filled in. The error is the reason that the file is left to CUE.
func Project(f *ast.File) (map[string]any, error) {
	s := projectSchema()
	definition := s.definition("project.#Project")
	if definition == nil {
		return nil, fmt.Errorf("the schema has no projects")
	}
	p := pkg{schema: s}
	n := &node{kind: structKind, types: []*typ{definition}}
	paths := map[string]bool{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.CommentGroup:
		case *ast.ImportDecl:
			for _, spec := range d.Specs {
				if err := p.importSpec(spec, paths); err != nil {
					return nil, err
				}
			}
		case *ast.EmbedDecl:
			sel, ok := d.Expr.(*ast.SelectorExpr)
			if !ok {
				return nil, notPlain(d.Pos(), "there is an embedding that is not a definition")
			}
			if err := p.reference(n, sel); err != nil {
				return nil, err
			}
			if n.types[len(n.types)-1] != definition {
				return nil, notPlain(d.Pos(), "the definition is not that of a project")
			}
			n.types = n.types[:1] // a repetition changes nothing
		case *ast.Field:
			if err := p.structure(n, &ast.StructLit{Elts: []ast.Decl{d}}, 0); err != nil {
				return nil, err
			}
		default:
			return nil, notPlain(d.Pos(), "there is a declaration that is not a field")
		}
	}
	for spec, imports := range p.imports {
		if !imports.used {
			return nil, notPlain(spec.Pos(), "the import is not used")
		}
		if spec.Name == nil || n.get(spec.Name.Name) != nil {
			return nil, notPlain(spec.Pos(), "the import has the name of a field") // project is one
		}
	}
	for _, f := range n.fields {
		if slices.Contains(beyondData, f.label) {
			return nil, notPlain(token.NoPos, "it has more than values")
		}
		if f.label == "trackingPlan" && f.value.hasMoreThan(planFile) {
			return nil, notPlain(token.NoPos, "the tracking plan has more than values")
		}
	}
	v, ok := decide(n, nil)
	m, isStruct := v.(map[string]any)
	if !ok || !isStruct {
		return nil, notPlain(token.NoPos, "it is not certainly valid")
	}
	return m, nil
}

// hasMoreThan reports whether a struct has another field.
func (n *node) hasMoreThan(label string) bool {
	return slices.ContainsFunc(n.fields, func(f field) bool { return f.label != label })
}
