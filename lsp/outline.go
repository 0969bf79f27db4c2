package lsp

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
)

// An outline is the fields of a CUE file with their places. It is made from any text, also from one that does not
// parse because somebody is typing.
type outline struct {
	root *node
	// imports has the import paths by the names that they have in the file.
	imports  map[string]string
	pkg      string
	comments [][2]int
	strings  []*stringLiteral
}

// A node is a field, or an element of a list.
type node struct {
	label              string
	labelFrom, labelTo int
	// from and to enclose the field; the value begins at value.
	from, value, to int
	// element means that it is an element of a list.
	element bool
	// refs has the names in the value, such as "automation.#Group".
	refs []string
	// text is the value if it is a string, nil otherwise.
	text *stringLiteral
	// blocks are the ranges within the braces and brackets of the value.
	blocks   [][2]int
	children []*node
}

// A stringLiteral is a string with its quotes.
type stringLiteral struct {
	from, to int // with the quotes and number signs
	// innerFrom and innerTo enclose the characters.
	innerFrom, innerTo int
	value              string
	label              bool
}

// child returns the field with a label, nil if there is none.
func (n *node) child(labels ...string) *node {
	for _, label := range labels {
		if n == nil {
			return nil
		}
		i := slices.IndexFunc(n.children, func(c *node) bool { return !c.element && c.label == label })
		if i < 0 {
			return nil
		}
		n = n.children[i]
	}
	return n
}

// string returns the value of a field that is a string, "" for others.
func (n *node) string() string {
	if n == nil || n.text == nil {
		return ""
	}
	return n.text.value
}

// outlineOf returns the outline of a text.
func outlineOf(text string) *outline {
	p := &outliner{lexer: lexer{text: text}, out: &outline{imports: map[string]string{}}}
	p.step()
	p.out.root = &node{to: len(text), blocks: [][2]int{{0, len(text)}}}
	for p.tok.kind != 0 {
		p.fields(p.out.root)
		if p.tok.kind != 0 {
			p.step() // a bracket too many
		}
	}
	p.out.comments = p.comments
	return p.out
}

type outliner struct {
	lexer
	tok  token
	out  *outline
	deep int
}

// mostDepth is the depth from which fields are passed over.
const mostDepth = 200

func (p *outliner) step() { p.tok = p.next() }

func (p *outliner) source(t token) string { return p.text[t.from:t.to] }

// ahead returns the token after the current one.
func (p *outliner) ahead() token {
	l := p.lexer
	return l.next()
}

// fields reads the fields of a struct up to its brace or the end.
func (p *outliner) fields(of *node) {
	for {
		switch t := p.tok; {
		case t.kind == 0, t.kind == '}', t.kind == ']', t.kind == ')':
			return
		case t.kind == 'a' && p.source(t) == "import" && p.ahead().kind != ':' && of == p.out.root:
			p.step()
			p.readImports()
		case t.kind == 'a' && p.source(t) == "package" && p.ahead().kind == 'a' && of == p.out.root:
			p.step()
			p.out.pkg = p.source(p.tok)
			p.step()
		case p.isLabel():
			p.field(of)
		case t.kind == '@':
			p.attribute()
		default:
			p.value(of, true)
		}
	}
}

// isLabel reports whether a field begins here.
func (p *outliner) isLabel() bool {
	switch p.tok.kind {
	case 'a', '"':
		next := p.ahead()
		if next.kind == '=' { // an alias, and not ==
			return next.to >= len(p.text) || p.text[next.to] != '=' && p.source(p.tok) != "let"
		}
		if next.kind == '?' || next.kind == '!' {
			rest := strings.TrimLeft(p.text[next.to:], " \t")
			return strings.HasPrefix(rest, ":")
		}
		return next.kind == ':' && !next.newline
	case '[', '(':
		l := p.lexer
		open, depth := p.tok.kind, 1
		for closing := map[rune]rune{'[': ']', '(': ')'}[open]; depth > 0; {
			switch t := l.next(); {
			case t.kind == 0, t.kind == '{', t.kind == '}':
				return false
			case t.kind == open:
				depth++
			case t.kind == closing:
				depth--
			}
		}
		return l.next().kind == ':'
	}
	return false
}

// field reads a field and its value. [outliner.isLabel] says that there is one.
func (p *outliner) field(of *node) {
	n := &node{from: p.tok.from}
	for p.ahead().kind == '=' {
		p.step()
		p.step()
		if !p.isLabel() {
			return
		}
	}
	n.labelFrom, n.labelTo = p.tok.from, p.tok.to
	switch p.tok.kind {
	case 'a':
		n.label = p.source(p.tok)
	case '"':
		s := p.literal()
		s.label = true
		n.label = s.value
	default: // a pattern, or a computed label
		open := p.tok.kind
		for depth := 0; ; p.step() {
			if p.tok.kind == open {
				depth++
			} else if p.tok.kind == map[rune]rune{'[': ']', '(': ')'}[open] {
				if depth--; depth == 0 {
					break
				}
			}
		}
		n.labelTo = p.tok.to
		n.label = p.text[n.labelFrom:n.labelTo]
	}
	for p.step(); p.tok.kind != ':' && p.tok.kind != 0; {
		p.step()
	}
	n.value = p.tok.to
	n.to = p.tok.to
	p.step()
	if p.tok.newline || p.tok.kind == 0 || p.tok.kind == '}' || p.tok.kind == ',' {
		n.to = min(lineEnd(p.text, n.value), p.tok.from) // nothing yet
	}
	of.children = append(of.children, n)
	if !p.tok.newline {
		p.value(n, false)
	}
}

// literal returns the current token, a string.
func (p *outliner) literal() *stringLiteral {
	text := p.source(p.tok)
	hashes, quote := opening(text)
	s := &stringLiteral{from: p.tok.from, to: p.tok.to, innerFrom: p.tok.from + len(hashes+quote), innerTo: p.tok.to}
	if len(text) >= 2*len(hashes+quote) && strings.HasSuffix(text, quote+hashes) {
		s.innerTo -= len(hashes + quote)
	}
	var err error
	if s.value, err = literal.Unquote(text); err != nil {
		s.value = p.text[s.innerFrom:s.innerTo] // with an interpolation, or without an end
	}
	p.out.strings = append(p.out.strings, s)
	return s
}

// value reads the value of a field, or an embedded value of a struct, up to the end of the field.
func (p *outliner) value(n *node, embedded bool) {
	if p.deep++; p.deep > mostDepth {
		p.tok = token{from: len(p.text), to: len(p.text)}
		p.at = len(p.text)
	}
	defer func() { p.deep-- }()
	operand := true // whether an operand is expected, so that a line's end is not the end of the value
	for first := true; ; first = false {
		t := p.tok
		switch {
		case t.kind == 0, t.kind == '}', t.kind == ']', t.kind == ')':
			return
		case t.kind == ',':
			p.step()
			return
		case t.newline && !operand && !first:
			return
		case !embedded && first && p.isLabel():
			p.field(n)
			n.to = n.children[len(n.children)-1].to
			return
		}
		operand = strings.ContainsRune("&|+-*/=!<>~", t.kind)
		switch t.kind {
		case '{', '[', '(':
			p.block(n, t.kind)
		case '"':
			s := p.literal()
			if first && !embedded {
				n.text = s
			} else if !embedded {
				n.text = nil
			}
			p.step()
		case 'a':
			name := p.source(t)
			n.refs = append(n.refs, name)
			// The clauses of a comprehension go on with the next token.
			operand = embedded && slices.Contains([]string{"if", "for", "in", "let"}, name)
			p.step()
		case '@':
			p.attribute()
		default:
			p.step()
		}
		if !embedded || t.kind == '{' || t.kind == '[' {
			n.to = max(n.to, t.to, p.lastTo(n))
		}
	}
}

// lastTo returns the end of the last block of a node.
func (p *outliner) lastTo(n *node) int {
	if len(n.blocks) == 0 {
		return 0
	}
	return min(n.blocks[len(n.blocks)-1][1]+1, len(p.text))
}

// block reads what is within brackets.
func (p *outliner) block(n *node, open rune) {
	i := len(n.blocks)
	n.blocks = append(n.blocks, [2]int{p.tok.to, len(p.text)})
	p.step()
	if open == '[' {
		p.elements(n)
	} else {
		p.fields(n)
	}
	n.blocks[i][1] = p.tok.from
	if p.tok.kind != 0 {
		p.step()
	}
}

// elements reads the elements of a list.
func (p *outliner) elements(of *node) {
	for p.tok.kind != 0 && p.tok.kind != ']' && p.tok.kind != '}' && p.tok.kind != ')' {
		at := p.tok.from
		n := &node{element: true, from: at, value: at, to: at}
		p.value(n, false)
		if p.tok.from == at {
			p.step() // nothing was read
		}
		of.children = append(of.children, n)
	}
}

// attribute passes over an attribute, such as @tag(name).
func (p *outliner) attribute() {
	p.step()
	if p.tok.kind == 'a' {
		p.step()
	}
	if p.tok.kind != '(' {
		return
	}
	for depth := 0; p.tok.kind != 0; {
		switch p.tok.kind {
		case '(':
			depth++
		case ')':
			depth--
		}
		p.step()
		if depth == 0 {
			return
		}
	}
}

// readImports reads the imports after the word import.
func (p *outliner) readImports() {
	grouped := p.tok.kind == '('
	if grouped {
		p.step()
	}
	for {
		name := ""
		if p.tok.kind == 'a' && p.ahead().kind == '"' {
			name = p.source(p.tok)
			p.step()
		}
		if p.tok.kind != '"' {
			break
		}
		if importPath, err := strconv.Unquote(p.source(p.tok)); err == nil {
			parsed := ast.ParseImportPath(importPath)
			if name == "" {
				if name = parsed.Qualifier; name == "" {
					name = path.Base(parsed.Path)
				}
			}
			p.out.imports[name] = parsed.Unqualified().String()
		}
		p.step()
		if p.tok.kind == ',' {
			p.step()
		}
		if !grouped {
			return
		}
	}
	if grouped && p.tok.kind == ')' {
		p.step()
	}
}

// chain returns the fields around an offset, from the outermost on.
func (o *outline) chain(offset int) []*node {
	var out []*node
	for n := o.root; ; {
		i := slices.IndexFunc(n.children, func(c *node) bool { return c.from <= offset && offset <= c.to })
		if i < 0 {
			return out
		}
		n = n.children[i]
		out = append(out, n)
	}
}

// within reports whether an offset is within the braces or brackets of the value.
func (n *node) within(offset int) bool {
	return slices.ContainsFunc(n.blocks, func(b [2]int) bool { return b[0] <= offset && offset <= b[1] })
}

// literalAt returns the string around an offset, nil if there is none.
func (o *outline) literalAt(offset int) *stringLiteral {
	for _, s := range o.strings {
		if s.innerFrom <= offset && offset <= s.innerTo {
			return s
		}
	}
	return nil
}

// commented reports whether an offset is within a comment.
func (o *outline) commented(offset int) bool {
	return slices.ContainsFunc(o.comments, func(c [2]int) bool { return c[0] < offset && offset <= c[1] })
}
