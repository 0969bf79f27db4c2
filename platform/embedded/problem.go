package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/seguehq/segue/sync"
)

// A problem is an error answer, in the format of RFC 9457.
type problem struct {
	Type   string `json:"type"` // always "about:blank": Code tells problems apart
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Code is a slug for programs; docs/platform-api.yaml lists them.
	Code string `json:"code"`
	// Lease is the lease of the present holder, for the code "leased".
	Lease *sync.Lease `json:"lease,omitempty"`

	header http.Header
	cause  error
}

func newProblem(status int, code, format string, args ...any) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// with adds a header to the answer.
func (p *problem) with(name, value string) *problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
	return p
}

// because keeps the cause, for the log.
func (p *problem) because(err error) *problem {
	p.cause = err
	return p
}

func (p *problem) Error() string {
	if p.cause != nil {
		return p.Detail + ": " + p.cause.Error()
	}
	return p.Detail
}

func (p *problem) Unwrap() error { return p.cause }

func (p *problem) send(w http.ResponseWriter) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p) // an error means that the client is gone
}

// problemOf turns any error into an answer. It describes errors that are not
// the client's fault in general terms, and keeps the cause for the log.
func problemOf(err error) *problem {
	var p *problem
	var lite *sqlite.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return newProblem(http.StatusServiceUnavailable, "cancelled", "the request was canceled before it was done").because(err)
	case !errors.As(err, &lite):
		return newProblem(http.StatusInternalServerError, "internal", "the platform failed; its log says more").because(err)
	}
	switch primary(lite) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return newProblem(http.StatusServiceUnavailable, "busy", "the data file is locked by another process; nothing was changed").
			with("Retry-After", "1").because(err)
	case sqlite3.SQLITE_FULL:
		return newProblem(http.StatusInsufficientStorage, "disk-full", "the disk of the data file is full; nothing was changed").because(err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return newProblem(http.StatusInternalServerError, "read-only", "the data file can't be written; nothing was changed").because(err)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return newProblem(http.StatusInternalServerError, "disk-failed", "the data file can't be read or written; nothing was changed").because(err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return newProblem(http.StatusInternalServerError, "damaged", "the data file is damaged; restore it from a backup").because(err)
	case sqlite3.SQLITE_INTERRUPT:
		return newProblem(http.StatusServiceUnavailable, "cancelled", "the request was canceled before it was done").because(err)
	default:
		return newProblem(http.StatusInternalServerError, "internal", "the platform failed; its log says more").because(err)
	}
}

// openError returns an error that says why the file can't be opened, and how to
// fix that.
func openError(path string, err error) error {
	var lite *sqlite.Error
	var newer errNewer
	var key keyError
	switch {
	case errors.As(err, &newer):
		return fmt.Errorf("%s %w", path, newer)
	case errors.As(err, &key):
		return key
	case !errors.As(err, &lite):
		return fmt.Errorf("open %s: %w", path, err)
	}
	switch primary(lite) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%s is in use by another process, which keeps it locked; end that one, or try again when it is done: %w", path, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%s is not a segue platform database; name another file: %w", path, err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%s is damaged; restore it from a backup, or remove it and apply again: %w", path, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%s: its disk is full; make room and try again: %w", path, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%s can't be written: make the file and its folder writable: %w", path, err)
	default:
		return fmt.Errorf("open %s: %w", path, err)
	}
}

// isUnwritable reports whether opening a file failed because it or its folder
// can't be written.
func isUnwritable(err error) bool {
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
	}
	switch primary(lite) {
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL:
		return true
	default:
		return false
	}
}

// primary returns the primary result code of an error, without the upper bits
// of the extended code.
func primary(err *sqlite.Error) int { return err.Code() & 0xff }

func isBusy(err error) bool {
	var lite *sqlite.Error
	return errors.As(err, &lite) && (primary(lite) == sqlite3.SQLITE_BUSY || primary(lite) == sqlite3.SQLITE_LOCKED)
}

// isTaken reports whether an error is a violated UNIQUE constraint.
func isTaken(err error) bool {
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
}
