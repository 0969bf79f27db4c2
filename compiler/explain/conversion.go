package explain

import (
	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// A Raw value is one of an evaluated package as decoded JSON, for the checks.
type Raw struct {
	// Value is [shape.Broken] where CUE found a mistake, which has a finding.
	Value any
	// Positions maps paths in the value to CUE's positions.
	Positions map[string]token.Pos
	// Partial has the paths of structs that may have more fields than are visible.
	Partial map[string]bool
	// Found has the findings about the value that come from CUE's errors.
	Found diagnostic.List
}

// Raw converts the value of the package at a path. draft means that it is a definition, so it may be open.
func (p *Evaluated) Raw(v cue.Value, at finding.Path, draft bool) Raw {
	c := p.Convert(draft)
	value, found := c.Value(v, at)
	return Raw{Value: value, Positions: c.Positions, Partial: c.Partials, Found: found}
}

// Errors turns CUE's errors about a package into findings, one per mistake. The errors give their own paths.
func (p *Evaluated) Errors(err error) diagnostic.List { return p.Convert(false).errors(err, nil) }

// ErrorsAt turns CUE's errors about the value at a path into findings.
func (p *Evaluated) ErrorsAt(err error, at finding.Path) diagnostic.List {
	return p.Convert(false).errors(err, at)
}

// A Conversion converts several values of a package. It remembers its findings, so that one mistake has one
// finding.
type Conversion struct {
	*Evaluated
	// Positions maps paths of converted values to CUE's positions. Partials has the paths of structs that may
	// have more fields than are visible.
	Positions map[string]token.Pos
	Partials  map[string]bool

	draft bool
	// circular maps values that depend on themselves and have a finding to the path of the automation that the
	// finding is about.
	circular map[ast.Expr]string
	// told has the findings that are made only once, by path and message.
	told map[[2]string]bool
}

// Convert starts a conversion. draft means that the values are definitions, so they may be open.
func (p *Evaluated) Convert(draft bool) *Conversion {
	return &Conversion{Evaluated: p, Positions: map[string]token.Pos{}, Partials: map[string]bool{}, draft: draft,
		circular: map[ast.Expr]string{}, told: map[[2]string]bool{}}
}

// Value converts a value to decoded JSON. An error from CUE becomes a finding, and the value becomes
// [shape.Broken].
func (c *Conversion) Value(v cue.Value, at finding.Path) (any, diagnostic.List) {
	c.Positions[at.String()] = c.positionOf(v)
	if d, ok := v.Default(); ok {
		v = d
	}
	switch kind := v.IncompleteKind(); {
	case kind == cue.BottomKind:
		return c.broken(v, at)
	case kind == cue.StructKind:
		return c.structure(v, at)
	case kind == cue.ListKind:
		items, err := v.List()
		if err != nil {
			return c.broken(v, at)
		}
		return c.list(items, at)
	case !v.IsConcrete():
		return c.undecided(v, at)
	}
	if v.Kind() == cue.BytesKind {
		b, _ := v.Bytes()
		return shape.Bytes(b), nil
	}
	b, err := v.MarshalJSON()
	if err != nil {
		return shape.Broken{}, c.errors(err, at)
	}
	var out any
	if err := source.UnmarshalNumber(b, &out); err != nil {
		return shape.Broken{}, nil
	}
	return out, nil
}

func (c *Conversion) list(items cue.Iterator, at finding.Path) (list []any, found diagnostic.List) {
	list = []any{}
	for i := 0; items.Next(); i++ {
		item, more := c.Value(items.Value(), at.With(i))
		list, found = append(list, item), append(found, more...)
	}
	return list, found
}

// positionOf is the position of a value in the author's files, as far as CUE knows it. For a struct without
// braces it is the position of the field's name, because such a struct starts at the name of its first field.
func (p *Evaluated) positionOf(v cue.Value) token.Pos {
	pos := v.Pos()
	if p.Index.SourceOf(pos) == nil {
		if op, args := v.Expr(); op == cue.AndOp {
			for _, arg := range args {
				if p.Index.SourceOf(arg.Pos()) != nil {
					pos = arg.Pos()
					break
				}
			}
		}
	}
	if src := p.Index.SourceOf(pos); src != nil && v.IncompleteKind() == cue.StructKind {
		if field, ok := src.Braceless()[pos.Offset()]; ok {
			return field.Label.Pos()
		}
	}
	return pos
}

func (c *Conversion) structure(v cue.Value, at finding.Path) (any, diagnostic.List) {
	fields, err := v.Fields(cue.All(), cue.Optional(false), cue.Definitions(false), cue.Hidden(false))
	if err != nil {
		return c.broken(v, at)
	}
	if c.Partial(at) {
		c.Partials[at.String()] = true
	}
	m := map[string]any{}
	var found diagnostic.List
	for fields.Next() {
		s := fields.Selector()
		if message.IsExpectation(at.With(s.Unquoted())) {
			m[s.Unquoted()] = shape.Broken{}
		} else if s.IsString() && s.ConstraintType() == 0 {
			value, more := c.Value(fields.Value(), at.With(s.Unquoted()))
			m[s.Unquoted()], found = value, append(found, more...)
		}
	}
	return m, found
}

// broken converts a value with mistakes in it as far as possible.
func (c *Conversion) broken(v cue.Value, at finding.Path) (any, diagnostic.List) {
	if found, ok := c.refersToItself(v, at); ok {
		return shape.Broken{}, found
	}
	if fields, err := source.FieldsOf(v); err == nil {
		m := map[string]any{}
		var found diagnostic.List
		for fields.Next() {
			name := source.LabelOf(fields)
			value, more := c.Value(fields.Value(), at.With(name))
			m[name], found = value, append(found, more...)
		}
		if len(found) > 0 {
			return m, found
		}
	} else if items, err := v.List(); err == nil {
		if list, found := c.list(items, at); len(found) > 0 {
			return list, found
		}
	}
	failure := v.Err()
	if failure == nil {
		failure = v.Validate(cue.Concrete(true))
	}
	if written, ok := c.written(failure); ok {
		return written, nil
	}
	return shape.Broken{}, c.errors(failure, at)
}
