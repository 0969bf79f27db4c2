package explain

import (
	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
)

// A Package is an opened package that is evaluated, and whose findings are
// collected.
type Package struct {
	*resolve.Package
	// Draft says that what is converted is a definition, which may be open.
	Draft bool
	// circular are the values that are made of themselves and have a finding, with
	// the path of the automation that it is about.
	circular map[ast.Expr]string
	// unembedded are the places of the @embed attributes that have a finding.
	unembedded map[int]bool
	// Positions are CUE's, by path, of the values that were converted, partials
	// the paths of structs that may have more fields than can be seen.
	Positions map[string]token.Pos
	Partials  map[string]bool
}

// New prepares a package for being evaluated and explained.
func New(p *resolve.Package) *Package {
	return &Package{Package: p, circular: map[ast.Expr]string{}, unembedded: map[int]bool{},
		Positions: map[string]token.Pos{}, Partials: map[string]bool{}}
}

// Evaluate returns the package's value, as far as CUE can tell with everything
// taken out that leads nowhere.
func (p *Package) Evaluate() cue.Value {
	if p.Resolve(); p.Refused {
		return cue.Value{}
	}
	p.embeds()
	used := map[*resolve.Package]bool{}
	parse := func(name string, src any, cfg parser.Config) (*ast.File, error) {
		if f, ok := p.Patched[name]; ok {
			return f, nil
		}
		if o := p.Owner(name); o != nil && !o.Refused && o.Patched[name] != nil {
			used[o] = true
			return o.Patched[name], nil
		}
		return p.Loader.Parse(name, src, cfg)
	}
	var inst *build.Instance
	if p.IsProjectFile {
		inst = p.Loader.File(config.ProjectFile, parse)
	} else {
		for _, i := range p.Loader.Packages([]string{p.Dir}, parse) {
			if i.PkgName == p.Name {
				inst = i
			}
		}
	}
	if inst == nil {
		return cue.Value{}
	}
	if inst.Err != nil {
		p.CueErrors(inst.Err, nil)
	}
	for _, id := range finding.SortedKeys(p.Imported) {
		if o := p.Imported[id]; used[o] {
			p.Found = append(p.Found, o.Found...)
		}
	}
	return cuecontext.New().BuildInstance(inst)
}

// Add places a finding and keeps it.
func (p *Package) Add(f finding.Finding, position token.Pos) {
	p.Found = append(p.Found, p.Index.Place(f, position))
}

// AddAll places the findings of an automation.
func (p *Package) AddAll(found []finding.Finding, key string, position token.Pos) {
	for _, f := range found {
		f.Key = key
		p.Add(f, position)
	}
}

// Raw converts a value to decoded JSON. What CUE itself says is wrong becomes a
// finding and leaves a broken value behind.
func (p *Package) Raw(v cue.Value, at finding.Path) any {
	p.Positions[at.String()] = p.positionOf(v)
	if d, ok := v.Default(); ok {
		v = d
	}
	switch kind := v.IncompleteKind(); {
	case kind == cue.BottomKind:
		return p.rawBroken(v, at)
	case kind == cue.StructKind:
		return p.rawStruct(v, at)
	case kind == cue.ListKind:
		items, err := v.List()
		if err != nil {
			return p.rawBroken(v, at)
		}
		list := []any{}
		for i := 0; items.Next(); i++ {
			list = append(list, p.Raw(items.Value(), at.With(i)))
		}
		return list
	case !v.IsConcrete():
		return p.rawOpen(v, at)
	}
	if v.Kind() == cue.BytesKind {
		b, _ := v.Bytes()
		return shape.Bytes(b)
	}
	b, err := v.MarshalJSON()
	if err != nil {
		p.CueErrors(err, at)
		return shape.Broken{}
	}
	var out any
	if err := source.UnmarshalNumber(b, &out); err != nil {
		return shape.Broken{}
	}
	return out
}

// positionOf is where the author's files give a value, as far as CUE knows; that
// of the field's name for a struct without braces, which starts where the name of
// a field within it does.
func (p *Package) positionOf(v cue.Value) token.Pos {
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

func (p *Package) rawStruct(v cue.Value, at finding.Path) any {
	fields, err := v.Fields(cue.All(), cue.Optional(false), cue.Definitions(false), cue.Hidden(false))
	if err != nil {
		return p.rawBroken(v, at)
	}
	if p.Partial(at) {
		p.Partials[at.String()] = true
	}
	m := map[string]any{}
	for fields.Next() {
		s := fields.Selector()
		if check.IsExpectation(at.With(s.Unquoted())) {
			m[s.Unquoted()] = shape.Broken{}
		} else if s.IsString() && s.ConstraintType() == 0 {
			m[s.Unquoted()] = p.Raw(fields.Value(), at.With(s.Unquoted()))
		}
	}
	return m
}

// rawBroken converts what can be had of a value with mistakes in it.
func (p *Package) rawBroken(v cue.Value, at finding.Path) any {
	if p.refersToItself(v, at) {
		return shape.Broken{}
	}
	before := len(p.Found)
	if fields, err := source.FieldsOf(v); err == nil {
		m := map[string]any{}
		for fields.Next() {
			name := source.LabelOf(fields)
			m[name] = p.Raw(fields.Value(), at.With(name))
		}
		if len(p.Found) > before {
			return m
		}
	} else if items, err := v.List(); err == nil {
		list := []any{}
		for i := 0; items.Next(); i++ {
			list = append(list, p.Raw(items.Value(), at.With(i)))
		}
		if len(p.Found) > before {
			return list
		}
	}
	failure := v.Err()
	if failure == nil {
		failure = v.Validate(cue.Concrete(true))
	}
	if written, ok := p.written(failure); ok {
		return written
	}
	p.CueErrors(failure, at)
	return shape.Broken{}
}
