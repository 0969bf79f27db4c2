package source

import (
	"path"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/schema"
)

// The schema is read one declaration at a time. The result is the same as reading its files.
func TestDeclared(t *testing.T) {
	declared := 0
	for name, content := range schema.Files() {
		f, err := parser.ParseFile(name, content, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			field, ok := d.(*ast.Field)
			if !ok {
				switch d.(type) {
				case *ast.Package, *ast.ImportDecl, *ast.CommentGroup:
				default:
					t.Errorf("%s has a %T", name, d)
				}
				continue
			}
			label, _, err := ast.LabelName(field.Label)
			if err != nil {
				t.Fatal(err)
			}
			declared++
			key := path.Dir(name) + "." + label
			if got, want := formatted(t, Declared(key)), formatted(t, field.Value); got != want {
				t.Errorf("%s is\n%s\nand not\n%s", key, got, want)
			}
			if got, want := schema.Declarations()[key].Event, eventOf(field.Value); got != want {
				t.Errorf("%s is the event %q, and not %q", key, got, want)
			}
		}
	}
	if n := len(schema.Declarations()); n != declared || len(schema.Events()) == 0 {
		t.Errorf("%d of %d declarations are read", n, declared)
	}
	if Declared("segment.#Nothing") != nil {
		t.Error("a definition is there that is not")
	}
}

func formatted(t *testing.T, e ast.Expr) string {
	t.Helper()
	if e == nil {
		return ""
	}
	b, err := format.Node(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eventOf returns the event that a definition sets.
func eventOf(e ast.Expr) string {
	event := ""
	ast.Walk(e, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok {
			if label, _, _ := ast.LabelName(f.Label); label == "event" {
				if lit, ok := f.Value.(*ast.BasicLit); ok {
					event, _ = literal.Unquote(lit.Value)
				}
			}
			return false
		}
		return true
	}, nil)
	return event
}
