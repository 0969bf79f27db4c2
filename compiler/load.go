package compiler

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/mod/module"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// projectFile is the name of the project file, at the project's root.
const projectFile = "segue.cue"

// A loader reads a project's CUE files with the embedded schema in the place of
// whatever copy the project has.
type loader struct {
	root    string // absolute
	overlay map[string]load.Source
	// aside are the files and folders that are not read, with the reason.
	aside map[string]diagnostic.Diagnostic
	// tests says that files ending in _test.cue are read as well.
	tests bool
	// sizes are the bytes in the files of the folders that packageDirs lists.
	sizes map[string]int64
}

// newLoader returns a loader for the project at root, an absolute path, that
// uses the schema in files.
func newLoader(root string, files map[string][]byte) (*loader, error) {
	l := &loader{root: root, overlay: map[string]load.Source{}, aside: map[string]diagnostic.Diagnostic{}, sizes: map[string]int64{}}
	for name, content := range files {
		l.overlay[l.vendored(name)] = load.FromBytes(content)
	}
	// A file in the vendored copy that this schema does not have would be added
	// to its package.
	stale, err := l.staleFiles()
	if err != nil {
		return nil, err
	}
	for _, name := range stale {
		l.overlay[l.vendored(name)] = load.FromBytes([]byte("package " + path.Base(path.Dir(name)) + "\n"))
	}
	module := filepath.Join(root, "cue.mod", "module.cue")
	if _, err := os.Stat(module); errors.Is(err, fs.ErrNotExist) {
		l.overlay[module] = load.FromBytes([]byte(ModuleFile("project.example")))
	}
	return l, nil
}

// ModuleFile returns the content of cue.mod/module.cue for a project.
func ModuleFile(module string) string {
	return fmt.Sprintf("module: %q\nlanguage: version: %q\n", module, schema.LanguageVersion)
}

// vendored returns where a file of the schema stands in the project's copy.
func (l *loader) vendored(name string) string {
	return filepath.Join(l.root, filepath.FromSlash(schema.VendorDir), filepath.FromSlash(name))
}

// staleFiles lists the files of the vendored schema that the embedded one does
// not have.
func (l *loader) staleFiles() ([]string, error) {
	var stale []string
	current := schema.Files()
	for _, pkg := range schema.Packages() {
		entries, err := os.ReadDir(l.vendored(pkg))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name := pkg + "/" + e.Name()
			if _, ok := current[name]; !ok && strings.HasSuffix(name, ".cue") {
				stale = append(stale, name)
			}
		}
	}
	return stale, nil
}

// vendoredDiffers reports whether the project has a copy of the schema that is
// not the embedded one.
func (l *loader) vendoredDiffers() (bool, error) {
	if _, err := os.Stat(filepath.Join(l.root, filepath.FromSlash(schema.VendorDir))); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	if stale, err := l.staleFiles(); err != nil || len(stale) > 0 {
		return true, err
	}
	for name, want := range schema.Files() {
		got, err := os.ReadFile(l.vendored(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		if string(got) != string(want) {
			return true, nil
		}
	}
	return false, nil
}

// isSchema reports whether a file is one of the schema's.
func (l *loader) isSchema(filename string) bool {
	return strings.HasPrefix(filename, filepath.Join(l.root, filepath.FromSlash(schema.VendorDir))+string(filepath.Separator))
}

// relative returns a file's name relative to the project, with slashes.
func (l *loader) relative(filename string) string {
	if rel, err := filepath.Rel(l.root, filename); err == nil {
		return filepath.ToSlash(rel)
	}
	return filename
}

// packageDirs lists the folders of the project that hold CUE files, relative to
// the root and with slashes, "." for the root. It follows what cue does with
// "./...": names that start with "." or "_", cue.mod, and folders that are a
// project or a module of their own are left out, and links are not followed.
func (l *loader) packageDirs() ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(l.root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if name == l.root {
				return err
			}
			l.aside[name] = l.unreadableDir(name, err)
			return fs.SkipDir
		}
		if d.IsDir() {
			if name == l.root {
				return nil
			}
			if ignoredName(d.Name()) || d.Name() == "cue.mod" {
				return fs.SkipDir
			}
			if own := l.separate(name); own != "" {
				l.nested(name, own)
				return fs.SkipDir
			}
			return nil
		}
		if !isSource(d.Name()) {
			if strings.HasSuffix(d.Name(), ".cue") && !ignoredName(d.Name()) {
				l.setAside(name) // CUE opens it for its package clause
			}
			return nil
		}
		dir := l.relative(filepath.Dir(name))
		if dir == "." && d.Name() == projectFile {
			return nil
		}
		if folder := filepath.Dir(name); module.CheckImportPath(path.Join("project.example", dir)) != nil {
			if _, known := l.aside[folder]; !known {
				l.aside[folder] = diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "folder-name", File: l.relative(name),
					Message: fmt.Sprintf("the folder %q has a name that CUE can't make an import path of, so that nothing in it is used", dir),
					Help:    "rename it: use letters, digits, '-', '_' and '.'"}
			}
			return nil
		}
		if !l.setAside(name) {
			if info, err := d.Info(); err == nil {
				l.sizes[dir] += info.Size()
			}
		}
		if len(dirs) == 0 || dirs[len(dirs)-1] != dir {
			dirs = append(dirs, dir)
		}
		return nil
	})
	slices.Sort(dirs)
	return slices.Compact(dirs), err
}

// separate returns what makes a folder a project or a CUE module of its own, ""
// if it is none.
func (l *loader) separate(dir string) string {
	for _, name := range []string{projectFile, "cue.mod"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return name
		}
	}
	return ""
}

// nested puts a folder aside that is a project or module of its own and has
// automations: they would be left out, and deleted if they were part of the
// project before.
func (l *loader) nested(dir, own string) {
	found := false
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || found:
			return fs.SkipAll // what can't be read has no automations to lose
		case d.IsDir() && name != dir && (ignoredName(d.Name()) || d.Name() == "cue.mod"):
			return fs.SkipDir
		case d.Type().IsRegular() && isSource(d.Name()) && d.Name() != projectFile:
			content, err := os.ReadFile(name)
			found = err == nil && declaresAutomations.Match(content)
		}
		return nil
	})
	if !found {
		return
	}
	what := "segue.cue of its own"
	file := filepath.Join(dir, projectFile)
	if own != projectFile {
		what, file = "cue.mod of its own", filepath.Join(dir, own, "module.cue")
	}
	l.aside[dir] = diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "nested-project", File: l.relative(file),
		Message: fmt.Sprintf("the folder %s has a %s, so that its automations are no part of this project", l.relative(dir), what),
		Help:    fmt.Sprintf("remove %s from it, or move it out of this project's folder", own)}
}

var declaresAutomations = regexp.MustCompile(`(?m)^[ \t]*automations[ \t]*:`)

func ignoredName(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// isSource reports whether a file belongs to a package, by its name.
func isSource(name string) bool {
	return strings.HasSuffix(name, ".cue") && !ignoredName(name) &&
		!strings.HasSuffix(name, "_test.cue") && !strings.HasSuffix(name, "_tool.cue")
}

// parseFunc is the loader's hook for reading one file.
type parseFunc func(name string, src any, cfg parser.Config) (*ast.File, error)

// parse reads a file for the loader. What is not UTF-8 has been replaced by then,
// in a way that can be seen, and would be sent like that.
func (l *loader) parse(name string, src any, cfg parser.Config) (*ast.File, error) {
	if !l.tests && isTestFile(name) {
		return testFileClause(name, src), nil
	}
	if b, ok := src.([]byte); ok && bytes.ContainsRune(b, utf8.RuneError) {
		if content, err := os.ReadFile(name); err == nil && !utf8.Valid(content) {
			f, _ := parser.ParseFile(name, src, cfg)
			return f, cueerrors.Newf(token.NewFile(name, -1, len(b)).Pos(0, token.NoRelPos), "the file is not UTF-8")
		}
	}
	return parser.ParseFile(name, src, cfg)
}

// packages loads all packages in the folders, which are relative to the root. CUE
// stops within a folder at the first file that it can't take, or leaves out, and
// then not all packages of the folder are there.
func (l *loader) packages(dirs []string, parse parseFunc) []*build.Instance {
	args := make([]string, len(dirs))
	for i, dir := range dirs {
		args[i] = "./" + dir
	}
	return load.Instances(args, &load.Config{
		Dir: l.root, ModuleRoot: l.root, Package: "*", Overlay: l.overlay, Tests: l.tests,
		ParseFile: func(name string, src any, cfg parser.Config) (*ast.File, error) {
			if name == filepath.Join(l.root, projectFile) {
				return &ast.File{Filename: name}, nil // it is read alone
			}
			f, err := parse(name, src, cfg)
			switch {
			case err != nil:
				return f, err
			case f.PackageName() == "":
				return &ast.File{Filename: name}, nil // it belongs to no package, whatever it imports
			case leftOut(f) != nil:
				return clauseOnly(f), nil
			}
			return f, nil
		},
	})
}

// clauseOnly returns a file with no more than the package clause of another.
func clauseOnly(f *ast.File) *ast.File {
	out := &ast.File{Filename: f.Filename}
	if name := f.PackageName(); name != "" {
		out.Decls = []ast.Decl{&ast.Package{Name: ast.NewIdent(name)}}
	}
	return out
}

// leftOut returns the attribute above a file's package clause that keeps the file
// out of its package, nil if there is none. None of CUE's tags is set.
func leftOut(f *ast.File) *ast.Attribute {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.Package:
			return nil
		case *ast.Attribute:
			key, body := d.Split()
			condition, err := parser.ParseExpr("", body)
			if key == "ignore" || key == "if" && (err != nil || !withoutTags(condition)) {
				return d
			}
		}
	}
	return nil
}

// withoutTags evaluates the condition of an @if attribute.
func withoutTags(condition ast.Expr) bool {
	switch e := condition.(type) {
	case *ast.ParenExpr:
		return withoutTags(e.X)
	case *ast.UnaryExpr:
		return e.Op == token.NOT && !withoutTags(e.X)
	case *ast.BinaryExpr:
		x, y := withoutTags(e.X), withoutTags(e.Y)
		return e.Op == token.LAND && x && y || e.Op == token.LOR && (x || y)
	}
	return false
}

// A reading reads the files of packages and remembers what is wrong with them, so
// that CUE goes on to the other packages.
type reading struct {
	loader *loader
	mu     sync.Mutex
	broken map[string]error          // files that do not parse, by name
	out    map[string]*ast.Attribute // files that say that they are left out
	bytes  bool                      // a file may make bytes, which JSON has no type for
}

func (l *loader) reading() *reading {
	return &reading{loader: l, broken: map[string]error{}, out: map[string]*ast.Attribute{}}
}

// parse gives no more than the package clause of a file that does not parse.
func (r *reading) parse(name string, src any, cfg parser.Config) (*ast.File, error) {
	f, err := r.loader.parse(name, src, cfg)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.broken[name] = err
		if f == nil {
			f = &ast.File{}
		}
		f.Filename = name
		return clauseOnly(f), nil
	}
	if attr := leftOut(f); attr != nil {
		r.out[name] = attr
	}
	for spec := range f.ImportSpecs() {
		if !strings.HasPrefix(spec.Path.Value, `"`) {
			// CUE would give up the whole folder.
			r.broken[name] = cueerrors.Newf(spec.Path.Pos(), "import path between single quotes")
			return clauseOnly(f), nil
		}
	}
	r.bytes = r.bytes || !r.loader.isSchema(name) && makesBytes(f)
	return f, nil
}

// failure is what keeps a package from being used: what CUE says of it, or of a
// file of its own or of a package that it imports.
func (r *reading) failure(inst *build.Instance) error {
	if inst.Err != nil { // not as an error, lest a nil pointer is taken for one
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

// file loads one file by itself.
func (l *loader) file(name string, parse parseFunc) *build.Instance {
	return load.Instances([]string{"./" + name}, &load.Config{
		Dir: l.root, ModuleRoot: l.root, Overlay: l.overlay, ParseFile: parse,
	})[0]
}

// schemaPackage loads a package of the schema.
func (l *loader) schemaPackage(name string) *build.Instance {
	return load.Instances([]string{schema.ModulePath + "/" + name}, &load.Config{
		Dir: l.root, ModuleRoot: l.root, Overlay: l.overlay,
	})[0]
}

// noPackage is the finding about a file without a package clause, which CUE
// passes over.
func noPackage(file string, syntax *ast.File) diagnostic.Diagnostic {
	d := diagnostic.Diagnostic{Severity: diagnostic.Warning, Code: "no-package", File: file,
		Message: "the file has no package clause, so that nothing in it is used",
		Help:    "put package " + packageName(path.Dir(file)) + " on its first line"}
	if syntax != nil && len(syntax.Decls) > 0 {
		first := syntax.Decls[0].Pos()
		d.Range = rangeOf(first, first.Add(1))
	}
	if syntax != nil && slices.ContainsFunc(syntax.Decls, func(d ast.Decl) bool { _, comment := d.(*ast.CommentGroup); return !comment }) {
		d.Severity = diagnostic.Error
	}
	return d
}

// fileCondition is the finding about a file that is kept out of its package by a
// condition. One with @ignore() is kept out for good, as its author says.
func fileCondition(file string, attr *ast.Attribute) (diagnostic.Diagnostic, bool) {
	key, _ := attr.Split()
	return diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "file-condition", File: file, Range: rangeOf(attr.Pos(), attr.End()),
		Message: "the file is left out: segue sets none of the tags in " + attr.Text,
		Help:    "remove the attribute; to leave the file out for good, write @ignore()"}, key == "if"
}

// packageName proposes a package's name for a folder.
func packageName(dir string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return -1
	}, path.Base(dir))
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return "automations"
	}
	return name
}
