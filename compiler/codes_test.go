package compiler

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seguehq/segue/compiler/finding"
)

var slug = regexp.MustCompile(`^[a-z]+(-[a-z]+)*-?$`)

// reportedCodes returns the texts of a Go file that stand where a finding gets its
// code, and all that look like one.
func reportedCodes(t *testing.T, file string) (reported, all []string) {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := func(e ast.Expr) (string, bool) {
		if sum, ok := e.(*ast.BinaryExpr); ok {
			e = sum.X
		}
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return "", false
		}
		s, err := strconv.Unquote(lit.Value)
		return s, err == nil && slug.MatchString(s)
	}
	add := func(e ast.Expr) {
		if s, ok := text(e); ok {
			reported = append(reported, s)
		}
	}
	name := func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.Ident:
			return e.Name
		case *ast.SelectorExpr:
			return e.Sel.Name
		}
		return ""
	}
	ast.Inspect(syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if s, ok := text(n); ok {
				all = append(all, s)
			}
		case *ast.CallExpr:
			if strings.EqualFold(name(n.Fun), "report") && len(n.Args) > 0 {
				add(n.Args[0])
			}
			if name(n.Fun) == "remark" && len(n.Args) > 1 {
				add(n.Args[1])
			}
		case *ast.KeyValueExpr:
			if strings.EqualFold(name(n.Key), "code") {
				add(n.Value)
			}
		case *ast.AssignStmt:
			for i, lhs := range n.Lhs {
				if strings.EqualFold(name(lhs), "code") && i < len(n.Rhs) {
					add(n.Rhs[i])
				}
			}
		}
		return true
	})
	return reported, all
}

func TestCodesAreWhatIsReported(t *testing.T) {
	if !slices.IsSortedFunc(finding.Table, func(a, b finding.Code) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the codes are not in order")
	}
	var everywhere []string
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") || filepath.Base(file) == "codes.go" {
			return err
		}
		reported, all := reportedCodes(t, file)
		everywhere = append(everywhere, all...)
		if !strings.HasPrefix(file, filepath.Join("..", "compiler")+string(filepath.Separator)) {
			return nil
		}
		for _, s := range reported {
			if prefix := strings.HasSuffix(s, "-"); prefix && slices.ContainsFunc(finding.Table, func(c finding.Code) bool { return strings.HasPrefix(c.Name, s) }) {
				continue
			}
			if _, ok := finding.CodeOf(s); !ok {
				t.Errorf("%s reports %q, which codes.go does not list", file, s)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range finding.Table {
		if c.Severity == "" {
			t.Errorf("%s has no severity", c.Name)
		}
		if !slices.Contains(everywhere, c.Name) && c.Name != "unknown-target" {
			t.Errorf("nothing reports %s, which codes.go lists", c.Name)
		}
	}
}
