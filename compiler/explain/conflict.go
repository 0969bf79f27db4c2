package explain

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// A mention is an expression of the author that is part of a conflict.
type mention struct {
	src  *source.File
	expr ast.Expr
}

func (m mention) span() diagnostic.Range { return source.RangeOf(m.expr.Pos(), m.expr.End()) }

// mentions lists the author's expressions at the positions of an error, in order. CUE also gives the positions
// of enclosing values. Those are left out: they say nothing.
func (p *Evaluated) mentions(places []token.Pos) []mention {
	places = slices.Clone(places)
	slices.SortFunc(places, func(a, b token.Pos) int { return a.Compare(b) })
	var out []mention
	for _, pos := range slices.CompactFunc(places, func(a, b token.Pos) bool { return a.Compare(b) == 0 }) {
		src := p.Index.SourceOf(pos)
		if e := source.ExprAt(src.Syntax, pos); e != nil {
			out = append(out, mention{src, e})
		}
	}
	return slices.DeleteFunc(slices.Clone(out), func(m mention) bool {
		return slices.ContainsFunc(out, func(o mention) bool {
			return o.expr != m.expr && source.Contains(m.expr, o.expr)
		})
	})
}

// conflict returns the finding about values for one field that exclude each other. If the author wrote two, the
// later one is reported and the earlier one is related. If the author wrote one, the other comes from the
// schema.
func (p *Evaluated) conflict(f finding.Finding, e cueerrors.Error, places []token.Pos) diagnostic.Diagnostic {
	var values, types []mention
	for _, m := range p.mentions(places) {
		switch m.expr.(type) {
		case *ast.BasicLit, *ast.ListLit, *ast.StructLit, *ast.Interpolation:
			values = append(values, m)
		case *ast.Ident, *ast.UnaryExpr, *ast.BinaryExpr:
			types = append(types, m)
		}
	}
	_, args := e.Msg()
	switch {
	case len(values) == 0:
		pos := token.NoPos
		if len(places) > 0 {
			pos = places[len(places)-1]
		}
		return p.Index.Place(f, pos)
	case len(values) == 1:
		p.mustBe(&f, args, values[0])
	}
	// The value that is nearest to the automation is the one to blame.
	last := values[len(values)-1]
	for _, v := range values {
		if !slices.Contains(p.Index.Sources, last.src) && slices.Contains(p.Index.Sources, v.src) {
			last = v
		}
	}
	other := values[0]
	if other == last {
		other = values[len(values)-1]
	}
	d := f.Diagnostic
	d.Path = f.At.String()
	d.File, d.Range = last.src.Name, last.span()
	if len(values) > 1 {
		d.Related = []diagnostic.Related{{Message: "the other value", File: other.src.Name, Range: other.span()}}
	} else if len(types) > 0 {
		d.Related = []diagnostic.Related{{Message: "declared here", File: types[0].src.Name, Range: types[0].span()}}
	}
	return d
}

// mustBe describes a conflict between the author's value and the required one.
func (p *Evaluated) mustBe(f *finding.Finding, args []any, given mention) {
	shown := conflictWords(args)
	want, got := shown[0], shown[1]
	if lit, ok := literalOf(given.expr); ok && len(args) > 0 && describeLiteral(lit) == fmt.Sprint(args[0]) {
		want, got = got, want
	}
	if want == "an object" && credential.HoldsCredential(credential.PathLabels(f.At.String())) {
		f.Recode("secret-in-code")
		f.Confidential = true
		f.Message, f.Help = check.SecretMessage(f.At), check.SecretHelp(f.At)
		return
	}
	f.Recode("invalid-value")
	f.Message = fmt.Sprintf("%s must be %s, got %s", f.At.Subject(), want, got)
	f.Help = "write " + want + ", or remove the field"
	if plain := strings.Trim(want, `"`); finding.Nearest(strings.Trim(got, `"`), []string{plain}) != "" {
		f.Suggestion, f.Help = plain, finding.DidYouMean(want)
		if _, ok := given.expr.(*ast.BasicLit); ok && strings.HasPrefix(want, `"`) {
			f.Fix = finding.Rewrite(given.src.Name, given.span(), want, want)
		}
	}
}

// conflictWords shows the two values of a conflict.
func conflictWords(args []any) [2]string {
	var out [2]string
	for i := range min(len(args), 2) {
		out[i] = valueWords(fmt.Sprint(args[i]))
	}
	return out
}

// valueWords describes a value that CUE shows in its own syntax.
func valueWords(s string) string {
	switch {
	case strings.HasPrefix(s, "{"):
		return "an object"
	case strings.HasPrefix(s, "["):
		return "a list"
	case strings.HasPrefix(s, "'"):
		return "bytes"
	}
	words := map[string]string{"string": "a string", "number": "a number", "int": "an integer", "float": "a number",
		"bool": "true or false"}
	if w, ok := words[s]; ok {
		return w
	}
	return s
}

// written returns the value that the author wrote where the schema wants an object. CUE keeps neither of the
// two, but the check against the shape needs the author's value.
func (p *Evaluated) written(err error) (any, bool) {
	for _, e := range cueerrors.Errors(err) {
		format, args := e.Msg()
		if !strings.HasPrefix(format, "conflicting values") || len(args) < 4 || conflictWords(args)[0] != "an object" &&
			conflictWords(args)[1] != "an object" {
			continue
		}
		mentions := p.mentions(p.authorPlaces(e))
		if len(mentions) != 1 {
			return nil, false
		}
		return literalOf(mentions[0].expr)
	}
	return nil, false
}

// literalOf evaluates an expression that refers to nothing else.
func literalOf(e ast.Expr) (any, bool) {
	switch e.(type) {
	case *ast.BasicLit, *ast.ListLit, *ast.UnaryExpr:
	default:
		return nil, false
	}
	v := cuecontext.New().BuildExpr(e)
	if v.Kind() == cue.BytesKind {
		b, _ := v.Bytes()
		return shape.Bytes(b), true
	}
	var out any
	if err := source.Decode(v, &out); err != nil {
		_, list := e.(*ast.ListLit)
		return []any{}, list
	}
	return out, true
}

// describeLiteral writes a value as CUE does.
func describeLiteral(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v)
}
