package workspace

import (
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/mod/modfile"
	modpath "cuelang.org/go/mod/module"

	"github.com/seguehq/segue/schema"
)

// PlainModule reports whether a project's module file says no more than the module's
// name and the language's version, which is the schema's, or is not there: CUE has
// nothing against it. Files that it has something against are not plain, and others
// may be not.
func PlainModule(disk *Disk) bool {
	missing := func(name string, err error) bool { return errors.Is(err, fs.ErrNotExist) && !disk.Exists(name) }
	if _, err := disk.Read(LocalModuleFileName); !missing(LocalModuleFileName, err) {
		return false
	}
	content, err := disk.Read(ModuleFileName)
	if err != nil {
		return missing(ModuleFileName, err)
	}
	if plainModuleFile(content) {
		return true
	}
	m, err := modfile.ParseNonStrict(content, ModuleFileName)
	return err == nil && m.Language != nil && m.Language.Version == schema.LanguageVersion && len(m.Deps) == 0 &&
		apart(m.Module)
}

// apart reports whether a module is neither the schema's nor around it or within it.
func apart(path string) bool {
	name, _, _ := strings.Cut(path, "@")
	return name != "" && !strings.HasPrefix(schema.ModulePath+"/", name+"/") &&
		!strings.HasPrefix(name+"/", schema.ModulePath+"/")
}

// plainModulePath is a narrow form of a module's path.
var plainModulePath = sync.OnceValue(func() *regexp.Regexp {
	const host = `[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+`
	return regexp.MustCompile(`^` + host + `(/[a-z0-9]+([_-][a-z0-9]+)*)*(@v(0|[1-9][0-9]?))?$`)
})

// plainModuleFile knows the usual module file without asking CUE, which takes a while to
// start.
func plainModuleFile(content []byte) bool {
	f, err := parser.ParseFile(ModuleFileName, content)
	if err != nil {
		return false
	}
	text := func(e ast.Expr) string {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING || !strings.HasPrefix(lit.Value, `"`) {
			return ""
		}
		s, _ := literal.Unquote(lit.Value)
		return s
	}
	given := map[string]ast.Expr{}
	add := func(d ast.Decl, prefix string) bool {
		field, ok := d.(*ast.Field)
		if !ok {
			return false
		}
		id, ok := field.Label.(*ast.Ident)
		if !ok || field.Constraint != token.ILLEGAL || field.Alias != nil || len(field.Attrs) > 0 ||
			given[prefix+id.Name] != nil {
			return false
		}
		given[prefix+id.Name] = field.Value
		return true
	}
	for _, d := range f.Decls {
		if _, comment := d.(*ast.CommentGroup); !comment && !add(d, "") {
			return false
		}
	}
	language, ok := given["language"].(*ast.StructLit)
	if !ok || len(language.Elts) != 1 || !add(language.Elts[0], "language.") || len(given) != 3 {
		return false
	}
	module := text(given["module"])
	name, _, _ := strings.Cut(module, "@")
	return plainModulePath().MatchString(module) && modpath.CheckPathWithoutVersion(name) == nil &&
		text(given["language.version"]) == schema.LanguageVersion && apart(module)
}
