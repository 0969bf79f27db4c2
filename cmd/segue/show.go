package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fatih/color"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/review"
	"github.com/seguehq/segue/sync"
)

// showPlan prints a plan for people.
func (t *terminal) showPlan(p *sync.Plan) {
	t.showInputs(p.Target)
	// A write error is reported at the end, as for all output.
	_ = review.Text(t.stdout, p, t.textOptions())
}

// showInputs prints the inputs that differ between a target and the project, if there are any.
func (t *terminal) showInputs(target string) {
	if t.compiled == nil {
		return // the plan comes from a file
	}
	project, _, err := t.compiled.Project(context.Background()) // which it has read
	if err != nil || project == nil {
		return
	}
	if inputs := project.DifferentInputs(target); len(inputs) > 0 {
		t.printf("Inputs that differ for %s: %s\n\n", diagnostic.Printable(target),
			diagnostic.Printable(strings.Join(inputs, ", ")))
	}
}

// showAltered prints how the platform has changed automations, and suggests how
// to write them instead.
func (t *terminal) showAltered(altered []sync.Altered) {
	_ = review.Altered(t.stdout, altered, t.textOptions())
}

// textOptions says how plans are printed here.
func (t *terminal) textOptions() review.TextOptions {
	return review.TextOptions{Color: t.colorful(t.stdout), Width: columns(t.stdout), Full: t.full}
}

// warning returns the mark of a warning.
func (t *terminal) warning() string {
	c := color.New(color.FgYellow)
	t.paint(c, t.stdout)
	return c.Sprint("!")
}

func secretCount(n int, what string) string {
	if n == 0 {
		return ""
	}
	return "; " + diagnostic.Plural(n, "secret") + what
}

func (t *terminal) faint(s string) string {
	c := color.New(color.Faint)
	t.paint(c, t.stdout)
	return c.Sprint(s)
}

// showResult prints the result.
func (t *terminal) showResult(r *sync.Result) {
	secrets := 0
	for _, s := range r.Secrets {
		if s.Outcome == sync.Done {
			secrets++
		}
	}
	if n := len(r.Doubles); n > 0 {
		t.printf("%s Another apply was at work at the same time: it had made a duplicate of %s, which was removed.\n",
			t.warning(), diagnostic.Printable(sync.SomeOf(r.Doubles)))
	}
	t.showAltered(r.Altered)
	t.printf("Applied to %s: %d created, %d updated, %d deleted, %d unchanged%s.\n", diagnostic.Printable(r.Target),
		r.Count(sync.Create), r.Count(sync.Update), r.Count(sync.Delete), r.Unchanged+r.CountOutcome(sync.AlreadyThere), secretCount(secrets, " changed"))
}

// failures describes the failed changes with their reasons, and the number of
// changes not started by reason.
func failures(r *sync.Result) string {
	var reasons []string
	var wrong []error
	waiting := map[string]int{}
	note := func(o sync.Outcome, err error) {
		switch o {
		case sync.Failed:
			wrong = append(wrong, err)
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
	what := fmt.Sprintf("%d failed, %d not started; apply again to continue", r.CountOutcome(sync.Failed), r.CountOutcome(sync.NotStarted))
	if n := len(r.Altered); n > 0 && n == r.CountOutcome(sync.Failed) && r.CountOutcome(sync.NotStarted) == 0 {
		what = review.NotAre(n) + " stored as in the code; see above how to write them instead"
	}
	failed := byCause(wrong)
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

// byCause describes errors, those of changes that failed for the same reason as one.
func byCause(errs []error) []string {
	var lines []string
	place, subjects := map[string]int{}, map[string][]string{}
	for _, err := range errs {
		cause, change := err.Error(), (*sync.ChangeError)(nil)
		if errors.As(err, &change) {
			cause = fmt.Sprintf("%s on %s: %v", change.Action, change.Target, change.Err)
			subjects[cause] = append(subjects[cause], change.Subject)
		}
		at, known := place[cause]
		if !known {
			place[cause] = len(lines)
			lines = append(lines, err.Error())
		} else if n := len(subjects[cause]); n > 1 {
			lines[at] = fmt.Sprintf("%d changes: %s (%s)", n, cause, sync.SomeOf(subjects[cause]))
		}
	}
	return lines
}

// showRequest prints a request as it is sent, except secrets. value gives the
// rendered value of a header that has none.
func (t *terminal) showRequest(method, url string, headers map[string]automation.Header, value func(string) string, body []byte) {
	t.printf("%s", requestText(method, url, headers, value, body))
}

// requestText is a request for people: see showRequest.
func requestText(method, url string, headers map[string]automation.Header, value func(string) string, body []byte) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s\n", diagnostic.Printable(method), diagnostic.Printable(url))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		shown := headers[name].String()
		if len(headers[name].SecretNames()) == 0 && value != nil {
			shown = value(name)
		}
		fmt.Fprintf(&text, "%s: %s\n", diagnostic.Printable(name), diagnostic.Printable(shown))
	}
	if len(body) > 0 {
		fmt.Fprintf(&text, "\n%s", diagnostic.EscapeJSON(automation.Indent(body)))
	}
	return text.String()
}
