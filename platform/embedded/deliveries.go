package embedded

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// A retry says how a failed delivery is tried again.
type retry struct {
	// Render renders the request again, from the occurrence's values and the current
	// automation. A request that was never sent is always rendered again.
	Render bool `json:"render,omitempty"`
}

func (a *api) getDelivery(w http.ResponseWriter, r *http.Request) error {
	d, err := a.store.delivery(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusOK, d)
}

func (a *api) retryDelivery(w http.ResponseWriter, r *http.Request) error {
	var how retry
	if err := readJSON(r, &how); err != nil {
		return err
	}
	if err := a.store.retryDelivery(r.Context(), r.PathValue("id"), how); err != nil {
		return err
	}
	a.dispatcher.Start()
	a.dispatcher.Wake()
	d, err := a.store.delivery(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusAccepted, d)
}

func (a *api) discardDelivery(w http.ResponseWriter, r *http.Request) error {
	if err := a.store.discardDelivery(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func noDelivery(id string) *problem {
	return newProblem(http.StatusNotFound, "not-found", "there is no delivery with the id %s", quoted(id))
}

// delivery returns one delivery, or the problem "not-found".
func (s *Store) delivery(ctx context.Context, id string) (d Delivery, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		page, _, err := readDeliveries(ctx, tx, "d.id = ?", []any{rowID(id)}, 1)
		if err == nil && len(page) == 0 {
			err = noDelivery(id)
		}
		if err == nil {
			d = page[0]
		}
		return err
	})
	return d, err
}

// A failedDelivery is a delivery without further attempts.
type failedDelivery struct {
	attempts   int
	automation int64
	data       string // of its occurrence
}

// failed reads a failed delivery. It returns the problem "not-failed" if the
// delivery has another status.
func failed(ctx context.Context, tx *sql.Tx, id string) (f failedDelivery, err error) {
	var status DeliveryStatus
	err = tx.QueryRowContext(ctx, `SELECT d.status, d.attempts, d.automation, o.data
		FROM deliveries d JOIN occurrences o ON o.seq = d.occurrence WHERE d.id = ?`, rowID(id)).
		Scan(&status, &f.attempts, &f.automation, &f.data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return f, noDelivery(id)
	case err == nil && status != Failed:
		return f, newProblem(http.StatusConflict, "not-failed", "the delivery %s has not failed, it is %s", id, status)
	}
	return f, err
}

// retryDelivery makes a failed delivery pending, with as many attempts as a new one.
func (s *Store) retryDelivery(ctx context.Context, id string, how retry) error {
	return s.update(ctx, func(tx *sql.Tx) error {
		f, err := failed(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.admitPending(ctx, tx); err != nil {
			return err
		}
		if how.Render || f.attempts == 0 {
			if err := renderAgain(ctx, tx, id, f); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE deliveries SET status = 'pending', error = '', spent = attempts, due_at = ?,
			finished_at = NULL, claim = '', claimed_until = 0 WHERE id = ?`, millis(s.now()), rowID(id))
		return err
	})
}

// renderAgain renders the request of a delivery again. If that is impossible, the
// problem "not-rendered" says why.
func renderAgain(ctx context.Context, tx *sql.Tx, id string, f failedDelivery) error {
	_, a, err := scanAutomation(tx.QueryRowContext(ctx, "SELECT "+automationColumns+" FROM automations WHERE id = ?", f.automation))
	refused := func(why string) error {
		return newProblem(http.StatusUnprocessableEntity, "not-rendered", "the delivery %s can't be tried again: %s", id, why)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return refused("its automation was deleted, and it has no request")
	}
	if err != nil {
		return err
	}
	previews, err := prepare(ctx, tx, json.RawMessage(f.data), []storedAutomation{a})
	if err != nil {
		return err
	}
	p := previews[0]
	if p.Error != "" {
		return refused(p.Error)
	}
	request, err := json.Marshal(p.Request)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE deliveries SET request = ?, project = ?, key = ?, name = ? WHERE id = ?",
		string(request), p.Automation.Project, p.Automation.Key, p.Automation.Name, rowID(id))
	return err
}

// discardDelivery removes a delivery that has failed.
func (s *Store) discardDelivery(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *sql.Tx) error {
		if _, err := failed(ctx, tx, id); err != nil {
			return err
		}
		return removeDeliveries(ctx, tx, []int64{rowID(id)})
	})
}

// parseSince parses the query parameter since. An empty one is the zero time.
func parseSince(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, badParameter("since is %s, want a time such as 2026-03-14T09:00:00Z", quoted(text))
	}
	return t, nil
}
