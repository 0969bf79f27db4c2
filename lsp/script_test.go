package lsp

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/seguehq/segue/schema"
)

// TestScripts runs the scripts in testdata. A script is the head of an archive of files: lines that begin with "> "
// are what an editor does, and those below show what it gets. Other lines before the first are for readers.
// SEGUE_UPDATE=1 renews what it gets.
//
//	> open FILE               open a file as it is on disk
//	> new FILE FROM           open a file that is not on disk, with the text of another one of the archive
//	> replace FILE OLD => NEW edit an open document
//	> close FILE
//	> save FILE               write an open document to disk
//	> move FILE TO            rename a file on disk; remove FILE removes it
//	> findings FILE           those of all files, once the project of FILE is checked
//	> text FILE
//	> complete FILE PART      where PART has a ^ for the cursor; so for hover, definition, references, actions
//	> fix FILE PART => TITLE  apply an action, and show the text
//	> fixall FILE
//	> rename FILE PART => NAME
//	> lenses FILE, hints FILE, symbols FILE, format FILE
//	> find QUERY              automations of the workspace
//	> run COMMAND FILE KEY VALUES
//	> set SETTINGS
//
// Positions are printed as line:column, from 1, in UTF-16.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runScript(t, file)
		})
	}
}

func runScript(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]string{}
	roots := map[string]bool{}
	for _, f := range archive.Files {
		// So that scripts show what others hide.
		text := strings.NewReplacer("␍", "\r", "␉", "\t").Replace(string(f.Data))
		files[f.Name] = text
		if strings.HasPrefix(f.Name, "unsaved/") {
			continue
		}
		writeFile(t, filepath.Join(dir, filepath.FromSlash(f.Name)), text)
		if filepath.Base(f.Name) == "segue.cue" {
			roots[strings.Split(f.Name, "/")[0]] = true
			vendor(t, filepath.Join(dir, filepath.FromSlash(path.Dir(f.Name))))
		}
	}
	if len(roots) == 0 {
		roots["."] = true
	}
	s := &script{editor: startEditor(t, dir, testOptions(t), slices.Sorted(maps.Keys(roots))...), files: files}
	var out strings.Builder
	begun := false
	for line := range strings.Lines(string(archive.Comment)) {
		command, ok := strings.CutPrefix(line, "> ")
		begun = begun || ok
		switch {
		case !begun || strings.HasPrefix(line, "#") || line == "\n" && !ok:
			out.WriteString(line)
		case ok:
			out.WriteString(line)
			out.WriteString(s.run(strings.TrimSuffix(command, "\n")))
		}
	}
	if got := out.String(); got != string(archive.Comment) {
		if os.Getenv("SEGUE_UPDATE") == "1" {
			archive.Comment = []byte(got)
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("the editor gets something else; SEGUE_UPDATE=1 renews the script:\n%s", got)
	}
}

// vendor copies the schema into a project, as segue init does.
func vendor(t testing.TB, dir string) {
	t.Helper()
	for name, content := range schema.Files() {
		writeFile(t, filepath.Join(dir, filepath.FromSlash(path.Join(schema.VendorDir, name))), string(content))
	}
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// A script is an editor and the files of the archive.
type script struct {
	*editor
	files map[string]string
}

// run does one command, and returns the editor's output.
func (s *script) run(line string) string {
	name, rest, _ := strings.Cut(line, " ")
	do := scriptCommands[name]
	if do == nil {
		s.t.Fatalf("there is no command %q", name)
	}
	rest, more, _ := strings.Cut(rest, " => ")
	file, part, _ := strings.Cut(rest, " ")
	text := do(s, file, part, more)
	text = strings.ReplaceAll(text, s.uri("."), "file:///DIR")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" { // an empty line separates the commands of a script
			out.WriteString("  " + strings.NewReplacer("\r", "␍", "\t", "␉").Replace(line))
		}
	}
	return out.String()
}

// The commands get the file, the part of its text, and what comes after =>.
var scriptCommands map[string]func(s *script, file, part, more string) string

func init() {
	scriptCommands = map[string]func(s *script, file, part, more string) string{
		"open":       func(s *script, file, _, _ string) string { s.openFile(file); return "" },
		"new":        func(s *script, file, from, _ string) string { s.open(file, s.files[from]); return "" },
		"close":      func(s *script, file, _, _ string) string { s.close(file); return "" },
		"replace":    (*script).replace,
		"save":       (*script).save,
		"move":       (*script).move,
		"remove":     (*script).remove,
		"findings":   (*script).findings,
		"text":       func(s *script, file, _, _ string) string { return s.docs[s.uri(file)].text },
		"complete":   (*script).complete,
		"insert":     (*script).insert,
		"hover":      (*script).hover,
		"definition": func(s *script, file, part, _ string) string { return s.locations("definition", file, part) },
		"references": func(s *script, file, part, _ string) string { return s.locations("references", file, part) },
		"actions":    (*script).actions,
		"fix":        (*script).fix,
		"fixall":     (*script).fixAll,
		"rename":     (*script).rename,
		"lenses":     (*script).lenses,
		"hints":      (*script).hints,
		"symbols":    (*script).symbols,
		"format":     (*script).format,
		"find":       (*script).find,
		"run":        (*script).command,
		"set":        (*script).set,
	}
}

func (s *script) replace(file, part, more string) string {
	doc := s.docs[s.uri(file)]
	i := strings.Index(doc.text, part)
	if i < 0 {
		s.t.Fatalf("%s: there is no %s", file, part)
	}
	s.edit(file, doc.span(i, i+len(part)), more)
	return ""
}

func (s *script) save(file, _, _ string) string {
	writeFile(s.t, filepath.Join(s.dir, filepath.FromSlash(file)), s.docs[s.uri(file)].text)
	s.notify("textDocument/didSave", s.document(file))
	return ""
}

func (s *script) move(file, to, _ string) string {
	if err := os.Rename(filepath.Join(s.dir, file), filepath.Join(s.dir, to)); err != nil {
		s.t.Fatal(err)
	}
	s.changed(file, to)
	return ""
}

func (s *script) remove(file, _, _ string) string {
	if err := os.Remove(filepath.Join(s.dir, file)); err != nil {
		s.t.Fatal(err)
	}
	s.changed(file)
	return ""
}

func (s *script) document(file string) map[string]any {
	return map[string]any{"textDocument": map[string]any{"uri": s.uri(file)}}
}

// at has the parameters of a request about a position.
func (s *script) at(file, part string) map[string]any {
	params := s.document(file)
	params["position"] = s.cursor(file, part)
	return params
}

func shownSpan(r span) string {
	return fmt.Sprintf("%d:%d-%d:%d", r.Start.Line+1, r.Start.Character+1, r.End.Line+1, r.End.Character+1)
}

func (s *script) findings(file, _, _ string) string {
	s.settle(file)
	var out strings.Builder
	shown := s.shown()
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		for _, d := range shown[name] {
			severity := map[int]string{severityError: "error", severityWarning: "warning"}[d.Severity]
			fmt.Fprintf(&out, "%s:%s: %s: %s [%s]", name, shownSpan(d.Range), severity,
				strings.ReplaceAll(d.Message, "\n", "\n  "), d.Code)
			if len(d.Tags) > 0 {
				out.WriteString(" (unnecessary)")
			}
			out.WriteString("\n")
			for _, r := range d.RelatedInformation {
				fmt.Fprintf(&out, "  %s:%s: %s\n", s.name(r.Location.URI), shownSpan(r.Location.Range), r.Message)
			}
		}
	}
	return out.String()
}

func (s *script) completions(file, part string) []completionItem {
	var list struct {
		IsIncomplete bool             `json:"isIncomplete"`
		Items        []completionItem `json:"items"`
	}
	for list.IsIncomplete = true; list.IsIncomplete; { // until CUE has answered
		list.IsIncomplete, list.Items = false, nil
		s.call("textDocument/completion", s.at(file, part), &list)
	}
	slices.SortStableFunc(list.Items, func(a, b completionItem) int {
		return strings.Compare(a.SortText+a.Label, b.SortText+b.Label)
	})
	return list.Items
}

func (s *script) complete(file, part, _ string) string {
	const most = 12
	var out strings.Builder
	items := s.completions(file, part)
	for _, item := range items[:min(most, len(items))] {
		out.WriteString(item.Label)
		if item.Detail != "" {
			out.WriteString(" — " + item.Detail)
		}
		out.WriteString("\n")
	}
	if len(items) > most {
		fmt.Fprintf(&out, "and %d more\n", len(items)-most)
	}
	return out.String()
}

// insert applies a completion by its label, and shows its line, or all that a snippet adds.
func (s *script) insert(file, part, label string) string {
	for _, item := range s.completions(file, part) {
		if item.Label == label && item.TextEdit != nil {
			s.edit(file, item.TextEdit.Range, item.TextEdit.NewText)
			doc := s.docs[s.uri(file)]
			var out strings.Builder
			for n := range strings.Count(item.TextEdit.NewText, "\n") + 1 {
				out.WriteString(doc.line(item.TextEdit.Range.Start.Line+n) + "\n")
			}
			return out.String()
		}
	}
	s.t.Fatalf("%s: there is no completion %q", file, label)
	return ""
}

func (s *script) hover(file, part, _ string) string {
	var h *hoverResult
	s.call("textDocument/hover", s.at(file, part), &h)
	if h == nil {
		return "nothing"
	}
	return h.Contents.Value
}

func (s *script) locations(kind, file, part string) string {
	var found []location
	params := s.at(file, part)
	params["context"] = map[string]bool{"includeDeclaration": true}
	if err := s.try("textDocument/"+kind, params, &found); err != nil {
		return "error: " + err.Error()
	}
	var lines []string
	for _, l := range found {
		lines = append(lines, s.name(l.URI)+":"+shownSpan(l.Range)+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func (s *script) actionsAt(file string, at span, only ...string) []codeAction {
	s.settle(file)
	var found []codeAction
	params := s.document(file)
	params["range"] = at
	params["context"] = map[string]any{"diagnostics": []any{}, "only": only}
	s.call("textDocument/codeAction", params, &found)
	return found
}

func (s *script) actions(file, part, _ string) string {
	at := s.cursor(file, part)
	var out strings.Builder
	for _, a := range s.actionsAt(file, span{at, at}) {
		fmt.Fprintf(&out, "%s (%s)\n", a.Title, a.Kind)
	}
	return out.String()
}

func (s *script) fix(file, part, title string) string {
	at := s.cursor(file, part)
	for _, a := range s.actionsAt(file, span{at, at}) {
		if a.Title == title {
			return s.apply(file, a.Edit)
		}
	}
	s.t.Fatalf("%s: there is no action %q", file, title)
	return ""
}

func (s *script) fixAll(file, _, _ string) string {
	var out string
	for _, a := range s.actionsAt(file, span{}, "source.fixAll") {
		out += s.apply(file, a.Edit)
	}
	return out
}

// apply applies an edit to open documents, and returns the text of a file.
func (s *script) apply(file string, edit *workspaceEdit) string {
	for uri, edits := range edit.Changes {
		for _, e := range slices.Backward(edits) { // they are in the order of the file
			s.edit(s.name(uri), e.Range, e.NewText)
		}
	}
	return s.docs[s.uri(file)].text
}

func (s *script) rename(file, part, to string) string {
	params := s.at(file, part)
	params["newName"] = to
	var edit struct {
		DocumentChanges []struct {
			TextDocument textDocument `json:"textDocument"`
			Edits        []textEdit   `json:"edits"`
		} `json:"documentChanges"`
	}
	if err := s.try("textDocument/rename", params, &edit); err != nil {
		return "error: " + err.Error()
	}
	var lines []string
	for _, c := range edit.DocumentChanges {
		for _, e := range c.Edits {
			lines = append(lines, fmt.Sprintf("%s:%s: %s\n", s.name(c.TextDocument.URI), shownSpan(e.Range), e.NewText))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func (s *script) lenses(file, _, _ string) string {
	var found []codeLens
	s.call("textDocument/codeLens", s.document(file), &found)
	var out strings.Builder
	for _, l := range found {
		fmt.Fprintf(&out, "%d: %s\n", l.Range.Start.Line+1, l.Command.Title)
	}
	return out.String()
}

func (s *script) hints(file, _, _ string) string {
	params := s.document(file)
	params["range"] = span{End: position{Line: 1 << 20}}
	var found []inlayHint
	s.call("textDocument/inlayHint", params, &found)
	var out strings.Builder
	for _, h := range found {
		fmt.Fprintf(&out, "%d:%d: %s\n", h.Position.Line+1, h.Position.Character+1, h.Label)
	}
	return out.String()
}

func (s *script) symbols(file, _, _ string) string {
	type symbol struct {
		Name     string   `json:"name"`
		Range    span     `json:"range"`
		Children []symbol `json:"children"`
	}
	var found []symbol
	s.call("textDocument/documentSymbol", s.document(file), &found)
	var out strings.Builder
	var show func(all []symbol, indent string)
	show = func(all []symbol, indent string) {
		for _, one := range all {
			fmt.Fprintf(&out, "%s%s %s\n", indent, one.Name, shownSpan(one.Range))
			show(one.Children, indent+"  ")
		}
	}
	show(found, "")
	return out.String()
}

func (s *script) format(file, _, _ string) string {
	params := s.document(file)
	params["options"] = map[string]any{"tabSize": 8, "insertSpaces": false}
	var edits []textEdit
	s.call("textDocument/formatting", params, &edits)
	if len(edits) == 0 {
		return "nothing"
	}
	return s.apply(file, &workspaceEdit{Changes: map[string][]textEdit{s.uri(file): edits}})
}

func (s *script) find(query, _, _ string) string {
	var found []symbolInformation
	s.call("workspace/symbol", map[string]string{"query": query}, &found)
	var out strings.Builder
	for _, f := range found {
		fmt.Fprintf(&out, "%s (%s) %s:%d\n", f.Name, f.ContainerName, s.name(f.Location.URI), f.Location.Range.Start.Line+1)
	}
	return out.String()
}

func (s *script) command(name, rest, _ string) string {
	file, rest, _ := strings.Cut(rest, " ")
	key, values, _ := strings.Cut(rest, " ")
	argument := map[string]any{"uri": s.uri(file), "key": key}
	if values != "" {
		argument["values"] = json.RawMessage(values)
	}
	var result any
	err := s.try("workspace/executeCommand", map[string]any{"command": name, "arguments": []any{argument}}, &result)
	if err != nil {
		return "error: " + err.Error()
	}
	if m, ok := result.(map[string]any); ok && len(m) == 1 {
		if text, ok := m["text"].(string); ok {
			return text
		}
	}
	shown, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		s.t.Fatal(err)
	}
	return string(shown)
}

func (s *script) set(settings, rest, _ string) string {
	s.notify("workspace/didChangeConfiguration", map[string]any{"settings": map[string]any{
		"segue": json.RawMessage(settings + rest)}})
	return ""
}
