// Package reach explains, in the same words for all platforms, why a platform
// can't be reached and how to fix that.
package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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

// Failure is the error of a request that got no answer. place is the platform's
// name in messages, including its URL. hint, such as "is it running?", is added if
// the connection was refused. The error keeps only the root cause: the errors that
// net/http wraps around it contain the whole URL.
func Failure(err error, place, hint string) *sync.Error {
	cause := Root(err)
	e := &sync.Error{Kind: sync.Temporary, Err: cause}
	var encoding *encodingError
	var dns *net.DNSError
	var proxy *ProxyError
	var certificate *tls.CertificateVerificationError
	var alert *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		e.Message = "canceled while waiting for " + place
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Message = "no answer from " + place + " in time"
	case errors.As(err, &encoding):
		e.Kind, e.Message = sync.Refused, place+" "+encoding.Error()
	case errors.As(err, &proxy):
		e.Kind, e.Message = proxyFailure(proxy, place)
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
		e.Kind, e.Message = sync.Refused, "can't reach "+place+": "+distrusted(certificate)
	case errors.As(err, &alert) && alert.Op == "remote error":
		e.Kind, e.Message = sync.Refused, place+": "+alerted(alert.Err.Error())
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

// proxyFailure explains a proxy's refusal of a connection, and how to mend it.
func proxyFailure(e *ProxyError, place string) (sync.ErrorKind, string) {
	said := printable(e.Error())
	const direct = "; name the platform's host in NO_PROXY if it can be reached without a proxy"
	switch {
	case e.Status == http.StatusProxyAuthRequired:
		return sync.Refused, "can't reach " + place + ": " + said +
			"; write its user and password into HTTPS_PROXY, as in http://USER:PASSWORD@" + printable(e.Proxy)
	case e.Status >= 500:
		return sync.Temporary, "can't reach " + place + ": " + said + direct
	case e.Status != 0:
		return sync.Refused, "can't reach " + place + ": " + said + "; have it let this machine through" + direct
	}
	return sync.Temporary, "can't reach " + place + ": " + said + "; check HTTPS_PROXY and HTTP_PROXY" + direct
}

// distrusted says why a certificate is not accepted, and how to mend it.
func distrusted(e *tls.CertificateVerificationError) string {
	why := printable(Root(e).Error())
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(e, &name):
		return "its certificate is for another name (" + why + "); use the name of the certificate in url"
	case errors.As(e, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate is not valid now (" + why + "); renew it, or set the clock of this machine"
	}
	return "its certificate is not accepted (" + why + "). If it is signed by an authority of your own, set ca on the target " +
		"to a file in the project with the certificate of that authority, or name the file in " + authorityVariable
}

// alerted explains a platform's refusal of a connection, by the alert of TLS.
func alerted(alert string) string {
	switch {
	case strings.Contains(alert, "certificate required"):
		return wantsCertificate
	case strings.Contains(alert, "certificate"):
		return "it does not accept the client certificate (" + printable(alert) + "); check clientCert and clientKey of the target"
	}
	return "it refuses the connection (" + printable(alert) + "); if it asks for a client certificate, set clientCert and clientKey on the target"
}

const wantsCertificate = "it asks for a client certificate; set clientCert and clientKey on the target"

// tlsAlert matches the error of net/http for an answer that is a TLS record.
var tlsAlert = regexp.MustCompile(`malformed HTTP (response|status code|version) "?\\x15\\x03`)

// plainHTTP matches the answers of Go's server, nginx and Apache to a plain HTTP
// request at a TLS port.
var plainHTTP = regexp.MustCompile(`(?i)HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS port|speaking plain HTTP to an SSL-enabled server`)

// Answers of nginx where it requires a client certificate.
var (
	noCertificate    = regexp.MustCompile(`No required SSL certificate was sent`)
	wrongCertificate = regexp.MustCompile(`The SSL certificate error`)
)

// Mismatch returns an error if the answer says that the platform expects HTTPS or
// a client certificate, and nil for any other answer.
func Mismatch(status int, body []byte, place string) *sync.Error {
	if status != http.StatusBadRequest {
		return nil
	}
	switch {
	case plainHTTP.Match(body):
		e := WantsTLS(place)
		e.Status = status
		return e
	case noCertificate.Match(body):
		return &sync.Error{Kind: sync.Refused, Status: status, Message: place + ": " + wantsCertificate}
	case wrongCertificate.Match(body):
		return &sync.Error{Kind: sync.Refused, Status: status,
			Message: place + ": it does not accept the client certificate; check clientCert and clientKey of the target"}
	}
	return nil
}

// WantsTLS returns the error of a plain HTTP request to a platform that speaks
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

// printable replaces characters that could disturb a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
