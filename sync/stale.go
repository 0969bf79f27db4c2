package sync

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seguehq/segue/automation"
)

// A StaleError means that a plan does not match the current state.
type StaleError struct {
	// Reasons are full sentences without a stop at the end.
	Reasons []string
}

// Error gives the reasons and the remedy.
func (e *StaleError) Error() string {
	return "the plan is stale: " + strings.Join(e.Reasons, "; ") + "; plan again"
}

// check refuses a plan that must not be applied, or was made of something else.
func (p *Plan) check(in Desired) error {
	switch {
	case p.Format != PlanFormat:
		return fmt.Errorf("the plan's format is %q, want %q: make it with this version of segue", p.Format, PlanFormat)
	case p.Project != in.Project || p.Target != in.Target:
		return &StaleError{[]string{fmt.Sprintf("it was made for project %s on %s, not for %s on %s", p.Project, p.Target, in.Project, in.Target)}}
	case p.Code != in.digest():
		return &StaleError{[]string{"the code has changed since it was made"}}
	case p.SecretsUnknown:
		return errors.New("the plan was made without the values of secrets; make it with them")
	case len(p.Blocks) > 0:
		return &BlockedError{p.Blocks}
	}
	desired, err := in.byKey()
	if err != nil {
		return err
	}
	for _, c := range p.Changes {
		want, wanted := desired[c.Key]
		if c.Content != nil && c.Content.Hash() != want.Hash() {
			return &StaleError{[]string{"the code of " + c.Key + " has changed since it was made"}}
		}
		if (c.Base == nil) != (c.Action == Create) || !wanted && c.Action != Delete || !c.Base.fits(p.Project, in.Former, c.Action) {
			return fmt.Errorf("the plan is damaged: %s: %s does not fit the rest", c.Key, c.Action)
		}
	}
	for _, s := range p.Secrets {
		if _, ok := in.Secrets[s.Name]; !ok && s.Action != Delete {
			return fmt.Errorf("the secret %s has no value", s.Name)
		}
		if s.Project != "" && (s.Action != Delete || s.Project != in.Former) {
			return fmt.Errorf("the plan is damaged: the secret %s of %s is not the project's own", s.Name, s.Project)
		}
	}
	return nil
}

// fits reports whether the action is allowed for the change's base: an automation
// that is not the project's own, now or under its former name, can only be taken
// over.
func (b *Base) fits(project, former string, a Action) bool {
	switch {
	case b == nil:
		return true
	case b.Kind == "":
		return b.Project == ""
	case b.Kind == Foreign:
		return b.Project == former && former != "" && former != project
	case b.Kind == Copy, b.Kind == Unmarked:
		return a == Update
	}
	return false
}

// takenOver reports whether the change's base does not have the project and the key
// yet.
func (b *Base) takenOver() bool { return b.Kind != "" || b.Key != "" }

// Verify compares a stored plan with the current state of the platform. It
// returns a [*StaleError] if something that the plan changes has changed since.
// It changes nothing. [Apply] detects that too, but only when it gets there,
// with other changes already made. secrets are the known secrets, whose values
// are in no reason.
func Verify(ctx context.Context, p Platform, plan *Plan, secrets map[string]automation.Secret, calls Calls) error {
	calls = calls.withDefaults()
	stored, err := read(ctx, ctx, calls, reading{timeout: listTimeouts * calls.Timeout, again: temporary}, func(ctx context.Context) ([]Stored, error) {
		return p.List(ctx, plan.Project)
	})
	if err != nil {
		return fmt.Errorf("list automations on %s: %w", plan.Target, err)
	}
	actual := groupByKey(plan.Project, stored)
	var reasons []string
	for _, c := range plan.Changes {
		if reason := c.stale(actual, secrets); reason != "" {
			reasons = append(reasons, c.Key+" "+reason)
		}
	}
	if len(reasons) > 0 {
		return &StaleError{reasons}
	}
	return nil
}

// stale returns the reason why a change is no longer possible, "" if it is. The
// automations are the project's current ones, by key.
func (c Change) stale(actual map[string][]Stored, secrets map[string]automation.Secret) string {
	movesKey := c.Base != nil && c.Base.Kind == "" && c.Base.Key != "" && c.Action == Update
	switch there := actual[c.Key]; {
	case (c.Base == nil || movesKey) && len(there) > 0:
		written := atTime(there[0])
		if written != "" {
			written = ", last written" + written
		}
		return "exists on the platform by now" + written
	case c.Base == nil:
		return ""
	}
	now := actual[c.Key]
	if c.Base.Kind == "" {
		now = actual[cmp.Or(c.Base.Key, c.Key)]
	}
	i := slices.IndexFunc(now, func(s Stored) bool { return s.ID == c.Base.ID })
	switch {
	case c.Base.Kind != "" && i >= 0:
		// The revision shows all other changes of an automation that is not the
		// project's own.
		return "was taken over" + atTime(now[i])
	case c.Base.Kind != "":
		return ""
	case i < 0:
		return "was deleted"
	case now[i].Revision == c.Base.Revision:
		return ""
	}
	return "was changed" + atTime(now[i]) + c.Base.changed(now[i], secrets)
}

// atTime describes when an automation was last written, in UTC.
func atTime(s Stored) string {
	if s.Changed.IsZero() {
		return ""
	}
	return " at " + s.Changed.UTC().Format(time.RFC3339)
}

// changed names the changed fields of a stored automation: a few of them, with both
// values if those are short.
func (b *Base) changed(now Stored, secrets map[string]automation.Secret) string {
	content := shownContent(now.Automation, secrets)
	if b.Content == nil || content == nil {
		return ""
	}
	found, err := Compare(b.Content, content)
	found = slices.DeleteFunc(found, func(d Difference) bool {
		return string(d.Before) == `"`+hidden+`"` || string(d.After) == `"`+hidden+`"`
	})
	switch {
	case err != nil:
		return ""
	case len(found) == 0:
		return " (in nothing that segue manages, or in what is hidden)"
	}
	fields := make([]string, len(found))
	for i, d := range found {
		fields[i] = d.Path
		if len(d.Before)+len(d.After) <= shortDifference {
			fields[i] += " was " + orNothing(d.Before) + " and is " + orNothing(d.After)
		}
	}
	return " (" + SomeOf(fields) + ")"
}

// shortDifference is the maximum length of two values in a sentence, in bytes.
const shortDifference = 80

func orNothing(v json.RawMessage) string {
	if v == nil {
		return "not there"
	}
	return string(v)
}
