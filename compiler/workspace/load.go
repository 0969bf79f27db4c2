package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/mod/module"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// makesBytes reports whether a file can make bytes: it has a literal in single quotes, or uses one of CUE's
// packages whose functions return bytes. CUE accepts bytes wherever a schema is open, and encodes them in
// base64.
func makesBytes(f *ast.File) bool {
	makes := false
	ast.Walk(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			path := strings.TrimLeft(n.Path.Value, `"`)
			makes = makes || strings.HasPrefix(path, "crypto/") || strings.HasPrefix(path, "encoding/")
		case *ast.BasicLit:
			makes = makes || n.Kind == token.STRING && strings.HasPrefix(strings.TrimLeft(n.Value, "#"), "'")
		}
		return !makes
	}, nil)
	return makes
}

// ProjectDirs maps the import paths of the project's own packages to their
// folders.
func (l *Loader) ProjectDirs() map[string]string {
	content, err := l.Disk.Read(ModuleFileName)
	if err != nil {
		return nil
	}
	module, ok := moduleName(content)
	if !ok {
		return nil
	}
	dirs, err := l.PackageDirs()
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for _, dir := range dirs {
		out[path.Join(module, dir)] = dir
	}
	return out
}

// moduleName returns the name in a module file, without a version.
func moduleName(content []byte) (string, bool) {
	f, err := parser.ParseFile(ModuleFileName, content)
	if err != nil {
		return "", false
	}
	var given []ast.Expr
	for _, d := range f.Decls {
		if field, ok := d.(*ast.Field); ok {
			if label, ok := source.FieldLabel(field); ok && label == "module" {
				given = append(given, field.Value)
			}
		}
	}
	name := ""
	if len(given) == 1 {
		if lit, ok := given[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			name, _ = literal.Unquote(lit.Value)
		}
	}
	if name == "" { // only CUE can evaluate it, and CUE takes a while to start
		if name, err = cuecontext.New().BuildFile(f).LookupPath(finding.FieldPath("module")).String(); err != nil {
			return "", false
		}
	}
	name, _, _ = strings.Cut(name, "@")
	return name, true
}

// ModuleFileName and LocalModuleFileName are the files of the CUE module.
const (
	ModuleFileName      = "cue.mod/module.cue"
	LocalModuleFileName = "cue.mod/local-module.cue"
)

// A Loader reads a project's CUE files, with the embedded schema in the place of the project's copy.
type Loader struct {
	Disk *Disk
	// root is the folder that CUE believes the project to be in.
	root string
	// schema has the files that replace the vendored ones.
	schema map[string][]byte
	// Tests means that files ending in _test.cue are read as well.
	Tests bool
	// Inputs has the values of fields with @tag, by name.
	Inputs map[string]string
	// Alters means that CUE gets altered files, which may import other packages than the files on disk.
	Alters bool
	// Sizes has the sizes of the files, in bytes, summed for each folder that PackageDirs lists.
	Sizes map[string]int64
	// PackageDirs lists the folders of the project that hold CUE files, with slashes, "." for the project's own. Like
	// cue with "./...", it leaves out names that start with "." or "_", cue.mod, and folders that are a project or a
	// module of their own. Unread files and folders that may hold automations are put aside, with a finding. The disk
	// is read once. The caller must not change the list.
	PackageDirs func() ([]string, error)
	// entries has the entries of the listed folders.
	entries map[string][]fs.DirEntry
}

// NewLoader returns a loader for the project on a disk. files is the schema that it uses.
func NewLoader(disk *Disk, files map[string][]byte) *Loader {
	l := &Loader{Disk: disk, root: disk.stage, schema: files, Sizes: map[string]int64{},
		entries: map[string][]fs.DirEntry{}}
	l.PackageDirs = sync.OnceValues(l.packageDirs)
	return l
}

// ModuleFile returns the content of cue.mod/module.cue for a project.
func ModuleFile(module string) string {
	return fmt.Sprintf("module: %q\nlanguage: version: %q\n", module, schema.LanguageVersion)
}

// VendoredDiffers reports whether the project has a copy of the schema that differs from the embedded one.
// Unreadable parts of it have findings.
func (l *Loader) VendoredDiffers() bool {
	if _, err := l.Disk.Stat(schema.VendorDir); err != nil {
		return false
	}
	current := schema.Files()
	for _, pkg := range schema.Packages() {
		entries, _ := l.Disk.ReadDir(path.Join(schema.VendorDir, pkg))
		for _, e := range entries {
			name := pkg + "/" + e.Name()
			if _, ok := current[name]; !ok && strings.HasSuffix(name, ".cue") {
				return true
			}
		}
	}
	for name, want := range current {
		got, err := l.Disk.Read(path.Join(schema.VendorDir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		// A clone on Windows may have other line ends.
		if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
			return true
		}
	}
	return false
}

// IsSchema reports whether a file belongs to the schema.
func (l *Loader) IsSchema(filename string) bool {
	return strings.HasPrefix(filename, l.Full(schema.VendorDir)+string(filepath.Separator))
}

// Relative converts a file name from CUE into one relative to the project.
func (l *Loader) Relative(filename string) string {
	if rel, err := filepath.Rel(l.root, filename); err == nil {
		return filepath.ToSlash(rel)
	}
	return filename
}

// packageDirs implements [Loader.PackageDirs].
func (l *Loader) packageDirs() ([]string, error) {
	w := l.Disk
	if !w.keeps {
		return l.listAll()
	}
	w.mu.Lock()
	kept := w.listing
	w.mu.Unlock()
	if kept == nil {
		dirs, err := l.listAll()
		if err != nil {
			return nil, err
		}
		kept = &listing{dirs, l.entries, l.Sizes}
		w.mu.Lock()
		w.listing = kept
		w.mu.Unlock()
	}
	l.entries, l.Sizes = kept.entries, kept.sizes
	return kept.dirs, nil
}

func (l *Loader) listAll() ([]string, error) {
	entries, err := l.Disk.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("can't read the project's folder: %w", err)
	}
	var dirs []string
	l.list(".", entries, &dirs)
	if l.Disk.Exists("cue.mod") {
		l.listModule("cue.mod")
	}
	slices.Sort(dirs)
	return slices.Compact(dirs), nil
}

// list adds a folder and the folders below it to the list, if they hold CUE files.
func (l *Loader) list(dir string, entries []fs.DirEntry, dirs *[]string) {
	l.entries[dir] = entries
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case ignoredName(e.Name()) || e.Name() == "cue.mod":
		case e.IsDir():
			below, err := l.Disk.ReadDir(name)
			if own := l.separate(name, below, err); own != "" {
				l.nested(name, own)
			} else if err != nil {
				l.Disk.putAside(name, UnreadableFolder(name, err))
			} else {
				l.list(name, below, dirs)
			}
		case !strings.HasSuffix(e.Name(), ".cue"):
			if e.Type()&fs.ModeSymlink != 0 {
				l.linked(name)
			}
			if strings.EqualFold(path.Ext(e.Name()), ".cue") {
				l.unused(name, "CUE only reads files whose names end in .cue, in lower case")
			}
		case !Loadable(e.Name()):
			l.Disk.putAside(name, finding.Diagnose("file-name", diagnostic.Diagnostic{File: name,
				Message: "the file's name has a colon, a backslash or bytes that are not UTF-8, " +
					"so CUE can't read it",
				Help: "rename it"}))
		case !IsSource(e.Name()):
			if l.Disk.setAside(name) { // CUE opens it for its package clause
				continue
			}
			if IsTestFile(e.Name()) {
				l.unused(name, "segue only reads files whose names end in _test.cue for tests")
			} else {
				l.unused(name, "CUE only reads files whose names end in _tool.cue for commands")
			}
		case name != config.ProjectFile:
			l.listFile(dir, name, dirs)
		}
	}
}

// Entries lists a folder like [Disk.ReadDir], from the listing that PackageDirs made.
func (l *Loader) Entries(dir string) ([]fs.DirEntry, error) {
	if _, err := l.PackageDirs(); err != nil {
		return nil, err
	}
	if entries, ok := l.entries[dir]; ok {
		return entries, nil
	}
	return l.Disk.ReadDir(dir)
}

// unused puts aside a file that declares automations but is not read because of its name. Without a finding,
// renaming a file like this would delete its automations.
func (l *Loader) unused(name, why string) {
	content, err := l.Disk.Read(name)
	if err != nil || !declaresAutomations().Match(content) || IsTestFile(name) && !hasTrigger(content) {
		return
	}
	l.Disk.putAside(name, finding.Diagnose("file-name", diagnostic.Diagnostic{File: name,
		Message: "the automations in the file are not used: " + why, Help: "rename it"}))
}

// hasTrigger reports whether an automation under automations has a trigger. Automations that are only tested
// have none.
func hasTrigger(content []byte) bool {
	f, err := parser.ParseFile("", content)
	if err != nil {
		return false // segue test reports the mistake
	}
	found := false
	ast.Walk(f, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok {
			return !found
		}
		label, _, err := ast.LabelName(field.Label)
		at := source.PathAt(f, field.Pos())
		if err == nil && label == "trigger" && len(at) == 3 && at[0] == "automations" {
			found = true
		}
		return !found && len(at) < 3
	}, nil)
	return found
}

// listFile adds the folder of a CUE file to the list.
func (l *Loader) listFile(dir, name string, dirs *[]string) {
	// CUE's check allows a colon and an @, but they have another meaning in an import path.
	if module.CheckImportPath(path.Join("project.example", dir)) != nil || strings.ContainsAny(dir, ":@") {
		l.Disk.putAside(dir, finding.Diagnose("folder-name", diagnostic.Diagnostic{File: name,
			Message: fmt.Sprintf("the name of the folder %q can't be part of an import path, "+
				"so CUE ignores the folder", dir),
			Help: "rename it: use letters, digits, '-', '_' and '.'"}))
		return
	}
	size, _ := l.Disk.sizeOrAside(name)
	l.Sizes[dir] += size
	if len(*dirs) == 0 || (*dirs)[len(*dirs)-1] != dir {
		*dirs = append(*dirs, dir)
	}
}

// linked puts aside a link that is, or may be meant to be, a folder of automations. CUE does not follow it, and
// if segue did, the automations would have two keys.
func (l *Loader) linked(name string) {
	aside := func(message, help string) {
		d := diagnostic.Diagnostic{File: name, Message: message, Help: help}
		l.Disk.putAside(name, finding.Diagnose("linked-folder", d))
	}
	_, err := l.Disk.resolve(name)
	info, statErr := os.Stat(l.Disk.full(name))
	switch {
	case statErr != nil:
		aside("this link leads nowhere; if it should be a folder, its automations are missing",
			"remove the link, or correct it")
	case !info.IsDir():
		// A file of another kind is read where it is embedded, or not at all.
	case err != nil && RefusalOf(err).Message == outside().Message:
		aside("this is a link to a folder outside of the project, and segue reads nothing outside of it",
			"replace the link with the folder")
	case err != nil:
		aside(RefusalOf(err).Message, "remove the link")
	case l.holdsSource(name):
		aside("this is a link to a folder that CUE does not follow, so its automations are not read",
			"remove the link, or replace it with the folder")
	}
}

// holdsSource reports whether a folder or one below it has a CUE file, or can't be read.
func (l *Loader) holdsSource(dir string) bool {
	entries, err := l.Disk.ReadDir(dir)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		switch name := path.Join(dir, e.Name()); {
		case ignoredName(e.Name()):
			return false
		case e.IsDir():
			return l.holdsSource(name)
		default:
			return IsSource(e.Name())
		}
	})
}

// listModule puts aside unreadable files in cue.mod and links that lead out of the project. Of the others, CUE
// reads those that are imported.
func (l *Loader) listModule(dir string) {
	entries, err := l.Disk.ReadDir(dir)
	if err != nil {
		l.Disk.putAside(dir, UnreadableFolder(dir, err))
		return
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case ignoredName(e.Name()) || e.Type().IsRegular():
		case e.IsDir():
			l.listModule(name)
		case strings.HasSuffix(e.Name(), ".cue"):
			l.Disk.setAside(name)
		case e.Type()&fs.ModeSymlink != 0:
			if _, err := l.Disk.Stat(name); err != nil {
				l.Disk.putAside(name, UnreadableFolder(name, err))
			}
		}
	}
}

// UnreadableFolder returns the finding about a folder that can't be listed.
func UnreadableFolder(name string, err error) diagnostic.Diagnostic {
	r := RefusalOf(err)
	r.File = name
	return r.Diagnostic
}

// separate returns the name of the file that makes a folder a project or a CUE module of its own, "" if there
// is none. entries are those of the folder, unless err says that it can't be listed.
func (l *Loader) separate(dir string, entries []fs.DirEntry, err error) string {
	for _, name := range []string{config.ProjectFile, "cue.mod"} {
		// Some file systems ignore case in names.
		like := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.EqualFold(e.Name(), name) })
		if (like || err != nil) && l.Disk.Exists(path.Join(dir, name)) {
			return name
		}
	}
	return ""
}

// nested puts aside a folder that is a project or module of its own and may have automations. They are not
// read, and would be deleted if they were part of the project before.
func (l *Loader) nested(dir, own string) {
	if !l.holdsAutomations(dir) {
		return
	}
	made, file := "segue.cue of its own", path.Join(dir, config.ProjectFile)
	if own != config.ProjectFile {
		made, file = "cue.mod of its own", path.Join(dir, ModuleFileName)
	}
	l.Disk.putAside(dir, finding.Diagnose("nested-project", diagnostic.Diagnostic{File: file,
		Message: fmt.Sprintf("the folder %s has a %s, so its automations are not part of this project", dir, made),
		Help:    fmt.Sprintf("remove %s from it, or move it out of this project's folder", own)}))
}

// holdsAutomations reports whether a file in a folder, or below it, declares
// automations, or can't be read.
func (l *Loader) holdsAutomations(dir string) bool {
	entries, err := l.Disk.ReadDir(dir)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		switch name := path.Join(dir, e.Name()); {
		case ignoredName(e.Name()) || e.Name() == "cue.mod" || e.Name() == config.ProjectFile:
			return false
		case e.IsDir():
			return l.holdsAutomations(name)
		case IsSource(e.Name()):
			content, err := l.Disk.Read(name)
			return err != nil || declaresAutomations().Match(content)
		}
		return false
	})
}

var declaresAutomations = finding.Pattern(`(?m)^[ \t]*automations[ \t]*:`)

func ignoredName(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// IsSource reports whether a file belongs to a package, by its name.
func IsSource(name string) bool {
	return strings.HasSuffix(name, ".cue") && !ignoredName(name) &&
		!strings.HasSuffix(name, "_test.cue") && !strings.HasSuffix(name, "_tool.cue")
}

// parseFunc is the loader's hook for reading one file.
type parseFunc func(name string, src any, cfg parser.Config) (*ast.File, error)

// Parse reads a file for the loader. CUE replaces bytes that are not UTF-8 by U+FFFD, which would be sent like
// that, so Parse refuses such a file.
func (l *Loader) Parse(name string, src any, cfg parser.Config) (*ast.File, error) {
	if !l.Tests && IsTestFile(name) {
		return testFileClause(name, src), nil
	}
	if b, ok := src.([]byte); ok && bytes.ContainsRune(b, utf8.RuneError) {
		if content, err := l.Disk.Read(l.Relative(name)); err == nil && !utf8.Valid(content) {
			f, _ := parser.ParseFile(name, src, cfg)
			return f, cueerrors.Newf(token.NewFile(name, -1, len(b)).Pos(0, token.NoRelPos), "the file is not UTF-8")
		}
	}
	f, err := parser.ParseFile(name, src, cfg)
	Inject(f, l.Inputs)
	return f, err
}

// Packages loads all packages in the folders, which are relative to the root. At the first file of a folder
// that CUE refuses or excludes, it stops reading the folder, and some packages of the folder may be missing.
func (l *Loader) Packages(dirs []string, parse parseFunc) []*build.Instance {
	args := make([]string, len(dirs))
	for i, dir := range dirs {
		args[i] = "./" + dir
		if path.Ext(dir) != "" && dir != "." {
			args[i] += "/" // otherwise CUE takes the folder for a file of that type
		}
	}
	return l.Load(args, func(name string, src any, cfg parser.Config) (*ast.File, error) {
		if name == l.Full(config.ProjectFile) {
			return &ast.File{Filename: name}, nil // it is read alone
		}
		f, err := parse(name, src, cfg)
		switch {
		case err != nil:
			return f, err
		case f.PackageName() == "":
			return &ast.File{Filename: name}, nil // it belongs to no package, so its imports do not matter
		case leftOut(f) != nil:
			return ClauseOnly(f), nil
		}
		return f, nil
	}, func(cfg *load.Config) {
		cfg.Package, cfg.Tests = "*", l.Tests
		// Without it, CUE stops at a package that only has files for tests, and leaves out the folder's other
		// packages, in the order of a map.
		cfg.DataFiles = true
	})
}

// A Reading reads the files of packages and remembers their errors, so that CUE continues with the other
// packages.
type Reading struct {
	loader *Loader
	mu     sync.Mutex
	broken map[string]error          // files that do not parse, by name
	Out    map[string]*ast.Attribute // files that an attribute excludes
	Bytes  bool                      // a file may make bytes, for which JSON has no type
}

func (l *Loader) Reading() *Reading {
	return &Reading{loader: l, broken: map[string]error{}, Out: map[string]*ast.Attribute{}}
}

// Parse returns only the package clause of a file that does not parse.
func (r *Reading) Parse(name string, src any, cfg parser.Config) (*ast.File, error) {
	f, err := r.loader.Parse(name, src, cfg)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.broken[name] = err
		if f == nil {
			f = &ast.File{}
		}
		f.Filename = name
		return ClauseOnly(f), nil
	}
	if attr := leftOut(f); attr != nil {
		r.Out[name] = attr
	}
	for spec := range f.ImportSpecs() {
		if !strings.HasPrefix(spec.Path.Value, `"`) {
			// CUE would give up on the whole folder.
			r.broken[name] = cueerrors.Newf(spec.Path.Pos(), "import path between single quotes")
			return ClauseOnly(f), nil
		}
	}
	r.Bytes = r.Bytes || !r.loader.IsSchema(name) && makesBytes(f)
	return f, nil
}

// Failure returns the error that makes a package unusable: an error from CUE, or from one of its own files or
// of a package that it imports.
func (r *Reading) Failure(inst *build.Instance) error {
	if inst.Err != nil { // returned as an error only if it is not nil: a nil pointer in an interface is not nil
		return inst.Err
	}
	if len(r.broken) == 0 {
		return nil
	}
	seen := map[*build.Instance]bool{}
	var failure func(*build.Instance) error
	failure = func(inst *build.Instance) error {
		if seen[inst] {
			return nil
		}
		seen[inst] = true
		for _, f := range inst.BuildFiles {
			if err := r.broken[f.Filename]; err != nil {
				return err
			}
		}
		for _, imported := range inst.Imports {
			if err := failure(imported); err != nil {
				return err
			}
		}
		return nil
	}
	return failure(inst)
}

// File loads a single file.
func (l *Loader) File(name string, parse parseFunc) *build.Instance {
	return l.Load([]string{"./" + name}, parse, nil)[0]
}

// SchemaPackage loads a package of the schema.
func (l *Loader) SchemaPackage(name string) *build.Instance {
	return l.Load([]string{schema.ModulePath + "/" + name}, nil, nil)[0]
}
