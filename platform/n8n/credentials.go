package n8n

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math/rand/v2"
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

// newMint prepares a credential with the headers: its content, and its record
// for the notes. It has neither an ID nor a name yet.
func (p *Platform) newMint(prj *project, secret map[string]automation.Header) (*authRecord, []any, error) {
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
	// Only the headers matter: the package automation knows how to build them.
	rendered, err := automation.Request{Method: "GET", URL: "https://example.com/", Headers: secret}.Render(nil, lookup)
	if err != nil {
		return nil, nil, refused(err)
	}
	var headers []any
	for _, name := range slices.Sorted(maps.Keys(rendered.Header)) {
		value := latin1(rendered.Header.Get(name))
		if strings.HasPrefix(value, "=") {
			// n8n would take it for an expression. Who reads a header ignores
			// spaces in front of its value.
			value = " " + value
		}
		headers = append(headers, map[string]string{"name": name, "value": value})
	}
	auth := &authRecord{Shape: shapeOf(secret), Secrets: map[string]string{}}
	salt := newSalt()
	for _, h := range secret {
		for _, name := range h.SecretNames() {
			v, _ := lookup(name)
			auth.Secrets[name] = p.prints.make(v, salt)
		}
	}
	return auth, headers, nil
}

// latin1 returns a string whose characters are the bytes of s: Node.js sends a
// header's characters as bytes, so s arrives in UTF-8.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// storeCredential creates a credential and returns its ID.
func (p *Platform) storeCredential(ctx context.Context, name string, headers []any) (string, error) {
	var out struct{ ID string }
	err := p.write(ctx, call{method: "POST", path: "/credentials", out: &out, in: map[string]any{
		"name": name, "type": credentialType, "data": map[string]any{"headers": map[string]any{"values": headers}}}})
	if err == nil && out.ID == "" {
		err = &sync.Error{Kind: sync.Refused, Message: "n8n has answered without the credential's id; use " + Versions}
	}
	return out.ID, err
}

// deleteCredential deletes a credential. It is not an error if the credential
// is gone.
func (p *Platform) deleteCredential(ctx context.Context, id string) error {
	err := p.write(ctx, call{method: "DELETE", path: "/credentials/" + url.PathEscape(id)})
	if err != nil && sync.KindOf(err) != sync.NotFound {
		return err
	}
	p.bury(id)
	return nil
}

// mintTries is the number of attempts to choose a name for a credential.
const mintTries = 5

// mint creates a credential with the headers, and reserves a place for it,
// which [Platform.leave] releases once a workflow uses the credential. The
// ledger stays open. The caller holds prj.credentials.
func (p *Platform) mint(ctx context.Context, prj *project, secret map[string]automation.Header) (*place, error) {
	auth, headers, err := p.newMint(prj, secret)
	if err != nil {
		return nil, err
	}
	names, found, err := p.lookByName(ctx, prj, auth)
	if err != nil {
		return nil, err
	}
	for range mintTries {
		free := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return slices.ContainsFunc(found, func(c credentialRef) bool { return c.name == name })
		})
		if len(free) == 0 {
			break
		}
		auth.Name = free[rand.N(len(free))]
		if auth.ID, err = p.storeCredential(ctx, auth.Name, headers); err != nil {
			prj.doubtful = true
			return nil, err
		}
		if found, err = p.look(ctx, prj, auth, []credentialRef{{name: auth.Name}}); err != nil {
			prj.doubtful = true
			return nil, err
		}
		if slices.Contains(found, credentialRef{auth.ID, auth.Name}) {
			p.mu.Lock()
			defer p.mu.Unlock()
			prj.minted[auth.ID] = true
			return prj.keep(mintedPlace, auth), nil
		}
		// Another apply has just chosen the same name, so n8n finds neither
		// credential by it; or it has deleted this one as a leftover.
		if err = p.deleteCredential(ctx, auth.ID); err != nil {
			return nil, err
		}
		found = append(found, credentialRef{name: auth.Name})
	}
	return nil, &sync.Error{Kind: sync.Temporary, Message: "no name for a credential is free, because others are also making some"}
}

// relocate moves a workflow to a credential with the headers, and makes one if
// necessary. rewrite makes the workflow that is written. The caller holds
// prj.credentials; the ledger may be open afterwards.
func (p *Platform) relocate(ctx context.Context, prj *project, w *workflow, r record, secret map[string]automation.Header,
	rewrite func(*workflow, *authRecord) (*workflow, record, error)) (*workflow, error) {
	for {
		place := &place{}
		if len(secret) > 0 {
			if place = p.reserve(prj, secret); place == nil {
				var err error
				if place, err = p.mint(ctx, prj, secret); err != nil {
					return nil, err
				}
			}
		}
		next, now, err := rewrite(w, place.auth)
		if err == nil {
			w, err = p.move(ctx, prj, w, next, r.Auth, now.Auth)
			prj.unsettled.Store(true)
		}
		if err == nil || !place.minted() {
			p.leave(prj, place)
		}
		if err != nil || w.resolved() {
			return w, err
		}
		// Somebody has deleted it by hand, or another apply as a leftover.
		p.bury(place.auth.ID)
		r = now
	}
}

// move writes a workflow over another one. It opens the ledger if no other use
// of the old credential is known.
func (p *Platform) move(ctx context.Context, prj *project, w, next *workflow, left, taken *authRecord) (*workflow, error) {
	if left != nil && (taken == nil || taken.ID != left.ID) {
		if err := p.giveUp(ctx, prj, left, w.ID); err != nil {
			return nil, err
		}
	}
	if sameStored(w, next) {
		return w, nil
	}
	return p.put(ctx, next)
}

// sameStored reports whether writing next over w would change nothing.
func sameStored(w, next *workflow) bool {
	plain := func(w *workflow) *workflow {
		out := w.writable(nil)
		for _, n := range out.Nodes {
			if _, ok := n["credentials"]; ok {
				n["credentials"] = n.credential().id // n8n adds the name
			}
		}
		return out
	}
	return w.resolved() && same(plain(w), plain(next))
}

// giveUp prepares for the end of a workflow's use of a credential. If it is the
// last known use, no other workflow gets the credential any more, and the
// ledger is opened. The caller holds prj.credentials.
func (p *Platform) giveUp(ctx context.Context, prj *project, auth *authRecord, workflow string) error {
	p.mu.Lock()
	last := true
	for id, u := range prj.uses {
		last = last && (id == workflow || u.auth == nil || u.auth.ID != auth.ID)
	}
	prj.left[auth.ID] = auth.Name
	if last {
		p.buried[auth.ID] = true
	}
	p.mu.Unlock()
	if !last || prj.ledger != "" {
		return nil
	}
	_, err := p.look(ctx, prj, auth, nil)
	return err
}
