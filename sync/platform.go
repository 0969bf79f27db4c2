package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seguehq/segue/automation"
)

// A Platform is an automation platform, with the operations that segue needs.
//
// All methods may be called from several goroutines at once, honor the
// context's deadline, and return errors that wrap an [*Error], which says how
// the engine may continue. An error of a writing method does not mean that
// nothing was written: the engine looks the automation up by its marker
// afterwards.
type Platform interface {
	// List returns every automation that is the project's own, in any order. If
	// the content can't be read back completely in canonical form, it returns
	// the readable part.
	//
	// An automation is the project's own if its marker names the project and was
	// written for that very automation. A copy has the same marker but is not the
	// project's own: a platform must distinguish the two by the identifier that
	// the marker was written for, or by its own facts. See [Surveyor].
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

	// Secrets returns, for the project, the name of every stored secret, and
	// whether its value equals the one in want: [Same] or [Different]. A stored
	// secret that is not in want is [Unchecked]; a wanted one that is not stored
	// is left out.
	Secrets(ctx context.Context, project string, want map[string]automation.Secret) (map[string]SecretState, error)

	// PutSecret stores a secret's value for the project, and replaces an old
	// one.
	PutSecret(ctx context.Context, project, name string, value automation.Secret) error

	// DeleteSecret removes a secret of the project. Removing one that is not
	// there is not an error.
	DeleteSecret(ctx context.Context, project, name string) error
}

// A TriggerLister is a [Platform] that can list its patterns and journeys. If a
// trigger is an endpoint with any name, there is nothing to list.
type TriggerLister interface {
	Platform

	// Triggers returns the platform's patterns and journeys, in any order.
	Triggers(ctx context.Context) ([]automation.Trigger, error)
}

// A Surveyor is a [Platform] that may have more than a project's own
// automations.
type Surveyor interface {
	Platform

	// Survey returns the facts that a plan needs besides [Platform.List]. keys are
	// the keys in the code. A plan calls it right after List, and it may reuse the
	// result of that.
	//
	// It fails with [Refused] for an unsupported platform, for example if its
	// version is too old.
	Survey(ctx context.Context, project string, keys []string) (Survey, error)
}

// A Survey is the result of [Surveyor.Survey].
type Survey struct {
	// Product names the platform and its version, "" if that is not known:
	// "n8n 2.41.1".
	Product string
	// Warnings are full sentences for the one who reads the plan, without a stop at
	// the end: that the version is newer than the tested ones, or that the platform
	// hides something from segue.
	Warnings []string
	// Others are automations that are not the project's own but concern it, in any
	// order: copies of its own, those of other projects, and those that hold the
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
	// Takes is the key among those of the survey whose endpoint or name it holds,
	// "" for none. Because of it, the platform refuses to store an automation of
	// that key, or calls for one may reach the other.
	Takes string
	// Idle is true if it would hold that only after it is enabled.
	Idle bool
	// Endpoint describes the held endpoint, for people: "POST
	// /webhook/segue/growth/a".
	Endpoint string
}

// A Locker is a [Platform] that can hold a lease: whoever has it is the only one
// who applies to a project.
type Locker interface {
	Platform

	// Lock takes the lease of the project, or renews it if the platform holds one
	// with the same ID. It fails with a [*HeldError] while somebody else holds an
	// unexpired one. Of several calls at once, one succeeds at most.
	Lock(ctx context.Context, project string, l Lease) error

	// Unlock releases the lease with this ID. It is not an error if the lease
	// does not exist, or somebody else now holds it.
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

// A Settler is a [Platform] that may have to clean up after all changes of an
// apply, because some facts are uncertain during another apply, such as whether
// a credential is still used.
type Settler interface {
	Platform

	// Settle cleans up after the earlier calls for the project. It is the last
	// call of an apply, and may be repeated.
	Settle(ctx context.Context, project string) error
}

// A Confirmer is a [Platform] whose list may be incomplete, because it depends
// on a user's description. The next apply would create missing automations
// again, so [Apply] checks that the list shows its writes.
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

// A SecretCarrier is a [Platform] without separate storage for secrets: each
// automation holds the values that it needs. [Platform.PutSecret] then writes
// the existing automations again, and the first value of a secret is stored
// only with an automation that has it.
type SecretCarrier interface {
	Platform

	// CarriesSecrets does nothing; it only marks the type.
	CarriesSecrets()
}

// Stored is an automation on a platform.
type Stored struct {
	// ID is the platform's own identifier.
	ID string
	// Revision changes with every write of the automation on the platform, by
	// anybody.
	Revision string
	// Changed is the time of the last write on the platform, by anybody; the zero
	// time if unknown.
	Changed time.Time
	// Marker identifies the owner of the automation and the last applied
	// content.
	Marker Marker
	// Automation is the current content in canonical form, without values that
	// the platform fills in. Its key is the marker's.
	Automation automation.Automation
	// Outdated says that an older version of segue has written it, in a form that
	// lacks something. It is written again, though nobody has changed it.
	Outdated bool
	// Archived is true if somebody has archived it on the platform: an update then
	// replaces it with a new one. Of two copies, the archived one is deleted.
	Archived bool
}

// A Marker is the record on the platform that says which project and key own an
// automation. A platform may store more data with it to distinguish the
// automation from a copy.
type Marker struct {
	Project string `json:"project"`
	Key     string `json:"key"`
	// Hash is the [automation.Automation.Hash] of the automation last applied
	// by segue.
	Hash string `json:"hash"`
	// Made is the hash of the platform's version of that, "" if the platform
	// stored it unchanged.
	Made string `json:"made,omitempty"`
}

// MarkerOf returns the marker of an automation in the project's code.
func MarkerOf(project string, a automation.Automation) Marker {
	return Marker{Project: project, Key: a.Key, Hash: a.Hash()}
}

// A SecretState is the result of comparing a stored secret with the current
// value.
type SecretState int

// The states of a stored secret.
const (
	Unchecked SecretState = iota // stored; no value to compare with was given
	Same                         // the stored value is the given one
	Different                    // the stored value is another one
)

// An ErrorKind says how to continue after a platform's error.
type ErrorKind int

// The kinds of error.
const (
	// Refused is permanent: the request was understood and will never be
	// carried out.
	Refused ErrorKind = iota
	// Temporary may pass: the engine tries again. The work may have been done.
	Temporary
	// Conflict means that the automation has another revision now.
	Conflict
	// NotFound means that the automation is gone.
	NotFound
	// Exists means that the project and key are taken.
	Exists
	// Unauthorized means that the credentials for the platform are wrong;
	// nothing else will succeed either.
	Unauthorized
	// Unlisted means that the platform's list is incomplete: any other created
	// automation may already exist.
	Unlisted
)

// An Error is an error answer of a platform, or a missing answer.
type Error struct {
	Kind ErrorKind
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// RetryAfter is the pause that the platform asks for, 0 for none.
	RetryAfter time.Duration
	// Message describes the problem and, if known, the remedy. It holds no
	// secret and no terminal control characters.
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
