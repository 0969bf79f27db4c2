package source

import (
	"cuelang.org/go/cue/ast"

	"github.com/seguehq/segue/diagnostic"
)

// Interpolated returns the range of an identifier that is interpolated alone, including the \( and ) around it.
func (x *Index) Interpolated(id *ast.Ident) (diagnostic.Range, bool) {
	src := x.SourceOf(id.Pos())
	if src == nil {
		return diagnostic.Range{}, false
	}
	from, to := id.Pos().Offset()-len(`\(`), id.End().Offset()+len(")")
	if from < 0 || to > len(src.Content) || string(src.Content[from:to]) != `\(`+id.Name+")" {
		return diagnostic.Range{}, false
	}
	return diagnostic.Range{Start: src.position(from), End: src.position(to)}, true
}
