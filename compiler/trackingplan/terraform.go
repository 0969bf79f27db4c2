package trackingplan

import (
	"fmt"
	"path"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/seguehq/segue/diagnostic"
)

// terraformPlans are the types of resources that have the rules of a tracking plan, in
// Segment's provider and in those that came before it.
var terraformPlans = map[string]bool{"segment_tracking_plan": true, "segment_tracking_plan_rules": true,
	"tracking_plan": true}

// A terraformFile tells the places in a file of Terraform.
type terraformFile struct {
	name  string
	lines *lines
}

// decodeTerraform reads the rules of the tracking plans in a Terraform file: as a list, in
// which each plan is an element with "rules".
func decodeTerraform(name string, content []byte, read func(string) ([]byte, error)) (*document, *Problem) {
	t := terraformFile{name: name, lines: newLines(content)}
	f, found := hclsyntax.ParseConfig(content, name, hcl.InitialPos)
	if found.HasErrors() {
		return nil, t.problem(found)
	}
	body, ok := f.Body.(*hclsyntax.Body)
	if !ok {
		return nil, &Problem{File: name, Message: "it is not Terraform", Help: "write it in Terraform's own syntax"}
	}
	scope := terraformScope(name, body, read)
	var plans []any
	var exprs []map[string]hclsyntax.Expression
	for _, b := range body.Blocks {
		if b.Type != "resource" || len(b.Labels) == 0 || !terraformPlans[b.Labels[0]] {
			continue
		}
		plan, of := map[string]any{}, map[string]hclsyntax.Expression{}
		for _, key := range []string{"rules", "rules_json_file"} {
			attr := b.Body.Attributes[key]
			if attr == nil {
				continue
			}
			v, problem := t.value(attr.Expr, scope)
			if problem != nil {
				return nil, problem
			}
			plan["rules"], of["rules"] = v, attr.Expr
		}
		if len(plan) > 0 {
			plans, exprs = append(plans, plan), append(exprs, of)
		}
	}
	if plans == nil {
		return nil, &Problem{File: name, Message: "no resource in it is a segment_tracking_plan with rules",
			Help: "name the file that has them"}
	}
	return &document{name: name, value: plans, locate: func(at pointer) (diagnostic.Range, bool) {
		if len(at) < 2 {
			return diagnostic.Range{}, len(at) == 0
		}
		i, ok := index(at[0])
		if !ok || i >= len(exprs) || exprs[i][at[1]] == nil {
			return diagnostic.Range{}, false
		}
		return t.locate(exprs[i][at[1]], at[2:])
	}}, nil
}

// terraformScope has what the expressions of a plan may use: jsonencode, jsondecode, file,
// path.module, and the locals of the file that need nothing else.
func terraformScope(name string, body *hclsyntax.Body, read func(string) ([]byte, error)) *hcl.EvalContext {
	dir := path.Dir(name)
	here := cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal("."), "root": cty.StringVal(".")})
	scope := &hcl.EvalContext{
		Variables: map[string]cty.Value{"path": here},
		Functions: map[string]function.Function{
			"jsonencode": stdlib.JSONEncodeFunc, "jsondecode": stdlib.JSONDecodeFunc,
			"merge": stdlib.MergeFunc, "concat": stdlib.ConcatFunc,
			"file": function.New(&function.Spec{
				Params: []function.Parameter{{Name: "path", Type: cty.String}},
				Type:   function.StaticReturnType(cty.String),
				Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
					content, err := read(path.Join(dir, args[0].AsString()))
					if err == nil {
						content, err = withoutBOM(content)
					}
					return cty.StringVal(string(content)), err
				},
			}),
		},
	}
	locals := map[string]cty.Value{}
	for _, b := range body.Blocks {
		if b.Type != "locals" {
			continue
		}
		for key, attr := range b.Body.Attributes {
			if v, found := attr.Expr.Value(scope); !found.HasErrors() {
				locals[key] = v
			}
		}
	}
	scope.Variables["local"] = cty.ObjectVal(locals)
	return scope
}

// value evaluates an expression to decoded JSON. A string in it that is JSON, as
// jsonencode makes it, is decoded later on by who expects a schema.
func (t terraformFile) value(e hclsyntax.Expression, scope *hcl.EvalContext) (any, *Problem) {
	v, found := e.Value(scope)
	if found.HasErrors() {
		return nil, t.problem(found)
	}
	b, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		return nil, &Problem{File: t.name, Range: t.span(e.Range()), Message: "the value is not known: " + err.Error(),
			Help: "write the rules in the file, without variables"}
	}
	if v.Type() == cty.String {
		b = []byte(v.AsString())
	}
	out, err := unmarshal(b)
	if err != nil {
		return nil, &Problem{File: t.name, Range: t.span(e.Range()), Message: "the file is not JSON: " + err.Error(),
			Help: "correct the JSON"}
	}
	return out, nil
}

func (t terraformFile) problem(found hcl.Diagnostics) *Problem {
	d := found[0]
	for _, other := range found {
		if other.Severity == hcl.DiagError {
			d = other
			break
		}
	}
	p := &Problem{File: t.name, Message: d.Summary, Help: "write the rules in the file, without variables; " +
		"of functions, it may use jsonencode, jsondecode, file, merge and concat"}
	if d.Detail != "" {
		p.Message = fmt.Sprintf("%s: %s", d.Summary, d.Detail)
	}
	if d.Subject != nil {
		p.Range = t.span(*d.Subject)
	}
	return p
}

func (t terraformFile) span(r hcl.Range) diagnostic.Range {
	return t.lines.span(r.Start.Byte, r.End.Byte)
}

// locate finds a value within an expression, through jsonencode.
func (t terraformFile) locate(e hclsyntax.Expression, at pointer) (diagnostic.Range, bool) {
	if call, ok := e.(*hclsyntax.FunctionCallExpr); ok && call.Name == "jsonencode" && len(call.Args) == 1 {
		return t.locate(call.Args[0], at)
	}
	if p, ok := e.(*hclsyntax.ParenthesesExpr); ok {
		return t.locate(p.Expression, at)
	}
	if len(at) == 0 {
		r := t.span(e.Range())
		if r.End.Line != r.Start.Line {
			r.End = diagnostic.Position{Line: r.Start.Line, Column: r.Start.Column + 1}
		}
		return r, true
	}
	switch e := e.(type) {
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			if key, found := item.KeyExpr.Value(nil); !found.HasErrors() && key.Type() == cty.String &&
				!key.IsNull() && key.AsString() == at[0] {
				return t.locate(item.ValueExpr, at[1:])
			}
		}
	case *hclsyntax.TupleConsExpr:
		if i, ok := index(at[0]); ok && i < len(e.Exprs) {
			return t.locate(e.Exprs[i], at[1:])
		}
	}
	return diagnostic.Range{}, false
}

// embedded decodes a schema that is written as a string of JSON.
func embedded(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	if decoded, err := unmarshal([]byte(s)); err == nil {
		if _, isString := decoded.(string); !isString {
			return decoded
		}
	}
	return v
}
