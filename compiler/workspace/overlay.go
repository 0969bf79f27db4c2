package workspace

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/mod/modfile"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/schema"
)

// CUE's loader opens files itself, including links and pipes. So segue tells it that the project is in a folder
// that does not exist, [Disk.stage], and gives it an overlay of all the files that it will read. It can't open
// other files, except for modules that the registry has put into CUE's cache.

// An overlay collects the files that CUE needs to load some packages: their own files, those of imported
// packages, and those of the folders above.
type overlay struct {
	loader *Loader
	// parse returns the file that CUE will get.
	parse parseFunc
	// module is the import path of the project's module.
	module string
	files  map[string]load.Source // by full name
	// listed has the folders whose files are in the overlay.
	listed map[string]bool
}

// Load loads packages, or files, with the files that they need.
func (l *Loader) Load(args []string, parse parseFunc, change func(*load.Config)) []*build.Instance {
	o := &overlay{loader: l, parse: parse, files: map[string]load.Source{}, listed: map[string]bool{}}
	o.moduleFiles()
	for name, content := range l.schema {
		o.files[l.Full(path.Join(schema.VendorDir, name))] = load.FromBytes(content)
	}
	for _, arg := range args {
		switch name, local := strings.CutPrefix(arg, "./"); {
		case !local:
			o.imported(arg)
		case strings.HasSuffix(name, ".cue"):
			o.file(name)
		default:
			o.folder(path.Clean(name), ".")
		}
	}
	cfg := &load.Config{Dir: l.root, ModuleRoot: l.root, Overlay: o.files, Registry: l.Disk.Modules, ParseFile: parse}
	if change != nil {
		change(cfg)
	}
	out := load.Instances(args, cfg)
	seen := map[*build.Instance]bool{}
	for _, inst := range out {
		l.showData(inst, seen)
	}
	return out
}

// Full returns the name by which CUE knows a file.
func (l *Loader) Full(name string) string { return filepath.Join(l.root, filepath.FromSlash(name)) }

// moduleFiles adds the project's module files, and modules in its folder that replace others.
func (o *overlay) moduleFiles() {
	l := o.loader
	content, err := l.Disk.Read(ModuleFileName)
	if err != nil {
		content = []byte(ModuleFile("project.example"))
	}
	o.files[l.Full(ModuleFileName)] = load.FromBytes(content)
	module, err := modfile.ParseNonStrict(content, ModuleFileName)
	if err != nil {
		return // this has a finding
	}
	o.module = ast.ParseImportPath(module.Module).Path
	local, err := l.Disk.Read(LocalModuleFileName)
	if err != nil {
		return
	}
	o.files[l.Full(LocalModuleFileName)] = load.FromBytes(local)
	replaced, err := modfile.ParseLocal(local, LocalModuleFileName, module)
	if err != nil {
		return
	}
	for _, path := range finding.SortedKeys(replaced.Deps) {
		dir := replaced.Deps[path].ReplaceWith
		if !strings.HasPrefix(dir, ".") && !filepath.IsAbs(dir) {
			continue // another module
		}
		if !filepath.IsLocal(filepath.FromSlash(dir)) {
			d := outside().Diagnostic
			d.File = LocalModuleFileName
			d.Message = "the module " + path +
				" is replaced by a folder outside of the project, and segue reads nothing outside of it"
			l.Disk.putAside(LocalModuleFileName, d)
			continue
		}
		o.tree(filepath.ToSlash(filepath.Clean(dir)))
	}
}

// tree adds all CUE files of a folder and of the folders below it.
func (o *overlay) tree(dir string) {
	entries, err := o.loader.Disk.ReadDir(dir)
	if err != nil {
		return // CUE reports that nothing is there
	}
	for _, e := range entries {
		switch name := path.Join(dir, e.Name()); {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			o.tree(name)
		case strings.HasSuffix(e.Name(), ".cue"):
			o.file(name)
		}
	}
}

// folder adds the CUE files of a folder, and of the folders above it up to top.
func (o *overlay) folder(dir, top string) {
	for ; !o.listed[dir]; dir = path.Dir(dir) {
		o.listed[dir] = true
		for _, name := range o.loader.CUEFiles(dir) {
			o.file(path.Join(dir, name))
		}
		if dir == top {
			return
		}
	}
}

// CUEFiles lists the CUE files of a folder that CUE may open.
func (l *Loader) CUEFiles(dir string) []string {
	entries, err := l.Disk.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".cue") || ignoredName(name) || strings.HasSuffix(name, "_tool.cue") ||
			!Loadable(name) {
			continue
		}
		out = append(out, name)
	}
	return out
}

// Loadable reports whether CUE's loader accepts a file of that name. CUE refuses the whole folder of a file
// that it does not accept.
func Loadable(name string) bool { return utf8.ValidString(name) && !strings.ContainsAny(name, `:\`) }

// file adds a file, and the packages that it imports.
func (o *overlay) file(name string) {
	full := o.loader.Full(name)
	if _, known := o.files[full]; known {
		return
	}
	content, err := o.loader.Read(name)
	if err != nil {
		return
	}
	o.files[full] = load.FromBytes(content)
	if path.Base(name) == config.ProjectFile && path.Dir(name) == "." && o.listed["."] {
		return // it is read alone
	}
	if f, _ := parser.ParseFile(full, content, parser.ImportsOnly); f != nil {
		o.imports(f)
	}
	if o.loader.Alters && o.parse != nil {
		if f, _ := o.parse(full, content, parser.NewConfig(parser.ImportsOnly)); f != nil {
			o.imports(f)
		}
	}
}

func (o *overlay) imports(f *ast.File) {
	for spec := range f.ImportSpecs() {
		if name := source.ImportPath(spec); name != "" {
			o.imported(name)
		}
	}
}

// imported adds the files of an imported package, if they are in the project.
func (o *overlay) imported(name string) {
	plain := ast.ParseImportPath(name).Path
	if plain == schema.ModulePath || strings.HasPrefix(plain, schema.ModulePath+"/") ||
		!filepath.IsLocal(filepath.FromSlash(plain)) {
		return
	}
	if dir, ok := strings.CutPrefix(plain, o.module); ok && o.module != "" && (dir == "" || dir[0] == '/') {
		dir = path.Clean("./" + dir)
		for d := dir; d != "."; d = path.Dir(d) {
			if o.loader.Disk.Exists(path.Join(d, ModuleFileName)) {
				return // it belongs to another module
			}
		}
		o.folder(dir, ".")
		return
	}
	for _, top := range []string{"cue.mod/gen", "cue.mod/usr", "cue.mod/pkg"} {
		o.folder(path.Join(top, plain), top)
	}
}

// Read reads a file for CUE, which would stop at a file that it can't read. So an unreadable file is put aside,
// and its content is empty.
func (l *Loader) Read(name string) ([]byte, error) {
	if l.Disk.IsAside(name) {
		return nil, nil
	}
	content, err := l.Disk.Read(name)
	if err == nil || !l.Disk.Exists(name) {
		return content, err
	}
	d := RefusalOf(err).Diagnostic
	d.File = name
	l.Disk.putAside(name, d)
	return nil, nil
}

// showData lets the files of a package embed files of other types than CUE.
func (l *Loader) showData(inst *build.Instance, seen map[*build.Instance]bool) {
	if seen[inst] {
		return
	}
	seen[inst] = true
	for _, f := range inst.Files {
		name := l.Relative(f.Filename)
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			continue // of another module
		}
		for _, d := range f.Decls { // the first declaration of an altered file may have no position
			if file := d.Pos().File(); file != nil {
				file.SetFSLoc(token.FSLoc{FS: DataFS{l.Disk}, Path: name, FromFSPath: l.Full})
			}
		}
	}
	for _, imported := range inst.Imports {
		l.showData(imported, seen)
	}
}

// A DataFS is the project's files as @embed sees them.
type DataFS struct{ Disk *Disk }

// Open implements [fs.FS].
func (d DataFS) Open(name string) (fs.File, error) {
	info, err := d.Disk.Stat(name)
	if err == nil && info.IsDir() {
		entries, err := d.Disk.ReadDir(name)
		return &openFile{info: info, entries: entries}, err
	}
	content, err := d.Disk.Read(name)
	if err != nil {
		return nil, err
	}
	if ext := path.Ext(name); ext == ".json" || ext == ".yaml" || ext == ".yml" {
		content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")) // a byte order mark of Windows
	}
	size := int64(len(content))
	return &openFile{info: fileInfo{name: path.Base(name), size: size}, content: bytes.NewReader(content)}, nil
}

// Stat implements [fs.StatFS].
func (d DataFS) Stat(name string) (fs.FileInfo, error) {
	return d.Disk.Stat(name)
}

// ReadDir implements [fs.ReadDirFS].
func (d DataFS) ReadDir(name string) ([]fs.DirEntry, error) {
	return d.Disk.ReadDir(name)
}

// A fileInfo describes a file that was read, or a folder that is not on disk yet.
type fileInfo struct {
	name string
	size int64
	dir  bool
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.dir }

func (i fileInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

func (i fileInfo) Sys() any { return nil }

// An openFile is a file or folder that was read.
type openFile struct {
	info    fs.FileInfo
	content *bytes.Reader
	entries []fs.DirEntry
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

func (f *openFile) Read(b []byte) (int, error) {
	if f.content == nil {
		return 0, &fs.PathError{Op: "read", Path: f.info.Name(), Err: fs.ErrInvalid}
	}
	return f.content.Read(b)
}

// ReadDir implements [fs.ReadDirFile].
func (f *openFile) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(f.entries) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(f.entries) {
		n = len(f.entries)
	}
	out := f.entries[:n]
	f.entries = slices.Clone(f.entries[n:])
	return out, nil
}

// AnyFile claims that every file exists.
type AnyFile struct{ fs.FS }

func (AnyFile) Stat(name string) (fs.FileInfo, error) { return fileInfo{name: path.Base(name)}, nil }
