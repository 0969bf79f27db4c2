package sync

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// An Importer is a [Platform] that can tell what lives on it and is not managed: what
// carries no marker of any project.
type Importer interface {
	Platform

	// Unmanaged returns that, in any order. The project is the one that may take it
	// over: where keys can be told from endpoints, it is those of that project.
	Unmanaged(ctx context.Context, project string) ([]Unmanaged, error)
}

// An Unmanaged is something on a platform that no project manages.
type Unmanaged struct {
	// Stored is the automation as far as it can be expressed. The key is the one that
	// it had in the project before it lost its marker, "" if that is not known.
	Stored
	// Title is what people know it by on the platform: `workflow "Welcome" (id)`.
	Title string
	// Remarks say what of it has no counterpart in the automation, as full sentences
	// without a stop at the end.
	Remarks []string
	// Against says why it can't be expressed as an automation, "" if it can.
	Against string
	// Adoptable says that taking it over writes a marker, and leaves the rest as it
	// is. All else is imported as a new automation beside it.
	Adoptable bool
}

// ListUnmanaged returns what on the platform is not managed, in order of names and
// identifiers. It fails for a platform that can't tell.
func ListUnmanaged(ctx context.Context, p Platform, in Desired, calls Calls) ([]Unmanaged, error) {
	importer, ok := p.(Importer)
	if !ok {
		return nil, fmt.Errorf("%s can't tell what is not managed", in.Target)
	}
	calls = calls.withDefaults()
	how := reading{timeout: listTimeouts * calls.Timeout, again: temporary}
	all, err := read(ctx, ctx, calls, how, func(ctx context.Context) ([]Unmanaged, error) {
		return importer.Unmanaged(ctx, in.Project)
	})
	if err != nil {
		return nil, fmt.Errorf("list what is not managed on %s: %w", in.Target, err)
	}
	slices.SortFunc(all, func(a, b Unmanaged) int {
		return cmp.Or(strings.Compare(a.Automation.Name, b.Automation.Name), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// Likeness identifies an automation by what it does: by all but its key, its headers, and
// what platforms keep in the marker alone.
func Likeness(a automation.Automation) string {
	a.Key, a.Action.Headers, a.Placeholders, a.Protect = "key", nil, nil, false
	return a.Hash()
}

// readUnmanaged reads what may be taken over though the survey does not tell that it is
// in the way.
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

// likened is something unmanaged with its [Likeness].
type likened struct {
	Unmanaged
	likeness string
}

// counterpart returns what no project manages and was the automation before, by its key,
// or does the same. Of several that do the same, any will do. It is nil for nothing.
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
