package sync

import (
	"fmt"
	"time"
)

// An Outcome is the outcome of a change.
type Outcome string

// The outcomes.
const (
	// Done: the platform is in the state of the change.
	Done Outcome = "done"
	// AlreadyThere: the same, and a create had nothing to do. Somebody else has
	// applied the same since the plan.
	AlreadyThere Outcome = "already there"
	// Failed: it is not, or that is unknown. The next plan shows which.
	Failed Outcome = "failed"
	// NotStarted: no request was made.
	NotStarted Outcome = "not started"
)

// ResultFormat names the layout of a [Result] as JSON.
const ResultFormat = "segue/result/v1"

// A Result accounts for every change of a plan.
type Result struct {
	// Format is [ResultFormat].
	Format  string `json:"format"`
	Project string `json:"project"`
	Target  string `json:"target"`
	// Changes is in the order of [Plan.Changes].
	Changes []ChangeResult `json:"changes"`
	// Secrets is in the order of [Plan.Secrets].
	Secrets []SecretResult `json:"secrets"`
	// Unchanged is the number of automations that were already up to date.
	Unchanged int `json:"unchanged"`
	// Altered lists the written automations that the platform has stored in another
	// form, in order of their keys. Each counts as failed: it would send something
	// else than the code says.
	Altered []Altered `json:"altered,omitempty"`
	// Doubles lists the keys of which another apply had made a second one at the
	// same time, sorted. One of each is left.
	Doubles []string `json:"doubles,omitempty"`
	// Unsettled is the error of a [Settler] that could not clean up, or nil.
	// The outcomes of the changes are valid nevertheless. UnsettledError is its
	// text.
	Unsettled      error  `json:"-"`
	UnsettledError string `json:"unsettled,omitempty"`
}

// NothingDone is the result of a plan that has nothing to do.
func (p *Plan) NothingDone() *Result {
	return &Result{Format: ResultFormat, Project: p.Project, Target: p.Target, Changes: []ChangeResult{}, Secrets: []SecretResult{}, Unchanged: len(p.Unchanged)}
}

// A ChangeResult is the outcome of one automation's change.
type ChangeResult struct {
	Key     string  `json:"key"`
	Action  Action  `json:"action"`
	Reason  Reason  `json:"reason"`
	Outcome Outcome `json:"outcome"`
	// ID is the automation's on the platform, "" where it is not known or deleted.
	ID string `json:"id,omitempty"`
	// Settled is set if the platform had done the work although it answered
	// with an error, or not at all.
	Settled bool `json:"settled,omitempty"`
	// Err is the reason why the change was not made; Error is its text.
	Err   error  `json:"-"`
	Error string `json:"error,omitempty"`
}

// A SecretResult is the outcome of one secret's change.
type SecretResult struct {
	Name    string  `json:"name"`
	Action  Action  `json:"action"`
	Outcome Outcome `json:"outcome"`
	// Err is the reason why the outcome is not [Done]; Error is its text.
	Err   error  `json:"-"`
	Error string `json:"error,omitempty"`
}

// Count returns the number of automations with this action done.
func (r *Result) Count(a Action) int {
	n := 0
	for _, c := range r.Changes {
		if c.Action == a && c.Outcome == Done {
			n++
		}
	}
	return n
}

// CountOutcome returns the number of changes, of automations and of secrets,
// with this outcome. A failed cleanup counts as one more failure.
func (r *Result) CountOutcome(o Outcome) int {
	n := 0
	for _, c := range r.Changes {
		if c.Outcome == o {
			n++
		}
	}
	for _, s := range r.Secrets {
		if s.Outcome == o {
			n++
		}
	}
	if o == Failed && r.Unsettled != nil {
		n++
	}
	return n
}

// Err returns nil if everything was done, else an [*IncompleteError].
func (r *Result) Err() error {
	e := &IncompleteError{Failed: r.CountOutcome(Failed), NotStarted: r.CountOutcome(NotStarted)}
	if e.Failed+e.NotStarted == 0 {
		return nil
	}
	for _, wanted := range []Outcome{Failed, NotStarted} {
		for _, s := range r.Secrets {
			if s.Outcome == wanted {
				e.errs = append(e.errs, s.Err)
			}
		}
		for _, c := range r.Changes {
			if c.Outcome == wanted {
				e.errs = append(e.errs, c.Err)
			}
		}
		if wanted == Failed && r.Unsettled != nil {
			e.errs = append(e.errs, r.Unsettled)
		}
	}
	return e
}

// An IncompleteError means that a part of a plan was not applied. It wraps the
// error of each such change, failed ones first.
type IncompleteError struct {
	// Failed and NotStarted count changes of automations and of secrets.
	Failed, NotStarted int
	errs               []error
}

// Error gives the counts and the first error.
func (e *IncompleteError) Error() string {
	return fmt.Sprintf("%d failed, %d not started: %v", e.Failed, e.NotStarted, e.errs[0])
}

// Unwrap returns the error of each change that was not carried out.
func (e *IncompleteError) Unwrap() []error { return e.errs }

// A ChangeError is why one change was not carried out, for example
// "growth/account-activated: create on prod: 503: busy".
type ChangeError struct {
	// Subject is the automation's key, or "secret NAME".
	Subject string
	Action  Action
	Target  string
	Err     error
}

// Error gives the subject, the action, the target and the cause.
func (e *ChangeError) Error() string {
	return fmt.Sprintf("%s: %s on %s: %v", e.Subject, e.Action, e.Target, e.Err)
}

// Unwrap returns the cause.
func (e *ChangeError) Unwrap() error { return e.Err }

// An EventKind is the kind of an event.
type EventKind string

// The kinds of event. A change that is not started has none.
const (
	EventStarted  EventKind = "started"
	EventRetrying EventKind = "retrying"
	EventDone     EventKind = "done"
	EventFound    EventKind = "found" // with the outcome [AlreadyThere]
	EventFailed   EventKind = "failed"
)

// An Event reports progress of [Apply].
type Event struct {
	Kind   EventKind
	Action Action
	// Key is the automation's, empty for a secret; Secret is the secret's
	// name, empty for an automation. Both are empty, and so is Action, where a
	// [Batcher] is tried again with all changes.
	Key, Secret string
	// Err is the reason for another attempt or a failure.
	Err error
	// Wait is the time until the next attempt.
	Wait time.Duration
}
