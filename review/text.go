package review

import (
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"
	"github.com/rivo/uniseg"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// TextOptions control how a plan is written as text.
type TextOptions struct {
	Color bool
	// Width is the width of the terminal in columns; 0 means no limit.
	Width int
	// Full shows long bodies in full. Otherwise they are folded, with the number of
	// hidden lines.
	Full bool
}

const (
	// usualWidth is the maximum length of a payload on one line if the width is
	// unlimited.
	usualWidth = 100
	// mostLines is the number of lines shown of a body unless Full is set.
	mostLines = 16
	// manyChanges is the number of created and deleted automations from which each
	// one is shown in a few lines, unless Full is set.
	manyChanges = 30
)

// Text writes a plan for people at a terminal.
func Text(w io.Writer, p *sync.Plan, o TextOptions) error {
	t := newText(o)
	t.notices(p)
	t.altered(p.Altered)
	if p.Empty() {
		t.line(0, diagnostic.Printable(nothingToDo(p)))
		return t.flush(w)
	}
	r := New(p)
	for _, c := range together(r.Changes) {
		t.change(c, p.Count(sync.Create)+p.Count(sync.Delete) >= manyChanges)
	}
	for _, r := range p.Renames {
		t.warn(rename(r))
	}
	for _, s := range p.Secrets {
		t.head(s.Action, "secret "+diagnostic.Printable(s.Name), diagnostic.Printable(usedBy(s)))
	}
	fmt.Fprintf(&t.out, "\nPlan for %s: %s.\n", diagnostic.Printable(p.Target), summary(p))
	if t.folded && !o.Full {
		t.line(0, t.faint.Sprint("Some values are folded; --full shows all of them."))
	}
	return t.flush(w)
}

// Deletions writes a line for each automation and each secret that a plan deletes.
func Deletions(w io.Writer, p *sync.Plan, o TextOptions) error {
	t := newText(o)
	for _, c := range p.Changes {
		t.head(c.Action, diagnostic.Printable(c.Key), diagnostic.Printable(fmt.Sprintf("%q", c.Name)+baseText(c.Base)))
	}
	for _, s := range p.Secrets {
		t.head(s.Action, "secret "+diagnostic.Printable(s.Name), "")
	}
	return t.flush(w)
}

// Altered writes how the platform has changed automations, and suggests how to write
// them instead.
func Altered(w io.Writer, altered []sync.Altered, o TextOptions) error {
	t := newText(o)
	t.altered(altered)
	return t.flush(w)
}

// The type text writes a plan for a terminal.
type text struct {
	TextOptions
	out                       strings.Builder
	folded                    bool
	red, green, yellow, faint *color.Color
}

func newText(o TextOptions) *text {
	t := &text{TextOptions: o, red: color.New(color.FgRed), green: color.New(color.FgGreen),
		yellow: color.New(color.FgYellow), faint: color.New(color.Faint)}
	for _, c := range []*color.Color{t.red, t.green, t.yellow, t.faint} {
		if o.Color {
			c.EnableColor()
		} else {
			c.DisableColor()
		}
	}
	return t
}

func (t *text) flush(w io.Writer) error {
	_, err := io.WriteString(w, t.out.String())
	return err
}

// line writes a line indented by this number of levels.
func (t *text) line(level int, text string) {
	t.out.WriteString(strings.Repeat("    ", level) + text + "\n")
}

// notices writes notes for the reader besides the changes.
func (t *text) notices(p *sync.Plan) {
	target := diagnostic.Printable(p.Target)
	if p.Product != "" {
		t.line(0, t.faint.Sprint(target+" is "+diagnostic.Printable(p.Product)+"."))
	}
	if only := restriction(p); only != "" {
		t.line(0, t.faint.Sprint(diagnostic.Printable(only)))
	}
	for _, key := range p.Orphaned {
		t.line(0, diagnostic.Printable(key)+" is gone from the code but stays on "+target+", which does not prune.")
	}
	for _, key := range p.Elsewhere {
		t.line(0, diagnostic.Printable(key)+" is only for other targets but stays on "+target+", which does not prune.")
	}
	for _, w := range p.Warnings {
		t.warn(w)
	}
	for _, o := range p.Others {
		t.warn(bystander(o))
	}
}

func (t *text) warn(sentence string) {
	t.line(0, t.yellow.Sprint("!")+" "+diagnostic.Printable(sentence)+".")
}

func (t *text) altered(altered []sync.Altered) {
	for _, a := range altered {
		t.warn(a.Key + ": the platform stores it in another form than the code. Nobody has edited it there")
		for _, d := range a.Differences {
			code, made := or(line(d.After)), or(line(d.Before))
			if before, ok := stringIn(d.Before); ok {
				if after, ok := stringIn(d.After); ok && lookAlike(before, after) {
					code, made = ascii(code), ascii(made)
				}
			}
			write := "write " + made + " in the code, or something that the platform keeps"
			if d.Before == nil {
				write = "the platform drops it: leave it out, or write something that the platform keeps"
			}
			if d.After == nil {
				write = "the platform adds it: write " + made + " in the code too"
			}
			t.line(1, fmt.Sprintf("%s: the code has %s, the platform stores %s; %s%s",
				diagnostic.Printable(d.Path), code, made, write, t.place(placeText(d.Place))))
		}
	}
}

// or returns a value, or a word for no value.
func or(value string) string {
	if value == "" {
		return "(none)"
	}
	return value
}

// head writes the first line of a change: "~ update growth/trial: the code has changed".
func (t *text) head(a sync.Action, subject, reason string) {
	sign := t.yellow.Sprint("~")
	switch a {
	case sync.Create:
		sign = t.green.Sprint("+")
	case sync.Delete:
		sign = t.red.Sprint("-")
	}
	if reason != "" {
		reason = t.faint.Sprint(": " + reason)
	}
	t.line(0, fmt.Sprintf("%s %s %s%s", sign, a, subject, reason))
}

// change writes a change. If many create or delete, each gets only a few lines.
func (t *text) change(c Change, many bool) {
	t.head(c.Action, c.subject(), c.Reason)
	t.others(c)
	if c.Refused != "" {
		t.line(1, t.red.Sprint("refused:")+" "+c.Refused)
	}
	for _, f := range c.Facts {
		t.line(1, t.cut(4, t.faint.Sprint(f.Name+":")+" "+f.Value, f.Name+": "+f.Value))
	}
	t.payload(c, many)
	for _, f := range c.Fields {
		t.field(1, f)
	}
	if c.Moves != "" {
		t.line(1, t.yellow.Sprint("!")+" "+c.Moves)
	}
}

// others writes the further automations of a change.
func (t *text) others(c Change) {
	if text := c.others(); text != "" {
		t.line(1, t.cut(4, text, text))
	}
}

// payload writes the payload of an automation that is created or deleted.
func (t *text) payload(c Change, many bool) {
	if c.Short == "" {
		return
	}
	width := t.Width
	if width == 0 {
		width = usualWidth
	}
	short := "payload: " + c.Short
	switch {
	case uniseg.StringWidth(short)+4 <= width:
		t.line(1, t.faint.Sprint("payload:")+" "+c.Short)
	case many && !t.Full:
		t.folded = true
		t.line(1, t.faint.Sprint("payload:")+" "+shorten(c.Short, width-len("payload: ")-4))
	default:
		t.line(1, t.faint.Sprint("payload:"))
		t.body(c.Payload)
	}
}

// body writes the lines of a body, folded if there are many.
func (t *text) body(lines []string) {
	shown := t.fold(len(lines))
	for _, l := range lines[:shown] {
		t.line(2, t.cut(8, l, l))
	}
	t.more(2, len(lines)-shown)
}

// fold returns how many of these lines are shown.
func (t *text) fold(lines int) int {
	if t.Full || lines <= mostLines+1 {
		return lines
	}
	return mostLines
}

// more writes the number of lines that are not shown.
func (t *text) more(level, lines int) {
	if lines > 0 {
		t.folded = true
		t.line(level, t.faint.Sprint("… "+diagnostic.Plural(lines, "more line")))
	}
}

// field writes a field with its old and new value.
func (t *text) field(level int, f Field) {
	switch {
	case len(f.Fields) > 0:
		t.line(level, f.Path+", in its JSON:"+t.place(f.Place))
		for _, inner := range f.Fields {
			t.field(level+1, inner)
		}
	case len(f.Lines) > 0:
		t.line(level, f.Path+":"+t.place(f.Place))
		shown := t.fold(len(f.Lines))
		for _, l := range f.Lines[:shown] {
			t.compared(level+1, l)
		}
		t.more(level+1, len(f.Lines)-shown)
	default:
		before, after := or(f.Before), or(f.After)
		whole := fmt.Sprintf("%s: %s → %s", f.Path, before, after)
		if t.Width == 0 || 4*level+uniseg.StringWidth(whole) <= t.Width {
			t.line(level, fmt.Sprintf("%s: %s → %s%s", f.Path, t.red.Sprint(before), t.green.Sprint(after), t.place(f.Place)))
			break
		}
		t.line(level, f.Path+":"+t.place(f.Place))
		t.compared(level+1, Line{Minus, []Part{{Text: before}}})
		t.compared(level+1, Line{Plus, []Part{{Text: after}}})
	}
	if f.Note != "" {
		t.line(level+1, t.yellow.Sprint("they look alike")+": "+f.Note)
	}
}

// place returns the suffix with a place in the code.
func (t *text) place(place string) string {
	if place == "" {
		return ""
	}
	return t.faint.Sprint("  # " + place)
}

// compared writes a line of a comparison. It shortens a line that is too long around the
// changed parts.
func (t *text) compared(level int, l Line) {
	c := t.faint
	switch l.Sign {
	case Minus:
		c = t.red
	case Plus:
		c = t.green
	case Same:
		c = nil
	}
	parts := l.Parts
	if room := t.Width - 4*level - 2; t.Width > 0 && !t.Full && uniseg.StringWidth(l.Text()) > room {
		t.folded = true
		parts = narrowed(parts, max(room, leastWidth))
	}
	var b strings.Builder
	for _, p := range parts {
		switch {
		case c == nil:
			b.WriteString(p.Text)
		case p.Marked && t.Color:
			bold := color.New(color.Bold, color.Underline)
			bold.EnableColor()
			b.WriteString(c.Sprint(bold.Sprint(p.Text)))
		default:
			b.WriteString(c.Sprint(p.Text))
		}
	}
	sign := string(l.Sign)
	if c != nil {
		sign = c.Sprint(sign)
	}
	t.line(level, sign+" "+b.String())
}

// leastWidth is the minimum number of columns shown of a line.
const leastWidth = 20

// narrowed cuts the parts of a line to a width: first the equal parts, in their middle
// or at the ends of the line, and then the changed ones.
func narrowed(parts []Part, width int) []Part {
	const around = 12
	var out []Part
	for i, p := range parts {
		marked := p.Marked || len(parts) == 1
		text := p.Text
		chars := graphemes(text)
		if !marked && len(chars) > 2*around+1 {
			head, tail := strings.Join(chars[:around], ""), strings.Join(chars[len(chars)-around:], "")
			switch {
			case i == 0:
				text = "…" + tail
			case i == len(parts)-1:
				text = head + "…"
			default:
				text = head + "…" + tail
			}
		}
		out = append(out, Part{text, p.Marked})
	}
	for i := range out {
		out[i].Text = shorten(out[i].Text, width)
		if width -= uniseg.StringWidth(out[i].Text); width <= 1 {
			return out[:i+1]
		}
	}
	return out
}

// cut shortens a line that is too long. plain is the line without colors.
func (t *text) cut(indent int, line, plain string) string {
	if t.Width == 0 || t.Full || indent+uniseg.StringWidth(plain) <= t.Width {
		return line
	}
	t.folded = true
	return shorten(plain, max(t.Width-indent, leastWidth))
}

// shorten cuts a string to a width in columns, with an ellipsis at its end.
func shorten(s string, width int) string {
	if uniseg.StringWidth(s) <= width {
		return s
	}
	var b strings.Builder
	used := 0
	for _, c := range graphemes(s) {
		if used += uniseg.StringWidth(c); used > width-1 {
			break
		}
		b.WriteString(c)
	}
	return b.String() + "…"
}
