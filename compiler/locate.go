package compiler

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// A source is one of the author's files, as read.
type source struct {
	name    string // relative to the project
	syntax  *ast.File
	content []byte
	lines   []int // where they start; nil until they are asked for
	// bare are the fields whose value is a struct without braces, by where it
	// starts; nil until they are asked for.
	bare map[int]*ast.Field
}

// withoutBraces returns the fields whose value is a struct without braces, by
// the offset at which it starts.
func (s *source) withoutBraces() map[int]*ast.Field {
	if s.bare == nil {
		s.bare = map[int]*ast.Field{}
		ast.Walk(s.syntax, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok {
				if st, ok := field.Value.(*ast.StructLit); ok && !st.Lbrace.IsValid() {
					s.bare[st.Pos().Offset()] = field
				}
			}
			return true
		}, nil)
	}
	return s.bare
}

// An index finds the place of a value in the author's files by its path. It
// follows struct literals, conjunctions and references within the package; what
// a comprehension makes is found by the position that CUE gives.
type index struct {
	sources []*source
	top     map[string][]ast.Expr // definitions and fields of the package
	// elsewhere reads a file of another package of the project, nil if there is
	// none of that name.
	elsewhere func(filename string) *source
	// importedIndex returns the index of a package that is imported, nil if that is
	// not among the files.
	importedIndex func(*ast.ImportSpec) *index
	members       map[string]*members
	// written has the lengths of names as they are written that another one stands
	// in for, in bytes.
	written map[ast.Node]int
	// references are the nodes that identifiers refer to, and selected the names
	// of selectors; nil until they are asked for.
	references map[ast.Node]bool
	selected   map[string]bool
}

// maxDepth guards against circles among references.
const maxDepth = 16

func newIndex(sources []*source) *index {
	x := &index{sources: sources, top: map[string][]ast.Expr{}, written: map[ast.Node]int{}}
	for _, s := range sources {
		for _, d := range s.syntax.Decls {
			if f, ok := d.(*ast.Field); ok {
				if label, ok := fieldLabel(f); ok {
					x.top[label] = append(x.top[label], f.Value)
				}
			}
		}
	}
	return x
}

// fieldLabel returns a field's name, if it is not computed.
func fieldLabel(f *ast.Field) (string, bool) {
	label, _, err := ast.LabelName(f.Label)
	if lit, ok := f.Label.(*ast.BasicLit); ok && err == nil {
		return label, lit.Kind == token.STRING
	}
	return label, err == nil && label != ""
}

// A site is where a path leads to: fields that set it, or list elements.
type site struct {
	field *ast.Field // nil for a list element
	value ast.Expr
}

// sites returns every place that gives the value at path, the most particular
// ones last.
func (x *index) sites(p valuePath) []site {
	var at []site
	steps := p
	if name, ok := p.member(); ok {
		at, steps = x.member(p[0].(string), name), p[2:]
	} else if len(p) > 0 {
		at, steps = x.topFields(p[0]), p[1:]
	}
	for _, step := range steps {
		var next []site
		for _, s := range at {
			next = append(next, x.descend(s.value, step, 0)...)
		}
		at = next
	}
	return at
}

// topFields returns the fields of a name at the top of the files.
func (x *index) topFields(name any) []site {
	var at []site
	for _, s := range x.sources {
		for _, d := range s.syntax.Decls {
			switch d := d.(type) {
			case *ast.EmbedDecl:
				at = append(at, x.descend(d.Expr, name, 0)...)
			case *ast.Field:
				if label, ok := fieldLabel(d); ok && label == name {
					at = append(at, site{d, d.Value})
				}
			}
		}
	}
	return at
}

// descend finds a field or an element in an expression. References to the
// package's own definitions are followed.
func (x *index) descend(e ast.Expr, step any, depth int) []site {
	if depth > maxDepth {
		return nil
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return x.descend(e.X, step, depth)
	case *ast.BinaryExpr:
		if e.Op == token.AND || e.Op == token.OR {
			return append(x.descend(e.X, step, depth+1), x.descend(e.Y, step, depth+1)...)
		}
	case *ast.UnaryExpr:
		return x.descend(e.X, step, depth)
	case *ast.Ident:
		var out []site
		for _, def := range x.definitions(e) {
			out = append(out, x.descend(def, step, depth+1)...)
		}
		return out
	case *ast.SelectorExpr:
		label, _, err := ast.LabelName(e.Sel)
		if err != nil {
			return nil
		}
		var out []site
		for _, s := range x.descend(e.X, label, depth+1) {
			out = append(out, x.descend(s.value, step, depth+1)...)
		}
		return out
	case *ast.ListLit:
		if i, ok := step.(int); ok && i < len(e.Elts) {
			if _, dots := e.Elts[i].(*ast.Ellipsis); !dots {
				return []site{{nil, e.Elts[i]}}
			}
		}
	case *ast.StructLit:
		var fields, embedded []site
		for _, d := range e.Elts {
			switch d := d.(type) {
			case *ast.Field:
				if label, ok := fieldLabel(d); ok && label == step {
					fields = append(fields, site{d, d.Value})
				}
			case *ast.EmbedDecl:
				embedded = append(embedded, x.descend(d.Expr, step, depth+1)...)
			}
		}
		return append(embedded, fields...)
	}
	return nil
}

// definitions returns what an identifier refers to within the package.
func (x *index) definitions(id *ast.Ident) []ast.Expr {
	if isClauseName(id) {
		return nil
	}
	switch n := id.Node.(type) {
	case *ast.Field:
		return []ast.Expr{n.Value}
	case *ast.LetClause:
		return []ast.Expr{n.Expr}
	case *ast.ImportSpec:
		return nil
	case ast.Expr: // the value of a field of the same struct
		return []ast.Expr{n}
	}
	return x.top[id.Name]
}

// pathAt returns the path of the field that a position is in, as far as the file
// shows it.
func pathAt(f *ast.File, pos token.Pos) valuePath {
	var path valuePath
	decls := f.Decls
	for {
		var inner ast.Node
		for _, d := range decls {
			field, ok := d.(*ast.Field)
			if !ok || !contains(field, &ast.Ident{NamePos: pos}) {
				continue
			}
			if label, ok := fieldLabel(field); ok {
				path, inner = append(path, label), field.Value
			}
		}
		decls = nil
		if inner != nil {
			ast.Walk(inner, func(n ast.Node) bool {
				st, ok := n.(*ast.StructLit)
				if ok && decls == nil && contains(st, &ast.Ident{NamePos: pos}) {
					decls = st.Elts
				}
				return decls == nil
			}, nil)
		}
		if decls == nil {
			return path
		}
	}
}

// start places a finding at the start of what a file says.
func (x *index) start(d *diagnostic.Diagnostic, s *source) {
	at := 0
	for _, decl := range s.syntax.Decls {
		if _, comment := decl.(*ast.CommentGroup); !comment && decl.Pos().IsValid() {
			at = min(decl.Pos().Offset(), len(s.content))
			break
		}
	}
	if d.File = s.name; at < len(s.content) {
		d.Range = contentRange(s.content, at, tokenEnd(s.content, at))
	}
}

// place gives a finding its file and range: the value or the name at its path;
// where the files do not show it, its position as CUE knows it, or fallback; or
// that of the nearest value around it.
func (x *index) place(f finding, fallback token.Pos) diagnostic.Diagnostic {
	position := f.position
	if x.sourceOf(position) == nil {
		position = fallback
	}
	d := f.Diagnostic
	d.Path = f.path.String()
	if d.File != "" {
		return d
	}
	if sites := x.sites(f.path); len(sites) > 0 && !(f.exact && x.sourceOf(position) != nil) {
		x.put(&d, f, bestSite(sites), sites)
		return d
	}
	if s := x.sourceOf(position); s != nil {
		if found := siteAt(s.syntax, position); found.value != nil {
			x.put(&d, f, found, []site{found})
		} else {
			at := min(position.Offset(), len(s.content))
			d.File, d.Range = s.name, contentRange(s.content, at, tokenEnd(s.content, at))
		}
		return d
	}
	for p := f.path; len(p) > 0; p = p[:len(p)-1] {
		if sites := x.sites(p); len(sites) > 0 {
			x.at(&d, finding{spot: atLabel}, bestSite(sites))
			return d
		}
	}
	if len(x.sources) > 0 {
		x.start(&d, x.sources[0])
	}
	return d
}

// put places a finding, with its fix, at one of the sites of its value, or at the
// literal that the site refers to.
func (x *index) put(d *diagnostic.Diagnostic, f finding, chosen site, sites []site) {
	lit := x.origin(f, chosen)
	if lit == nil || !aboutText[f.Code] {
		x.at(d, f, chosen)
		d.Fix = x.fix(d, f, chosen, sites)
	}
	if lit == nil {
		return
	}
	here, file, r := givenHere, "", x.nodeRange(lit)
	if id, ok := literalPart(chosen.value).(*ast.Ident); ok && isClauseName(id) {
		here = elementHere
	}
	if src := x.sourceOf(lit.Pos()); src != nil {
		file = src.name
	}
	if aboutText[f.Code] {
		x.at(d, finding{}, chosen)
		here, file, r = usedHere, d.File, d.Range
		given := site{nil, lit}
		x.at(d, f, given)
		if f.repair != nil && f.repair.shared {
			d.Fix = x.fix(d, f, given, []site{given})
		}
	}
	d.Related = append(slices.Clip(d.Related), diagnostic.Related{Message: here, File: file, Range: r})
}

// bestSite picks the site that an author would look at: a literal rather than a
// type such as string, and a later one rather than an earlier.
func bestSite(sites []site) site {
	best := sites[len(sites)-1]
	for _, s := range sites {
		switch s.value.(type) {
		case *ast.BasicLit, *ast.Interpolation:
			best = s
		}
	}
	return best
}

// at sets the place to a site: to its name, its value, or a part of its text.
func (x *index) at(d *diagnostic.Diagnostic, f finding, s site) {
	var node ast.Node = literalPart(s.value)
	if f.spot != atValue && s.field != nil {
		node = s.field.Label
	}
	if call := calledIn(s.value); f.spot == atCall && call != nil {
		node = call
	}
	src := x.sourceOf(node.Pos())
	if src == nil {
		return
	}
	d.File, d.Range = src.name, x.nodeRange(node)
	if f.part != "" && f.spot == atValue {
		x.narrow(d, f, node, src)
	}
}

// calledIn returns the reference to a call's definition in an automation, nil if
// it builds on one by way of something else.
func calledIn(e ast.Expr) ast.Node {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		if call := calledIn(e.X); call != nil {
			return call
		}
		return calledIn(e.Y)
	case *ast.SelectorExpr:
		label, _, _ := ast.LabelName(e.Sel)
		if slices.Contains(slices.Collect(maps.Values(schema.Calls)), label) {
			return e.Sel
		}
	}
	return nil
}

// literalPart returns the literal of an expression such as #Plan & "team", which
// is what an author looks at; else the expression.
func literalPart(e ast.Expr) ast.Expr {
	b, ok := e.(*ast.BinaryExpr)
	if !ok || b.Op != token.AND {
		return e
	}
	for _, side := range []ast.Expr{b.Y, b.X} {
		switch side := literalPart(side).(type) {
		case *ast.BasicLit, *ast.Interpolation:
			return side
		}
	}
	return e
}

// nodeRange is the range of a node in the author's files.
func (x *index) nodeRange(n ast.Node) diagnostic.Range {
	last := n
	if sel, ok := n.(*ast.SelectorExpr); ok {
		last = sel.Sel
	}
	if length, ok := x.written[last]; ok {
		return rangeOf(n.Pos(), last.Pos().Add(length))
	}
	lit, ok := n.(*ast.BasicLit)
	src := x.sourceOf(n.Pos())
	if !ok || src == nil || !strings.Contains(lit.Value, "\n") {
		return rangeOf(n.Pos(), n.End())
	}
	start, end := literalOffsets(src.content, lit)
	return contentRange(src.content, start, end)
}

// literalOffsets returns where a literal stands in a file. CUE drops the carriage
// returns of a text over several lines and counts without them.
func literalOffsets(content []byte, lit *ast.BasicLit) (start, end int) {
	start = min(lit.Pos().Offset(), len(content))
	end = start
	for i := 0; i < len(lit.Value) && end < len(content); end++ {
		if content[end] == lit.Value[i] {
			i++
		} else if content[end] != '\r' {
			break
		}
	}
	return start, end
}

// narrow reduces a range from a text to the part that is wrong, if that can be
// seen in the literal as it is written.
func (x *index) narrow(d *diagnostic.Diagnostic, f finding, node ast.Node, src *source) {
	lit, ok := node.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return
	}
	start, end := literalOffsets(src.content, lit)
	text := string(src.content[start:end])
	value, err := literal.Unquote(lit.Value)
	if err != nil {
		return
	}
	// The part is the n-th of its like in the value, and so it is in the literal.
	n := strings.Count(value[:min(f.offset, len(value))], f.part)
	from := 0
	for ; n >= 0; n-- {
		i := strings.Index(text[from:], f.part)
		if i < 0 {
			return
		}
		from += i
		if n > 0 {
			from += len(f.part)
		}
	}
	d.Range = diagnostic.Range{Start: src.position(start + from), End: src.position(start + from + len(f.part))}
}

// positionAt converts an offset into a line and column.
func positionAt(content []byte, offset int) diagnostic.Position {
	before := string(content[:offset])
	return diagnostic.Position{Line: strings.Count(before, "\n") + 1, Column: offset - strings.LastIndex(before, "\n")}
}

// rangeOf converts CUE's positions, which count as diagnostics do.
func rangeOf(from, to token.Pos) diagnostic.Range {
	r := diagnostic.Range{Start: diagnostic.Position{Line: from.Line(), Column: from.Column()}}
	r.End = r.Start
	if to.IsValid() {
		r.End = diagnostic.Position{Line: to.Line(), Column: to.Column()}
	}
	return r
}

// withinFiles cuts the ranges of findings at the ends of files and lines.
func withinFiles(read func(name string) ([]byte, error), found diagnostic.List) {
	lines := func() func(string) [][]byte {
		var last string
		var known [][]byte
		return func(file string) [][]byte {
			if file != last {
				content, err := read(file)
				if known = nil; err == nil {
					known = bytes.Split(content, []byte("\n"))
				}
				last = file
			}
			return known
		}
	}
	own, others := lines(), lines() // findings are in order of their files
	for i := range found {
		d := &found[i]
		d.Range = within(own(d.File), d.Range)
		for j := range d.Related {
			r := &d.Related[j]
			r.Range = within(others(r.File), r.Range)
		}
	}
}

// within cuts a range at the end of its file and of its lines, where CUE has places
// behind those. A line break is a part of its line. A range that is then empty is that
// of the last character.
func within(lines [][]byte, r diagnostic.Range) diagnostic.Range {
	if r == (diagnostic.Range{}) || len(lines) == 0 {
		return r
	}
	cut := func(p diagnostic.Position) diagnostic.Position {
		last := len(lines[len(lines)-1]) + 1
		switch {
		case p.Line > len(lines), p.Line == len(lines) && p.Column > last:
			return diagnostic.Position{Line: len(lines), Column: last}
		case p.Line < len(lines):
			p.Column = min(p.Column, len(lines[p.Line-1])+2)
		}
		return p
	}
	c := diagnostic.Range{Start: cut(r.Start), End: cut(r.End)}
	if c == r || c.Start.Line < c.End.Line || c.Start.Line == c.End.Line && c.Start.Column < c.End.Column {
		return c
	}
	at := c.End
	switch {
	case at.Column > 1:
		line := lines[at.Line-1]
		_, size := utf8.DecodeLastRune(line[:min(at.Column-1, len(line))])
		return diagnostic.Range{Start: diagnostic.Position{Line: at.Line, Column: at.Column - max(size, 1)}, End: at}
	case at.Line > 1:
		end := len(lines[at.Line-2]) + 1
		return diagnostic.Range{Start: diagnostic.Position{Line: at.Line - 1, Column: end}, End: diagnostic.Position{Line: at.Line - 1, Column: end + 1}}
	}
	return diagnostic.Range{} // the file is empty
}

// sourceOf returns the author's file that a position is in.
func (x *index) sourceOf(p token.Pos) *source {
	if !p.IsValid() {
		return nil
	}
	for _, s := range x.sources {
		if s.syntax.Filename == p.Filename() {
			return s
		}
	}
	if x.elsewhere != nil {
		return x.elsewhere(p.Filename())
	}
	return nil
}

// siteAt returns the field or else the expression that starts at a position.
func siteAt(f *ast.File, p token.Pos) site {
	found := site{nil, exprAt(f, p)}
	ast.Walk(f, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && field.Label.Pos().Offset() == p.Offset() {
			found = site{field, field.Value}
		}
		return found.field == nil
	}, nil)
	return found
}

// exprAt returns the outermost expression that starts at a position.
func exprAt(f *ast.File, p token.Pos) ast.Expr {
	var found ast.Expr
	ast.Walk(f, func(n ast.Node) bool {
		if found != nil {
			return false
		}
		e, ok := n.(ast.Expr)
		if !ok || !e.Pos().IsValid() || e.Pos().Offset() != p.Offset() {
			return true
		}
		// "a: b: 1" holds a struct without braces that starts where b does.
		if st, ok := n.(*ast.StructLit); ok && !st.Lbrace.IsValid() {
			return true
		}
		found = e
		return false
	}, nil)
	return found
}
