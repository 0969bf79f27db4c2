// Package rest keeps automations on any platform with a REST API, by a
// description of it: [description.Platform], which authors write in CUE.
//
//	p, err := rest.New(described, "https://acme.example.com", token, rest.Options{Secrets: secrets})
//	defer p.Close()
//	plan, err := sync.MakePlan(ctx, p, desired, sync.PlanOptions{})
//
// Secrets are sent within the headers of each automation, which the platform
// does not show. Whether a stored one is the one at hand is told by a fingerprint
// in the automation's marker: a salted and slow hash, of which nothing can be
// guessed. Storing another value of a secret writes every automation that has it.
package rest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	gosync "sync"
	"time"
	"unicode"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/platform/reach"
	"github.com/seguehq/segue/sync"
)

// Options say how the platform is reached.
type Options struct {
	// Timeout is for one request with its answer, 30 seconds if it is 0.
	Timeout time.Duration
	// Transport sends the requests; nil for one like [http.DefaultTransport].
	Transport http.RoundTripper
	// Mask hides secrets in the platform's answers. The platform adds those that it
	// gets to know; nil for a mask of its own.
	Mask *automation.Mask
	// Secrets are the values of the secrets that automations refer to, by name:
	// every write of an automation needs them.
	Secrets map[string]automation.Secret
	// Lag is how long the platform's list may take to show what was written, 5
	// seconds if it is 0.
	Lag time.Duration
}

// A Client is a platform that is reached over HTTP. It is a [sync.TriggerLister]
// as well if the description has lists of triggers.
type Client interface {
	sync.Confirmer
	sync.SecretCarrier
	io.Closer
}

// platform is the client of a described platform.
type platform struct {
	d          *description.Platform
	base       *url.URL
	place      string // the base URL, for messages
	credential automation.Secret
	mask       *automation.Mask
	http       *http.Client
	limit, lag time.Duration
	turns      turns
	made       made
	vault      vault
	rewritten  rewritten
}

// lister is a platform that can list its triggers.
type lister struct{ *platform }

var _ sync.TriggerLister = lister{}

// New returns the platform at an http or https URL. An empty credential is for a
// platform that asks for none. Nothing is sent yet.
func New(d *description.Platform, baseURL string, credential automation.Secret, options Options) (Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("the platform's url is not an absolute http or https URL, such as https://automations.example.com")
	}
	if strings.ContainsFunc(credential.Reveal(), unicode.IsControl) {
		return nil, errors.New("the platform's token holds a line break or another control character")
	}
	if options.Timeout <= 0 {
		options.Timeout = 30 * time.Second
	}
	if options.Lag <= 0 {
		options.Lag = 5 * time.Second
	}
	mask := options.Mask
	if mask == nil {
		mask = &automation.Mask{}
	}
	mask.Add(credential)
	for _, secret := range options.Secrets {
		mask.Add(secret)
	}
	base := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}
	p := &platform{d: d, base: base, place: base.String(), credential: credential, limit: options.Timeout, lag: options.Lag,
		mask: mask, http: reach.NewClient(options.Transport, mask)}
	p.turns.init()
	p.vault.init(options.Secrets)
	p.rewritten.init()
	p.made.init()
	if len(d.Triggers) > 0 {
		return lister{p}, nil
	}
	return p, nil
}

// Close closes the connections.
func (p *platform) Close() error {
	p.http.CloseIdleConnections()
	return nil
}

// An item is an automation as the platform holds it.
type item struct {
	sync.Stored
	record description.Record
	// revision is the platform's own: Stored has the one that a plan knows.
	revision string
	// readable says that decode has made an automation of it.
	readable bool
	// tag is the header of the answer that revisions are in, if there is one.
	tag string
}

// item reads an object that has a marker. The second result is false for one
// that has none, or one that keep does not want.
func (p *platform) item(object any, keep func(description.Record) bool) (item, bool, error) {
	record, ours := p.d.Record(object)
	if !ours || !keep(record) {
		return item{}, false, nil
	}
	it := item{record: record}
	it.ID = p.d.ID.Text(object)
	if it.ID == "" {
		return item{}, false, p.strange(fmt.Sprintf("an automation has no identifier at %s", p.d.ID))
	}
	it.Marker = sync.Marker{Project: record.Project, Key: record.Key, Hash: record.Hash}
	it.Automation.Key = record.Key
	content, err := p.d.Decode(object)
	if err == nil {
		// What can't be read is left out: the plan then shows it as different.
		it.Automation, it.readable = p.d.Restore(content, record), true
	}
	if it.revision, err = p.revision(object, it); err != nil {
		return item{}, false, err
	}
	it.Revision = p.rewritten.shown(it)
	return it, true, nil
}

// revision returns what changes with every write. It is JSON, so that a number
// can be sent as a number again. On a platform without revisions, or with one
// that only single answers have, it is a digest of what segue knows.
func (p *platform) revision(object any, it item) (string, error) {
	if field := p.d.Revision.Field; field != "" {
		value, _ := field.Look(object)
		switch value.(type) {
		case string, json.Number:
			b, err := json.Marshal(value)
			return string(b), err
		}
		return "", p.strange(fmt.Sprintf("an automation has no revision at %s", field))
	}
	known := any(it.Automation)
	if !it.readable {
		known = object
	}
	b, err := json.Marshal([]any{known, it.record})
	if err != nil {
		return "", fmt.Errorf("encode an automation: %w", err)
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:15]), nil
}

// List implements [sync.Platform].
func (p *platform) List(ctx context.Context, project string) ([]sync.Stored, error) {
	items, err := p.items(ctx, project, func(r description.Record) bool { return r.Project == project })
	return stored(items), err
}

// Find implements [sync.Platform].
func (p *platform) Find(ctx context.Context, project, key string) ([]sync.Stored, error) {
	items, err := p.items(ctx, project, func(r description.Record) bool { return r.Project == project && r.Key == key })
	return stored(items), err
}

func stored(items []item) []sync.Stored {
	var all []sync.Stored
	for _, it := range items {
		all = append(all, it.Stored)
	}
	return all
}

// Update implements [sync.Platform].
func (p *platform) Update(ctx context.Context, old sync.Stored, next sync.Marker, a automation.Automation) (sync.Stored, error) {
	made, err := p.update(ctx, old.Marker.Project, old.ID, p.rewritten.actual(old.ID, old.Revision), a, a.Hash())
	if err == nil {
		p.rewritten.forget(old.ID)
		made.Revision = made.revision
	}
	return made.Stored, err
}

// update replaces an automation whose revision is the platform's own.
func (p *platform) update(ctx context.Context, project, id, revision string, a automation.Automation, hash string) (item, error) {
	c := call{Endpoint: p.d.Endpoints.Update, does: updates, project: project, id: id}
	into, err := p.condition(ctx, &c, revision, true)
	if err != nil {
		return item{}, err
	}
	return p.write(ctx, c, a, hash, into)
}

// Delete implements [sync.Platform].
func (p *platform) Delete(ctx context.Context, old sync.Stored) error {
	c := call{Endpoint: p.d.Endpoints.Delete, does: deletes, project: old.Marker.Project, id: old.ID}
	if _, err := p.condition(ctx, &c, p.rewritten.actual(old.ID, old.Revision), false); err != nil {
		return err
	}
	defer p.turns.write()()
	p.made.removed(old.ID)
	_, err := p.call(ctx, c)
	return err
}

// condition makes a call depend on a revision: in the call itself where the
// platform can be told, else by reading the automation first. It returns what
// has to be put into the object, if anything.
func (p *platform) condition(ctx context.Context, c *call, revision string, body bool) (func(any) any, error) {
	r := p.d.Revision
	plain := revision
	var text string
	if json.Unmarshal([]byte(revision), &text) == nil {
		plain = text
	}
	switch {
	case r.Field != "" && r.Condition == "if-match":
		c.ifMatch = `"` + plain + `"`
		return nil, nil
	case r.Field != "" && r.Condition == "query":
		c.extra = url.Values{r.Parameter: {plain}}
		return nil, nil
	case r.Field != "" && r.Condition == "object" && body:
		return func(object any) any { return r.Field.Put(object, json.RawMessage(revision)) }, nil
	}
	now, err := p.one(ctx, c.project, c.id)
	if err != nil {
		return nil, err
	}
	if now.revision != revision {
		return nil, &sync.Error{Kind: sync.Conflict, Message: "somebody else has changed it"}
	}
	switch {
	case r.Header != "" && now.tag == "":
		return nil, p.strange("its answer has no header " + r.Header)
	case r.Header != "" && r.Condition == "query":
		c.extra = url.Values{r.Parameter: {now.tag}}
	case r.Header != "" && r.Condition != "none":
		c.ifMatch = now.tag
	}
	return nil, nil
}

// one reads the automation with an identifier.
func (p *platform) one(ctx context.Context, project, id string) (item, error) {
	ours := func(r description.Record) bool { return r.Project == project }
	gone := &sync.Error{Kind: sync.NotFound, Message: "it is not there any more"}
	if read := p.d.Endpoints.Read; read != nil {
		answer, err := p.patient(ctx, call{Endpoint: *read, does: reads, project: project, id: id})
		if err != nil {
			return item{}, err
		}
		object, _ := read.Item.Look(answer.body)
		it, ok, err := p.item(object, ours)
		switch {
		case err != nil:
			return item{}, err
		case !ok || it.ID != id:
			return item{}, gone
		}
		it.tag = answer.header.Get(p.d.Revision.Header)
		return it, nil
	}
	items, err := p.items(ctx, project, ours)
	if err != nil {
		return item{}, err
	}
	for _, it := range items {
		if it.ID == id {
			return it, nil
		}
	}
	return item{}, gone
}

// write sends an automation and returns what the platform then holds. The object
// is changed by into, if that is not nil.
func (p *platform) write(ctx context.Context, c call, a automation.Automation, hash string, into func(any) any) (item, error) {
	object, err := p.encode(c.project, a, hash)
	if err != nil {
		// The error may be CUE's, and quote what it was given.
		return item{}, &sync.Error{Kind: sync.Refused, Message: printable(p.mask.Hide(err.Error()))}
	}
	if into != nil {
		object = into(object)
	}
	c.in = c.Body.Put(nil, object)
	answer, err := p.call(ctx, c)
	if err != nil {
		return item{}, err
	}
	if c.does == creates {
		return p.created(ctx, c, a, answer)
	}
	return p.readBack(ctx, c, a, answer, c.id)
}

// saysID returns the identifier in the answer to a write, "" if there is none.
func (p *platform) saysID(c call, answer answer) string {
	switch {
	case c.Answer == "object":
		object, _ := c.Item.Look(answer.body)
		return p.d.ID.Text(object)
	case c.Answer == "id" && c.Item != "":
		return c.Item.Text(answer.body)
	case c.Answer == "id":
		return p.d.ID.Text(answer.body)
	}
	return ""
}

// readBack returns what the platform holds after a write.
func (p *platform) readBack(ctx context.Context, c call, a automation.Automation, answer answer, id string) (item, error) {
	ours := func(r description.Record) bool { return r.Project == c.project && r.Key == a.Key }
	if c.Answer == "object" {
		given, _ := c.Item.Look(answer.body)
		it, ok, err := p.item(given, ours)
		if err == nil && !ok {
			err = p.strange("its answer is not the object that was sent" + p.lacksMarker(given, c.project))
		}
		return it, err
	}
	if id != "" {
		return p.one(ctx, c.project, id)
	}
	items, err := p.items(ctx, c.project, ours)
	switch {
	case err != nil:
		return item{}, err
	case len(items) == 0:
		return item{}, &sync.Error{Kind: sync.Temporary, Message: "what was sent is not listed yet"}
	}
	return items[len(items)-1], nil
}

// lacksMarker says what has become of the marker in an object, if that is it.
func (p *platform) lacksMarker(object any, project string) string {
	switch _, there := p.d.Marker.Field.Look(object); {
	case p.d.Damaged(object, project):
		return fmt.Sprintf(": the marker at %s is cut off or changed", p.d.Marker.Field)
	case !there:
		return fmt.Sprintf(": it has nothing at %s, where the marker is to be", p.d.Marker.Field)
	}
	return ""
}

// encode makes the platform's object of an automation. No message shows the
// secrets in it.
func (p *platform) encode(project string, a automation.Automation, hash string) (object any, err error) {
	record := description.RecordOf(project, a, hash)
	for _, name := range a.SecretNames() {
		value, ok := p.vault.value(project, name)
		if !ok {
			return nil, fmt.Errorf("the value of the secret %s is not at hand", name)
		}
		fingerprint, err := p.vault.fingerprint(project, name, value)
		if err != nil {
			return nil, err
		}
		if record.Secrets == nil {
			record.Secrets = map[string]string{}
		}
		record.Secrets[name] = fingerprint
		p.mask.Add(value)
	}
	lookup := func(name string) (automation.Secret, bool) { return p.vault.value(project, name) }
	for _, h := range a.Action.Headers {
		if text, err := description.HeaderText(h, lookup); err == nil && len(h.SecretNames()) > 0 {
			_, bare, _ := strings.Cut(text, " ")
			p.mask.Add(automation.NewSecret(text), automation.NewSecret(bare))
		}
	}
	marker, err := p.d.MarkerText(record)
	if err != nil {
		return nil, err
	}
	object, err = p.d.Encode(description.Input{Automation: a, Marker: marker, Project: project, Secret: lookup})
	if err != nil {
		return nil, fmt.Errorf("the platform's description can't hold it: %w", err)
	}
	return object, p.comesBack(object, a, record)
}

// comesBack checks that the description loses nothing of an automation: the next
// plan would find it changed, over and over.
func (p *platform) comesBack(object any, a automation.Automation, record description.Record) error {
	lost, err := p.d.Loses(object, a, record)
	if err != nil || len(lost) == 0 {
		return err
	}
	return fmt.Errorf("the platform's description can't hold it: decode does not give back %s", strings.Join(lost, ", "))
}

// Triggers implements [sync.TriggerLister].
func (p lister) Triggers(ctx context.Context) ([]automation.Trigger, error) {
	var all []automation.Trigger
	seen := map[automation.Trigger]bool{}
	for _, list := range p.d.Triggers {
		paging := p.d.Paging
		if !list.Paged {
			paging = description.Paging{}
		}
		unnamed := func(any) string { return "" } // they need not have identifiers
		triggers, _, err := collect(ctx, p.platform, call{Endpoint: list.Endpoint, does: lists}, paging, unnamed, func(object any) (automation.Trigger, bool, error) {
			t, err := p.d.Trigger(list, object)
			if err != nil {
				return t, false, &sync.Error{Kind: sync.Refused, Message: "a trigger can't be read: " + printable(err.Error()), Err: err}
			}
			return t, true, nil
		})
		if err != nil {
			return nil, err
		}
		for _, t := range triggers {
			if !seen[t] {
				seen[t] = true
				all = append(all, t)
			}
		}
	}
	return all, nil
}

// turns keeps two sorts of work apart that may each be done several times at
// once: reading a list page by page, and deleting. What is deleted from a page
// that was read moves what follows, and an automation on the next page would be
// passed over.
type turns struct {
	mu   gosync.Mutex
	free *gosync.Cond
	// lists and writes are how many of each are under way.
	lists, writes int
}

func (t *turns) init() { t.free = gosync.NewCond(&t.mu) }

func (t *turns) list() (done func()) { return t.begin(&t.lists, &t.writes) }

func (t *turns) write() (done func()) { return t.begin(&t.writes, &t.lists) }

func (t *turns) begin(own, other *int) (done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for *other > 0 {
		t.free.Wait()
	}
	*own++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if *own--; *own == 0 {
			t.free.Broadcast()
		}
	}
}
