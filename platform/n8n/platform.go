package n8n

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	gosync "sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/reach"
	"github.com/seguehq/segue/sync"
)

// DefaultParallelism is the default number of writing requests to n8n at a
// time.
//
// Measured with n8n 1.123.81 on two cores, over SQLite without a pool of
// connections, which is its default: 60 workflows with a webhook were created,
// activated, updated while active, and deleted. A request of each kind took
//
//	at a time   create   activate   update   delete   went wrong
//	1           18 ms    54 ms      86 ms    47 ms    nothing
//	2           10 ms    38 ms      65 ms    32 ms    nothing
//	4            7 ms    64 ms      81 ms    30 ms    11 creates answered with 400, 2 of which were stored;
//	                                                  2 answered with 200, and lost; 1 update answered with 400
//	8            7 ms    34 ms      57 ms    30 ms    7 creates answered with 400, 1 of which was stored;
//	                                                  3 answered with 200, and lost; 1 update answered with 400
//
// All requests share one connection and so one transaction. Rolling one back
// also rolls back others that were confirmed. One at a time is half as fast as
// eight, but correct. With PostgreSQL, where each request has its own
// connection, more is safe.
const DefaultParallelism = 1

// Options configure the use of n8n. The zero value is suitable for a command
// line.
type Options struct {
	// Parallelism is the number of writing requests to n8n at a time; 0 means
	// [DefaultParallelism]. It applies regardless of the parallelism of an
	// apply.
	Parallelism int
	// Timeout bounds one request with its answer; 0 means 30 seconds.
	Timeout time.Duration
	// Transport sends the requests; nil means one like [http.DefaultTransport].
	Transport http.RoundTripper
	// Mask hides secrets in the platform's answers. The platform adds the secrets
	// that it learns. Nil means a new mask.
	Mask *automation.Mask
	// Source is the location of the source code in each workflow's note, for
	// example "https://github.com/acme/automations". It is not part of an
	// automation: if it changes, a note changes with the next update of its
	// workflow.
	Source string
	// Secrets returns the values of stored secrets that are needed for another
	// credential. If it is nil, only the values from PutSecret, and those that
	// Secrets found to match the stored ones, are known.
	Secrets automation.SecretLookup
}

// A Platform is an n8n instance. Its methods may be called from several
// goroutines.
type Platform struct {
	id      string // unique
	base    string // without a slash at the end
	apiKey  automation.Secret
	mask    *automation.Mask
	http    *http.Client
	timeout time.Duration
	source  string
	lookup  automation.SecretLookup
	writes  chan struct{} // a slot for each writing request in progress
	prints  fingerprints
	pages   lister
	clock   atomic.Int64 // the lead of n8n's clock, as a [time.Duration]
	// withdrawn has a [withdrawal] for each workflow that was unpublished in order
	// to be deleted, by ID.
	withdrawn gosync.Map

	mu       gosync.Mutex // guards the fields below, and the projects' fields
	projects map[string]*project
	seq      int             // incremented with each change of a use
	gone     map[string]bool // workflows that were deleted here
	// nonces are the nonces of the workflows written here, by ID. n8n may lose the
	// ID in a note after it has confirmed it: see [confirmed].
	nonces   map[string]string
	buried   map[string]bool // credentials that no longer exist
	snapshot *snapshot       // the result of a List, for the Survey and the Secrets after it
	leases   map[string]heldLease
}

var (
	_ sync.Settler   = (*Platform)(nil)
	_ sync.Surveyor  = (*Platform)(nil)
	_ sync.Locker    = (*Platform)(nil)
	_ sync.Addresser = (*Platform)(nil)
	_ sync.Importer  = (*Platform)(nil)
)

// New returns the n8n at an http or https URL, such as
// "https://n8n.example.com". New sends nothing.
func New(baseURL string, apiKey automation.Secret, options Options) (*Platform, error) {
	u := automation.AbsoluteURL(baseURL)
	if u == nil {
		return nil, errors.New("n8n's url is not an absolute http or https URL, such as https://n8n.example.com")
	}
	key := apiKey.Reveal()
	if key == "" {
		return nil, errors.New("n8n asks for an API key: make one in n8n under Settings > n8n API")
	}
	if strings.ContainsFunc(key, func(r rune) bool { return unicode.IsControl(r) || r > unicode.MaxASCII }) {
		return nil, errors.New("n8n's API key holds a line break or another character that no key has")
	}
	if options.Parallelism <= 0 {
		options.Parallelism = DefaultParallelism
	}
	if options.Timeout <= 0 {
		options.Timeout = 30 * time.Second
	}
	mask := options.Mask
	if mask == nil {
		mask = &automation.Mask{}
	}
	mask.Add(apiKey)
	base := url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}
	p := &Platform{
		id: rand.Text(), base: base.String(), apiKey: apiKey, timeout: options.Timeout, source: options.Source, lookup: options.Secrets,
		writes: make(chan struct{}, options.Parallelism), projects: map[string]*project{}, gone: map[string]bool{}, buried: map[string]bool{},
		nonces: map[string]string{}, leases: map[string]heldLease{}, mask: mask, http: reach.NewClient(options.Transport, mask),
	}
	return p, nil
}

// Close closes the connections.
func (p *Platform) Close() error {
	p.http.CloseIdleConnections()
	return nil
}

// List implements [sync.Platform].
func (p *Platform) List(ctx context.Context, project string) ([]sync.Stored, error) {
	all, err := p.list(ctx)
	if err != nil {
		return nil, err
	}
	return p.storedOf(all, project, nil)
}

// Find implements [sync.Platform]. The API can't search for a marker, and
// people's changes, for example of a name or a tag, must not hide a workflow.
// So Find lists all workflows, 250 per request; simultaneous calls share a
// listing.
func (p *Platform) Find(ctx context.Context, project, key string) ([]sync.Stored, error) {
	all, err := p.list(ctx)
	if err != nil {
		return nil, err
	}
	return p.storedOf(all, project, &key)
}

// storedOf returns the project's own automations, those of one key if it is given.
func (p *Platform) storedOf(all []workflow, project string, key *string) ([]sync.Stored, error) {
	var found []sync.Stored
	for i := range all {
		w := &all[i]
		r, ok := w.owned()
		if !ok {
			continue
		}
		if err := r.CheckSeal(project, r.ID, r.Seal, "the "+p.title(w)); err != nil {
			return nil, err
		}
		if r.Project == project && (key == nil || r.Key == *key) {
			found = append(found, w.stored(r))
		}
	}
	return found, nil
}

// Create implements [sync.Platform]. It detects a taken key in the listed
// workflows, and by n8n's refusal of a second webhook with the same path.
func (p *Platform) Create(ctx context.Context, project string, a automation.Automation) (sync.Stored, error) {
	prj, err := p.known(ctx, project)
	if err != nil {
		return sync.Stored{}, err
	}
	if id := p.taken(prj, a.Key); id != "" {
		return sync.Stored{}, exists(id)
	}
	return p.createNew(ctx, prj, sync.MarkerOf(project, a), a)
}

// createNew creates a workflow, even if another one has its key.
func (p *Platform) createNew(ctx context.Context, prj *project, m sync.Marker, a automation.Automation) (sync.Stored, error) {
	r := record{Marker: m, Nonce: rand.Text(), Protect: a.Protect}
	var w *workflow
	var err error
	if secret := secretHeaders(a.Action); len(secret) > 0 {
		w, err = p.createWithCredential(ctx, prj, a, r, secret)
	} else {
		w, err = p.create(ctx, a, r)
	}
	if err != nil {
		return sync.Stored{}, err
	}
	stored, err := p.finish(ctx, w, a)
	if sync.KindOf(err) == sync.Exists || errors.Is(err, errPathTaken) {
		// Keep the first workflow, and remove this one, which can't be
		// activated.
		if removeErr := p.remove(ctx, w); removeErr != nil {
			return sync.Stored{}, removeErr
		}
	}
	return stored, err
}

func exists(id string) error {
	return &sync.Error{Kind: sync.Exists, Message: "the workflow " + id + " has this project and key"}
}

// taken returns the ID of a workflow that is known to have the key.
func (p *Platform) taken(prj *project, key string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, u := range prj.uses {
		if u.key == key {
			return id
		}
	}
	return ""
}

// createWithCredential creates a workflow that uses a credential, and also the
// credential if the workflow is the first to use it.
func (p *Platform) createWithCredential(ctx context.Context, prj *project, a automation.Automation, r record, secret map[string]automation.Header) (*workflow, error) {
	place := p.reserve(prj, secret)
	if place == nil {
		prj.credentials.Lock()
		defer prj.credentials.Unlock()
		place = p.reserve(prj, secret) // another change may have created it
	}
	if place == nil {
		var err error
		if place, err = p.mint(ctx, prj, secret); err != nil {
			return nil, err
		}
		r.Auth = place.auth
		w, err := p.create(ctx, a, r)
		if err != nil {
			return nil, err // the credential is kept for the next one
		}
		p.leave(prj, place)
		if !w.resolved() {
			return nil, p.vanished(place.auth)
		}
		if prj.doubtful || prj.unsettled.Load() {
			return w, p.sweep(ctx, prj, byOthers)
		}
		return w, p.closeLedger(ctx, prj)
	}
	defer p.leave(prj, place)
	r.Auth = place.auth
	w, err := p.create(ctx, a, r)
	if err == nil && !w.resolved() {
		err = p.vanished(place.auth)
	}
	return w, err
}

// vanished returns the error of a new workflow whose credential does not exist:
// somebody has deleted it by hand, or another apply as a leftover. The next
// update that needs it makes a new one.
func (p *Platform) vanished(auth *authRecord) error {
	p.bury(auth.ID)
	return &sync.Error{Kind: sync.Temporary, Message: "the credential " + auth.Name + " is gone from n8n"}
}

// create stores a new, inactive workflow, and writes its ID into its note: see
// [workflow.owned]. Only then may it be activated.
func (p *Platform) create(ctx context.Context, a automation.Automation, r record) (*workflow, error) {
	w, err := build(a, r, p.source)
	if err != nil {
		return nil, refused(err)
	}
	var out workflow
	if err := p.write(ctx, call{method: "POST", path: "/workflows", in: w, out: &out}); err != nil {
		return nil, err
	}
	if out.ID == "" {
		return nil, &sync.Error{Kind: sync.Refused, Message: "n8n has answered without the workflow's id; use " + Versions}
	}
	out.unfinished = true
	p.note(&out)
	r, ok := out.record()
	if !ok {
		return nil, &sync.Error{Kind: sync.Refused, Message: "n8n did not keep segue's note in the workflow " + out.ID + "; use " + Versions}
	}
	r.ID = out.ID
	next := out.writable(nil)
	next.ID = out.ID
	next.setRecord(r, p.source)
	next.node(sendID).setCredential(r.Auth.ref())
	return p.put(ctx, next)
}

// put replaces a workflow's name, nodes and connections.
func (p *Platform) put(ctx context.Context, w *workflow) (*workflow, error) {
	settings := w.Settings
	if settings == nil {
		settings = map[string]any{} // n8n merges it into the existing settings
	}
	var out workflow
	if err := p.write(ctx, call{method: "PUT", path: "/workflows/" + url.PathEscape(w.ID), in: w.writable(settings), out: &out}); err != nil {
		return nil, p.explainPath(ctx, w, err)
	}
	p.note(&out)
	return &out, confirmed(&out, w)
}

// confirmed checks that n8n answers with the workflow that was written. Over SQLite,
// n8n may answer 200 and roll the write back with another simultaneous one; the next
// write then builds on the old state. n8n reads its answers from the database after
// the write, so the next answer shows the loss.
func confirmed(answer, written *workflow) error {
	is, _ := answer.record()
	want, _ := written.record()
	if is.ID != want.ID || is.Marker != want.Marker {
		return &sync.Error{Kind: sync.Temporary,
			Message: "n8n has confirmed a write of the workflow " + answer.ID + ", but has lost it"}
	}
	return nil
}

// finish activates or deactivates a workflow whose content is up to date.
func (p *Platform) finish(ctx context.Context, w *workflow, a automation.Automation) (sync.Stored, error) {
	if err := p.setEnabled(ctx, w, a.Enabled); err != nil {
		return sync.Stored{}, err
	}
	r, ok := w.record()
	if !ok {
		return sync.Stored{}, &sync.Error{Kind: sync.Refused, Message: "n8n did not keep segue's note in the workflow " + w.ID + "; use " + Versions}
	}
	return w.stored(r), nil
}

// setEnabled activates or deactivates a workflow. n8n can activate a version
// only if it is in the history, but ignores failures to store it there. In that
// case, setEnabled makes a new version.
func (p *Platform) setEnabled(ctx context.Context, w *workflow, enabled bool) error {
	err := p.activate(ctx, w, enabled)
	if !enabled || !w.lost() && !noVersion(err) {
		return err
	}
	if err := p.renewVersion(ctx, w); err != nil {
		return err
	}
	if err = p.activate(ctx, w, enabled); noVersion(err) {
		return &sync.Error{Kind: sync.Temporary, Err: err, Message: "n8n can't activate the workflow " + w.ID +
			", because it fails to store versions in its workflow history: " + err.Error()}
	}
	return err
}

// activate makes a workflow active or inactive, unless it is.
func (p *Platform) activate(ctx context.Context, w *workflow, enabled bool) error {
	action := ""
	switch {
	case enabled && (!w.enabled() || w.unpublished()):
		action = "/activate"
	case !enabled && w.enabled():
		action = "/deactivate"
	default:
		return nil
	}
	var out workflow
	if err := p.write(ctx, call{method: "POST", path: "/workflows/" + url.PathEscape(w.ID) + action, out: &out}); err != nil {
		return p.explainPath(ctx, w, err)
	}
	if err := confirmed(&out, w); err != nil {
		return err
	}
	w.Active, w.ActiveVersionID, w.VersionID, w.ActiveVersion = out.Active, out.ActiveVersionID, out.VersionID, out.ActiveVersion
	if w.enabled() != enabled {
		return &sync.Error{Kind: sync.Temporary, Message: fmt.Sprintf("n8n reported success of %s, but the workflow has not changed", strings.TrimPrefix(action, "/"))}
	}
	return nil
}

// foreignKey matches the errors of SQLite, PostgreSQL and MySQL when a row
// refers to a missing one.
var foreignKey = regexp.MustCompile(`(?i)foreign key constraint`)

// noVersion reports whether n8n could not activate a workflow because its
// version is not in the history.
func noVersion(err error) bool {
	var e *sync.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Status == http.StatusBadRequest && foreignKey.MatchString(e.Message) || // n8n 1
		e.Status == http.StatusNotFound && e.Message == "Version not found" // n8n 2
}

// renewVersion stores a workflow again, as a new version. n8n only makes one if
// something differs, so renewVersion changes the order of the nodes, which has
// no effect.
func (p *Platform) renewVersion(ctx context.Context, w *workflow) error {
	next := w.writable(nil)
	next.ID = w.ID
	slices.Reverse(next.Nodes)
	out, err := p.put(ctx, next)
	if err == nil {
		*w = *out
	}
	return err
}

// errPathTaken means that somebody else's workflow listens at the path of an
// automation's trigger.
var errPathTaken = errors.New("the webhook path is taken")

// pathIsTaken matches the errors of n8n 1 and n8n 2 if another workflow listens
// at a webhook path.
var pathIsTaken = regexp.MustCompile(`is already taken|conflict with one of the webhooks`)

// explainPath names the workflow that already listens at a webhook path, if
// that is what the error is about.
func (p *Platform) explainPath(ctx context.Context, w *workflow, err error) error {
	var e *sync.Error
	if !errors.As(err, &e) || !pathIsTaken.MatchString(e.Message) {
		return err
	}
	mine, _ := w.record()
	path, _ := w.node(triggerID).parameters()["path"].(string)
	all, listErr := p.list(ctx)
	if listErr != nil {
		return err
	}
	for i := range all {
		other := &all[i]
		if other.ID == w.ID || !other.enabled() {
			continue
		}
		r, ours := other.owned()
		ours = ours && r.Project == mine.Project
		switch {
		case ours && r.Key == mine.Key:
			return exists(other.ID)
		case !slices.Contains(other.paths(), path):
		case ours:
			return &sync.Error{Kind: sync.Temporary, Status: e.Status, Err: err, Message: fmt.Sprintf(
				"the webhook path %s is taken by the %s, which is the automation %s with its path changed in n8n", path, p.title(other), r.Key)}
		default:
			return &sync.Error{Kind: sync.Refused, Status: e.Status, Err: fmt.Errorf("%w: %w", errPathTaken, err), Message: fmt.Sprintf(
				"the webhook path %s is taken by the %s, which is not this automation's; deactivate that workflow, or change its path", path, p.title(other))}
		}
	}
	// No workflow has it: a simultaneous write interfered.
	return &sync.Error{Kind: sync.Temporary, Status: e.Status, Message: e.Message, Err: err}
}

// current reads a stored automation's workflow, and fails if it has changed.
// The record is zero if it has none.
func (p *Platform) current(ctx context.Context, old sync.Stored) (*workflow, record, error) {
	var w workflow
	err := p.do(ctx, call{method: "GET", path: "/workflows/" + url.PathEscape(old.ID), query: url.Values{"excludePinnedData": {"true"}}, out: &w})
	if sync.KindOf(err) == sync.NotFound {
		p.drop(old.ID)
	}
	if err != nil {
		return nil, record{}, err
	}
	if v, ok := p.withdrawn.Load(w.ID); ok {
		w.withdrawn = v.(withdrawal)
	}
	r, _ := w.record()
	switch {
	case r.Project != old.Marker.Project:
		p.drop(old.ID)
		return nil, r, &sync.Error{Kind: sync.NotFound, Message: "the workflow no longer has segue's marker"}
	case w.revision(r) != old.Revision:
		return nil, r, &sync.Error{Kind: sync.Conflict, Message: "the workflow has been changed"}
	}
	return &w, r, nil
}

// Update implements [sync.Platform]. It reads and compares the workflow before
// writing, because n8n has no conditional update. It replaces an archived
// workflow with a new one, because the API can't restore it.
func (p *Platform) Update(ctx context.Context, old sync.Stored, next sync.Marker, a automation.Automation) (sync.Stored, error) {
	w, r, err := p.current(ctx, old)
	if err != nil {
		return sync.Stored{}, err
	}
	own, err := p.owns(ctx, w, r)
	switch {
	case err != nil:
		return sync.Stored{}, err
	case own && w.Archived:
		return p.replace(ctx, w, next, a)
	case !own || r.Project != next.Project:
		return p.takeOver(ctx, w, r, own, next, a)
	}
	wanted := record{Marker: next, ID: w.ID, Nonce: r.Nonce, Protect: a.Protect}
	rebuild := p.rebuilding(w, wanted, a)
	secret := secretHeaders(a.Action)
	inPlace := func(auth *authRecord) error {
		out, _, err := rebuild(w, auth)
		if err == nil && !sameStored(w, out) {
			w, err = p.put(ctx, out)
		}
		return err
	}
	if len(secret) == 0 && r.Auth == nil {
		if err := inPlace(nil); err != nil {
			return sync.Stored{}, err
		}
		return p.finish(ctx, w, a)
	}
	prj, err := p.known(ctx, r.Project)
	if err != nil {
		return sync.Stored{}, err
	}
	if len(secret) > 0 && r.Auth != nil && w.usesItsCredential() && r.Auth.Shape == shapeOf(secret) && p.valid(prj, r.Auth) {
		// The workflow keeps its credential, which is the common case, and needs no
		// lock.
		err := inPlace(r.Auth)
		// Another apply may have given the workflow another credential meanwhile.
		prj.unsettled.Store(true)
		if err != nil {
			return sync.Stored{}, err
		}
		if w.resolved() {
			return p.finish(ctx, w, a)
		}
		p.bury(r.Auth.ID)
	}
	prj.credentials.Lock()
	defer prj.credentials.Unlock()
	if w, err = p.relocate(ctx, prj, w, r, secret, rebuild); err != nil {
		return sync.Stored{}, err
	}
	if prj.ledger != "" {
		if err := p.sweep(ctx, prj, byOthers); err != nil {
			return sync.Stored{}, err
		}
	}
	return p.finish(ctx, w, a)
}

// Delete implements [sync.Platform]. It also deletes a credential that nothing
// else uses.
func (p *Platform) Delete(ctx context.Context, old sync.Stored) error {
	w, r, err := p.current(ctx, old)
	if err != nil {
		return err
	}
	if own, err := p.owns(ctx, w, r); err != nil {
		return err
	} else if !own {
		p.drop(old.ID)
		return &sync.Error{Kind: sync.NotFound, Message: "the " + p.title(w) + " is not the project's own and is not deleted"}
	}
	return p.remove(ctx, w)
}

// remove deletes a workflow of segue's own.
func (p *Platform) remove(ctx context.Context, w *workflow) error {
	r, ok := w.record()
	if !ok || r.Auth == nil {
		return p.deleteWorkflow(ctx, w)
	}
	prj, err := p.known(ctx, r.Project)
	if err != nil {
		return err
	}
	if err := p.release(ctx, prj, w, r); err != nil {
		return err
	}
	err = p.deleteWorkflow(ctx, w)
	prj.unsettled.Store(true)
	if err != nil {
		return err
	}
	prj.credentials.Lock()
	defer prj.credentials.Unlock()
	if prj.ledger == "" {
		return nil
	}
	return p.sweep(ctx, prj, byOthers)
}

// release gives up the credential of a workflow that is about to be deleted.
func (p *Platform) release(ctx context.Context, prj *project, w *workflow, r record) error {
	prj.credentials.Lock()
	defer prj.credentials.Unlock()
	if err := p.giveUp(ctx, prj, r.Auth, w.ID); err != nil {
		return err
	}
	p.forget(w.ID) // it no longer counts as a user when the next one is deleted
	return nil
}

func (p *Platform) deleteWorkflow(ctx context.Context, w *workflow) error {
	if err := p.erase(ctx, w); err != nil {
		if sync.KindOf(err) != sync.NotFound {
			p.note(w) // as far as is known, it still exists
		}
		return err
	}
	p.forget(w.ID)
	return nil
}

func refused(err error) error {
	return &sync.Error{Kind: sync.Refused, Message: err.Error(), Err: err}
}
