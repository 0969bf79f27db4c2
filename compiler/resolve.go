package compiler

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/load"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// resolve finds imports and references that lead nowhere, and takes them out of
// the files so that the rest can be evaluated.
func (p *explained) resolve() {
	scope := map[string]bool{}
	for _, s := range p.index.sources {
		if p.patched[s.syntax.Filename] == s.syntax {
			for name := range newIndex([]*source{s}).top {
				scope[name] = true
			}
		}
	}
	for _, s := range p.index.sources {
		if p.patched[s.syntax.Filename] == s.syntax {
			p.resolveFile(s, scope)
		}
	}
}

func (p *explained) resolveFile(s *source, scope map[string]bool) {
	gone := map[ast.Node]bool{}
	imported := map[string]string{} // package path by the name it has in the file
	for spec := range s.syntax.ImportSpecs() {
		if p.importSpec(s, spec) {
			imported[importName(spec)] = importPath(spec)
			continue
		}
		gone[spec] = true
	}
	used := referenced(s.syntax)
	unresolved := map[*ast.Ident]bool{}
	for _, id := range s.syntax.Unresolved {
		if id == packageIdent(s.syntax) {
			continue // the parser lists the package clause too
		}
		if id.Node == nil && !scope[id.Name] && !predeclared(id.Name) {
			unresolved[id] = true
			if p.unparsed {
				continue // it may be defined in the file that does not parse
			}
			p.unknownReference(s, id, scope, imported)
		}
	}
	for spec := range s.syntax.ImportSpecs() {
		if !gone[spec] && !used[spec] {
			gone[spec] = true
			d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unused-import", File: s.name, Range: rangeOf(spec.Pos(), spec.End()),
				Message: "the import " + spec.Path.Value + " is not used", Help: "remove it"}
			p.found = append(p.found, d)
		}
	}
	p.patched[s.syntax.Filename] = p.withoutLost(s, gone, unresolved, imported)
}

// referenced returns what the identifiers of a file refer to within the file.
func referenced(f *ast.File) map[ast.Node]bool {
	used := map[ast.Node]bool{}
	ast.Walk(f, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Node != nil {
			used[id.Node] = true
		}
		return true
	}, nil)
	return used
}

// packageIdent returns the name in a file's package clause.
func packageIdent(f *ast.File) *ast.Ident {
	for _, d := range f.Decls {
		if p, ok := d.(*ast.Package); ok {
			return p.Name
		}
	}
	return nil
}

// withoutLost replaces what leads nowhere by "_", and removes lost imports.
func (p *explained) withoutLost(s *source, gone map[ast.Node]bool, unresolved map[*ast.Ident]bool, imported map[string]string) *ast.File {
	f := astutil.Apply(s.syntax, func(c astutil.Cursor) bool {
		switch n := c.Node().(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				if gone[x.Node] || unresolved[x] || p.unknownDefinition(s, n, x, imported) {
					p.lost = append(p.lost, n.Pos())
					c.Replace(anything())
					return false
				}
			}
		case *ast.Ident:
			if unresolved[n] || gone[n.Node] {
				p.lost = append(p.lost, n.Pos())
				c.Replace(anything())
			}
		}
		return true
	}, nil).(*ast.File)
	used := referenced(f) // an import may have lost its last use
	var decls []ast.Decl
	for _, d := range f.Decls {
		imports, ok := d.(*ast.ImportDecl)
		if !ok {
			decls = append(decls, d)
			continue
		}
		kept := *imports
		kept.Specs = slices.DeleteFunc(slices.Clone(imports.Specs), func(spec *ast.ImportSpec) bool { return gone[spec] || !used[spec] })
		if len(kept.Specs) > 0 {
			decls = append(decls, &kept)
		}
	}
	out := *f
	out.Decls = decls
	return &out
}

func importPath(spec *ast.ImportSpec) string {
	name, err := literal.Unquote(spec.Path.Value)
	if err != nil {
		return ""
	}
	return name
}

// importSpec reports whether an import can be found; if not, that is a finding.
func (p *explained) importSpec(s *source, spec *ast.ImportSpec) bool {
	name := importPath(spec)
	if p.importable(ast.ParseImportPath(name).Unqualified().String()) {
		return true
	}
	d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unknown-import", File: s.name,
		Range: rangeOf(spec.Path.Pos(), spec.Path.End()), Message: "there is no package " + spec.Path.Value + " to import"}
	var known []string
	for _, pkg := range schema.Packages() {
		known = append(known, schema.ModulePath+"/"+pkg)
	}
	known = append(known, standardPackages...)
	known = append(known, p.projectPackages()...)
	if near := nearest(name, known); near != "" {
		d.Suggestion, d.Help = near, didYouMean(strconv.Quote(near))
	} else if strings.HasPrefix(name, schema.ModulePath) {
		d.Help = "segue's packages are " + oneOf(known[:len(schema.Packages())])
	} else {
		d.Help = "import a package of the project, of CUE's standard library, of segue's schema, or one that is vendored under cue.mod/pkg"
	}
	p.found = append(p.found, d)
	return false
}

// standardPackages are the packages of CUE's standard library that are of use
// here, for suggestions.
var standardPackages = []string{
	"crypto/sha256", "encoding/base64", "encoding/hex", "encoding/json", "encoding/yaml",
	"list", "math", "net", "path", "regexp", "strconv", "strings", "struct", "text/template", "time", "uuid",
}

var standardKnown sync.Map // of string to bool

// importable reports whether a package can be imported.
func (p *explained) importable(name string) bool {
	if rest, ok := strings.CutPrefix(name, schema.ModulePath+"/"); ok {
		return slices.Contains(schema.Packages(), rest)
	}
	if first, _, _ := strings.Cut(name, "/"); !strings.Contains(first, ".") {
		known, ok := standardKnown.Load(name)
		if !ok {
			v := cuecontext.New().CompileString("import x " + strconv.Quote(name) + "\ny: x\n")
			known = v.Err() == nil
			standardKnown.Store(name, known)
		}
		return known.(bool)
	}
	insts := load.Instances([]string{name}, &load.Config{Dir: p.loader.root, ModuleRoot: p.loader.root, Overlay: p.loader.overlay,
		SkipImports: false})
	// A package that is there but has mistakes is explained for itself.
	if len(insts) == 1 && insts[0].Err == nil {
		return true
	}
	return slices.Contains(p.projectPackages(), name)
}

// projectPackages lists the import paths of the project's own packages.
func (p *explained) projectPackages() []string {
	content, err := os.ReadFile(filepath.Join(p.loader.root, "cue.mod", "module.cue"))
	if err != nil {
		return nil
	}
	module, err := cuecontext.New().CompileBytes(content).LookupPath(valueSelector("module")).String()
	if err != nil {
		return nil
	}
	module, _, _ = strings.Cut(module, "@")
	dirs, err := p.loader.packageDirs()
	if err != nil {
		return nil
	}
	var out []string
	for _, dir := range dirs {
		if dir != "." {
			out = append(out, module+"/"+dir)
		}
	}
	return out
}

// predeclared reports whether CUE itself gives a name a meaning.
func predeclared(name string) bool {
	return slices.Contains(predeclaredNames, strings.TrimPrefix(name, "__"))
}

var predeclaredNames = []string{
	"_", "_|_", "true", "false", "null", "bool", "string", "bytes", "number", "int", "float", "rune",
	"uint", "uint8", "uint16", "uint32", "uint64", "uint128", "int8", "int16", "int32", "int64", "int128",
	"float32", "float64", "len", "close", "and", "or", "div", "mod", "quo", "rem", "matchN", "matchIf", "error", "self", "error",
}

// unknownReference reports an identifier that nothing defines.
func (p *explained) unknownReference(s *source, id *ast.Ident, scope map[string]bool, imported map[string]string) {
	d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unknown-reference", File: s.name,
		Range: rangeOf(id.Pos(), id.End()), Message: "nothing here is called " + id.Name}
	for _, pkg := range schema.Packages() {
		if _, has := imported[id.Name]; id.Name == pkg && !has {
			d.Help = "import it: import " + strconv.Quote(schema.ModulePath+"/"+pkg)
			p.found = append(p.found, d)
			return
		}
	}
	if slices.Contains(standardPackages, id.Name) {
		d.Help = "import it: import " + strconv.Quote(id.Name)
		p.found = append(p.found, d)
		return
	}
	var names []string
	for name := range scope {
		names = append(names, name)
	}
	for name := range imported {
		names = append(names, name)
	}
	names = append(names, "true", "false", "null", "string", "number", "bool", "int")
	if near := nearest(id.Name, names); near != "" {
		d.Suggestion, d.Help = near, didYouMean(near)
	} else {
		d.Help = "if it is meant as a text, write it in quotes: " + strconv.Quote(id.Name)
	}
	p.found = append(p.found, d)
}

// unknownDefinition reports a selector on a package of the schema that the
// package does not define.
func (p *explained) unknownDefinition(s *source, sel *ast.SelectorExpr, x *ast.Ident, imported map[string]string) bool {
	if _, ok := x.Node.(*ast.ImportSpec); !ok {
		return false
	}
	pkg, ok := strings.CutPrefix(imported[x.Name], schema.ModulePath+"/")
	if !ok {
		return false
	}
	label, _, err := ast.LabelName(sel.Sel)
	names := schemaNames()[pkg]
	if err != nil || slices.Contains(names, label) {
		return false
	}
	d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unknown-definition", File: s.name, Range: rangeOf(sel.Sel.Pos(), sel.Sel.End()),
		Message: "the package " + pkg + " does not define " + label}
	if near := nearest(label, names); near != "" {
		d.Suggestion, d.Help = near, didYouMean(x.Name+"."+near)
	} else if pkg == "placeholder" || pkg == "automation" {
		d.Help = "it defines " + oneOf(names)
	}
	p.found = append(p.found, d)
	return true
}

// schemaNames lists what the packages of the schema define, by package.
var schemaNames = sync.OnceValue(func() map[string][]string {
	out := map[string][]string{}
	for name := range schemaShapes() {
		pkg, def, _ := strings.Cut(name, ".")
		out[pkg] = append(out[pkg], def)
	}
	for name := range builtinNames() {
		out["placeholder"] = append(out["placeholder"], name)
	}
	return out
})
