package resolve

import (
	"path"
	"path/filepath"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
)

// A family is a package and the packages of the project that it uses. These are read on first use.
type family struct {
	reader    *Reader
	relatives map[string]*relative // imported packages, by folder and name; nil for those that can't be read
	// holes replace references that can't be resolved. mended nodes replace those whose correct form is
	// certain.
	holes, mended map[ast.Node]bool
}

// A relative is an imported package. Its resolved value is nil while it is being resolved, because packages may
// import each other in a cycle.
type relative struct {
	opened   *Opened
	resolved *Resolved
}

// file returns a file of another package of the project, which may contain values that this package imports. It
// returns nil if there is no such file.
func (f *family) file(filename string) *source.File {
	if m := f.owner(filename); m != nil {
		for _, s := range m.opened.Index.Sources {
			if s.Syntax.Filename == filename {
				return s
			}
		}
	}
	return nil
}

// owner returns the project's package that a file belongs to; nil if it is not a file
// of the project, or can't be read.
func (f *family) owner(filename string) *relative {
	e := f.reader
	name := e.Loader.Relative(filename)
	if !filepath.IsLocal(filepath.FromSlash(name)) || e.Loader.IsSchema(filename) {
		return nil
	}
	content, err := e.Loader.Read(name)
	if err != nil {
		return nil
	}
	clause, err := parser.ParseFile(filename, content, parser.PackageClauseOnly)
	if err != nil {
		return nil
	}
	dir, pkg := path.Dir(name), clause.PackageName()
	id := dir + ":" + pkg
	m, ok := f.relatives[id]
	if !ok {
		if opened, err := e.open(dir, pkg, nil, f); err == nil {
			m = &relative{opened: opened}
			f.relatives[id] = m
			m.resolved = opened.Resolve()
		} else {
			f.relatives[id] = nil
		}
	}
	return m
}

// index returns the index of a package of the project, or of one that is kept in cue.mod; nil for other
// packages.
func (f *family) index(spec *ast.ImportSpec) *source.Index {
	e := f.reader
	name := ast.ParseImportPath(source.ImportPath(spec))
	plain := name.Unqualified().String()
	dirs := []string{"cue.mod/pkg/" + plain, "cue.mod/gen/" + plain, "cue.mod/usr/" + plain}
	if dir, ok := e.ProjectDirs()[plain]; ok {
		dirs = []string{dir}
	}
	for _, dir := range dirs {
		files, err := e.SourceFiles(dir)
		if err != nil {
			continue
		}
		for _, file := range files {
			if m := f.owner(e.Loader.Full(path.Join(dir, file))); m != nil && m.opened.Name == name.Qualifier {
				return m.opened.Index
			}
		}
	}
	return nil
}

// ImportedIndex returns the index of a package of the project, or of one that is kept in cue.mod; nil for other
// packages.
func (p *Opened) ImportedIndex(spec *ast.ImportSpec) *source.Index { return p.family.index(spec) }

// Owner returns the resolved package of the project that a file belongs to. It returns nil if the file is not
// in the project, or can't be read.
func (p *Resolved) Owner(filename string) *Resolved {
	if m := p.family.owner(filename); m != nil {
		return m.resolved
	}
	return nil
}

// Imported returns the project's packages that this one uses and that were read so far, in the order of their
// folders and names.
func (p *Opened) Imported() []*Resolved {
	var out []*Resolved
	for _, id := range finding.SortedKeys(p.family.relatives) {
		if m := p.family.relatives[id]; m != nil && m.resolved != nil {
			out = append(out, m.resolved)
		}
	}
	return out
}
