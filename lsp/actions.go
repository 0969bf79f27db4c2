package lsp

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// The kinds of actions that change a whole file.
const (
	fixAllKind   = "source.fixAll.segue"
	organizeKind = "source.organizeImports"
)

// codeActions offers the fixes of findings, and reasons to allow warnings.
func (s *server) codeActions(ctx context.Context, params codeActionParams, raw json.RawMessage) (any, error) {
	snap, err := snapshotOf(ctx)
	if err != nil {
		return nil, err
	}
	only := params.Context.Only
	if s.cue != nil && slices.ContainsFunc(only, func(kind string) bool { return kinds(organizeKind, kind) }) {
		// The first answer of cue lsp takes seconds, so it is only asked for its own action.
		return s.cue.call(ctx, "textDocument/codeAction", raw)
	}
	if slices.Contains(only, fixAllKind) && snap.project != nil {
		// An editor that asks for this alone is about to save: it wants the newest text fixed.
		if err := snap.project.settled(ctx); err != nil {
			return nil, err
		}
		snap.view = snap.project.current()
	}
	return snap.actions(params.Range, func(kind string) bool {
		return len(only) == 0 || slices.ContainsFunc(only, func(asked string) bool { return kinds(kind, asked) })
	}), nil
}

// kinds reports whether a kind of action is among those that were asked for: "source" has "source.fixAll.segue".
func kinds(kind, asked string) bool { return kind == asked || strings.HasPrefix(kind, asked+".") }

// actions lists the actions for a range of the document.
func (s *snapshot) actions(at span, wanted func(kind string) bool) []codeAction {
	out := []codeAction{}
	if s.view == nil || s.view.texts.open[s.name] != s.doc {
		return out // the findings are about another text
	}
	found := s.view.findings[s.name]
	here := slices.DeleteFunc(slices.Clone(found), func(d diagnostic.Diagnostic) bool {
		return !overlap(s.doc.places(d.Range), at)
	})
	if wanted("quickfix") {
		for _, d := range here {
			out = append(out, s.actionsFor(d, found)...)
		}
	}
	if wanted(fixAllKind) {
		if edit := s.edit(found); edit != nil {
			out = append(out, codeAction{Title: "Fix all in this file", Kind: fixAllKind, Edit: edit})
		}
	}
	return out
}

// overlap reports whether ranges have a position in common.
func overlap(a, b span) bool { return !before(a.End, b.Start) && !before(b.End, a.Start) }

func before(a, b position) bool {
	return a.Line < b.Line || a.Line == b.Line && a.Character < b.Character
}

// actionsFor lists the actions for one finding of those in the file.
func (s *snapshot) actionsFor(d diagnostic.Diagnostic, all diagnostic.List) []codeAction {
	var out []codeAction
	shown := []lspDiagnostic{s.view.texts.shownOne(s.doc, d)}
	if edit := s.edit(diagnostic.List{d}); edit != nil {
		out = append(out, codeAction{Title: capital(d.Fix.Message), Kind: "quickfix", Diagnostics: shown,
			IsPreferred: true, Edit: edit})
		same := slices.DeleteFunc(slices.Clone(all), func(o diagnostic.Diagnostic) bool {
			return o.Code != d.Code || o.Fix == nil
		})
		if len(same) > 1 {
			out = append(out, codeAction{Title: "Fix all " + d.Code + " in this file", Kind: "quickfix",
				Diagnostics: shown, Edit: s.edit(same)})
		}
	}
	if edit := s.allow(d); edit != nil {
		out = append(out, codeAction{Title: "Allow " + d.Code + " here, with a reason", Kind: "quickfix",
			Diagnostics: shown, Edit: edit})
	}
	return out
}

func capital(message string) string { return strings.ToUpper(message[:1]) + message[1:] }

// edit returns the fixes of findings as one edit, nil if there are none. A fix that overlaps an earlier one is left
// out, as in vet --fix.
func (s *snapshot) edit(found diagnostic.List) *workspaceEdit {
	taken := map[string][]textEdit{} // by URI
	for _, d := range found {
		if d.Fix == nil {
			continue
		}
		of := map[string][]textEdit{}
		clash := false
		for _, e := range d.Fix.Edits {
			doc := s.view.texts.document(e.File)
			edit := textEdit{doc.places(e.Range), e.NewText}
			clash = clash || slices.ContainsFunc(taken[doc.uri], func(o textEdit) bool { return clashes(edit, o) })
			of[doc.uri] = append(of[doc.uri], edit)
		}
		if clash {
			continue
		}
		for uri, edits := range of {
			taken[uri] = append(taken[uri], edits...)
		}
	}
	if len(taken) == 0 {
		return nil
	}
	for _, edits := range taken {
		slices.SortFunc(edits, func(a, b textEdit) int {
			return cmp.Or(cmp.Compare(a.Range.Start.Line, b.Range.Start.Line),
				cmp.Compare(a.Range.Start.Character, b.Range.Start.Character))
		})
	}
	return &workspaceEdit{Changes: taken}
}

// clashes reports whether two edits overlap, or are at one place, where their order would be unknown.
func clashes(a, b textEdit) bool {
	return a.Range.Start == b.Range.Start || before(a.Range.Start, b.Range.End) && before(b.Range.Start, a.Range.End)
}

// allow returns the edit that allows a warning in its automation, nil for a finding that can't be allowed.
func (s *snapshot) allow(d diagnostic.Diagnostic) *workspaceEdit {
	code, ok := finding.CodeOf(d.Code)
	strict := code.Severity == diagnostic.Warning && code.Also == "" // the project makes errors of warnings
	if !ok || d.Key == "" || d.Severity != diagnostic.Warning && !strict || d.Code == "unused-allow" {
		return nil
	}
	w := s.at(s.doc.offset(s.doc.place(d.Range.Start)))
	if w.of.node == nil || w.key(w.of.name) != d.Key || len(w.of.node.blocks) == 0 {
		return nil
	}
	reason := strconv.Quote(d.Code) + `: "reason"`
	at, indent := w.of.node.blocks[0][0], s.indent(w.of.node.from)
	text := "\n" + indent + "\tallow: " + reason
	if known := w.of.node.child("allow"); known != nil {
		if len(known.blocks) == 0 {
			at, text = known.to, "\n"+indent+"\tallow: "+reason
		} else {
			at, text = known.blocks[0][0], "\n"+indent+"\t\t"+reason
		}
	}
	if rest := s.doc.text[at:lineEnd(s.doc.text, at)]; strings.TrimSpace(rest) != "" && !strings.HasPrefix(strings.TrimSpace(rest), "//") {
		text += "\n" + indent + "\t"
	}
	return &workspaceEdit{Changes: map[string][]textEdit{s.doc.uri: {{s.doc.span(at, at), text}}}}
}

// indent returns the whitespace that the line of an offset begins with.
func (s *snapshot) indent(offset int) string {
	line := s.doc.line(s.doc.position(offset).Line)
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}
