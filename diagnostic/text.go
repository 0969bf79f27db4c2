package diagnostic

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/fatih/color"
	"github.com/rivo/uniseg"
)

// WriteText writes the findings for people: the place, the message, the line with a caret under the range, and
// the remedy; then their number. Control characters are escaped, because they could disturb a terminal. It
// writes nothing if there are no findings.
//
// If there are more than opts.Max, it prefers errors to warnings, and counts the rest by code.
func WriteText(w io.Writer, l List, opts Options) error {
	if len(l) == 0 {
		return nil
	}
	opts.Prefix = ""
	t := newTextWriter(l, opts)
	shown, rest := l.split(opts.Max)
	for _, d := range shown {
		t.finding(d)
		t.out.WriteByte('\n')
	}
	if len(rest) > 0 {
		t.paragraph(0, 2, span{text: "and " + strconv.Itoa(len(rest)) + " more: " + countCodes(rest)})
		t.out.WriteByte('\n')
	}
	fmt.Fprintln(&t.out, l.Summary())
	_, err := w.Write(t.out.Bytes())
	return err
}

// split returns the findings to print, at most the given number (0 means all), and the rest. Both keep their
// order. Warnings go to the rest before errors do.
func (l List) split(most int) (shown, rest List) {
	if most <= 0 || len(l) <= most {
		return l, nil
	}
	warnings := max(0, most-l.Summary().Errors)
	for _, d := range l {
		switch {
		case len(shown) == most || d.Severity != Error && warnings == 0:
			rest = append(rest, d)
			continue
		case d.Severity != Error:
			warnings--
		}
		shown = append(shown, d)
	}
	return shown, rest
}

// countCodes counts findings by code, the most frequent first: "200
// unknown-placeholder, 31 type".
func countCodes(l List) string {
	counts := map[string]int{}
	for _, d := range l {
		counts[d.Code]++
	}
	codes := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for i, code := range codes {
		codes[i] = strconv.Itoa(counts[code]) + " " + Printable(code)
	}
	return strings.Join(codes, ", ")
}

// Plural counts a noun: "1 error", "2 errors".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// String returns the summary in words: "2 errors, 1 warning".
func (s Summary) String() string {
	if s.Warnings == 0 {
		return Plural(s.Errors, "error")
	}
	return Plural(s.Errors, "error") + ", " + Plural(s.Warnings, "warning")
}

// textWriter renders findings into out.
type textWriter struct {
	out                           bytes.Buffer
	opts                          Options
	width                         int // 0 means no wrapping
	sources                       *sources
	secret                        map[string]List // the confidential findings of each file
	bold, faint, red, yellow, hue *color.Color
}

// newTextWriter returns a writer for findings in l.
func newTextWriter(l List, opts Options) *textWriter {
	t := &textWriter{
		opts: opts, width: opts.Width, sources: newSources(opts.Source), secret: map[string]List{},
		bold: color.New(color.Bold), faint: color.New(color.Faint),
		red: color.New(color.FgRed, color.Bold), yellow: color.New(color.FgYellow, color.Bold), hue: color.New(color.FgCyan),
	}
	for _, c := range []*color.Color{t.bold, t.faint, t.red, t.yellow, t.hue} {
		if opts.Color {
			c.EnableColor()
		} else {
			c.DisableColor()
		}
	}
	for _, d := range l {
		if d.Confidential {
			t.secret[d.File] = append(t.secret[d.File], d)
		}
	}
	return t
}

// finding writes one finding, without the empty line after it.
func (t *textWriter) finding(d Diagnostic) {
	severity := t.red
	if d.Severity != Error {
		severity = t.yellow
	}
	var head []span
	if place := t.place(d.File, d.Range); place != "" {
		head = append(head, span{place + ":", t.bold})
	}
	t.paragraph(0, 4, append(head, span{Printable(string(d.Severity)) + ":", severity},
		span{Printable(d.Message), nil}, span{"[" + Printable(d.Code) + "]", t.faint})...)
	if !t.hidden(d) {
		t.excerpt(d.File, d.Range, severity)
	}
	if d.Path != "" {
		t.paragraph(2, 6, span{"at:", t.faint}, span{Printable(d.Path), nil})
	}
	for _, r := range d.Related {
		see := []span{{"see:", t.faint}}
		if place := t.place(r.File, r.Range); place != "" {
			see = append(see, span{place + ":", nil})
		}
		t.paragraph(2, 7, append(see, span{Printable(r.Message), nil})...)
	}
	if d.Help != "" {
		t.paragraph(2, 8, span{"help:", t.hue}, span{Printable(d.Help), nil})
	}
}

// hidden reports whether a finding's source must not be shown: it is confidential, or shares a line with a
// confidential finding.
func (t *textWriter) hidden(d Diagnostic) bool {
	for _, s := range t.secret[d.File] {
		whole := s.Range.Start.Line == 0
		if whole || s.Range.Start.Line <= max(d.Range.End.Line, d.Range.Start.Line) && d.Range.Start.Line <= max(s.Range.End.Line, s.Range.Start.Line) {
			return true
		}
	}
	return d.Confidential
}

func (t *textWriter) place(file string, r Range) string { return placeOf(t.opts.file(file), r) }

// placeOf returns "file:line:column", as far as it is known.
func placeOf(file string, r Range) string {
	switch {
	case r.Start.Line == 0:
		return Printable(file)
	case r.Start.Column == 0:
		return fmt.Sprintf("%s:%d", Printable(file), r.Start.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", Printable(file), r.Start.Line, r.Start.Column)
	}
}

// A span is text in a style; a nil style is plain.
type span struct {
	text  string
	style *color.Color
}

// paragraph writes spans with spaces between them, wrapped between words to the terminal's width. The first
// line is indented by indent, the others by hang. A word is never broken, so that a path can be copied.
func (t *textWriter) paragraph(indent, hang int, spans ...span) {
	t.out.WriteString(strings.Repeat(" ", indent))
	column, start := indent, true
	for _, s := range spans {
		var line []string // the words of the span on this line
		flush := func() {
			if text := strings.Join(line, " "); s.style != nil && text != "" {
				t.out.WriteString(s.style.Sprint(text))
			} else {
				t.out.WriteString(text)
			}
			line = nil
		}
		for word := range strings.SplitSeq(s.text, " ") {
			width := uniseg.StringWidth(word)
			switch {
			case start:
			case t.width > 0 && column+1+width > t.width:
				flush()
				t.out.WriteString("\n" + strings.Repeat(" ", hang))
				column = hang
			default:
				if line == nil {
					t.out.WriteByte(' ')
				}
				column++
			}
			start = false
			column += width
			line = append(line, word)
		}
		flush()
	}
	t.out.WriteByte('\n')
}
