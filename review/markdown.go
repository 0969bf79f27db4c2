package review

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// CommentLimit is the maximum length of [Markdown], in bytes. GitHub allows 65,536 characters in a
// comment, which are never more than the bytes; the rest is for the text of the job that writes
// the comment, such as the commit.
const CommentLimit = 65536 - 1024

// markdownBody is the maximum number of lines per change.
const markdownBody = 200

// Markdown writes the plans of a project, one for each target, as a comment on a pull
// request, of at most [CommentLimit] bytes. It begins with an invisible line that identifies
// the comment of the same project and targets. Details are folded. If there is too little
// room, it leaves out and counts details first, then changes.
func Markdown(w io.Writer, plans ...*sync.Plan) error {
	if len(plans) == 0 {
		return nil
	}
	targets := make([]string, len(plans))
	for i, p := range plans {
		targets[i] = commentText(p.Target)
	}
	text := fmt.Sprintf("<!-- segue plan: %s on %s -->\n", commentText(plans[0].Project), strings.Join(targets, ", "))
	sections := make([]string, len(plans))
	all := CommentLimit - len(text) - len(plans)
	for i, p := range plans {
		sections[i] = section(p, all)
	}
	// Sections that need less than their share leave more room for the others.
	order := make([]int, len(plans))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(sections[a]) - len(sections[b]) })
	for n, i := range order {
		if share := all / (len(plans) - n); len(sections[i]) > share {
			sections[i] = section(plans[i], share)
		}
		all -= len(sections[i])
	}
	_, err := io.WriteString(w, text+strings.Join(sections, "\n"))
	return err
}

// section returns one plan in at most room bytes.
func section(p *sync.Plan, room int) string {
	r := New(p)
	target := diagnostic.Printable(p.Target)
	var head strings.Builder
	if p.Empty() {
		fmt.Fprintf(&head, "### segue plan for %s: no changes\n", code(target))
	} else {
		fmt.Fprintf(&head, "### segue plan for %s: %s\n", code(target), summary(p))
	}
	notices := noticesOf(p, TextOptions{Full: true})
	roomForNotices := room / 4
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
	return head.String() + "\n" + fitted(together(r.Changes), room-head.Len()-1)
}

// commentText returns a name for an HTML comment, which it can't end.
func commentText(s string) string {
	return strings.NewReplacer(">", "", "<", "", "--", "- -").Replace(diagnostic.Printable(s))
}

// noticesOf returns the lines before the changes, including those that a terminal
// shows as errors or beside the plan.
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
		t.warn("the plan was made without the values of secrets: it is unknown whether one would be rotated")
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

// firstLines returns the lines that fit into room bytes, and the number of
// those that do not.
func firstLines(lines []string, room int) ([]string, int) {
	for i, l := range lines {
		if room -= len(l) + 1; room < 0 {
			return lines[:i:i], len(lines) - i
		}
	}
	return lines, 0
}

// fitted writes as many changes as fit into room bytes. It includes details as long as
// there is room for a line about each of the other changes, and ends with the number of
// changes left out.
func fitted(changes []Change, room int) string {
	const note = 200 // more than any of the final sentences needs
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
			bare += 1 + len(c.Others)
			b.WriteString(short[i])
		default:
			left += 1 + len(c.Others)
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

// title returns one line about a change.
func title(c Change) string {
	sign := map[sync.Action]string{sync.Create: "➕", sync.Update: "✏️", sync.Delete: "🗑️"}[c.Action]
	text := fmt.Sprintf("%s %s %s", sign, c.Action, code(c.Key)) + strings.TrimPrefix(c.subject(), c.Key)
	if c.Reason != "" {
		text += ": " + escaped(c.Reason)
	}
	if c.Refused != "" {
		text += " <b>(refused)</b>"
	}
	return text
}

// details returns a change with its title, folded.
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

// diffLines returns the lines of a change. GitHub colors them by their first character.
func diffLines(c Change) []string {
	var lines []string
	add := func(sign, text string) { lines = append(lines, sign+" "+text) }
	if c.Refused != "" {
		add("!", "refused: "+c.Refused)
	}
	if others := c.others(); others != "" {
		add(" ", others)
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

// fenced returns a block of lines that none of its lines can end.
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

// code returns a string as code, without markup.
func code(s string) string { return "<code>" + escaped(s) + "</code>" }

// escaped replaces with entities all characters that could be markup, links or mentions
// in Markdown or HTML.
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
