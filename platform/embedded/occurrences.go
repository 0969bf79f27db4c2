package embedded

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seguehq/segue/automation"
)

// shownDeliveries is the maximum number of deliveries shown with an occurrence.
const shownDeliveries = 100

// preview renders the requests of an occurrence, and stores nothing.
func (s *Store) preview(ctx context.Context, o Occurrence) (previews []Preview, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		previews, err = prepareAll(ctx, tx, o)
		return err
	})
	return previews, err
}

// addOccurrence stores an occurrence together with its deliveries. It does
// nothing if the occurrence is already stored with the same content.
func (s *Store) addOccurrence(ctx context.Context, o Occurrence) error {
	outcome := occurrenceStored
	err := s.update(ctx, func(tx *sql.Tx) error {
		var kind, name, data string
		err := tx.QueryRowContext(ctx, "SELECT kind, name, data FROM occurrences WHERE id = ?", o.ID).Scan(&kind, &name, &data)
		switch {
		case err == nil && (kind != string(o.Kind) || name != o.Name || data != string(o.Data)):
			return newProblem(http.StatusConflict, "occurrence-differs", "there is already an occurrence with the id %s and other content", o.ID)
		case err == nil:
			outcome = occurrenceRepeated
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if err := s.admit(ctx, tx); err != nil {
			outcome = occurrenceRefused
			return err
		}
		return s.storeOccurrence(ctx, tx, o)
	})
	if err == nil || outcome == occurrenceRefused {
		s.metrics.occurrences.WithLabelValues(outcome).Inc()
	}
	return err
}

// storeOccurrence stores a new occurrence, and a delivery for each enabled
// automation of its trigger.
func (s *Store) storeOccurrence(ctx context.Context, tx *sql.Tx, o Occurrence) error {
	now := millis(s.now())
	done, err := tx.ExecContext(ctx, "INSERT INTO occurrences (id, kind, name, data, created_at) VALUES (?, ?, ?, ?, ?)",
		o.ID, string(o.Kind), o.Name, string(o.Data), now)
	if err != nil {
		return err
	}
	seq, err := done.LastInsertId()
	if err != nil {
		return err
	}
	previews, err := prepareAll(ctx, tx, o)
	if err != nil {
		return err
	}
	for _, p := range previews {
		if err := addDelivery(ctx, tx, seq, p, now); err != nil {
			return err
		}
	}
	return nil
}

// addDelivery stores a delivery that is due at once, or a failed one if there
// is no request or it must not be sent.
func addDelivery(ctx context.Context, tx *sql.Tx, occurrence int64, p Preview, now int64) error {
	var request, finished any
	status := Failed
	if p.Error == "" {
		status = Pending
	} else {
		finished = now
	}
	if p.Request != nil {
		text, err := json.Marshal(p.Request)
		if err != nil {
			return err
		}
		request = string(text)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO deliveries
		(occurrence, automation, project, key, name, request, status, error, due_at, created_at, finished_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		occurrence, rowID(p.Automation.ID), p.Automation.Project, p.Automation.Key, p.Automation.Name,
		request, string(status), p.Error, now, now, finished)
	return err
}

// occurrence returns an occurrence with its first deliveries.
func (s *Store) occurrence(ctx context.Context, id string) (o occurrenceRecord, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		var seq, created int64
		var data string
		err := tx.QueryRowContext(ctx, "SELECT seq, id, kind, name, data, created_at FROM occurrences WHERE id = ?", id).
			Scan(&seq, &o.ID, &o.Kind, &o.Name, &data, &created)
		if errors.Is(err, sql.ErrNoRows) {
			return newProblem(http.StatusNotFound, "not-found", "there is no occurrence with the id %s", quoted(id))
		}
		if err != nil {
			return err
		}
		o.Data, o.CreatedAt = json.RawMessage(data), fromMillis(created)
		err = tx.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'delivered'),
			count(*) FILTER (WHERE status = 'failed') FROM deliveries WHERE occurrence = ?`, seq).
			Scan(&o.Counts.Pending, &o.Counts.Delivered, &o.Counts.Failed)
		if err != nil {
			return err
		}
		o.Deliveries, _, err = readDeliveries(ctx, tx, "d.occurrence = ? ORDER BY d.id", []any{seq}, shownDeliveries)
		return err
	})
	return o, err
}

// deliveryFilter selects a page of deliveries. An empty field does not filter.
type deliveryFilter struct {
	DeliveryQuery
	before int64 // the last id of the page before, 0 on the first
}

// deliveries returns a page, newest first, and the id before which the next
// page begins, or 0 on the last page.
func (s *Store) deliveries(ctx context.Context, f deliveryFilter) (page []Delivery, next int64, err error) {
	where, args := []string{"TRUE"}, []any{}
	for _, c := range []struct{ column, value string }{
		{"d.project", f.Project}, {"d.key", f.Key}, {"o.id", f.Occurrence},
	} {
		if c.value != "" {
			where, args = append(where, c.column+" = ?"), append(args, c.value)
		}
	}
	if f.Status != "" { // one of three constants: SQLite uses a partial index only for a literal
		where = append(where, "d.status = '"+string(f.Status)+"'")
	}
	if !f.Since.IsZero() {
		where, args = append(where, "d.created_at >= ?"), append(args, millis(f.Since))
	}
	if f.before != 0 {
		where, args = append(where, "d.id < ?"), append(args, f.before)
	}
	err = s.view(ctx, func(tx *sql.Tx) error {
		page, next, err = readDeliveries(ctx, tx, strings.Join(where, " AND ")+" ORDER BY d.id DESC", args, f.Limit)
		return err
	})
	return page, next, err
}

// readDeliveries returns up to limit deliveries with their attempts, and the id
// of the last one if there are more.
func readDeliveries(ctx context.Context, tx *sql.Tx, where string, args []any, limit int) ([]Delivery, int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT d.id, o.id, d.automation, d.project, d.key, d.name, d.status, d.error, d.request,
		d.created_at, d.due_at, d.finished_at
		FROM deliveries d JOIN occurrences o ON o.seq = d.occurrence WHERE `+where+" LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	page, ids := []Delivery{}, []int64{}
	var more bool
	for size := 0; rows.Next(); {
		if more = len(page) == limit || size > pageBytes; more {
			break
		}
		var id, automationID, created, due int64
		var finished sql.NullInt64
		var request sql.NullString
		d := Delivery{Attempts: []Attempt{}}
		if err := rows.Scan(&id, &d.Occurrence, &automationID, &d.Automation.Project, &d.Automation.Key, &d.Automation.Name,
			&d.Status, &d.Error, &request, &created, &due, &finished); err != nil {
			return nil, 0, err
		}
		d.ID, d.Automation.ID = strconv.FormatInt(id, 10), strconv.FormatInt(automationID, 10)
		d.CreatedAt = fromMillis(created)
		if request.Valid {
			if err := json.Unmarshal([]byte(request.String), &d.Request); err != nil {
				return nil, 0, err
			}
		}
		if finished.Valid {
			t := fromMillis(finished.Int64)
			d.FinishedAt = &t
		} else {
			t := fromMillis(due)
			d.DueAt = &t
		}
		page, ids, size = append(page, d), append(ids, id), size+len(request.String)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(page) == 0 {
		return page, 0, err
	}
	if err := readAttempts(ctx, tx, page, ids); err != nil || !more {
		return page, 0, err
	}
	return page, ids[len(ids)-1], nil
}

// readAttempts fills in the attempts of a page, whose deliveries have these ids.
func readAttempts(ctx context.Context, tx *sql.Tx, page []Delivery, ids []int64) error {
	index := make(map[int64]int, len(ids))
	for i, id := range ids {
		index[id] = i
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT delivery, number, started_at, duration_ms, status, answer, error FROM attempts
		WHERE delivery IN (SELECT value FROM json_each(?)) ORDER BY delivery, number`, string(list))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, started int64
		var a Attempt
		if err := rows.Scan(&id, &a.Number, &started, &a.DurationMS, &a.Status, &a.Answer, &a.Error); err != nil {
			return err
		}
		a.StartedAt = fromMillis(started)
		d := &page[index[id]]
		d.Attempts = append(d.Attempts, a)
	}
	return rows.Err()
}

// A claimedDelivery is a delivery that nobody else sends until the claim
// expires.
type claimedDelivery struct {
	id       int64
	claim    string
	project  string
	attempts int // made before, since the last retry by hand
	request  PreparedRequest
}

// The index deliveries_next alone answers both, so their cost does not depend on
// the number of pending deliveries.
const (
	nextDueQuery = "SELECT max(due_at, claimed_until) FROM deliveries WHERE status = 'pending' ORDER BY max(due_at, claimed_until) LIMIT 1"
	dueQuery     = "SELECT id FROM deliveries WHERE status = 'pending' AND max(due_at, claimed_until) <= ? " +
		"ORDER BY max(due_at, claimed_until), id LIMIT ?"
)

// nextDue returns when the next delivery is due, if one is pending. A claimed
// delivery is due when its claim expires, in case its sender was killed.
func (s *Store) nextDue(ctx context.Context) (time.Time, bool, error) {
	var due sql.NullInt64
	err := s.read.QueryRowContext(ctx, nextDueQuery).Scan(&due)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return fromMillis(due.Int64), due.Valid, err
}

// claimDue claims up to n deliveries that are due.
func (s *Store) claimDue(ctx context.Context, n int, lease time.Duration) (claimed []claimedDelivery, err error) {
	claim, now := rand.Text(), s.now()
	err = s.update(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "UPDATE deliveries SET claim = ?, claimed_until = ? WHERE id IN ("+dueQuery+
			") RETURNING id, project, attempts - spent, request", claim, millis(now.Add(lease)), millis(now), n)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			c := claimedDelivery{claim: claim}
			var request string
			if err := rows.Scan(&c.id, &c.project, &c.attempts, &request); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(request), &c.request); err != nil {
				return err
			}
			claimed = append(claimed, c)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// An outcome is the new state of a delivery after an attempt.
type outcome struct {
	status DeliveryStatus
	error  string
	due    time.Time // of the next attempt, if the delivery stays pending
}

// finishClaim records an attempt, if one was made, and ends the claim.
func (s *Store) finishClaim(ctx context.Context, c claimedDelivery, a *Attempt, o outcome) error {
	return s.update(ctx, func(tx *sql.Tx) error {
		if a != nil {
			// The number is counted here: after an expired claim, another
			// dispatcher may have made attempts too.
			_, err := tx.ExecContext(ctx, `INSERT INTO attempts (delivery, number, started_at, duration_ms, status, answer, error)
				SELECT ?1, 1 + count(*), ?2, ?3, ?4, ?5, ?6 FROM attempts WHERE delivery = ?1
				HAVING EXISTS (SELECT 1 FROM deliveries WHERE id = ?1)`, // it may have been delivered and removed meanwhile
				c.id, millis(a.StartedAt), a.DurationMS, a.Status, a.Answer, a.Error)
			if err != nil {
				return err
			}
		}
		var finished any
		if o.status != Pending {
			finished = millis(s.now())
		}
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET status = ?, error = ?, due_at = ?, finished_at = ?,
			attempts = (SELECT count(*) FROM attempts WHERE delivery = deliveries.id), claim = '', claimed_until = 0
			WHERE id = ? AND status = 'pending' AND (claim = ? OR ? = 'delivered')`,
			string(o.status), o.error, millis(o.due), finished, c.id, c.claim, string(o.status))
		return err
	})
}

// prepareAll renders the request of every enabled automation of the trigger, in
// the order of their creation.
func prepareAll(ctx context.Context, tx *sql.Tx, o Occurrence) ([]Preview, error) {
	fired, err := enabledAutomations(ctx, tx, o.Kind, o.Name)
	if err != nil {
		return nil, err
	}
	return prepare(ctx, tx, o.Data, fired)
}

// prepare renders the requests of automations for the values of an occurrence.
func prepare(ctx context.Context, tx *sql.Tx, data json.RawMessage, fired []storedAutomation) ([]Preview, error) {
	var values map[string]any
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		return nil, err
	}
	stored := map[[2]string]bool{}
	rows, err := tx.QueryContext(ctx, "SELECT project, name FROM secrets")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var project, name string
		if err := rows.Scan(&project, &name); err != nil {
			return nil, err
		}
		stored[[2]string{project, name}] = true
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	previews := []Preview{}
	for _, f := range fired {
		p := Preview{Automation: AutomationRef{ID: f.ID}}
		var a automation.Automation
		err := json.Unmarshal(f.Automation, &a)
		if f.Marker != nil {
			p.Automation.Project = f.Marker.Project
		}
		p.Automation.Key, p.Automation.Name = a.Key, a.Name
		if err == nil {
			p.Request, err = prepareRequest(a, values, p.Automation.Project, func(name string) bool {
				return stored[[2]string{p.Automation.Project, name}]
			})
		}
		if err != nil {
			p.Error = err.Error()
		}
		previews = append(previews, p)
	}
	return previews, nil
}

func enabledAutomations(ctx context.Context, tx *sql.Tx, kind automation.TriggerKind, name string) ([]storedAutomation, error) {
	rows, err := tx.QueryContext(ctx, "SELECT "+automationColumns+
		" FROM automations WHERE enabled AND trigger_kind = ? AND trigger_name = ? ORDER BY id", string(kind), name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []storedAutomation
	for rows.Next() {
		_, a, err := scanAutomation(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}
