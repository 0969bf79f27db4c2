package embedded

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/seguehq/segue/sync"
)

// longestLease bounds the time for which one apply can lock a project.
const longestLease = 24 * time.Hour

// putLease takes or renews the lease of a project. Only the platform's clock
// decides whether a lease has expired; of the lease in the request, only the
// length counts.
func (a *api) putLease(w http.ResponseWriter, r *http.Request) error {
	var l sync.Lease
	if err := readJSON(r, &l); err != nil {
		return err
	}
	refuse := func(what string) error {
		return newProblem(http.StatusUnprocessableEntity, "invalid-lease", "the lease can't be stored: %s", what)
	}
	project, length := r.PathValue("project"), l.Until.Sub(l.Since)
	switch {
	case !validName(project):
		return refuse("its project is too long, or has characters that can't be printed")
	case !validName(l.ID):
		return refuse("its id is missing or too long, or has characters that can't be printed")
	case !validName(l.Holder):
		return refuse("its holder is missing or too long, or has characters that can't be printed")
	case length <= 0 || length > longestLease:
		return refuse("until must be after since, by a day at most")
	}
	taken, err := a.store.takeLease(r.Context(), project, l, length)
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusOK, taken)
}

func (a *api) deleteLease(w http.ResponseWriter, r *http.Request) error {
	query, err := readQuery(r, "id")
	if err != nil {
		return err
	}
	if query["id"] == "" {
		return badParameter("id is missing: only its holder can release a lease")
	}
	if err := a.store.dropLease(r.Context(), r.PathValue("project"), query["id"]); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// takeLease stores a lease unless somebody else holds one. It returns the stored
// lease; a renewed lease keeps its start.
func (s *Store) takeLease(ctx context.Context, project string, l sync.Lease, length time.Duration) (taken sync.Lease, err error) {
	err = s.update(ctx, func(tx *sql.Tx) error {
		now := s.now()
		var there sync.Lease
		var since, until int64
		err := tx.QueryRowContext(ctx, "SELECT id, holder, since, until FROM leases WHERE project = ?", project).
			Scan(&there.ID, &there.Holder, &since, &until)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		there.Since, there.Until = fromMillis(since), fromMillis(until)
		taken = sync.Lease{ID: l.ID, Holder: l.Holder, Since: fromMillis(millis(now)), Until: fromMillis(millis(now.Add(length)))}
		switch {
		case err != nil:
		case there.ID == l.ID:
			taken.Since = there.Since
		case millis(now) < until:
			held := newProblem(http.StatusConflict, "leased", "%s holds the lease of the project", quoted(there.Holder))
			held.Lease = &there
			return held
		}
		_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO leases (project, id, holder, since, until) VALUES (?, ?, ?, ?, ?)",
			project, taken.ID, taken.Holder, millis(taken.Since), millis(taken.Until))
		return err
	})
	return taken, err
}

// dropLease removes the lease with this id, if it is there.
func (s *Store) dropLease(ctx context.Context, project, id string) error {
	return s.update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM leases WHERE project = ? AND id = ?", project, id)
		return err
	})
}

// Lock implements [sync.Locker]. A platform served by an older segue has no
// leases: there, every call succeeds.
func (p *Platform) Lock(ctx context.Context, project string, l sync.Lease) error {
	_, err := p.call(ctx, call{method: "PUT", path: leasePath(project), in: l, out: &sync.Lease{}})
	var held *sync.HeldError
	if errors.As(err, &held) {
		return held
	}
	return unlessOlder(err)
}

// Unlock implements [sync.Locker].
func (p *Platform) Unlock(ctx context.Context, project string, l sync.Lease) error {
	_, err := p.call(ctx, call{method: "DELETE", path: leasePath(project), query: url.Values{"id": {l.ID}}})
	return unlessOlder(err)
}

// errNoSuchPath is the cause of an error about an operation that the platform does
// not support.
var errNoSuchPath = errors.New("the platform has no such path")

func unlessOlder(err error) error {
	if errors.Is(err, errNoSuchPath) {
		return nil
	}
	return err
}

func leasePath(project string) string { return "/v1/leases/" + url.PathEscape(project) }
