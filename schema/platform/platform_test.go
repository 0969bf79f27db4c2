package platform_test

import (
	"os"
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
)

const source = "platform.cue"

func TestFormatted(t *testing.T) {
	content, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	formatted, err := format.Source(content)
	if err != nil {
		t.Fatal(err)
	}
	if string(formatted) != string(content) {
		t.Errorf("%s is not as `cue fmt` has it", source)
	}
}

// What an editor shows has a comment.
func TestDocumented(t *testing.T) {
	f, err := parser.ParseFile(source, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	ast.Walk(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			return false // what matchN asks for is nothing that anybody sees
		case *ast.Field:
			if _, pattern := n.Label.(*ast.ListLit); pattern {
				return true
			}
			fields++
			for _, group := range ast.Comments(n) {
				if group.Doc && strings.TrimSpace(group.Text()) != "" {
					return true
				}
			}
			name, _, _ := ast.LabelName(n.Label)
			t.Errorf("%v: %s has no comment", n.Pos(), name)
		}
		return true
	}, nil)
	if fields < 60 {
		t.Errorf("walked over %d fields only", fields)
	}
}
