package sync

import (
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
	// if anything that is updated or deleted has another revision by now, with
	// [NotFound] if it is gone, and with [Exists] if something that is created
	// is there already. An error that is about one of the changes can say so by
	// wrapping a [*BatchError]. As with every other method, an error does not
	// mean that nothing was written: the engine then looks at all of it.
	Batch(ctx context.Context, project string, b Batch) error
}

// A Batch is what one write changes in a project.
type Batch struct {
	// PutSecrets are stored, over old values.
	PutSecrets map[string]automation.Secret
	Creates    []automation.Automation
	Updates    []BatchUpdate
	Deletes    []Stored
	// DeleteSecrets are removed; one that is not there is no error.
	DeleteSecrets []string
}

// A BatchUpdate replaces one stored automation, as [Platform.Update] does.
type BatchUpdate struct {
	Old  Stored
	Next Marker
	New  automation.Automation
}

// A BatchError says which change is to blame for a batch that was not made.
type BatchError struct {
	// Key is the automation's.
	Key string
	Err error
}

// Error returns the cause: what reports it names the key.
func (e *BatchError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *BatchError) Unwrap() error { return e.Err }

// batch carries the whole plan out in one write.
func (r *run) batch(ctx context.Context, p Batcher) {
	tasks := make([]task, 0, len(r.plan.Changes))
	for _, c := range r.plan.Changes {
		tasks = append(tasks, changeTask(c))
	}
	whole := newTask(Event{}, "the batch")
	kept, err := r.stillNeeded(ctx, whole)
	b := r.newBatch(kept)
	if err == nil && !b.empty() {
		for i := range tasks {
			r.emit(tasks[i], EventStarted, nil, 0)
		}
		err = r.persist(ctx, whole, func() (bool, error) {
			// One write does the work of many.
			callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listTimeouts*r.opts.Timeout)
			defer cancel()
			err := p.Batch(callCtx, r.plan.Project, b)
			if err == nil {
				return false, nil
			}
			return r.judgeBatch(ctx, whole, b, err)
		})
	}

	var culprit *BatchError
	if errors.As(err, &culprit) && !slices.ContainsFunc(r.plan.Changes, func(c Change) bool { return c.Key == culprit.Key }) {
		culprit = nil
	}
	for i, c := range r.plan.Changes {
		err := r.do(context.WithoutCancel(ctx), tasks[i], func(task) error {
			if culprit != nil && culprit.Key != c.Key {
				return fmt.Errorf("%w: nothing was changed, because of %s", errNotStarted, culprit.Key)
			}
			return err
		})
		r.result.Changes[i] = ChangeResult{
			Key: c.Key, Action: c.Action, Reason: c.Reason,
			Outcome: outcome(err), Settled: err == nil && *whole.settled, Err: err, Error: text(err),
		}
	}
	for i, s := range r.plan.Secrets {
		r.finishSecret(i, r.do(context.WithoutCancel(ctx), r.secretTask(s), func(task) error {
			switch {
			case culprit != nil:
				return fmt.Errorf("%w: nothing was changed, because of %s", errNotStarted, culprit.Key)
			case err == nil && kept[s.Name] != "":
				return fmt.Errorf("%w: %s may still need it", errNotStarted, kept[s.Name])
			}
			return err
		}))
	}
}

// stillNeeded returns the secrets that the plan would delete and that an
// automation may need which is none of the plan's, by name, with its key.
func (r *run) stillNeeded(ctx context.Context, t task) (map[string]string, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", errNotStarted, context.Cause(ctx))
	}
	if !slices.ContainsFunc(r.plan.Secrets, func(s SecretChange) bool { return s.Action == Delete }) {
		return nil, nil
	}
	there, err := r.list(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("%w: can't tell which secrets are still needed: %w", errNotStarted, err)
	}
	there = slices.DeleteFunc(owned(r.plan.Project, there), func(s Stored) bool {
		return slices.ContainsFunc(r.plan.Changes, func(c Change) bool { return c.Base != nil && c.Base.ID == s.ID })
	})
	kept := map[string]string{}
	for _, s := range r.plan.Secrets {
		if keys := needing(s.Name, there); s.Action == Delete && len(keys) > 0 {
			kept[s.Name] = keys[0]
		}
	}
	return kept, nil
}

// newBatch returns the plan's changes, without the secrets that are kept.
func (r *run) newBatch(kept map[string]string) Batch {
	b := Batch{PutSecrets: map[string]automation.Secret{}}
	for _, c := range r.plan.Changes {
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
		case kept[s.Name] == "":
			b.DeleteSecrets = append(b.DeleteSecrets, s.Name)
		}
	}
	return b
}

func (b Batch) empty() bool {
	return len(b.PutSecrets)+len(b.Creates)+len(b.Updates)+len(b.Deletes)+len(b.DeleteSecrets) == 0
}

// A progress says how far a change of a batch has come.
type progress int

const (
	pending  progress = iota // as it was before
	achieved                 // as it is wanted
	overtaken
)

// judgeBatch decides how to go on after a failed batch by what is there.
func (r *run) judgeBatch(ctx context.Context, t task, b Batch, err error) (again bool, _ error) {
	stored, lookErr := r.list(ctx, t)
	if lookErr != nil {
		return false, unknown(err, lookErr)
	}
	states, lookErr := r.storedSecrets(ctx, t, b.PutSecrets)
	if lookErr != nil {
		return false, unknown(err, lookErr)
	}
	count := map[progress]int{}
	byKey, byID := groupByKey(r.plan.Project, stored), map[string]Stored{}
	for _, s := range owned(r.plan.Project, stored) {
		byID[s.ID] = s
	}
	for _, c := range r.plan.Changes {
		p, what := r.progressOf(c, byKey[c.Key], byID)
		count[p]++
		if p == overtaken {
			return false, &BatchError{Key: c.Key, Err: changedSince(what, err)}
		}
	}
	// A secret has no revision: one that is not as wanted is as it was.
	for name := range b.PutSecrets {
		if state, ok := states[name]; ok && state == Same {
			count[achieved]++
		} else {
			count[pending]++
		}
	}
	for _, name := range b.DeleteSecrets {
		if _, ok := states[name]; ok {
			count[pending]++
		} else {
			count[achieved]++
		}
	}
	if count[pending] == 0 {
		*t.settled = true
		return false, nil
	}
	return mayPass(err), err
}

// progressOf says how far one change has come, given the automations of its
// key and all of the project by ID. What has happened to one that was overtaken
// is told as well.
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
	case !there && c.Action == Delete:
		return achieved, ""
	case !there:
		return overtaken, "deleted"
	case c.Action == Update && matches(want, now):
		return achieved, ""
	case now.Revision == c.Base.Revision:
		return pending, ""
	default:
		return overtaken, "changed"
	}
}

// list returns what is on the platform.
func (r *run) list(ctx context.Context, t task) ([]Stored, error) {
	return lookup(ctx, r, t, listTimeouts*r.opts.Timeout,
		func(ctx context.Context) ([]Stored, error) { return r.platform.List(ctx, r.plan.Project) })
}
