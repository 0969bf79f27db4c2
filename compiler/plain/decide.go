package plain

import (
	"encoding/json"
	"strconv"
)

// decide returns the value that CUE exports for a node that is unified with some types, and with its own types.
// It returns false if CUE may refuse the node, or may export another value.
func decide(n *node, types []*typ) (any, bool) {
	var buffer [8]*typ
	flat, ok := expand(n, n.types, buffer[:0])
	if !ok {
		return nil, false
	}
	if flat, ok = expand(n, types, flat); !ok {
		return nil, false
	}
	switch n.kind {
	case nullKind:
		return nil, true
	case boolKind:
		return n.bool, true
	case numberKind:
		return json.Number(n.text), true
	case stringKind:
		return n.text, true
	case listKind:
		return decideList(n, flat)
	case structKind:
		return decideStruct(n, flat)
	}
	return nil, false
}

// expand adds those parts of types that constrain a list or a struct to flat. For a scalar, it decides at once.
// It also chooses among alternatives: all but one must certainly refuse the value, because CUE may otherwise
// consider it ambiguous.
func expand(n *node, types, flat []*typ) ([]*typ, bool) {
	for _, t := range types {
		var ok bool
		switch {
		case t.kind == top:
		case t.kind == all:
			if flat, ok = expand(n, t.parts, flat); !ok {
				return nil, false
			}
		case n.kind < listKind:
			if !t.accepts(n) {
				return nil, false
			}
		case t.kind == either:
			var chosen *typ
			for _, part := range t.parts {
				switch {
				case part.refuses(n):
				case chosen != nil:
					return nil, false
				default:
					chosen = part
				}
			}
			if chosen == nil {
				return nil, false
			}
			if flat, ok = expand(n, []*typ{chosen}, flat); !ok {
				return nil, false
			}
		case n.kind == listKind && t.kind == listOf, n.kind == structKind && (t.kind == structOf || t.kind == count):
			flat = append(flat, t)
		default:
			return nil, false
		}
	}
	return flat, true
}

// accepts reports whether a scalar is certainly accepted.
func (t *typ) accepts(n *node) bool {
	switch t.kind {
	case top:
		return true
	case basic:
		for _, k := range t.kinds {
			if k == n.kind && (!t.ints || n.isInt) {
				return true
			}
		}
	case constant:
		return t.value.same(n)
	case predicate:
		return n.kind == stringKind && t.holds(n.text)
	case bounds:
		if n.kind != numberKind || !n.isInt {
			return false
		}
		v, err := strconv.ParseInt(n.text, 10, 64)
		return err == nil && v >= t.from && v <= t.to
	case all:
		for _, part := range t.parts {
			if !part.accepts(n) {
				return false
			}
		}
		return true
	case either:
		for _, part := range t.parts {
			if part.accepts(n) {
				return true
			}
		}
	}
	return false
}

// same reports whether two nodes are the same node, or equal strings or booleans.
func (n *node) same(o *node) bool {
	return n == o || n.kind == o.kind && n.text == o.text && n.bool == o.bool &&
		(n.kind == stringKind || n.kind == boolKind)
}

// refuses reports whether a list or struct is certainly refused.
func (t *typ) refuses(n *node) bool {
	switch t.kind {
	case basic, constant, predicate, bounds:
		return true
	case listOf:
		return n.kind != listKind
	case structOf:
		if n.kind != structKind {
			return true
		}
		if !t.closed() {
			return false
		}
		for i := range n.fields {
			if _, known := t.fields[n.fields[i].label]; !known {
				return true
			}
		}
	case all:
		for _, part := range t.parts {
			if part.refuses(n) {
				return true
			}
		}
	case either:
		for _, part := range t.parts {
			if !part.refuses(n) {
				return false
			}
		}
		return true
	}
	return false
}

func decideList(n *node, flat []*typ) (any, bool) {
	elems, first := make([]*typ, 0, len(flat)), make([]*typ, 0, len(flat))
	for _, t := range flat {
		elems = append(elems, t.elem)
		if t.first == nil {
			first = append(first, t.elem)
			continue
		}
		if len(n.list) == 0 {
			return nil, false
		}
		first = append(first, t.first)
	}
	out := make([]any, len(n.list))
	for i, e := range n.list {
		types := elems
		if i == 0 {
			types = first
		}
		v, ok := decide(e, types)
		if !ok {
			return nil, false
		}
		out[i] = v
	}
	return out, true
}

func decideStruct(n *node, flat []*typ) (any, bool) {
	out := make(map[string]any, len(n.fields)+2)
	var buffer [8]*typ
	for i := range n.fields {
		f := &n.fields[i]
		types, ok := fieldTypes(f.label, flat, buffer[:0])
		if !ok {
			return nil, false
		}
		v, ok := decide(f.value, types)
		if !ok {
			return nil, false
		}
		out[f.label] = v
	}
	for _, t := range flat {
		for _, label := range t.filled {
			f := t.fields[label]
			if old, there := out[label]; there {
				// The author's value was compared with the type. With another default,
				// CUE's answer is uncertain.
				if n.get(label) == nil && (f.fill.kind == structKind || old != f.fill.plain()) {
					return nil, false
				}
				continue
			}
			types, ok := fieldTypes(label, flat, buffer[:0])
			if !ok {
				return nil, false
			}
			v, ok := decide(f.fill, types)
			if !ok {
				return nil, false
			}
			out[label] = v
		}
	}
	for _, t := range flat {
		if t.kind == count {
			has := 0
			for _, label := range t.counted {
				if _, ok := out[label]; ok {
					has++
				}
			}
			if has < t.least || has > t.most {
				return nil, false
			}
			continue
		}
		for _, label := range t.required {
			if _, ok := out[label]; !ok {
				return nil, false
			}
		}
	}
	return out, true
}

// plain returns the value of a scalar, nil for others.
func (n *node) plain() any {
	switch n.kind {
	case boolKind:
		return n.bool
	case numberKind:
		return json.Number(n.text)
	case stringKind:
		return n.text
	}
	return nil
}

// fieldTypes adds the constraints of some types on a field to types. It returns false if one of them may not
// allow the field.
func fieldTypes(label string, flat, types []*typ) ([]*typ, bool) {
	for _, t := range flat {
		if t.kind != structOf {
			continue
		}
		f, known := t.fields[label]
		if known {
			types = append(types, f.typ)
		}
		if t.rest != nil {
			types = append(types, t.rest)
		}
		if !known && t.rest == nil && !t.open && !t.unclosed {
			return nil, false
		}
	}
	return types, true
}
