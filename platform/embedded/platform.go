package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/reach"
	"github.com/seguehq/segue/sync"
)

// answerLimit is the size of the longest answer that a client reads, in bytes:
// a page of [pageBytes] with a large record at its end, and a reserve.
const answerLimit = 16 << 20

// A Platform is a segue platform, in-process or somewhere else. Its methods may
// be called from several goroutines.
type Platform struct {
	base  *url.URL
	place string // for messages: a URL without credentials, or a file
	token automation.Secret
	mask  *automation.Mask
	http  *http.Client
	limit time.Duration
	close func() error
}

var (
	_ sync.Surveyor = (*Platform)(nil)
	_ sync.Importer = (*Platform)(nil)
	_ sync.Locker   = (*Platform)(nil)
)

// ClientOptions configure a client of a served platform.
type ClientOptions struct {
	// Timeout bounds one request with its answer; 0 means 30 seconds.
	Timeout time.Duration
	// Transport sends the requests; nil means one like [http.DefaultTransport].
	Transport http.RoundTripper
	// Mask hides secrets in the platform's answers. The platform adds the secrets
	// that it learns. Nil means a new mask.
	Mask *automation.Mask
}

// NewClient returns the platform that is served at an http or https URL, such as
// "http://127.0.0.1:8377". The token is empty for a platform without one.
// NewClient sends nothing.
func NewClient(baseURL string, token automation.Secret, options ClientOptions) (*Platform, error) {
	u := automation.AbsoluteURL(baseURL)
	if u == nil {
		return nil, errors.New("the platform's url is not an absolute http or https URL, such as http://127.0.0.1:8377")
	}
	if strings.ContainsFunc(token.Reveal(), unicode.IsControl) {
		return nil, errors.New("the platform's token holds a line break or another control character")
	}
	base := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}
	return newPlatform(base, base.String(), token, options), nil
}

// LocalOptions configure an in-process platform.
type LocalOptions struct {
	// NoCreate does not create a missing file: the platform is then empty. If the
	// file or its folder can't be written, the platform is a copy. In both cases,
	// Close discards all changes.
	NoCreate bool
	Delivery DeliveryOptions
	// Logger gets the log of the platform; nil means no log.
	Logger *slog.Logger
	// Requests gets each request to the platform, as [reach.Traced] has it; nil for none.
	Requests *slog.Logger
	// Mask is as in [ClientOptions].
	Mask *automation.Mask
}

// OpenLocal opens the platform's file at path in-process. [Open] describes the
// errors. The platform sends pending deliveries, including older ones, from the
// first [Platform.Fire] on: plan and apply send nothing. The caller must close
// the platform.
func OpenLocal(ctx context.Context, path string, options LocalOptions) (*Platform, error) {
	logger := options.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	store, discard, err := openLocalStore(ctx, path, options.NoCreate)
	if err != nil {
		return nil, errors.Join(err, discard())
	}
	d := newDispatcher(store, options.Delivery, logger)
	transport := reach.Traced(handlerTransport{newAPI(store, d, automation.Secret{}, logger)}, options.Requests, options.Mask)
	p := newPlatform(&url.URL{Scheme: "http", Host: "in-process"}, path, automation.Secret{}, ClientOptions{Transport: transport, Mask: options.Mask})
	p.close = func() error {
		d.Close()
		return errors.Join(store.Close(), discard())
	}
	return p, nil
}

// openLocalStore opens the platform's file at path. With noCreate, it opens a
// temporary file if the file is missing, and a copy if it can't be written. Call
// discard to remove either, even after an error.
func openLocalStore(ctx context.Context, path string, noCreate bool) (store *Store, discard func() error, err error) {
	discard = func() error { return nil }
	if !noCreate {
		store, err = Open(ctx, path)
		return store, discard, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		dir, err := os.MkdirTemp("", "segue-")
		if err != nil {
			return nil, discard, err
		}
		store, err = Open(ctx, filepath.Join(dir, filepath.Base(path)))
		return store, func() error { return os.RemoveAll(dir) }, err
	}
	if err = unwritable(path); err == nil { // check first: SQLite would leave files beside it
		store, err = Open(ctx, path)
	}
	if isUnwritable(err) {
		var copyErr error
		if store, discard, copyErr = openCopy(ctx, path); copyErr == nil {
			return store, discard, nil
		}
		err = errors.Join(err, copyErr)
	}
	return store, discard, err
}

func newPlatform(base *url.URL, place string, token automation.Secret, options ClientOptions) *Platform {
	if options.Timeout <= 0 {
		options.Timeout = 30 * time.Second
	}
	mask := options.Mask
	if mask == nil {
		mask = &automation.Mask{}
	}
	mask.Add(token)
	p := &Platform{base: base, place: place, token: token, mask: mask, limit: options.Timeout, http: reach.NewClient(options.Transport, mask)}
	p.close = func() error {
		p.http.CloseIdleConnections()
		return nil
	}
	return p
}

// Close waits for deliveries that are being sent, and closes the file or the
// connections. Deliveries that are still pending are sent by the next process
// that fires or serves.
func (p *Platform) Close() error { return p.close() }

// List implements [sync.Platform].
func (p *Platform) List(ctx context.Context, project string) ([]sync.Stored, error) {
	return p.list(ctx, url.Values{"project": {project}})
}

// Find implements [sync.Platform].
func (p *Platform) Find(ctx context.Context, project, key string) ([]sync.Stored, error) {
	return p.list(ctx, url.Values{"project": {project}, "key": {key}})
}

func (p *Platform) list(ctx context.Context, query url.Values) ([]sync.Stored, error) {
	var all []sync.Stored
	err := p.pages(ctx, query, func(a storedAutomation) {
		// Check the filter again: another project's automation must never get
		// into a plan.
		if a.Marker != nil && a.Marker.Project == query.Get("project") {
			all = append(all, storedOf(a))
		}
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// pages reads all pages of a list.
func (p *Platform) pages(ctx context.Context, query url.Values, each func(storedAutomation)) error {
	query.Set("limit", fmt.Sprint(pageLimit))
	followed := map[string]bool{}
	for {
		var page automationPage
		if _, err := p.call(ctx, call{method: "GET", path: "/v1/automations", query: query, out: &page}); err != nil {
			return err
		}
		if page.Automations == nil {
			// A missing list is not an empty list: with an empty list, a plan would
			// create everything.
			return p.strange("it answered with JSON that has no automations")
		}
		for _, a := range page.Automations {
			each(a)
		}
		if page.NextCursor == "" {
			return nil
		}
		if followed[page.NextCursor] {
			return p.strange("the list of automations does not end")
		}
		followed[page.NextCursor] = true
		query.Set("cursor", page.NextCursor)
	}
}

// Survey implements [sync.Surveyor]. An automation whose marker was removed keeps
// the key in its content. Until it is taken over, its trigger would start two
// automations with that key.
func (p *Platform) Survey(ctx context.Context, project string, keys []string) (sync.Survey, error) {
	var survey sync.Survey
	own := map[string]bool{}
	err := p.pages(ctx, url.Values{}, func(a storedAutomation) {
		o := sync.Other{Stored: storedOf(a), Kind: sync.Unmarked}
		if a.Marker != nil {
			if a.Marker.Project == project {
				own[a.Marker.Key] = true
				return
			}
			o.Kind = sync.Foreign
		} else if !slices.Contains(keys, o.Automation.Key) {
			return
		}
		o.Title = fmt.Sprintf("automation %s (%s)", quoted(o.Automation.Name), o.ID)
		o.Endpoint = fmt.Sprintf("the %s %s", o.Automation.Trigger.Kind, quoted(o.Automation.Trigger.Name))
		survey.Others = append(survey.Others, o)
	})
	if err != nil {
		return sync.Survey{}, err
	}
	for i, o := range survey.Others {
		if o.Kind == sync.Unmarked && !own[o.Automation.Key] {
			survey.Others[i].Takes = o.Automation.Key
		}
	}
	return survey, nil
}

// Unmanaged implements [sync.Importer].
func (p *Platform) Unmanaged(ctx context.Context, _ string) ([]sync.Unmanaged, error) {
	var all []sync.Unmanaged
	err := p.pages(ctx, url.Values{}, func(a storedAutomation) {
		if a.Marker != nil {
			return
		}
		u := sync.Unmanaged{Stored: storedOf(a), Adoptable: true}
		u.Title = fmt.Sprintf("automation %s (%s)", quoted(u.Automation.Name), u.ID)
		if u.Automation.Action.Kind != automation.KindHTTPRequest {
			u.Against = "it is not an automation that this segue can read"
		}
		all = append(all, u)
	})
	return all, err
}

func storedOf(a storedAutomation) sync.Stored {
	s := sync.Stored{ID: a.ID, Revision: a.Revision, Changed: a.UpdatedAt}
	// If the automation can't be decoded, leave it empty: the plan then shows
	// it as different.
	if json.Unmarshal(a.Automation, &s.Automation) != nil {
		s.Automation = automation.Automation{}
	}
	if a.Marker != nil {
		s.Marker = *a.Marker
		s.Automation.Key = a.Marker.Key
	}
	return s
}

// Create implements [sync.Platform].
func (p *Platform) Create(ctx context.Context, project string, a automation.Automation) (sync.Stored, error) {
	return p.write(ctx, call{method: "POST", path: "/v1/automations"}, sync.MarkerOf(project, a), a)
}

// Update implements [sync.Platform].
func (p *Platform) Update(ctx context.Context, old sync.Stored, next sync.Marker, a automation.Automation) (sync.Stored, error) {
	return p.write(ctx, call{method: "PUT", path: "/v1/automations/" + url.PathEscape(old.ID), revision: old.Revision}, next, a)
}

func (p *Platform) write(ctx context.Context, c call, m sync.Marker, a automation.Automation) (sync.Stored, error) {
	marker, err := json.Marshal(m)
	if err != nil {
		return sync.Stored{}, fmt.Errorf("encode the marker: %w", err)
	}
	var stored storedAutomation
	c.in, c.out = automationBody{Marker: marker, Automation: &a}, &stored
	if _, err := p.call(ctx, c); err != nil {
		return sync.Stored{}, err
	}
	return storedOf(stored), nil
}

// Delete implements [sync.Platform].
func (p *Platform) Delete(ctx context.Context, old sync.Stored) error {
	_, err := p.call(ctx, call{method: "DELETE", path: "/v1/automations/" + url.PathEscape(old.ID), revision: old.Revision})
	return err
}

// Secrets implements [sync.Platform]. It sends the wanted values to the
// platform, which compares them.
func (p *Platform) Secrets(ctx context.Context, project string, want map[string]automation.Secret) (map[string]sync.SecretState, error) {
	in := comparison{Project: project, Values: map[string]string{}}
	for name, value := range want {
		p.mask.Add(value)
		in.Values[name] = value.Reveal()
	}
	var out compared
	if _, err := p.call(ctx, call{method: "POST", path: "/v1/secrets:compare", in: in, out: &out}); err != nil {
		return nil, err
	}
	states := make(map[string]sync.SecretState, len(out.Secrets))
	for name, state := range out.Secrets {
		switch state {
		case stateSame:
			states[name] = sync.Same
		case stateDifferent:
			states[name] = sync.Different
		default:
			states[name] = sync.Unchecked
		}
	}
	return states, nil
}

// PutSecret implements [sync.Platform].
func (p *Platform) PutSecret(ctx context.Context, project, name string, value automation.Secret) error {
	p.mask.Add(value)
	_, err := p.call(ctx, call{method: "PUT", path: secretPath(project, name), in: secretBody{value.Reveal()}})
	return err
}

// DeleteSecret implements [sync.Platform].
func (p *Platform) DeleteSecret(ctx context.Context, project, name string) error {
	_, err := p.call(ctx, call{method: "DELETE", path: secretPath(project, name)})
	return err
}

func secretPath(project, name string) string {
	return "/v1/secrets/" + url.PathEscape(project) + "/" + url.PathEscape(name)
}

// A call is one request to the API.
type call struct {
	method   string
	path     string // escaped
	query    url.Values
	revision string // for If-Match
	in       any    // the body, if there is one
	out      any    // for the answer, if one is expected
}

// call makes a request and returns the status if it succeeds. Every error is a
// [*sync.Error].
func (p *Platform) call(ctx context.Context, c call) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	var body io.Reader
	if c.in != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(c.in); err != nil {
			return 0, &sync.Error{Kind: sync.Refused, Message: "the request can't be encoded: " + printable(err.Error()), Err: err}
		}
		body = &b
	}
	target := strings.TrimSuffix(p.base.String(), "/") + c.path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, body)
	if err != nil {
		return 0, &sync.Error{Kind: sync.Refused, Message: "the request can't be made: " + printable(rootOf(err).Error()), Err: rootOf(err)}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "segue")
	if c.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.revision != "" {
		req.Header.Set("If-Match", `"`+c.revision+`"`)
	}
	if token := p.token.Reveal(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := p.http.Do(req)
	if err != nil {
		return 0, p.unreachable(err)
	}
	defer res.Body.Close()
	answer, err := reach.ReadAnswer(res, answerLimit)
	if err != nil {
		return 0, p.unreachable(err)
	}
	if len(answer) > answerLimit {
		return 0, p.strange(fmt.Sprintf("the answer is larger than %d MiB", answerLimit>>20))
	}
	if mismatch := reach.Mismatch(res.StatusCode, answer, p.place); mismatch != nil {
		return 0, mismatch
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return 0, p.refusal(res, answer)
	}
	if c.out == nil {
		return res.StatusCode, nil
	}
	if err := json.Unmarshal(answer, c.out); err != nil || !isJSON(res.Header) {
		return 0, p.strange("it answered " + p.start(answer))
	}
	return res.StatusCode, nil
}

// unreachable is the error of a request without an answer.
func (p *Platform) unreachable(err error) error {
	return reach.Failure(err, p.place, "is the platform running?")
}

// strange is the error of an answer that no segue platform gives.
func (p *Platform) strange(what string) error {
	return &sync.Error{Kind: sync.Refused, Message: p.place + " is probably not a segue platform; check the url: " + what}
}

// refusal is the error of an answer that is not a success.
func (p *Platform) refusal(res *http.Response, answer []byte) error {
	e := &sync.Error{Status: res.StatusCode, RetryAfter: retryAfter(res.Header, time.Now())}
	var said problem
	known := isJSON(res.Header) && json.Unmarshal(answer, &said) == nil && said.Code != "" && said.Detail != ""
	if known {
		e.Message = printable(said.Detail)
	} else {
		e.Message = p.place + " is probably not a segue platform; check the url: it answered " + p.start(answer)
	}
	switch code := res.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Kind = sync.Unauthorized
		if !known || code == http.StatusUnauthorized {
			e.Message = p.place + " does not accept the token; check the secret that the target's token names"
			if p.token.Reveal() == "" {
				e.Message = p.place + " asks for a token, and the target has none; set token"
			}
		}
	case code == http.StatusTooManyRequests || code >= 500:
		e.Kind = sync.Temporary
		if !known {
			e.Message = p.place + " failed: it answered " + p.start(answer)
		}
	case code >= 300 && code < 400:
		if location, err := res.Location(); err == nil {
			to := url.URL{Scheme: location.Scheme, Host: location.Host}
			e.Message = p.place + " redirects to " + printable(to.String()) + "; put the platform's own address into url"
		}
	case !known:
	case code == http.StatusNotFound && said.Code == "not-found":
		e.Kind = sync.NotFound
	case code == http.StatusConflict && said.Code == "exists":
		e.Kind = sync.Exists
	case code == http.StatusPreconditionFailed:
		e.Kind = sync.Conflict
	case said.Code == "leased" && said.Lease != nil:
		e.Err = &sync.HeldError{Lease: *said.Lease}
	case said.Code == "no-such-path":
		e.Err = errNoSuchPath
	}
	return e
}

// isJSON reports whether an answer has a content type of JSON or of a JSON
// problem.
func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "application/json" || media == "application/problem+json")
}

// start quotes the beginning of an answer.
func (p *Platform) start(answer []byte) string {
	if len(answer) == 0 {
		return "nothing"
	}
	return quoted(strings.TrimSpace(p.mask.Start(string(answer), 1024)))
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
