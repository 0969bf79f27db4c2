package sync

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// An Importer is a [Platform] that can list its unmanaged automations: those without
// a marker of any project.
type Importer interface {
	Platform

	// Unmanaged returns them in any order. project is the project that may take
	// them over: if keys are derived from endpoints, they are those of that
	// project.
	Unmanaged(ctx context.Context, project string) ([]Unmanaged, error)
}

// An Unmanaged is an automation on a platform that no project manages.
type Unmanaged struct {
	// Stored is the automation as far as it can be expressed. The key is the one that
	// it had in the project before it lost its marker, "" if that is not known.
	Stored
	// Title is what people know it by on the platform: `workflow "Welcome" (id)`.
	Title string
	// Remarks name its parts without a counterpart in the automation, as full
	// sentences without a final period.
	Remarks []string
	// Against is the reason why it can't be expressed as an automation, "" if
	// it can.
	Against string
	// Adoptable is true if taking it over only writes a marker. Others are imported
	// as new automations beside them.
	Adoptable bool
}

// ListUnmanaged returns the unmanaged automations on the platform, in order of
// names and identifiers. It fails for a platform that can't list them.
func ListUnmanaged(ctx context.Context, p Platform, in Desired, calls Calls) ([]Unmanaged, error) {
	importer, ok := p.(Importer)
	if !ok {
		return nil, fmt.Errorf("%s can't list unmanaged automations", in.Target)
	}
	calls = calls.withDefaults()
	how := reading{timeout: listTimeouts * calls.Timeout, again: temporary}
	all, err := read(ctx, ctx, calls, how, func(ctx context.Context) ([]Unmanaged, error) {
		return importer.Unmanaged(ctx, in.Project)
	})
	if err != nil {
		return nil, fmt.Errorf("list unmanaged automations on %s: %w", in.Target, err)
	}
	slices.SortFunc(all, func(a, b Unmanaged) int {
		return cmp.Or(strings.Compare(a.Automation.Name, b.Automation.Name), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// Likeness identifies an automation by its function: everything except its key, its
// headers, and fields that platforms store only in the marker.
func Likeness(a automation.Automation) string {
	a.Key, a.Action.Headers, a.Placeholders, a.Protect = "key", nil, nil, false
	return a.Hash()
}

// readUnmanaged reads automations that may be taken over although the survey does not
// report them.
func (m *planning) readUnmanaged(ctx context.Context, p Platform, calls Calls) error {
	if _, ok := p.(Importer); !ok || !m.opts.Adopt {
		return nil
	}
	all, err := ListUnmanaged(ctx, p, m.in, calls)
	for _, u := range all {
		if u.Adoptable {
			m.unmanaged = append(m.unmanaged, likened{u, Likeness(u.Automation)})
		}
	}
	return err
}

// likened is an unmanaged automation with its [Likeness].
type likened struct {
	Unmanaged
	likeness string
}

// counterpart returns the unmanaged automation that was this one before, by its key, or
// that does the same. Of several that do the same, it returns any. It returns nil if
// there is none.
func (m *planning) counterpart(a automation.Automation) *Other {
	var had, like []likened
	likeness := Likeness(a)
	for _, u := range m.unmanaged {
		switch {
		case m.claimed[u.ID]:
		case u.Automation.Key == a.Key:
			had = append(had, u)
		case u.likeness == likeness:
			like = append(like, u)
		}
	}
	switch {
	case len(had) == 1:
		like = had
	case len(had) > 1 || len(like) == 0:
		return nil // which one it was can't be told
	}
	return &Other{Stored: like[0].Stored, Kind: Unmarked, Title: like[0].Title}
}
