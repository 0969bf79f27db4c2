package lsp

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/seguehq/segue/diagnostic"
)

// largeText is the size in bytes from which a text is first checked around the change alone.
const largeText = 32 << 10

// pause is how long large work waits for a newer text, which would end it: evaluations in a child process end
// with the process.
const pause = 200 * time.Millisecond

// rest waits before large work. It returns false if there is a newer text.
func (r round) rest() bool {
	select {
	case <-r.later.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// narrowed does the first step for a large text: all automations but the changed ones are blanked, so that positions
// stay. It shows the findings in the changed ones, and those of the last check elsewhere. It returns false if the text
// is not large.
func (r round) narrowed(ctx context.Context) bool {
	last := r.current()
	if len(r.fresh) != 1 {
		return false
	}
	name := r.fresh[0]
	doc, old := r.texts.open[name], last.texts.open[name]
	if doc == nil || old == nil || len(doc.text) < largeText {
		return false
	}
	change := changeOf(old.text, doc.text)
	text, kept := blanked(doc, change)
	r.session.Set(name, []byte(text))
	result, err := r.session.Compile(ctx, "", []string{path.Dir(name)})
	r.session.Set(name, []byte(doc.text))
	if err != nil {
		return false
	}
	found := moved(last.findings[name], old, doc, change, kept)
	for _, d := range result.Diagnostics {
		if d.File == name && kept.has(doc.offset(doc.place(d.Range.Start))) {
			found = append(found, d)
		}
	}
	found.Sort()
	whole := *result
	whole.Diagnostics = found
	r.show(&whole, func(other string) bool { return other == name })
	return true
}

// A change is the part of a text that differs from the one before, in bytes. The parts before from and after to are
// the same; before, the part ended at oldTo.
type change struct{ from, to, oldTo int }

// changeOf compares texts. The ends of the part are those of lines, so that it never splits a character or a line end.
func changeOf(old, now string) change {
	from := 0
	for from < len(old) && from < len(now) && old[from] == now[from] {
		from++
	}
	from = strings.LastIndexByte(now[:from], '\n') + 1
	end := 0
	for end < len(old)-from && end < len(now)-from && old[len(old)-1-end] == now[len(now)-1-end] {
		end++
	}
	if i := strings.IndexByte(now[len(now)-end:], '\n'); i >= 0 {
		end -= i
	} else {
		end = 0
	}
	return change{from, len(now) - end, len(old) - end}
}

// ranges are parts of a text.
type ranges [][2]int

func (r ranges) has(offset int) bool {
	for _, part := range r {
		if part[0] <= offset && offset <= part[1] {
			return true
		}
	}
	return false
}

// blanked returns the text with spaces in place of the automations outside of a change, and the parts that are left
// of what the change is in. A change elsewhere may matter to all automations; the next step shows that.
func blanked(doc *document, c change) (text string, kept ranges) {
	out := []byte(doc.text)
	for _, top := range doc.outline().root.children {
		fields := top.children
		if top.label != "automations" || len(fields) == 1 {
			fields = []*node{top}
		}
		for _, n := range fields {
			if n.from <= c.to && c.from <= n.to {
				kept = append(kept, [2]int{n.from, n.to})
				continue
			}
			for i := n.from; i < n.to && top.label == "automations"; i++ {
				if out[i] != '\n' && out[i] != '\r' {
					out[i] = ' '
				}
			}
		}
	}
	if len(kept) == 0 {
		kept = ranges{{c.from - len(doc.line(doc.position(c.from).Line)), c.to}}
	}
	return string(out), kept
}

// moved returns the findings of an earlier text outside of the parts, at their places in the new text. Those on the
// line of the change are left out.
func moved(found diagnostic.List, old, doc *document, c change, kept ranges) diagnostic.List {
	lines := strings.Count(doc.text[c.from:c.to], "\n") - strings.Count(old.text[c.from:c.oldTo], "\n")
	first, last := old.position(c.from).Line+1, old.position(c.oldTo).Line+1
	shift := func(r diagnostic.Range) diagnostic.Range {
		if r.Start.Line > last {
			r.Start.Line += lines
			r.End.Line += lines
		}
		return r
	}
	var out diagnostic.List
	for _, d := range found {
		at := old.offset(old.place(d.Range.Start))
		if at >= c.oldTo {
			at += c.to - c.oldTo
		}
		if kept.has(at) || d.Range.Start.Line >= first && d.Range.Start.Line <= last {
			continue
		}
		d.Range, d.Fix = shift(d.Range), nil // its edits are at the places of the earlier text
		related := make([]diagnostic.Related, len(d.Related))
		for i, r := range d.Related {
			if related[i] = r; r.File == d.File {
				related[i].Range = shift(r.Range)
			}
		}
		d.Related = related
		out = append(out, d)
	}
	return out
}
