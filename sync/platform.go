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
	// List returns every automation that is the project's own, in any order. One
	// whose content can't be read back in canonical terms is returned all the
	// same, with what could be read.
	//
	// An automation is the project's own if its marker names the project and was
	// written for that very automation. What a person has copied carries the same
	// marker and is not: a platform must tell the two apart by the identifier that
	// the marker was written for, or by facts of its own. See [Surveyor].
	List(ctx context.Context, project string) ([]Stored, error)

	// Find returns every automation of the project's own that has the key: none
	// or one, or more if something went wrong before.
	Find(ctx context.Context, project, key string) ([]Stored, error)

	// Create stores a new automation together with its marker, in one step.
	// It fails with [Exists] where the platform can tell that the key is taken.
	Create(ctx context.Context, project string, a automation.Automation) (Stored, error)

	// Update replaces the stored automation's content and marker, in one step, if
	// its revision is still old.Revision; else it fails with [Conflict]. The new
	// marker may name another project or key than the old one, and old may be
	// anything that [Surveyor.Survey] has returned: the automation is then the
	// project's own.
	Update(ctx context.Context, old Stored, next Marker, a automation.Automation) (Stored, error)

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

// A Surveyor is a [Platform] on which there is more to see than a project's own
// automations.
type Surveyor interface {
	Platform

	// Survey tells what a plan has to know of the platform besides [Platform.List].
	// Keys are those that the code wants. A plan calls it right after List, and it
	// may use what that has read.
	//
	// It fails with [Refused] for a platform that segue can't work with, such as
	// one whose version is too old.
	Survey(ctx context.Context, project string, keys []string) (Survey, error)
}

// A Survey is what is to be known of a platform.
type Survey struct {
	// Product names the platform and its version, "" if that is not known:
	// "n8n 2.41.1".
	Product string
	// Warnings are full sentences for the one who reads the plan, without a stop at
	// the end: that the version is newer than any that was tested, or what the
	// platform does not let segue see.
	Warnings []string
	// Others are automations that are not the project's own and concern it, in any
	// order: copies of its own, those of other projects, and whatever holds the
	// endpoint or the name that one of the keys needs.
	Others []Other
}

// An OtherKind says why an automation is not the project's own.
type OtherKind string

// The kinds of other automations.
const (
	// Copy carries a marker of the project that was written for another
	// automation: somebody has copied that.
	Copy OtherKind = "copy"
	// Foreign is another project's own.
	Foreign OtherKind = "foreign"
	// Unmarked carries no marker.
	Unmarked OtherKind = "unmarked"
)

// An Other is an automation on the platform that is not the project's own.
type Other struct {
	// Stored is the automation as far as it can be read. Its marker is the one that
	// it carries, whomever it was written for; the zero marker if it has none.
	Stored
	Kind OtherKind
	// Title is what people know it by on the platform: `workflow "Welcome" (id)`.
	Title string
	// Takes is the key, of those that the survey was asked for, whose endpoint or
	// name it holds, "" for none: as long as it does, the platform refuses to store
	// an automation of that key, or calls for the one may reach the other.
	Takes string
	// Idle says that it would hold that if it were switched on. Until then it is in
	// nobody's way.
	Idle bool
	// Endpoint is what it holds, for people: "POST /webhook/segue/growth/a".
	Endpoint string
}

// A Locker is a [Platform] that can hold a lease: whoever has it is the only one
// who applies to a project.
type Locker interface {
	Platform

	// Lock takes the lease of the project, or renews it if the platform holds one
	// with the same ID. It fails with a [*HeldError] while somebody else has one
	// that has not expired. Of several calls at once, one succeeds at most.
	Lock(ctx context.Context, project string, l Lease) error

	// Unlock gives the lease with this ID up. One that is not there, or that
	// somebody else has by now, is not an error.
	Unlock(ctx context.Context, project string, l Lease) error
}

// A Lease says who applies to a project. It is stored on the platform, and ends by
// itself.
type Lease struct {
	// ID is different for each apply.
	ID string `json:"id"`
	// Holder says who it is, for people: "ada@laptop" or the URL of a pipeline's job.
	Holder string `json:"holder"`
	// Since is when it was taken and Until when it ends, in UTC.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// A HeldError says that somebody else has a project's lease.
type HeldError struct{ Lease Lease }

// Error says who has it, and until when.
func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is applying to this project since %s; its lease ends at %s unless it is renewed",
		e.Lease.Holder, e.Lease.Since.UTC().Format(time.RFC3339), e.Lease.Until.UTC().Format(time.RFC3339))
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
	// Changed is when it was last written on the platform, by whomever; the zero time
	// where the platform does not tell.
	Changed time.Time
	// Marker says who manages the automation and what was last applied.
	Marker Marker
	// Automation is the content that is there now, in canonical terms and
	// without what the platform fills in by itself. Its key is the marker's.
	Automation automation.Automation
	// Outdated says that an older version of segue has written it, in a form that
	// lacks something. It is written again, though nobody has changed it.
	Outdated bool
	// Archived says that somebody has put it aside on the platform, so that an update
	// puts another one in its place. Of two copies it is the one that goes.
	Archived bool
}

// A Marker is the record on the platform that says which project and key own an
// automation. A platform stores more beside it where it needs that to tell the
// automation from a copy.
type Marker struct {
	Project string `json:"project"`
	Key     string `json:"key"`
	// Hash is the [automation.Automation.Hash] of what segue last applied.
	Hash string `json:"hash"`
	// Made is the hash of what the platform has made of that, "" if it has stored
	// what it was sent.
	Made string `json:"made,omitempty"`
}

// MarkerOf returns the marker of an automation as the project's code has it.
func MarkerOf(project string, a automation.Automation) Marker {
	return Marker{Project: project, Key: a.Key, Hash: a.Hash()}
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
