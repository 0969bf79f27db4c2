package workspace

import (
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// Inject gives the fields of a file that have CUE's attribute @tag(name) the input of that
// name, as cue does with -t name=value: field: x @tag(name) becomes field: x & "value". With
// type=int, number or bool, the value is one of that type. CUE's own loader would do so
// only for the packages that it is asked for, and refuse an input that none of them takes.
func Inject(f *ast.File, inputs map[string]string) {
	if len(inputs) == 0 || f == nil {
		return
	}
	ast.Walk(f, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok {
			return true
		}
		for _, a := range field.Attrs {
			if value := tagged(a, inputs); value != nil {
				field.Value = &ast.BinaryExpr{X: field.Value, OpPos: a.Pos(), Op: token.AND, Y: value}
			}
		}
		return true
	}, nil)
}

// tagged is the value that an attribute asks for, nil if it is another one.
func tagged(a *ast.Attribute, inputs map[string]string) ast.Expr {
	kind, body := a.Split()
	if kind != "tag" {
		return nil
	}
	name, rest, _ := strings.Cut(body, ",")
	text, ok := inputs[strings.TrimSpace(name)]
	if !ok {
		return nil
	}
	value := ast.Expr(ast.NewString(text))
	for option := range strings.SplitSeq(rest, ",") {
		key, typ, _ := strings.Cut(strings.TrimSpace(option), "=")
		if key == "type" && typ != "string" {
			value = scalar(text, typ)
		}
	}
	ast.SetPos(value, a.Pos())
	return value
}

// scalar is a number or boolean; a string where the text is not one, which CUE refuses.
func scalar(text, typ string) ast.Expr {
	if _, err := strconv.ParseBool(text); typ == "bool" && err == nil && (text == "true" || text == "false") {
		return ast.NewBool(text == "true")
	}
	var info literal.NumInfo
	isNumber := literal.ParseNum(strings.TrimPrefix(text, "-"), &info) == nil
	if e, err := parser.ParseExpr("", text); typ != "bool" && err == nil && isNumber {
		return e
	}
	return ast.NewString(text)
}
