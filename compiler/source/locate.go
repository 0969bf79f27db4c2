package source

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// A File is one of the author's files, as read.
type File struct {
	Name    string // relative to the project
	Syntax  *ast.File
	Content []byte
	lines   []int // their offsets; nil until they are needed
	// bare has the fields whose value is a struct without braces, by the offset of the struct; nil until they
	// are needed.
	bare map[int]*ast.Field
}

// Braceless returns the fields whose value is a struct without braces, by the offset of the struct.
func (s *File) Braceless() map[int]*ast.Field {
	if s.bare == nil {
		s.bare = map[int]*ast.Field{}
		ast.Walk(s.Syntax, func(n ast.Node) bool {
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

// An Index finds the place of a value in the author's files by its path. It follows struct literals,
// conjunctions and references within the package. Values made by a comprehension are found by the position that
// CUE gives.
type Index struct {
	Sources []*File
	Top     map[string][]ast.Expr // definitions and fields of the package
	// Elsewhere reads a file of another package of the project; nil if there is no such file.
	Elsewhere func(filename string) *File
	// ImportedIndex returns the index of an imported package; nil if its files are not in the project.
	ImportedIndex func(*ast.ImportSpec) *Index
	// Data reads a data file of the project, false if there is none of that name; nil for
	// no such files.
	Data    func(name string) ([]byte, bool)
	members map[string]*members
	// Written has the lengths, in bytes, that replaced names have in the file.
	Written map[ast.Node]int
	// references has the nodes that identifiers refer to, and selected the names of selectors; nil until they
	// are needed.
	references map[ast.Node]bool
	selected   map[string]bool
}

// MaxDepth guards against cycles of references.
const MaxDepth = 16

// NewIndex returns the index of the files of a package, or of segue.cue alone.
func NewIndex(sources []*File) *Index {
	x := &Index{Sources: sources, Top: map[string][]ast.Expr{}, Written: map[ast.Node]int{}}
	for _, s := range sources {
		for _, d := range s.Syntax.Decls {
			if f, ok := d.(*ast.Field); ok {
				if label, ok := FieldLabel(f); ok {
					x.Top[label] = append(x.Top[label], f.Value)
				}
			}
		}
	}
	return x
}

// FieldLabel returns a field's name, if it is not computed.
func FieldLabel(f *ast.Field) (string, bool) {
	label, _, err := ast.LabelName(f.Label)
	if lit, ok := f.Label.(*ast.BasicLit); ok && err == nil {
		return label, lit.Kind == token.STRING
	}
	return label, err == nil && label != ""
}

// A Site is a place that a path leads to: a field that sets it, or a list element.
type Site struct {
	Field *ast.Field // nil for a list element
	Value ast.Expr
}

// Sites returns every place that sets the value at a path, the most specific ones last.
func (x *Index) Sites(p finding.Path) []Site {
	var at []Site
	steps := p
	if name, ok := p.Member(); ok {
		at, steps = x.member(p[0].(string), name), p[2:]
	} else if len(p) > 0 {
		at, steps = x.topFields(p[0]), p[1:]
	}
	for _, step := range steps {
		var next []Site
		for _, s := range at {
			next = append(next, x.Descend(s.Value, step, 0)...)
		}
		at = next
	}
	return at
}

// topFields returns the top-level fields of a name.
func (x *Index) topFields(name any) []Site {
	var at []Site
	for _, s := range x.Sources {
		for _, d := range s.Syntax.Decls {
			switch d := d.(type) {
			case *ast.EmbedDecl:
				at = append(at, x.Descend(d.Expr, name, 0)...)
			case *ast.Field:
				if label, ok := FieldLabel(d); ok && label == name {
					at = append(at, Site{d, d.Value})
				}
			}
		}
	}
	return at
}

// Descend finds a field or an element in an expression. References to the
// package's own definitions are followed.
func (x *Index) Descend(e ast.Expr, step any, depth int) []Site {
	if depth > MaxDepth {
		return nil
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return x.Descend(e.X, step, depth)
	case *ast.BinaryExpr:
		if e.Op == token.AND || e.Op == token.OR {
			return append(x.Descend(e.X, step, depth+1), x.Descend(e.Y, step, depth+1)...)
		}
	case *ast.UnaryExpr:
		return x.Descend(e.X, step, depth)
	case *ast.Ident:
		var out []Site
		for _, def := range x.Definitions(e) {
			out = append(out, x.Descend(def, step, depth+1)...)
		}
		return out
	case *ast.SelectorExpr:
		label, _, err := ast.LabelName(e.Sel)
		if err != nil {
			return nil
		}
		var out []Site
		for _, s := range x.Descend(e.X, label, depth+1) {
			out = append(out, x.Descend(s.Value, step, depth+1)...)
		}
		return out
	case *ast.ListLit:
		if i, ok := step.(int); ok && i < len(e.Elts) {
			if _, dots := e.Elts[i].(*ast.Ellipsis); !dots {
				return []Site{{nil, e.Elts[i]}}
			}
		}
	case *ast.StructLit:
		var fields, embedded []Site
		for _, d := range e.Elts {
			switch d := d.(type) {
			case *ast.Field:
				if label, ok := FieldLabel(d); ok && label == step {
					fields = append(fields, Site{d, d.Value})
				}
			case *ast.EmbedDecl:
				embedded = append(embedded, x.Descend(d.Expr, step, depth+1)...)
			}
		}
		return append(embedded, fields...)
	}
	return nil
}

// Definitions returns the values that an identifier refers to within the package.
func (x *Index) Definitions(id *ast.Ident) []ast.Expr {
	if IsClauseName(id) {
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
	return x.Top[id.Name]
}

// PathAt returns the path of the field at a position, as far as the file shows it.
func PathAt(f *ast.File, pos token.Pos) finding.Path {
	var path finding.Path
	decls := f.Decls
	for {
		var inner ast.Node
		for _, d := range decls {
			field, ok := d.(*ast.Field)
			if !ok || !Contains(field, &ast.Ident{NamePos: pos}) {
				continue
			}
			if label, ok := FieldLabel(field); ok {
				path, inner = append(path, label), field.Value
			}
		}
		decls = nil
		if inner != nil {
			ast.Walk(inner, func(n ast.Node) bool {
				st, ok := n.(*ast.StructLit)
				if ok && decls == nil && Contains(st, &ast.Ident{NamePos: pos}) {
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

// start places a finding at the first declaration of a file.
func (x *Index) start(d *diagnostic.Diagnostic, s *File) {
	at := 0
	for _, decl := range s.Syntax.Decls {
		if _, comment := decl.(*ast.CommentGroup); !comment && decl.Pos().IsValid() {
			at = min(decl.Pos().Offset(), len(s.Content))
			break
		}
	}
	if d.File = s.Name; at < len(s.Content) {
		d.Range = ContentRange(s.Content, at, TokenEnd(s.Content, at))
	}
}

// Place gives a finding its file and range: those of the value or the name at its path. If the files do not
// show it, Place uses the position that CUE gives, or fallback, or else the nearest value around it.
func (x *Index) Place(f finding.Finding, fallback token.Pos) diagnostic.Diagnostic {
	position := f.Position
	if x.SourceOf(position) == nil {
		position = fallback
	}
	d := f.Diagnostic
	d.Path = f.At.String()
	if d.File != "" {
		return d
	}
	if x.inData(&d, f) {
		return d
	}
	if sites := x.Sites(f.At); len(sites) > 0 && !(f.Exact && x.SourceOf(position) != nil) {
		x.put(&d, f, bestSite(sites), sites)
		return d
	}
	if s := x.SourceOf(position); s != nil {
		if found := SiteAt(s.Syntax, position); found.Value != nil {
			x.put(&d, f, found, []Site{found})
		} else {
			at := min(position.Offset(), len(s.Content))
			d.File, d.Range = s.Name, ContentRange(s.Content, at, TokenEnd(s.Content, at))
		}
		return d
	}
	for p := f.At; len(p) > 0; p = p[:len(p)-1] {
		if sites := x.Sites(p); len(sites) > 0 {
			x.PlaceAt(&d, finding.Finding{Spot: finding.AtLabel}, bestSite(sites))
			return d
		}
	}
	if len(x.Sources) > 0 {
		x.start(&d, x.Sources[0])
	}
	return d
}

// PlaceAll places findings about an automation. The key is "" for findings about something else.
func (x *Index) PlaceAll(found []finding.Finding, key string, fallback token.Pos) diagnostic.List {
	out := make(diagnostic.List, len(found))
	for i, f := range found {
		f.Key = key
		out[i] = x.Place(f, fallback)
	}
	return out
}

// put places a finding, with its fix, at one of the sites of its value, or at the literal that the site refers
// to.
func (x *Index) put(d *diagnostic.Diagnostic, f finding.Finding, chosen Site, sites []Site) {
	lit := x.origin(f, chosen)
	if lit == nil || !finding.AboutText[f.Code] {
		x.PlaceAt(d, f, chosen)
		d.Fix = x.Fix(d, f, chosen, sites)
	}
	if lit == nil {
		return
	}
	here, file, r := finding.GivenHere, "", x.NodeRange(lit)
	if id, ok := literalPart(chosen.Value).(*ast.Ident); ok && IsClauseName(id) {
		here = finding.ElementHere
	}
	if src := x.SourceOf(lit.Pos()); src != nil {
		file = src.Name
	}
	if finding.AboutText[f.Code] {
		x.PlaceAt(d, finding.Finding{}, chosen)
		here, file, r = finding.UsedHere, d.File, d.Range
		given := Site{nil, lit}
		x.PlaceAt(d, f, given)
		if f.Repair != nil && f.Repair.Shared {
			d.Fix = x.Fix(d, f, given, []Site{given})
		}
	}
	d.Related = append(slices.Clip(d.Related), diagnostic.Related{Message: here, File: file, Range: r})
}

// bestSite picks the most helpful site for an author: a literal rather than a type such as string, and a later
// one rather than an earlier one.
func bestSite(sites []Site) Site {
	best := sites[len(sites)-1]
	for _, s := range sites {
		switch s.Value.(type) {
		case *ast.BasicLit, *ast.Interpolation:
			best = s
		}
	}
	return best
}

// PlaceAt places a finding at the name or the value of a site, or at a part of its string.
func (x *Index) PlaceAt(d *diagnostic.Diagnostic, f finding.Finding, s Site) {
	var node ast.Node = literalPart(s.Value)
	if f.Spot != finding.AtValue && s.Field != nil {
		node = s.Field.Label
	}
	if call := calledIn(s.Value); f.Spot == finding.AtCall && call != nil {
		node = call
	}
	src := x.SourceOf(node.Pos())
	if src == nil {
		return
	}
	d.File, d.Range = src.Name, x.NodeRange(node)
	if f.Part != "" && f.Spot == finding.AtValue {
		x.narrow(d, f, node, src)
	}
}

// calledIn returns the reference to a call's definition in an automation. It returns nil if the automation
// refers to it only indirectly.
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

// literalPart returns the literal in an expression such as #Plan & "team", which is the interesting part for an
// author. Without a literal it returns the expression.
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

// NodeRange returns the range of a node in the author's files.
func (x *Index) NodeRange(n ast.Node) diagnostic.Range {
	last := n
	if sel, ok := n.(*ast.SelectorExpr); ok {
		last = sel.Sel
	}
	if length, ok := x.Written[last]; ok {
		return RangeOf(n.Pos(), last.Pos().Add(length))
	}
	lit, ok := n.(*ast.BasicLit)
	src := x.SourceOf(n.Pos())
	if !ok || src == nil || !strings.Contains(lit.Value, "\n") {
		return RangeOf(n.Pos(), n.End())
	}
	start, end := literalOffsets(src.Content, lit)
	return ContentRange(src.Content, start, end)
}

// literalOffsets returns the offsets of a literal in a file. CUE drops the carriage returns of a multi-line
// string and counts without them.
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

// narrow reduces the range of a string to the part that is wrong, if the literal contains that part as is.
func (x *Index) narrow(d *diagnostic.Diagnostic, f finding.Finding, node ast.Node, src *File) {
	lit, ok := node.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return
	}
	start, end := literalOffsets(src.Content, lit)
	text := string(src.Content[start:end])
	value, err := literal.Unquote(lit.Value)
	if err != nil {
		return
	}
	// The part has the same ordinal among its like in the value and in the literal.
	n := strings.Count(value[:min(f.Offset, len(value))], f.Part)
	from := 0
	for ; n >= 0; n-- {
		i := strings.Index(text[from:], f.Part)
		if i < 0 {
			return
		}
		from += i
		if n > 0 {
			from += len(f.Part)
		}
	}
	d.Range = diagnostic.Range{Start: src.position(start + from), End: src.position(start + from + len(f.Part))}
}

// positionAt converts an offset into a line and column.
func positionAt(content []byte, offset int) diagnostic.Position {
	before := string(content[:offset])
	return diagnostic.Position{Line: strings.Count(before, "\n") + 1, Column: offset - strings.LastIndex(before, "\n")}
}

// WithinFiles cuts the ranges of findings at the ends of their files and lines.
func WithinFiles(read func(name string) ([]byte, error), found diagnostic.List) {
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
	own, others := lines(), lines() // findings are sorted by file
	for i := range found {
		d := &found[i]
		d.Range = Within(own(d.File), d.Range)
		for j := range d.Related {
			r := &d.Related[j]
			r.Range = Within(others(r.File), r.Range)
		}
	}
}

// Within cuts a range at the end of its file and of its lines, because CUE has positions beyond those. A line
// break is a part of its line. If the range is then empty, the last character takes its place.
func Within(lines [][]byte, r diagnostic.Range) diagnostic.Range {
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
		return diagnostic.Range{Start: diagnostic.Position{Line: at.Line - 1, Column: end},
			End: diagnostic.Position{Line: at.Line - 1, Column: end + 1}}
	}
	return diagnostic.Range{} // the file is empty
}

// SourceOf returns the author's file that contains a position.
func (x *Index) SourceOf(p token.Pos) *File {
	if !p.IsValid() {
		return nil
	}
	for _, s := range x.Sources {
		if s.Syntax.Filename == p.Filename() {
			return s
		}
	}
	if x.Elsewhere != nil {
		return x.Elsewhere(p.Filename())
	}
	return nil
}

// SiteAt returns the field, or else the expression, that starts at a position.
func SiteAt(f *ast.File, p token.Pos) Site {
	found := Site{nil, ExprAt(f, p)}
	ast.Walk(f, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && field.Label.Pos().Offset() == p.Offset() {
			found = Site{field, field.Value}
		}
		return found.Field == nil
	}, nil)
	return found
}

// endsBefore reports whether a node ends before a position of its file.
func endsBefore(n ast.Node, p token.Pos) bool {
	end := n.End()
	return end.IsValid() && end.Offset() < p.Offset()
}

// ExprAt returns the outermost expression that starts at a position.
func ExprAt(f *ast.File, p token.Pos) ast.Expr {
	var found ast.Expr
	ast.Walk(f, func(n ast.Node) bool {
		if found != nil {
			return false
		}
		if field, ok := n.(*ast.Field); ok && endsBefore(field, p) {
			return false // without this, each look-up would walk the whole file
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
