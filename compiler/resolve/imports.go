package resolve

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// builtinNames returns the placeholders that are fields of the package placeholder.
func builtinNames() map[string]bool {
	names := map[string]bool{}
	for name, content := range schema.Files() {
		if path.Dir(name) != "placeholder" {
			continue
		}
		f, err := parser.ParseFile(name, content)
		if err != nil {
			continue
		}
		for _, d := range f.Decls {
			if field, ok := d.(*ast.Field); ok {
				if label, ok := source.FieldLabel(field); ok && !strings.HasPrefix(label, "#") {
					names[label] = true
				}
			}
		}
	}
	return names
}

// importSpec reports whether an import can be used. If not, it adds a finding.
func (r *resolver) importSpec(spec *ast.ImportSpec) bool {
	name := source.ImportPath(spec)
	if !strings.HasPrefix(spec.Path.Value, `"`) {
		r.report("syntax-error", spec.Path, "an import path needs double quotes", "write "+strconv.Quote(name))
		return false
	}
	plain := ast.ParseImportPath(name).Unqualified().String()
	own := r.ProjectDirs()
	clean := path.Clean(name) == name
	if dir, ok := own[plain]; ok && clean {
		return r.projectImport(spec, dir)
	}
	if clean && !strings.HasPrefix(plain, ".") && r.importable(plain) {
		return true
	}
	if clean && !IsStandard(plain) && r.Loader.Disk.Modules.Failure() != nil {
		return false // the finding is about the module file
	}
	d := r.report("unknown-import", spec.Path, "there is no package "+spec.Path.Value+" to import", "")
	known := slices.Clone(standardPackages)
	for _, pkg := range schema.Packages() {
		if path.Base(name) == pkg && strings.Contains(name, "segue") {
			known = nil // the host or a folder is wrong
		}
		known = append(known, schema.ModulePath+"/"+pkg)
	}
	known = append(known, finding.SortedKeys(own)...)
	near := path.Clean(name)
	if clean || !slices.Contains(known, near) {
		near = nearestImport(name, known)
	}
	if near == "" {
		near = r.importByName(name, known)
	}
	switch {
	case near != "":
		d.Suggestion, d.Help = near, finding.DidYouMean(strconv.Quote(near))
		r.fixImport(d, spec, near)
		r.meant[ast.ParseImportPath(near).Qualifier] = true
		if plain := ast.ParseImportPath(near).Unqualified().String(); d.Fix != nil && r.importable(plain) {
			return r.redirect(spec, near)
		}
	case strings.HasPrefix(name, schema.ModulePath):
		d.Help = "segue's packages are " + finding.OneOf(schema.Packages()) + " under " + schema.ModulePath
	case own == nil && strings.Contains(strings.SplitN(name, "/", 2)[0], "."):
		d.Help = "the project has no cue.mod/module.cue, which names its packages: run segue init"
	default:
		d.Help = "import a package of the project, of CUE's standard library, or of segue's schema"
	}
	return false
}

// missingImport returns the import path of the package that an undefined name refers to: one of the schema, of
// the project or of CUE's standard library. It returns "" if there is none.
func (r *resolver) missingImport(id *ast.Ident) string {
	for _, pkg := range schema.Packages() {
		if id.Name == pkg {
			return schema.ModulePath + "/" + pkg
		}
	}
	label := r.selectedFrom(id)
	if label == "" {
		return ""
	}
	for _, pkg := range append(slices.Clone(standardPackages), finding.SortedKeys(r.ProjectDirs())...) {
		if plain := ast.ParseImportPath(pkg); plain.Qualifier == id.Name &&
			slices.Contains(r.packageFields(plain), label) {
			return pkg
		}
	}
	return ""
}

// selectedFrom returns the name that is selected from an identifier, "" if nothing is.
func (r *resolver) selectedFrom(id *ast.Ident) string {
	label := ""
	ast.Walk(r.src.Syntax, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.X == ast.Expr(id) {
			label, _, _ = ast.LabelName(sel.Sel)
		}
		return label == ""
	}, nil)
	return label
}

// importMissing adds a missing import to a file, so that its uses are checked too, and to the finding as a fix.
func (r *resolver) importMissing(d *diagnostic.Diagnostic, id *ast.Ident, missing string) *ast.ImportSpec {
	spec := &ast.ImportSpec{Path: &ast.BasicLit{ValuePos: id.NamePos, Kind: token.STRING,
		Value: strconv.Quote(missing)}}
	clause := source.PackageIdent(r.src.Syntax)
	if clause != nil {
		at := clause.End()
		d.Fix = finding.Rewrite(d.File, source.RangeOf(at, at), "\n\nimport "+strconv.Quote(missing),
			"import "+strconv.Quote(missing))
	}
	if _, own := r.ProjectDirs()[missing]; own && r.loadImport(missing) != nil {
		return nil // it has mistakes, or would make a cycle
	}
	decls := r.src.Syntax.Decls
	at := slices.IndexFunc(decls, func(d ast.Decl) bool { _, ok := d.(*ast.Package); return ok }) + 1
	r.src.Syntax.Decls = slices.Insert(slices.Clone(decls), at,
		ast.Decl(&ast.ImportDecl{Specs: []*ast.ImportSpec{spec}}))
	delete(r.unresolved, id)
	id.Node, r.added[id.Name], r.imported[id.Name], r.family.mended[spec] = spec, spec, spec, true
	return spec
}

// definedIn returns a file of the folder that belongs to another package and defines a name; nil if there is
// none.
func (r *resolver) definedIn(name string) *source.File {
	files, err := r.SourceFiles(r.Dir)
	if err != nil || r.IsProjectFile {
		return nil
	}
	for _, file := range files {
		s, broken, err := r.Read(path.Join(r.Dir, file))
		if err == nil && broken == nil && s.Syntax.PackageName() != r.Name &&
			source.TopField(s.Syntax.Decls, name) != nil {
			return s
		}
	}
	return nil
}

// redirect changes the package of an import and keeps the name that the file uses for it. It returns false if
// that name also has another meaning.
func (r *resolver) redirect(spec *ast.ImportSpec, right string) bool {
	old := source.ImportName(spec)
	if source.TopField(r.src.Syntax.Decls, old) != nil {
		return false
	}
	r.family.mended[spec] = true
	spec.Path = &ast.BasicLit{ValuePos: spec.Path.ValuePos, Kind: spec.Path.Kind, Value: strconv.Quote(right)}
	name := source.ImportName(spec)
	switch {
	case name == old:
	case source.Referenced(r.src.Syntax)[spec]:
		spec.Name = &ast.Ident{NamePos: spec.Path.ValuePos, Name: old}
	default:
		for _, id := range r.src.Syntax.Unresolved {
			if id.Name == name && id.Node == nil {
				id.Node = spec
			}
		}
	}
	return true
}

// importByName returns the only package of the project or the schema whose last element is that of an import
// path. People write "./shared", or the file's name.
func (r *resolver) importByName(name string, known []string) string {
	last := path.Base(name)
	if strings.HasSuffix(last, ".cue") {
		last = path.Base(path.Dir(name))
	}
	found := ""
	for _, k := range known {
		if path.Base(k) != last || !strings.Contains(k, ".") {
			continue // one of CUE's own
		}
		if found != "" {
			return ""
		}
		found = k
	}
	return found
}

// nearestImport returns the import path that was probably meant. A common prefix of two paths does not count as
// similarity.
func nearestImport(name string, known []string) string {
	for _, k := range known {
		if strings.HasPrefix(k, schema.ModulePath) && path.Base(k) == path.Base(name) &&
			strings.Contains(name, "segue") {
			return k
		}
	}
	var near string
	for _, k := range known {
		common := 0
		for i := 0; i < min(len(name), len(k)) && name[i] == k[i]; i++ {
			if name[i] == '/' {
				common = i + 1
			}
		}
		if finding.Nearest(name[common:], []string{k[common:]}) != "" {
			if near != "" {
				return ""
			}
			near = k
		}
	}
	return near
}

// projectImport reports whether a package of the project can be used. A package with mistakes can't. They are
// explained there if that package is also compiled.
func (r *resolver) projectImport(spec *ast.ImportSpec, dir string) bool {
	failure := r.loadImport(source.ImportPath(spec))
	if failure == nil {
		return true
	}
	qualifier := ast.ParseImportPath(source.ImportPath(spec)).Qualifier
	names, err := r.packageNames(dir)
	switch {
	case err == nil && !slices.Contains(names, qualifier) && !slices.Contains(names, ""):
		r.otherPackage(spec, dir, qualifier, names)
	case isImportCycle(failure) && r.importCycle(spec):
		r.awaits = append(r.awaits, dir)
	case slices.Contains(r.dirs, dir):
		r.awaits = append(r.awaits, dir)
	default:
		r.report("broken-import", spec.Path, "the package "+spec.Path.Value+" has mistakes of its own",
			"run segue vet ./"+dir+" to see them")
	}
	return false
}

// otherPackage reports the import of a folder that has no package of the name that CUE looks for.
func (r *resolver) otherPackage(spec *ast.ImportSpec, dir, qualifier string, names []string) {
	d := r.report("unknown-import", spec.Path,
		fmt.Sprintf("the folder %s has no package %s: the package there is called %s", dir, qualifier,
			finding.OneOf(names)), "")
	plain := ast.ParseImportPath(source.ImportPath(spec))
	plain.Qualifier, plain.ExplicitQualifier = names[0], true
	near := plain.String()
	d.Help = "name it in the import: " + strconv.Quote(near)
	if len(names) == 1 {
		d.Suggestion = near
		r.fixImport(d, spec, near)
	}
}

// isImportCycle reports whether CUE refuses a package because it imports itself, directly or through others.
func isImportCycle(err error) bool {
	return slices.ContainsFunc(cueerrors.Errors(err), func(e cueerrors.Error) bool {
		return strings.Contains(source.PlainMessage(e), "import cycle")
	})
}

// A link is one import in a chain of imports, and the package that it imports.
type link struct {
	from     *link
	src      *source.File
	spec     *ast.ImportSpec
	dir, pkg string
}

// importCycle reports whether an import leads back to its own package, directly or through others. The first
// package of a cycle has the finding.
func (r *resolver) importCycle(spec *ast.ImportSpec) bool {
	lead := func(from *link, src *source.File, spec *ast.ImportSpec) *link {
		name := ast.ParseImportPath(source.ImportPath(spec))
		if dir, ok := r.ProjectDirs()[name.Unqualified().String()]; ok {
			return &link{from, src, spec, dir, name.Qualifier}
		}
		return nil
	}
	seen := map[[2]string]bool{}
	for queue := []*link{lead(nil, r.src, spec)}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at == nil || seen[[2]string{at.dir, at.pkg}] {
			continue
		}
		seen[[2]string{at.dir, at.pkg}] = true
		if at.dir == path.Clean(r.Dir) && at.pkg == r.Name {
			r.reportCycle(at)
			return true
		}
		imported, err := r.Open(at.dir, at.pkg, nil)
		if err != nil {
			continue
		}
		for _, src := range imported.Index.Sources {
			for next := range src.Syntax.ImportSpecs() {
				queue = append(queue, lead(at, src, next))
			}
		}
	}
	return false
}

// reportCycle reports a cycle of imports. It reports nothing if another compiled package of the cycle comes
// before this one, or if an earlier import of this package had the same finding.
func (r *resolver) reportCycle(last *link) {
	var chain []*link
	for at := last; at != nil; at = at.from {
		chain = append([]*link{at}, chain...)
		if slices.Contains(r.dirs, at.dir) && at.dir < path.Clean(r.Dir) {
			return
		}
	}
	message, help := "the package "+r.Name+" imports itself",
		"remove the import: all files of a package share their definitions"
	if len(chain) > 1 {
		names := []string{r.Name + " imports " + chain[0].pkg}
		for _, at := range chain[1:] {
			names = append(names, "which imports "+at.pkg)
		}
		message = "packages import each other in a cycle: " + strings.Join(names, ", ")
		help = "remove one of the imports: move shared definitions into a package that imports neither"
	}
	if r.circles[message] {
		return
	}
	r.circles[message] = true
	d := r.report("import-cycle", chain[0].spec.Path, message, help)
	for _, at := range chain[1:] {
		d.Related = append(d.Related, diagnostic.Related{Message: at.pkg + " is imported here", File: at.src.Name,
			Range: r.Index.NodeRange(at.spec.Path)})
	}
}

// loadImport tries to load a package by its import path.
func (e *Reader) loadImport(name string) error {
	insts := e.Loader.Load([]string{name}, nil, nil)
	if len(insts) != 1 {
		return os.ErrNotExist
	}
	if insts[0].Err != nil { // returned as an error only if it is not nil: a nil pointer in an interface is not nil
		return insts[0].Err
	}
	return nil
}

// importable reports whether a package can be imported.
func (e *Reader) importable(name string) bool {
	if rest, ok := strings.CutPrefix(name, schema.ModulePath+"/"); ok {
		return slices.Contains(schema.Packages(), rest)
	}
	if IsStandard(name) {
		return len(standardFields(name)) > 0
	}
	return e.loadImport(name) == nil
}

// packageFields lists the definitions of a package, nil if they are not known.
func (e *Reader) packageFields(pkg ast.ImportPath) []string {
	name := pkg.Unqualified().String()
	if rest, ok := strings.CutPrefix(name, schema.ModulePath+"/"); ok {
		return schemaNames()[rest]
	}
	if IsStandard(name) {
		return standardFields(name)
	}
	dir, ok := e.ProjectDirs()[name]
	if !ok {
		return nil
	}
	p, err := e.Open(dir, pkg.Qualifier, nil)
	if err != nil || p.Unparsed || len(p.Torn) > 0 {
		return nil
	}
	return slices.DeleteFunc(finding.SortedKeys(p.Index.Top),
		func(label string) bool { return strings.HasPrefix(label, "_") })
}

// offered selects the names of a package that are useful to an author.
func offered(pkg string, names []string) []string {
	switch pkg {
	case schema.ModulePath + "/automation":
		var calls []string
		for _, call := range schema.CallNames() {
			calls = append(calls, schema.Calls[call])
		}
		return calls
	case schema.ModulePath + "/placeholder":
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.HasPrefix(name, "#") })
	}
	return names
}

// schemaNames maps the packages of the schema to the names that they define.
var schemaNames = sync.OnceValue(func() map[string][]string {
	out := map[string][]string{}
	for name := range shape.All() {
		pkg, def, _ := strings.Cut(name, ".")
		out[pkg] = append(out[pkg], def)
	}
	for name := range builtinNames() {
		out["placeholder"] = append(out["placeholder"], name)
	}
	for _, names := range out {
		slices.Sort(names)
	}
	return out
})

// standardPackages are the useful packages of CUE's standard library, for suggestions.
var standardPackages = []string{"crypto/sha256", "encoding/base64", "encoding/hex", "encoding/json", "encoding/yaml",
	"list", "math", "net", "path", "regexp", "strconv", "strings", "struct", "text/template", "time", "uuid"}

// IsStandard reports whether an import path is in CUE's standard library.
func IsStandard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".")
}

var standardKnown sync.Map // of string to []string

// standardFields lists the definitions of a package of the standard library, nil if there is no such package.
func standardFields(name string) []string {
	if known, ok := standardKnown.Load(name); ok {
		return known.([]string)
	}
	var names []string
	v := cuecontext.New().CompileString("import x " + strconv.Quote(name) +
		"\ny: x\n").LookupPath(finding.FieldPath("y"))
	if fields, err := v.Fields(cue.Definitions(true)); err == nil {
		for fields.Next() {
			label := fields.Selector().String()
			names = append(names, label)
		}
	}
	slices.Sort(names)
	standardKnown.Store(name, names)
	return names
}
