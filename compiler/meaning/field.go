package meaning

import (
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// A Field is a field within a message, at any depth.
type Field struct {
	Name  string // its last step; of an element, the name of its list
	Value any
	At    finding.Path
	// Spec is the shape that Segment's spec has for it, nil if it has none.
	Spec *shape.Shape
	// Block is the part of the message that it is in: properties, traits or context.
	Block string
}

// blocks are the parts of a message in which a team's own fields are.
var blocks = []string{"properties", "traits", "context"}

// EachField calls f with each field of the parts of a message that are a team's own, in order. at is the path of
// the message, and s its shape.
func EachField(message map[string]any, s *shape.Shape, at finding.Path, f func(Field)) {
	for _, block := range blocks {
		if v, ok := message[block].(map[string]any); ok {
			eachOf(v, Spec(s, block), block, at.With(block), f)
		}
	}
}

// Spec returns the shape of a field of a shape, nil if it has none.
func Spec(s *shape.Shape, k string) *shape.Shape {
	if s == nil || s.Fields[k] == nil {
		return nil
	}
	return s.Fields[k].Shape
}

func eachOf(fields map[string]any, spec *shape.Shape, block string, at finding.Path, f func(Field)) {
	for _, k := range finding.SortedKeys(fields) {
		within(Field{k, fields[k], at.With(k), Spec(spec, k), block}, f)
	}
}

func within(of Field, f func(Field)) {
	f(of)
	switch v := of.Value.(type) {
	case map[string]any:
		eachOf(v, of.Spec, of.Block, of.At, f)
	case []any:
		var elem *shape.Shape
		if of.Spec != nil {
			elem = of.Spec.Elem
		}
		for i, e := range v {
			within(Field{of.Name, e, of.At.With(i), elem, of.Block}, f)
		}
	}
}

// Constant reports whether a string is the same in every message, and not empty.
func Constant(v string) bool {
	t, err := automation.ParseTemplate(v)
	return err == nil && len(t.References()) == 0 && strings.TrimSpace(v) != ""
}
