package explain

import (
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// An Evaluated package is a resolved one with its value.
type Evaluated struct {
	*resolve.Resolved
	// Value is the package as CUE evaluated it. It does not exist if CUE refuses a file completely.
	Value cue.Value
	// Found has the findings so far: those of the resolved package and of its imports, and those about files
	// that can't be embedded or loaded.
	Found diagnostic.List
	// unembedded has the offsets of the @embed attributes that have a finding.
	unembedded map[int]bool
}

// Evaluate evaluates a package as far as CUE can. Unresolvable parts were taken out before.
func Evaluate(r *resolve.Resolved) *Evaluated {
	p := &Evaluated{Resolved: r, Found: r.Found}
	if r.Refused {
		return p
	}
	found, unembedded := embeds(r)
	p.unembedded = unembedded
	used := map[*resolve.Resolved]bool{}
	parse := func(name string, src any, cfg parser.Config) (*ast.File, error) {
		if f, ok := r.Patched[name]; ok {
			return f, nil
		}
		if o := r.Owner(name); o != nil && !o.Refused && o.Patched[name] != nil {
			used[o] = true
			return o.Patched[name], nil
		}
		return r.Loader.Parse(name, src, cfg)
	}
	inst := load(r, parse)
	if inst == nil {
		p.Found = slices.Concat(r.Found, found)
		return p
	}
	if inst.Err != nil {
		found = append(found, p.Errors(inst.Err)...)
	}
	for _, o := range r.Imported() {
		if used[o] {
			found = append(found, o.Found...)
		}
	}
	p.Value, p.Found = cuecontext.New().BuildInstance(inst), slices.Concat(r.Found, found)
	return p
}

// load loads a package. It returns nil if there is no such package.
func load(r *resolve.Resolved, parse func(string, any, parser.Config) (*ast.File, error)) *build.Instance {
	if r.IsProjectFile {
		return r.Loader.File(config.ProjectFile, parse)
	}
	var inst *build.Instance
	for _, i := range r.Loader.Packages([]string{r.Dir}, parse) {
		if i.PkgName == r.Name {
			inst = i
		}
	}
	return inst
}

// Accepted is a package that CUE has evaluated with nothing taken out. The value need not exist if the package
// only serves to explain errors.
func Accepted(p *resolve.Opened, value cue.Value) *Evaluated {
	r := p.AsIs()
	return &Evaluated{Resolved: r, Value: value, Found: r.Found}
}

// pathPosition is the position of the value at a path in the author's files, as far as CUE knows it.
func (p *Evaluated) pathPosition(at finding.Path) token.Pos {
	if !p.Value.Exists() {
		return token.NoPos
	}
	if v := p.Value.LookupPath(source.Selectors(at)); v.Exists() {
		return p.positionOf(v)
	}
	return token.NoPos
}
