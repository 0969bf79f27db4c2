package explain

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// undecided converts a value that is not concrete.
func (c *Conversion) undecided(v cue.Value, at finding.Path) (any, diagnostic.List) {
	if c.draft || c.Partial(at) {
		return shape.Broken{}, nil // others set it, or it replaces an unresolvable part
	}
	if found, ok := c.refersToItself(v, at); ok {
		return shape.Broken{}, found
	}
	switch {
	case c.waits(at):
		return shape.Broken{}, nil
	case v.IncompleteKind() == cue.TopKind:
		return shape.Unset{}, nil
	}
	return shape.Broken{}, c.incomplete(v, at)
}

// waits reports whether a value of an automation depends on another value of the same automation that is
// missing. That one has a finding of its own.
func (p *Evaluated) waits(at finding.Path) bool {
	if len(at) < 3 || at[0] != "automations" {
		return false
	}
	waits := false
	whole := p.Index.Sites(at[:2])
	for _, s := range p.Index.Sites(at) {
		ast.Walk(s.Value, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok || id.Node == nil || id.Name == "" || strings.HasPrefix(id.Name, "#") ||
				strings.HasPrefix(id.Name, "_") {
				return true
			}
			value, ok := id.Node.(ast.Expr)
			if field, isField := id.Node.(*ast.Field); isField {
				value, ok = field.Value, true
			}
			if lit, literal := value.(*ast.BasicLit); !ok || literal && lit.Kind != token.ILLEGAL || value == s.Value {
				return true
			}
			waits = waits || slices.ContainsFunc(whole,
				func(w source.Site) bool { return source.Contains(w.Value, value) })
			return true
		}, nil)
	}
	return waits
}

// incomplete reports a value that is constrained but not set.
func (c *Conversion) incomplete(v cue.Value, at finding.Path) diagnostic.List {
	f := finding.New("missing-value", at, finding.AtValue, at.Subject()+" has no value: "+typeName(v)+" is needed",
		"give it a value")
	if options := alternativesOf(v); len(options) > 0 {
		f.Message, f.Help = at.Subject()+" has no value: it may be "+finding.OneOf(options), "choose one of them"
	}
	sites := c.Index.Sites(at)
	for _, s := range sites {
		if option := markedDefault(s.Value); option != nil && c.Index.SourceOf(s.Value.Pos()) != nil {
			text := c.Index.SourceOf(option.Pos()).Covered(c.Index.NodeRange(option))
			f.Message = at.Subject() + " has two defaults, this one and the schema's, so neither applies"
			f.Help = "write " + finding.Selector(at[len(at)-1].(string)).String() + ": " + text
			f.Position, f.Exact = s.Value.Pos(), true
			return diagnostic.List{c.Index.Place(f, s.Value.Pos())}
		}
	}
	if len(at) == 3 && at[0] == "placeholders" && at[2] == "type" {
		typeWithoutQuotes(&f, sites)
	}
	if id := c.argument(v.Pos()); id != nil {
		if found, ok := c.missingArgument(id, typeName(v), at); ok {
			return found
		}
	}
	for _, pos := range append([]token.Pos{v.Pos()}, positionsOf(sites)...) {
		if found, ok := c.templateField(pos, typeName(v), at); ok {
			return found
		}
	}
	d := c.Index.Place(f, v.Pos())
	c.atUse(&d, at, sites)
	return diagnostic.List{d}
}

// typeWithoutQuotes reports that a placeholder's type lacks quotes if it is one of CUE's names, as in type:
// string.
func typeWithoutQuotes(f *finding.Finding, sites []source.Site) {
	for _, s := range sites {
		if id, ok := s.Value.(*ast.Ident); ok && source.Predeclared(id.Name) {
			f.Recode("wrong-type")
			f.Message = f.At.Subject() + " must be a string, got " + id.Name + " without quotes"
			f.Suggestion = strconv.Quote(strings.TrimPrefix(id.Name, "__"))
			if id.Name == "bool" {
				f.Suggestion = `"boolean"`
			}
			f.Help = "write " + f.Suggestion
		}
	}
}

// atUse handles a missing value of an automation whose declaration is elsewhere. It moves the finding to the
// automation, and relates the declaration.
func (c *Conversion) atUse(d *diagnostic.Diagnostic, at finding.Path, sites []source.Site) {
	if len(at) < 3 || at[0] != "automations" || len(sites) == 0 {
		return
	}
	automation := c.Index.Sites(at[:2])
	for up := at; len(automation) > 0 && len(up) > 1; up = up[:len(up)-1] {
		whole, own := automation[len(automation)-1].Value, c.Index.Sites(up)
		if len(own) == 0 || len(up) > 2 && !source.Contains(whole, own[len(own)-1].Value) {
			continue
		}
		if len(up) < len(at) {
			d.Related = append(d.Related, diagnostic.Related{Message: "declared here", File: d.File, Range: d.Range})
			c.Index.PlaceAt(d, finding.Finding{Spot: finding.AtLabel}, own[len(own)-1])
		}
		return
	}
}

// argument returns the reference at a position if it refers to an argument of a definition, such as #team.
// Automations that build on the definition set it.
func (p *Evaluated) argument(pos token.Pos) *ast.Ident {
	src := p.Index.SourceOf(pos)
	if src == nil {
		return nil
	}
	id, ok := source.SiteAt(src.Syntax, pos).Value.(*ast.Ident) // the field's, or the one there
	if !ok || !strings.HasPrefix(id.Name, "#") || source.TopField(src.Syntax.Decls, id.Name) != nil {
		return nil
	}
	return id
}

// missingArgument reports, once, that an automation does not set an argument of a definition that it builds on.
// It returns false if the argument belongs to no automation.
func (c *Conversion) missingArgument(
	id *ast.Ident, needed string, at finding.Path,
) (found diagnostic.List, ok bool) {
	if len(at) < 3 || at[0] != "automations" {
		return nil, false
	}
	whole := at[:2]
	f := finding.New("missing-value", whole, finding.AtLabel,
		id.Name+" has no value: "+needed+" is needed", "the definition requires it: add "+id.Name+": ...")
	var own []string
	bare := ""
	for _, s := range c.Index.Sites(whole) {
		for _, label := range source.FieldNames(s.Value) {
			switch {
			case strings.HasPrefix(label, "#"):
				own = append(own, label)
			case "#"+label == id.Name:
				bare = label
			}
		}
	}
	if near := finding.Nearest(id.Name, own); near != "" {
		f.At, f.Suggestion, f.Help = whole.With(near), id.Name, finding.DidYouMean(id.Name)
		f.Message = "the definition has no argument " + near
		f.Recode("unknown-field")
		f.Repair = &finding.Repair{How: finding.RenameField, Text: id.Name}
	} else if bare != "" && !slices.ContainsFunc(finding.SortedKeys(shape.Calls()),
		func(call string) bool { return check.AutomationField(call, bare) }) {
		f.At, f.Suggestion, f.Help = whole.With(bare), id.Name, finding.DidYouMean(id.Name)
		f.Message = "an automation has no field " + strconv.Quote(bare)
		f.Recode("unknown-field")
		f.Repair = &finding.Repair{How: finding.RenameField, Text: id.Name}
	}
	position, converted := c.Positions[whole.String()]
	if !converted {
		position = c.pathPosition(whole)
	}
	return c.unlessTold(c.Index.Place(f, position), id), true
}

// markedDefault returns the default of a disjunction, nil if it has none.
func markedDefault(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return markedDefault(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.OR {
			if option := markedDefault(e.X); option != nil {
				return option
			}
			return markedDefault(e.Y)
		}
	case *ast.UnaryExpr:
		if e.Op == token.MUL {
			return e.X
		}
	}
	return nil
}

func positionsOf(sites []source.Site) []token.Pos {
	var out []token.Pos
	for _, s := range sites {
		out = append(out, s.Value.Pos())
	}
	return out
}

// unlessTold returns a finding with the place of its use, or nothing if the same finding was returned before.
func (c *Conversion) unlessTold(d diagnostic.Diagnostic, use ast.Node) diagnostic.List {
	if src := c.Index.SourceOf(use.Pos()); src != nil {
		d.Related = append(d.Related, diagnostic.Related{Message: finding.UsedHere, File: src.Name,
			Range: c.Index.NodeRange(use)})
	}
	if key := [2]string{d.Path, d.Message}; !c.told[key] {
		c.told[key] = true
		return diagnostic.List{d}
	}
	return nil
}

// templateField reports, once, that an automation does not set a field of the template that it is built from,
// as in (#Template & {in: "A"}).out. It returns false if there is no such template.
func (c *Conversion) templateField(
	pos token.Pos, needed string, at finding.Path,
) (found diagnostic.List, ok bool) {
	src := c.Index.SourceOf(pos)
	if src == nil || len(at) < 3 || at[0] != "automations" {
		return nil, false
	}
	id, ok := source.SiteAt(src.Syntax, pos).Value.(*ast.Ident)
	if !ok {
		return nil, false
	}
	for _, s := range c.Index.Sites(at[:2]) {
		sel, ok := s.Value.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		template, given := templateCall(sel.X)
		names := source.FieldNames(sel.X)
		if template == "" || slices.Contains(names, id.Name) || !slices.Contains(c.Index.Labels(sel.X, 0), id.Name) {
			continue
		}
		f := finding.New("missing-value", at[:2], finding.AtValue,
			template+" needs "+id.Name+": "+needed, "add "+id.Name+": ... between the braces")
		f.Path = at[:2].String()
		node := ast.Node(sel.X)
		if label, ok := misspeltLabel(given, id.Name); ok {
			node = label
			written, _, _ := ast.LabelName(label)
			f.Recode("unknown-field")
			f.Message = template + " has no field " + strconv.Quote(written)
			f.Suggestion, f.Help = id.Name, finding.DidYouMean(id.Name)
		}
		if own := c.Index.SourceOf(node.Pos()); own != nil {
			d := f.Diagnostic
			d.File, d.Range = own.Name, c.Index.NodeRange(node)
			if _, plain := node.(*ast.Ident); plain && f.Suggestion != "" {
				d.Fix = finding.Rewrite(d.File, d.Range, f.Suggestion, f.Suggestion)
			}
			return c.unlessTold(d, id), true
		}
	}
	return nil, false
}

// misspeltLabel returns the last label in some structs that resembles a name.
func misspeltLabel(given []*ast.StructLit, name string) (found ast.Label, ok bool) {
	for _, st := range given {
		for _, d := range st.Elts {
			field, isField := d.(*ast.Field)
			if !isField {
				continue
			}
			if label, named := source.FieldLabel(field); named && finding.Nearest(name, []string{label}) != "" {
				found, ok = field.Label, true
			}
		}
	}
	return found, ok
}

// templateCall returns the name of the definition and the structs in a conjunction of the two. The name is ""
// if the expression is not such a conjunction.
func templateCall(e ast.Expr) (template string, given []*ast.StructLit) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return templateCall(e.X)
	case *ast.BinaryExpr:
		left, more := templateCall(e.X)
		right, rest := templateCall(e.Y)
		return cmp.Or(left, right), append(more, rest...)
	case *ast.StructLit:
		return "", []*ast.StructLit{e}
	case *ast.Ident:
		return e.Name, nil
	case *ast.SelectorExpr:
		label, _, _ := ast.LabelName(e.Sel)
		return label, nil
	}
	return "", nil
}

// alternativesOf lists the alternatives of a value that must be one of several literals.
func alternativesOf(v cue.Value) []string {
	op, args := v.Eval().Expr()
	if op != cue.OrOp {
		return nil
	}
	var out []string
	for _, arg := range args {
		b, err := arg.MarshalJSON()
		if err != nil {
			return nil
		}
		out = append(out, string(b))
	}
	return out
}

// typeName describes the type of a value that is not set.
func typeName(v cue.Value) string {
	var words []string
	kind := v.IncompleteKind()
	for _, k := range []struct {
		kind cue.Kind
		word string
	}{
		{cue.NumberKind, "a number"}, {cue.IntKind, "an integer"}, {cue.FloatKind, "a number"},
		{cue.StringKind, "a string"},
		{cue.BoolKind, "true or false"}, {cue.ListKind, "a list"}, {cue.StructKind, "an object"}, {cue.NullKind, "null"},
	} {
		if kind&k.kind == k.kind {
			words, kind = append(words, k.word), kind&^k.kind
		}
	}
	if len(words) == 0 {
		return "a value"
	}
	return finding.OneOf(words)
}
