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

// firstIsCode are the functions that get a code as their first argument.
var firstIsCode = []string{"report", "Diagnose", "New", "Newf", "Recode"}

// nameOf is the last name of an expression, "" if it has none.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// reportedCodes returns the strings of a Go file that are used as the code of a finding, and all strings that
// look like a code.
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
	ast.Inspect(syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if s, ok := text(n); ok {
				all = append(all, s)
			}
		case *ast.CallExpr:
			if slices.Contains(firstIsCode, nameOf(n.Fun)) && len(n.Args) > 0 {
				add(n.Args[0])
			}
			if nameOf(n.Fun) == "remark" && len(n.Args) > 1 {
				add(n.Args[1])
			}
		case *ast.KeyValueExpr:
			if strings.EqualFold(nameOf(n.Key), "code") {
				add(n.Value)
			}
		case *ast.AssignStmt:
			for i, lhs := range n.Lhs {
				if strings.EqualFold(nameOf(lhs), "code") && i < len(n.Rhs) {
					add(n.Rhs[i])
				}
			}
		}
		return true
	})
	return reported, all
}

// The severity of a finding is the table's: no other code states one, or a code without
// asking the table.
func TestSeverityComesFromTheTable(t *testing.T) {
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		room := filepath.Dir(file)
		if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") || room == "finding" {
			return err
		}
		set := token.NewFileSet()
		syntax, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			return err
		}
		isSeverity := func(e ast.Expr) bool {
			sel, ok := e.(*ast.SelectorExpr)
			return ok && nameOf(sel.X) == "diagnostic" && (sel.Sel.Name == "Error" || sel.Sel.Name == "Warning")
		}
		ast.Inspect(syntax, func(n ast.Node) bool {
			var given []ast.Expr
			switch n := n.(type) {
			case *ast.AssignStmt:
				given = n.Rhs
				for _, lhs := range n.Lhs {
					if nameOf(lhs) == "Code" {
						t.Errorf("%s: a code is set without its severity; see finding.Diagnose", set.Position(n.Pos()))
					}
				}
			case *ast.CompositeLit:
				for _, e := range n.Elts {
					pair, ok := e.(*ast.KeyValueExpr)
					if !ok {
						continue
					}
					given = append(given, pair.Value)
					if nameOf(pair.Key) == "Code" {
						t.Errorf("%s: a code is set without its severity; see finding.New", set.Position(n.Pos()))
					}
				}
			}
			for _, e := range given {
				if isSeverity(e) {
					t.Errorf("%s: the severity is stated; it is that of the code in finding/codes.go", set.Position(e.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCodesMatchReports(t *testing.T) {
	if !slices.IsSortedFunc(finding.Codes(), func(a, b finding.Code) int { return strings.Compare(a.Name, b.Name) }) {
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
			if prefix := strings.HasSuffix(s, "-"); prefix && slices.ContainsFunc(finding.Codes(), func(c finding.Code) bool { return strings.HasPrefix(c.Name, s) }) {
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
	for _, c := range finding.Codes() {
		if c.Severity == "" {
			t.Errorf("%s has no severity", c.Name)
		}
		if (c.Also == "") != (c.When == "") || c.Also == c.Severity {
			t.Errorf("%s has another severity and no reason for it, or the reverse", c.Name)
		}
		if !slices.Contains(everywhere, c.Name) && c.Name != "unknown-target" {
			t.Errorf("nothing reports %s, which codes.go lists", c.Name)
		}
	}
}
