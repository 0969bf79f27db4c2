package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	stdsync "sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/automation"
)

// DefaultParallelism is the default number of changes made at a time.
const DefaultParallelism = 8

// ApplyOptions controls how a plan is applied.
type ApplyOptions struct {
	// Parallelism is the number of changes made at a time; 0 means
	// [DefaultParallelism].
	Parallelism int
	// Progress, if not nil, is called with every event, one at a time. It
	// blocks the work while it runs.
	Progress func(Event)
	// Record, if not nil, is called with every change as it ends, one at a time. It is
	// called again for a change that turns out later to have failed, and for duplicates
	// that are deleted beside the plan. If it fails, nothing new is started, and the
	// result says so.
	Record func(Record) error
	// Calls controls how the platform is called.
	Calls
}

// Apply carries a plan out: secrets are stored first, then automations are
// created and updated, then others are deleted, then secrets are deleted that
// nothing on the platform needs any more. Finally, everything that was written
// is checked again, and a [Settler] settles. in must be the input of the plan.
//
// A replaced automation is deleted only after its replacement exists, so an
// interrupted apply leaves one that fires.
//
// It returns no result, and has changed nothing, with a [*BlockedError] for a
// plan that has blocks and a [*StaleError] for a plan that was made from other
// automations. Otherwise there is a result, and the error is its [Result.Err]:
// one failure does not stop the rest, except that nothing new is started once
// the platform refuses the credentials.
//
// On a [Batcher] all of it is one write. A change that the platform refuses is
// left out of it, and reported as failed.
//
// When ctx is canceled, nothing new is started either; calls in flight are
// finished, so that their outcome is known.
//
// On a [SecretCarrier] a secret that is created is reported on after the
// automations, as done if one that has it was written.
//
// On a [Confirmer] the first automation is created before anything else is
// changed, to see whether the platform's list shows it. If it does not, nothing
// more is done.
func Apply(ctx context.Context, p Platform, plan *Plan, in Desired, opts ApplyOptions) (*Result, error) {
	if err := plan.check(in); err != nil {
		return nil, err
	}
	desired, err := in.byKey()
	if err != nil {
		return nil, err
	}
	if opts.Parallelism <= 0 {
		opts.Parallelism = DefaultParallelism
	}
	opts.Calls = opts.Calls.withDefaults()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r := &run{
		platform: p, plan: plan, desired: desired, secrets: in.Secrets, opts: opts, stop: stop,
		result: &Result{
			Format: ResultFormat, Project: plan.Project, Target: plan.Target, Unchanged: len(plan.Unchanged),
			Changes: make([]ChangeResult, len(plan.Changes)),
			Secrets: make([]SecretResult, len(plan.Secrets)),
		},
		after: make([]string, len(plan.Changes)), written: map[string]Stored{},
	}
	if b, ok := p.(Batcher); ok {
		r.batch(ctx, b)
		r.review(ctx)
	} else {
		r.putSecrets(ctx)
		r.change(ctx)
		r.confirm(ctx)
		r.carrySecrets(ctx)
		r.deleteSecrets(ctx)
		r.review(ctx)
		r.settle(ctx)
	}
	return r.result, r.result.Err()
}

// A run is one call of Apply.
type run struct {
	platform Platform
	plan     *Plan
	desired  map[string]automation.Automation
	secrets  map[string]automation.Secret
	opts     ApplyOptions
	// stop keeps anything new from being started.
	stop   context.CancelCauseFunc
	result *Result // each goroutine writes to an element of its own
	// after has the final revision of each change's automation, "" if it is unknown.
	after []string
	// written has the automations that a batch has created or updated, by key.
	written map[string]Stored
	// confirmed is set once the list has shown an automation that was created.
	confirmed atomic.Bool

	progress stdsync.Mutex // serializes calls of opts.Progress and opts.Record
}

// errTaken returns the reason for refusing a change whose endpoint or name
// somebody else holds.
func errTaken(b *Bystander) error {
	place := "its place"
	if b.Endpoint != "" {
		place = b.Endpoint
	}
	return &Error{Kind: Refused, Message: place + " is held by " + b.Title +
		", which is not this project's; change or delete it there, or take it over with --adopt"}
}

// errKeptGone returns the reason for not deleting a duplicate.
func errKeptGone(c Change) error {
	return fmt.Errorf("%w: the copy that was to stay, %s, is gone", errNotStarted, c.Kept)
}

// errNotStarted marks a change for which no request was made.
var errNotStarted = errors.New("not started")

// putSecrets stores the secrets that are created or rotated. A secret carried
// by an automation counts as done until carrySecrets.
func (r *run) putSecrets(ctx context.Context) {
	r.each(len(r.plan.Secrets), func(i int) {
		s := r.plan.Secrets[i]
		if s.Action == Delete {
			return
		}
		t := r.secretTask(s)
		t.carried = r.carried(s)
		err := r.do(ctx, t, func(t task) error { return r.putSecret(ctx, t, s) })
		r.finishSecret(i, err)
		if err != nil || !t.carried {
			r.recordSecret(i)
		}
	})
}

// carried reports whether a secret is stored only with the automations that the
// plan writes.
func (r *run) carried(s SecretChange) bool {
	_, carrier := r.platform.(SecretCarrier)
	return carrier && s.Action == Create
}

// carrySecrets reports on the secrets that automations carry.
func (r *run) carrySecrets(ctx context.Context) {
	for i, s := range r.plan.Secrets {
		if !r.carried(s) || r.result.Secrets[i].Outcome != Done {
			continue
		}
		written := slices.ContainsFunc(r.result.Changes, func(c ChangeResult) bool {
			return slices.Contains(s.UsedBy, c.Key) && (c.Outcome == Done || c.Outcome == AlreadyThere)
		})
		r.finishSecret(i, r.do(context.WithoutCancel(ctx), r.secretTask(s), func(task) error {
			if !written {
				return fmt.Errorf("%w: no automation that has the secret %s was written", errNotStarted, s.Name)
			}
			return nil
		}))
		r.recordSecret(i)
	}
}

// change carries out the changes of automations.
func (r *run) change(ctx context.Context) {
	missing := map[string]bool{}
	for _, s := range r.result.Secrets {
		missing[s.Name] = s.Outcome == Failed || s.Outcome == NotStarted
	}
	one := func(i int) {
		c := r.plan.Changes[i]
		t := changeTask(c)
		var now Stored
		err := r.do(ctx, t, func(t task) (err error) {
			if c.Taken != nil {
				return errTaken(c.Taken)
			}
			if c.Action == Delete {
				if err := r.mayDelete(ctx, t, c); err != nil {
					return err
				}
				return r.delete(ctx, t, c.Base.stored(r.plan.Project, c.Key))
			}
			want := r.desired[c.Key]
			for _, name := range want.SecretNames() {
				if missing[name] {
					return fmt.Errorf("%w: the secret %s could not be stored", errNotStarted, name)
				}
			}
			now, err = r.put(ctx, t, c, want)
			return err
		})
		r.result.Changes[i] = ChangeResult{
			Key: c.Key, Action: c.Action, Reason: c.Reason, ID: now.ID,
			Outcome: outcome(err), Settled: err == nil && *t.settled, Err: err, Error: text(err),
		}
		if err == nil && *t.found {
			r.result.Changes[i].Outcome = AlreadyThere
		}
		r.after[i] = now.Revision
		r.recordChange(i)
	}
	done := make([]bool, len(r.plan.Changes))
	if _, ok := r.platform.(Confirmer); ok {
		for i, c := range r.plan.Changes {
			if c.Action == Create && !r.confirmed.Load() {
				one(i)
				done[i] = true
			}
		}
	}
	for _, deleting := range []bool{false, true} {
		r.each(len(r.plan.Changes), func(i int) {
			if !done[i] && deleting == (r.plan.Changes[i].Action == Delete) {
				one(i)
			}
		})
	}
}

// mayDelete returns the reason why an automation must stay: its replacement, or the
// copy that should stay, does not exist. All other writes are done by then.
func (r *run) mayDelete(ctx context.Context, t task, c Change) error {
	for i, other := range r.plan.Changes {
		if other.Action == Delete {
			continue // it may be under way
		}
		switch o := r.result.Changes[i].Outcome; {
		case o != Failed && o != NotStarted:
		case other.Key == c.After:
			return fmt.Errorf("%w: %s, which seems to take its place, is not there", errNotStarted, other.Key)
		case other.Key == c.Key:
			return fmt.Errorf("%w: the copy that is to stay could not be written", errNotStarted)
		}
	}
	if c.Kept == "" {
		return nil
	}
	found, err := r.find(ctx, t, r.plan.Project, c.Key)
	if err == nil && !slices.ContainsFunc(found, func(s Stored) bool { return s.ID == c.Kept }) {
		return errKeptGone(c)
	}
	return err
}

// confirm checks that the platform's list shows the written automations, if
// that is in doubt. A missing automation counts as failed: the next plan would
// find it missing.
func (r *run) confirm(ctx context.Context) {
	p, ok := r.platform.(Confirmer)
	if !ok {
		return
	}
	var keys []string
	created := false
	for _, c := range r.result.Changes {
		created = created || c.Action == Create && c.Outcome != NotStarted
		if c.Action != Delete && c.Outcome == Done {
			keys = append(keys, c.Key)
		}
	}
	if len(keys) == 0 && !created {
		return
	}
	how := reading{timeout: 2 * listTimeouts * r.opts.Timeout, again: temporary}
	missing, err := read(ctx, context.WithoutCancel(ctx), r.opts.Calls, how, func(ctx context.Context) (map[string]error, error) {
		return p.Confirm(ctx, r.plan.Project, keys)
	})
	for i := range r.result.Changes {
		c := &r.result.Changes[i]
		cause := missing[c.Key]
		if err != nil && c.Action == Create {
			cause = fmt.Errorf("it was written, and whether the platform lists it is unknown: %w", err)
		}
		if cause == nil || c.Action == Delete || c.Outcome != Done {
			continue
		}
		r.fail(i, cause)
	}
}

// deleteSecrets deletes the secrets that are not wanted any more. The current
// state of the platform decides: a delete or an update may have failed, or
// somebody may have added an automation since the plan.
func (r *run) deleteSecrets(ctx context.Context) {
	first := slices.IndexFunc(r.plan.Secrets, func(s SecretChange) bool { return s.Action == Delete })
	if first < 0 {
		return
	}
	there := map[string][]Stored{}
	var listErr error
	for _, s := range r.plan.Secrets[first:] {
		project := cmp.Or(s.Project, r.plan.Project)
		if _, listed := there[project]; !listed && s.Action == Delete && ctx.Err() == nil && listErr == nil {
			there[project], listErr = r.list(ctx, r.secretTask(s), project)
		}
	}
	r.each(len(r.plan.Secrets), func(i int) {
		s := r.plan.Secrets[i]
		if s.Action != Delete {
			return
		}
		r.finishSecret(i, r.do(ctx, r.secretTask(s), func(t task) error {
			if listErr != nil {
				return fmt.Errorf("%w: can't tell whether it is still needed: %w", errNotStarted, listErr)
			}
			project := cmp.Or(s.Project, r.plan.Project)
			if keys := needing(s.Name, r.asWanted(owned(project, there[project]))); len(keys) > 0 {
				return fmt.Errorf("%w: %s may still need it", errNotStarted, keys[0])
			}
			return r.deleteSecret(ctx, t, project, s.Name)
		}))
		r.recordSecret(i)
	})
}

// settle calls the platform's Settle, if it has one.
func (r *run) settle(ctx context.Context) {
	s, ok := r.platform.(Settler)
	if !ok || r.plan.Empty() || ctx.Err() != nil {
		return
	}
	calls := r.opts.Calls
	if r.result.CountOutcome(Failed) > 0 {
		calls.Tries = 1 // a platform that is away has been waited for already
	}
	err := calls.repeat(ctx, nil, func(n int) (bool, error) {
		// It may have to list everything.
		ctx, cancel := context.WithTimeout(withTry(context.WithoutCancel(ctx), n), listTimeouts*r.opts.Timeout)
		defer cancel()
		err := s.Settle(ctx, r.plan.Project)
		if former := r.former(); err == nil && former != "" {
			err = s.Settle(ctx, former)
		}
		return err != nil && mayPass(err), err
	})
	if err != nil {
		r.unsettled(fmt.Errorf("clean up on %s: %w", r.plan.Target, err))
	}
}

// unsettled records the first error of the apply as a whole.
func (r *run) unsettled(err error) {
	if r.result.Unsettled == nil {
		r.result.Unsettled, r.result.UnsettledError = err, err.Error()
	}
}

// former returns the project's former name if the plan takes anything over from it.
func (r *run) former() string {
	for _, c := range r.plan.Changes {
		if c.Base != nil && c.Base.Kind == Foreign {
			return c.Base.Project
		}
	}
	return ""
}

// owned returns the automations that carry a marker of the project.
func owned(project string, stored []Stored) []Stored {
	var own []Stored
	for _, copies := range groupByKey(project, stored) {
		own = append(own, copies...)
	}
	return own
}

// asWanted returns the automations with the content of the code, if they were
// written with it: the platform may have changed the content, which then shows less
// about the secrets that they need.
func (r *run) asWanted(stored []Stored) []Stored {
	for i, s := range stored {
		want, ok := r.desired[s.Marker.Key]
		if ok && s.Marker.Project == r.plan.Project && matches(want.Hash(), s) {
			stored[i].Automation = want
		}
	}
	return stored
}

// each calls f for every index below n, with the parallelism of the options.
func (r *run) each(n int, f func(i int)) {
	var g errgroup.Group
	g.SetLimit(r.opts.Parallelism)
	for i := range n {
		g.Go(func() error {
			f(i)
			return nil
		})
	}
	_ = g.Wait() // f reports its errors in the result
}

// A task is one change in progress.
type task struct {
	Event          // its action and its key or secret
	subject string // what it is in an error
	settled *bool  // set when the work turned out to be done after an error
	found   *bool  // set when somebody else turned out to have done it
	carried bool   // done only with an automation: no event yet
}

func changeTask(c Change) task {
	return newTask(Event{Action: c.Action, Key: c.Key}, c.Key)
}

func (r *run) secretTask(s SecretChange) task {
	return newTask(Event{Action: s.Action, Secret: s.Name}, "secret "+s.Name)
}

func newTask(e Event, subject string) task {
	return task{Event: e, subject: subject, settled: new(bool), found: new(bool)}
}

// do runs f as one change, unless nothing new is to be started, and reports on
// it. The error names the change.
func (r *run) do(ctx context.Context, t task, f func(task) error) error {
	var err error
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", errNotStarted, context.Cause(ctx))
	} else {
		err = f(t)
	}
	if err == nil {
		switch {
		case *t.found:
			r.emit(t, EventFound, nil, 0)
		case !t.carried:
			r.emit(t, EventDone, nil, 0)
		}
		return nil
	}
	err = &ChangeError{Subject: t.subject, Action: t.Action, Target: r.plan.Target, Err: err}
	if outcome(err) == Failed {
		r.emit(t, EventFailed, err, 0)
	}
	return err
}

// emit passes an event of the task on.
func (r *run) emit(t task, kind EventKind, err error, wait time.Duration) {
	if r.opts.Progress == nil {
		return
	}
	r.progress.Lock()
	defer r.progress.Unlock()
	e := t.Event
	e.Kind, e.Err, e.Wait = kind, err, wait
	r.opts.Progress(e)
}

func (r *run) finishSecret(i int, err error) {
	s := r.plan.Secrets[i]
	r.result.Secrets[i] = SecretResult{Name: s.Name, Action: s.Action, Outcome: outcome(err), Err: err, Error: text(err)}
}

func outcome(err error) Outcome {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, errNotStarted):
		return NotStarted
	default:
		return Failed
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
