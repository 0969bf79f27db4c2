package lsp

import (
	"net/url"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/seguehq/segue/diagnostic"
)

// lineStarts returns the offsets of the lines of a text. A line ends with \n or \r\n, as for CUE and for findings.
func lineStarts(text string) []int {
	starts := []int{0}
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// line returns a line without its end; "" for one that does not exist.
func (d *document) line(n int) string {
	if n < 0 || n >= len(d.starts) {
		return ""
	}
	end := len(d.text)
	if n+1 < len(d.starts) {
		end = d.starts[n+1]
	}
	return strings.TrimRight(d.text[d.starts[n]:end], "\r\n")
}

// offset returns the offset of a position in bytes. One after the end of a line is taken for the end of it, as the
// protocol has it, and one within a character for its start.
func (d *document) offset(p position) int {
	if p.Line < 0 {
		return 0
	}
	if p.Line >= len(d.starts) {
		return len(d.text)
	}
	line, units := d.line(p.Line), 0
	for i, r := range line {
		units += utf16.RuneLen(r)
		if units > p.Character {
			return d.starts[p.Line] + i
		}
	}
	return d.starts[p.Line] + len(line)
}

// position returns the position of an offset.
func (d *document) position(offset int) position {
	offset = max(0, min(offset, len(d.text)))
	n := sort.SearchInts(d.starts, offset+1) - 1
	line := d.line(n)
	return position{n, units(line[:min(offset-d.starts[n], len(line))])}
}

func (d *document) span(from, to int) span { return span{d.position(from), d.position(to)} }

// units returns the length of a text in UTF-16.
func units(text string) int {
	n := 0
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		n += utf16.RuneLen(r)
		text = text[size:]
	}
	return n
}

// place converts a position of a finding. The zero position is the start of the document.
func (d *document) place(p diagnostic.Position) position {
	n := max(p.Line-1, 0)
	if n >= len(d.starts) {
		return d.position(len(d.text))
	}
	line := d.line(n)
	return position{n, units(line[:max(0, min(p.Column-1, len(line)))])}
}

func (d *document) places(r diagnostic.Range) span { return span{d.place(r.Start), d.place(r.End)} }

// pathOf returns the path of a file's URI, "" for other URIs.
func pathOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" {
		return ""
	}
	path := u.Path
	if runtime.GOOS == "windows" {
		path = strings.TrimPrefix(path, "/")
		if u.Host != "" {
			path = "//" + u.Host + "/" + path
		}
	}
	return filepath.Clean(filepath.FromSlash(path))
}

// uriOf returns the URI of a path.
func uriOf(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}
