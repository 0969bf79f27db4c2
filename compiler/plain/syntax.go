package plain

import (
	"strings"

	"github.com/cockroachdb/apd/v3"
	"golang.org/x/text/unicode/norm"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"
)

// maxDepth is the maximum depth of values that are decided here. A deeper value is a mistake, which CUE and the
// checks explain.
const maxDepth = 48

// A nodeKind is the JSON type of a node.
type nodeKind uint8

const (
	noKind nodeKind = iota // of a node that is only unified with definitions so far
	nullKind
	boolKind
	numberKind
	stringKind
	listKind
	structKind
)

// A node is a value in the author's files: a scalar, a list or a struct, and the definitions that it is unified
// with.
type node struct {
	kind  nodeKind
	isInt bool   // of a number: CUE considers it an int
	bool  bool   // of a boolean
	text  string // of a string, or of a number as CUE exports it
	list  []*node
	// fields are in the order of the file, each label once.
	fields []field
	// labels has the indexes of fields in a struct with many.
	labels map[string]int
	types  []*typ
}

type field struct {
	label string
	value *node
}

// manyFields is the number of fields from which a struct uses a map.
const manyFields = 16

// get returns the value of a field, nil if there is none.
func (n *node) get(label string) *node {
	if n.labels != nil {
		if i, ok := n.labels[label]; ok {
			return n.fields[i].value
		}
		return nil
	}
	for i := range n.fields {
		if n.fields[i].label == label {
			return n.fields[i].value
		}
	}
	return nil
}

// add adds a field that the struct does not have.
func (n *node) add(label string, value *node) {
	n.fields = append(n.fields, field{label, value})
	switch {
	case n.labels != nil:
		n.labels[label] = len(n.fields) - 1
	case len(n.fields) > manyFields:
		n.labels = make(map[string]int, 2*len(n.fields))
		for i, f := range n.fields {
			n.labels[f.label] = i
		}
	}
}

// A pkg collects the declarations in the files of a package.
type pkg struct {
	schema *Schema
	name   string
	// has means that there is a field automations.
	has      bool
	entries  []entry
	declared map[string]bool
	imports  map[*ast.ImportSpec]*imported
}

// An entry is one automation as declared.
type entry struct {
	name  string
	value ast.Expr
	pos   token.Pos
}

// imported is a package of the schema that a file imports.
type imported struct {
	pkg  string
	used bool
}

// file reads the package clause, the imports and the top-level fields of a file.
func (p *pkg) file(f *ast.File) error {
	if len(f.Decls) == 0 {
		return notPlain(token.NoPos, "the file is empty")
	}
	clause, ok := f.Decls[0].(*ast.Package)
	if !ok {
		return notPlain(f.Decls[0].Pos(), "the file does not start with a package clause")
	}
	name := clause.Name.Name
	switch {
	case !plainIdent(name):
		return notPlain(clause.Pos(), "the package's name is not plain")
	case p.name == "":
		p.name = name
	case p.name != name:
		return notPlain(clause.Pos(), "there are several packages")
	}
	paths := map[string]bool{}
	for _, d := range f.Decls[1:] {
		switch d := d.(type) {
		case *ast.CommentGroup:
		case *ast.ImportDecl:
			for _, spec := range d.Specs {
				if err := p.importSpec(spec, paths); err != nil {
					return err
				}
			}
		case *ast.Field:
			label, err := fieldLabel(d)
			if err != nil {
				return err
			}
			if label != "automations" {
				return notPlain(d.Pos(), "there is a top-level field besides automations")
			}
			p.has = true
			if err := p.automations(d.Value); err != nil {
				return err
			}
		default:
			return notPlain(d.Pos(), "there is a declaration that is not a field")
		}
	}
	return nil
}

// importSpec records an import of a schema package. A file may import each once.
func (p *pkg) importSpec(spec *ast.ImportSpec, paths map[string]bool) error {
	if spec.Path == nil || !strings.HasPrefix(spec.Path.Value, `"`) {
		return notPlain(spec.Pos(), "an import path has another form")
	}
	path, err := literal.Unquote(spec.Path.Value)
	if err != nil {
		return notPlain(spec.Pos(), "an import path does not parse")
	}
	name, ok := p.schema.packages[path]
	if !ok {
		return notPlain(spec.Pos(), "an imported package is not in the schema")
	}
	if spec.Name != nil && !plainIdent(spec.Name.Name) || spec.Name != nil && spec.Name.Name == "automations" ||
		paths[path] {
		return notPlain(spec.Pos(), "an import has another form")
	}
	paths[path] = true
	if p.imports == nil {
		p.imports = map[*ast.ImportSpec]*imported{}
	}
	p.imports[spec] = &imported{pkg: name}
	return nil
}

// automations reads the struct under automations.
func (p *pkg) automations(e ast.Expr) error {
	st, ok := e.(*ast.StructLit)
	if !ok {
		return notPlain(e.Pos(), "automations is not a struct literal")
	}
	for _, d := range st.Elts {
		f, ok := d.(*ast.Field)
		if !ok {
			return notPlain(d.Pos(), "there is a declaration under automations that is not a field")
		}
		label, err := fieldLabel(f)
		if err != nil {
			return err
		}
		if p.declared[label] {
			return notPlain(f.Pos(), "an automation is declared twice")
		}
		p.declared[label] = true
		if _, unified := f.Value.(*ast.BinaryExpr); !unified {
			return notPlain(f.Pos(), "an automation is not written as automation.#Track & {...}")
		}
		p.entries = append(p.entries, entry{name: label, value: f.Value, pos: f.Pos()})
	}
	return nil
}

// read makes a node of an expression.
func (p *pkg) read(e ast.Expr) (*node, error) {
	n := &node{}
	if err := p.unify(n, e, 0); err != nil {
		return nil, err
	}
	return n, nil
}

// unify unifies a node with an expression.
func (p *pkg) unify(n *node, e ast.Expr, depth int) error {
	if depth > maxDepth {
		return notPlain(e.Pos(), "it is nested too deep")
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return p.unify(n, e.X, depth+1)
	case *ast.BinaryExpr:
		if e.Op != token.AND {
			return notPlain(e.Pos(), "there is an operator")
		}
		if err := p.unify(n, e.X, depth+1); err != nil {
			return err
		}
		return p.unify(n, e.Y, depth+1)
	case *ast.SelectorExpr:
		return p.reference(n, e)
	case *ast.StructLit:
		if n.kind != noKind && n.kind != structKind {
			return notPlain(e.Pos(), "a struct is unified with another value")
		}
		n.kind = structKind
		if n.fields == nil && len(e.Elts) > 0 {
			n.fields = make([]field, 0, len(e.Elts))
		}
		return p.structure(n, e, depth)
	case *ast.ListLit:
		if n.kind != noKind {
			return notPlain(e.Pos(), "a list is unified with another value")
		}
		n.kind, n.list = listKind, make([]*node, len(e.Elts))
		for i, elem := range e.Elts {
			n.list[i] = &node{}
			if err := p.unify(n.list[i], elem, depth+1); err != nil {
				return err
			}
		}
		return nil
	case *ast.BasicLit:
		return n.scalar(e, false)
	case *ast.UnaryExpr:
		lit, ok := e.X.(*ast.BasicLit)
		if !ok || e.Op != token.SUB && e.Op != token.ADD || lit.Kind != token.INT && lit.Kind != token.FLOAT {
			return notPlain(e.Pos(), "there is an operator")
		}
		return n.scalar(lit, e.Op == token.SUB)
	}
	return notPlain(e.Pos(), "there is an expression that is not data")
}

// structure unifies a struct with the fields of a literal.
func (p *pkg) structure(n *node, lit *ast.StructLit, depth int) error {
	for _, d := range lit.Elts {
		f, ok := d.(*ast.Field)
		if !ok {
			if _, comment := d.(*ast.CommentGroup); comment {
				continue
			}
			return notPlain(d.Pos(), "there is a declaration that is not a field")
		}
		label, err := fieldLabel(f)
		if err != nil {
			return err
		}
		value := n.get(label)
		if value == nil {
			value = &node{}
			n.add(label, value)
		}
		if err := p.unify(value, f.Value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// reference unifies a node with a definition of the schema, or with a placeholder.
func (p *pkg) reference(n *node, e *ast.SelectorExpr) error {
	x, ok1 := e.X.(*ast.Ident)
	sel, ok2 := e.Sel.(*ast.Ident)
	if !ok1 || !ok2 {
		return notPlain(e.Pos(), "there is a reference of another form")
	}
	spec, ok := x.Node.(*ast.ImportSpec)
	if !ok || p.imports[spec] == nil {
		return notPlain(e.Pos(), "there is a reference that does not lead into the schema")
	}
	from := p.imports[spec]
	from.used = true
	name := from.pkg + "." + sel.Name
	if t := p.schema.definition(name); t != nil {
		n.types = append(n.types, t)
		return nil
	}
	text, ok := p.schema.text(name)
	if !ok || n.kind != noKind {
		return notPlain(e.Pos(), "a reference leads to a value that is not plain data in the schema")
	}
	n.kind, n.text = stringKind, text
	return nil
}

// scalar sets a node to a literal, as CUE compiles it.
func (n *node) scalar(lit *ast.BasicLit, negative bool) error {
	if n.kind != noKind {
		return notPlain(lit.Pos(), "a value is unified with another one")
	}
	switch lit.Kind {
	case token.NULL:
		n.kind = nullKind
	case token.TRUE, token.FALSE:
		n.kind, n.bool = boolKind, lit.Kind == token.TRUE
	case token.STRING:
		text, ok := unquote(lit.Value)
		if !ok {
			return notPlain(lit.Pos(), "there is a literal that is not a string")
		}
		n.kind, n.text = stringKind, text
	case token.INT, token.FLOAT:
		var ok bool
		n.kind = numberKind
		if n.text, n.isInt, ok = number(lit.Value, negative); !ok {
			return notPlain(lit.Pos(), "there is a number that does not parse")
		}
	default:
		return notPlain(lit.Pos(), "there is a literal of another kind")
	}
	return nil
}

// number returns a number in CUE's export format.
func number(text string, negative bool) (exported string, isInt, ok bool) {
	if simpleInt(text) {
		if negative && text != "0" {
			text = "-" + text
		}
		return text, true, true
	}
	var info literal.NumInfo
	if err := literal.ParseNum(text, &info); err != nil {
		return "", false, false
	}
	var d apd.Decimal
	if err := info.Decimal(&d); err != nil || d.Form != apd.Finite {
		return "", false, false
	}
	if negative {
		d.Neg(&d)
	}
	return d.Text('G'), info.IsInt(), true
}

// simpleInt reports whether a number is written exactly as it is exported.
func simpleInt(text string) bool {
	if text == "" || len(text) > 18 || text[0] == '0' && len(text) > 1 {
		return false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// unquote returns the content of a string literal. Bytes are not strings.
func unquote(text string) (string, bool) {
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' && !strings.ContainsAny(text[1:n-1], "\"\\\n\r") {
		return text[1 : n-1], true
	}
	info, start, _, err := literal.ParseQuotes(text, text)
	if err != nil || !info.IsDouble() {
		return "", false
	}
	s, err := info.Unquote(text[start:])
	return s, err == nil
}

// fieldLabel returns the literal name of a regular field.
func fieldLabel(f *ast.Field) (string, error) {
	if f.Alias != nil || f.Constraint != token.ILLEGAL || len(f.Attrs) > 0 || f.Value == nil {
		return "", notPlain(f.Pos(), "a field has a constraint, an alias or an attribute")
	}
	switch l := f.Label.(type) {
	case *ast.Ident:
		if plainIdent(l.Name) {
			return l.Name, nil
		}
	case *ast.BasicLit:
		switch l.Kind {
		case token.STRING:
			if label, ok := unquote(l.Value); ok && norm.NFC.IsNormalString(label) {
				return label, nil
			}
		case token.TRUE, token.FALSE, token.NULL, token.FOR, token.IN, token.IF, token.LET:
			return l.Kind.String(), nil
		}
	}
	return "", notPlain(f.Pos(), "a field's name is not plain")
}

// plainIdent reports whether an identifier is ASCII, and neither hidden nor a definition.
func plainIdent(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && (c >= '0' && c <= '9' || c == '_'):
		default:
			return false
		}
	}
	return name != ""
}
