package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seguehq/segue/automation"
)

// A Batcher is a [Platform] that can make all changes of an apply in one write.
// [Apply] then uses Batch in place of the single calls.
type Batcher interface {
	Platform

	// Batch makes all of the changes, or none of them. It fails with [Conflict]
	// if an updated or deleted automation has another revision, with [NotFound]
	// if it is gone, and with [Exists] if a created one already exists. An
	// error about one of the changes can wrap a [*BatchError]. As with every
	// other method, an error does not mean that nothing was written: the engine
	// then checks all changes.
	Batch(ctx context.Context, project string, b Batch) error
}

// A Batch holds the changes of a project in one write.
type Batch struct {
	// PutSecrets are stored, over old values.
	PutSecrets map[string]automation.Secret
	Creates    []automation.Automation
	Updates    []BatchUpdate
	Deletes    []Stored
	// DeleteSecrets are removed; a missing secret is not an error.
	DeleteSecrets []string
	// Stored, if not nil, is called once for each created or updated automation, as
	// stored on the platform, before Batch returns without an error.
	Stored func(Stored)
}

// A BatchUpdate replaces one stored automation, as [Platform.Update] does.
type BatchUpdate struct {
	Old  Stored
	Next Marker
	New  automation.Automation
}

// A BatchError names the change that caused a batch to fail.
type BatchError struct {
	// Key is the key of the automation.
	Key string
	Err error
}

// Error returns the cause; the caller names the key.
func (e *BatchError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *BatchError) Unwrap() error { return e.Err }

// batch carries the plan out in one write, without the changes that the platform
// refuses.
func (r *run) batch(ctx context.Context, p Batcher) {
	tasks := make([]task, 0, len(r.plan.Changes))
	for _, c := range r.plan.Changes {
		tasks = append(tasks, changeTask(c))
	}
	whole := newTask(Event{}, "the batch")
	there, err := r.whatIsThere(ctx, whole)
	left := r.leftOut(there)
	kept := r.stillNeeded(there, left)
	if b := r.newBatch(kept, left); err == nil && !b.empty() {
		for i := range tasks {
			r.emit(tasks[i], EventStarted, nil, 0)
		}
		for {
			err = r.persist(ctx, whole, func(ctx context.Context) (bool, error) {
				// One write does the work of many.
				callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listTimeouts*r.opts.Timeout)
				defer cancel()
				err := p.Batch(callCtx, r.plan.Project, b)
				if err == nil {
					return false, nil
				}
				return r.judgeBatch(ctx, whole, b, left, err)
			})
			culprit := r.culprit(err)
			if culprit == nil || left[culprit.Key] != nil {
				break
			}
			// Nothing was written. The others need not wait for this one.
			left[culprit.Key] = culprit.Err
			r.leaveOutDeletes(left)
			kept = r.stillNeeded(there, left)
			if ctx.Err() != nil {
				err = fmt.Errorf("%w: %w", errNotStarted, context.Cause(ctx))
				break
			}
			if b, err = r.newBatch(kept, left), nil; b.empty() {
				break
			}
		}
	}

	for i, c := range r.plan.Changes {
		err := r.do(context.WithoutCancel(ctx), tasks[i], func(task) error {
			if cause := left[c.Key]; cause != nil {
				return cause
			}
			return err
		})
		now := Stored{}
		if err == nil && c.Action != Delete {
			now = r.written[c.Key]
		}
		r.after[i] = now.Revision
		r.result.Changes[i] = ChangeResult{
			Key: c.Key, Action: c.Action, Reason: c.Reason,
			ID: now.ID, Outcome: outcome(err), Settled: err == nil && *whole.settled, Err: err, Error: text(err),
		}
		r.recordChange(i)
	}
	for i, s := range r.plan.Secrets {
		r.finishSecret(i, r.do(context.WithoutCancel(ctx), r.secretTask(s), func(t task) error {
			keptFor := kept[s.stored(r.plan.Project)]
			switch {
			case err == nil && keptFor != "":
				return fmt.Errorf("%w: %s may still need it", errNotStarted, keptFor)
			case err == nil && s.Project != "":
				return r.deleteSecret(ctx, t, s.Project, s.Name) // a batch is about one project
			}
			return err
		}))
		r.recordSecret(i)
	}
}

// culprit returns the change of the plan that the platform refuses, or nil if the
// error is about something else.
func (r *run) culprit(err error) *BatchError {
	var e *BatchError
	if !errors.As(err, &e) || hasKind(err, Unauthorized) || KindOf(e.Err) == Temporary ||
		!slices.ContainsFunc(r.plan.Changes, func(c Change) bool { return c.Key == e.Key }) {
		return nil
	}
	return e
}

// leftOut returns the reasons for leaving changes out of the batch, by key: the plan
// knows that they are refused, or the copy that should stay is gone.
func (r *run) leftOut(there map[string][]Stored) map[string]error {
	left := map[string]error{}
	own, listed := there[r.plan.Project]
	for _, c := range r.plan.Changes {
		switch {
		case c.Taken != nil:
			left[c.Key] = errTaken(c.Taken)
		case listed && r.keptUnchanged(c) && !slices.ContainsFunc(own, func(s Stored) bool { return s.ID == c.Kept }):
			left[c.Key] = errKeptGone(c)
		}
	}
	r.leaveOutDeletes(left)
	return left
}

// keptUnchanged reports whether the change deletes a duplicate of an automation that
// the batch does not write: the platform then does not check whether that exists.
func (r *run) keptUnchanged(c Change) bool {
	return c.Kept != "" && !slices.ContainsFunc(r.plan.Changes, func(other Change) bool {
		return other.Action == Update && other.Base.ID == c.Kept
	})
}

// leaveOutDeletes leaves out the deletes whose replacements are left out.
func (r *run) leaveOutDeletes(left map[string]error) {
	for _, c := range r.plan.Changes {
		if c.After != "" && left[c.After] != nil && left[c.Key] == nil {
			left[c.Key] = fmt.Errorf("%w: %s, which seems to take its place, is not there", errNotStarted, c.After)
		}
	}
}

// A storedSecret is a secret of a project.
type storedSecret struct{ project, name string }

// stored returns the secret of the change.
func (s SecretChange) stored(project string) storedSecret {
	return storedSecret{cmp.Or(s.Project, project), s.Name}
}

// whatIsThere lists the automations of each project from which the plan would delete
// secrets, and of this project if the plan would delete duplicates.
func (r *run) whatIsThere(ctx context.Context, t task) (map[string][]Stored, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", errNotStarted, context.Cause(ctx))
	}
	var projects []string
	if slices.ContainsFunc(r.plan.Changes, r.keptUnchanged) {
		projects = append(projects, r.plan.Project)
	}
	for _, s := range r.plan.Secrets {
		if s.Action == Delete {
			projects = append(projects, s.stored(r.plan.Project).project)
		}
	}
	slices.Sort(projects)
	there := map[string][]Stored{}
	for _, project := range slices.Compact(projects) {
		all, err := r.list(ctx, t, project)
		if err != nil {
			return nil, fmt.Errorf("%w: can't tell what is still needed: %w", errNotStarted, err)
		}
		there[project] = r.asWanted(owned(project, all))
	}
	return there, nil
}

// stillNeeded returns the secrets that the plan would delete and that an automation
// may need which the batch does not change, with the automation's key.
func (r *run) stillNeeded(there map[string][]Stored, left map[string]error) map[storedSecret]string {
	changed := map[string]bool{}
	for _, c := range r.plan.Changes {
		if c.Base != nil && left[c.Key] == nil {
			changed[c.Base.ID] = true
		}
	}
	kept := map[storedSecret]string{}
	for _, s := range r.plan.Secrets {
		if s.Action != Delete {
			continue
		}
		secret := s.stored(r.plan.Project)
		stay := slices.DeleteFunc(slices.Clone(there[secret.project]), func(s Stored) bool { return changed[s.ID] })
		if keys := needing(s.Name, stay); len(keys) > 0 {
			kept[secret] = keys[0]
		}
	}
	return kept
}

// newBatch returns the plan's changes, without those that are left out and the
// secrets that are kept.
func (r *run) newBatch(kept map[storedSecret]string, left map[string]error) Batch {
	b := Batch{PutSecrets: map[string]automation.Secret{}, Stored: func(s Stored) { r.written[s.Marker.Key] = s }}
	for _, c := range r.plan.Changes {
		if left[c.Key] != nil {
			continue
		}
		switch c.Action {
		case Create:
			b.Creates = append(b.Creates, r.desired[c.Key])
		case Delete:
			b.Deletes = append(b.Deletes, c.Base.stored(r.plan.Project, c.Key))
		default:
			b.Updates = append(b.Updates, BatchUpdate{
				Old: c.Base.stored(r.plan.Project, c.Key), Next: MarkerOf(r.plan.Project, r.desired[c.Key]), New: r.desired[c.Key],
			})
		}
	}
	for _, s := range r.plan.Secrets {
		switch {
		case s.Action != Delete:
			b.PutSecrets[s.Name] = r.secrets[s.Name]
		case kept[s.stored(r.plan.Project)] == "" && s.Project == "":
			b.DeleteSecrets = append(b.DeleteSecrets, s.Name)
		}
	}
	return b
}

func (b Batch) empty() bool {
	return len(b.PutSecrets)+len(b.Creates)+len(b.Updates)+len(b.Deletes)+len(b.DeleteSecrets) == 0
}

// A progress is the state of a change of a batch.
type progress int

const (
	pending  progress = iota // as it was before
	achieved                 // as it is wanted
	overtaken
	untold // as it is wanted, and as it was
)

// judgeBatch decides, from the current state, how to continue after a failed
// batch.
func (r *run) judgeBatch(ctx context.Context, t task, b Batch, left map[string]error, err error) (again bool, _ error) {
	stored, lookErr := r.list(ctx, t, r.plan.Project)
	if lookErr != nil {
		return false, unknown(err, lookErr)
	}
	states, lookErr := r.storedSecrets(ctx, t, r.plan.Project, b.PutSecrets)
	if lookErr != nil {
		return false, unknown(err, lookErr)
	}
	count := map[progress]int{}
	byKey, byID := groupByKey(r.plan.Project, stored), map[string]Stored{}
	for _, s := range owned(r.plan.Project, stored) {
		byID[s.ID] = s
	}
	for _, c := range r.plan.Changes {
		if left[c.Key] != nil {
			continue
		}
		p, what := r.progressOf(c, byKey[c.Key], byID)
		count[p]++
		if p == overtaken {
			return false, &BatchError{Key: c.Key, Err: changedSince(what, err)}
		}
	}
	// A secret has no revision: if it differs from the wanted value, it is
	// unchanged.
	for _, s := range r.plan.Secrets {
		if s.Action == Delete {
			continue
		}
		switch state, ok := states[s.Name]; {
		case !ok || state != Same:
			count[pending]++
		case s.Replaced:
			count[untold]++
		default:
			count[achieved]++
		}
	}
	for _, name := range b.DeleteSecrets {
		if _, ok := states[name]; ok {
			count[pending]++
		} else {
			count[achieved]++
		}
	}
	if count[pending] == 0 && (count[untold] == 0 || count[achieved] > 0) {
		*t.settled = true
		for key, copies := range byKey {
			r.written[key] = preferred(copies, r.plan.Project)[0]
		}
		return false, nil
	}
	return mayPass(err), err
}

// progressOf returns the state of one change, given the automations of its key
// and all of the project by ID. For a change that was overtaken, it also
// returns a description.
func (r *run) progressOf(c Change, copies []Stored, byID map[string]Stored) (progress, string) {
	want := r.desired[c.Key].Hash()
	if c.Action == Create {
		switch {
		case len(copies) == 0:
			return pending, ""
		case slices.ContainsFunc(copies, func(s Stored) bool { return matches(want, s) }):
			return achieved, ""
		default:
			return overtaken, "created"
		}
	}
	now, there := byID[c.Base.ID]
	switch {
	case !there && c.Base.Kind != "":
		return pending, "" // it is still whose it was, and the platform says if it has changed
	case !there && c.Action == Delete:
		return achieved, ""
	case !there:
		return overtaken, "deleted"
	case c.Reason == Replaced && now.Revision == c.Base.Revision:
		return untold, ""
	case c.Action == Update && matches(want, now):
		return achieved, ""
	case now.Revision == c.Base.Revision:
		return pending, ""
	default:
		return overtaken, "changed"
	}
}

// list returns a project's automations on the platform.
func (r *run) list(ctx context.Context, t task, project string) ([]Stored, error) {
	return lookup(ctx, r, t, listTimeouts*r.opts.Timeout,
		func(ctx context.Context) ([]Stored, error) { return r.platform.List(ctx, project) })
}
