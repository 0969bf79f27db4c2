// Package reach says why a platform can't be reached, and what to do about it, in
// the same words for all platforms.
package reach

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"unicode"

	"github.com/seguehq/segue/sync"
)

// Failure is the error of a request that got no answer. Place is what the platform
// is called in messages, its URL in it; hint follows where nothing listens there,
// such as "is it running?". The error keeps no more of the cause than its root:
// what net/http wraps around that holds the whole URL.
func Failure(err error, place, hint string) *sync.Error {
	cause := Root(err)
	e := &sync.Error{Kind: sync.Temporary, Err: cause}
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		e.Message = "cancelled while waiting for " + place
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Message = "no answer from " + place + " in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Message = "can't reach " + place + ": connection refused; " + hint
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Message = "can't reach " + place + ": no such host; check the url"
	case errors.Is(err, http.ErrSchemeMismatch):
		e.Kind, e.Message = sync.Refused, "can't reach "+place+": it speaks plain HTTP; write http:// in the url, or the port of its HTTPS"
	case tlsAlert.MatchString(err.Error()):
		e = WantsTLS(place)
		e.Err = cause
	case errors.As(err, &certificate):
		e.Kind, e.Message = sync.Refused, "can't reach "+place+": its certificate is not accepted ("+printable(cause.Error())+"); put the name in the certificate into url, or let the system trust who has signed it"
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Message = place + " closed the connection in the middle of its answer"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		e.Message = place + " closed the connection without an answer"
		if strings.Contains(place, "http://") {
			e.Message += "; if that happens again, check that it does not want https"
		}
	default:
		e.Message = "can't reach " + place + ": " + printable(cause.Error())
	}
	return e
}

// tlsAlert matches what net/http says of an answer that is a TLS record.
var tlsAlert = regexp.MustCompile(`malformed HTTP (response|status code|version) "?\\x15\\x03`)

// plainHTTP matches what servers answer to a request in plain HTTP at a port that
// is for TLS: Go's, nginx and Apache.
var plainHTTP = regexp.MustCompile(`(?i)HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS port|speaking plain HTTP to an SSL-enabled server`)

// Mismatch returns the error of an answer which says that the platform wants to be
// spoken to by HTTPS, nil for any other answer.
func Mismatch(status int, body []byte, place string) *sync.Error {
	if status != http.StatusBadRequest || !plainHTTP.Match(body) {
		return nil
	}
	e := WantsTLS(place)
	e.Status = status
	return e
}

// WantsTLS is the error of a request in plain HTTP to a platform that speaks
// HTTPS.
func WantsTLS(place string) *sync.Error {
	return &sync.Error{Kind: sync.Refused, Message: "can't reach " + place + ": it speaks HTTPS; write https:// in the url"}
}

// Root returns the innermost error.
func Root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// printable replaces what could disturb a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// ReadAnswer reads the body of an answer, up to so many bytes and one more, by which
// callers tell that it is too long. Proxies and servers on Windows put a byte order mark
// before JSON, which is left out.
func ReadAnswer(body io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(body, most+1))
	return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), err
}
