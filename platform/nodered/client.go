package nodered

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	gosync "sync"
	"time"
	"unicode"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/reach"
	"github.com/seguehq/segue/sync"
)

// answerLimit is the longest answer that is read: all flows, also those of
// others, come in one.
const answerLimit = 256 << 20

// oldest is the first major version of Node-RED that is known to work.
const oldest = 4

// A client speaks with the Admin API.
type client struct {
	base    *url.URL
	options Options
	http    *http.Client

	mu      gosync.Mutex
	session automation.Secret // a token that was got for a user name
	checked bool              // the version is new enough
}

// A call is one request to the Admin API.
type call struct {
	method, path string
	header       map[string]string
	body         []byte
	media        string // of the body
}

// An answer is what Node-RED has answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do does a request, logs in if that is due, and returns the answer if it is
// a success. Every error is a [*sync.Error].
func (c *client) do(ctx context.Context, r call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	token, err := c.token(ctx, "")
	if err != nil {
		return answer{}, err
	}
	a, err := c.send(ctx, r, token)
	if err == nil && a.status == http.StatusUnauthorized && c.options.Username != "" {
		// A session that has expired is renewed, once.
		if token, err = c.token(ctx, token.Reveal()); err == nil {
			a, err = c.send(ctx, r, token)
		}
	}
	if err != nil {
		return answer{}, err
	}
	if a.status < 200 || a.status > 299 {
		return answer{}, c.refusal(a)
	}
	return a, nil
}

// token returns the token to use, other than the stale one.
func (c *client) token(ctx context.Context, stale string) (automation.Secret, error) {
	if c.options.Username == "" {
		return c.options.Token, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.session.Reveal(); s != "" && s != stale {
		return c.session, nil
	}
	form := url.Values{"client_id": {"node-red-admin"}, "grant_type": {"password"}, "scope": {"*"},
		"username": {c.options.Username}, "password": {c.options.Password.Reveal()}}
	a, err := c.send(ctx, call{method: http.MethodPost, path: "/auth/token", body: []byte(form.Encode()),
		media: "application/x-www-form-urlencoded"}, automation.Secret{})
	if err != nil {
		return automation.Secret{}, err
	}
	var granted struct {
		Token string `json:"access_token"`
	}
	switch {
	case a.status == http.StatusOK && json.Unmarshal(a.body, &granted) == nil && granted.Token != "":
		c.session = automation.NewSecret(granted.Token)
		return c.session, nil
	case a.status == http.StatusNotFound:
		return automation.Secret{}, &sync.Error{Kind: sync.Unauthorized, Status: a.status,
			Message: c.place() + " has no /auth/token: its adminAuth knows no users; leave user name and password out, or give a token"}
	case a.status >= 500:
		return automation.Secret{}, c.refusal(a)
	default:
		return automation.Secret{}, &sync.Error{Kind: sync.Unauthorized, Status: a.status,
			Message: fmt.Sprintf("%s does not accept the password of user %s, or the user's permissions in adminAuth are not \"*\"", c.place(), quoted([]byte(c.options.Username)))}
	}
}

// send does a request and returns the answer, whatever it is.
func (c *client) send(ctx context.Context, r call, token automation.Secret) (answer, error) {
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.place()+r.path, body)
	if err != nil {
		return answer{}, &sync.Error{Kind: sync.Refused, Message: "the request can't be made: " + printable(reach.Root(err).Error()), Err: reach.Root(err)}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "segue")
	if r.media != "" {
		req.Header.Set("Content-Type", r.media)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	if t := token.Reveal(); t != "" {
		req.Header.Set("Authorization", "Bearer "+t)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, c.unreachable(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	if err != nil {
		return answer{}, c.unreachable(err)
	}
	if len(b) > answerLimit {
		return answer{}, &sync.Error{Kind: sync.Refused, Message: fmt.Sprintf("%s answers with more than %d MiB", c.place(), answerLimit>>20)}
	}
	if mismatch := reach.Mismatch(res.StatusCode, b, c.place()); mismatch != nil {
		return answer{}, mismatch
	}
	return answer{status: res.StatusCode, header: res.Header, body: b}, nil
}

// checkVersion refuses a Node-RED that is too old. It asks once.
func (c *client) checkVersion(ctx context.Context) error {
	c.mu.Lock()
	checked := c.checked
	c.mu.Unlock()
	if checked {
		return nil
	}
	a, err := c.do(ctx, call{method: http.MethodGet, path: "/settings"})
	if err != nil {
		return err
	}
	var settings struct{ Version string }
	if json.Unmarshal(a.body, &settings) != nil || settings.Version == "" {
		return c.strange(a.body)
	}
	major, err := strconv.Atoi(strings.SplitN(settings.Version, ".", 2)[0])
	if err != nil || major < oldest {
		return &sync.Error{Kind: sync.Refused, Message: fmt.Sprintf("%s is Node-RED %s, and segue needs %d.0 or later; update it",
			c.place(), printable(settings.Version), oldest)}
	}
	c.mu.Lock()
	c.checked = true
	c.mu.Unlock()
	return nil
}

// place is the platform's address, for requests and messages.
func (c *client) place() string { return c.base.String() }

// strange is the error of an answer that Node-RED does not give.
func (c *client) strange(body []byte) error {
	return &sync.Error{Kind: sync.Refused, Message: c.place() + " is probably not the Admin API of Node-RED; check the url: it answered " + quoted(body)}
}

// refusal is the error of an answer that is not a success.
func (c *client) refusal(a answer) error {
	e := &sync.Error{Status: a.status, RetryAfter: retryAfter(a.header)}
	var said struct{ Code, Message string }
	known := isJSON(a.header) && json.Unmarshal(a.body, &said) == nil && said.Code != ""
	switch {
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		e.Kind = sync.Unauthorized
		e.Message = c.place() + " does not accept the token, or it may only read; check the secret that the target's token names"
		switch {
		case c.options.Username != "":
			e.Message = fmt.Sprintf("%s does not let user %s do this; give the user the permission \"*\" in adminAuth", c.place(), quoted([]byte(c.options.Username)))
		case c.options.Token.Reveal() == "":
			e.Message = c.place() + " asks for a token, and the target has none; set token"
		}
	case a.status == http.StatusConflict && said.Code == "version_mismatch":
		e.Kind, e.Message = sync.Conflict, "somebody else has deployed in the meantime"
	case a.status == http.StatusNotFound:
		e.Message = c.place() + " has no Admin API; check that the url has the httpAdminRoot of settings.js in it, and that it is not false there"
	case a.status == http.StatusRequestEntityTooLarge:
		e.Message = c.place() + " does not take so many flows at once; raise apiMaxLength in settings.js, which is 5mb by default"
	case a.status == http.StatusTooManyRequests || a.status >= 500:
		e.Kind, e.Message = sync.Temporary, c.place()+" failed: "+quoted(a.body)
	case a.status >= 300 && a.status < 400:
		e.Message = c.place() + " redirects elsewhere; put Node-RED's own address into url"
	case known:
		e.Message = c.place() + " refused: " + printable(said.Code+" "+said.Message)
	default:
		e.Message = c.place() + " refused: " + quoted(a.body)
	}
	return e
}

// unreachable is the error of a request without an answer.
func (c *client) unreachable(err error) error {
	return reach.Failure(err, c.place(), "is Node-RED running?")
}

// retryAfter reads a pause in seconds; Node-RED itself asks for none, but what
// stands before it may.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}

// quoted shows the beginning of an answer.
func quoted(b []byte) string {
	const most = 200
	text := []rune(strings.TrimSpace(strings.ToValidUTF8(string(b[:min(len(b), 4*most)]), "\uFFFD")))
	if len(text) == 0 {
		return "nothing"
	}
	if len(text) > most {
		text = append(text[:most], '…')
	}
	return strconv.Quote(string(text))
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
