package source

import (
	"cuelang.org/go/cue/ast"
)

// members has the fields of one of a package's top-level structs, such as automations, by name. A package can
// have thousands of them, and each finding looks one up.
type members struct {
	named map[string][]member
	// rest has the declarations of the struct that must be searched: those that contain a reference or an
	// embedding.
	rest []member
}

// A member is a field. order is its position among all of them.
type member struct {
	order int
	field *ast.Field
}

// membersOf returns the members of a top-level field. The values of the fields are only read on use, because
// unresolvable references may be cut out of them.
func (x *Index) membersOf(label string) *members {
	if m, ok := x.members[label]; ok {
		return m
	}
	m := &members{named: map[string][]member{}}
	order := 0
	for _, s := range x.topFields(label) {
		order++
		inner, plain := plainFields(s.Value)
		if !plain {
			m.rest = append(m.rest, member{order, s.Field})
			continue
		}
		for _, f := range inner {
			if name, ok := FieldLabel(f); ok {
				order++
				m.named[name] = append(m.named[name], member{order, f})
			}
		}
	}
	if x.members == nil {
		x.members = map[string]*members{}
	}
	x.members[label] = m
	return m
}

// plainFields returns the fields of a struct literal without embeddings.
func plainFields(e ast.Expr) (fields []*ast.Field, ok bool) {
	st, ok := e.(*ast.StructLit)
	if !ok {
		return nil, false
	}
	for _, d := range st.Elts {
		switch d := d.(type) {
		case *ast.Field:
			fields = append(fields, d)
		case *ast.EmbedDecl:
			return nil, false
		}
	}
	return fields, true
}

// member returns the places that set a field of a top-level struct.
func (x *Index) member(label, name string) []Site {
	m := x.membersOf(label)
	var out []Site
	named := m.named[name]
	for _, r := range m.rest {
		for len(named) > 0 && named[0].order < r.order {
			out, named = append(out, Site{named[0].field, named[0].field.Value}), named[1:]
		}
		out = append(out, x.Descend(r.field.Value, name, 0)...)
	}
	for _, n := range named {
		out = append(out, Site{n.field, n.field.Value})
	}
	return out
}
