package sync

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seguehq/segue/automation"
)

// Each function below makes one change by the same rule: try, and after any
// error check the current state before deciding how to continue.

// changedSince is the error for an automation that somebody else has changed.
func changedSince(what string, cause error) error {
	return &Error{Kind: Conflict, Message: what + " on the platform since the plan; plan again", Err: cause}
}

// put creates or updates an automation. It returns the automation as stored or
// found, or the zero value if that is unknown.
func (r *run) put(ctx context.Context, t task, c Change, want automation.Automation) (Stored, error) {
	r.emit(t, EventStarted, nil, 0)
	w := &write{run: r, task: t, want: want, hash: want.Hash()}
	if c.Base != nil {
		base := c.Base.stored(r.plan.Project, c.Key)
		w.base, w.plannedID, w.takesOver, w.replaces = &base, base.ID, c.Base.takenOver(), c.Reason == Replaced
	}
	err := r.persist(ctx, t, w.try)
	return w.now, err
}

// A write is an automation on its way to the platform.
type write struct {
	*run
	task
	want automation.Automation
	hash string
	// base is the stored automation to update, or nil if it has to be created.
	base *Stored
	// plannedID is the ID in the plan, "" for a create.
	plannedID string
	// now is the automation as it was written or found, the zero value for not yet.
	now Stored
	// made goes into the marker: the hash of the platform's earlier version of
	// it.
	made string
	// takesOver is set where that does not carry the project and key yet, or its marker
	// is this run's for another reason.
	takesOver bool
	// replaces is set where it is as wanted, and written again on demand.
	replaces bool
	// doubtful is set once a create has failed: it may take effect even later.
	doubtful bool
	// taken is set while the key is known to be somebody else's doing.
	taken bool
}

// try writes once, and a second time at once where a create has left something
// that only has to be updated.
func (w *write) try(ctx context.Context) (again bool, err error) {
	for range 2 {
		creating := w.base == nil
		err = w.send(ctx)
		w.taken = creating && !w.doubtful && KindOf(err) == Exists
		if err == nil && !(w.plannedID == "" && w.doubtful) {
			return false, nil
		}
		w.doubtful = w.doubtful || creating
		found, lookErr := w.find(ctx, w.task, w.plan.Project, w.want.Key)
		switch {
		case err == nil && lookErr != nil:
			return false, nil // it is stored; a second copy is the next plan's to find
		case lookErr != nil:
			return false, unknown(err, lookErr)
		case w.plannedID != "":
			return w.judgeUpdate(found, err)
		}
		again, err = w.judgeCreate(ctx, found, err)
		if err == nil || !again || !creating || w.base == nil || ctx.Err() != nil {
			return again, err
		}
	}
	return again, err
}

// send writes the automation. A create after one that may have taken effect
// relies on the list, as does the first of all.
func (w *write) send(ctx context.Context) error {
	confirmer, ok := w.platform.(Confirmer)
	if ok && w.base == nil && (w.doubtful || !w.confirmed.Load()) {
		err := w.callFor(ctx, 2*listTimeouts*w.opts.Timeout, func(ctx context.Context) error {
			made, err := confirmer.CreateConfirmed(ctx, w.plan.Project, w.want)
			w.now = made
			return err
		})
		if err == nil {
			w.confirmed.Store(true)
		}
		return err
	}
	return w.call(ctx, func(ctx context.Context) (err error) {
		var made Stored
		if w.base == nil {
			made, err = w.platform.Create(ctx, w.plan.Project, w.want)
		} else {
			next := MarkerOf(w.plan.Project, w.want)
			next.Made = w.made
			made, err = w.platform.Update(ctx, *w.base, next, w.want)
		}
		w.now = made
		return err
	})
}

// judgeCreate decides, from the automations found, how to continue after a
// create, or after an update of the result of an earlier create.
func (w *write) judgeCreate(ctx context.Context, found []Stored, err error) (again bool, _ error) {
	if len(found) == 0 {
		w.base = nil
		return err != nil && mayPass(err), err
	}
	// Only an apply that wants the same writes the same marker. What another one has
	// created since the plan is not this run's to write over: that one may have ended.
	wanted := func(s Stored) bool { return s.Marker.Hash == w.hash }
	if err != nil && !slices.ContainsFunc(found, wanted) {
		return false, changedSince("created", err)
	}
	// Of several copies, which only a create that took effect late can leave,
	// every run picks the same.
	found = preferred(found, w.plan.Project)
	for _, extra := range found[1:] {
		if dropErr := w.removeExtra(ctx, w.task, extra); dropErr != nil {
			return false, dropErr
		}
	}
	kept := found[0]
	w.now = kept
	if err == nil || matches(w.hash, kept) {
		*w.found, *w.settled = w.taken, err != nil && !w.taken
		return false, nil
	}
	if !wanted(kept) {
		return false, changedSince("created", err)
	}
	untouched := w.base != nil && w.base.ID == kept.ID && w.base.Revision == kept.Revision
	w.base = &kept
	return !untouched || mayPass(err), err
}

// judgeUpdate decides, from the automations found, how to continue after a
// failed update.
func (w *write) judgeUpdate(found []Stored, err error) (again bool, _ error) {
	i := slices.IndexFunc(found, func(s Stored) bool { return s.ID == w.plannedID })
	if i < 0 {
		i = slices.IndexFunc(found, func(s Stored) bool { return matches(w.hash, s) })
	}
	switch kind := KindOf(err); {
	case i < 0 && w.takesOver && kind != NotFound && kind != Conflict:
		return mayPass(err), err // it is still whose it was
	case i < 0 && w.takesOver && kind == Conflict:
		return false, changedSince("changed", err)
	case i < 0:
		return false, changedSince("deleted", err)
	}
	now := found[i]
	switch {
	case matches(w.hash, now) && !(w.replaces && now.Revision == w.base.Revision):
		w.now = now
		*w.settled = true
		return false, nil
	case now.Revision == w.base.Revision:
		return mayPass(err), err
	case now.Marker.Hash == w.hash && (w.takesOver || w.base.Marker.Hash != w.hash):
		// Only this run writes that marker: half of its own update is there,
		// on a platform that needs several requests for one.
		w.base, w.takesOver = &now, false
		return true, err
	default:
		return false, changedSince("changed", err)
	}
}

// delete deletes a stored automation.
func (r *run) delete(ctx context.Context, t task, old Stored) error {
	r.emit(t, EventStarted, nil, 0)
	return r.remove(ctx, t, old)
}

// remove deletes a stored automation as a change or as a part of one.
func (r *run) remove(ctx context.Context, t task, old Stored) error {
	return r.persist(ctx, t, func(ctx context.Context) (bool, error) {
		err := r.call(ctx, func(ctx context.Context) error { return r.platform.Delete(ctx, old) })
		if err == nil {
			return false, nil
		}
		found, lookErr := r.find(ctx, t, old.Marker.Project, old.Marker.Key)
		if lookErr != nil {
			return false, unknown(err, lookErr)
		}
		is := func(s Stored) bool { return s.ID == old.ID }
		i := slices.IndexFunc(found, is)
		if i < 0 && old.Marker.Project != r.plan.Project {
			// It may have gone from its former project alone.
			own, lookErr := r.find(ctx, t, r.plan.Project, old.Marker.Key)
			switch {
			case lookErr != nil:
				return false, unknown(err, lookErr)
			case slices.ContainsFunc(own, is):
				return false, changedSince("taken over", err)
			}
		}
		switch {
		case i < 0:
			*t.settled = true
			return false, nil
		case found[i].Revision != old.Revision:
			return false, changedSince("changed", err)
		default:
			return mayPass(err), err
		}
	})
}

// removeExtra deletes a duplicate that no change of the plan covers.
func (r *run) removeExtra(ctx context.Context, t task, extra Stored) error {
	err := r.remove(ctx, t, extra)
	r.recordExtra(extra, err)
	if err != nil {
		err = fmt.Errorf("delete a second copy of it, %s: %w", extra.ID, err)
	}
	return err
}

// putSecret stores a secret's value.
func (r *run) putSecret(ctx context.Context, t task, s SecretChange) error {
	r.emit(t, EventStarted, nil, 0)
	name, value := s.Name, r.secrets[s.Name]
	return r.persist(ctx, t, func(ctx context.Context) (bool, error) {
		err := r.call(ctx, func(ctx context.Context) error {
			return r.platform.PutSecret(ctx, r.plan.Project, name, value)
		})
		if err == nil {
			return false, nil
		}
		stored, lookErr := r.storedSecrets(ctx, t, r.plan.Project, map[string]automation.Secret{name: value})
		if lookErr != nil {
			return false, unknown(err, lookErr)
		}
		if state, ok := stored[name]; ok && state == Same && !s.Replaced {
			*t.settled = true
			return false, nil
		}
		// A secret has no revision; another write of it does no harm. One that is
		// stored again on demand was the same before.
		return mayPass(err), err
	})
}

// deleteSecret deletes a secret.
func (r *run) deleteSecret(ctx context.Context, t task, project, name string) error {
	r.emit(t, EventStarted, nil, 0)
	return r.persist(ctx, t, func(ctx context.Context) (bool, error) {
		err := r.call(ctx, func(ctx context.Context) error {
			return r.platform.DeleteSecret(ctx, project, name)
		})
		if err == nil {
			return false, nil
		}
		stored, lookErr := r.storedSecrets(ctx, t, project, nil)
		if lookErr != nil {
			return false, unknown(err, lookErr)
		}
		if _, ok := stored[name]; !ok {
			*t.settled = true
			return false, nil
		}
		return mayPass(err), err
	})
}

// persist repeats try within the bounds of the options, and stops the run if
// the credentials turn out to be wrong, or the list to be incomplete.
func (r *run) persist(ctx context.Context, t task, try func(context.Context) (bool, error)) error {
	return r.opts.repeat(ctx, r.retrying(t), func(n int) (bool, error) {
		again, err := try(withTry(ctx, n))
		switch {
		case hasKind(err, Unauthorized):
			r.stop(fmt.Errorf("the platform refuses the credentials: %w", err))
			again = false
		case hasKind(err, Unlisted):
			r.stop(fmt.Errorf("the platform does not list all that is there: %w", err))
			again = false
		}
		return again, err
	})
}

// call makes one call that writes. It is finished even if ctx is canceled.
func (r *run) call(ctx context.Context, f func(context.Context) error) error {
	return r.callFor(ctx, r.opts.Timeout, f)
}

// callFor is call with a timeout of its own.
func (r *run) callFor(ctx context.Context, timeout time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	return f(ctx)
}

// find returns the automations of a project that have the key.
func (r *run) find(ctx context.Context, t task, project, key string) ([]Stored, error) {
	found, err := lookup(ctx, r, t, r.opts.Timeout, func(ctx context.Context) ([]Stored, error) {
		return r.platform.Find(ctx, project, key)
	})
	return groupByKey(project, found)[key], err
}

func (r *run) storedSecrets(ctx context.Context, t task, project string, want map[string]automation.Secret) (map[string]SecretState, error) {
	return lookup(ctx, r, t, r.opts.Timeout, func(ctx context.Context) (map[string]SecretState, error) {
		return r.platform.Secrets(ctx, project, want)
	})
}

// lookup reads from the platform for a task: at least once even if ctx is
// cancelled, since a failed write is not finished before its outcome is known.
// For the same reason even a refusal is not taken for an answer at once: a
// server in the state that makes it fail writes may fail reads in any way.
func lookup[T any](ctx context.Context, r *run, t task, timeout time.Duration, f func(context.Context) (T, error)) (T, error) {
	how := reading{
		timeout: timeout, notify: r.retrying(t),
		again: func(err error) bool { return KindOf(err) != Unauthorized },
	}
	return read(ctx, context.WithoutCancel(ctx), r.opts.Calls, how, f)
}

// retrying reports each pause of a task.
func (r *run) retrying(t task) func(error, time.Duration) {
	return func(err error, wait time.Duration) { r.emit(t, EventRetrying, err, wait) }
}

// mayPass reports whether another attempt makes sense after an error that left
// nothing behind. It does after an error that contradicts the current state,
// such as a conflict although the revision is unchanged.
func mayPass(err error) bool {
	kind := KindOf(err)
	return kind != Refused && kind != Unauthorized && kind != Unlisted
}

// unknown is the error of a write that failed and whose result could not be
// looked up.
func unknown(err, lookErr error) error { return unknownError{err, lookErr} }

type unknownError struct{ write, look error }

// Error mentions a common cause only once, for example an unreachable platform.
func (e unknownError) Error() string {
	if strings.HasPrefix(e.look.Error(), e.write.Error()) {
		return "whether it took effect is unknown: " + e.look.Error()
	}
	return e.write.Error() + "; whether it took effect is unknown: " + e.look.Error()
}

// Unwrap returns the error of the write, and that of looking it up.
func (e unknownError) Unwrap() []error { return []error{e.write, e.look} }

// hasKind reports whether err is, or was made worse by, an [*Error] of the kind.
func hasKind(err error, kind ErrorKind) bool {
	if e, ok := err.(*Error); ok && e.Kind == kind {
		return true
	}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return hasKind(err.Unwrap(), kind)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(err.Unwrap(), func(err error) bool { return hasKind(err, kind) })
	}
	return false
}
