package n8n

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/seguehq/segue/platform/reach"
	"github.com/seguehq/segue/sync"
)

// answerLimit is the size of the largest answer that is read, in bytes. A page
// of people's workflows may be large.
const answerLimit = 256 << 20

// A call is one request to the public API.
type call struct {
	method string
	path   string // below /api/v1, escaped
	query  url.Values
	in     any // the body, if there is one
	out    any // for the answer, if one is expected
}

// write makes a request that changes something. Options limit the number of
// such requests at a time.
func (p *Platform) write(ctx context.Context, c call) error {
	select {
	case p.writes <- struct{}{}:
		defer func() { <-p.writes }()
	case <-ctx.Done():
		return &sync.Error{Kind: sync.Temporary, Message: "canceled while waiting for its turn", Err: ctx.Err()}
	}
	return p.do(ctx, c)
}

// do makes a request. Every error is a [*sync.Error].
func (p *Platform) do(ctx context.Context, c call) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	res, answer, err := p.send(ctx, c)
	var refused *sync.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case err != nil:
		return p.unreachable(err)
	}
	if mismatch := reach.Mismatch(res.StatusCode, answer, "n8n at "+p.base); mismatch != nil {
		return mismatch
	}
	isJSON := hasJSON(res.Header)
	switch {
	case !isJSON && bytes.Contains(answer, []byte("n8n is starting up")):
		return &sync.Error{Kind: sync.Temporary, Status: res.StatusCode, Message: "n8n at " + p.base + " is starting up"}
	case res.StatusCode == http.StatusNotFound && !isJSON:
		return p.noAPI(ctx, res.StatusCode)
	case res.StatusCode < 200 || res.StatusCode > 299:
		return p.refusal(res, answer)
	case !isJSON:
		return p.strange(res.StatusCode, answer)
	}
	if c.out == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber() // numbers written by people must not change
	if err := d.Decode(c.out); err != nil {
		return p.strange(res.StatusCode, answer)
	}
	return nil
}

// send makes a request and reads the answer.
func (p *Platform) send(ctx context.Context, c call) (*http.Response, []byte, error) {
	var body io.Reader
	if c.in != nil {
		b, err := marshal(c.in)
		if err != nil {
			return nil, nil, err
		}
		body = bytes.NewReader(b)
	}
	target := p.base + "/api/v1" + c.path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, body)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "segue")
	req.Header.Set("X-N8N-API-KEY", p.apiKey.Reveal())
	if c.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := p.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	p.setClock(res.Header)
	answer, err := reach.ReadAnswer(res, answerLimit)
	if err == nil && len(answer) > answerLimit {
		err = &sync.Error{Kind: sync.Refused, Message: fmt.Sprintf("n8n at %s answers with more than %d MiB", p.base, answerLimit>>20)}
	}
	return res, answer, err
}

// unreachable returns the error of a request without an answer.
func (p *Platform) unreachable(err error) error {
	return reach.Failure(err, "n8n at "+p.base, "is it running?")
}

// noAPI returns the error for an address without a public API. n8n answers like
// that while it starts up, and also when the API is switched off; in that case
// its own pages work.
func (p *Platform) noAPI(ctx context.Context, status int) error {
	started, version := p.settings(ctx)
	if !started {
		return &sync.Error{Kind: sync.Temporary, Status: status, Message: "there is no public API at " + p.base + "/api/v1 (yet): n8n may be starting up, or the target's url is wrong"}
	}
	if version != "" {
		version = ", version " + version
	}
	return &sync.Error{Kind: sync.Refused, Status: status, Message: "n8n at " + p.base + version + " has its public API switched off: " +
		"start it without N8N_PUBLIC_API_DISABLED=true (and with N8N_PUBLIC_API_ENDPOINT as it is by default)"}
}

// strange returns the error of an answer that is not from n8n.
func (p *Platform) strange(status int, answer []byte) error {
	said := "nothing"
	if len(answer) > 0 {
		said = strconv.Quote(p.printable(p.mask.Start(string(answer), 120)))
	}
	return &sync.Error{Kind: sync.Refused, Status: status, Message: p.base + " is probably not an n8n; check the target's url: it answered " + said}
}

// The errors of n8n when parallel writes have interfered, over SQLite without a
// pool of connections. The work may have been done.
var tangled = regexp.MustCompile(`SQLITE_|Transaction is not started yet|no such savepoint|cannot (start|commit|rollback)|deadlock detected|could not serialize|database is locked`)

// noReason is n8n's answer to an update of an active workflow if it could not
// store the new version. The webhook is missing until the next update.
const noReason = `{"message":""}`

// Errors of an old n8n about unknown fields.
var unknownToOld = regexp.MustCompile(`Unknown query parameter|must NOT have additional properties|is not a known type`)

// refusal returns the error of an unsuccessful answer.
func (p *Platform) refusal(res *http.Response, answer []byte) error {
	e := &sync.Error{Kind: sync.Refused, Status: res.StatusCode, RetryAfter: retryAfter(res.Header)}
	var said struct{ Message string }
	known := hasJSON(res.Header) && json.Unmarshal(answer, &said) == nil && said.Message != ""
	e.Message = p.printable(said.Message)
	if !known {
		e = p.strange(res.StatusCode, answer).(*sync.Error)
		e.RetryAfter = retryAfter(res.Header)
	}
	switch code := res.StatusCode; {
	case code == http.StatusUnauthorized:
		e.Kind, e.Message = sync.Unauthorized, p.badKey()
	case code == http.StatusForbidden && said.Message == "Forbidden":
		e.Kind = sync.Unauthorized
		e.Message = "n8n forbids this to the API key: in n8n, under Settings > n8n API, give the key all scopes of workflows and credentials; " +
			"its owner must be allowed to change the workflow"
	case code == http.StatusTooManyRequests || code >= 500:
		e.Kind = sync.Temporary
	case known && tangled.MatchString(said.Message):
		e.Kind = sync.Temporary
		e.Message += " (n8n's database mishandles parallel writes)"
	case code == http.StatusBadRequest && string(answer) == noReason:
		e.Kind, e.Message = sync.Temporary, "n8n gives no reason; it has probably failed to store a version in its workflow history"
	case known && code == http.StatusNotFound:
		e.Kind = sync.NotFound
	case known && code == http.StatusBadRequest && unknownToOld.MatchString(said.Message):
		e.Message = "n8n at " + p.base + " has a version that segue does not support; use " + Versions + ": " + e.Message
	case code >= 300 && code < 400:
		if location, err := res.Location(); err == nil {
			to := url.URL{Scheme: location.Scheme, Host: location.Host}
			e.Message = p.base + " redirects to " + p.printable(to.String()) + "; put n8n's own address into the target's url"
		}
	}
	return e
}

// badKey describes the problem with the API key. A key of n8n is a JSON Web
// Token with an expiry.
func (p *Platform) badKey() string {
	const remedy = "make a new one in n8n under Settings > n8n API, and put it into the secret that the target's apiKey names"
	if parts := strings.Split(p.apiKey.Reveal(), "."); len(parts) == 3 {
		var claims struct{ Exp int64 }
		b, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err == nil && json.Unmarshal(b, &claims) == nil && claims.Exp > 0 && time.Now().After(time.Unix(claims.Exp, 0)) {
			return "n8n's API key has expired, on " + time.Unix(claims.Exp, 0).UTC().Format("2 January 2006") + "; " + remedy
		}
	}
	return "n8n at " + p.base + " does not accept the API key; " + remedy
}

// hasJSON reports whether an answer has a JSON content type.
func hasJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}

// retryAfter reads a Retry-After in seconds.
func retryAfter(h http.Header) time.Duration {
	s, err := strconv.ParseFloat(h.Get("Retry-After"), 64)
	if err != nil || !(s > 0 && s < 1e6) {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// printable replaces characters that could disturb a terminal, and masks every
// known secret: n8n may quote the request.
func (p *Platform) printable(s string) string {
	s = p.mask.Hide(s)
	const most = 1000
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
