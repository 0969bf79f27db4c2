package resolve

import (
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// maxSyntaxErrors is the number of syntax errors that are reported for a file at once.
const maxSyntaxErrors = 20

// maxResync is the size of the largest file that is parsed again, in bytes.
const maxResync = 1 << 20

// syntaxErrors reports why a file does not parse. Most errors after the parser's first one only follow from it.
// So the part of the file with the first error is taken out, and the file is parsed again, until it parses.
// syntaxErrors returns the rest, or nil if the file can't be read like that.
func (p *Opened) syntaxErrors(s *source.File, broken error) *ast.File {
	content, lastLine, lastHelp := slices.Clone(s.Content), -1, ""
	for range maxSyntaxErrors {
		m := source.ComplaintOf(content, broken)
		d := finding.Diagnose("syntax-error", diagnostic.Diagnostic{File: s.Name,
			Message: m.Message, Help: m.Help, Suggestion: m.Suggestion,
			Range: source.ContentRange(s.Content, m.From, m.To)})
		// Consecutive lines with the same help are one mistake.
		if d.Help != lastHelp || d.Range.Start.Line > lastLine+1 {
			p.Found = append(p.Found, d)
		}
		lastLine, lastHelp = d.Range.Start.Line, d.Help
		if len(content) > maxResync {
			return nil
		}
		without, region, syntax, next := source.WithoutMistake(s.Syntax.Filename, content, m)
		if region == (source.Span{}) {
			return nil
		}
		p.Torn = append(p.Torn, tear{file: s.Syntax.Filename, Span: region,
			text: string(s.Content[region.From:region.To])})
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
	source.Span
	text string
}

// markTorn marks the structs that something was taken out of.
func (p *Opened) markTorn(f *ast.File) {
	ast.Walk(f, func(n ast.Node) bool {
		if st, ok := n.(*ast.StructLit); ok {
			for _, t := range p.Torn {
				if t.file == f.Filename && st.Pos().Offset() <= t.From && t.To <= st.End().Offset() {
					p.family.holes[st] = true
				}
			}
		}
		return true
	}, nil)
}

// tornWord reports whether a name is in a part that was taken out of the files.
func (p *Opened) tornWord(name string) bool {
	return slices.ContainsFunc(p.Torn, func(t tear) bool { return strings.Contains(t.text, name) })
}
