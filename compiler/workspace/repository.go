package workspace

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/schema"
)

// A project may be in a folder of a repository that is one CUE module. Its packages then import others of the
// module by their paths. CUE is given the project as a module of its own, with a path below that of the
// repository's, and with the packages that it imports from there in cue.mod/pkg, as if it had copies of them.

// RepositoryModule returns the nearest folder above a project that is a CUE module, up to the root of the Git
// repository; "" if the project has a cue.mod of its own, or there is none.
func RepositoryModule(dir string) string {
	exists := func(elem ...string) bool { _, err := os.Stat(filepath.Join(elem...)); return err == nil }
	if exists(dir, "cue.mod") {
		return ""
	}
	for !exists(dir, ".git") && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		if exists(dir, filepath.FromSlash(ModuleFileName)) {
			return dir
		}
		if exists(dir, "cue.mod") {
			return ""
		}
	}
	return ""
}

// A repository adds the packages that a project imports from the module around it.
type repository struct {
	project *Disk
	module  *Disk  // the folder of the module
	rel     string // of the project in the module, with slashes
	path    string // of the module, without a version
	// added has the files to add to the project, by name, and origin where they really are.
	added  map[string][]byte
	origin map[string]string
	seen   map[string]bool // folders of the module, with all that they need
}

// joinRepository makes the project's disk part of the module around it, if there is one.
func (w *Disk) joinRepository(ctx context.Context) error {
	top := RepositoryModule(w.Dir)
	if top == "" {
		return nil
	}
	module, err := Open(ctx, top)
	if err != nil {
		return err
	}
	defer module.Root.Close()
	defer module.Rest()
	rel, err := filepath.Rel(top, w.Dir)
	if err != nil {
		return err
	}
	r := repository{project: w, module: module, rel: filepath.ToSlash(rel),
		added: map[string][]byte{}, origin: map[string]string{}, seen: map[string]bool{}}
	if !r.moduleFile() {
		return nil // as without a module
	}
	for name := range schema.Files() {
		r.add(path.Join(schema.VendorDir, name), path.Join(schema.VendorDir, name))
	}
	r.project.sources(".", func(content []byte) { r.imports(content) })
	maps.Copy(r.added, w.unsaved)
	w.unsaved, w.origin = r.added, r.origin
	return nil
}

// moduleFile adds the module file: that of the module, with the path of the project. It returns false if that
// can't be made.
func (r *repository) moduleFile() bool {
	content, err := r.module.Read(ModuleFileName)
	if err != nil {
		return false
	}
	f, err := parser.ParseFile(ModuleFileName, content, parser.ParseComments)
	if err != nil {
		return false
	}
	for _, d := range f.Decls {
		field, isField := d.(*ast.Field)
		if !isField {
			continue
		}
		label, _ := source.FieldLabel(field)
		lit, isLit := field.Value.(*ast.BasicLit)
		if label != "module" || !isLit || lit.Kind != token.STRING {
			continue
		}
		name, err := literal.Unquote(lit.Value)
		if err != nil {
			return false
		}
		base, version, versioned := strings.Cut(name, "@")
		r.path = base
		name = base + "/" + r.rel
		if versioned {
			name += "@" + version
		}
		lit.Value = strconv.Quote(name)
	}
	text, err := format.Node(f)
	if err != nil || r.path == "" {
		return false
	}
	r.added[ModuleFileName] = text
	r.origin[ModuleFileName] = r.real(ModuleFileName)
	return true
}

// real is the name of a file of the module as seen from the project.
func (r *repository) real(name string) string {
	return strings.Repeat("../", strings.Count(r.rel, "/")+1) + name
}

// add adds a file of the module to the project under another name, with all that it imports.
func (r *repository) add(name, of string) {
	if _, known := r.added[name]; known {
		return
	}
	content, err := r.module.Read(of)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d := RefusalOf(err).Diagnostic
			d.File = name
			r.project.putAside(name, d)
		}
		return
	}
	r.added[name], r.origin[name] = content, r.real(of)
	if !strings.HasPrefix(name, schema.VendorDir+"/") {
		r.imports(content)
	}
}

func (r *repository) imports(content []byte) {
	if !bytes.Contains(content, []byte("import")) {
		return
	}
	f, _ := parser.ParseFile("", content, parser.ImportsOnly)
	if f == nil {
		return
	}
	for spec := range f.ImportSpecs() {
		if name := source.ImportPath(spec); name != "" {
			r.imported(ast.ParseImportPath(name).Path)
		}
	}
}

// imported adds a package, if it is the module's or in its cue.mod.
func (r *repository) imported(name string) {
	if strings.HasPrefix(name, schema.ModulePath+"/") || !filepath.IsLocal(filepath.FromSlash(name)) {
		return
	}
	if dir, ok := strings.CutPrefix(name, r.path+"/"); ok {
		if dir != r.rel && !strings.HasPrefix(dir, r.rel+"/") {
			r.folder(dir, ".", path.Join("cue.mod/pkg", r.path))
		}
		return
	}
	for _, top := range []string{"cue.mod/gen", "cue.mod/usr", "cue.mod/pkg"} {
		r.folder(path.Join(top, name), top, top)
	}
}

// folder adds the CUE files of a folder of the module, and of the folders above it up to top, which is at another
// place in the project.
func (r *repository) folder(dir, top, at string) {
	for ; !r.seen[dir]; dir = path.Dir(dir) {
		r.seen[dir] = true
		entries, _ := r.module.ReadDir(dir)
		for _, e := range entries {
			if name := e.Name(); !e.IsDir() && IsSource(name) && Loadable(name) && name != config.ProjectFile {
				below := strings.TrimPrefix(strings.TrimPrefix(dir, top), "/")
				r.add(path.Join(at, below, name), path.Join(dir, name))
			}
		}
		if dir == top {
			return
		}
	}
}

// sources calls f with the CUE files of a folder and of those below it, except for projects and modules of their
// own.
func (w *Disk) sources(dir string, f func(content []byte)) {
	entries, _ := w.ReadDir(dir)
	for _, e := range entries {
		switch name := path.Join(dir, e.Name()); {
		case ignoredName(e.Name()):
		case e.IsDir():
			if !w.Exists(path.Join(name, config.ProjectFile)) && !w.Exists(path.Join(name, "cue.mod")) {
				w.sources(name, f)
			}
		case strings.HasSuffix(e.Name(), ".cue"):
			if content, err := w.Read(name); err == nil {
				f(content)
			}
		}
	}
}

// Origin returns where a file really is, as seen from the project, if it is one of the module around it.
func (w *Disk) Origin(name string) (string, bool) {
	origin, ok := w.origin[name]
	return origin, ok
}
