package sync

import "fmt"

// A Record describes one change that has ended, for an audit. It holds no
// secret.
type Record struct {
	// Key is the automation's, "" for a secret; Secret is the secret's name.
	Key    string `json:"key,omitempty"`
	Secret string `json:"secret,omitempty"`
	// Former is the project's former name where a secret is stored under that.
	Former string `json:"former,omitempty"`
	Action Action `json:"action"`
	// Reason is why an automation is changed, "" for a secret.
	Reason  Reason  `json:"reason,omitempty"`
	Outcome Outcome `json:"outcome"`
	// ID is the automation's on the platform, "" where that is not known.
	ID string `json:"id,omitempty"`
	// Before and After are the automation's revisions on the platform: "" where there is
	// none, before a create and after a delete, and where it is not known, as after most
	// failures.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Error is the reason why the outcome is not [Done].
	Error string `json:"error,omitempty"`
}

// record passes a record on. If that fails, nothing new is started, because
// unrecorded changes must not be made.
func (r *run) record(e Record) {
	if r.opts.Record == nil {
		return
	}
	r.progress.Lock()
	defer r.progress.Unlock()
	if err := r.opts.Record(e); err != nil {
		err = fmt.Errorf("the audit can't be written: %w", err)
		r.stop(err)
		r.unsettled(err)
	}
}

// recordChange records the outcome of an automation's change.
func (r *run) recordChange(i int) {
	c, planned := r.result.Changes[i], r.plan.Changes[i]
	e := Record{
		Key: c.Key, Action: c.Action, Reason: c.Reason, Outcome: c.Outcome,
		ID: c.ID, After: r.after[i], Error: c.Error,
	}
	if planned.Base != nil {
		e.Before = planned.Base.Revision
		if e.ID == "" {
			e.ID = planned.Base.ID
		}
	}
	r.record(e)
}

// recordSecret records the outcome of a secret's change.
func (r *run) recordSecret(i int) {
	s := r.result.Secrets[i]
	r.record(Record{Secret: s.Name, Former: r.plan.Secrets[i].Project, Action: s.Action, Outcome: s.Outcome, Error: s.Error})
}

// recordExtra records a duplicate that was deleted beside the planned changes.
func (r *run) recordExtra(extra Stored, err error) {
	r.record(Record{
		Key: extra.Marker.Key, Action: Delete, Reason: Duplicate, Outcome: outcome(err),
		ID: extra.ID, Before: extra.Revision, Error: text(err),
	})
}
