package resolve

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// barePlaceholders finds placeholders without quotes, which CUE parses as a struct within a struct, and
// replaces them by holes.
func (r *resolver) barePlaceholders() {
	var fields []*ast.Field
	ast.Walk(r.src.Syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			fields = append(fields, n)
		case *ast.StructLit:
			id := bareName(n)
			if id == nil || id.Node != nil && !slices.ContainsFunc(fields,
				func(f *ast.Field) bool { return RefersTo(id, f) && source.Contains(f, n) }) {
				return true
			}
			written := r.src.Covered(r.Index.NodeRange(n))
			t, err := automation.ParseTemplate(written)
			if err != nil || len(t.References()) != 1 {
				return true
			}
			r.bare[n], r.unresolved[id] = true, true
			d := r.report("malformed-placeholder", n, "the placeholder "+written+" has no quotes",
				"write "+strconv.Quote(t.String()))
			if _, known := r.Catalog[id.Name]; known {
				r.fix(d, n, strconv.Quote(t.String()))
			}
			return false
		}
		return true
	}, nil)
}

// doubledOperators finds && and || between values that are not booleans, and replaces them by & and |.
func (r *resolver) doubledOperators() {
	ast.Walk(r.src.Syntax, func(n ast.Node) bool {
		e, ok := n.(*ast.BinaryExpr)
		if !ok || e.Op != token.LAND && e.Op != token.LOR || mayBeTruth(e.X) && mayBeTruth(e.Y) {
			return true
		}
		r.altered = true
		wrong, right := e.Op.String(), e.Op.String()[:1]
		e.Op = token.AND
		meaning := "both values apply"
		if right == "|" {
			e.Op, meaning = token.OR, "one of two values applies"
			r.bare[e] = true // it may be open which one
		}
		operator := &ast.BadExpr{From: e.OpPos, To: e.OpPos.Add(len(wrong))}
		d := r.report("wrong-type", operator, wrong+" combines true and false; to say that "+meaning+", write "+right,
			"write "+right)
		d.Suggestion = right
		r.fix(d, operator, right)
		return true
	}, nil)
}

// leftovers finds merge conflict markers that CUE parses as bounds, as in >>>>>>> feature, and replaces them by
// holes.
func (r *resolver) leftovers() {
	ast.Walk(r.src.Syntax, func(n ast.Node) bool {
		embed, ok := n.(*ast.EmbedDecl)
		if !ok || !embed.Pos().IsValid() {
			return true
		}
		start := min(embed.Pos().Offset(), len(r.src.Content))
		line := r.src.Content[start:source.LineEnd(r.src.Content, start)]
		if embed.Pos().Column() != 1 || !bytes.HasPrefix(line, []byte("<<<<<<<")) &&
			!bytes.HasPrefix(line, []byte(">>>>>>>")) {
			return true
		}
		ast.Walk(embed.Expr, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				r.unresolved[id] = true
			}
			return true
		}, nil)
		r.bare[embed.Expr] = true
		marker := &ast.BadExpr{From: embed.Pos(), To: embed.Pos().Add(len(line))}
		r.report("syntax-error", marker, source.MergeLeftover,
			"remove it, and the other side of the conflict")
		return false
	}, nil)
}

// commas finds a comma between a definition and the struct that should be added to it. CUE takes it for the end
// of the field. commas joins the two.
func (r *resolver) commas() {
	mend := func(decls []ast.Decl) []ast.Decl {
		for i := 1; i < len(decls); i++ {
			embed, ok := decls[i].(*ast.EmbedDecl)
			field := lastField(decls[i-1])
			if !ok || field == nil || !isDefinition(field.Value) {
				continue
			}
			st, ok := embed.Expr.(*ast.StructLit)
			end := field.Value.End().Offset()
			if !ok || !st.Lbrace.IsValid() || st.Pos().Offset() < end ||
				strings.TrimSpace(string(r.src.Content[end:st.Pos().Offset()])) != "," {
				continue
			}
			comma := field.Value.End().Add(strings.IndexByte(string(r.src.Content[end:st.Pos().Offset()]), ','))
			d := r.report("syntax-error", &ast.BadExpr{From: comma, To: comma.Add(1)},
				"the comma ends the field, so the part in braces is not added to the definition", "write &")
			d.Suggestion = "&"
			d.Fix = finding.Rewrite(d.File, d.Range, " &", "&")
			field.Value = &ast.BinaryExpr{X: field.Value, OpPos: comma, Op: token.AND, Y: st}
			decls, r.altered = slices.Delete(decls, i, i+1), true
			i--
		}
		return decls
	}
	r.eachBlock(mend)
}

// eachBlock lets a function change the declarations of the file, and of each struct in it.
func (r *resolver) eachBlock(mend func([]ast.Decl) []ast.Decl) {
	ast.Walk(r.src.Syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.File:
			n.Decls = mend(n.Decls)
		case *ast.StructLit:
			n.Elts = mend(n.Elts)
		}
		return true
	}, nil)
}

// isDefinition reports whether an expression refers to a definition, by its name.
func isDefinition(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return strings.HasPrefix(e.Name, "#")
	case *ast.SelectorExpr:
		label, _, _ := ast.LabelName(e.Sel)
		return strings.HasPrefix(label, "#")
	}
	return false
}

// bareAddresses finds URLs without quotes, as in url: https://example.com. CUE takes the end of the URL for a
// comment and the next field for the value. bareAddresses restores the string and the field.
func (r *resolver) bareAddresses() {
	mend := func(decls []ast.Decl) []ast.Decl {
		for i := 0; i < len(decls); i++ {
			field, swallowed := r.address(decls[i])
			if field == nil {
				continue
			}
			from := field.Value.Pos()
			text := addressText().FindString(string(r.src.Content[from.Offset():source.LineEnd(r.src.Content,
				from.Offset())]))
			at := &ast.BadExpr{From: from, To: from.Add(len(text))}
			d := r.report("syntax-error", at, "a URL must be quoted: without quotes, // starts a comment",
				"write "+strconv.Quote(text))
			d.Suggestion = strconv.Quote(text)
			d.Path = source.PathAt(r.src.Syntax, field.Pos()).String()
			r.fix(d, at, d.Suggestion)
			field.Value = &ast.BasicLit{ValuePos: from, Kind: token.STRING, Value: strconv.Quote(text)}
			decls, r.altered = slices.Insert(decls, i+1, swallowed...), true
		}
		return decls
	}
	r.eachBlock(mend)
}

var addressText = finding.Pattern(`^https?://[^\s"\\,]+`)

// address returns the field in a declaration that has a URL without quotes, and the declarations that CUE takes
// for its value; nil if there is no such field.
func (r *resolver) address(d ast.Decl) (*ast.Field, []ast.Decl) {
	field, ok := d.(*ast.Field)
	if !ok {
		return nil, nil
	}
	st, ok := field.Value.(*ast.StructLit)
	if !ok || st.Lbrace.IsValid() || len(st.Elts) != 1 {
		return nil, nil
	}
	inner, ok := st.Elts[0].(*ast.Field)
	if !ok || !inner.Pos().IsValid() || !addressText().Match(r.src.Content[min(inner.Pos().Offset(),
		len(r.src.Content)):]) {
		return r.address(st.Elts[0])
	}
	if value, ok := inner.Value.(*ast.StructLit); ok && !value.Lbrace.IsValid() {
		return field, value.Elts
	}
	return field, nil
}

// strayValues finds numbers and strings among fields, which CUE takes for the value of the whole struct, and
// replaces them by holes.
func (r *resolver) strayValues() {
	ast.Walk(r.src.Syntax, func(n ast.Node) bool {
		st, ok := n.(*ast.StructLit)
		if !ok {
			return true
		}
		if len(st.Elts) > 1 && !slices.ContainsFunc(st.Elts, func(d ast.Decl) bool { return !isLiteral(d) }) {
			r.bare[st] = true
			r.report("wrong-type", st, "a list is written with [ and ]", "write [ and ] instead of { and }")
			return false
		}
		if !slices.ContainsFunc(st.Elts, func(d ast.Decl) bool { _, field := d.(*ast.Field); return field }) {
			return true
		}
		for i, d := range st.Elts {
			embed, ok := d.(*ast.EmbedDecl)
			if !ok {
				continue
			}
			lit, ok := embed.Expr.(*ast.BasicLit)
			if !ok {
				continue
			}
			r.bare[lit] = true
			shown, named := "the value "+lit.Value, lit.Value
			if lit.Kind == token.STRING { // which may be a secret
				shown, named = "a string", `"…"`
			}
			f := r.report("wrong-type", lit, shown+" is among fields but has no name",
				"give it a name, as in name: "+named+"; or remove it")
			if i > 0 {
				if before := lastField(st.Elts[i-1]); before != nil {
					f.Confidential = credential.HoldsCredential(credential.PathLabels(source.PathAt(r.src.Syntax,
						before.Value.Pos()).String()))
				}
			}
			if i > 0 && lit.Kind == token.INT {
				if whole, ok := lastValue(st.Elts[i-1]).(*ast.BasicLit); ok && whole.Kind == token.INT &&
					whole.Pos().Line() == lit.Pos().Line() {
					f.Suggestion = whole.Value + "." + lit.Value
					f.Help = "the decimal separator is a point, not a comma: write " + f.Suggestion
				}
			}
		}
		return true
	}, nil)
}

// assignments finds pattern = "x" where pattern: "x" is meant, and replaces it by the field. CUE takes the name
// for an alias of the value.
func (r *resolver) assignments(used map[ast.Node]bool) {
	ast.Walk(r.src.Syntax, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok {
			return true
		}
		alias, ok := field.Value.(*ast.Alias)
		if !ok || used[alias] || used[alias.Expr] {
			return true
		}
		sign := &ast.BadExpr{From: alias.Equal, To: alias.Equal.Add(1)}
		d := r.report("syntax-error", sign, "found = where a colon is expected", "a field is written name: value")
		d.Suggestion = ":"
		field.Value = &ast.StructLit{Elts: []ast.Decl{&ast.Field{Label: alias.Ident, Value: alias.Expr}}}
		r.altered = true
		return true
	}, nil)
}

// isLiteral reports whether a declaration is just a literal.
func isLiteral(d ast.Decl) bool {
	embed, ok := d.(*ast.EmbedDecl)
	if !ok {
		return false
	}
	_, ok = embed.Expr.(*ast.BasicLit)
	return ok
}

// lastValue returns the value of a field. If the field has no braces, it returns the value of the innermost
// field in it.
func lastValue(d ast.Decl) ast.Expr {
	if field := lastField(d); field != nil {
		return field.Value
	}
	return nil
}

// lastField returns a field. If the field has no braces, it returns the innermost field in it. It returns nil
// for other declarations.
func lastField(d ast.Decl) *ast.Field {
	field, ok := d.(*ast.Field)
	if !ok {
		return nil
	}
	if st, ok := field.Value.(*ast.StructLit); ok && !st.Lbrace.IsValid() && len(st.Elts) == 1 {
		if inner := lastField(st.Elts[0]); inner != nil {
			return inner
		}
	}
	return field
}

// packageForField finds a reference to a field of the package where an import with a similar name is meant:
// automations.#Group for automation.#Group.
func (r *resolver) packageForField(used map[ast.Node]bool) {
	ast.Walk(r.src.Syntax, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok || r.imported[id.Name] != nil || !r.scope[id.Name] {
			return true
		}
		label, _, err := ast.LabelName(sel.Sel)
		name := finding.Nearest(id.Name, finding.SortedKeys(r.imported))
		if err != nil || name == "" || used[r.imported[name]] {
			return true
		}
		spec := r.imported[name]
		if !slices.Contains(r.packageFields(ast.ParseImportPath(source.ImportPath(spec))), label) ||
			slices.Contains(r.Index.Labels(id, 0), label) {
			return true
		}
		d := r.report("unknown-reference", id, id.Name+" is a field of this package and has no field "+label,
			finding.DidYouMean(name))
		d.Suggestion = name
		r.fix(d, id, name)
		id.Name, id.Node, r.altered = name, spec, true
		r.meant[name] = true
		return true
	}, nil)
	for name := range r.meant {
		if spec := r.imported[name]; spec != nil {
			used[spec] = true
		}
	}
}

// mayBeTruth reports whether an expression may be a boolean, by its form.
func mayBeTruth(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.StructLit, *ast.ListLit, *ast.Interpolation:
		return false
	case *ast.BasicLit:
		return e.Kind == token.TRUE || e.Kind == token.FALSE
	case *ast.Ident:
		return !strings.HasPrefix(e.Name, "#")
	case *ast.SelectorExpr:
		label, _, _ := ast.LabelName(e.Sel)
		return !strings.HasPrefix(label, "#")
	case *ast.ParenExpr:
		return mayBeTruth(e.X)
	}
	return true
}

// bareName returns the name in {{name}} or {{name | cast}}, nil for other structs.
func bareName(outer *ast.StructLit) *ast.Ident {
	inner, _ := onlyEmbedded(outer).(*ast.StructLit)
	if inner == nil || inner.Lbrace.Offset() != outer.Lbrace.Offset()+1 ||
		inner.Rbrace.Offset() != outer.Rbrace.Offset()-1 {
		return nil
	}
	e := onlyEmbedded(inner)
	if cast, ok := e.(*ast.BinaryExpr); ok {
		e = cast.X
	}
	id, _ := e.(*ast.Ident)
	if id == nil || !automation.ValidName(id.Name) || strings.HasPrefix(id.Name, "_") {
		return nil
	}
	return id
}

// onlyEmbedded returns the expression embedded in a struct without other contents.
func onlyEmbedded(st *ast.StructLit) ast.Expr {
	if len(st.Elts) != 1 || !st.Lbrace.IsValid() {
		return nil
	}
	embed, ok := st.Elts[0].(*ast.EmbedDecl)
	if !ok {
		return nil
	}
	return embed.Expr
}

// RefersTo reports whether an identifier refers to a field.
func RefersTo(id *ast.Ident, f *ast.Field) bool {
	return id.Node != nil && (id.Node == ast.Node(f) || id.Node == ast.Node(f.Value))
}

// nullWords are names for null in other languages.
var nullWords = []string{"nil", "None", "NULL", "Null", "undefined"}

// bareWord rewords the finding about an undefined name that is probably not meant as a reference, and reports
// whether it did.
func (r *resolver) bareWord(d *diagnostic.Diagnostic, id *ast.Ident) bool {
	if truth, ok := source.TruthWords[id.Name]; ok {
		d.Suggestion, d.Help = truth, fmt.Sprintf("write %s; or, if you meant a string, quote it: %q",
			truth, id.Name)
		at := source.PathAt(r.src.Syntax, id.Pos())
		if len(at) > 0 && isSwitch(at[len(at)-1]) || finding.PlainName(id.Name) == truth {
			d.Help = finding.DidYouMean(truth)
			r.fix(d, id, truth)
		}
		return true
	}
	if slices.Contains(nullWords, id.Name) {
		d.Suggestion, d.Help = "null", fmt.Sprintf("write null; or, if you meant a string, quote it: %q",
			id.Name)
		return true
	}
	if around, ok := r.Index.Interpolated(id); ok {
		name := id.Name
		if _, known := r.Catalog[name]; !known {
			name = finding.Nearest(name, finding.SortedKeys(r.Catalog))
		}
		if name == "" {
			return false
		}
		reference := automation.Reference{Name: name}.String()
		d.Suggestion, d.Help = name, "a placeholder is written "+reference
		if name == id.Name {
			d.Fix = finding.Rewrite(r.src.Name, around, reference, reference)
		}
		return true
	}
	return false
}

// isSwitch reports whether a field of an automation or a target is a boolean, by its name.
func isSwitch(label any) bool {
	name, _ := label.(string)
	for _, def := range []string{"automation.#Track", "project.#Target"} {
		if f := shape.Of(def).Fields[name]; f != nil && f.Shape.Kind == shape.Boolean {
			return true
		}
	}
	return false
}
