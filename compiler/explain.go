package compiler

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
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
	// dirs are the folders whose packages are explained in this run.
	dirs []string
	// projectDirs maps the import paths of all of the project's packages to
	// their folders. It looks through the whole project, and so only once.
	projectDirs func() map[string]string
}

func newExplainer(disk *workspace, catalog automation.Catalog, dirs []string) *explainer {
	l := newLoader(disk, lenientFiles())
	l.alters = true
	return &explainer{loader: l, catalog: catalog, dirs: dirs, projectDirs: sync.OnceValue(func() map[string]string {
		// Whoever asks first does not share the loader of another worker.
		return newLoader(disk, nil).projectDirs()
	})}
}

// An opened is a package, or a single file, as its files say: parsed, with the places
// of its values, and without what leads nowhere.
type opened struct {
	*explainer
	dir, pkg string
	project  bool // it is the project file
	index    *index
	patched  map[string]*ast.File // by absolute name: what can be evaluated
	// unparsed says that a file of the package does not parse.
	unparsed bool
	// torn are the parts that were taken out of files because they do not parse.
	torn []tear
	// altered says that an operator was put right, for which there is a finding.
	altered bool
	// refused says that CUE does not take a file at all, for which there is a
	// finding.
	refused bool
	// awaits are the folders of packages that are imported and can't be used: that
	// is explained there.
	awaits []string
	// holes stand where something was taken out that leads nowhere, here or in a
	// package that is imported.
	holes map[ast.Node]bool
	// mended stands in the place of what leads nowhere and was certainly meant to be
	// that, here or in a package that is imported.
	mended map[ast.Node]bool
	// imported are the project's packages that this one makes use of, by folder
	// and name.
	imported map[string]*opened
	found    diagnostic.List
}

// An explained is an opened package that is evaluated, and whose findings are
// collected.
type explained struct {
	*opened
	// draft says that what is converted is a definition, which may be open.
	draft bool
	// circular are the values that are made of themselves and have a finding, with
	// the path of the automation that it is about.
	circular map[ast.Expr]string
	// unembedded are the places of the @embed attributes that have a finding.
	unembedded map[int]bool
	// positions are CUE's, by path, of the values that were converted, partials
	// the paths of structs that may have more fields than can be seen.
	positions map[string]token.Pos
	partials  map[string]bool
}

// newExplained prepares a package for being evaluated and explained.
func newExplained(p *opened) *explained {
	return &explained{opened: p, circular: map[ast.Expr]string{}, unembedded: map[int]bool{}, positions: map[string]token.Pos{}, partials: map[string]bool{}}
}

// open reads the files of a package: those in its folder, or the named ones, and
// those of the same package in the folders above. Files that do not parse, and
// references and imports that lead nowhere, become findings.
func (e *explainer) open(dir, pkg string, files []string) (*opened, error) {
	p := &opened{explainer: e, dir: dir, pkg: pkg, project: files != nil, patched: map[string]*ast.File{},
		holes: map[ast.Node]bool{}, mended: map[ast.Node]bool{}, imported: map[string]*opened{}}
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
				p.patched[s.syntax.Filename] = clauseOnly(s.syntax)
			}
			if files == nil && s.syntax.PackageName() != pkg {
				// What does not parse may be of any package.
				p.unparsed = p.unparsed || broken != nil && s.syntax.PackageName() == ""
				continue
			}
			if broken != nil {
				if rest := p.syntaxErrors(s, broken); rest != nil {
					s.syntax = rest
					p.patched[rest.Filename] = rest
				} else {
					p.unparsed = true
				}
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
	p.index.elsewhere, p.index.importedIndex = p.elsewhere, p.importedIndex
	return p, nil
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
		if e.loader.disk.isAside(s.name) {
			continue
		}
		if pkg := s.syntax.PackageName(); !slices.Contains(names, pkg) {
			names = append(names, pkg)
		}
	}
	return names, nil
}

// unnamed explains the files of a folder that do not say which package they
// belong to.
func (e *explainer) unnamed(folder string) (diagnostic.List, error) {
	p, err := e.open(folder, "", nil)
	if err != nil {
		return nil, err
	}
	for _, s := range p.index.sources {
		aside := e.loader.disk.isAside(s.name)
		torn := slices.ContainsFunc(p.torn, func(t tear) bool { return t.file == s.syntax.Filename })
		if !aside && !torn && p.patched[s.syntax.Filename] == s.syntax && path.Dir(s.name) == path.Clean(folder) {
			p.found = append(p.found, noPackage(s.name, s.syntax))
		}
	}
	return p.found, nil
}

// sourceFiles lists the files of a folder that belong to a package.
func (e *explainer) sourceFiles(folder string) ([]string, error) {
	entries, err := e.loader.disk.readDir(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !entry.IsDir() && loadable(entry.Name()) &&
			(isSource(entry.Name()) || e.loader.tests && isTestFile(entry.Name())) && (folder != "." || entry.Name() != projectFile) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// read parses a file as far as that goes. The second result is what is wrong
// with its syntax, the third that it can't be read.
func (e *explainer) read(name string) (*source, error, error) {
	filename := e.loader.full(name)
	content, err := e.loader.read(name)
	if e.loader.disk.isAside(name) {
		return &source{name: name, syntax: &ast.File{Filename: filename}}, nil, nil
	}
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

// elsewhere reads a file of another package of the project, where values come
// from that a package imports. It returns nil if there is none.
func (p *opened) elsewhere(filename string) *source {
	if o := p.owner(filename); o != nil {
		for _, s := range o.index.sources {
			if s.syntax.Filename == filename {
				return s
			}
		}
	}
	return nil
}

// owner returns the project's package that a file belongs to, with what leads
// nowhere taken out; nil if it is no file of the project, or can't be read.
func (p *opened) owner(filename string) *opened {
	name := p.loader.relative(filename)
	if !filepath.IsLocal(filepath.FromSlash(name)) || p.loader.isSchema(filename) {
		return nil
	}
	content, err := p.loader.read(name)
	if err != nil {
		return nil
	}
	clause, err := parser.ParseFile(filename, content, parser.PackageClauseOnly)
	if err != nil {
		return nil
	}
	dir, pkg := path.Dir(name), clause.PackageName()
	id := dir + ":" + pkg
	o, ok := p.imported[id]
	if !ok {
		if o, err = p.open(dir, pkg, nil); err == nil {
			o.imported, o.holes, o.mended = p.imported, p.holes, p.mended
			p.imported[id] = o
			o.resolve()
		} else {
			o = nil
			p.imported[id] = nil
		}
	}
	return o
}

// evaluate returns the package's value, as far as CUE can tell with everything
// taken out that leads nowhere.
func (p *explained) evaluate() cue.Value {
	if p.resolve(); p.refused {
		return cue.Value{}
	}
	p.embeds()
	used := map[*opened]bool{}
	parse := func(name string, src any, cfg parser.Config) (*ast.File, error) {
		if f, ok := p.patched[name]; ok {
			return f, nil
		}
		if o := p.owner(name); o != nil && !o.refused && o.patched[name] != nil {
			used[o] = true
			return o.patched[name], nil
		}
		return p.loader.parse(name, src, cfg)
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
	for _, id := range sorted(p.imported) {
		if o := p.imported[id]; used[o] {
			p.found = append(p.found, o.found...)
		}
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
	p.positions[at.String()] = p.positionOf(v)
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
		return p.rawOpen(v, at)
	}
	if v.Kind() == cue.BytesKind {
		b, _ := v.Bytes()
		return bytesValue(b)
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

// positionOf is where the author's files give a value, as far as CUE knows; that
// of the field's name for a struct without braces, which starts where the name of
// a field within it does.
func (p *explained) positionOf(v cue.Value) token.Pos {
	pos := v.Pos()
	if p.index.sourceOf(pos) == nil {
		if op, args := v.Expr(); op == cue.AndOp {
			for _, arg := range args {
				if p.index.sourceOf(arg.Pos()) != nil {
					pos = arg.Pos()
					break
				}
			}
		}
	}
	if src := p.index.sourceOf(pos); src != nil && v.IncompleteKind() == cue.StructKind {
		if field, ok := src.withoutBraces()[pos.Offset()]; ok {
			return field.Label.Pos()
		}
	}
	return pos
}

// bindsAround reports whether a comprehension around an identifier gives its
// name a meaning.
func bindsAround(f *ast.File, id *ast.Ident) bool {
	found := false
	ast.Walk(f, func(n ast.Node) bool {
		c, ok := n.(*ast.Comprehension)
		if !ok || !contains(c, id) {
			return true
		}
		for _, clause := range c.Clauses {
			switch clause := clause.(type) {
			case *ast.ForClause:
				for _, name := range []*ast.Ident{clause.Key, clause.Value} {
					found = found || name != nil && name.Name == id.Name
				}
			case *ast.LetClause:
				found = found || clause.Ident.Name == id.Name
			}
		}
		return true
	}, nil)
	return found
}

func (p *explained) rawStruct(v cue.Value, at valuePath) any {
	fields, err := v.Fields(cue.All(), cue.Optional(false), cue.Definitions(false), cue.Hidden(false))
	if err != nil {
		return p.rawBroken(v, at)
	}
	if p.partial(at) {
		p.partials[at.String()] = true
	}
	m := map[string]any{}
	for fields.Next() {
		s := fields.Selector()
		if isExpectation(at.with(s.Unquoted())) {
			m[s.Unquoted()] = broken{}
		} else if s.IsString() && s.ConstraintType() == 0 {
			m[s.Unquoted()] = p.raw(fields.Value(), at.with(s.Unquoted()))
		}
	}
	return m
}

// rawBroken converts what can be had of a value with mistakes in it.
func (p *explained) rawBroken(v cue.Value, at valuePath) any {
	if p.refersToItself(v, at) {
		return broken{}
	}
	before := len(p.found)
	if fields, err := fieldsOf(v); err == nil {
		m := map[string]any{}
		for fields.Next() {
			name := labelOf(fields)
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
	failure := v.Err()
	if failure == nil {
		failure = v.Validate(cue.Concrete(true))
	}
	if written, ok := p.written(failure); ok {
		return written
	}
	p.cueErrors(failure, at)
	return broken{}
}

// contains reports whether a node stands within another one of the same file.
func contains(outer, inner ast.Node) bool {
	o, i := outer.Pos(), inner.Pos()
	return o.Filename() == i.Filename() && o.Offset() <= i.Offset() && i.Offset() <= outer.End().Offset()
}

// unmarshalNumber decodes JSON and keeps numbers as they are written.
func unmarshalNumber(b []byte, out any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	return d.Decode(out)
}
