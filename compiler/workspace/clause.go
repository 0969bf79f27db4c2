package workspace

import (
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// NoPackage returns the finding about a file without a package clause. CUE ignores such a file.
func NoPackage(file string, syntax *ast.File) diagnostic.Diagnostic {
	d := finding.Diagnose("no-package", diagnostic.Diagnostic{File: file,
		Message: "the file has no package clause, so CUE ignores it",
		Help:    "put package " + packageName(path.Dir(file)) + " on its first line"})
	if syntax != nil && len(syntax.Decls) > 0 {
		first := syntax.Decls[0].Pos()
		d.Range = source.RangeOf(first, first.Add(1))
	}
	isCode := func(d ast.Decl) bool { _, comment := d.(*ast.CommentGroup); return !comment }
	if syntax == nil || !slices.ContainsFunc(syntax.Decls, isCode) {
		d = finding.Otherwise(d)
	}
	return d
}

// FileCondition returns the finding about a file that a condition excludes from its package. The second result
// is false for @ignore(), with which the author excludes a file on purpose.
func FileCondition(file string, attr *ast.Attribute) (diagnostic.Diagnostic, bool) {
	key, _ := attr.Split()
	return finding.Diagnose("file-condition", diagnostic.Diagnostic{
		File: file, Range: source.RangeOf(attr.Pos(), attr.End()),
		Message: "the file is excluded: segue sets none of the tags in " + attr.Text,
		Help:    "remove the attribute; to always exclude the file, write @ignore()"}), key == "if"
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

// ClauseOnly returns a file with only the package clause of another file.
func ClauseOnly(f *ast.File) *ast.File {
	out := &ast.File{Filename: f.Filename}
	if name := f.PackageName(); name != "" {
		out.Decls = []ast.Decl{&ast.Package{Name: ast.NewIdent(name)}}
	}
	return out
}

// leftOut returns the attribute above a file's package clause that excludes the file from its package, nil if
// there is none. None of CUE's tags are set.
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
