// Package rest manages automations on any platform with a REST API. Authors
// describe the platform in CUE, as a [description.Platform].
//
//	p, err := rest.New(described, "https://acme.example.com", token, rest.Options{Secrets: secrets})
//	defer p.Close()
//	plan, err := sync.MakePlan(ctx, p, desired, sync.PlanOptions{})
//
// Secrets are sent in the headers of each automation, which the platform does not
// show. A fingerprint in the automation's marker shows whether the stored value
// is the current one. It is a salted, slow hash, which makes guessing the value
// impractical. Storing a new value of a secret writes every automation that has
// it.
package rest

import (
	"cmp"
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
	"sync/atomic"
	"time"
	"unicode"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/platform/reach"
	"github.com/seguehq/segue/sync"
)

// Options configure the client.
type Options struct {
	// Timeout bounds one request with its answer; 0 means 30 seconds.
	Timeout time.Duration
	// Transport sends the requests; nil means one like [http.DefaultTransport].
	Transport http.RoundTripper
	// Mask hides secrets in the platform's answers. The platform adds the secrets
	// that it learns. Nil means a new mask.
	Mask *automation.Mask
	// Secrets are the values of the secrets that automations refer to, by name:
	// every write of an automation needs them.
	Secrets map[string]automation.Secret
	// Lag is the time that the platform's list may take to show a write; 0
	// means 5 seconds.
	Lag time.Duration
}

// A Client is a platform over HTTP. It is also a [sync.TriggerLister] if the
// description has lists of triggers.
type Client interface {
	sync.Confirmer
	sync.SecretCarrier
	sync.Surveyor
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
	// nonces are the nonces of the markers that were read, by identifier: a
	// rewritten marker keeps its nonce.
	nonces *locked[map[string]string]
	// tagForm is the form of an entity tag that the platform accepted last.
	tagForm atomic.Int32
	// listed is the last list that was read, for the survey right after it.
	listed atomic.Pointer[listing]
}

// lister is a platform that can list its triggers.
type lister struct{ *platform }

var _ sync.TriggerLister = lister{}

// New returns the platform at an http or https URL. The credential is empty for
// a platform without one. New sends nothing.
func New(d *description.Platform, baseURL string, credential automation.Secret, options Options) (Client, error) {
	u := automation.AbsoluteURL(baseURL)
	if u == nil {
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
	p.nonces = newLocked(map[string]string{})
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

// An item is an automation on the platform.
type item struct {
	sync.Stored
	record description.Record
	// revision is the platform's revision. Stored has the revision that plans
	// know.
	revision string
	// readable is true if decode could read it.
	readable bool
	// tag is the value of the answer's revision header, if there is one.
	tag string
}

// item reads an object with a marker. The second result is false if it has no
// marker, or keep returns false.
func (p *platform) item(object any, keep func(description.Record) bool) (item, bool, error) {
	record, ours := p.d.Record(object)
	if !ours || !keep(record) {
		return item{}, false, nil
	}
	it, err := p.read(object, record)
	return it, err == nil, err
}

// read reads any object. The record is zero for an object without a marker.
func (p *platform) read(object any, record description.Record) (item, error) {
	it := item{record: record}
	it.ID = p.d.ID.Text(object)
	if it.ID == "" {
		return item{}, p.strange(fmt.Sprintf("an automation has no identifier at %s", p.d.ID))
	}
	it.Marker = markerOf(record)
	content, err := p.d.Decode(object)
	if it.readable = err == nil; err != nil {
		// Leave out the unreadable parts: the plan then shows them as
		// different.
		content = p.d.DecodeParts(object)
	}
	if it.Automation = p.d.Restore(content, record); record.Key == "" {
		it.Automation.Key = content.Automation.Key
	}
	if it.revision, err = p.revision(object, it); err != nil {
		return item{}, err
	}
	it.Revision = p.rewritten.shown(it)
	if record.Nonce != "" {
		p.nonces.with(func(m map[string]string) { m[it.ID] = record.Nonce })
	}
	return it, nil
}

// revision returns a value that changes with every write. It is JSON, so that a
// number can be sent back as a number. If the platform has no revisions, or
// only returns them with single objects, it is a digest of the content that
// segue knows.
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
	p.listed.Store(nil)
	l, err := p.listing(ctx, project)
	if err != nil {
		return nil, err
	}
	own, _ := apart(l.items)
	p.listed.Store(l)
	return stored(own), nil
}

// Find implements [sync.Platform].
func (p *platform) Find(ctx context.Context, project, key string) ([]sync.Stored, error) {
	items, err := p.owned(ctx, project, func(r description.Record) bool { return r.Project == project && r.Key == key })
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
	was := existing{project: cmp.Or(old.Marker.Project, next.Project), id: old.ID, revision: p.rewritten.actual(old.ID, old.Revision)}
	made, err := p.update(ctx, was, next, a)
	if err == nil {
		p.rewritten.forget(old.ID)
		made.Revision = made.revision
	}
	return made.Stored, err
}

// An existing is an automation that is about to be changed. Its revision is the
// platform's own.
type existing struct{ project, id, revision string }

// update replaces an automation.
func (p *platform) update(ctx context.Context, was existing, next sync.Marker, a automation.Automation) (it item, err error) {
	m := marking{Marker: next, id: was.id}
	p.nonces.with(func(known map[string]string) { m.nonce = known[was.id] })
	c := call{Endpoint: p.d.Endpoints.Update, does: updates, project: was.project, id: was.id}
	err = p.conditional(ctx, c, was.revision, func(c call, into func(any) any) error {
		it, err = p.write(ctx, c, m, a, into)
		return err
	})
	return it, err
}

// Delete implements [sync.Platform].
func (p *platform) Delete(ctx context.Context, old sync.Stored) error {
	c := call{Endpoint: p.d.Endpoints.Delete, does: deletes, project: old.Marker.Project, id: old.ID}
	return p.conditional(ctx, c, p.rewritten.actual(old.ID, old.Revision), func(c call, _ func(any) any) error {
		defer p.turns.write()()
		p.made.removed(old.ID)
		_, err := p.call(ctx, c)
		return err
	})
}

// conditional makes a change depend on a revision: in the call itself if the
// platform supports that, otherwise by reading the automation first. The
// function into adds the revision to the object; nil adds nothing.
func (p *platform) conditional(ctx context.Context, c call, revision string, change func(c call, into func(any) any) error) error {
	r := p.d.Revision
	plain := revision
	var text string
	if json.Unmarshal([]byte(revision), &text) == nil {
		plain = text
	}
	switch {
	case r.Field != "" && r.Condition == "if-match":
		c.ifMatch = `"` + plain + `"`
		return change(c, nil)
	case r.Field != "" && r.Condition == "query":
		c.extra = url.Values{r.Parameter: {plain}}
		return change(c, nil)
	case r.Field != "" && r.Condition == "object" && c.does == updates:
		return change(c, func(object any) any { return r.Field.Put(object, json.RawMessage(revision)) })
	}
	now, err := p.unchanged(ctx, c, revision)
	switch {
	case err != nil:
		return err
	case r.Header == "" || r.Condition == "none":
		return change(c, nil)
	case now.tag == "":
		return p.strange("its answer has no header " + r.Header)
	case r.Condition == "query":
		c.extra = url.Values{r.Parameter: {now.tag}}
		return change(c, nil)
	}
	return p.matching(ctx, c, now, change)
}

// unchanged reads an automation before a change, and fails if its revision is
// another one.
func (p *platform) unchanged(ctx context.Context, c call, revision string) (item, error) {
	now, err := p.one(ctx, c.project, c.id)
	if err == nil && now.revision != revision {
		err = &sync.Error{Kind: sync.Conflict, Message: "somebody else has changed it"}
	}
	return now, err
}

// one reads the automation with an identifier, regardless of its owner.
func (p *platform) one(ctx context.Context, project, id string) (item, error) {
	gone := &sync.Error{Kind: sync.NotFound, Message: "it no longer exists"}
	if read := p.d.Endpoints.Read; read != nil {
		answer, err := p.patient(ctx, call{Endpoint: *read, does: reads, project: project, id: id})
		if err != nil {
			return item{}, err
		}
		object, _ := read.Item.Look(answer.body)
		record, _ := p.d.Record(object)
		it, err := p.read(object, record)
		switch {
		case err != nil:
			return item{}, err
		case it.ID != id:
			return item{}, gone
		}
		it.tag = answer.header.Get(p.d.Revision.Header)
		return it, nil
	}
	items, _, err := collect(ctx, p, p.listCall(project), p.d.Paging, p.d.ID.Text, func(object any) (item, bool, error) {
		if err := p.intact(object, project); err != nil || p.d.ID.Text(object) != id {
			return item{}, false, err
		}
		record, _ := p.d.Record(object)
		it, err := p.read(object, record)
		return it, err == nil, err
	})
	switch {
	case err != nil:
		return item{}, err
	case len(items) == 0:
		return item{}, gone
	}
	return items[0], nil
}

// A marking is the content of a marker, about the automation and the object that
// it is written for.
type marking struct {
	sync.Marker
	id, nonce string
}

// write sends an automation and returns the automation on the platform. If into
// is not nil, it changes the object before.
func (p *platform) write(ctx context.Context, c call, m marking, a automation.Automation, into func(any) any) (item, error) {
	object, err := p.encode(m, a)
	if err != nil {
		// The error may be from CUE, and quote the input.
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
		return p.created(ctx, c, m, answer)
	}
	return p.readBack(ctx, c, m, answer, c.id)
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

// readBack returns the automation on the platform after a write.
func (p *platform) readBack(ctx context.Context, c call, m marking, answer answer, id string) (item, error) {
	ours := func(r description.Record) bool { return r.Project == m.Project && r.Key == m.Key }
	if c.Answer == "object" {
		given, _ := c.Item.Look(answer.body)
		it, ok, err := p.item(given, ours)
		if err == nil && !ok {
			err = p.strange("its answer is not the object that was sent" + p.lacksMarker(given, m.Project))
		}
		return it, err
	}
	if id != "" {
		return p.one(ctx, c.project, id)
	}
	items, err := p.items(ctx, c.project, func(r description.Record) bool { return ours(r) && r.Nonce == m.nonce })
	switch {
	case err != nil:
		return item{}, err
	case len(items) == 0:
		return item{}, &sync.Error{Kind: sync.Temporary, Message: "the automation is not listed yet"}
	}
	return items[len(items)-1], nil
}

// lacksMarker describes the problem if the marker in an object is missing or
// damaged.
func (p *platform) lacksMarker(object any, project string) string {
	switch _, there := p.d.Marker.Field.Look(object); {
	case p.d.Damaged(object, project):
		return fmt.Sprintf(": the marker at %s is truncated or changed", p.d.Marker.Field)
	case !there:
		return fmt.Sprintf(": it has nothing at %s, where the marker belongs", p.d.Marker.Field)
	}
	return ""
}

// encode makes the platform's object from an automation. No message shows the
// secrets in it.
func (p *platform) encode(m marking, a automation.Automation) (object any, err error) {
	project := m.Project
	record := description.RecordOf(project, a, m.Hash)
	record.Made, record.ID, record.Nonce = m.Made, m.id, m.nonce
	if m.id != "" {
		record.Seal = m.Seal(m.id)
	}
	for _, name := range a.SecretNames() {
		value, ok := p.vault.value(project, name)
		if !ok {
			return nil, fmt.Errorf("the value of the secret %s is not available", name)
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
		return nil, fmt.Errorf("the platform's description can't represent it: %w", err)
	}
	return object, p.comesBack(object, a, record)
}

// comesBack checks that the description loses no part of an automation:
// otherwise every later plan would show it as changed.
func (p *platform) comesBack(object any, a automation.Automation, record description.Record) error {
	lost, err := p.d.Loses(object, a, record)
	if err != nil || len(lost) == 0 {
		return err
	}
	return fmt.Errorf("the platform's description can't represent it: decode does not return %s", strings.Join(lost, ", "))
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
		unnamed := func(any) string { return "" } // triggers need not have identifiers
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

// turns separates two kinds of work: reading a list page by page, and deleting.
// Each kind may run several times at once. Deleting from a page that was read
// shifts the following objects, and the reader would skip one on the next page.
type turns struct {
	mu   gosync.Mutex
	free *gosync.Cond
	// lists and writes count the operations in progress.
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
