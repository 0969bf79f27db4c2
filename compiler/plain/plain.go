// Package plain decides packages of plain data without CUE's evaluator.
//
// Most automations are data: literals, templates and references to placeholders, unified with a definition of
// the schema. Their value in CUE follows from their syntax. [Schema.Decide] computes it, and accepts a package
// only if it knows CUE's answer:
//
//	automations, err := plain.Embedded().Decide(files)
//	if err != nil {
//		// not plain, or not valid: CUE must decide
//	}
//
// It never refuses a package. The error is the reason that the package is left to CUE, which may still accept
// it. So each rule here may be stricter than CUE's but must not be more lenient: unknown syntax, a constraint
// that is not read exactly and a value with an uncertain result are all left to CUE.
//
// The schema is read from the files that CUE evaluates (schema.go). The author's files become nodes
// (syntax.go), and a node is compared with the definitions that it is unified with (decide.go).
package plain

import (
	"fmt"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// An Automation is one automation of a package, as CUE would export it.
type Automation struct {
	// Name is its name under automations.
	Name string
	// Value is the automation as decoded JSON, with the defaults of the schema filled in. Numbers are
	// json.Number, in CUE's format. The expectations of tests are left out. The caller may change it.
	Value map[string]any
	// Pos is the start of the automation in the file: its name.
	Pos token.Pos
}

// Decide returns the automations that files declare. These must be all files of one package, with references
// resolved by CUE's parser. The error is the reason that the package is not decided here.
func (s *Schema) Decide(files []*ast.File) ([]Automation, error) {
	p := pkg{schema: s, declared: map[string]bool{}}
	for _, f := range files {
		if err := p.file(f); err != nil {
			return nil, err
		}
	}
	if !p.has {
		return nil, fmt.Errorf("there is no field automations")
	}
	out := make([]Automation, 0, len(p.entries))
	for _, e := range p.entries {
		n, err := p.read(e.value)
		if err != nil {
			return nil, err
		}
		v, err := s.automation(n, e.pos)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		out = append(out, Automation{Name: e.name, Value: v, Pos: e.pos})
	}
	for _, imports := range p.imports {
		if !imports.used {
			return nil, fmt.Errorf("the import %s is not used", imports.pkg)
		}
	}
	return out, nil
}

// automation decides one automation.
func (s *Schema) automation(n *node, pos token.Pos) (map[string]any, error) {
	if !s.isAutomation(n) {
		return nil, notPlain(pos, "it is not unified with a definition of an automation")
	}
	v, ok := decide(n, nil)
	if !ok {
		return nil, notPlain(pos, "it is not certainly valid")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, notPlain(pos, "it is not a struct")
	}
	tests, _ := m["tests"].(map[string]any)
	for _, test := range tests {
		if test, ok := test.(map[string]any); ok {
			delete(test, "expect")
		}
	}
	return m, nil
}

// A reason is the reason that something is left to CUE.
type reason struct {
	pos  token.Pos
	text string
}

func notPlain(pos token.Pos, text string) error { return &reason{pos, text} }

func (r *reason) Error() string {
	if !r.pos.IsValid() {
		return r.text
	}
	return fmt.Sprintf("line %d: %s", r.pos.Line(), r.text)
}
