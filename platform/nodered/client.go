package nodered

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	gosync "sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/reach"
	"github.com/seguehq/segue/sync"
)

// answerLimit is the size of the largest answer that is read, in bytes: one
// answer has all flows, including those of others.
const answerLimit = 256 << 20

// logOutTimeout is the time that Close waits for the session to end.
const logOutTimeout = 5 * time.Second

// oldest is the first major version of Node-RED that is known to work, and newest
// the last.
const oldest, newest = 4, 5

// A client uses the Admin API.
type client struct {
	base    *url.URL
	options Options
	http    *http.Client

	answered atomic.Bool // something speaks HTTP at the address

	mu      gosync.Mutex
	session automation.Secret // a token from a login
	known   string            // the version, after it was found new enough
	// nodeRoot is the root path of endpoints, "" if it is unknown or there are none.
	nodeRoot string
}

// A call is one request to the Admin API.
type call struct {
	method, path string
	header       map[string]string
	body         []byte
	media        string // of the body
}

// An answer is an answer of Node-RED.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes a request, after a login if necessary, and returns a successful
// answer. Every error is a [*sync.Error].
func (c *client) do(ctx context.Context, r call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	token, err := c.token(ctx, "")
	if err != nil {
		return answer{}, err
	}
	a, err := c.send(ctx, r, token)
	if err == nil && a.status == http.StatusUnauthorized && !a.knowsUs() && c.options.Username != "" {
		// A session that has expired is renewed, once.
		if token, err = c.token(ctx, token.Reveal()); err == nil {
			a, err = c.send(ctx, r, token)
		}
	}
	if err != nil {
		return answer{}, err
	}
	if a.status < 200 || a.status > 299 {
		return answer{}, c.refusal(r, a)
	}
	return a, nil
}

// knowsUs distinguishes a 401 for a known user without permission from one for
// an unknown user: only the latter says how to authenticate.
func (a answer) knowsUs() bool { return a.header.Get("WWW-Authenticate") == "" }

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
	// Without a scope, the session has the user's own permissions.
	form := url.Values{"client_id": {"node-red-admin"}, "grant_type": {"password"}, "scope": {""},
		"username": {c.options.Username}, "password": {c.options.Password.Reveal()}}
	login := call{method: http.MethodPost, path: "/auth/token", body: []byte(form.Encode()), media: "application/x-www-form-urlencoded"}
	a, err := c.send(reach.Private(ctx), login, automation.Secret{})
	if err != nil {
		return automation.Secret{}, err
	}
	var said struct {
		Token string `json:"access_token"`
		Error string `json:"error_description"`
	}
	_ = json.Unmarshal(a.body, &said) // ignore an answer that is not JSON
	if a.status == http.StatusOK && said.Token != "" {
		c.session = automation.NewSecret(said.Token)
		c.options.Mask.Add(c.session)
		return c.session, nil
	}
	return automation.Secret{}, c.noLogin(ctx, login, a, said.Error)
}

// noLogin returns the error of a refused login.
func (c *client) noLogin(ctx context.Context, login call, a answer, said string) error {
	user := quoted([]byte(c.options.Username))
	switch {
	case a.status == http.StatusNotFound:
		// Every Admin API describes its login, even without adminAuth.
		how, err := c.send(ctx, call{method: http.MethodGet, path: "/auth/login"}, automation.Secret{})
		if err != nil {
			return err
		}
		if how.status != http.StatusOK || !isJSON(how.header) {
			return c.refusal(login, a)
		}
		var prompt struct{ Type string }
		_ = json.Unmarshal(how.body, &prompt)
		if prompt.Type == "strategy" {
			return &sync.Error{Kind: sync.Unauthorized, Status: a.status,
				Message: c.place() + " lets its users log in only interactively; write token instead of username and password, and add tokens to its adminAuth"}
		}
		return &sync.Error{Kind: sync.Unauthorized, Status: a.status,
			Message: c.place() + " has no users; remove username and password, or write token instead if its adminAuth has tokens"}
	case strings.HasPrefix(said, "Too many login attempts"):
		return &sync.Error{Kind: sync.Unauthorized, Status: a.status,
			Message: c.place() + " does not let user " + user + " log in for now: " + printable(said)}
	case a.status == http.StatusBadRequest || a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return &sync.Error{Kind: sync.Unauthorized, Status: a.status,
			Message: c.place() + " does not accept user " + user + " with this password; check the target's username, and the secret that its password names"}
	case a.status >= 200 && a.status < 300:
		return c.strange([]byte("no token to a login"))
	default:
		return c.refusal(login, a)
	}
}

// logOut ends the session, if there is one: Node-RED keeps it for a week
// otherwise.
func (c *client) logOut() {
	c.mu.Lock()
	session := c.session
	c.session = automation.Secret{}
	c.mu.Unlock()
	if session.Reveal() == "" {
		return
	}
	// Nothing depends on it, so it may fail.
	ctx, cancel := context.WithTimeout(context.Background(), min(logOutTimeout, c.options.Timeout))
	defer cancel()
	body, _ := json.Marshal(map[string]string{"token": session.Reveal()})
	_, _ = c.send(ctx, call{method: http.MethodPost, path: "/auth/revoke", body: body, media: "application/json"}, session)
}

// send makes a request and returns any answer.
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
		return answer{}, c.unreachable(ctx, err)
	}
	defer res.Body.Close()
	first := !c.answered.Swap(true)
	b, err := reach.ReadAnswer(res, answerLimit)
	if err != nil {
		return answer{}, c.unreachable(ctx, err)
	}
	if len(b) > answerLimit {
		return answer{}, &sync.Error{Kind: sync.Refused, Message: fmt.Sprintf("%s answers with more than %d MiB", c.place(), answerLimit>>20)}
	}
	if first && res.StatusCode == http.StatusBadRequest && c.speaksTLS(ctx) {
		return answer{}, reach.WantsTLS(c.place())
	}
	return answer{status: res.StatusCode, header: res.Header, body: b}, nil
}

// version returns Node-RED's version, and refuses one that is too old. It makes
// one request.
func (c *client) version(ctx context.Context) (string, error) {
	c.mu.Lock()
	known := c.known
	c.mu.Unlock()
	if known != "" {
		return known, nil
	}
	a, err := c.do(ctx, call{method: http.MethodGet, path: "/settings"})
	if err != nil {
		return "", err
	}
	var settings struct {
		Version      string
		HTTPNodeRoot any // false where there are no endpoints
	}
	if json.Unmarshal(a.body, &settings) != nil || settings.Version == "" {
		return "", c.strange(a.body)
	}
	known = printable(settings.Version)
	if major(known) < oldest {
		return "", &sync.Error{Kind: sync.Refused, Message: fmt.Sprintf("%s is Node-RED %s, and segue needs %d.0 or later; update it",
			c.place(), known, oldest)}
	}
	c.mu.Lock()
	c.known = known
	c.nodeRoot, _ = settings.HTTPNodeRoot.(string)
	c.mu.Unlock()
	return known, nil
}

// major is the first number of a version, 0 if it has none.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(first) // 0 is older than any version
	return n
}

// place is the platform's address, for requests and messages.
func (c *client) place() string { return c.base.String() }

// strange returns the error of an answer that is not from Node-RED.
func (c *client) strange(body []byte) error {
	return &sync.Error{Kind: sync.Refused, Message: c.place() + " is probably not the Admin API of Node-RED; check the url: it answered " + quoted([]byte(c.options.Mask.Start(string(body), 1<<10)))}
}

// refusal returns the error of an unsuccessful answer.
func (c *client) refusal(r call, a answer) error {
	e := &sync.Error{Status: a.status, RetryAfter: retryAfter(a.header)}
	var said struct{ Code, Message string }
	known := isJSON(a.header) && json.Unmarshal(a.body, &said) == nil && said.Code != ""
	if mismatch := reach.Mismatch(a.status, a.body, c.place()); mismatch != nil {
		return mismatch
	}
	switch {
	case a.status == http.StatusUnauthorized:
		e.Kind, e.Message = sync.Unauthorized, c.denial(r, a)
	case a.status == http.StatusForbidden:
		e.Kind, e.Message = sync.Unauthorized, c.place()+", or a proxy before it, forbids this: "+quoted(a.body)
	case a.status == http.StatusConflict && said.Code == "version_mismatch":
		e.Kind, e.Message = sync.Conflict, "somebody else has deployed in the meantime"
	case a.status == http.StatusNotFound:
		e.Message = c.place() + " has no Admin API; check that the url has the httpAdminRoot of settings.js in it, and that it is not false there"
	case a.status == http.StatusRequestEntityTooLarge:
		e.Message = c.place() + " does not accept so many flows at once; raise apiMaxLength in settings.js, which is 5mb by default, or the limit of a proxy before it"
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

// permissions are the permissions that Node-RED requires, by request.
var permissions = map[string]struct{ name, to string }{
	"GET /settings": {"settings.read", "read its settings"},
	"GET /flows":    {"flows.read", "read its flows"},
	"POST /flows":   {"flows.write", "deploy"},
}

// denial describes the reason of a 401.
func (c *client) denial(r call, a answer) string {
	user := "user " + quoted([]byte(c.options.Username))
	named, token := c.options.Username != "", c.options.Token.Reveal() != ""
	if needs, ok := permissions[r.method+" "+r.path]; ok && a.knowsUs() {
		switch {
		case named:
			return fmt.Sprintf(`%s does not let %s %s; give it the permission %s, or "*", in adminAuth`, c.place(), user, needs.to, needs.name)
		case token:
			// If anybody may read, a wrong token gets the same answer.
			return fmt.Sprintf(`%s does not let the token %s; check the secret that the target's token names, and that adminAuth gives it the permission %s, or "*"`,
				c.place(), needs.to, needs.name)
		}
		return fmt.Sprintf("%s does not let everybody %s; give the target username and password, or token", c.place(), needs.to)
	}
	switch {
	case named:
		return c.place() + " does not accept the session that " + user + " has just been given; check whether a proxy before it asks for its own credentials"
	case token:
		return c.place() + " does not accept the token: it is wrong, or has expired; check the secret that the target's token names"
	}
	return c.place() + " requires a user; give the target username and password, or token"
}

// unreachable returns the error of a request without an answer. Node-RED closes
// plain HTTP connections to its HTTPS port.
func (c *client) unreachable(ctx context.Context, err error) error {
	hungUp := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
	if hungUp && !c.answered.Load() && c.speaksTLS(ctx) {
		return reach.WantsTLS(c.place())
	}
	return reach.Failure(err, c.place(), "is Node-RED running?")
}

// speaksTLS reports whether the server speaks HTTPS although the url says HTTP.
// Servers answer a plain request in different ways: Node.js closes the
// connection, others answer 400.
func (c *client) speaksTLS(ctx context.Context) bool {
	if c.base.Scheme != "http" {
		return false
	}
	port := c.base.Port()
	if port == "" {
		port = "80"
	}
	conn, err := new(tls.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(c.base.Hostname(), port))
	if err == nil {
		_ = conn.Close()
	}
	var untrusted *tls.CertificateVerificationError
	return err == nil || errors.As(err, &untrusted)
}

// retryAfter reads a pause in seconds; Node-RED itself does not send one, but a
// proxy before it may.
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

// quoted quotes the beginning of an answer.
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

// printable replaces characters that could disturb a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
