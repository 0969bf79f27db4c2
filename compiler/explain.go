package compiler

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
)

// An explainer turns what CUE refused into findings. It reads a package again
// with the lenient schema and with what can't be resolved taken out, so that all
// mistakes are seen at once and each has its place.
type explainer struct {
	loader  *loader
	catalog automation.Catalog
}

func newExplainer(root string, catalog automation.Catalog) (*explainer, error) {
	l, err := newLoader(root, lenientFiles())
	if err != nil {
		return nil, err
	}
	return &explainer{loader: l, catalog: catalog}, nil
}

// An explained is a package, or a single file, whose findings are collected.
type explained struct {
	*explainer
	dir, pkg string
	project  bool // it is the project file
	index    *index
	patched  map[string]*ast.File // by absolute name: what can be evaluated
	// unparsed says that a file of the package does not parse.
	unparsed bool
	// lost are the places of references that were taken out.
	lost  []token.Pos
	found diagnostic.List
	// positions are CUE's, by path, of the values that were converted.
	positions map[string]token.Pos
}

// open reads the files of a package: those in its folder, or the named ones, and
// those of the same package in the folders above. Files that do not parse, and
// references and imports that lead nowhere, become findings.
func (e *explainer) open(dir, pkg string, files []string) (*explained, error) {
	p := &explained{explainer: e, dir: dir, pkg: pkg, project: files != nil, patched: map[string]*ast.File{}, positions: map[string]token.Pos{}}
	var sources []*source
	folder := path.Clean(dir)
	for {
		names := files
		if names == nil {
			var err error
			if names, err = e.sourceFiles(folder); err != nil {
				return nil, err
			}
		}
		for _, name := range names {
			s, broken, err := e.read(path.Join(folder, name))
			if err != nil {
				return nil, err
			}
			if broken != nil {
				p.patched[s.syntax.Filename] = emptyFile(s.syntax)
			}
			if files == nil && s.syntax.PackageName() != pkg {
				continue
			}
			if broken != nil {
				p.syntaxError(s, broken)
				p.unparsed = true
			} else {
				p.patched[s.syntax.Filename] = s.syntax
			}
			sources = append(sources, s)
		}
		if folder == "." || files != nil {
			break
		}
		folder = path.Dir(folder)
	}
	p.index = newIndex(sources)
	return p, nil
}

// emptyFile stands in for a file that does not parse.
func emptyFile(f *ast.File) *ast.File {
	name := f.PackageName()
	if name == "" {
		name = "unreadable"
	}
	return &ast.File{Filename: f.Filename, Decls: []ast.Decl{&ast.Package{Name: ast.NewIdent(name)}}}
}

// packageNames lists the packages that the files of a folder say they belong to,
// "" among them if a file does not say so.
func (e *explainer) packageNames(folder string) ([]string, error) {
	files, err := e.sourceFiles(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range files {
		s, _, err := e.read(path.Join(folder, name))
		if err != nil {
			return nil, err
		}
		if pkg := s.syntax.PackageName(); !slices.Contains(names, pkg) {
			names = append(names, pkg)
		}
	}
	return names, nil
}

// sourceFiles lists the files of a folder that belong to a package.
func (e *explainer) sourceFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(e.loader.root, filepath.FromSlash(folder)))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !entry.IsDir() && isSource(entry.Name()) && (folder != "." || entry.Name() != projectFile) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// read parses a file as far as that goes. The second result is what is wrong
// with its syntax, the third that it can't be read.
func (e *explainer) read(name string) (*source, error, error) {
	filename := filepath.Join(e.loader.root, filepath.FromSlash(name))
	content, err := os.ReadFile(filename)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	syntax, broken := parser.ParseFile(filename, content, parser.ParseComments)
	if syntax == nil {
		syntax = &ast.File{}
	}
	syntax.Filename = filename
	return &source{name: name, syntax: syntax, content: content}, broken, nil
}

// evaluate returns the package's value, as far as CUE can tell with everything
// taken out that leads nowhere.
func (p *explained) evaluate() cue.Value {
	p.resolve()
	parse := func(name string, src any, cfg parser.Config) (*ast.File, error) {
		if f, ok := p.patched[name]; ok {
			return f, nil
		}
		return parser.ParseFile(name, src, cfg)
	}
	var inst *build.Instance
	if p.project {
		inst = p.loader.file(projectFile, parse)
	} else {
		for _, i := range p.loader.packages([]string{p.dir}, parse) {
			if i.PkgName == p.pkg {
				inst = i
			}
		}
	}
	if inst == nil {
		return cue.Value{}
	}
	if inst.Err != nil {
		p.cueErrors(inst.Err, nil)
	}
	return cuecontext.New().BuildInstance(inst)
}

// add places a finding and keeps it.
func (p *explained) add(f finding, position token.Pos) {
	p.found = append(p.found, p.index.place(f, position))
}

// raw converts a value to decoded JSON. What CUE itself says is wrong becomes a
// finding and leaves a broken value behind.
func (p *explained) raw(v cue.Value, at valuePath) any {
	p.positions[at.String()] = v.Pos()
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
			list = append(list, p.raw(items.Value(), at.with(i)))
		}
		return list
	case !v.IsConcrete():
		// Without a type, it is the schema's, or stands for what was taken out.
		if kind != cue.TopKind {
			p.incomplete(v, at)
		} else if !p.damaged() {
			return nil
		}
		return broken{}
	}
	b, err := v.MarshalJSON()
	if err != nil {
		p.cueErrors(err, at)
		return broken{}
	}
	var out any
	if err := unmarshalNumber(b, &out); err != nil {
		return broken{}
	}
	return out
}

func (p *explained) rawStruct(v cue.Value, at valuePath) any {
	fields, err := v.Fields(cue.All(), cue.Optional(false), cue.Definitions(false), cue.Hidden(false))
	if err != nil {
		return p.rawBroken(v, at)
	}
	m := map[string]any{}
	for fields.Next() {
		s := fields.Selector()
		if s.IsString() && s.ConstraintType() == 0 {
			m[s.Unquoted()] = p.raw(fields.Value(), at.with(s.Unquoted()))
		}
	}
	return m
}

// rawBroken converts what can be had of a value with mistakes in it.
func (p *explained) rawBroken(v cue.Value, at valuePath) any {
	before := len(p.found)
	if fields, err := v.Fields(); err == nil {
		m := map[string]any{}
		for fields.Next() {
			name := fields.Selector().Unquoted()
			m[name] = p.raw(fields.Value(), at.with(name))
		}
		if len(p.found) > before {
			return m
		}
	} else if items, err := v.List(); err == nil {
		list := []any{}
		for i := 0; items.Next(); i++ {
			list = append(list, p.raw(items.Value(), at.with(i)))
		}
		if len(p.found) > before {
			return list
		}
	}
	p.cueErrors(v.Err(), at)
	return broken{}
}

// damaged reports whether something was taken out of the files, so that a value
// that is open may be no mistake of its own.
func (p *explained) damaged() bool { return p.unparsed || len(p.lost) > 0 }

// undetermined reports whether what an automation is can't be told, because a
// reference in it, or in what it may be made of, leads nowhere.
func (p *explained) undetermined(at valuePath) bool {
	if !p.damaged() {
		return false
	}
	sites := p.index.sites(at)
	for _, s := range sites {
		if _, plain := s.value.(*ast.StructLit); !plain {
			return true
		}
		for _, pos := range p.lost {
			if pos.Filename() == s.value.Pos().Filename() && s.value.Pos().Offset() <= pos.Offset() && pos.Offset() < s.value.End().Offset() {
				return true
			}
		}
	}
	return len(sites) == 0
}

// incomplete reports a value that says what it may be but not what it is.
func (p *explained) incomplete(v cue.Value, at valuePath) {
	f := finding{path: at, Diagnostic: diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "missing-value"}}
	f.Message = at.name() + " has no value: " + typeName(v) + " is needed"
	f.Help = "give it a value"
	sites := p.index.sites(at)
	p.add(f, v.Pos())
	// The declaration asks for a value; the automation is where one is missing.
	if len(at) > 2 && at[0] == "automations" && len(sites) > 0 {
		own := p.index.sites(at[:2])
		d := &p.found[len(p.found)-1]
		if len(own) > 0 && !contains(own[len(own)-1].value, sites[len(sites)-1].value) {
			d.Related = append(d.Related, diagnostic.Related{Message: "declared here", File: d.File, Range: d.Range})
			p.index.at(d, finding{spot: atLabel}, own[len(own)-1])
		}
	}
}

// contains reports whether a node stands within another one of the same file.
func contains(outer, inner ast.Node) bool {
	o, i := outer.Pos(), inner.Pos()
	return o.Filename() == i.Filename() && o.Offset() <= i.Offset() && i.Offset() <= outer.End().Offset()
}

// typeName says in words what a value without a value may be.
func typeName(v cue.Value) string {
	switch k := v.IncompleteKind(); k {
	case cue.StringKind:
		return "a text"
	case cue.IntKind:
		return "a whole number"
	case cue.NumberKind, cue.FloatKind:
		return "a number"
	case cue.BoolKind:
		return "true or false"
	case cue.ListKind:
		return "a list"
	case cue.StructKind:
		return "a struct"
	default:
		return "one of " + strings.ReplaceAll(k.String(), "|", " or ")
	}
}

// syntaxError reports why a file does not parse. What the parser says after its
// first complaint follows from that one.
func (p *explained) syntaxError(s *source, err error) {
	d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "syntax-error", File: s.name}
	list := cueerrors.Errors(err)
	if len(list) == 0 {
		return
	}
	first := list[0]
	d.Message = "the file does not parse: " + plainMessage(first)
	d.Help = syntaxHelp(d.Message)
	if pos := first.Position(); pos.IsValid() {
		d.Range = rangeOf(pos, pos)
		d.Range.End.Column++
	}
	p.found = append(p.found, d)
}

// unmarshalNumber decodes JSON and keeps numbers as they are written.
func unmarshalNumber(b []byte, out any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	return d.Decode(out)
}
