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

// PlainModule reports whether CUE certainly accepts a project's module file. Such a file is missing, or has
// only the module's name and the language version of the schema. It returns false for files that CUE would
// refuse, and for some that CUE would accept.
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

// apart reports whether a module is different from the schema's, neither contains it nor is contained in it.
func apart(path string) bool {
	name, _, _ := strings.Cut(path, "@")
	return name != "" && !strings.HasPrefix(schema.ModulePath+"/", name+"/") &&
		!strings.HasPrefix(name+"/", schema.ModulePath+"/")
}

// plainModulePath matches a restricted form of module path.
var plainModulePath = sync.OnceValue(func() *regexp.Regexp {
	const host = `[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+`
	return regexp.MustCompile(`^` + host + `(/[a-z0-9]+([_-][a-z0-9]+)*)*(@v(0|[1-9][0-9]?))?$`)
})

// plainModuleFile recognizes the usual module file without CUE, which takes a while to start.
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
