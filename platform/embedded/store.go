package embedded

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

const (
	// applicationID marks a SQLite file as a segue platform: "segu".
	applicationID = 0x73656775
	// lockWait is the time that a statement waits for another process's lock.
	lockWait = 5 * time.Second
	// logLimit is the size to which SQLite truncates its log after copying it into
	// the file, in bytes.
	logLimit = 16 << 20
)

// migrations bring a file from version i to i+1. A released migration never
// changes.
var migrations = []string{`
CREATE TABLE automations (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	project      TEXT, -- the marker: project, key and hash are NULL without one
	key          TEXT,
	hash         TEXT,
	revision     INTEGER NOT NULL,
	body         TEXT NOT NULL, -- RFC 8785
	enabled      INTEGER NOT NULL,
	trigger_kind TEXT NOT NULL,
	trigger_name TEXT NOT NULL,
	created_at   INTEGER NOT NULL, -- all times are Unix milliseconds
	updated_at   INTEGER NOT NULL,
	UNIQUE (project, key),
	CHECK ((project IS NULL) = (key IS NULL) AND (key IS NULL) = (hash IS NULL))
) STRICT;
CREATE INDEX automations_trigger ON automations (trigger_kind, trigger_name) WHERE enabled;

CREATE TABLE key_check ( -- a known text, sealed: tells a wrong key from the right one
	one        INTEGER PRIMARY KEY CHECK (one = 1),
	nonce      BLOB NOT NULL,
	ciphertext BLOB NOT NULL
) STRICT;
CREATE TABLE secrets (
	project    TEXT NOT NULL,
	name       TEXT NOT NULL,
	nonce      BLOB NOT NULL,
	ciphertext BLOB NOT NULL,
	updated_at INTEGER NOT NULL,
	PRIMARY KEY (project, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE occurrences (
	seq        INTEGER PRIMARY KEY AUTOINCREMENT,
	id         TEXT NOT NULL UNIQUE,
	kind       TEXT NOT NULL,
	name       TEXT NOT NULL,
	data       TEXT NOT NULL,
	created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE deliveries (
	id            INTEGER PRIMARY KEY AUTOINCREMENT,
	occurrence    INTEGER NOT NULL REFERENCES occurrences (seq),
	automation    INTEGER NOT NULL, -- may be deleted by now
	project       TEXT NOT NULL,
	key           TEXT NOT NULL,
	name          TEXT NOT NULL,
	request       TEXT, -- secrets as references; NULL if it could not be rendered
	status        TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
	error         TEXT NOT NULL DEFAULT '',
	attempts      INTEGER NOT NULL DEFAULT 0,
	due_at        INTEGER NOT NULL,
	claim         TEXT NOT NULL DEFAULT '', -- of the dispatcher that is sending it
	claimed_until INTEGER NOT NULL DEFAULT 0,
	created_at    INTEGER NOT NULL,
	finished_at   INTEGER
) STRICT;
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE status = 'pending';
CREATE INDEX deliveries_occurrence ON deliveries (occurrence, id);
CREATE INDEX deliveries_key ON deliveries (project, key, id);
CREATE TABLE attempts (
	delivery    INTEGER NOT NULL REFERENCES deliveries (id),
	number      INTEGER NOT NULL,
	started_at  INTEGER NOT NULL,
	duration_ms INTEGER NOT NULL,
	status      INTEGER NOT NULL, -- 0 if there was no answer
	answer      TEXT NOT NULL,
	error       TEXT NOT NULL,
	PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;
`, `
ALTER TABLE automations ADD COLUMN made TEXT NOT NULL DEFAULT ''; -- the marker's
CREATE TABLE leases (
	project TEXT PRIMARY KEY,
	id      TEXT NOT NULL,
	holder  TEXT NOT NULL,
	since   INTEGER NOT NULL,
	until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`, `
-- When a delivery is to be looked at next is one number, and the first is found at once.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_next ON deliveries (max(due_at, claimed_until)) WHERE status = 'pending';
CREATE INDEX deliveries_pending ON deliveries (id) WHERE status = 'pending';
CREATE INDEX deliveries_failed ON deliveries (id) WHERE status = 'failed';
CREATE INDEX deliveries_delivered ON deliveries (finished_at) WHERE status = 'delivered';
CREATE INDEX deliveries_created ON deliveries (created_at);
ALTER TABLE deliveries ADD COLUMN spent INTEGER NOT NULL DEFAULT 0; -- attempts before somebody had it tried again

ALTER TABLE occurrences ADD COLUMN deliveries INTEGER NOT NULL DEFAULT 0; -- how many of it are kept
UPDATE occurrences SET deliveries = (SELECT count(*) FROM deliveries WHERE occurrence = seq);
CREATE INDEX occurrences_empty ON occurrences (created_at) WHERE deliveries = 0;

CREATE TABLE counts ( -- of deliveries; the triggers keep them
	status     TEXT PRIMARY KEY,
	deliveries INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counts SELECT value, (SELECT count(*) FROM deliveries WHERE status = value)
	FROM json_each('["pending", "delivered", "failed"]');
CREATE TRIGGER deliveries_counted AFTER INSERT ON deliveries BEGIN
	UPDATE counts SET deliveries = deliveries + 1 WHERE status = NEW.status;
	UPDATE occurrences SET deliveries = deliveries + 1 WHERE seq = NEW.occurrence;
END;
CREATE TRIGGER deliveries_recounted AFTER UPDATE OF status ON deliveries WHEN OLD.status <> NEW.status BEGIN
	UPDATE counts SET deliveries = deliveries - 1 WHERE status = OLD.status;
	UPDATE counts SET deliveries = deliveries + 1 WHERE status = NEW.status;
END;
CREATE TRIGGER deliveries_uncounted AFTER DELETE ON deliveries BEGIN
	UPDATE counts SET deliveries = deliveries - 1 WHERE status = OLD.status;
	UPDATE occurrences SET deliveries = deliveries - 1 WHERE seq = OLD.occurrence;
END;
`}

// A Store is the platform's file. Its methods may be called from several
// goroutines, and several processes may open one file.
type Store struct {
	path string
	// write has one connection: SQLite has one writer, and waiting for it here
	// is fairer than waiting for its lock. read can't write.
	write, read *sql.DB
	vault       *vault
	now         func() time.Time
	limits      Limits // set before the first use
	metrics     *metrics
	// crowded has capacity 1. A value means that the file is nearly at its
	// limit.
	crowded chan struct{}
}

// Open opens the platform's file at path. If it is missing, Open creates it
// with mode 0600, and its folder with mode 0700. A file of an older segue is
// migrated.
//
// Open does not change a file that is not a segue platform's. The error names
// the file, the problem and the remedy. The file may not be a database, may be
// another program's, locked by another process or written by a newer segue; or
// the key of its secrets may be missing, wrong or readable by others.
func Open(ctx context.Context, path string) (*Store, error) {
	return open(ctx, path, lockWait)
}

func open(ctx context.Context, path string, wait time.Duration) (_ *Store, err error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := prepareFile(full, path); err != nil {
		return nil, err
	}
	return openPrepared(ctx, full, full+".key", path, wait)
}

// openPrepared opens the file at full. key is the path of its key file, and path
// is its name in messages.
func openPrepared(ctx context.Context, full, key, path string, wait time.Duration) (_ *Store, err error) {
	s := &Store{path: path, now: time.Now, limits: Limits{}.withDefaults(), crowded: make(chan struct{}, 1)}
	s.metrics = newMetrics(s)
	common := []string{
		"busy_timeout(" + strconv.FormatInt(wait.Milliseconds(), 10) + ")",
		"foreign_keys(1)", "synchronous(NORMAL)", "secure_delete(1)", fmt.Sprintf("journal_size_limit(%d)", logLimit),
	}
	if s.write, err = sql.Open("sqlite", dsn(full, "immediate", common)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.read, err = sql.Open("sqlite", dsn(full, "deferred", append(common, "query_only(1)"))); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), s.write.Close())
	}
	s.write.SetMaxOpenConns(1)
	s.read.SetMaxOpenConns(4)
	if err := s.prepare(ctx, key, wait); err != nil {
		s.Close()
		return nil, openError(path, err)
	}
	return s, nil
}

// Close closes the file, after transactions in progress have ended.
func (s *Store) Close() error {
	return errors.Join(s.read.Close(), s.write.Close())
}

// prepareFile creates the file if it is missing. It refuses a file that can't
// be a platform's before SQLite touches it.
func prepareFile(full, path string) error {
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		return fmt.Errorf("%s: create its folder: %w", path, cause(err))
	}
	f, err := os.OpenFile(full, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: create: %w", path, cause(err))
	}
	switch stat, err := os.Stat(full); { // stat before opening: opening a pipe would block
	case err == nil && stat.IsDir():
		return fmt.Errorf("%s is a folder; a platform's data is a file, such as %s", path, filepath.Join(path, "platform.db"))
	case err == nil && !stat.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file, and not a platform's data; name another file", path)
	}
	if f, err = os.Open(full); err != nil {
		return fmt.Errorf("%s: open: %w", path, cause(err))
	}
	defer f.Close()
	// The file's header: https://www.sqlite.org/fileformat.html#the_database_header
	header := make([]byte, 100)
	switch n, err := io.ReadFull(f, header); {
	case n == 0 && err == io.EOF:
		return nil // new
	case err != nil && err != io.ErrUnexpectedEOF:
		return fmt.Errorf("%s: read: %w", path, cause(err))
	case n < len(header) || string(header[:16]) != "SQLite format 3\x00":
		return fmt.Errorf("%s is not a segue platform database (it is not a SQLite file); name another file", path)
	case binary.BigEndian.Uint32(header[40:]) == 0 && binary.BigEndian.Uint32(header[60:]) == 0:
		return nil // no tables yet: another process is creating them, or was killed before
	case binary.BigEndian.Uint32(header[68:]) != applicationID:
		return fmt.Errorf("%s is not a segue platform database (it belongs to another program); name another file", path)
	}
	return nil
}

// dsn returns the data source name of the file, with the pragmas of each
// connection.
func dsn(full, lock string, pragmas []string) string {
	p := filepath.ToSlash(full)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/...
	}
	u := url.URL{Scheme: "file", Path: p, RawQuery: url.Values{"_txlock": {lock}, "_pragma": pragmas}.Encode()}
	return u.String()
}

// errNewer is the error of a file with a newer data version than this segue
// knows.
type errNewer int

func (e errNewer) Error() string {
	return fmt.Sprintf("was written by a newer segue (data version %d, this one reads up to %d); upgrade segue", int(e), len(migrations))
}

// prepare brings the schema up to date and finds the key.
func (s *Store) prepare(ctx context.Context, key string, wait time.Duration) error {
	var version int
	if err := s.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return errNewer(version)
	}
	if version == 0 {
		// Before the first table, this makes the file return single pages to the disk.
		if _, err := s.write.ExecContext(ctx, incremental); err != nil {
			return err
		}
	}
	if version < len(migrations) {
		if err := s.update(ctx, func(tx *sql.Tx) error { return migrate(ctx, tx) }); err != nil {
			return err
		}
	}
	// If another process switches at the same time, SQLite returns busy at
	// once, without waiting.
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		_, err := s.write.ExecContext(ctx, "PRAGMA journal_mode = WAL")
		if err != nil && !isBusy(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(20*time.Millisecond)), backoff.WithMaxElapsedTime(wait))
	if err != nil {
		return err
	}
	return s.update(ctx, func(tx *sql.Tx) error {
		var err error
		s.vault, err = unlock(ctx, tx, key, s.path+".key")
		return err
	})
}

// migrate runs the missing migrations. Another process may have run them first.
func migrate(ctx context.Context, tx *sql.Tx) error {
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version))
	return err
}

// update runs f in a write transaction: all of it happens, or nothing.
func (s *Store) update(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// view runs f in a read transaction: it sees one consistent state.
func (s *Store) view(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return f(tx)
}

// cause strips the path that an *fs.PathError repeats.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// millis converts a time to its form in the file.
func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
