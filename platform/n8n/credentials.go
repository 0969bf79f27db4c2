package n8n

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	gosync "sync"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// A project is what is known of a project's credentials: all from its
// workflows' notes, and kept up to date with what is written.
type project struct {
	name string
	// credentials is held while a credential is created, replaced or deleted.
	credentials gosync.Mutex

	// The rest is guarded by Platform.mu.

	// values are of secrets as they should be stored: given to PutSecret, or
	// found to be the stored ones.
	values map[string]automation.Secret
	// put are the secrets that were given to PutSecret.
	put map[string]bool
	// uses are the project's workflows, by ID, and places that are reserved
	// with a credential.
	uses   map[string]*use
	listed bool
}

// A use is one workflow's part in the credentials.
type use struct {
	key     string      // "" for a place that is reserved
	auth    *authRecord // nil for none
	leaving *leavingRecord
	sound   bool // the node uses what the note says
	seq     int
}

// project returns the project; Platform.mu is held.
func (p *Platform) project(name string) *project {
	prj := p.projects[name]
	if prj == nil {
		prj = &project{name: name, values: map[string]automation.Secret{}, put: map[string]bool{}, uses: map[string]*use{}}
		p.projects[name] = prj
	}
	return prj
}

// known returns the project once its workflows have been listed.
func (p *Platform) known(ctx context.Context, name string) (*project, error) {
	p.mu.Lock()
	prj := p.project(name)
	listed := prj.listed
	p.mu.Unlock()
	if listed {
		return prj, nil
	}
	if _, err := p.list(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	prj.listed = true // also if there is nothing of it
	p.mu.Unlock()
	return prj, nil
}

// refresh takes over what a listing has seen, but for what was written since
// its start.
func (p *Platform) refresh(all []workflow, start int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := map[string]bool{}
	for i := range all {
		w := &all[i]
		seen[w.ID] = true
		r, ok := w.record()
		if !ok || p.gone[w.ID] {
			continue
		}
		prj := p.project(r.Project)
		if old := prj.uses[w.ID]; old == nil || old.seq <= start {
			prj.uses[w.ID] = useOf(w, r, start)
		}
	}
	for _, prj := range p.projects {
		prj.listed = true
		maps.DeleteFunc(prj.uses, func(id string, u *use) bool { return !seen[id] && u.seq <= start })
	}
	p.snapshot = nil
	if p.seq == start {
		p.snapshot = &snapshot{seq: start, at: time.Now()}
	}
}

func useOf(w *workflow, r record, seq int) *use {
	return &use{key: r.Key, auth: r.Auth, leaving: r.Leaving, sound: w.usesItsCredential(), seq: seq}
}

// note remembers a workflow as it is stored now.
func (p *Platform) note(w *workflow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	delete(p.gone, w.ID)
	for _, prj := range p.projects {
		delete(prj.uses, w.ID)
	}
	if r, ok := w.record(); ok {
		p.project(r.Project).uses[w.ID] = useOf(w, r, p.seq)
	}
}

// forget remembers that a workflow is gone.
func (p *Platform) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	p.gone[id] = true
	for _, prj := range p.projects {
		delete(prj.uses, id)
	}
}

// A place is a use that a workflow is about to take.
type place struct {
	id   string
	auth *authRecord
}

// reserve finds a credential that has the headers with the right values, and
// keeps it from being deleted until leave is called. It returns nil if there is
// none.
func (p *Platform) reserve(prj *project, secret map[string]automation.Header) *place {
	shape := shapeOf(secret)
	p.mu.Lock()
	candidates := map[string]*authRecord{}
	for _, u := range prj.uses {
		if u.auth != nil && u.sound && u.auth.Shape == shape && !p.buried[u.auth.ID] {
			candidates[u.auth.ID] = u.auth
		}
	}
	p.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(candidates)) {
		auth := candidates[id]
		if !p.valid(prj, auth) {
			continue
		}
		p.mu.Lock()
		usable := false // still: comparing has taken its time
		for _, u := range prj.uses {
			usable = usable || u.sound && u.auth != nil && u.auth.ID == id && !p.buried[id]
		}
		place := &place{id: "reserved " + rand.Text(), auth: auth}
		if usable {
			prj.uses[place.id] = &use{auth: auth, sound: true, seq: math.MaxInt} // no listing takes it away
		}
		p.mu.Unlock()
		if usable {
			return place
		}
	}
	return nil
}

// bury remembers that a credential does not exist any more.
func (p *Platform) bury(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buried[id] = true
}

// leave gives a reserved place up.
func (p *Platform) leave(prj *project, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(prj.uses, id)
}

// valid reports whether a credential holds the values as they should be, as far
// as they are known.
func (p *Platform) valid(prj *project, auth *authRecord) bool {
	p.mu.Lock()
	values := maps.Clone(prj.values)
	p.mu.Unlock()
	for name, print := range auth.Secrets {
		if v, known := values[name]; known && !p.prints.matches(print, v) {
			return false
		}
	}
	return true
}

// shapeOf identifies a set of headers with secrets, by content.
func shapeOf(secret map[string]automation.Header) string {
	b, err := canonical(secret)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// A mint is a credential to be created.
type mint struct {
	name    string
	shape   string
	secrets map[string]string // fingerprints
	headers []any
}

func (m *mint) leaving() *leavingRecord {
	return &leavingRecord{Name: m.name, Secrets: slices.Sorted(maps.Keys(m.secrets))}
}

// newMint prepares a credential with the headers.
func (p *Platform) newMint(prj *project, secret map[string]automation.Header) (*mint, error) {
	p.mu.Lock()
	values := maps.Clone(prj.values)
	p.mu.Unlock()
	lookup := func(name string) (automation.Secret, bool) {
		if v, ok := values[name]; ok {
			return v, true
		}
		if p.lookup == nil {
			return automation.Secret{}, false
		}
		return p.lookup(name)
	}
	// Only the headers are of interest: the domain knows how they are put together.
	rendered, err := automation.Request{Method: "GET", URL: "https://example.com/", Headers: secret}.Render(nil, lookup)
	if err != nil {
		return nil, refused(err)
	}
	m := &mint{shape: shapeOf(secret), secrets: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(rendered.Header)) {
		value := latin1(rendered.Header.Get(name))
		if strings.HasPrefix(value, "=") {
			// n8n would take it for an expression. Who reads a header ignores
			// blanks in front of its value.
			value = " " + value
		}
		m.headers = append(m.headers, map[string]string{"name": name, "value": value})
	}
	salt := newSalt()
	for _, h := range secret {
		for _, name := range h.SecretNames() {
			v, _ := lookup(name)
			m.secrets[name] = p.prints.make(v, salt)
		}
	}
	// n8n takes names of up to 128 characters. The end makes it the only one.
	names := strings.Join(m.leaving().Secrets, ", ")
	m.name = fmt.Sprintf("segue %.40s: %.60s (%s)", prj.name, names, strings.ToLower(rand.Text()[:10]))
	return m, nil
}

// latin1 returns the text whose characters are the bytes of s: Node.js sends a
// header's characters as bytes, so that s arrives in UTF-8.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// createCredential creates a credential whose name is in a note already.
func (p *Platform) createCredential(ctx context.Context, m *mint) (*authRecord, error) {
	var out struct{ ID string }
	err := p.write(ctx, call{method: "POST", path: "/credentials", out: &out, in: map[string]any{
		"name": m.name, "type": credentialType, "data": map[string]any{"headers": map[string]any{"values": m.headers}}}})
	if err != nil {
		return nil, err
	}
	if out.ID == "" {
		return nil, &sync.Error{Kind: sync.Refused, Message: "n8n has answered without the credential's id; use " + Versions}
	}
	return &authRecord{ID: out.ID, Name: m.name, Shape: m.shape, Secrets: m.secrets}, nil
}

// mint creates a credential for a stored workflow, which does not use it yet.
// prj.credentials is held.
func (p *Platform) mint(ctx context.Context, prj *project, w *workflow, r record, secret map[string]automation.Header) (*workflow, *authRecord, error) {
	m, err := p.newMint(prj, secret)
	if err != nil {
		return nil, nil, err
	}
	next := w.writable(nil)
	next.ID = w.ID
	r.Leaving = m.leaving()
	next.node(noteID).setCredential(credentialRef{name: m.name})
	next.setRecord(r, p.source)
	if w, err = p.put(ctx, next); err != nil {
		return nil, nil, err
	}
	auth, err := p.createCredential(ctx, m)
	return w, auth, err
}

// relocate moves a workflow to a credential with the headers, a new one if
// there is none. rewrite makes what is written. prj.credentials is held.
func (p *Platform) relocate(ctx context.Context, prj *project, w *workflow, r record, secret map[string]automation.Header,
	rewrite func(*workflow, *authRecord) (*workflow, record, error)) (*workflow, error) {
	for {
		var auth *authRecord
		place := &place{}
		if len(secret) > 0 {
			if found := p.reserve(prj, secret); found != nil {
				place, auth = found, found.auth
			} else {
				var err error
				if w, auth, err = p.mint(ctx, prj, w, r, secret); err != nil {
					return nil, err
				}
			}
		}
		next, now, err := rewrite(w, auth)
		if err == nil {
			w, err = p.move(ctx, w, next, now, r.Auth)
		}
		p.leave(prj, place.id)
		if err != nil || w.resolved() {
			return w, err
		}
		// Somebody has deleted it by hand, or a delete was cut off after its
		// first half. It is not found again.
		p.bury(auth.ID)
		r = now
	}
}

// move writes a workflow in the place of another one. If left, the credential
// that it gives up, is used by nothing else, it is deleted.
func (p *Platform) move(ctx context.Context, w, next *workflow, r record, left *authRecord) (*workflow, error) {
	last := left != nil && (r.Auth == nil || r.Auth.ID != left.ID) && p.lastUse(r.Project, left.ID, w.ID)
	if last {
		r.Leaving = &leavingRecord{Name: left.Name, Secrets: slices.Sorted(maps.Keys(left.Secrets))}
		next.node(noteID).setCredential(left.ref())
		next.setRecord(r, p.source)
	}
	if !last && sameStored(w, next) {
		return w, nil
	}
	out, err := p.put(ctx, next)
	if err != nil || !last {
		return out, err
	}
	if err := p.deleteCredential(ctx, left.ID, w.ID); err != nil {
		return nil, err
	}
	return p.clearLeaving(ctx, out, r)
}

// sameStored reports whether writing next over w would change nothing.
func sameStored(w, next *workflow) bool {
	plain := func(w *workflow) *workflow {
		out := w.writable(nil)
		for _, n := range out.Nodes {
			if _, ok := n["credentials"]; ok {
				n["credentials"] = n.credential().id // n8n knows its name
			}
		}
		return out
	}
	return w.resolved() && same(plain(w), plain(next))
}

// clearLeaving takes out of a note that a credential is about to come or go.
func (p *Platform) clearLeaving(ctx context.Context, w *workflow, r record) (*workflow, error) {
	next := w.writable(nil)
	next.ID = w.ID
	r.Leaving = nil
	next.node(noteID).setCredential(credentialRef{})
	next.setRecord(r, p.source)
	return p.put(ctx, next)
}

// lastUse reports whether no other workflow of the project uses a credential.
// From then on, none is given it either.
func (p *Platform) lastUse(project, credential, workflow string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	prj := p.project(project)
	for id, u := range prj.uses {
		if id != workflow && u.auth != nil && u.auth.ID == credential {
			return false
		}
	}
	p.buried[credential] = true
	return true
}

// deleteCredential deletes a credential unless a workflow other than except
// refers to it, be it one that somebody else has made. Those that are being
// deleted at the same time do not count.
func (p *Platform) deleteCredential(ctx context.Context, id, except string) error {
	all, err := p.list(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	gone := maps.Clone(p.gone)
	p.mu.Unlock()
	for i := range all {
		if all[i].ID == except || gone[all[i].ID] {
			continue
		}
		for _, n := range all[i].Nodes {
			if n.credential().id == id {
				return nil
			}
		}
	}
	err = p.write(ctx, call{method: "DELETE", path: "/credentials/" + url.PathEscape(id)})
	if err != nil && sync.KindOf(err) != sync.NotFound {
		return err
	}
	return nil
}

// sweep deletes the credential that a note says was about to come or go when
// segue was cut off. prj.credentials is held.
func (p *Platform) sweep(ctx context.Context, w *workflow, r record) (*workflow, record, error) {
	if r.Leaving == nil {
		return w, r, nil
	}
	if w.node(noteID).credential().id == "" {
		// It was about to come. Storing the workflow makes n8n look for its name.
		next := w.writable(nil)
		next.ID = w.ID
		next.node(noteID).setCredential(credentialRef{name: r.Leaving.Name})
		var err error
		if w, err = p.put(ctx, next); err != nil {
			return nil, r, err
		}
	}
	if id := w.node(noteID).credential().id; id != "" && (r.Auth == nil || r.Auth.ID != id) {
		if err := p.deleteCredential(ctx, id, w.ID); err != nil {
			return nil, r, err
		}
	}
	w, err := p.clearLeaving(ctx, w, r)
	r.Leaving = nil
	return w, r, err
}

// releaseCredentials deletes the credentials that only this workflow knows of,
// before it is deleted itself.
func (p *Platform) releaseCredentials(ctx context.Context, prj *project, w *workflow, r record) error {
	prj.credentials.Lock()
	defer prj.credentials.Unlock()
	if r.Leaving != nil {
		var err error
		if w, r, err = p.sweep(ctx, w, r); err != nil {
			return err
		}
	}
	if r.Auth != nil && p.lastUse(prj.name, r.Auth.ID, w.ID) {
		if err := p.deleteCredential(ctx, r.Auth.ID, w.ID); err != nil {
			return err
		}
	}
	p.forget(w.ID) // the next one to be deleted must not count on it
	return nil
}

// Secrets implements [sync.Platform]. A secret that is in several credentials
// is the same if it is in all of them, and none of them is about to go.
func (p *Platform) Secrets(ctx context.Context, project string, want map[string]automation.Secret) (map[string]sync.SecretState, error) {
	p.mu.Lock()
	prj := p.project(project)
	s := p.snapshot
	fresh := s != nil && s.seq == p.seq && time.Since(s.at) < snapshotAge
	p.snapshot = nil
	p.mu.Unlock()
	if !fresh {
		if _, err := p.list(ctx); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	uses := slices.Collect(maps.Values(prj.uses))
	values, put := maps.Clone(prj.values), maps.Clone(prj.put)
	p.mu.Unlock()

	states := map[string]sync.SecretState{}
	see := func(name string, same bool) {
		_, wanted := want[name]
		switch old, seen := states[name]; {
		case !wanted:
			states[name] = sync.Unchecked
		case !same, seen && old == sync.Different:
			states[name] = sync.Different
		default:
			states[name] = sync.Same
		}
	}
	for name := range put {
		see(name, values[name] == want[name])
	}
	for _, u := range uses {
		if u.auth != nil {
			for name, print := range u.auth.Secrets {
				v, wanted := want[name]
				see(name, wanted && p.prints.matches(print, v))
			}
		}
		if u.leaving != nil {
			for _, name := range u.leaving.Secrets {
				see(name, false)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, state := range states {
		if state == sync.Same {
			prj.values[name] = want[name]
		}
	}
	return states, nil
}

// PutSecret implements [sync.Platform]. The workflows that use the secret are
// moved to a new credential, one after the other. If that is cut off, the next
// call takes it from there. A secret that no workflow uses yet is kept in
// memory for the first one that does.
func (p *Platform) PutSecret(ctx context.Context, project, name string, value automation.Secret) error {
	p.mu.Lock()
	prj := p.project(project)
	prj.values[name], prj.put[name] = value, true
	p.snapshot = nil
	p.mu.Unlock()
	all, err := p.list(ctx)
	if err != nil {
		return err
	}
	prj.credentials.Lock()
	defer prj.credentials.Unlock()
	for i := range all {
		w := &all[i]
		r, ok := w.record()
		if !ok || r.Project != project || !p.stale(prj, r, name) {
			continue
		}
		if err := p.rotate(ctx, prj, w, r); err != nil {
			return err
		}
	}
	return nil
}

// stale reports whether a workflow's credential does not hold the secret's
// value, or something was left half done with the secret.
func (p *Platform) stale(prj *project, r record, name string) bool {
	if r.Leaving != nil && slices.Contains(r.Leaving.Secrets, name) {
		return true
	}
	return r.Auth != nil && r.Auth.Secrets[name] != "" && !p.valid(prj, r.Auth)
}

// rotate moves a workflow to a credential with the values as they should be,
// and changes nothing else about it. prj.credentials is held.
func (p *Platform) rotate(ctx context.Context, prj *project, listed *workflow, was record) error {
	// It may have been changed since it was listed.
	w, r, err := p.current(ctx, listed.stored(was))
	if err != nil {
		if kind := sync.KindOf(err); kind == sync.NotFound {
			return nil
		}
		return err
	}
	if w, r, err = p.sweep(ctx, w, r); err != nil || r.Auth == nil {
		return err
	}
	var a automation.Automation
	w.readRequest(&a)
	secret := secretHeaders(a.Action)
	if shapeOf(secret) != r.Auth.Shape {
		return nil // somebody has edited its headers: an update puts that right
	}
	w, err = p.relocate(ctx, prj, w, r, secret, func(w *workflow, auth *authRecord) (*workflow, record, error) {
		r.Auth = auth
		next := w.writable(nil)
		next.ID = w.ID
		next.node(noteID).setCredential(credentialRef{})
		next.node(sendID).setCredential(auth.ref())
		next.setRecord(r, p.source)
		return next, r, nil
	})
	if err != nil || !w.unpublished() {
		return err
	}
	return p.setEnabled(ctx, w, true)
}

// DeleteSecret implements [sync.Platform]. A secret goes with the last workflow
// that uses it; what is left to do is what was left half done.
func (p *Platform) DeleteSecret(ctx context.Context, project, name string) error {
	p.mu.Lock()
	prj := p.project(project)
	delete(prj.values, name)
	delete(prj.put, name)
	p.snapshot = nil
	p.mu.Unlock()
	all, err := p.list(ctx)
	if err != nil {
		return err
	}
	prj.credentials.Lock()
	defer prj.credentials.Unlock()
	for i := range all {
		w := &all[i]
		r, ok := w.record()
		if !ok || r.Project != project || r.Leaving == nil || !slices.Contains(r.Leaving.Secrets, name) {
			continue
		}
		if w, r, err = p.current(ctx, w.stored(r)); err == nil {
			_, _, err = p.sweep(ctx, w, r)
		}
		if err != nil && sync.KindOf(err) != sync.NotFound {
			return err
		}
	}
	return nil
}
