package compiler

import (
	"bytes"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/diagnostic"
)

// maxSyntaxErrors is how many mistakes in the syntax of a file are told at once.
const maxSyntaxErrors = 20

// maxResync is the size of the largest file that is parsed again, in bytes.
const maxResync = 1 << 20

// syntaxErrors reports why a file does not parse. What the parser says after its
// first complaint mostly follows from that one: so the part of the file that it
// is about is taken out, and the file parsed again, until it does. It returns what
// is left then, nil if the file can't be read like that.
func (p *opened) syntaxErrors(s *source, broken error) *ast.File {
	content, lastLine, lastHelp := slices.Clone(s.content), -1, ""
	for range maxSyntaxErrors {
		m := complaintOf(content, broken)
		d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "syntax-error", File: s.name,
			Message: m.message, Help: m.help, Suggestion: m.suggestion, Range: contentRange(s.content, m.from, m.to)}
		// Lines that follow each other with one remedy are one mistake.
		if d.Help != lastHelp || d.Range.Start.Line > lastLine+1 {
			p.found = append(p.found, d)
		}
		lastLine, lastHelp = d.Range.Start.Line, d.Help
		if len(content) > maxResync {
			return nil
		}
		without, region, syntax, next := withoutMistake(s.syntax.Filename, content, m)
		if region == (span{}) {
			return nil
		}
		p.torn = append(p.torn, tear{file: s.syntax.Filename, span: region, text: string(s.content[region.from:region.to])})
		if next == nil {
			p.markTorn(syntax)
			return syntax
		}
		content, broken = without, next
	}
	return nil
}

// A tear is a part of a file that was taken out because it does not parse.
type tear struct {
	file string
	span
	text string
}

// A span is a part of a file, by offsets.
type span struct{ from, to int }

// markTorn marks the structs out of which something was taken.
func (p *opened) markTorn(f *ast.File) {
	ast.Walk(f, func(n ast.Node) bool {
		if st, ok := n.(*ast.StructLit); ok {
			for _, t := range p.torn {
				if t.file == f.Filename && st.Pos().Offset() <= t.from && t.to <= st.End().Offset() {
					p.holes[st] = true
				}
			}
		}
		return true
	}, nil)
}

// tornWord reports whether a name stands in what was taken out of the files.
func (p *opened) tornWord(name string) bool {
	return slices.ContainsFunc(p.torn, func(t tear) bool { return strings.Contains(t.text, name) })
}

// withoutMistake takes out of a file the smallest part with a mistake in it
// that leaves the parser something else to say, or nothing. The region is zero if
// there is no such cut.
func withoutMistake(filename string, content []byte, m complaint) (without []byte, region span, syntax *ast.File, err error) {
	for _, cut := range m.parts() {
		without = slices.Clone(content)
		for _, r := range cut.blank {
			blank(without[r.from:r.to])
		}
		syntax, err = parser.ParseFile(filename, without, parser.ParseComments)
		if err == nil {
			syntax.Filename = filename
			if syntax.PackageName() == "" && bytes.Contains(content[cut.from:cut.to], []byte("package")) {
				break // it is the clause that is wrong
			}
			return without, cut.span, syntax, nil
		}
		if next := complaintOf(without, err); !m.same(next) && !next.follows(cut.claimed) {
			return without, cut.span, nil, err
		}
	}
	return nil, span{}, nil, nil
}

// same reports whether two complaints are one.
func (m complaint) same(o complaint) bool { return m.from == o.from && m.message == o.message }

// follows reports whether a complaint is about what was left where a part of the
// file was taken out: it is in that part, or misses a value there.
func (m complaint) follows(cut span) bool {
	if m.from >= cut.from && m.from < cut.to {
		return true
	}
	between := m.content[min(cut.to, m.from):m.from]
	return m.from >= cut.to && len(bytes.TrimSpace(between)) == 0 && (m.from == len(m.content) || m.operand)
}

// blank overwrites a part of a file, but leaves its lines.
func blank(content []byte) {
	for i, b := range content {
		if b != '\n' && b != '\r' {
			content[i] = ' '
		}
	}
}

// A cut takes out a part of a file: what is blank then may be less than all of it.
// What is wrong in the part that it claims has the same cause.
type cut struct {
	span
	claimed span
	blank   []span
}

// parts lists what can be taken out to be rid of a complaint, the smallest part
// first: its line, the blocks around the line as they are indented, and what
// stands at the left margin.
func (m complaint) parts() []cut {
	if c, ok := conflictAround(m.content, m.from); ok {
		return []cut{{c.span, c.span, []span{{c.from, c.other}, {c.end, c.to}}}}
	}
	if m.block != (span{}) {
		return []cut{{m.block, m.block, []span{m.block}}}
	}
	if m.lost {
		return nil
	}
	var out []cut
	if m.spare {
		r := span{m.from, m.to}
		out = append(out, cut{r, r, []span{r}})
	}
	lines := lineSpans(m.content)
	at, _ := slices.BinarySearchFunc(lines, m.from, func(l span, offset int) int {
		if l.to <= offset {
			return -1
		}
		return 1
	})
	if at = min(at, len(lines)-1); at < 0 {
		return out
	}
	add := func(r, claimed span, anyway bool) {
		if anyway || balanced(m.content[r.from:r.to]) {
			out = append(out, cut{r, claimed, []span{r}})
		}
	}
	for first := true; ; first = false {
		indent := indentation(m.content, lines[at])
		end := at + 1
		for text := bytes.Count(m.content[lines[at].from:lines[at].to], []byte(`"""`))%2 == 1; text && end < len(lines); end++ {
			text = !bytes.Contains(m.content[lines[end].from:lines[end].to], []byte(`"""`))
			if text && end == len(lines)-1 {
				return nil // it goes on to the end of the file
			}
		}
		whole := span{lines[at].from, lines[end-1].to}
		for end < len(lines) && (isBlank(m.content, lines[end]) || indentation(m.content, lines[end]) > indent) {
			end++
		}
		if end < len(lines) && indentation(m.content, lines[end]) == indent && closes(m.content, lines[end]) {
			end++
		}
		block := span{lines[at].from, lines[end-1].to}
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
func lineSpans(content []byte) []span {
	var out []span
	from := 0
	for line := range bytes.Lines(content) {
		out = append(out, span{from, from + len(line)})
		from += len(line)
	}
	return out
}

func isBlank(content []byte, line span) bool {
	return len(bytes.TrimSpace(content[line.from:line.to])) == 0
}

// indentation counts the blanks and tabs at the start of a line.
func indentation(content []byte, line span) int {
	text := content[line.from:line.to]
	return len(text) - len(bytes.TrimLeft(text, " \t"))
}

// closes reports whether a line starts with a closing bracket.
func closes(content []byte, line span) bool {
	text := bytes.TrimLeft(content[line.from:line.to], " \t")
	return len(text) > 0 && strings.IndexByte("}])", text[0]) >= 0
}

// balanced reports whether every bracket of a part is closed in it. Those in a
// text that is not closed count: it may have swallowed them.
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

// tokenized reports whether a text can be taken apart into tokens.
func tokenized(content []byte) bool {
	var s scanner.Scanner
	s.Init(token.NewFile("", -1, len(content)), content, func(token.Pos, string, []any) {}, 0)
	for {
		if _, tok, _ := s.Scan(); tok == token.EOF || tok == token.INTERPOLATION {
			return s.ErrorCount == 0
		}
	}
}

// scanTokens calls a function for each token of a text, up to an interpolation,
// which only the parser can go on from.
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

// A conflict is what a merge leaves in a file that has been changed on both sides.
type conflict struct {
	span           // from the first marker to the end of the last
	other, end int // where the second side starts, and the last marker
}

// conflictAround returns the conflict that an offset is in, or behind the start
// of which there is nothing else.
func conflictAround(content []byte, offset int) (c conflict, ok bool) {
	started := false
	for _, line := range lineSpans(content) {
		text := content[line.from:line.to]
		switch {
		case bytes.HasPrefix(text, []byte("<<<<<<<")):
			c, started = conflict{span: span{from: line.from}}, true
		case started && bytes.HasPrefix(text, []byte("=======")):
			c.other = line.to
		case started && c.other > 0 && bytes.HasPrefix(text, []byte(">>>>>>>")):
			c.end, c.to = line.from, line.to
			if c.from <= offset && offset <= c.to {
				return c, true
			}
			started = false
		}
	}
	return conflict{}, false
}
