package lsp

import (
	"cmp"
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/schema"
)

// A proposal is something to complete, before it has a range.
type proposal struct {
	label  string
	kind   int
	detail string
	doc    string
	// text is inserted, "" for the label; snippet says that it has tab stops.
	text    string
	snippet bool
	// rank sorts before the label: lower ones come first.
	rank string
}

// patience is how long a completion waits for CUE's, which is normally there within milliseconds. Without it the
// list says that it is incomplete, so that the editor asks again with the next key.
const patience = 150 * time.Millisecond

// completion answers with segue's proposals, and those of CUE that are none of segue's.
func (s *server) completion(ctx context.Context, params positionParams, raw json.RawMessage) (any, error) {
	snap, err := snapshotOf(ctx)
	if err != nil {
		return nil, err
	}
	list := completionList{Items: []any{}}
	taken, alone := map[string]bool{}, false
	if snap.project != nil && isCUE(snap.name) {
		w := snap.at(snap.doc.offset(params.Position))
		items, own := w.complete()
		alone = own
		for _, label := range w.written() {
			taken[label] = true
		}
		for _, item := range items {
			taken[item.Label] = true
			list.Items = append(list.Items, item)
		}
	}
	if alone || s.cue == nil || !isCUE(snap.doc.path) {
		return list, nil
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	result, err := s.cue.call(waiting, "textDocument/completion", raw)
	list.IsIncomplete = waiting.Err() != nil
	if err != nil {
		return list, nil
	}
	var theirs struct {
		Items []json.RawMessage `json:"items"`
	}
	_ = json.Unmarshal(result, &theirs) // null means none
	for _, item := range theirs.Items {
		var named struct {
			Label string `json:"label"`
		}
		if json.Unmarshal(item, &named) == nil && !taken[strings.Trim(named.Label, `"`)] {
			taken[named.Label] = true
			list.Items = append(list.Items, item)
		}
	}
	return list, nil
}

// complete proposes what can be written at the place. alone means that CUE has nothing to add: it is in
// a string or in a comment.
func (w *where) complete() (items []completionItem, alone bool) {
	if w.doc.outline().commented(w.offset) {
		return nil, true
	}
	var proposals []proposal
	var from, to int
	switch {
	case w.literal != nil && !w.literal.label:
		proposals, from, to = w.inString()
		alone = true
	case w.literal != nil:
		proposals, from, to = w.labelsHere(), w.literal.from, w.literal.to
	case w.inValue:
		from, to = w.word()
		for _, v := range w.values() {
			v.text = quoted(v.label)
			proposals = append(proposals, v)
		}
		proposals = append(proposals, w.keywords()...)
	default:
		from, to = w.word()
		proposals = w.labelsHere()
	}
	return w.items(proposals, from, to), alone
}

// items filters proposals by what is written, and gives them their range.
func (w *where) items(proposals []proposal, from, to int) []completionItem {
	written := strings.ToLower(strings.Trim(w.doc.text[from:w.offset], `"`))
	at := w.doc.span(from, to)
	seen := map[string]bool{}
	out := []completionItem{}
	for _, p := range proposals {
		if seen[p.label] || !strings.HasPrefix(strings.ToLower(p.label), written) {
			continue
		}
		seen[p.label] = true
		item := completionItem{Label: p.label, Kind: p.kind, Detail: p.detail, SortText: p.rank + p.label,
			TextEdit: &textEdit{at, p.label}}
		if p.text != "" {
			item.TextEdit.NewText = p.text
			if written == "" && from < to || strings.HasPrefix(p.text, `"`) {
				item.FilterText = p.text
			}
		}
		if p.snippet {
			item.InsertTextFormat, item.FilterText = snippetText, p.label
		}
		if p.doc != "" {
			item.Documentation = markdown(p.doc)
		}
		out = append(out, item)
	}
	return out
}

// word returns the range of the name around the place.
func (w *where) word() (from, to int) {
	text := w.doc.text
	from, to = w.offset, w.offset
	for from > 0 && isNameByte(text[from-1]) {
		from--
	}
	for to < len(text) && isNameByte(text[to]) {
		to++
	}
	return from, to
}

func isNameByte(c byte) bool { return c < 0x80 && isNameRune(rune(c)) }

// inString proposes what can be in the string at the place: a placeholder after braces, a cast after a bar, or else
// whole values.
func (w *where) inString() (out []proposal, from, to int) {
	before := w.doc.text[w.literal.innerFrom:w.offset]
	open := strings.LastIndex(before, "{{")
	if open >= 0 && !strings.Contains(before[open:], "}}") && w.takesPlaceholders() {
		return w.inBraces(w.literal.innerFrom + open)
	}
	from, to = w.literal.innerFrom, w.literal.innerTo
	out = w.values()
	if w.takesPlaceholders() && before == "" {
		for _, p := range w.placeholders() {
			p.label = "{{" + p.label + "}}"
			out = append(out, p)
		}
	}
	return out, from, to
}

// inBraces proposes what can follow the braces at an offset.
func (w *where) inBraces(open int) (out []proposal, from, to int) {
	text := w.doc.text[:w.literal.innerTo]
	end := w.offset
	for end < len(text) && (isNameByte(text[end]) || text[end] == ' ' || text[end] == '|') {
		end++
	}
	closing := "}}"
	if strings.HasPrefix(text[end:], "}}") {
		closing = ""
	}
	inner := w.doc.text[open+2 : w.offset]
	if bar := strings.LastIndexByte(inner, '|'); bar >= 0 {
		from = open + 2 + bar + 1
		if from == len(text) || text[from] != ' ' {
			defer func() {
				for i := range out {
					out[i].text = " " + cmp.Or(out[i].text, out[i].label)
				}
			}()
		}
		for from < w.offset && text[from] == ' ' {
			from++
		}
		out = w.casts(strings.TrimSpace(inner[:bar]))
	} else {
		from = open + 2 + len(inner) - len(strings.TrimLeft(inner, " "))
		out = w.placeholders()
	}
	to = w.offset
	for to < len(text) && isNameByte(text[to]) {
		to++
	}
	if closing != "" {
		for i := range out {
			out[i].text = out[i].label + closing
		}
	}
	return out, from, to
}

// takesPlaceholders reports whether a string of an automation at the place is a template.
func (w *where) takesPlaceholders() bool {
	path := labels(w.chain)
	return w.of.node != nil && len(path) > 2 && slices.Contains([]string{"payload", "url", "headers"}, path[2])
}

// projectView returns segue.cue as of the last check, nil if it is unknown.
func (s *snapshot) projectView() *config.Project {
	if s.view == nil {
		return nil
	}
	return s.view.settings
}

// quoted is a string as CUE.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(b)
}

// labelText is a label as CUE writes it.
func labelText(label string) string { return finding.Selector(label).String() }

// automationSnippets propose whole automations, for the fields of automations.
func (w *where) automationSnippets() []proposal {
	name := ""
	for alias, pkg := range w.doc.outline().imports {
		if pkg == schema.ModulePath+"/automation" {
			name = alias
		}
	}
	if name == "" {
		name = "automation"
	}
	base := path.Base(path.Dir(w.name))
	if base == "." {
		base = "name"
	}
	trigger := "\ttrigger: ${3|pattern,journey|}: \"${4:Account activated}\"\n"
	head := func(definition string) string {
		return "\"${1:" + base + "-activated}\": " + name + "." + definition + " & {\n\tname: \"${2:Account activated}\"\n" + trigger
	}
	tail := "\t}\n}"
	return []proposal{
		{label: "identify", kind: kindSnippet, detail: "an automation that identifies a user", snippet: true, rank: "0",
			text: head("#Identify") + "\tpayload: {\n\t\tuserId: \"{{userId}}\"\n\t\ttraits: {\n\t\t\temail: \"{{userEmail}}\"\n\t\t\tname:  \"{{userName}}\"\n\t\t}$0\n" + tail},
		{label: "group", kind: kindSnippet, detail: "an automation that puts a user into a group", snippet: true, rank: "0",
			text: head("#Group") + "\tpayload: {\n\t\tuserId:  \"{{userId}}\"\n\t\tgroupId: \"{{accountId}}\"\n\t\ttraits: name: \"{{accountName}}\"$0\n" + tail},
		{label: "track", kind: kindSnippet, detail: "an automation that sends an event", snippet: true, rank: "0",
			text: head("#Track") + "\tpayload: {\n\t\tuserId: \"{{userId}}\"\n\t\tevent:  \"${5:Account Activated}\"\n\t\tproperties: {$0}\n" + tail},
		{label: "http", kind: kindSnippet, detail: "an automation that sends another request", snippet: true, rank: "0",
			text: head("#HTTP") + "\turl: \"${5:https://example.com/hook}\"\n\tpayload: {\n\t\tuserId: \"{{userId}}\"$0\n" + tail},
	}
}
