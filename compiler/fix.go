package compiler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
)

// A repair is what a finding could be repaired with. It becomes a fix once the
// place is known, if it is certain there.
type repair struct {
	how  manner
	text string
	// shared says that it is right wherever the text is used, so that it may be
	// made in a definition that several automations share.
	shared bool
}

// A manner is what a repair changes.
type manner int

const (
	rename  manner = iota // the field's name; text is the new one
	rewrite               // the part of a text that the finding is about
	replace               // the literal; text is CUE
)

// quoted is the repair of a literal that becomes a text.
func quoted(text string) *repair { return &repair{how: replace, text: strconv.Quote(text)} }

// fix returns the fix of a finding that is placed at d.Range in one of the sites
// of its value; nil if there is none that is certain.
func (x *index) fix(d *diagnostic.Diagnostic, f finding, chosen site, sites []site) *diagnostic.Fix {
	src := x.sourceOf(chosen.value.Pos())
	if f.repair == nil || src == nil || src.name != d.File {
		return nil
	}
	if !f.repair.shared && !x.own(f.path, chosen.value) {
		return nil // what is right here may be wrong for others that use it
	}
	switch f.repair.how {
	case rename:
		return x.rename(d, f, chosen, sites)
	case rewrite:
		lit, ok := onlyLiteral(chosen, sites)
		text := f.repair.text
		if !ok || lit.Kind != token.STRING || strings.ContainsAny(text, "\"\\\n\r'") ||
			strings.ContainsAny(f.part, "\\\n\r") || src.covered(d.Range) != f.part {
			return nil
		}
		return edit(d.File, d.Range, text, text)
	default:
		lit, ok := onlyLiteral(chosen, sites)
		if !ok || x.nodeRange(lit) != d.Range {
			return nil
		}
		return edit(d.File, d.Range, f.repair.text, f.repair.text)
	}
}

// edit makes a fix of one edit.
func edit(file string, r diagnostic.Range, text, shown string) *diagnostic.Fix {
	return &diagnostic.Fix{Message: "write " + shown, Edits: []diagnostic.Edit{{File: file, Range: r, NewText: text}}}
}

// own reports whether a part of an automation is written in the automation
// itself, and not in something that it refers to. All of segue.cue is its own.
func (x *index) own(at valuePath, n ast.Node) bool {
	if len(at) < 2 || at[0] != "automations" {
		return true
	}
	return slices.ContainsFunc(x.sites(at[:2]), func(s site) bool {
		return x.sourceOf(s.value.Pos()) == x.sourceOf(n.Pos()) && contains(s.value, n)
	})
}

// onlyLiteral returns the literal that gives a value, if there is just one.
func onlyLiteral(chosen site, sites []site) (*ast.BasicLit, bool) {
	n := 0
	for _, s := range sites {
		if _, ok := literalPart(s.value).(*ast.BasicLit); ok {
			n++
		}
	}
	lit, ok := literalPart(chosen.value).(*ast.BasicLit)
	return lit, ok && n < 2
}

// lineStarts returns where the lines of a file start. Many findings can be about
// one large file, so that they are not counted for each.
func (s *source) lineStarts() []int {
	if s.lines == nil {
		s.lines = []int{0}
		for i, b := range s.content {
			if b == '\n' {
				s.lines = append(s.lines, i+1)
			}
		}
	}
	return s.lines
}

// position converts an offset into a line and column.
func (s *source) position(offset int) diagnostic.Position {
	line, exact := slices.BinarySearch(s.lineStarts(), offset)
	if exact {
		line++
	}
	return diagnostic.Position{Line: line, Column: offset - s.lines[line-1] + 1}
}

// covered returns the text that a range covers, "" if it is not in the file.
func (s *source) covered(r diagnostic.Range) string {
	lines := s.lineStarts()
	if r.Start.Line < 1 || r.End.Line < r.Start.Line || r.End.Line > len(lines) {
		return ""
	}
	start, end := lines[r.Start.Line-1]+r.Start.Column-1, lines[r.End.Line-1]+r.End.Column-1
	if start < 0 || end < start || end > len(s.content) {
		return ""
	}
	return string(s.content[start:end])
}

// rename gives a field another name, unless something refers to it by the old one.
func (x *index) rename(d *diagnostic.Diagnostic, f finding, chosen site, sites []site) *diagnostic.Fix {
	if chosen.field == nil || len(sites) > 1 || x.nodeRange(chosen.field.Label) != d.Range {
		return nil
	}
	old, ok := fieldLabel(chosen.field)
	if !ok || x.referredTo(chosen.field, old) {
		return nil
	}
	switch label := chosen.field.Label.(type) {
	case *ast.Ident:
		text := f.repair.text
		if ast.StringLabelNeedsQuoting(text) && !strings.HasPrefix(text, "#") {
			text = strconv.Quote(text)
		}
		return edit(d.File, d.Range, text, f.repair.text)
	case *ast.BasicLit:
		if strings.HasPrefix(label.Value, `"`) && !strings.HasPrefix(label.Value, `"""`) {
			return edit(d.File, d.Range, strconv.Quote(f.repair.text), f.repair.text)
		}
	}
	return nil
}

// referredTo reports whether an expression of the files may refer to a field.
func (x *index) referredTo(field *ast.Field, name string) bool {
	if x.references == nil {
		x.references = map[ast.Node]bool{}
		x.selected = map[string]bool{}
		for _, s := range x.sources {
			ast.Walk(s.syntax, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Ident:
					x.references[n.Node] = true
				case *ast.SelectorExpr:
					if label, _, err := ast.LabelName(n.Sel); err == nil {
						x.selected[label] = true
					}
				}
				return true
			}, nil)
		}
	}
	return x.references[field] || x.references[field.Value] || x.selected[name]
}

// withoutClashes removes the fixes that would give two fields of a struct the
// same name.
func withoutClashes(found diagnostic.List) {
	type label struct{ file, parent, name string }
	places := map[label][]diagnostic.Range{}
	of := func(d diagnostic.Diagnostic) (label, bool) {
		if d.Fix == nil || !slices.Contains([]string{"unknown-field", "unknown-code", "unplanned-property", "header-case"}, d.Code) {
			return label{}, false
		}
		parent := d.Path
		if i := strings.LastIndexByte(strings.TrimSuffix(parent, `"`), '.'); i >= 0 {
			parent = parent[:i]
		}
		return label{d.File, parent, d.Suggestion}, true
	}
	for _, d := range found {
		if l, ok := of(d); ok && !slices.Contains(places[l], d.Range) {
			places[l] = append(places[l], d.Range)
		}
	}
	for i, d := range found {
		if l, ok := of(d); ok && len(places[l]) > 1 {
			found[i].Fix = nil
		}
	}
}

// otherName is the repair of a placeholder, given as it is written, whose name is
// not right. The rest of it stays as it is.
func otherName(written, name, right string) *repair {
	return &repair{how: rewrite, text: strings.Replace(written, name, right, 1), shared: true}
}

// wellFormed is the repair of a malformed placeholder whose name is known, nil if
// it is not certain.
func (c *checker) wellFormed(e automation.SyntaxError) *repair {
	name := e.Name
	if e.Problem == automation.BadName { // {{user id}}, {{ .userId }}, {{"userId"}}
		name = ""
		for _, known := range c.names() {
			if strings.Join(splitWords(plainName(e.Name)), "") == plainName(known) {
				name = known
			}
		}
	}
	if _, known := c.catalog[name]; !known || e.Cast != "" || strings.Contains(e.Text, "|") {
		return nil
	}
	switch e.Problem {
	case automation.Unclosed, automation.Unopened, automation.ExtraBrace, automation.BadName:
		return &repair{how: rewrite, text: automation.Reference{Name: name}.String(), shared: true}
	}
	return nil
}

// otherCast is the repair of a cast, nil if it can't be told from the rest.
func otherCast(e automation.SyntaxError, right string) *repair {
	name, cast, _ := strings.Cut(e.Text, "|")
	if strings.Count(cast, e.Cast) != 1 {
		return nil
	}
	return &repair{how: rewrite, text: name + "|" + strings.Replace(cast, e.Cast, right, 1)}
}

// fits reports whether nothing is wrong with a value in the place of another but
// what can be repaired for certain, too.
func (c *checker) fits(v any, s *shape, p valuePath) bool {
	sub := *c
	sub.found = nil
	sub.value(v, s, p)
	return !slices.ContainsFunc(sub.found, func(f finding) bool { return f.Severity == diagnostic.Error && f.repair == nil })
}

// fitsPlan is fits for a field of the tracking plan.
func (c *planCheck) fitsPlan(v any, p *planned, at valuePath) bool {
	sub := *c
	inner := *c.checker
	inner.found, sub.checker = nil, &inner
	sub.value(v, p, at)
	return len(inner.found) == 0
}

// certainIn looks at what the repairs of a text's placeholders, which are found
// from an index on, would make of it. If that has other mistakes, they are not
// certain and are dropped.
func (c *checker) certainIn(v string, s *shape, p valuePath, from int) {
	repaired, n, trimmed := "", 0, false
	said := map[string]bool{}
	var parts []finding
	for _, f := range c.found[from:] {
		said[f.Code+f.Message] = true
		if f.repair == nil {
			continue
		}
		if f.repair.how == rewrite {
			parts = append(parts, f)
		}
		trimmed = trimmed || f.repair.how == replace && f.Code == "stray-blanks"
	}
	if len(parts) == 0 && !trimmed {
		return
	}
	slices.SortStableFunc(parts, func(a, b finding) int { return cmp.Compare(a.offset, b.offset) })
	for _, f := range parts {
		if f.offset < n {
			continue
		}
		repaired += v[n:f.offset] + f.repair.text
		n = f.offset + len(f.part)
	}
	if repaired += v[n:]; trimmed {
		repaired = strings.TrimSpace(repaired)
	}
	sub := *c
	sub.found = nil
	sub.text(repaired, s, p)
	if slices.ContainsFunc(sub.found, func(f finding) bool {
		return f.Severity == diagnostic.Error && f.repair == nil && !said[f.Code+f.Message]
	}) {
		for i := range c.found[from:] {
			c.found[from+i].repair = nil
		}
	}
}

// certainLiteral repairs the last finding, which says that a value is of the
// wrong type, if the value fits once it gets quotes or loses them.
func (c *checker) certainLiteral(v any, s *shape, p valuePath) {
	w := &c.found[len(c.found)-1]
	if w.Suggestion == "" {
		return
	}
	var other any
	switch v := v.(type) {
	case string:
		switch v {
		case "true", "false":
			other = v == "true"
		default:
			other = json.Number(v)
		}
	case json.Number, bool:
		if p[len(p)-1] == "url" {
			return // quotes alone don't make one
		}
		other = fmt.Sprint(v)
	case bytesValue:
		other = string(v)
	default:
		return
	}
	w.repair = &repair{how: replace, text: w.Suggestion}
	if !c.fits(other, s, p) {
		w.repair = nil
	}
}

// certainReference reports whether a name can take the place of one that nothing
// defines: it is no type, which would leave a value open, not the field that it
// stands in, and a package only where one is asked for.
func (r *resolver) certainReference(id *ast.Ident, near string) bool {
	if near == "true" || near == "false" || near == "null" {
		return true
	}
	if _, imported := r.imported[near]; imported {
		end := id.End().Offset()
		return end < len(r.src.content) && r.src.content[end] == '.'
	}
	at := pathAt(r.src.syntax, id.Pos())
	return r.scope[near] && (len(at) == 0 || at[0] != near)
}

// fix says what to write in the place of a node.
func (r *resolver) fix(d *diagnostic.Diagnostic, n ast.Node, text string) {
	d.Fix = edit(r.src.name, r.index.nodeRange(n), text, text)
}

// fixImport corrects the path of an import. Where the package then has another
// name, all that refers to it by the old one is corrected, too.
func (r *resolver) fixImport(d *diagnostic.Diagnostic, spec *ast.ImportSpec, right string) {
	fix := edit(r.src.name, r.index.nodeRange(spec.Path), strconv.Quote(right), strconv.Quote(right))
	old, name := importName(spec), ast.ParseImportPath(right).Qualifier
	if spec.Name != nil {
		name = old
	}
	for other := range r.src.syntax.ImportSpecs() {
		if other != spec && importName(other) == name {
			return
		}
	}
	if name != old {
		ast.Walk(r.src.syntax, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Node == spec {
				fix.Edits = append(fix.Edits, diagnostic.Edit{File: r.src.name, Range: r.index.nodeRange(id), NewText: name})
			}
			return true
		}, nil)
	}
	d.Fix = fix
}

// fixUnused removes imports that nothing uses, with their lines.
func (r *resolver) fixUnused(d *diagnostic.Diagnostic, spec *ast.ImportSpec, unused func(*ast.ImportSpec) bool) {
	for _, decl := range r.src.syntax.Decls {
		imports, ok := decl.(*ast.ImportDecl)
		if !ok || !slices.Contains(imports.Specs, spec) {
			continue
		}
		var node ast.Node = spec
		if !slices.ContainsFunc(imports.Specs, func(s *ast.ImportSpec) bool { return !unused(s) }) {
			node = imports
		}
		start, end, ok := wholeLines(r.src.content, node)
		if !ok {
			return
		}
		d.Fix = edit(r.src.name, contentRange(r.src.content, start, end), "", "")
		d.Fix.Message = "remove the import"
	}
}

// wholeLines returns the lines that a declaration stands on, with its comments;
// and, where it stands by itself between two empty lines, one of those. It
// reports false if something else is on the lines.
func wholeLines(content []byte, n ast.Node) (start, end int, ok bool) {
	start, end = n.Pos().Offset(), n.End().Offset()
	for _, g := range ast.Comments(n) {
		if g.Doc {
			start = min(start, g.Pos().Offset())
		}
	}
	text := string(content)
	if start < 0 || end > len(text) {
		return 0, 0, false
	}
	from := strings.LastIndexByte(text[:start], '\n') + 1
	to := len(text)
	if i := strings.IndexByte(text[end:], '\n'); i >= 0 {
		to = end + i + 1
	}
	after := strings.TrimSpace(text[end:to])
	if strings.TrimSpace(text[from:start]) != "" || after != "" && !strings.HasPrefix(after, "//") {
		return 0, 0, false
	}
	if before := text[:from]; strings.HasSuffix(before, "\n\n") || strings.HasSuffix(before, "\n\r\n") {
		if strings.HasPrefix(text[to:], "\r") {
			to++
		}
		if strings.HasPrefix(text[to:], "\n") {
			to++
		}
	}
	return from, to, true
}
