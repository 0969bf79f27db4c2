package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/platform/reach"
	"github.com/seguehq/segue/sync"
)

// answerLimit is the size of the largest answer that is read, in bytes.
const answerLimit = 32 << 20

// shownBytes is the number of bytes of an answer that a message quotes.
const shownBytes = 300

// The purpose of a call, which decides the meaning of statuses.
type deed int

const (
	lists deed = iota
	reads
	creates
	updates
	deletes
)

// A call is one request.
type call struct {
	description.Endpoint
	does        deed
	project, id string
	extra       url.Values // query parameters besides those of the description
	ifMatch     string
	in          any // the body, nil for none
}

// An answer is a successful answer.
type answer struct {
	body   any // decoded JSON, nil if there is none
	header http.Header
}

// call makes a request. Every error is a [*sync.Error].
func (p *platform) call(ctx context.Context, c call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	req, err := p.request(ctx, c)
	if err != nil {
		return answer{}, &sync.Error{Kind: sync.Refused, Message: "the request can't be made: " + printable(reach.Root(err).Error()), Err: reach.Root(err)}
	}
	res, err := p.http.Do(req)
	if err != nil {
		return answer{}, p.unreachable(err)
	}
	defer res.Body.Close()
	body, err := reach.ReadAnswer(res, answerLimit)
	mismatch := reach.Mismatch(res.StatusCode, body, p.place)
	switch {
	case err != nil:
		return answer{}, p.unreachable(err)
	case len(body) > answerLimit:
		return answer{}, p.strange(fmt.Sprintf("its answer is larger than %d MiB", answerLimit>>20))
	case mismatch != nil:
		return answer{}, mismatch
	case res.StatusCode < 200 || res.StatusCode > 299:
		return answer{}, p.refusal(c, res, body)
	}
	out := answer{header: res.Header}
	if len(bytes.TrimSpace(body)) == 0 && (c.does == deletes || c.Answer == "nothing") {
		return out, nil
	}
	if out.body, err = description.Parse(body); err != nil && c.does != deletes && c.Answer != "nothing" {
		return answer{}, p.strange("it answered " + p.start(body) + p.notJSON(c, body))
	}
	return out, nil
}

// request makes the HTTP request of a call.
func (p *platform) request(ctx context.Context, c call) (*http.Request, error) {
	expand := func(text string, escape func(string) string) string {
		return strings.NewReplacer("{id}", escape(c.id), "{project}", escape(c.project)).Replace(text)
	}
	query := url.Values{}
	for name, value := range c.Query {
		query.Set(name, expand(value, func(s string) string { return s }))
	}
	for name, values := range c.extra {
		query[name] = values
	}
	auth, credential := p.d.Auth, p.credential.Reveal()
	if auth.Query != "" && credential != "" {
		query.Set(auth.Query, credential)
	}
	// The path in a description may have its own query, which is kept.
	path, own, _ := strings.Cut(expand(c.Path, url.PathEscape), "?")
	target := p.base.String() + path
	if all := strings.Trim(own+"&"+query.Encode(), "&"); all != "" {
		target += "?" + all
	}
	var body io.Reader
	if c.in != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(c.in); err != nil {
			return nil, err
		}
		body = &b
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "segue")
	if c.does == reads && p.d.Revision.Header != "" {
		// A compressed form has another entity tag.
		req.Header.Set("Accept-Encoding", "identity")
	}
	if c.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range p.d.Headers {
		req.Header.Set(name, value)
	}
	if c.ifMatch != "" {
		req.Header.Set("If-Match", c.ifMatch)
	}
	switch {
	case credential == "":
	case auth.Basic != nil:
		req.SetBasicAuth(*auth.Basic, credential)
	case auth.Header != "":
		req.Header.Set(auth.Header, strings.TrimSpace(auth.Scheme+" "+credential))
	}
	return req, nil
}

// unreachable returns the error of a request without an answer.
func (p *platform) unreachable(err error) error {
	return reach.Failure(err, p.place, "is the platform running?")
}

// strange returns the error of an answer that contradicts the description.
func (p *platform) strange(what string) error {
	return &sync.Error{Kind: sync.Refused, Message: p.place + " does not answer as described: " + what}
}

// refusal returns the error of an unsuccessful answer.
func (p *platform) refusal(c call, res *http.Response, body []byte) error {
	e := &sync.Error{Status: res.StatusCode, RetryAfter: retryAfter(res.Header, time.Now())}
	parsed, err := description.Parse(body)
	said := p.d.Errors.Message.Text(parsed)
	if err != nil || p.d.Errors.Message == "" {
		said = ""
	}
	if e.Message = p.clean(said); said == "" {
		e.Message = "it answered " + p.start(body)
	}
	e.Kind = p.kind(c, res.StatusCode, parsed)
	switch status := res.StatusCode; {
	case e.Kind == sync.Unauthorized:
		does := " does not accept the token; check the secret that the target's token or apiKey names ("
		if res.StatusCode == http.StatusForbidden {
			does = " does not accept the token, or does not permit this request; check the secret that the target's token or apiKey names, and its permissions ("
		}
		e.Message = p.place + does + e.Message + ")"
		if p.credential.Reveal() == "" {
			e.Message = p.place + " asks for a token, and the target has none; set token"
		}
	case status >= 300 && status < 400:
		if location, err := res.Location(); err == nil {
			to := url.URL{Scheme: location.Scheme, Host: location.Host}
			if to.Scheme == p.base.Scheme && to.Host == p.base.Host {
				e.Message = p.place + " redirects " + c.Path + " to " + p.clean(location.Path) + "; correct the path in the description, or the url"
				break
			}
			e.Message = p.place + " redirects to " + printable(to.String()) + "; put the platform's own address into url"
		}
	case status == http.StatusNotFound && e.Kind == sync.Refused:
		e.Message = "there is no " + c.Path + " at " + p.place + "; check the url, and the path in the description"
	}
	return e
}

// kind returns the meaning of an error answer: by its code if the description
// knows the code, otherwise by its status.
func (p *platform) kind(c call, status int, body any) sync.ErrorKind {
	errs := p.d.Errors
	if errs.Code != "" {
		switch errs.Codes[errs.Code.Text(body)] {
		case "exists":
			return sync.Exists
		case "conflict":
			return sync.Conflict
		case "missing":
			return sync.NotFound
		case "retry":
			return sync.Temporary
		case "refused":
			return sync.Refused
		}
	}
	changes := c.does == updates || c.does == deletes
	switch {
	case slices.Contains(errs.Retry, status):
		return sync.Temporary
	case c.does == creates && slices.Contains(errs.Exists, status):
		return sync.Exists
	case changes && slices.Contains(errs.Conflict, status):
		return sync.Conflict
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return sync.Unauthorized
	case status == http.StatusNotFound || status == http.StatusGone:
		if changes || c.does == reads {
			return sync.NotFound
		}
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return sync.Temporary
	}
	return sync.Refused
}

// clean prepares a string from the platform for a message.
func (p *platform) clean(text string) string {
	text = p.mask.Hide(text)
	if len(text) > shownBytes {
		text = strings.ToValidUTF8(text[:shownBytes], "") + "..."
	}
	return printable(text)
}

// notJSON describes an answer that is not JSON, and suggests a remedy.
func (p *platform) notJSON(c call, body []byte) string {
	switch text := bytes.TrimSpace(body); {
	case len(text) == 0:
		return ""
	case text[0] == '<':
		return ", a web page; check the url, and the path " + c.Path + " in the description"
	}
	return ", which is not JSON"
}

// start quotes the beginning of an answer.
func (p *platform) start(body []byte) string {
	if len(bytes.TrimSpace(body)) == 0 {
		return "nothing"
	}
	return strconv.Quote(p.clean(strings.TrimSpace(string(body))))
}

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds or a date.
// It returns 0 if the header is missing or invalid.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
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
