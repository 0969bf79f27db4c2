package resolve

import (
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// certainReference reports whether a name is a safe replacement for one that is not defined. A type is not,
// because it would leave a value open. Neither is the field that contains the reference. A package is only
// where a package is needed.
func (r *resolver) certainReference(id *ast.Ident, near string) bool {
	if near == "true" || near == "false" || near == "null" {
		return true
	}
	if _, imported := r.imported[near]; imported {
		end := id.End().Offset()
		return end < len(r.src.Content) && r.src.Content[end] == '.'
	}
	at := source.PathAt(r.src.Syntax, id.Pos())
	return r.scope[near] && (len(at) == 0 || at[0] != near)
}

// fix sets the text that replaces a node.
func (r *resolver) fix(d *diagnostic.Diagnostic, n ast.Node, text string) {
	d.Fix = finding.Rewrite(r.src.Name, r.Index.NodeRange(n), text, text)
}

// fixImport corrects the path of an import. If the package then has another name, references to the old name are
// corrected too.
func (r *resolver) fixImport(d *diagnostic.Diagnostic, spec *ast.ImportSpec, right string) {
	fix := finding.Rewrite(r.src.Name, r.Index.NodeRange(spec.Path), strconv.Quote(right), strconv.Quote(right))
	old, name := source.ImportName(spec), ast.ParseImportPath(right).Qualifier
	if spec.Name != nil {
		name = old
	}
	for other := range r.src.Syntax.ImportSpecs() {
		if other != spec && source.ImportName(other) == name {
			return
		}
	}
	if name != old {
		ast.Walk(r.src.Syntax, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Node == spec {
				fix.Edits = append(fix.Edits, diagnostic.Edit{File: r.src.Name, Range: r.Index.NodeRange(id),
					NewText: name})
			}
			return true
		}, nil)
	}
	d.Fix = fix
}

// fixUnused removes unused imports, with their lines.
func (r *resolver) fixUnused(d *diagnostic.Diagnostic, spec *ast.ImportSpec, unused func(*ast.ImportSpec) bool) {
	for _, decl := range r.src.Syntax.Decls {
		imports, ok := decl.(*ast.ImportDecl)
		if !ok || !slices.Contains(imports.Specs, spec) {
			continue
		}
		var node ast.Node = spec
		if !slices.ContainsFunc(imports.Specs, func(s *ast.ImportSpec) bool { return !unused(s) }) {
			node = imports
		}
		start, end, ok := wholeLines(r.src.Content, node)
		if !ok {
			return
		}
		d.Fix = finding.Rewrite(r.src.Name, source.ContentRange(r.src.Content, start, end), "", "")
		d.Fix.Message = "remove the import"
	}
}

// wholeLines returns the lines of a declaration, with its comments. If it is between two empty lines, one of
// them is included. It returns false if something else is on these lines.
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
