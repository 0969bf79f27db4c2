package source

import (
	"fmt"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/schema"
)

// IsAdvice reports whether an expression of the schema is *T | _: the spec names a type, and
// Segment takes a value of any other. It gives a value nothing, and refuses none.
func IsAdvice(e ast.Expr) bool {
	or, ok := e.(*ast.BinaryExpr)
	if !ok || or.Op != token.OR {
		return false
	}
	star, ok1 := or.X.(*ast.UnaryExpr)
	top, ok2 := or.Y.(*ast.Ident)
	return ok1 && ok2 && star.Op == token.MUL && top.Name == "_"
}

// parsed has the declarations of the schema that were used so far, by name.
var parsed sync.Map // of string to func() ast.Expr

// Declared returns the value of a top-level field of the embedded schema by its package and name, such as
// "segment.#Track", parsed with its comments. It returns nil if the schema has no such field. Callers must not
// change it.
func Declared(name string) ast.Expr {
	d := schema.Declarations()[name]
	if d == nil {
		return nil
	}
	value, _ := parsed.LoadOrStore(name, sync.OnceValue(func() ast.Expr {
		f, err := parser.ParseFile(d.Package, d.Source, parser.ParseComments)
		if err != nil {
			panic(fmt.Sprintf("the embedded schema does not parse: %v", err))
		}
		return f.Decls[len(f.Decls)-1].(*ast.Field).Value
	}))
	return value.(func() ast.Expr)()
}
