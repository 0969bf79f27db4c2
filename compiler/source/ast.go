package source

import (
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
)

// BindsAround reports whether a comprehension around an identifier defines its name.
func BindsAround(f *ast.File, id *ast.Ident) bool {
	found := false
	ast.Walk(f, func(n ast.Node) bool {
		c, ok := n.(*ast.Comprehension)
		if !ok || !Contains(c, id) {
			return true
		}
		for _, clause := range c.Clauses {
			switch clause := clause.(type) {
			case *ast.ForClause:
				for _, name := range []*ast.Ident{clause.Key, clause.Value} {
					found = found || name != nil && name.Name == id.Name
				}
			case *ast.LetClause:
				found = found || clause.Ident.Name == id.Name
			}
		}
		return true
	}, nil)
	return found
}

// Contains reports whether a node is within another one of the same file.
func Contains(outer, inner ast.Node) bool {
	o, i := outer.Pos(), inner.Pos()
	return o.Filename() == i.Filename() && o.Offset() <= i.Offset() && i.Offset() <= outer.End().Offset()
}

// ImportName returns the name by which a file refers to an import.
func ImportName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return ast.ParseImportPath(ImportPath(spec)).Qualifier
}

// ImportPath returns the path of the imported package, "" if it does not parse.
func ImportPath(spec *ast.ImportSpec) string {
	name, err := literal.Unquote(spec.Path.Value)
	if err != nil {
		return ""
	}
	return name
}

// TopField returns a field among declarations by its name. It also looks into braces around some of them.
func TopField(decls []ast.Decl, name string) *ast.Field {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			if label, ok := FieldLabel(d); ok && label == name {
				return d
			}
		case *ast.EmbedDecl:
			if st, ok := d.Expr.(*ast.StructLit); ok {
				if field := TopField(st.Elts, name); field != nil {
					return field
				}
			}
		}
	}
	return nil
}

// Referenced returns the nodes of a file that its identifiers refer to.
func Referenced(f *ast.File) map[ast.Node]bool {
	used := map[ast.Node]bool{}
	ast.Walk(f, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Node != nil {
			used[id.Node] = true
		}
		return true
	}, nil)
	return used
}

// PackageIdent returns the name in a file's package clause.
func PackageIdent(f *ast.File) *ast.Ident {
	for _, d := range f.Decls {
		if p, ok := d.(*ast.Package); ok {
			return p.Name
		}
	}
	return nil
}

// Predeclared reports whether CUE predeclares a name.
func Predeclared(name string) bool {
	return slices.Contains(predeclaredNames, strings.TrimPrefix(name, "__"))
}

var predeclaredNames = []string{"_", "_|_", "true", "false", "null", "bool", "string", "bytes", "number", "int",
	"float", "rune", "uint", "uint8", "uint16", "uint32", "uint64", "uint128", "int8", "int16", "int32", "int64",
	"int128", "float32", "float64", "len", "close", "and", "or", "div", "mod", "quo", "rem", "matchN", "matchIf",
	"error", "self"}

// ClauseNames returns the names that the clauses of a comprehension define.
func ClauseNames(c *ast.Comprehension) []string {
	var names []string
	add := func(id *ast.Ident) {
		if id != nil {
			names = append(names, id.Name)
		}
	}
	for _, clause := range c.Clauses {
		switch clause := clause.(type) {
		case *ast.ForClause:
			add(clause.Key)
			add(clause.Value)
		case *ast.LetClause:
			add(clause.Ident)
		}
	}
	return names
}

// TruthWords maps words for true and false in other languages to CUE's words.
var TruthWords = map[string]string{
	"yes": "true", "on": "true", "True": "true", "TRUE": "true", "Yes": "true", "YES": "true",
	"no": "false", "off": "false", "False": "false", "FALSE": "false", "No": "false", "NO": "false",
}
