package compiler

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/schema"
)

// projectFile is the name of the project file, at the project's root.
const projectFile = "segue.cue"

// A loader reads a project's CUE files with the embedded schema in the place of
// whatever copy the project has.
type loader struct {
	root    string // absolute
	overlay map[string]load.Source
}

// newLoader returns a loader for the project at root, an absolute path, that
// uses the schema in files.
func newLoader(root string, files map[string][]byte) (*loader, error) {
	l := &loader{root: root, overlay: map[string]load.Source{}}
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
			return err
		}
		if d.IsDir() {
			if name == l.root {
				return nil
			}
			if ignoredName(d.Name()) || d.Name() == "cue.mod" || l.separate(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !isSource(d.Name()) {
			return nil
		}
		dir := l.relative(filepath.Dir(name))
		if dir == "." && d.Name() == projectFile {
			return nil
		}
		if len(dirs) == 0 || dirs[len(dirs)-1] != dir {
			dirs = append(dirs, dir)
		}
		return nil
	})
	slices.Sort(dirs)
	return slices.Compact(dirs), err
}

// separate reports whether a folder is a project or a CUE module of its own.
func (l *loader) separate(dir string) bool {
	for _, name := range []string{projectFile, "cue.mod"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

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

// packages loads all packages in the folders, which are relative to the root.
func (l *loader) packages(dirs []string, parse parseFunc) []*build.Instance {
	args := make([]string, len(dirs))
	for i, dir := range dirs {
		args[i] = "./" + dir
	}
	return load.Instances(args, &load.Config{
		Dir: l.root, ModuleRoot: l.root, Package: "*", Overlay: l.overlay, ParseFile: parse,
	})
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
