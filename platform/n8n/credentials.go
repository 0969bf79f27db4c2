package n8n

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

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
