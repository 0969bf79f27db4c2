package review

import (
	"fmt"
	"io"
	"strings"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// CommentLimit is how long [Markdown] gets at most, in bytes. GitHub takes comments of 65,536
// characters, which are never more than the bytes; the rest is for words of the job that writes
// the comment, such as the commit.
const CommentLimit = 65536 - 1024

// markdownBody is how many lines of one change are written.
const markdownBody = 200

// Markdown writes a plan as a comment on a pull request, of at most [CommentLimit] bytes. It
// begins with a line that nobody sees, by which the comment of the same project and target
// can be found again. Details are folded. What does not fit is left out and counted: details
// first, then changes.
func Markdown(w io.Writer, p *sync.Plan) error {
	r := New(p)
	target := diagnostic.Printable(p.Target)
	var head strings.Builder
	fmt.Fprintf(&head, "<!-- segue plan: %s on %s -->\n", commentText(p.Project), commentText(p.Target))
	if p.Empty() {
		fmt.Fprintf(&head, "### segue plan for %s: no changes\n", code(target))
	} else {
		fmt.Fprintf(&head, "### segue plan for %s: %s\n", code(target), summary(p))
	}
	notices := noticesOf(p, TextOptions{Full: true})
	const roomForNotices = CommentLimit / 4
	if len(notices) > 0 {
		kept, left := firstLines(notices, roomForNotices)
		if left > 0 {
			kept = append(kept, "… "+diagnostic.Plural(left, "more line"))
		}
		head.WriteString("\n" + fenced("text", kept))
	}
	if len(p.Secrets) > 0 {
		var lines []string
		for _, s := range p.Secrets {
			lines = append(lines, fmt.Sprintf("%s secret %s: %s", s.Action, diagnostic.Printable(s.Name), diagnostic.Printable(usedBy(s))))
		}
		kept, left := firstLines(lines, roomForNotices)
		if left > 0 {
			kept = append(kept, "… "+diagnostic.Plural(left, "more secret"))
		}
		head.WriteString("\n" + fenced("text", kept))
	}
	_, err := io.WriteString(w, head.String()+"\n"+fitted(r.Changes, CommentLimit-head.Len()-1))
	return err
}

// commentText is a name within an HTML comment, which nothing in it can end.
func commentText(s string) string {
	return strings.NewReplacer(">", "", "<", "", "--", "- -").Replace(diagnostic.Printable(s))
}

// noticesOf are the lines in front of the changes, with those that a terminal gets as
// errors or beside the plan.
func noticesOf(p *sync.Plan, o TextOptions) []string {
	t := newText(o)
	t.notices(p)
	for _, r := range p.Renames {
		t.warn(rename(r))
	}
	for _, b := range p.Blocks {
		t.warn("apply refuses this plan: " + b.String())
	}
	if p.SecretsUnknown {
		t.warn("the plan was made without the values of secrets: whether one would be rotated is not known")
	}
	t.altered(p.Altered)
	if p.Empty() {
		t.line(0, diagnostic.Printable(nothingToDo(p)))
	}
	return nonEmpty(t.out.String())
}

func nonEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// firstLines are those that fit into so many bytes, and how many do not.
func firstLines(lines []string, room int) ([]string, int) {
	for i, l := range lines {
		if room -= len(l) + 1; room < 0 {
			return lines[:i:i], len(lines) - i
		}
	}
	return lines, 0
}

// fitted writes as many changes as fit into so many bytes: with their details as long as
// that leaves room for a line about each of the others, then without, and at the end how
// many are left out.
func fitted(changes []Change, room int) string {
	const note = 200 // is more than any of the sentences at the end takes
	room -= note
	short := make([]string, len(changes))
	rest := 0
	for i, c := range changes {
		short[i] = "- " + title(c) + "\n"
		rest += len(short[i])
	}
	var b strings.Builder
	bare, left := 0, 0
	for i, c := range changes {
		rest -= len(short[i])
		whole := details(c)
		switch {
		case left == 0 && b.Len()+len(whole)+rest <= room:
			b.WriteString(whole)
		case left == 0 && b.Len()+len(short[i]) <= room:
			bare++
			b.WriteString(short[i])
		default:
			left++
		}
	}
	switch {
	case left > 0:
		fmt.Fprintf(&b, "\n**%s left out, and the details of %d**: a comment has room for %d characters. `segue plan --full` shows all.\n",
			diagnostic.Plural(left, "change")+isAre(left), bare, CommentLimit)
	case bare > 0:
		fmt.Fprintf(&b, "\n**The details of %s left out**: a comment has room for %d characters. `segue plan --full` shows all.\n",
			diagnostic.Plural(bare, "change")+isAre(bare), CommentLimit)
	}
	return b.String()
}

func isAre(n int) string {
	if n == 1 {
		return " is"
	}
	return " are"
}

// title is one line about a change.
func title(c Change) string {
	sign := map[sync.Action]string{sync.Create: "➕", sync.Update: "✏️", sync.Delete: "🗑️"}[c.Action]
	text := fmt.Sprintf("%s %s %s", sign, c.Action, code(c.Key))
	if c.Reason != "" {
		text += ": " + escaped(c.Reason)
	}
	if c.Refused != "" {
		text += " <b>(refused)</b>"
	}
	return text
}

// details is a change with its title, folded.
func details(c Change) string {
	body := diffLines(c)
	if len(body) == 0 {
		return "- " + title(c) + "\n"
	}
	if len(body) > markdownBody+1 {
		body = append(body[:markdownBody:markdownBody], "  … "+diagnostic.Plural(len(body)-markdownBody, "more line"))
	}
	return "<details><summary>" + title(c) + "</summary>\n\n" + fenced("diff", body) + "\n</details>\n"
}

// diffLines are the lines of a change as GitHub colours them: by their first character.
func diffLines(c Change) []string {
	var lines []string
	add := func(sign, text string) { lines = append(lines, sign+" "+text) }
	if c.Refused != "" {
		add("!", "refused: "+c.Refused)
	}
	sign := map[sync.Action]string{sync.Create: "+", sync.Delete: "-"}[c.Action]
	for _, f := range c.Facts {
		add(sign, f.Name+": "+f.Value)
	}
	if len(c.Payload) > 0 {
		add(sign, "payload:")
		for _, l := range c.Payload {
			add(sign, "  "+l)
		}
	}
	var field func(level int, f Field)
	field = func(level int, f Field) {
		in := strings.Repeat("  ", level)
		place := ""
		if f.Place != "" {
			place = "  # " + f.Place
		}
		add(" ", in+f.Path+":"+place)
		for _, inner := range f.Fields {
			field(level+1, inner)
		}
		for _, l := range f.Lines {
			add(strings.Replace(string(l.Sign), string(Skip), " ", 1), in+"  "+skipMark(l)+l.Text())
		}
		if len(f.Fields)+len(f.Lines) == 0 {
			if !f.Added {
				add("-", in+"  "+or(f.Before))
			}
			if !f.Removed {
				add("+", in+"  "+or(f.After))
			}
		}
		if f.Note != "" {
			add("!", in+"  they look alike: "+f.Note)
		}
	}
	for _, f := range c.Fields {
		field(0, f)
	}
	if c.Moves != "" {
		add("!", c.Moves)
	}
	return lines
}

func skipMark(l Line) string {
	if l.Sign == Skip {
		return "… "
	}
	return ""
}

// fenced is a block of lines that no line of it can end.
func fenced(language string, lines []string) string {
	longest := 2
	for _, l := range lines {
		run := 0
		for _, r := range l {
			if r != '`' {
				run = 0
				continue
			}
			run++
			longest = max(longest, run)
		}
	}
	fence := strings.Repeat("`", longest+1)
	return fence + language + "\n" + strings.Join(lines, "\n") + "\n" + fence + "\n"
}

// code is a piece of text in which nothing is markup.
func code(s string) string { return "<code>" + escaped(s) + "</code>" }

// escaped has entities for all that Markdown or HTML could take for markup or a link, and
// for what would mention somebody.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\\`*_{}[]<>&\"'#!|~@:", r) {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
