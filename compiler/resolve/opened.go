package resolve

import (
	"errors"
	"io/fs"
	"path"
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

// A Reader turns errors from CUE into findings. It reads a package again, with the lenient schema and without
// the parts that can't be resolved. All mistakes are then visible at once, each at its place.
type Reader struct {
	Loader  *workspace.Loader
	Catalog automation.Catalog
	// dirs are the folders whose packages are explained in this run.
	dirs []string
	// ProjectDirs maps the import paths of all of the project's packages to their folders. It searches the
	// whole project, and therefore only once.
	ProjectDirs func() map[string]string
}

// NewReader returns a reader of the packages in dirs, which are folders relative to the project. The
// placeholders of the catalog are known names.
func NewReader(disk *workspace.Disk, catalog automation.Catalog, dirs []string) *Reader {
	l := workspace.NewLoader(disk, shape.Lenient())
	l.Alters = true
	return &Reader{Loader: l, Catalog: catalog, dirs: dirs, ProjectDirs: sync.OnceValue(func() map[string]string {
		// A new loader: the first caller must not share the loader of another worker.
		return workspace.NewLoader(disk, nil).ProjectDirs()
	})}
}

// An Opened package is a package, or a single file, as parsed, with the positions of its values. Parts that do
// not parse are taken out.
type Opened struct {
	*Reader
	Dir, Name     string
	IsProjectFile bool // the package is the project file
	Index         *source.Index
	// Unparsed means that a file of the package does not parse.
	Unparsed bool
	// Torn has the parts that were taken out of files because they do not parse.
	Torn []tear
	// Found has the findings about parts that do not parse.
	Found diagnostic.List

	parsed map[string]*ast.File // by absolute name: the part that can be evaluated
	family *family
}

// Open reads the files of a package: those in its folder, or the named ones, and those of the same package in
// the folders above. Files that do not parse get findings.
func (e *Reader) Open(dir, pkg string, files []string) (*Opened, error) {
	return e.open(dir, pkg, files, &family{reader: e, relatives: map[string]*relative{},
		holes: map[ast.Node]bool{}, mended: map[ast.Node]bool{}})
}

// open is Open for a package of a family.
func (e *Reader) open(dir, pkg string, files []string, of *family) (*Opened, error) {
	p := &Opened{Reader: e, Dir: dir, Name: pkg, IsProjectFile: files != nil, parsed: map[string]*ast.File{}, family: of}
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
				p.parsed[s.Syntax.Filename] = workspace.ClauseOnly(s.Syntax)
			}
			if files == nil && s.Syntax.PackageName() != pkg {
				// A file that does not parse may belong to any package.
				p.Unparsed = p.Unparsed || broken != nil && s.Syntax.PackageName() == ""
				continue
			}
			if broken != nil {
				if rest := p.syntaxErrors(s, broken); rest != nil {
					s.Syntax = rest
					p.parsed[rest.Filename] = rest
				} else {
					p.Unparsed = true
				}
			} else {
				p.parsed[s.Syntax.Filename] = s.Syntax
			}
			sources = append(sources, s)
		}
		if folder == "." || files != nil {
			break
		}
		folder = path.Dir(folder)
	}
	p.Index = source.NewIndex(sources)
	p.Index.Data = func(name string) ([]byte, bool) {
		content, err := p.Loader.Disk.Read(name)
		return content, err == nil
	}
	p.Index.Elsewhere, p.Index.ImportedIndex = of.file, of.index
	return p, nil
}

// packageNames lists the packages that the files of a folder declare, including "" for a file without a package
// clause.
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

// Unnamed explains the files of a folder that have no package clause.
func (e *Reader) Unnamed(folder string) (diagnostic.List, error) {
	p, err := e.Open(folder, "", nil)
	if err != nil {
		return nil, err
	}
	found := slices.Clone(p.Found)
	for _, s := range p.Index.Sources {
		aside := e.Loader.Disk.IsAside(s.Name)
		torn := slices.ContainsFunc(p.Torn, func(t tear) bool { return t.file == s.Syntax.Filename })
		if !aside && !torn && p.parsed[s.Syntax.Filename] == s.Syntax && path.Dir(s.Name) == path.Clean(folder) {
			found = append(found, workspace.NoPackage(s.Name, s.Syntax))
		}
	}
	return found, nil
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

// Read parses a file as far as possible. The second result is the syntax error, the third is set if the file
// can't be read.
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
	workspace.Inject(syntax, e.Loader.Inputs)
	return &source.File{Name: name, Syntax: syntax, Content: content}, broken, nil
}
