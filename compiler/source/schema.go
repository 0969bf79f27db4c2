package source

import (
	"fmt"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/schema"
)

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
