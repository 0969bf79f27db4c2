package diagnostic

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fatih/color"
)

// TextOptions says how findings are shown to people.
type TextOptions struct {
	// Color switches terminal colours on.
	Color bool
	// Source returns a file's content, so that the offending line can be shown.
	// Nil, or an error, leaves the line out.
	Source func(file string) ([]byte, error)
}

// WriteText writes the findings for people: the place, what is wrong, the line
// with a caret under the range, and the remedy. Control characters, which could
// disturb a terminal, are shown escaped.
func WriteText(w io.Writer, l List, opts TextOptions) error {
	t := newTextWriter(opts)
	for i, d := range l {
		if i > 0 {
			t.out.WriteByte('\n')
		}
		t.write(d)
	}
	_, err := w.Write(t.out.Bytes())
	return err
}

// Plural counts a noun: "1 error", "2 errors".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// String is the summary in words: "2 errors, 1 warning".
func (s Summary) String() string {
	if s.Warnings == 0 {
		return Plural(s.Errors, "error")
	}
	return Plural(s.Errors, "error") + ", " + Plural(s.Warnings, "warning")
}

// textWriter renders findings into out.
type textWriter struct {
	out                           bytes.Buffer
	source                        func(string) ([]byte, error)
	bold, faint, red, yellow, hue *color.Color
	file                          string // the file whose lines are in lines
	lines                         [][]byte
}

func newTextWriter(opts TextOptions) *textWriter {
	t := &textWriter{
		source: opts.Source,
		bold:   color.New(color.Bold), faint: color.New(color.Faint),
		red: color.New(color.FgRed, color.Bold), yellow: color.New(color.FgYellow, color.Bold), hue: color.New(color.FgCyan),
	}
	for _, c := range []*color.Color{t.bold, t.faint, t.red, t.yellow, t.hue} {
		if opts.Color {
			c.EnableColor()
		} else {
			c.DisableColor()
		}
	}
	return t
}

func (t *textWriter) write(d Diagnostic) {
	if place := placeOf(d.File, d.Range); place != "" {
		t.out.WriteString(t.bold.Sprint(place) + ": ")
	}
	severity := t.red
	if d.Severity == Warning {
		severity = t.yellow
	}
	fmt.Fprintf(&t.out, "%s %s %s\n", severity.Sprint(string(d.Severity)+":"), Printable(d.Message), t.faint.Sprint("["+d.Code+"]"))
	if !d.Confidential {
		t.excerpt(d.File, d.Range, severity)
	}
	if d.Path != "" {
		fmt.Fprintf(&t.out, "  %s %s\n", t.faint.Sprint("at:"), Printable(d.Path))
	}
	for _, r := range d.Related {
		fmt.Fprintf(&t.out, "  %s %s: %s\n", t.faint.Sprint("see:"), placeOf(r.File, r.Range), Printable(r.Message))
	}
	if d.Help != "" {
		fmt.Fprintf(&t.out, "  %s %s\n", t.hue.Sprint("help:"), Printable(d.Help))
	}
}

// placeOf returns "file:line:column", as much of it as is known.
func placeOf(file string, r Range) string {
	if r.Start.Line == 0 {
		return Printable(file)
	}
	return fmt.Sprintf("%s:%d:%d", Printable(file), r.Start.Line, r.Start.Column)
}

// excerptWidth is how much of a line is shown, in characters.
const excerptWidth = 120

// excerpt shows the range's first line with a caret under what the range covers.
func (t *textWriter) excerpt(file string, r Range, mark *color.Color) {
	line := t.line(file, r.Start.Line)
	if line == nil || r.Start.Column < 1 || r.Start.Column > len(line)+1 {
		return
	}
	from, to := r.Start.Column-1, len(line)
	if r.End.Line == r.Start.Line {
		to = min(to, max(r.End.Column-1, from))
	}
	before, marked, after := Printable(untab(line[:from])), Printable(untab(line[from:to])), Printable(untab(line[to:]))
	// A long line is cut so that the marked part stays in view.
	if n := utf8.RuneCountInString(before); n > excerptWidth/2 {
		before = "…" + string([]rune(before)[n-excerptWidth/2:])
	}
	marked = cut(marked, excerptWidth)
	after = cut(after, max(0, excerptWidth-utf8.RuneCountInString(before)-utf8.RuneCountInString(marked)))
	number := strconv.Itoa(r.Start.Line)
	gutter := strings.Repeat(" ", len(number))
	fmt.Fprintf(&t.out, "  %s %s%s%s\n", t.faint.Sprint(number+" |"), before, marked, after)
	fmt.Fprintf(&t.out, "  %s %s%s\n", t.faint.Sprint(gutter+" |"), strings.Repeat(" ", utf8.RuneCountInString(before)),
		mark.Sprint(strings.Repeat("^", max(1, utf8.RuneCountInString(marked)))))
}

// line returns a line of a file, nil if it can't be had.
func (t *textWriter) line(file string, number int) []byte {
	if t.source == nil || file == "" || number < 1 {
		return nil
	}
	if t.file != file {
		content, err := t.source(file)
		if err != nil {
			return nil
		}
		t.file, t.lines = file, bytes.Split(content, []byte("\n"))
	}
	if number > len(t.lines) {
		return nil
	}
	return bytes.TrimSuffix(t.lines[number-1], []byte("\r"))
}

func untab(b []byte) string { return strings.ReplaceAll(string(b), "\t", "    ") }

func cut(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width]) + "…"
	}
	return s
}

// Printable returns s with every character that a terminal could take for a
// command, or that is not valid UTF-8, written as an escape.
func Printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if r == utf8.RuneError || unprintable(r) {
			_, size := utf8.DecodeRuneInString(s[i:])
			quoted := strconv.Quote(s[i : i+size])
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unprintable(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }
