package reach

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/seguehq/segue/automation"
)

// maskedBytes is the part of an answer that is masked for messages, in bytes:
// no message shows more.
const maskedBytes = 1 << 20

// NewClient returns a client for a platform. It does not follow redirects, which
// could leak credentials. It hides the mask's secrets in everything that is only
// used for messages: error answers, answers that are not JSON, and errors. A nil
// transport means that of [NewTransport] with the zero [TLS].
func NewClient(transport http.RoundTripper, mask *automation.Mask) *http.Client {
	if transport == nil {
		transport = newTransport()
	}
	return &http.Client{
		Transport:     masking{transport, mask},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// A masking transport hides secrets in everything that is shown to people.
type masking struct {
	http.RoundTripper
	mask *automation.Mask
}

// RoundTrip implements [http.RoundTripper].
func (t masking) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, Masked(err, t.mask)
	}
	if res.StatusCode >= 200 && res.StatusCode <= 299 && isJSON(res.Header) {
		return res, nil
	}
	start, err := io.ReadAll(io.LimitReader(res.Body, int64(maskedBytes+t.mask.Reach())))
	rest := io.Reader(res.Body)
	if err != nil {
		rest = failing{err}
	}
	shown := t.mask.Start(string(start), maskedBytes)
	rest = io.MultiReader(strings.NewReader(shown), bytes.NewReader(start[min(len(start), maskedBytes):]), rest)
	if to := res.Header.Get("Location"); to != "" {
		res.Header.Set("Location", t.mask.Hide(to))
	}
	res.ContentLength = -1 // masking may change the length
	res.Header.Del("Content-Length")
	res.Body = struct {
		io.Reader
		io.Closer
	}{rest, res.Body}
	return res, nil
}

// CloseIdleConnections closes the idle connections of the transport.
func (t masking) CloseIdleConnections() { closeIdle(t.RoundTripper) }

func closeIdle(transport http.RoundTripper) {
	if c, ok := transport.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// failing is a reader that ends with an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// isJSON reports whether an answer has a JSON content type.
func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}

// Masked returns an error with the mask's secrets hidden in its message. It
// returns the same error if it contains no secret. errors.Is and errors.As
// still find the cause, whose own message shows the secret.
func Masked(err error, mask *automation.Mask) error {
	if err == nil || !mask.Finds(err.Error()) {
		return err
	}
	return maskedError{mask.Hide(err.Error()), err}
}

// A maskedError has the message of another error, without secrets.
type maskedError struct {
	text string
	err  error
}

func (e maskedError) Error() string { return e.text }

func (e maskedError) Is(target error) bool { return errors.Is(e.err, target) }

func (e maskedError) As(target any) bool { return errors.As(e.err, target) }
