package embedded

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	gosync "sync"
)

// Limits say how much a platform's file may hold, and for how long. The zero value
// has good defaults.
type Limits struct {
	// Pending is how many deliveries may wait to be sent; 100,000 if it is 0.
	// Occurrences are refused from there on, until some have been sent.
	Pending int
	// Bytes is how large the file may become, 0 for any size. Near it the oldest
	// messages that have been delivered are removed, and if that is not enough,
	// occurrences are refused. SQLite's log comes on top, usually 16 MiB at most.
	Bytes int64
	// Keep is how long a message is kept once it has been delivered, 0 for ever. What
	// is pending or has failed is kept in any case.
	Keep time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.Pending <= 0 {
		l.Pending = 100_000
	}
	return l
}

const (
	// cleanEvery is how often a served platform looks for what it need not keep.
	cleanEvery = time.Minute
	// cleanBatch is how many deliveries are removed at a time, so that nobody waits
	// long for the file.
	cleanBatch = 500
	// youngest is how old a delivered message is at least before it makes room for
	// others: who has fired it reads it first.
	youngest = time.Minute
	// crowdedAt is the part of Limits.Bytes from which room is made.
	crowdedAt = 0.9
	// shrinkPages is how many pages the file gives back at a time, and the fewest that
	// are worth it.
	shrinkPages = 1000
	// incremental lets a file give single pages back, if it has no tables yet or VACUUM
	// follows.
	incremental = "PRAGMA auto_vacuum = INCREMENTAL"
	// retryFull is how long a client is asked to wait when the queue is full.
	retryFull = "5"
)

// admit refuses an occurrence that the limits leave no room for.
func (s *Store) admit(ctx context.Context, tx *sql.Tx) error {
	if err := s.admitPending(ctx, tx); err != nil || s.limits.Bytes <= 0 {
		return err
	}
	size, err := sizeOf(ctx, tx)
	if err != nil {
		return err
	}
	if size.used() > int64(crowdedAt*float64(s.limits.Bytes)) {
		select {
		case s.crowded <- struct{}{}:
		default:
		}
	}
	if size.used() >= s.limits.Bytes {
		return queueFull("the data file holds %d bytes, which is its limit; there is room again once deliveries have been made or given up by hand", s.limits.Bytes)
	}
	return nil
}

// admitPending refuses another pending delivery if too many are.
func (s *Store) admitPending(ctx context.Context, tx *sql.Tx) error {
	var pending int
	if err := tx.QueryRowContext(ctx, "SELECT deliveries FROM counts WHERE status = 'pending'").Scan(&pending); err != nil {
		return err
	}
	if pending >= s.limits.Pending {
		return queueFull("%d deliveries wait to be sent, and the limit is %d; try again when some have been made", pending, s.limits.Pending)
	}
	return nil
}

func queueFull(format string, args ...any) *problem {
	return newProblem(http.StatusTooManyRequests, "queue-full", format, args...).with("Retry-After", retryFull)
}

// A fileSize is what SQLite says of its file.
type fileSize struct {
	page, pages, free int64
	incremental       bool // whether single pages can be given back
}

// used is what the file holds, in bytes.
func (f fileSize) used() int64 { return (f.pages - f.free) * f.page }

// wasteful reports whether it is worth while to give pages back.
func (f fileSize) wasteful() bool { return f.free >= shrinkPages && f.free*10 >= f.pages }

func sizeOf(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (f fileSize, err error) {
	var mode int
	err = q.QueryRowContext(ctx, `SELECT page_size, page_count, freelist_count, auto_vacuum
		FROM pragma_page_size, pragma_page_count, pragma_freelist_count, pragma_auto_vacuum`).Scan(&f.page, &f.pages, &f.free, &mode)
	f.incremental = mode == 2
	return f, err
}

// clean removes what has been delivered and need not be kept, and gives back what
// that leaves free. It returns how many deliveries and occurrences it has removed.
func (s *Store) clean(ctx context.Context) (removed int, err error) {
	for {
		var batch int
		if batch, err = s.cleanOnce(ctx); err != nil || batch == 0 {
			break
		}
		removed += batch
	}
	if err != nil {
		return removed, err
	}
	return removed, s.shrink(ctx)
}

// cleanOnce removes up to [cleanBatch] deliveries, and the occurrences that have none
// left. It returns how many it has removed of both.
func (s *Store) cleanOnce(ctx context.Context) (removed int, err error) {
	var deliveries, occurrences int
	err = s.update(ctx, func(tx *sql.Tx) error {
		before := int64(math.MinInt64)
		if s.limits.Keep > 0 {
			before = millis(s.now().Add(-s.limits.Keep))
		}
		size, err := sizeOf(ctx, tx)
		if err != nil {
			return err
		}
		if s.limits.Bytes > 0 && size.used() > int64(crowdedAt*float64(s.limits.Bytes)) {
			before = max(before, millis(s.now().Add(-youngest)))
		}
		deliveries, occurrences, err = removeDelivered(ctx, tx, before)
		return err
	})
	if err != nil {
		return 0, err
	}
	s.metrics.removed.Add(float64(deliveries))
	return deliveries + occurrences, nil
}

// removeDelivered removes up to [cleanBatch] deliveries that were made before a time,
// the oldest first, and as many occurrences that have no others. What is pending or
// has failed is never touched.
func removeDelivered(ctx context.Context, tx *sql.Tx, before int64) (deliveries, occurrences int, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id FROM deliveries WHERE status = 'delivered' AND finished_at < ?
		ORDER BY finished_at LIMIT ?`, before, cleanBatch)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	ids := []int64{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return 0, 0, err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return 0, 0, err
	}
	if err := removeDeliveries(ctx, tx, ids); err != nil {
		return 0, 0, err
	}
	done, err := tx.ExecContext(ctx, `DELETE FROM occurrences WHERE seq IN
		(SELECT seq FROM occurrences WHERE deliveries = 0 AND created_at < ? ORDER BY created_at LIMIT ?)`, before, cleanBatch)
	if err != nil {
		return 0, 0, err
	}
	empty, err := done.RowsAffected()
	return len(ids), int(empty), err
}

// removeDeliveries removes deliveries with their attempts.
func removeDeliveries(ctx context.Context, tx *sql.Tx, ids []int64) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM attempts WHERE delivery IN (SELECT value FROM json_each(?))", string(list)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(?))", string(list))
	return err
}

// shrink gives free pages back to the disk, if they are many. A file that an older
// segue has made is rewritten once for that; writing waits meanwhile.
func (s *Store) shrink(ctx context.Context) error {
	for last := int64(math.MaxInt64); ; {
		size, err := sizeOf(ctx, s.write)
		if err != nil || !size.wasteful() || size.pages >= last {
			return err
		}
		last = size.pages
		how := fmt.Sprintf("PRAGMA incremental_vacuum(%d)", shrinkPages)
		if !size.incremental {
			how = incremental + "; VACUUM"
		}
		if _, err := s.write.ExecContext(ctx, how); err != nil {
			return err
		}
	}
}

// A janitor cleans a store from time to time, and when it gets crowded.
type janitor struct {
	store   *Store
	logger  *slog.Logger
	cancel  context.CancelFunc
	running gosync.WaitGroup
}

// startJanitor begins to clean.
func startJanitor(store *Store, logger *slog.Logger) *janitor {
	ctx, cancel := context.WithCancel(context.Background())
	j := &janitor{store: store, logger: logger, cancel: cancel}
	j.running.Go(func() { j.run(ctx) })
	return j
}

// Close ends it; what it is removing stays as it is.
func (j *janitor) Close() {
	j.cancel()
	j.running.Wait()
}

func (j *janitor) run(ctx context.Context) {
	ticker := time.NewTicker(cleanEvery)
	defer ticker.Stop()
	for {
		removed, err := j.store.clean(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			j.logger.Error("what need not be kept can't be removed", "error", err)
		case removed > 0:
			j.logger.Info("delivered messages removed", "records", removed)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-j.store.crowded:
		}
	}
}
