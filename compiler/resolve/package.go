package resolve

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// A Reader turns what CUE refused into findings. It reads a package again
// with the lenient schema and with what can't be resolved taken out, so that all
// mistakes are seen at once and each has its place.
type Reader struct {
	Loader  *workspace.Loader
	Catalog automation.Catalog
	// dirs are the folders whose packages are explained in this run.
	dirs []string
	// ProjectDirs maps the import paths of all of the project's packages to
	// their folders. It looks through the whole project, and so only once.
	ProjectDirs func() map[string]string
}

// NewReader returns a reader of the packages of a project: of those in dirs, folders
// relative to it. The placeholders of the catalog are known names.
func NewReader(disk *workspace.Disk, catalog automation.Catalog, dirs []string) *Reader {
	l := workspace.NewLoader(disk, shape.Lenient())
	l.Alters = true
	return &Reader{Loader: l, Catalog: catalog, dirs: dirs, ProjectDirs: sync.OnceValue(func() map[string]string {
		// Whoever asks first does not share the loader of another worker.
		return workspace.NewLoader(disk, nil).ProjectDirs()
	})}
}

// A Package is a package, or a single file, as its files say: parsed, with the places
// of its values, and without what leads nowhere.
type Package struct {
	*Reader
	Dir, Name     string
	IsProjectFile bool // it is the project file
	Index         *source.Index
	Patched       map[string]*ast.File // by absolute name: what can be evaluated
	// Unparsed says that a file of the package does not parse.
	Unparsed bool
	// Torn are the parts that were taken out of files because they do not parse.
	Torn []tear
	// altered says that an operator was put right, for which there is a finding.
	altered bool
	// Refused says that CUE does not take a file at all, for which there is a
	// finding.
	Refused bool
	// Awaits are the folders of packages that are imported and can't be used: that
	// is explained there.
	Awaits []string
	// holes stand where something was taken out that leads nowhere, here or in a
	// package that is imported.
	holes map[ast.Node]bool
	// Mended stands in the place of what leads nowhere and was certainly meant to be
	// that, here or in a package that is imported.
	Mended map[ast.Node]bool
	// Imported are the project's packages that this one makes use of, by folder
	// and name.
	Imported map[string]*Package
	Found    diagnostic.List
}

// Open reads the files of a package: those in its folder, or the named ones, and
// those of the same package in the folders above. Files that do not parse, and
// references and imports that lead nowhere, become findings.
func (e *Reader) Open(dir, pkg string, files []string) (*Package, error) {
	p := &Package{Reader: e, Dir: dir, Name: pkg, IsProjectFile: files != nil, Patched: map[string]*ast.File{},
		holes: map[ast.Node]bool{}, Mended: map[ast.Node]bool{}, Imported: map[string]*Package{}}
	var sources []*source.File
	folder := path.Clean(dir)
	for {
		names := files
		if names == nil {
			var err error
			if names, err = e.SourceFiles(folder); err != nil {
				return nil, err
			}
		}
		for _, name := range names {
			s, broken, err := e.Read(path.Join(folder, name))
			if err != nil {
				return nil, err
			}
			if broken != nil {
				p.Patched[s.Syntax.Filename] = workspace.ClauseOnly(s.Syntax)
			}
			if files == nil && s.Syntax.PackageName() != pkg {
				// What does not parse may be of any package.
				p.Unparsed = p.Unparsed || broken != nil && s.Syntax.PackageName() == ""
				continue
			}
			if broken != nil {
				if rest := p.syntaxErrors(s, broken); rest != nil {
					s.Syntax = rest
					p.Patched[rest.Filename] = rest
				} else {
					p.Unparsed = true
				}
			} else {
				p.Patched[s.Syntax.Filename] = s.Syntax
			}
			sources = append(sources, s)
		}
		if folder == "." || files != nil {
			break
		}
		folder = path.Dir(folder)
	}
	p.Index = source.NewIndex(sources)
	p.Index.Elsewhere, p.Index.ImportedIndex = p.elsewhere, p.ImportedIndex
	return p, nil
}

// packageNames lists the packages that the files of a folder say they belong to,
// "" among them if a file does not say so.
func (e *Reader) packageNames(folder string) ([]string, error) {
	files, err := e.SourceFiles(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range files {
		s, _, err := e.Read(path.Join(folder, name))
		if err != nil {
			return nil, err
		}
		if e.Loader.Disk.IsAside(s.Name) {
			continue
		}
		if pkg := s.Syntax.PackageName(); !slices.Contains(names, pkg) {
			names = append(names, pkg)
		}
	}
	return names, nil
}

// Unnamed explains the files of a folder that do not say which package they
// belong to.
func (e *Reader) Unnamed(folder string) (diagnostic.List, error) {
	p, err := e.Open(folder, "", nil)
	if err != nil {
		return nil, err
	}
	for _, s := range p.Index.Sources {
		aside := e.Loader.Disk.IsAside(s.Name)
		torn := slices.ContainsFunc(p.Torn, func(t tear) bool { return t.file == s.Syntax.Filename })
		if !aside && !torn && p.Patched[s.Syntax.Filename] == s.Syntax && path.Dir(s.Name) == path.Clean(folder) {
			p.Found = append(p.Found, workspace.NoPackage(s.Name, s.Syntax))
		}
	}
	return p.Found, nil
}

// SourceFiles lists the files of a folder that belong to a package.
func (e *Reader) SourceFiles(folder string) ([]string, error) {
	entries, err := e.Loader.Disk.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !entry.IsDir() && workspace.Loadable(entry.Name()) &&
			(workspace.IsSource(entry.Name()) || e.Loader.Tests && workspace.IsTestFile(entry.Name())) &&
			(folder != "." || entry.Name() != config.ProjectFile) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// Read parses a file as far as that goes. The second result is what is wrong
// with its syntax, the third that it can't be read.
func (e *Reader) Read(name string) (*source.File, error, error) {
	filename := e.Loader.Full(name)
	content, err := e.Loader.Read(name)
	if e.Loader.Disk.IsAside(name) {
		return &source.File{Name: name, Syntax: &ast.File{Filename: filename}}, nil, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	syntax, broken := parser.ParseFile(filename, content, parser.ParseComments)
	if syntax == nil {
		syntax = &ast.File{}
	}
	syntax.Filename = filename
	return &source.File{Name: name, Syntax: syntax, Content: content}, broken, nil
}

// elsewhere reads a file of another package of the project, where values come
// from that a package imports. It returns nil if there is none.
func (p *Package) elsewhere(filename string) *source.File {
	if o := p.Owner(filename); o != nil {
		for _, s := range o.Index.Sources {
			if s.Syntax.Filename == filename {
				return s
			}
		}
	}
	return nil
}

// Owner returns the project's package that a file belongs to, with what leads
// nowhere taken out; nil if it is no file of the project, or can't be read.
func (p *Package) Owner(filename string) *Package {
	name := p.Loader.Relative(filename)
	if !filepath.IsLocal(filepath.FromSlash(name)) || p.Loader.IsSchema(filename) {
		return nil
	}
	content, err := p.Loader.Read(name)
	if err != nil {
		return nil
	}
	clause, err := parser.ParseFile(filename, content, parser.PackageClauseOnly)
	if err != nil {
		return nil
	}
	dir, pkg := path.Dir(name), clause.PackageName()
	id := dir + ":" + pkg
	o, ok := p.Imported[id]
	if !ok {
		if o, err = p.Open(dir, pkg, nil); err == nil {
			o.Imported, o.holes, o.Mended = p.Imported, p.holes, p.Mended
			p.Imported[id] = o
			o.Resolve()
		} else {
			o = nil
			p.Imported[id] = nil
		}
	}
	return o
}

// ImportedIndex returns the index of a package of the project, or of one that is
// kept in cue.mod; nil for any other.
func (p *Package) ImportedIndex(spec *ast.ImportSpec) *source.Index {
	name := ast.ParseImportPath(source.ImportPath(spec))
	plain := name.Unqualified().String()
	dirs := []string{"cue.mod/pkg/" + plain, "cue.mod/gen/" + plain, "cue.mod/usr/" + plain}
	if dir, ok := p.ProjectDirs()[plain]; ok {
		dirs = []string{dir}
	}
	for _, dir := range dirs {
		files, err := p.SourceFiles(dir)
		if err != nil {
			continue
		}
		for _, file := range files {
			if o := p.Owner(p.Loader.Full(path.Join(dir, file))); o != nil && o.Name == name.Qualifier {
				return o.Index
			}
		}
	}
	return nil
}
