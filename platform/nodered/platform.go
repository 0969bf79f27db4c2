package nodered

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	gosync "sync"
	"time"
	"unicode"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/reach"
	"github.com/seguehq/segue/sync"
)

// Options configure the connection to Node-RED.
type Options struct {
	// Token is a bearer token of the Admin API; empty if it needs none.
	Token automation.Secret
	// Username and Password, if Username is set, replace Token: the platform
	// logs in with them.
	Username string
	Password automation.Secret
	// Timeout bounds one request with its answer; 0 means 30 seconds.
	Timeout time.Duration
	// Transport sends the requests; nil means one like [http.DefaultTransport].
	Transport http.RoundTripper
	// Mask hides secrets in the platform's answers. The platform adds the secrets
	// that it learns. Nil means a new mask.
	Mask *automation.Mask
}

// A Platform is a Node-RED server. Its methods may be called from several
// goroutines.
type Platform struct {
	client client
	// writing is held during a read, change and deploy.
	writing chan struct{}

	mu gosync.Mutex
	// listed is the result of the last List, for the Secrets of the same plan.
	listed *config
	at     time.Time
}

var (
	_ sync.Batcher   = (*Platform)(nil)
	_ sync.Surveyor  = (*Platform)(nil)
	_ sync.Addresser = (*Platform)(nil)
	_ sync.Importer  = (*Platform)(nil)
)

// listedFor is the time for which Secrets may reuse the result of List.
const listedFor = 10 * time.Second

// New returns the Node-RED whose Admin API is at an http or https URL, such as
// "http://127.0.0.1:1880". The URL ends with the httpAdminRoot of Node-RED's
// settings.js. New sends nothing.
func New(baseURL string, options Options) (*Platform, error) {
	u := automation.AbsoluteURL(baseURL)
	if u == nil {
		return nil, errors.New("the platform's url is not an absolute http or https URL, such as http://127.0.0.1:1880")
	}
	if strings.ContainsFunc(options.Token.Reveal(), unicode.IsControl) {
		return nil, errors.New("the platform's token holds a line break or another control character")
	}
	if options.Timeout <= 0 {
		options.Timeout = 30 * time.Second
	}
	if options.Mask == nil {
		options.Mask = &automation.Mask{}
	}
	options.Mask.Add(options.Token, options.Password)
	return &Platform{
		client: client{
			base:    &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")},
			options: options,
			http:    reach.NewClient(options.Transport, options.Mask),
		},
		writing: make(chan struct{}, 1),
	}, nil
}

// Close logs out if necessary, and closes the connections.
func (p *Platform) Close() error {
	p.client.logOut()
	p.client.http.CloseIdleConnections()
	return nil
}

// List implements [sync.Platform]. It makes one request, and another one to
// check the version of Node-RED if the project has nothing yet.
func (p *Platform) List(ctx context.Context, project string) ([]sync.Stored, error) {
	c, err := p.client.readConfig(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.checkSeals(project); err != nil {
		return nil, err
	}
	all := c.list(project, func(tab) bool { return true })
	if len(all) == 0 {
		// The first plan reports the same error as an apply.
		if _, err := p.client.version(ctx); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	p.listed, p.at = c, time.Now()
	p.mu.Unlock()
	return all, nil
}

// lastListed returns the result of the last List if it is recent, and otherwise
// reads the configuration again.
func (p *Platform) lastListed(ctx context.Context) (*config, error) {
	p.mu.Lock()
	c := p.listed
	if time.Since(p.at) > listedFor {
		c = nil
	}
	p.mu.Unlock()
	if c != nil {
		return c, nil
	}
	return p.client.readConfig(ctx)
}

// Find implements [sync.Platform].
func (p *Platform) Find(ctx context.Context, project, key string) ([]sync.Stored, error) {
	c, err := p.client.readConfig(ctx)
	if err != nil {
		return nil, err
	}
	return c.list(project, func(t tab) bool { return t.marker.Key == key }), nil
}

// checkSeals returns an error if somebody has edited the marker of a flow that is, or was,
// the project's own.
func (c *config) checkSeals(project string) error {
	for _, e := range c.entries {
		if !e.own {
			continue
		}
		if err := e.marker.CheckSeal(project, e.marker.ID, e.marker.Seal, c.nameOf(e.id)); err != nil {
			return err
		}
	}
	return nil
}

// list reads the automations of a project that match.
func (c *config) list(project string, match func(tab) bool) []sync.Stored {
	var all []sync.Stored
	on, shared := c.nodesOf(), c.subflow(project)
	for _, t := range c.tabs(project) {
		if match(t) {
			all = append(all, stored(t, on[t.id], shared))
		}
	}
	return all
}

// Create implements [sync.Platform].
func (p *Platform) Create(ctx context.Context, project string, a automation.Automation) (sync.Stored, error) {
	return only(p.edit(ctx, project, func(e *edit) error { return e.create(a) }))
}

// only returns the only flow that an edit has written, or the zero value.
func only(made []sync.Stored, err error) (sync.Stored, error) {
	if err != nil || len(made) != 1 {
		return sync.Stored{}, err
	}
	return made[0], nil
}

// Update implements [sync.Platform].
func (p *Platform) Update(ctx context.Context, old sync.Stored, next sync.Marker, a automation.Automation) (sync.Stored, error) {
	return only(p.edit(ctx, next.Project, func(e *edit) error { return e.update(old, next, a) }))
}

// Delete implements [sync.Platform].
func (p *Platform) Delete(ctx context.Context, old sync.Stored) error {
	_, err := p.edit(ctx, old.Marker.Project, func(e *edit) error { return e.delete(old) })
	return err
}

// Secrets implements [sync.Platform]. It compares values with fingerprints,
// because Node-RED never returns values.
func (p *Platform) Secrets(ctx context.Context, project string, want map[string]automation.Secret) (map[string]sync.SecretState, error) {
	c, err := p.lastListed(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.listed = nil
	p.mu.Unlock()
	borrowed := c.borrowed(project)
	states := map[string]sync.SecretState{}
	for name, print := range c.subflow(project).marker.Secrets {
		value, wanted := want[name]
		switch {
		case !wanted && borrowed[name]:
			// People's flows need it, so it is not deleted.
		case !wanted:
			states[name] = sync.Unchecked
		case isOf(print, value):
			states[name] = sync.Same
		default:
			states[name] = sync.Different
		}
	}
	return states, nil
}

// PutSecret implements [sync.Platform].
func (p *Platform) PutSecret(ctx context.Context, project, name string, value automation.Secret) error {
	_, err := p.edit(ctx, project, func(e *edit) error { return e.putSecret(name, value) })
	return err
}

// DeleteSecret implements [sync.Platform].
func (p *Platform) DeleteSecret(ctx context.Context, project, name string) error {
	_, err := p.edit(ctx, project, func(e *edit) error {
		e.deleteSecret(name)
		return nil
	})
	return err
}

// Batch implements [sync.Batcher].
func (p *Platform) Batch(ctx context.Context, project string, b sync.Batch) error {
	made, err := p.edit(ctx, project, func(e *edit) error {
		blame := func(key string, err error) error {
			if err == nil {
				return nil
			}
			return &sync.BatchError{Key: key, Err: err}
		}
		for name, value := range b.PutSecrets {
			if err := e.putSecret(name, value); err != nil {
				return err
			}
		}
		for _, old := range b.Deletes {
			if err := blame(old.Marker.Key, e.delete(old)); err != nil {
				return err
			}
		}
		for _, u := range b.Updates {
			if err := blame(u.New.Key, e.update(u.Old, u.Next, u.New)); err != nil {
				return err
			}
		}
		for _, a := range b.Creates {
			if err := blame(a.Key, e.create(a)); err != nil {
				return err
			}
		}
		for _, name := range b.DeleteSecrets {
			e.deleteSecret(name)
		}
		return nil
	})
	if err == nil && b.Stored != nil {
		for _, s := range made {
			b.Stored(s)
		}
	}
	return err
}

// deployTries is the maximum number of attempts while others deploy in between.
const deployTries = 10

// edit reads the configuration, changes what is the project's, and deploys it.
// If somebody else has deployed in the meantime, it repeats everything with the
// new configuration; f returns an error if the change no longer applies. It
// returns the flows that were written, as they are stored.
func (p *Platform) edit(ctx context.Context, project string, f func(*edit) error) ([]sync.Stored, error) {
	select {
	case p.writing <- struct{}{}:
		defer func() { <-p.writing }()
	case <-ctx.Done():
		return nil, &sync.Error{Kind: sync.Temporary, Message: "canceled while waiting for another change", Err: ctx.Err()}
	}
	if _, err := p.client.version(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.listed = nil
	p.mu.Unlock()
	for try := range deployTries {
		c, err := p.client.readConfig(ctx)
		if err != nil {
			return nil, err
		}
		e := &edit{config: c, project: project, subflow: c.subflow(project)}
		if err := f(e); err != nil {
			return nil, err
		}
		if c.changed || e.subflow.dirty {
			if err := c.writeSubflow(e.subflow); err != nil {
				return nil, err
			}
		}
		for _, former := range e.left {
			c.dropSubflow(former)
		}
		if err := e.checkEndpoints(); err != nil {
			return nil, err
		}
		made := e.made()
		if !c.changed {
			return made, nil
		}
		c.restartRoutes()
		err = p.client.deploy(ctx, c)
		var conflict *sync.Error
		if !errors.As(err, &conflict) || conflict.Kind != sync.Conflict {
			return made, err
		}
		select {
		case <-ctx.Done():
			return nil, &sync.Error{Kind: sync.Temporary, Message: "canceled while others deploy to " + p.client.place(), Err: ctx.Err()}
		case <-time.After(rand.N(time.Duration(try+1) * 20 * time.Millisecond)):
		}
	}
	return nil, &sync.Error{Kind: sync.Temporary, Message: "others deploy to " + p.client.place() + " all the time"}
}

// An edit is a change of a project's flows in progress.
type edit struct {
	*config
	project string
	subflow subflow
	written []tab    // to be checked at the end
	left    []string // the projects from which flows were taken over
}

func (e *edit) create(a automation.Automation) error {
	if err := e.free(a.Key, ""); err != nil {
		return err
	}
	return e.write(newID(), 0, sync.MarkerOf(e.project, a), a)
}

// free fails if the project already has a flow for the key, other than the one
// with the ID.
func (e *edit) free(key, id string) error {
	for _, t := range e.tabs(e.project) {
		if t.marker.Key == key && t.id != id {
			return &sync.Error{Kind: sync.Exists, Message: fmt.Sprintf("project %s already has a flow for the key %s", e.project, key)}
		}
	}
	return nil
}

// made returns the flows that were written.
func (e *edit) made() []sync.Stored {
	if len(e.written) == 0 {
		return nil
	}
	tabs := map[string]tab{}
	for _, t := range e.tabs(e.project) {
		tabs[t.id] = t
	}
	made, nodes, secrets := make([]sync.Stored, len(e.written)), e.nodesOf(), e.config.subflow(e.project)
	for i, w := range e.written {
		made[i] = stored(tabs[w.id], nodes[w.id], secrets)
	}
	return made
}

func (e *edit) update(old sync.Stored, next sync.Marker, a automation.Automation) error {
	t, err := e.current(old)
	if err != nil {
		return err
	}
	writes := 0
	switch {
	case t.own && t.marker.Project == e.project && t.marker.Key == a.Key:
		writes = t.marker.Writes
	case t.own:
		if t.marker.Project != e.project {
			e.left = append(e.left, t.marker.Project)
		}
		writes = t.marker.Writes
		err = e.free(a.Key, t.id)
	default:
		if err = e.free(a.Key, t.id); err == nil {
			err = e.adoptable(t)
		}
	}
	if err != nil {
		return err
	}
	return e.write(t.id, writes, next, a)
}

func (e *edit) delete(old sync.Stored) error {
	t, err := e.current(old)
	if err != nil {
		return err
	}
	if !t.own || t.marker.Project != e.project {
		return &sync.Error{Kind: sync.Refused, Message: e.nameOf(t.id) + " is not the project's own, and is not deleted"}
	}
	e.removeTab(t.id)
	return nil
}

// current returns the flow if it is still at the revision, whoever owns it.
func (e *edit) current(old sync.Stored) (entry, error) {
	t := e.get(old.ID)
	switch {
	case t == nil:
		return entry{}, &sync.Error{Kind: sync.NotFound, Message: "the flow is gone"}
	case revision(*t, e.on(t.id)) != old.Revision:
		return entry{}, &sync.Error{Kind: sync.Conflict, Message: "the flow was changed in the meantime"}
	}
	return *t, nil
}

// adoptable refuses to overwrite a flow that segue has not written. It allows a
// flow with only segue's nodes, which somebody has copied, or whose marker
// somebody has removed.
func (e *edit) adoptable(t entry) error {
	refused := func(why string) error {
		return &sync.Error{Kind: sync.Refused, Message: e.nameOf(t.id) + " can't be taken over: " + why}
	}
	if t.kind != "tab" {
		return refused("it is not a flow; give its endpoint another path")
	}
	requests := 0
	for _, n := range e.on(t.id) {
		switch {
		case isDecoration(n.kind), n.kind == endpointKind, n.kind == "http response", strings.HasPrefix(n.kind, "subflow:"):
		case n.kind == "template" && n.field == requestField:
			requests++
		case n.kind == "template" && n.field == payloadField:
		default:
			return refused("it has a node of type " + quoted([]byte(n.kind)) + ", which segue has not written; move that to another flow")
		}
	}
	if requests != 1 {
		return refused("segue has not written it; remove its endpoint, or give it another path")
	}
	return nil
}

func (e *edit) write(id string, writes int, next sync.Marker, a automation.Automation) error {
	if !pathPattern.MatchString(a.Key) || !pathPattern.MatchString(e.project) {
		return &sync.Error{Kind: sync.Refused,
			Message: fmt.Sprintf("%s/%s can't be the path of an endpoint: use letters, digits, '-', '_', '.' and '/'", printable(e.project), printable(a.Key))}
	}
	m := tabMarker{Marker: next, ID: id, Seal: next.Seal(id), Trigger: a.Trigger, Protect: a.Protect, Writes: writes + 1}
	if err := e.writeTab(id, m, a); err != nil {
		return &sync.Error{Kind: sync.Refused, Message: "the automation can't be written as a flow: " + printable(err.Error()), Err: err}
	}
	e.written = append(e.written, tab{entry: entry{id: id, off: !a.Enabled}, marker: m})
	return nil
}

// deleteSecret removes a secret, unless people's flows need it.
func (e *edit) deleteSecret(name string) {
	if !e.borrowed(e.project)[name] {
		e.subflow.deleteSecret(name)
	}
}

func (e *edit) putSecret(name string, value automation.Secret) error {
	v := value.Reveal()
	if strings.TrimSpace(v) == "" || v == "__PWRD__" {
		return &sync.Error{Kind: sync.Refused, Message: "Node-RED can't store this value of the secret " + name +
			`: it treats whitespace, and "__PWRD__", as no value`}
	}
	e.subflow.putSecret(name, value)
	return nil
}

// checkEndpoints refuses an endpoint that another flow already has.
func (e *edit) checkEndpoints() error {
	if len(e.written) == 0 {
		return nil
	}
	all := e.endpoints()
	for _, t := range e.written {
		if t.off {
			continue // it has none
		}
		if takers, _ := all.holders(e.project, t.marker.Key, t.id); len(takers) > 0 {
			return &sync.BatchError{Key: t.marker.Key, Err: &sync.Error{Kind: sync.Refused, Message: fmt.Sprintf(
				"the endpoint POST %s is taken by %s, which is not this automation's; remove that endpoint, or give it another path",
				endpointPath(e.project, t.marker.Key), e.with(takers[0], e.project, t.marker.Key))}}
		}
	}
	return nil
}
