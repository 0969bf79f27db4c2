package lsp

import (
	"sync"
)

// A document is a version of a text. It never changes.
type document struct {
	uri     string
	path    string // "" if it is not a file
	version int
	text    string
	starts  []int // offsets of the lines
	outline func() *outline
}

func newDocument(uri string, version int, text string) *document {
	d := &document{uri: uri, path: pathOf(uri), version: version, text: text, starts: lineStarts(text)}
	d.outline = sync.OnceValue(func() *outline { return outlineOf(text) })
	return d
}

// edited returns the document after changes, which are applied one after the other.
func (d *document) edited(version int, changes []contentChange) *document {
	if len(changes) == 0 {
		return newDocument(d.uri, version, d.text)
	}
	for _, c := range changes {
		text := c.Text
		if c.Range != nil {
			from, to := d.offset(c.Range.Start), d.offset(c.Range.End)
			text = d.text[:from] + c.Text + d.text[max(from, to):]
		}
		d = newDocument(d.uri, version, text)
	}
	return d
}
