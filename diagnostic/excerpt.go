package diagnostic

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fatih/color"
	"github.com/rivo/uniseg"
)

const (
	excerptWidth = 120 // columns of source that are shown if the width is unknown
	excerptLeast = 24  // the minimum, also on a narrow terminal
	tabWidth     = 4
	// clusterLimit is the maximum number of bytes of one character with its marks that are shown.
	clusterLimit = 48
	// columnBytes is the maximum number of bytes that a column takes in ordinary text.
	columnBytes = 8
)

// A marked is a line of source with its marked part, by offsets.
type marked struct {
	number   int
	line     []byte
	from, to int
}

// excerpt shows the source lines of a range with carets under it: of a range of more than three lines, only the
// first and the last.
func (t *textWriter) excerpt(file string, r Range, mark *color.Color) {
	lines := t.markedLines(file, r)
	if len(lines) == 0 {
		return
	}
	digits := len(strconv.Itoa(lines[len(lines)-1].number))
	width := excerptWidth
	if t.width > 0 {
		width = max(t.width-digits-len("   | "), excerptLeast)
	}
	for i, l := range lines {
		if i > 0 && l.number > lines[i-1].number+1 {
			t.out.WriteString("  " + t.faint.Sprint("...") + "\n")
		}
		before, under, after := fit(l, width)
		text := strings.TrimRight(" "+before.text+under.text+after.text, " ")
		t.out.WriteString("  " + t.faint.Sprintf("%*d |", digits, l.number) + text + "\n")
		if i == 0 || l.from < l.to {
			fmt.Fprintf(&t.out, "  %s %s%s\n", t.faint.Sprintf("%*s |", digits, ""),
				strings.Repeat(" ", before.width), mark.Sprint(strings.Repeat("^", max(1, under.width))))
		}
	}
}

// markedLines returns the lines to show for a range, none if the first is not available.
func (t *textWriter) markedLines(file string, r Range) []marked {
	if r.Start.Line < 1 {
		return nil // the whole file, which may be a pipe, so it is not opened
	}
	if line, ok := t.sources.line(file, r.Start.Line); !ok || r.Start.Column < 1 || r.Start.Column > len(line)+1 {
		return nil
	}
	switch {
	case r.End.Line < r.Start.Line || r.End.Line == r.Start.Line && r.End.Column < r.Start.Column:
		r.End = r.Start // unknown
	case r.End.Line > r.Start.Line && r.End.Column <= 1:
		r.End = Position{Line: r.End.Line - 1, Column: math.MaxInt} // it ends with the line before
	}
	var lines []marked
	for n := r.Start.Line; n <= r.End.Line; n++ {
		if n == r.Start.Line+1 && r.End.Line-r.Start.Line > 2 {
			n = r.End.Line
		}
		line, ok := t.sources.line(file, n)
		if !ok {
			break
		}
		l := marked{number: n, line: line, from: len(line) - len(bytes.TrimLeft(line, " \t")), to: len(bytes.TrimRight(line, " \t"))}
		if n == r.End.Line {
			l.to = min(len(line), r.End.Column-1)
		}
		if n == r.Start.Line {
			l.from = r.Start.Column - 1
		}
		l.to = max(l.to, l.from)
		l.snap()
		lines = append(lines, l)
	}
	return lines
}

// snap extends the marked part to whole characters.
func (l *marked) snap() {
	whole := func(i int) bool { return i <= 0 || i >= len(l.line) || utf8.RuneStart(l.line[i]) }
	for n := 0; n < utf8.UTFMax && !whole(l.from); n++ {
		l.from--
	}
	for n := 0; n < utf8.UTFMax && !whole(l.to); n++ {
		l.to++
	}
}

// A strip is text and its width in columns on a terminal.
type strip struct {
	text  string
	width int
}

// fit returns a line in three parts, cut to at most width columns with the marked one in view. "…" replaces the
// parts that are cut off.
func fit(l marked, width int) (before, under, after strip) {
	// A line can have megabytes, so only look at the part that can be shown.
	window := width * columnBytes
	low, middle, high := max(0, l.from-window), min(l.to, l.from+window), min(len(l.line), l.to+window)
	for low < l.from && !utf8.RuneStart(l.line[low]) {
		low++
	}
	b, column := strips(l.line[low:l.from], 0)
	u, column := strips(l.line[l.from:middle], column)
	a, _ := strips(l.line[l.to:high], column)
	before, under, after = join(b), join(u), join(a)
	cutB, cutU, cutA := low > 0, middle < l.to, high < len(l.line)
	if !cutB && !cutU && !cutA && before.width+under.width+after.width <= width {
		return before, under, after
	}
	// The marked part may take three quarters; both sides share the rest.
	if most := width * 3 / 4; cutU || under.width > most {
		under = join(append(first(u, most-1), strip{"…", 1}))
		after, a, cutA = strip{}, nil, false
	}
	rest := width - under.width
	left := min(before.width, rest-min(after.width, rest/2))
	if cutB || before.width > left {
		before = join(append([]strip{{"…", 1}}, last(b, left-1)...))
	}
	right := rest - before.width
	if cutA || after.width > right {
		after = join(append(first(a, right-1), strip{"…", 1}))
	}
	return before, under, after
}

// strips returns the characters of a line as shown, starting at a column, and the column after them. Tabs go to
// the next stop.
func strips(b []byte, column int) ([]strip, int) {
	var out []strip
	for state := -1; len(b) > 0; {
		var cluster []byte
		var width int
		cluster, b, width, state = uniseg.FirstGraphemeCluster(b, state)
		s := strip{string(cluster), width}
		switch printable := ""; {
		case s.text == "\t":
			s.width = tabWidth - column%tabWidth
			s.text = strings.Repeat(" ", s.width)
		case len(cluster) > clusterLimit:
			_, size := utf8.DecodeRune(cluster)
			s.text = Printable(string(cluster[:size])) + "…"
			s.width = uniseg.StringWidth(s.text)
		default:
			if printable = Printable(s.text); printable != s.text {
				s = strip{printable, uniseg.StringWidth(printable)}
			}
		}
		out = append(out, s)
		column += s.width
	}
	return out, column
}

func join(parts []strip) strip {
	var b strings.Builder
	width := 0
	for _, p := range parts {
		b.WriteString(p.text)
		width += p.width
	}
	return strip{b.String(), width}
}

// first returns the parts that fit from the start, last those from the end.
func first(parts []strip, width int) []strip {
	n := 0
	for n < len(parts) && parts[n].width <= width {
		width -= parts[n].width
		n++
	}
	return parts[:n:n]
}

func last(parts []strip, width int) []strip {
	n := len(parts)
	for n > 0 && parts[n-1].width <= width {
		n--
		width -= parts[n].width
	}
	return parts[n:]
}
