package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A confirmed write does not guarantee the final state: another apply may have
// written at the same time, and the platform may have stored something else. So an
// apply lists the project again at its end.

// review compares the platform with the applied state, and repairs segue's own
// leftovers.
func (r *run) review(ctx context.Context) {
	if r.plan.Empty() || ctx.Err() != nil {
		return
	}
	if !slices.ContainsFunc(r.result.Changes, func(c ChangeResult) bool { return c.Outcome != NotStarted }) {
		return
	}
	failed := r.result.CountOutcome(Failed) > 0
	stored, err := r.reviewList(ctx, newTask(Event{}, "the review"), failed)
	if _, lags := r.platform.(Confirmer); lags && err == nil && !failed {
		stored, err = r.caughtUp(ctx, stored)
	}
	switch {
	case err != nil && failed:
		return // that the platform is in trouble is known
	case err != nil:
		r.unsettled(fmt.Errorf("check the final state of %s: %w", r.plan.Target, err))
		return
	}
	own := groupByKey(r.plan.Project, stored)
	for i := range r.result.Changes {
		c := &r.result.Changes[i]
		if c.Outcome != Done && c.Outcome != AlreadyThere {
			continue
		}
		if c.Action == Delete {
			r.reviewDelete(i, own[c.Key])
			continue
		}
		if err := r.reviewKey(ctx, i, own[c.Key]); err != nil {
			r.fail(i, err)
		}
	}
}

// reviewList lists the project. It does not wait long for a platform that has
// already failed changes.
func (r *run) reviewList(ctx context.Context, t task, failed bool) ([]Stored, error) {
	if failed {
		calls := r.opts.Calls
		calls.Tries = 1
		how := reading{timeout: listTimeouts * calls.Timeout, again: temporary}
		return read(ctx, context.WithoutCancel(ctx), calls, how, func(ctx context.Context) ([]Stored, error) {
			return r.platform.List(ctx, r.plan.Project)
		})
	}
	return r.list(ctx, t, r.plan.Project)
}

// lagTries is the number of reads of a list that may lag behind, with pauses in
// between.
const lagTries = 5

// caughtUp reads a list that may lag behind until it shows the writes, and
// returns the last one.
func (r *run) caughtUp(ctx context.Context, stored []Stored) ([]Stored, error) {
	calls := r.opts.Calls
	calls.Tries = min(calls.Tries, lagTries)
	first := true
	var err error
	_ = calls.repeat(ctx, nil, func(int) (bool, error) {
		if !first {
			stored, err = r.reviewList(ctx, newTask(Event{}, "the review"), false)
		}
		first = false
		if err != nil || r.shown(groupByKey(r.plan.Project, stored)) {
			return false, err
		}
		return true, errBehind
	})
	return stored, err
}

// errBehind asks for another read of a list.
var errBehind = errors.New("the list does not show what was written")

// shown reports whether a list shows the changes.
func (r *run) shown(own map[string][]Stored) bool {
	for i, c := range r.plan.Changes {
		done := r.result.Changes[i].Outcome == Done || r.result.Changes[i].Outcome == AlreadyThere
		there := func(s Stored) bool { return c.Base == nil || s.ID == c.Base.ID }
		written := func(s Stored) bool { return s.Marker.Hash == r.desired[c.Key].Hash() }
		switch {
		case !done:
		case c.Action == Delete && slices.ContainsFunc(own[c.Key], there):
			return false
		case c.Action != Delete && !slices.ContainsFunc(own[c.Key], written):
			return false
		}
	}
	return true
}

// reviewDelete reports a key that is there again.
func (r *run) reviewDelete(i int, copies []Stored) {
	c := r.result.Changes[i]
	_, wanted := r.desired[c.Key]
	if (c.Reason == Removed || c.Reason == Elsewhere) && len(copies) > 0 && !wanted {
		r.fail(i, &Error{Kind: Conflict, Message: "it is there again: another apply has written it at the same time"})
	}
}

// reviewKey checks the automations of one written key.
func (r *run) reviewKey(ctx context.Context, i int, copies []Stored) error {
	c := &r.result.Changes[i]
	want := r.desired[c.Key]
	if len(copies) == 0 {
		return &Error{Kind: Conflict, Message: "it is gone again: somebody has deleted it, or another apply has at the same time"}
	}
	kept, err := r.keepOne(ctx, c, copies)
	if err != nil {
		return err
	}
	if len(copies) > 1 {
		r.result.Doubles = append(r.result.Doubles, c.Key)
		if c.ID != kept.ID && c.Action == Create {
			c.Outcome = AlreadyThere
		}
	}
	c.ID, r.after[i] = kept.ID, kept.Revision
	switch {
	case updateReason(want.Hash(), kept) == "" && kept.Automation.Hash() == want.Hash():
		return nil
	case kept.Marker.Hash != want.Hash():
		return &Error{Kind: Conflict, Message: "another apply has written something else at the same time, and that is there now; plan again"}
	}
	return r.altered(ctx, i, kept)
}

// keepOne deletes all automations of one key except the one that every apply keeps,
// and returns that. The other apply may still be changing a deleted one: then
// keepOne reads it again.
func (r *run) keepOne(ctx context.Context, c *ChangeResult, copies []Stored) (Stored, error) {
	t := newTask(Event{Action: c.Action, Key: c.Key}, c.Key)
	if len(copies) > 1 {
		// The list may be old by now, and the one that stays in it may be gone.
		found, err := r.find(ctx, t, r.plan.Project, c.Key)
		switch {
		case err != nil:
			return copies[0], err
		case len(found) == 0:
			return copies[0], changedSince("deleted", nil)
		}
		copies = found
	}
	const most = 5
	for try := 1; ; try++ {
		copies = preferred(copies, r.plan.Project)
		var err error
		for _, extra := range copies[1:] {
			if err = r.removeExtra(ctx, t, extra); err != nil {
				break
			}
		}
		if err == nil || KindOf(err) != Conflict || try == most {
			return copies[0], err
		}
		found, lookErr := r.find(ctx, t, r.plan.Project, c.Key)
		switch {
		case lookErr != nil:
			return copies[0], lookErr
		case len(found) == 0:
			return copies[0], changedSince("deleted", err)
		}
		copies = found
	}
}

// altered records on the platform its own version of an automation, so that the next
// plan does not report an edit by hand. For that it writes the automation again,
// which reverts an edit that a person has made in the meantime.
func (r *run) altered(ctx context.Context, i int, now Stored) error {
	c := &r.result.Changes[i]
	want := r.desired[c.Key]
	made := now.Automation.Hash()
	t := newTask(Event{Action: c.Action, Key: c.Key}, c.Key)
	if now.Marker.Made != made {
		if err := r.note(ctx, t, now, made); err != nil {
			return err
		}
		found, err := r.find(ctx, t, r.plan.Project, c.Key)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(found, func(s Stored) bool { return s.ID == now.ID })
		if at < 0 {
			return changedSince("deleted", nil)
		}
		now = found[at]
		r.after[i] = now.Revision
		switch now.Automation.Hash() {
		case want.Hash():
			// Somebody has edited it in between, and that is reverted. If it occurs
			// again, it is not the platform's change.
			return r.note(ctx, t, now, "")
		case made:
		default:
			return &Error{Kind: Refused, Message: "the platform makes something else of it with each write"}
		}
	}
	differences, err := differences(now.Automation, want, r.secrets)
	if err != nil {
		return err
	}
	a := Altered{Key: c.Key, Differences: differences}
	r.result.Altered = append(r.result.Altered, a)
	return &AlteredError{a}
}

// note writes an automation again, with the hash of the platform's version in the
// marker, "" for none.
func (r *run) note(ctx context.Context, t task, now Stored, made string) error {
	want := r.desired[t.Key]
	w := &write{run: r, task: t, want: want, hash: want.Hash(), base: &now, plannedID: now.ID, made: made, takesOver: true, replaces: true}
	if err := r.persist(ctx, t, w.try); err != nil {
		return fmt.Errorf("record the platform's version of it: %w", err)
	}
	return nil
}

// An AlteredError means that a platform has stored something else than it was
// sent.
type AlteredError struct{ Altered Altered }

// Error describes that, with the number of fields.
func (e *AlteredError) Error() string {
	fields := "fields"
	if len(e.Altered.Differences) == 1 {
		fields = "field"
	}
	return fmt.Sprintf("the platform stores %d %s of it in another form than the code has; nobody has edited it", len(e.Altered.Differences), fields)
}

// fail makes a failure of a change that had been done.
func (r *run) fail(i int, cause error) {
	c := &r.result.Changes[i]
	c.Outcome, c.Settled = Failed, false
	c.Err = &ChangeError{Subject: c.Key, Action: c.Action, Target: r.plan.Target, Err: cause}
	c.Error = text(c.Err)
	r.recordChange(i)
	var altered *AlteredError
	if errors.As(cause, &altered) {
		return // it was written, and the result tells what of it
	}
	r.emit(task{Event: Event{Action: c.Action, Key: c.Key}}, EventFailed, c.Err, 0)
}
