package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fatih/color"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// showPlan prints a plan for people.
func (t *terminal) showPlan(p *sync.Plan) {
	for _, key := range p.Orphaned {
		t.printf("%s is gone from the code and stays on %s, which does not prune.\n", printableLines(key), p.Target)
	}
	if p.Empty() {
		t.printf("No changes: %s is as the code wants it (%s).\n", p.Target, diagnostic.Plural(len(p.Unchanged), "automation"))
		return
	}
	for _, c := range p.Changes {
		t.showChange(c.Action, printableLines(c.Key), reasonText(c))
		for _, d := range c.Differences {
			t.printf("    %s: %s → %s\n", printableLines(d.Path), jsonText(d.Before), jsonText(d.After))
		}
	}
	for _, s := range p.Secrets {
		t.showChange(s.Action, "secret "+s.Name, usedBy(s))
	}
	t.printf("\nPlan for %s: %d to create, %d to update, %d to delete, %d unchanged%s.\n", p.Target,
		p.Count(sync.Create), p.Count(sync.Update), p.Count(sync.Delete), len(p.Unchanged), secretCount(len(p.Secrets), " to change"))
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
	switch len(s.UsedBy) {
	case 0:
		return "nothing uses it any more"
	case 1:
		return "used by " + printableLines(s.UsedBy[0])
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
		return "a second copy"
	default:
		return ""
	}
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
	return printableLines(string(v))
}

// showResult prints what was done.
func (t *terminal) showResult(r *sync.Result) {
	secrets := 0
	for _, s := range r.Secrets {
		if s.Outcome == sync.Done {
			secrets++
		}
	}
	t.printf("Applied to %s: %d created, %d updated, %d deleted, %d unchanged%s.\n", r.Target,
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
	lines := []string{fmt.Sprintf("%d failed, %d not started; apply again to take it from there", r.CountOutcome(sync.Failed), r.CountOutcome(sync.NotStarted))}
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
	t.printf("%s %s\n", method, printableLines(url))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		shown := headers[name].String()
		if len(headers[name].SecretNames()) == 0 && value != nil {
			shown = value(name)
		}
		t.printf("%s: %s\n", name, printableLines(shown))
	}
	if len(body) > 0 {
		t.printf("\n%s", automation.Indent(body))
	}
}
