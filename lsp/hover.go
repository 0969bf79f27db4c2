package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/shape"
)

// hover answers with segue's own hover, or else with that of CUE.
func (s *server) hover(ctx context.Context, params positionParams, raw json.RawMessage) (any, error) {
	snap, err := snapshotOf(ctx)
	if err != nil {
		return nil, err
	}
	if h := s.ownHover(ctx, snap, params.Position); h != nil {
		return h, nil
	}
	if s.cue == nil || !isCUE(snap.doc.path) {
		return nil, nil
	}
	result, err := s.cue.call(ctx, "textDocument/hover", raw)
	if err != nil {
		return nil, nil // there is nothing to say
	}
	return result, nil
}

func (s *server) ownHover(ctx context.Context, snap *snapshot, p position) *hoverResult {
	if snap.project == nil || !isCUE(snap.name) {
		return nil
	}
	w := snap.at(snap.doc.offset(p))
	if h := w.hoverPlaceholder(); h != nil {
		return h
	}
	if !w.onLabel {
		return nil
	}
	if n := len(w.chain); n == 2 && w.of.node != nil {
		return s.hoverAutomation(ctx, w)
	}
	return w.hoverField()
}

// hoverPlaceholder shows the catalog's entry of a placeholder.
func (w *where) hoverPlaceholder() *hoverResult {
	if w.literal == nil || w.view == nil || w.view.settings == nil {
		return nil
	}
	for _, ref := range w.references(w.literal) {
		if w.offset < ref.from || w.offset > ref.to {
			continue
		}
		entry, ok := w.view.settings.Catalog[ref.name]
		if !ok {
			return nil
		}
		at := w.doc.span(ref.from, ref.to)
		return &hoverResult{Contents: markdown("**{{" + ref.name + "}}** — " + describePlaceholder(entry)), Range: &at}
	}
	return nil
}

// describePlaceholder describes an entry of the catalog.
func describePlaceholder(p automation.Placeholder) string {
	var kinds []string
	for _, k := range p.Triggers {
		kinds = append(kinds, string(k))
	}
	sample, _ := json.Marshal(p.Sample) // a string, a number or a boolean
	text := shape.TypeWord(p.Type)
	if p.Description != "" {
		text += "\n\n" + p.Description
	}
	return text + fmt.Sprintf("\n\nSample: `%s`\n\nTriggers: %s", sample, strings.Join(kinds, ", "))
}

// A reference is a placeholder in a document, with its braces.
type reference struct {
	name, cast string
	from, to   int
}

// references returns the placeholders in a string.
func (w *snapshot) references(s *stringLiteral) []reference {
	text := w.doc.text[s.innerFrom:s.innerTo]
	var out []reference
	for at := 0; ; {
		i := strings.Index(text[at:], "{{")
		if i < 0 {
			return out
		}
		from := at + i
		length := strings.Index(text[from:], "}}")
		if length < 0 {
			return out
		}
		inner := text[from+2 : from+length]
		name, cast, _ := strings.Cut(inner, "|")
		at = from + length + 2
		out = append(out, reference{strings.TrimSpace(name), strings.TrimSpace(cast), s.innerFrom + from, s.innerFrom + at})
	}
}

// spec is the site with Segment's spec.
const spec = "https://segment.com/docs/connections/spec/"

// hoverField shows what the schema says of a field.
func (w *where) hoverField() *hoverResult {
	f := w.field(w.chain)
	if f == nil || f.Doc == "" {
		return nil
	}
	last := w.chain[len(w.chain)-1]
	text := "**" + last.label + "** — " + typeOf(f)
	if f.Required {
		text += ", required"
	}
	text += "\n\n" + paragraph(f.Doc)
	if page := w.specPage(); page != "" {
		text += "\n\n[Segment's spec](" + spec + page + ")"
	}
	at := w.doc.span(last.labelFrom, last.labelTo)
	return &hoverResult{Contents: markdown(text), Range: &at}
}

// typeOf is a field's type for people.
func typeOf(f *shape.Field) string { return strings.TrimPrefix(f.Shape.String(), "a ") }

// paragraph joins the lines of a comment.
func paragraph(doc string) string { return strings.Join(strings.Fields(doc), " ") }

// specPage returns the page of Segment's spec about a field of a message, "" for other fields.
func (w *where) specPage() string {
	path := labels(w.chain)
	if len(path) < 4 || path[2] != "payload" || w.of.call == "http" {
		return ""
	}
	switch path[3] {
	case "traits", "properties":
		return w.of.call + "/#" + path[3]
	case "context":
		return "common/#context"
	case "event", "groupId", "previousId", "name", "category":
		return w.of.call + "/"
	}
	return "common/"
}

// hoverAutomation shows the request that an automation sends with the samples.
func (s *server) hoverAutomation(ctx context.Context, w *where) *hoverResult {
	text, err := s.render(ctx, w.project, w.key(w.of.name), nil)
	if err != nil {
		text = err.Error()
	} else {
		text = "```http\n" + text + "```"
	}
	at := w.doc.span(w.of.node.labelFrom, w.of.node.labelTo)
	return &hoverResult{Contents: markdown("**" + w.key(w.of.name) + "**\n\n" + text), Range: &at}
}

// render returns the request of an automation for people, from the newest text. Values that are not given come from
// the samples.
func (s *server) render(ctx context.Context, p *project, key string, given map[string]any) (string, error) {
	if err := p.taken(ctx); err != nil {
		return "", err
	}
	settings, _, err := p.session.Project(ctx)
	if err != nil {
		return "", err
	}
	if settings == nil {
		return "", errors.New("segue.cue has errors")
	}
	target, _, err := settings.Target("")
	if err != nil {
		target = "" // the sources without overrides
	}
	result, err := p.session.Compile(ctx, target, []string{path.Dir(key)})
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(result.Document.Automations, func(a automation.Encoded) bool { return a.Key == key })
	if i < 0 {
		return "", fmt.Errorf("%s has errors, or is not for the target %s", key, target)
	}
	a, err := result.Document.Automations[i].Decode()
	if err != nil {
		return "", err
	}
	values := result.Project.Catalog.Samples(a.Trigger.Kind)
	maps.Copy(values, given)
	r, err := a.Action.Render(values, func(string) (automation.Secret, bool) { return automation.Secret{}, true })
	if err != nil {
		return "", err
	}
	text := s.options.Request(a, r)
	if err := a.CheckMessage(r, values); err != nil {
		text += "\nThe request would not be sent: " + err.Error() + "\n"
	}
	return text, nil
}
