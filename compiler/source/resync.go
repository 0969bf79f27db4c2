package source

import (
	"bytes"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"
)

// A Span is a part of a file, by offsets.
type Span struct{ From, To int }

// WithoutMistake takes the smallest part with a mistake out of a file so that the parser reports another error,
// or none. The region is zero if there is no such part.
func WithoutMistake(
	filename string, content []byte, m Complaint,
) (without []byte, region Span, syntax *ast.File, err error) {
	for _, cut := range m.parts() {
		without = slices.Clone(content)
		for _, r := range cut.blank {
			overwrite(without[r.From:r.To])
		}
		syntax, err = parser.ParseFile(filename, without, parser.ParseComments)
		if err == nil {
			syntax.Filename = filename
			if syntax.PackageName() == "" && bytes.Contains(content[cut.From:cut.To], []byte("package")) {
				break // the package clause itself is wrong
			}
			return without, cut.Span, syntax, nil
		}
		if next := ComplaintOf(without, err); !m.same(next) && !next.follows(cut.claimed) {
			return without, cut.Span, nil, err
		}
	}
	return nil, Span{}, nil, nil
}

// same reports whether two complaints are the same.
func (m Complaint) same(o Complaint) bool { return m.From == o.From && m.Message == o.Message }

// follows reports whether a complaint follows from taking a part out of the file: it is in that part, or misses a
// value there.
func (m Complaint) follows(cut Span) bool {
	if m.From >= cut.From && m.From < cut.To {
		return true
	}
	between := m.content[min(cut.To, m.From):m.From]
	return m.From >= cut.To && len(bytes.TrimSpace(between)) == 0 && (m.From == len(m.content) || m.operand)
}

// overwrite replaces a part of a file with spaces and keeps its line breaks.
func overwrite(content []byte) {
	for i, b := range content {
		if b != '\n' && b != '\r' {
			content[i] = ' '
		}
	}
}

// A cut takes out a part of a file. It may overwrite less than the whole part. Further errors in the claimed
// part have the same cause.
type cut struct {
	Span
	claimed Span
	blank   []Span
}

// parts lists the parts that may be taken out to resolve a complaint, the smallest first: its line, the
// indented blocks around the line, and the block at the left margin.
func (m Complaint) parts() []cut {
	if c, ok := conflictAround(m.content, m.From); ok {
		return []cut{{c.Span, c.Span, []Span{{c.From, c.other}, {c.end, c.To}}}}
	}
	if m.block != (Span{}) {
		return []cut{{m.block, m.block, []Span{m.block}}}
	}
	if m.lost {
		return nil
	}
	var out []cut
	if m.spare {
		r := Span{m.From, m.To}
		out = append(out, cut{r, r, []Span{r}})
	}
	lines := lineSpans(m.content)
	at, _ := slices.BinarySearchFunc(lines, m.From, func(l Span, offset int) int {
		if l.To <= offset {
			return -1
		}
		return 1
	})
	if at = min(at, len(lines)-1); at < 0 {
		return out
	}
	add := func(r, claimed Span, anyway bool) {
		if anyway || balanced(m.content[r.From:r.To]) {
			out = append(out, cut{r, claimed, []Span{r}})
		}
	}
	for first := true; ; first = false {
		indent := indentation(m.content, lines[at])
		end := at + 1
		quotes := bytes.Count(m.content[lines[at].From:lines[at].To], []byte(`"""`))
		for text := quotes%2 == 1; text && end < len(lines); end++ {
			text = !bytes.Contains(m.content[lines[end].From:lines[end].To], []byte(`"""`))
			if text && end == len(lines)-1 {
				return nil // the string extends to the end of the file
			}
		}
		whole := Span{lines[at].From, lines[end-1].To}
		for end < len(lines) && (isBlank(m.content, lines[end]) || indentation(m.content, lines[end]) > indent) {
			end++
		}
		if end < len(lines) && indentation(m.content, lines[end]) == indent && closes(m.content, lines[end]) {
			end++
		}
		block := Span{lines[at].From, lines[end-1].To}
		if first && whole != block {
			add(whole, block, false)
		}
		margin := indent == 0 && !closes(m.content, lines[at])
		add(block, block, margin)
		if margin {
			return out
		}
		up := at - 1
		for up >= 0 && (isBlank(m.content, lines[up]) || indentation(m.content, lines[up]) > indent ||
			indentation(m.content, lines[up]) == indent && !(indent == 0 && !closes(m.content, lines[up]))) {
			up--
		}
		if up < 0 {
			return out
		}
		at = up
	}
}

// lineSpans lists the lines of a file, with their ends.
func lineSpans(content []byte) []Span {
	var out []Span
	from := 0
	for line := range bytes.Lines(content) {
		out = append(out, Span{from, from + len(line)})
		from += len(line)
	}
	return out
}

func isBlank(content []byte, line Span) bool {
	return len(bytes.TrimSpace(content[line.From:line.To])) == 0
}

// indentation counts the spaces and tabs at the start of a line.
func indentation(content []byte, line Span) int {
	text := content[line.From:line.To]
	return len(text) - len(bytes.TrimLeft(text, " \t"))
}

// closes reports whether a line starts with a closing bracket.
func closes(content []byte, line Span) bool {
	text := bytes.TrimLeft(content[line.From:line.To], " \t")
	return len(text) > 0 && strings.IndexByte("}])", text[0]) >= 0
}

// balanced reports whether every bracket of a part is closed in it. Brackets in an unclosed string count,
// because they may belong outside it.
func balanced(part []byte) bool {
	depth, ok := 0, true
	if !tokenized(part) {
		for _, pair := range []string{"{}", "[]", "()"} {
			ok = ok && bytes.Count(part, []byte(pair[:1])) == bytes.Count(part, []byte(pair[1:]))
		}
		return ok
	}
	scanTokens(part, func(_ int, tok token.Token, _ string) {
		switch tok {
		case token.LBRACE, token.LBRACK, token.LPAREN:
			depth++
		case token.RBRACE, token.RBRACK, token.RPAREN:
			depth--
			ok = ok && depth >= 0
		}
	})
	return ok && depth == 0
}

// tokenized reports whether a part can be split into tokens.
func tokenized(content []byte) bool {
	var s scanner.Scanner
	s.Init(token.NewFile("", -1, len(content)), content, func(token.Pos, string, []any) {}, 0)
	for {
		if _, tok, _ := s.Scan(); tok == token.EOF || tok == token.INTERPOLATION {
			return s.ErrorCount == 0
		}
	}
}

// scanTokens calls a function for each token, up to an interpolation: only the parser can continue from there.
func scanTokens(content []byte, each func(offset int, tok token.Token, text string)) {
	var s scanner.Scanner
	s.Init(token.NewFile("", -1, len(content)), content, func(token.Pos, string, []any) {}, 0)
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return
		}
		each(pos.Offset(), tok, text)
		if tok == token.INTERPOLATION {
			return
		}
	}
}

// A conflict is an unresolved merge conflict in a file.
type conflict struct {
	Span           // from the first marker to the end of the last
	other, end int // the starts of the second side and of the last marker
}

// conflictAround returns the merge conflict at an offset.
func conflictAround(content []byte, offset int) (c conflict, ok bool) {
	started := false
	for _, line := range lineSpans(content) {
		text := content[line.From:line.To]
		switch {
		case bytes.HasPrefix(text, []byte("<<<<<<<")):
			c, started = conflict{Span: Span{From: line.From}}, true
		case started && bytes.HasPrefix(text, []byte("=======")):
			c.other = line.To
		case started && c.other > 0 && bytes.HasPrefix(text, []byte(">>>>>>>")):
			c.end, c.To = line.From, line.To
			if c.From <= offset && offset <= c.To {
				return c, true
			}
			started = false
		}
	}
	return conflict{}, false
}
