package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A StaleError says that a plan is not about what is there now.
type StaleError struct {
	// Reasons are full sentences without a stop at the end.
	Reasons []string
}

// Error gives the reasons and what to do.
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
		_, wanted := desired[c.Key]
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

// fits reports whether the action may be done to what the change starts from: what is
// not the project's own, now or under its former name, can be taken over alone.
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

// takenOver reports whether what the change starts from does not carry the project and
// the key yet.
func (b *Base) takenOver() bool { return b.Kind != "" || b.Key != "" }

// Verify compares a plan that was stored with what the platform holds now. It
// returns a [*StaleError] if something that the plan touches is not as it was,
// and changes nothing. [Apply] finds such a change too, but only when it comes
// to it, with other changes already made.
func Verify(ctx context.Context, p Platform, plan *Plan, calls Calls) error {
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
		movesKey := c.Base != nil && c.Base.Kind == "" && c.Base.Key != ""
		if (c.Action == Create || movesKey && c.Action == Update) && len(actual[c.Key]) > 0 {
			reasons = append(reasons, c.Key+" is there by now")
		}
		isBase := func(s Stored) bool { return s.ID == c.Base.ID }
		switch {
		case c.Base == nil:
			continue
		case c.Base.Kind != "":
			// All else that happens to what is not the project's own shows in its revision.
			if slices.ContainsFunc(actual[c.Key], isBase) {
				reasons = append(reasons, c.Key+" was taken over")
			}
			continue
		}
		reason := c.Key + " was deleted"
		for _, s := range actual[cmp.Or(c.Base.Key, c.Key)] {
			if s.ID == c.Base.ID {
				reason = ""
				if s.Revision != c.Base.Revision {
					reason = c.Key + " was changed"
				}
			}
		}
		if reason != "" {
			reasons = append(reasons, reason)
		}
	}
	if len(reasons) > 0 {
		return &StaleError{reasons}
	}
	return nil
}
