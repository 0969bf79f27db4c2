package message

import (
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// ownBlocks are the parts of a message in which a team's own fields are.
var ownBlocks = []string{"properties", "traits", "context"}

// A fieldOf is a field within a message, at any depth.
type fieldOf struct {
	name  string // its last step; of an element, the name of its list
	value any
	at    finding.Path
	// spec is the shape that Segment's spec has for it, nil if it has none.
	spec *shape.Shape
	// block is the part of the message that it is in: properties, traits or context.
	block string
}

// fields calls f with each field of the parts of a message that are a team's own, in order.
func (m *Checked) fields(f func(fieldOf)) {
	payload, _ := m.payload.(map[string]any)
	if m.Call == "http" {
		return
	}
	s := m.payloadShape()
	for _, block := range ownBlocks {
		if v, ok := payload[block].(map[string]any); ok {
			eachOf(v, specOf(s, block), block, m.At.With("payload", block), f)
		}
	}
}

func specOf(s *shape.Shape, k string) *shape.Shape {
	if s == nil || s.Fields[k] == nil {
		return nil
	}
	return s.Fields[k].Shape
}

func eachOf(fields map[string]any, spec *shape.Shape, block string, at finding.Path, f func(fieldOf)) {
	for _, k := range finding.SortedKeys(fields) {
		within(k, fields[k], specOf(spec, k), block, at.With(k), f)
	}
}

func within(k string, v any, spec *shape.Shape, block string, at finding.Path, f func(fieldOf)) {
	f(fieldOf{k, v, at, spec, block})
	switch v := v.(type) {
	case map[string]any:
		eachOf(v, spec, block, at, f)
	case []any:
		var elem *shape.Shape
		if spec != nil {
			elem = spec.Elem
		}
		for i, e := range v {
			within(k, e, elem, block, at.With(i), f)
		}
	}
}
