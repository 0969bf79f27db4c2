package lsp

import (
	"path/filepath"
	"slices"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// explanations is the page with the explanation of each code, under a heading of its name.
const explanations = "https://github.com/seguehq/segue/blob/main/docs/diagnostics.md#"

// unnecessary has the codes of findings about something that can be removed. Editors fade it.
var unnecessary = []string{"unused-import", "unused-let", "unused-allow"}

// byFile groups findings by the file that they are shown in. A finding about a folder, or about none, is shown in
// segue.cue.
func byFile(found diagnostic.List, isFile func(name string) bool) map[string]diagnostic.List {
	out := map[string]diagnostic.List{}
	for _, d := range found {
		name := d.File
		if _, known := out[name]; !known && (name == "" || !isFile(name)) {
			name, d.Range = config.ProjectFile, diagnostic.Range{}
		}
		out[name] = append(out[name], d)
	}
	return out
}

// A textSource gives the documents of a project by name: the open ones, and files for the others.
type textSource struct {
	dir  string
	open map[string]*document
}

// document returns the document of a name, an empty one if it can't be read.
func (t textSource) document(name string) *document {
	if d := t.open[name]; d != nil {
		return d
	}
	content, _ := workspace.ReadFile(t.dir, name) // nothing, on error
	return newDocument(t.uri(name), 0, string(content))
}

func (t textSource) uri(name string) string {
	if d := t.open[name]; d != nil {
		return d.uri
	}
	return uriOf(filepath.Join(t.dir, filepath.FromSlash(name)))
}

// shown converts findings of one document into the form of the protocol.
func (t textSource) shown(doc *document, found diagnostic.List) []lspDiagnostic {
	out := make([]lspDiagnostic, 0, len(found))
	for _, d := range found {
		out = append(out, t.shownOne(doc, d))
	}
	return out
}

func (t textSource) shownOne(doc *document, d diagnostic.Diagnostic) lspDiagnostic {
	shown := lspDiagnostic{Range: doc.places(d.Range), Severity: severityWarning, Code: d.Code, Source: "segue",
		CodeDescription: &codeDescription{Href: explanations + d.Code}, Message: messageOf(d)}
	if d.Severity == diagnostic.Error {
		shown.Severity = severityError
	}
	if slices.Contains(unnecessary, d.Code) {
		shown.Tags = []int{tagUnnecessary}
	}
	for _, r := range d.Related {
		if r.File == "" {
			continue
		}
		shown.RelatedInformation = append(shown.RelatedInformation, relatedInformation{
			Message: r.Message, Location: location{URI: t.uri(r.File), Range: t.document(r.File).places(r.Range)}})
	}
	return shown
}

// messageOf is a finding's message as vet prints it, with the remedy in a second line.
func messageOf(d diagnostic.Diagnostic) string {
	if d.Help == "" {
		return d.Message
	}
	return d.Message + "\nhelp: " + d.Help
}
