package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seguehq/segue/automation"
)

// A Platform is what segue needs of an automation platform to keep it in step.
//
// All methods may be called from several goroutines at once, honour the
// context's deadline, and return errors that wrap an [*Error], which says how
// the engine may go on. An error of a writing method does not mean that nothing
// was written: the engine looks the automation up by its marker afterwards.
type Platform interface {
	// List returns every automation that carries a marker of project, in any
	// order. One whose content can't be read back in canonical terms is
	// returned all the same, with what could be read.
	List(ctx context.Context, project string) ([]Stored, error)

	// Find returns every automation that carries the marker of project and key:
	// none or one, or more if something went wrong before.
	Find(ctx context.Context, project, key string) ([]Stored, error)

	// Create stores a new automation together with its marker, in one step.
	// It fails with [Exists] where the platform can tell that the key is taken.
	Create(ctx context.Context, project string, a automation.Automation) (Stored, error)

	// Update replaces the stored automation's content and marker in one step,
	// if its revision is still old.Revision; else it fails with [Conflict].
	Update(ctx context.Context, old Stored, a automation.Automation) (Stored, error)

	// Delete removes the stored automation if its revision is still
	// old.Revision; else it fails with [Conflict], or [NotFound] if it is gone.
	Delete(ctx context.Context, old Stored) error

	// Secrets returns, for the project, the name of every secret that the
	// platform stores, and whether the stored value is the one that want gives
	// under that name: [Same] or [Different]. A stored secret that want does not
	// mention is [Unchecked]; a wanted one that is not stored is left out.
	Secrets(ctx context.Context, project string, want map[string]automation.Secret) (map[string]SecretState, error)

	// PutSecret stores a secret's value for the project, over an old one.
	PutSecret(ctx context.Context, project, name string, value automation.Secret) error

	// DeleteSecret removes a secret of the project. Removing one that is not
	// there is not an error.
	DeleteSecret(ctx context.Context, project, name string) error
}

// A TriggerLister is a [Platform] that knows which patterns and journeys there
// are. Where any name will do, because a trigger is an endpoint, there is
// nothing to list.
type TriggerLister interface {
	Platform

	// Triggers returns the platform's patterns and journeys, in any order.
	Triggers(ctx context.Context) ([]automation.Trigger, error)
}

// A Settler is a [Platform] on which something may be left to put in order once
// all changes of an apply are made: what can't be told while another apply is at
// work at the same time, such as whether anything still uses a credential.
type Settler interface {
	Platform

	// Settle puts in order what the calls before it have left on the platform
	// for the project. It is the last call of an apply, and may be made again.
	Settle(ctx context.Context, project string) error
}

// A Confirmer is a [Platform] that can't be sure that it lists all there is:
// somebody has described to it where the list is. What a list lacks, the next
// apply would create again, so [Apply] looks whether the list shows what it has
// written.
type Confirmer interface {
	Platform

	// CreateConfirmed does what Create does, and looks at the list before and
	// after. If that does not show the new automation together with all that was
	// there, it removes the new one again and fails with [Unlisted]. It reads
	// whole lists, and may take as long as two of them.
	CreateConfirmed(ctx context.Context, project string, a automation.Automation) (Stored, error)

	// Confirm returns an error for each of the keys that the list does not show
	// with its marker. Automations that were created since the platform was
	// opened, and are not listed, it removes again.
	Confirm(ctx context.Context, project string, keys []string) (map[string]error, error)
}

// A SecretCarrier is a [Platform] without a place of its own for secrets: each
// automation carries the values that it needs. [Platform.PutSecret] then writes
// those that are there again, and the first value of a secret is stored only
// with an automation that has it.
type SecretCarrier interface {
	Platform

	// CarriesSecrets does nothing; to have it is to say so.
	CarriesSecrets()
}

// Stored is an automation as a platform holds it.
type Stored struct {
	// ID is the platform's own identifier.
	ID string
	// Revision changes with every write of the automation on the platform, by
	// whomever.
	Revision string
	// Marker says who manages the automation and what was last applied.
	Marker Marker
	// Automation is the content that is there now, in canonical terms and
	// without what the platform fills in by itself. Its key is the marker's.
	Automation automation.Automation
}

// A Marker is the record on the platform that says which project and key own an
// automation.
type Marker struct {
	Project string `json:"project"`
	Key     string `json:"key"`
	// Hash is the [automation.Automation.Hash] of what segue last applied.
	Hash string `json:"hash"`
}

// A SecretState compares a stored secret with the value at hand.
type SecretState int

// The states of a stored secret.
const (
	Unchecked SecretState = iota // stored; no value to compare with was given
	Same                         // the stored value is the given one
	Different                    // the stored value is another one
)

// An ErrorKind says what a platform's error means for what comes next.
type ErrorKind int

// The kinds of error.
const (
	// Refused is a definite no: the request was understood and will not be
	// carried out, now or later.
	Refused ErrorKind = iota
	// Temporary may pass: the engine tries again. The work may have been done.
	Temporary
	// Conflict means that the automation has another revision by now.
	Conflict
	// NotFound means that the automation is gone.
	NotFound
	// Exists means that the project and key are taken.
	Exists
	// Unauthorized means that the credentials for the platform are wrong;
	// nothing else will succeed either.
	Unauthorized
	// Unlisted means that the platform's list does not show all that is there:
	// whatever else is created may be there already.
	Unlisted
)

// An Error is a platform's answer that is not a success, or the lack of one.
type Error struct {
	Kind ErrorKind
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// RetryAfter is how long the platform asks to be left alone, 0 if it does not.
	RetryAfter time.Duration
	// Message says what is wrong and, where that is known, what to do. It holds
	// no secret and no terminal control characters.
	Message string
	// Err is the cause, if there is one.
	Err error
}

// Error returns the message, with the HTTP status in front if there is one.
func (e *Error) Error() string {
	switch {
	case e.Status != 0:
		return fmt.Sprintf("%d: %s", e.Status, e.Message)
	default:
		return e.Message
	}
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the [*Error] that err wraps; [Refused] if it wraps
// none, and [Temporary] for a deadline that passed.
func KindOf(err error) ErrorKind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return Temporary
	default:
		return Refused
	}
}
