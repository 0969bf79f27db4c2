package sync

import (
	"context"
	"maps"
	"slices"

	"github.com/seguehq/segue/automation"
)

// An Addresser is a [Platform] on which each automation has an endpoint of its own.
type Addresser interface {
	Platform

	// Address returns the URL that fires the automation of a project and key, as
	// seen from segue, "" if it is unknown. It is called after [Surveyor.Survey],
	// and sends no request.
	Address(project, key string) string
}

// address returns the URL of an automation's endpoint, "" on a platform without.
func address(p Platform, project, key string) string {
	if a, ok := p.(Addresser); ok {
		return a.Address(project, key)
	}
	return ""
}

// An Entry is one automation of a project, on the platform or in the code.
type Entry struct {
	Key  string `json:"key"`
	Name string `json:"name"`
	// Trigger and Enabled are those on the platform, or in the code for an automation
	// that is not there.
	Trigger automation.Trigger `json:"trigger"`
	Enabled bool               `json:"enabled"`
	// URL fires it; "" if the platform has no endpoints, or the automation is not
	// there.
	URL string `json:"url,omitempty"`
	// ID is the platform's, "" for an automation that is not there.
	ID string `json:"id,omitempty"`
	// InStep is true if it is up to date. Otherwise Reason says why the next plan
	// would change it.
	InStep bool   `json:"inStep"`
	Reason Reason `json:"reason,omitempty"`
}

// Inventory lists the automations of a project, those of the code and those on the
// platform, by key. It changes nothing, and does not look at secrets.
func Inventory(ctx context.Context, p Platform, in Desired, only Selection, calls Calls) ([]Entry, error) {
	in = in.Selected(only)
	in.Secrets = in.unknownSecrets()
	desired, err := in.byKey()
	if err != nil {
		return nil, err
	}
	if err := in.Moves.circle(); err != nil {
		return nil, err
	}
	seen, err := survey(ctx, p, in, nil, calls.withDefaults())
	if err != nil {
		return nil, err
	}
	moved, err := in.Moves.apply(seen.own, desired, only, in.Target)
	if err != nil {
		moved = seen.own // a plan says what is wrong; this says what is there
	}
	own, err := (&Plan{Target: in.Target}).restrict(only, in, moved)
	if err != nil {
		return nil, err
	}
	entries := []Entry{}
	for _, key := range slices.Sorted(maps.Keys(union(desired, own))) {
		want, wanted := desired[key]
		if len(own[key]) == 0 {
			entries = append(entries, Entry{Key: key, Name: want.Name, Trigger: want.Trigger, Enabled: want.Enabled, Reason: New})
		}
		for i, s := range preferred(own[key], in.Project) {
			e := Entry{
				Key: key, Name: s.Automation.Name, Trigger: s.Automation.Trigger, Enabled: s.Automation.Enabled && !s.Archived,
				ID: s.ID, URL: address(p, s.Marker.Project, s.Marker.Key),
			}
			switch {
			case i > 0:
				e.Reason = Duplicate
			case !wanted:
				e.Reason = in.gone(key)
			case s.Marker.Project != in.Project || s.Marker.Key != key:
				e.Reason = Moved
			default:
				e.Reason = updateReason(want.Hash(), s)
			}
			e.InStep = e.Reason == ""
			entries = append(entries, e)
		}
	}
	return entries, nil
}
