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

// Limits bound the content of a platform's file, in number, size and age. The zero
// value has good defaults.
type Limits struct {
	// Pending is the number of deliveries that may wait to be sent; 0 means
	// 100,000. At the limit, occurrences are refused until some deliveries have
	// been sent.
	Pending int
	// Bytes is the maximum size of the file; 0 means unlimited. Near the limit,
	// the oldest delivered messages are removed; if that is not enough,
	// occurrences are refused. SQLite's log is not counted; it usually takes at
	// most 16 MiB.
	Bytes int64
	// Keep is the time that a delivered message is kept; 0 means forever. Pending and
	// failed messages are always kept.
	Keep time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.Pending <= 0 {
		l.Pending = 100_000
	}
	return l
}

const (
	// cleanEvery is the interval at which a served platform removes records that
	// it need not keep.
	cleanEvery = time.Minute
	// cleanBatch is the number of deliveries removed per transaction, so that
	// others do not wait long for the file.
	cleanBatch = 500
	// youngest is the minimum age at which a delivered message may be removed to
	// make room: the caller that fired it still has to read it.
	youngest = time.Minute
	// crowdedAt is the fraction of Limits.Bytes at which old messages are
	// removed.
	crowdedAt = 0.9
	// shrinkPages is the number of pages that the file returns to the disk at a time,
	// and the minimum for doing so.
	shrinkPages = 1000
	// incremental lets a file return single pages to the disk. It takes effect before
	// the first table or after VACUUM.
	incremental = "PRAGMA auto_vacuum = INCREMENTAL"
	// retryFull is the Retry-After of a full queue, in seconds.
	retryFull = "5"
)

// admit refuses an occurrence that would exceed the limits.
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
		return queueFull("the data file has reached its limit of %d bytes; there is room again once deliveries have been made, or discarded by hand", s.limits.Bytes)
	}
	return nil
}

// admitPending refuses another pending delivery if there are too many.
func (s *Store) admitPending(ctx context.Context, tx *sql.Tx) error {
	var pending int
	if err := tx.QueryRowContext(ctx, "SELECT deliveries FROM counts WHERE status = 'pending'").Scan(&pending); err != nil {
		return err
	}
	if pending >= s.limits.Pending {
		return queueFull("%d deliveries wait to be sent, and the limit is %d; try again when some have been sent", pending, s.limits.Pending)
	}
	return nil
}

func queueFull(format string, args ...any) *problem {
	return newProblem(http.StatusTooManyRequests, "queue-full", format, args...).with("Retry-After", retryFull)
}

// A fileSize is the size of a file as SQLite reports it.
type fileSize struct {
	page, pages, free int64
	incremental       bool // whether single pages can be returned to the disk
}

// used returns the size of the content, in bytes.
func (f fileSize) used() int64 { return (f.pages - f.free) * f.page }

// wasteful reports whether the file has enough free pages to return them to the
// disk.
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

// clean removes delivered messages that need not be kept, and returns free pages
// to the disk. It returns the number of removed deliveries and occurrences.
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
// left. It returns the number of both.
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
// oldest first, and as many occurrences that have no other deliveries. It never
// removes pending or failed deliveries.
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

// shrink returns free pages to the disk if there are many. A file of an older
// segue is rewritten once for that; writers wait meanwhile.
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

// A janitor cleans a store at intervals, and when it is nearly full.
type janitor struct {
	store   *Store
	logger  *slog.Logger
	cancel  context.CancelFunc
	running gosync.WaitGroup
}

// startJanitor starts a janitor.
func startJanitor(store *Store, logger *slog.Logger) *janitor {
	ctx, cancel := context.WithCancel(context.Background())
	j := &janitor{store: store, logger: logger, cancel: cancel}
	j.running.Go(func() { j.run(ctx) })
	return j
}

// Close stops the janitor and rolls back a removal in progress.
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
			j.logger.Error("old messages can't be removed", "error", err)
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
