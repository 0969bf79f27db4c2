package embedded

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// pageBytes bounds the size of an answer: a page ends with the record that
// exceeds it.
const pageBytes = 4 << 20

// storedAutomation is an automation as the API gives it.
type storedAutomation struct {
	ID         string          `json:"id"`
	Revision   string          `json:"revision"`
	Marker     *sync.Marker    `json:"marker,omitempty"`
	Automation json.RawMessage `json:"automation"` // RFC 8785
	CreatedAt  time.Time       `json:"createdAt"`
	UpdatedAt  time.Time       `json:"updatedAt"`
}

// automationFilter selects a page of automations. An empty field does not
// filter.
type automationFilter struct {
	project, key string
	after        int64 // the last id of the page before
	limit        int
}

const automationColumns = "id, revision, project, key, hash, made, body, created_at, updated_at"

func scanAutomation(row interface{ Scan(...any) error }) (int64, storedAutomation, error) {
	var id, revision, created, updated int64
	var project, key, hash sql.NullString
	var made, body string
	if err := row.Scan(&id, &revision, &project, &key, &hash, &made, &body, &created, &updated); err != nil {
		return 0, storedAutomation{}, err
	}
	a := storedAutomation{
		ID: strconv.FormatInt(id, 10), Revision: strconv.FormatInt(revision, 10), Automation: json.RawMessage(body),
		CreatedAt: fromMillis(created), UpdatedAt: fromMillis(updated),
	}
	if project.Valid {
		a.Marker = &sync.Marker{Project: project.String, Key: key.String, Hash: hash.String, Made: made}
	}
	return id, a, nil
}

// automations returns a page in the order of creation, and the id after which
// the next page begins, or 0 on the last page.
func (s *Store) automations(ctx context.Context, f automationFilter) ([]storedAutomation, int64, error) {
	query, args := "SELECT "+automationColumns+" FROM automations WHERE id > ?", []any{f.after}
	if f.project != "" {
		query, args = query+" AND project = ?", append(args, f.project)
	}
	if f.key != "" {
		query, args = query+" AND key = ?", append(args, f.key)
	}
	rows, err := s.read.QueryContext(ctx, query+" ORDER BY id LIMIT ?", append(args, f.limit+1)...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	page := []storedAutomation{}
	var last int64
	for size := 0; rows.Next(); {
		if len(page) == f.limit || size > pageBytes {
			return page, last, nil
		}
		id, a, err := scanAutomation(rows)
		if err != nil {
			return nil, 0, err
		}
		page, last, size = append(page, a), id, size+len(a.Automation)
	}
	return page, 0, rows.Err()
}

// automationByID returns one automation, or the problem "not-found".
func (s *Store) automationByID(ctx context.Context, id string) (storedAutomation, error) {
	_, a, err := scanAutomation(s.read.QueryRowContext(ctx, "SELECT "+automationColumns+" FROM automations WHERE id = ?", rowID(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return a, noAutomation(id)
	}
	return a, err
}

// createAutomation stores an automation with its marker, if it has one. It
// fails with the problem "exists" if the marker's project and key are taken.
func (s *Store) createAutomation(ctx context.Context, m *sync.Marker, a automation.Automation) (stored storedAutomation, err error) {
	body, err := canonicalBody(a)
	if err != nil {
		return stored, err
	}
	err = s.update(ctx, func(tx *sql.Tx) error {
		now := millis(s.now())
		project, key, hash, made := markerColumns(m)
		row := tx.QueryRowContext(ctx, `INSERT INTO automations
			(project, key, hash, made, revision, body, enabled, trigger_kind, trigger_name, created_at, updated_at)
			VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?) RETURNING `+automationColumns,
			project, key, hash, made, body, a.Enabled, string(a.Trigger.Kind), a.Trigger.Name, now, now)
		_, stored, err = scanAutomation(row)
		return takenKey(err, m)
	})
	return stored, err
}

// A markerChange says what a replacement does with the marker.
type markerChange struct {
	keep   bool
	marker *sync.Marker // nil removes it
}

// replaceAutomation stores new content if match holds for the current revision.
// It checks the content against the marker that will apply afterwards.
func (s *Store) replaceAutomation(ctx context.Context, id string, match func(revision string) bool, change markerChange,
	a automation.Automation) (stored storedAutomation, err error) {
	body, err := canonicalBody(a)
	if err != nil {
		return stored, err
	}
	err = s.update(ctx, func(tx *sql.Tx) error {
		old, err := matching(ctx, tx, id, match)
		if err != nil {
			return err
		}
		m := change.marker
		if change.keep {
			m = old.Marker
		}
		if err := checkMarker(m, a); err != nil {
			return err
		}
		project, key, hash, made := markerColumns(m)
		row := tx.QueryRowContext(ctx, `UPDATE automations SET project = ?, key = ?, hash = ?, made = ?, revision = revision + 1,
			body = ?, enabled = ?, trigger_kind = ?, trigger_name = ?, updated_at = ? WHERE id = ? RETURNING `+automationColumns,
			project, key, hash, made, body, a.Enabled, string(a.Trigger.Kind), a.Trigger.Name, millis(s.now()), rowID(id))
		if _, stored, err = scanAutomation(row); err != nil {
			return takenKey(err, m)
		}
		if old.Marker == nil || m == nil || m.Project == old.Marker.Project {
			return nil
		}
		return forgetProject(ctx, tx, old.Marker.Project)
	})
	return stored, err
}

// deleteAutomation removes an automation if match holds for its revision.
func (s *Store) deleteAutomation(ctx context.Context, id string, match func(revision string) bool) error {
	return s.update(ctx, func(tx *sql.Tx) error {
		if _, err := matching(ctx, tx, id, match); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM automations WHERE id = ?", rowID(id))
		return err
	})
}

// matching returns the automation if match holds for its revision.
func matching(ctx context.Context, tx *sql.Tx, id string, match func(string) bool) (storedAutomation, error) {
	_, a, err := scanAutomation(tx.QueryRowContext(ctx, "SELECT "+automationColumns+" FROM automations WHERE id = ?", rowID(id)))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return a, noAutomation(id)
	case err != nil:
		return a, err
	case !match(a.Revision):
		return a, newProblem(http.StatusPreconditionFailed, "revision-changed",
			"automation %s is now at revision %s; read it again before changing it", id, a.Revision)
	}
	return a, nil
}

func noAutomation(id string) error {
	return newProblem(http.StatusNotFound, "not-found", "there is no automation with the id %s", quoted(id))
}

func takenKey(err error, m *sync.Marker) error {
	if err != nil && m != nil && isTaken(err) {
		return newProblem(http.StatusConflict, "exists", "project %s already has an automation with the key %s", m.Project, m.Key)
	}
	return err
}

// forgetProject removes a project's secrets after another project took over its
// last automation: nobody else would remove them.
func forgetProject(ctx context.Context, tx *sql.Tx, project string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM secrets WHERE project = ?1
		AND NOT EXISTS (SELECT 1 FROM automations WHERE project = ?1)`, project)
	return err
}

func markerColumns(m *sync.Marker) (project, key, hash any, made string) {
	if m == nil {
		return nil, nil, nil, ""
	}
	return m.Project, m.Key, m.Hash, m.Made
}

func canonicalBody(a automation.Automation) (string, error) {
	body, err := a.Canonical()
	if err != nil {
		return "", invalid("it has no canonical form: %v", err)
	}
	return string(body), nil
}

// rowID parses the id of a row. It returns 0, which no row has, if the id is
// invalid.
func rowID(id string) int64 {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != id {
		return 0
	}
	return n
}
