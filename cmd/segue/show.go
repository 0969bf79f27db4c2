package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fatih/color"
	"golang.org/x/text/unicode/norm"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// showPlan prints a plan for people.
func (t *terminal) showPlan(p *sync.Plan) {
	if p.Product != "" {
		t.printf("%s\n", t.faint(fmt.Sprintf("%s is %s.", diagnostic.Printable(p.Target), diagnostic.Printable(p.Product))))
	}
	if len(p.Only) > 0 {
		t.printf("%s\n", t.faint(fmt.Sprintf("Only %s; left as they are on %s: %s.", diagnostic.Printable(strings.Join(p.Only, ", ")),
			diagnostic.Printable(p.Target), diagnostic.Plural(p.LeftOut, "automation"))))
	}
	for _, key := range p.Orphaned {
		t.printf("%s is gone from the code and stays on %s, which does not prune.\n", diagnostic.Printable(key), diagnostic.Printable(p.Target))
	}
	for _, w := range p.Warnings {
		t.printf("%s %s.\n", t.warning(), diagnostic.Printable(w))
	}
	for _, o := range p.Others {
		t.printf("%s %s.\n", t.warning(), diagnostic.Printable(bystanderText(o)))
	}
	t.showAltered(p.Altered)
	if p.Empty() {
		if len(p.Altered) == 0 {
			t.printf("No changes: %s is as the code wants it (%s).\n", diagnostic.Printable(p.Target), diagnostic.Plural(len(p.Unchanged), "automation"))
		} else {
			t.printf("No changes that would help: %s stored as the code says on %s, %d are.\n",
				notAre(len(p.Altered)), diagnostic.Printable(p.Target), len(p.Unchanged))
		}
		return
	}
	for _, c := range p.Changes {
		t.showChange(c.Action, diagnostic.Printable(c.Key), diagnostic.Printable(reasonText(c)))
		if c.Taken != nil {
			t.printf("    %s %s\n", t.refusal(), diagnostic.Printable(takenText(*c.Taken)))
		}
		t.showDifferences(c.Differences)
		if c.Address != nil {
			t.printf("    %s its webhook moves: %s → %s\n", t.warning(), diagnostic.Printable(c.Address.Before), diagnostic.Printable(c.Address.After))
		}
	}
	for _, r := range p.Renames {
		t.printf("%s %s is gone and %s is new, with the same content. If only the name has changed, write `%s` into segue.cue: identifiers and history are kept.\n",
			t.warning(), diagnostic.Printable(r.From), diagnostic.Printable(r.To), diagnostic.Printable(r.Line()))
	}
	for _, s := range p.Secrets {
		t.showChange(s.Action, "secret "+diagnostic.Printable(s.Name), usedBy(s))
	}
	t.printf("\nPlan for %s: %d to create, %d to update, %d to delete, %d unchanged%s.\n", diagnostic.Printable(p.Target),
		p.Count(sync.Create), p.Count(sync.Update), p.Count(sync.Delete), len(p.Unchanged), secretCount(len(p.Secrets), " to change"))
}

// showDifferences prints fields with their old and new values.
func (t *terminal) showDifferences(differences []sync.Difference) {
	for _, d := range differences {
		before, after := unlike(jsonText(d.Before), jsonText(d.After))
		t.printf("    %s: %s → %s\n", diagnostic.Printable(d.Path), before, after)
	}
}

// showAltered prints what the platform has made of automations, and what to write
// instead.
func (t *terminal) showAltered(altered []sync.Altered) {
	for _, a := range altered {
		t.printf("%s %s: the platform stores it in another form than the code has. Nobody has edited it there.\n", t.warning(), diagnostic.Printable(a.Key))
		for _, d := range a.Differences {
			code, made := unlike(jsonText(d.After), jsonText(d.Before))
			write := "write " + made + " in the code, or something that the platform keeps"
			if d.Before == nil {
				write = "the platform drops it: leave it out, or write something that the platform keeps"
			}
			if d.After == nil {
				write = "the platform adds it: write " + made + " in the code too"
			}
			t.printf("    %s: the code has %s, the platform has made %s; %s\n", diagnostic.Printable(d.Path), code, made, write)
		}
	}
}

// unlike returns two values that differ, in a form in which a reader sees the
// difference: those that look alike, such as an é of one character and of two, get
// escapes.
func unlike(a, b string) (string, string) {
	if norm.NFKC.String(a) != norm.NFKC.String(b) {
		return a, b
	}
	return ascii(a), ascii(b)
}

// ascii writes characters outside of ASCII as the escapes that JSON and CUE have.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// notAre says how many automations are not ...
func notAre(n int) string {
	if n == 1 {
		return "1 automation is not"
	}
	return diagnostic.Plural(n, "automation") + " are not"
}

// bystanderText says what is on the platform, is not the project's own, and
// concerns it.
func bystanderText(o sync.Bystander) string {
	what := o.Title
	switch o.Kind {
	case sync.Copy:
		what += " is a copy that somebody has made of " + o.Key
	case sync.Foreign:
		what += " belongs to the project " + o.Project
	default:
		what += " is not the project's"
	}
	switch {
	case o.Takes != "" && o.Idle:
		what += " and would hold " + cmp.Or(o.Endpoint, "the place of "+o.Takes) + " if it were switched on"
	case o.Takes != "":
		what += " and holds " + cmp.Or(o.Endpoint, "the place of "+o.Takes)
	}
	return what + "; it is left alone"
}

// takenText says why a change will be refused.
func takenText(b sync.Bystander) string {
	return cmp.Or(b.Endpoint, "its place") + " is held by " + b.Title +
		": apply leaves this change out. Change or delete that one there, or take it over with --adopt"
}

// warning is the mark in front of what the reader should know, refusal in front of
// what will not work.
func (t *terminal) warning() string {
	c := color.New(color.FgYellow)
	t.paint(c, t.stdout)
	return c.Sprint("!")
}

func (t *terminal) refusal() string {
	c := color.New(color.FgRed)
	t.paint(c, t.stdout)
	return c.Sprint("refused:")
}

// showChange prints one line of a plan: "~ update growth/trial: the code has changed".
func (t *terminal) showChange(a sync.Action, subject, reason string) {
	if reason != "" {
		reason = t.faint(": " + reason)
	}
	t.printf("%s %s %s%s\n", t.sign(a), a, subject, reason)
}

// usedBy says what a secret is for.
func usedBy(s sync.SecretChange) string {
	if s.Project != "" {
		return "stored under the project's former name"
	}
	switch len(s.UsedBy) {
	case 0:
		return "nothing uses it any more"
	case 1:
		return "used by " + diagnostic.Printable(s.UsedBy[0])
	default:
		return "used by " + diagnostic.Plural(len(s.UsedBy), "automation")
	}
}

func secretCount(n int, what string) string {
	if n == 0 {
		return ""
	}
	return "; " + diagnostic.Plural(n, "secret") + what
}

// reasonText says what a change does and why.
func reasonText(c sync.Change) string {
	switch c.Reason {
	case sync.CodeChanged:
		return "the code has changed"
	case sync.Drifted:
		return "it was changed on the platform"
	case sync.CodeChangedAndDrifted:
		return "the code has changed, and it was changed on the platform too"
	case sync.MarkerOnly:
		return "only the record of what was applied"
	case sync.Outdated:
		return "an older version of segue wrote it, in another form"
	case sync.Removed:
		return "it is gone from the code"
	case sync.Duplicate:
		if c.Base != nil && c.Base.Project != "" {
			return fmt.Sprintf("a second one, %q, under the project's former name %s", c.Name, c.Base.Project) + baseText(c.Base)
		}
		return fmt.Sprintf("a second one, %q, that segue has made", c.Name) + baseText(c.Base)
	case sync.Adopted:
		return "it is there already and taken over" + baseText(c.Base)
	case sync.Moved:
		if c.Base != nil && c.Base.Key != "" && c.Base.Project == "" {
			return "it was " + c.Base.Key + " until now" + baseText(c.Base)
		}
		return "it is there under the project's former name and taken over" + baseText(c.Base)
	case sync.Replaced:
		return "as asked for"
	default:
		return ""
	}
}

// baseText names the automation that a change starts from.
func baseText(b *sync.Base) string {
	if b == nil {
		return ""
	}
	return " (" + b.ID + ")"
}

// sign is the mark of an action in front of what it is done to.
func (t *terminal) sign(a sync.Action) string {
	sign, attribute := "~", color.FgYellow
	switch a {
	case sync.Create:
		sign, attribute = "+", color.FgGreen
	case sync.Delete:
		sign, attribute = "-", color.FgRed
	}
	c := color.New(attribute)
	t.paint(c, t.stdout)
	return c.Sprint(sign)
}

func (t *terminal) faint(s string) string {
	c := color.New(color.Faint)
	t.paint(c, t.stdout)
	return c.Sprint(s)
}

// jsonText shows one side of a difference.
func jsonText(v json.RawMessage) string {
	if v == nil {
		return "(none)"
	}
	return diagnostic.Printable(string(v))
}

// showResult prints what was done.
func (t *terminal) showResult(r *sync.Result) {
	secrets := 0
	for _, s := range r.Secrets {
		if s.Outcome == sync.Done {
			secrets++
		}
	}
	if n := len(r.Doubles); n > 0 {
		t.printf("%s Another apply was at work at the same time: it had made a second one of %s, which is gone again.\n",
			t.warning(), diagnostic.Printable(sync.SomeOf(r.Doubles)))
	}
	t.showAltered(r.Altered)
	t.printf("Applied to %s: %d created, %d updated, %d deleted, %d unchanged%s.\n", diagnostic.Printable(r.Target),
		r.Count(sync.Create), r.Count(sync.Update), r.Count(sync.Delete), r.Unchanged+r.CountOutcome(sync.AlreadyThere), secretCount(secrets, " changed"))
}

// failures says what was not done: why, for each that failed, and how many
// others were not started for which reason.
func failures(r *sync.Result) string {
	var failed, reasons []string
	waiting := map[string]int{}
	note := func(o sync.Outcome, err error) {
		switch o {
		case sync.Failed:
			failed = append(failed, err.Error())
		case sync.NotStarted:
			var change *sync.ChangeError
			if errors.As(err, &change) {
				err = change.Err
			}
			if waiting[err.Error()] == 0 {
				reasons = append(reasons, err.Error())
			}
			waiting[err.Error()]++
		}
	}
	for _, s := range r.Secrets {
		note(s.Outcome, s.Err)
	}
	for _, c := range r.Changes {
		note(c.Outcome, c.Err)
	}
	if r.Unsettled != nil {
		note(sync.Failed, r.Unsettled)
	}
	const most = 20
	what := fmt.Sprintf("%d failed, %d not started; apply again to take it from there", r.CountOutcome(sync.Failed), r.CountOutcome(sync.NotStarted))
	if n := len(r.Altered); n > 0 && n == r.CountOutcome(sync.Failed) && r.CountOutcome(sync.NotStarted) == 0 {
		what = notAre(n) + " stored as the code says; see above for what to write instead"
	}
	lines := []string{what}
	lines = append(lines, failed[:min(most, len(failed))]...)
	if len(failed) > most {
		lines = append(lines, fmt.Sprintf("and %d more failed", len(failed)-most))
	}
	for _, reason := range reasons {
		lines = append(lines, fmt.Sprintf("%d %s", waiting[reason], reason))
	}
	return strings.Join(lines, "\n  ")
}

// showRequest prints a request as it goes over the wire, but for secrets. value
// gives the rendered value of a header that has none.
func (t *terminal) showRequest(method, url string, headers map[string]automation.Header, value func(string) string, body []byte) {
	t.printf("%s %s\n", diagnostic.Printable(method), diagnostic.Printable(url))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		shown := headers[name].String()
		if len(headers[name].SecretNames()) == 0 && value != nil {
			shown = value(name)
		}
		t.printf("%s: %s\n", diagnostic.Printable(name), diagnostic.Printable(shown))
	}
	if len(body) > 0 {
		t.printf("\n%s", diagnostic.EscapeJSON(automation.Indent(body)))
	}
}
