package n8n

import (
	"context"
	"crypto/rand"
	"maps"
	"math"
	"slices"
	"strings"
	gosync "sync"
	"sync/atomic"

	"github.com/seguehq/segue/automation"
)

// A project holds the known facts about a project's credentials. They come from
// the notes of its workflows, and each write updates them.
type project struct {
	name string
	// credentials is held while a credential is created, replaced or deleted.
	credentials gosync.Mutex
	// ledger is the ID of the open ledger, "" for none, and ledgerSecrets its
	// secrets. doubtful is set if a ledger or a credential may exist whose
	// creation was not confirmed. They are guarded by credentials.
	ledger        string
	ledgerSecrets []string
	into          string // the project that takes its workflows over
	series        int    // the minimum number of names for its credentials
	doubtful      bool
	// unsettled is set after each write that may have put an end to the use of
	// a credential, and cleared when a sweep begins.
	unsettled atomic.Bool

	// The rest is guarded by Platform.mu.

	// values are the current values of secrets: given to PutSecret, or found to
	// match the stored ones.
	values map[string]automation.Secret
	// put are the secrets that were given to PutSecret.
	put map[string]bool
	// uses are the project's workflows, by ID, and reserved places.
	uses   map[string]*use
	listed bool
	// minted are the credentials that this apply has made, which are the newest.
	minted map[string]bool
	// inspection is Survey's result about the credentials, for the Secrets
	// after it.
	inspection *inspection
	// left are the names of credentials, by ID, that workflows were moved away
	// from, until they are certainly unused.
	left map[string]string
	// leftovers are the ledgers of others.
	leftovers []ledgerRecord
}

// A use is one workflow's part in the credentials.
type use struct {
	key   string      // "" for a reserved place
	auth  *authRecord // nil for none
	sound bool        // the node uses the credential in the note
	seq   int
}

// project returns the project. The caller holds Platform.mu.
func (p *Platform) project(name string) *project {
	prj := p.projects[name]
	if prj == nil {
		prj = &project{name: name, values: map[string]automation.Secret{}, put: map[string]bool{}, uses: map[string]*use{}, left: map[string]string{}, minted: map[string]bool{}}
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
	prj.listed = true // even if it has no workflows
	p.mu.Unlock()
	return prj, nil
}

// refresh adopts the results of a listing, except for workflows written since
// its start.
func (p *Platform) refresh(all []workflow, start int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := map[string]bool{}
	for _, prj := range p.projects {
		prj.leftovers = nil
	}
	for i := range all {
		w := &all[i]
		seen[w.ID] = true
		if r, ok := w.ledger(); ok && r.By != p.id {
			for _, name := range []string{r.Project, r.Into} {
				if name != "" {
					prj := p.project(name)
					prj.leftovers = append(prj.leftovers, r)
				}
			}
		}
		r, ok := w.owned()
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
		p.snapshot = &snapshot{seq: start, all: all}
	}
}

func useOf(w *workflow, r record, seq int) *use {
	return &use{key: r.Key, auth: r.Auth, sound: w.usesItsCredential(), seq: seq}
}

// note records a workflow as it is stored now.
func (p *Platform) note(w *workflow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	delete(p.gone, w.ID)
	for _, prj := range p.projects {
		delete(prj.uses, w.ID)
	}
	if r, ok := w.record(); ok && r.ID == "" && r.Nonce != "" && r.Nonce == p.nonces[w.ID] {
		w.unfinished = true
	}
	if r, ok := w.owned(); ok {
		p.project(r.Project).uses[w.ID] = useOf(w, r, p.seq)
		p.nonces[w.ID] = r.Nonce
	}
}

// forget records that a workflow is gone.
func (p *Platform) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	p.gone[id] = true
	for _, prj := range p.projects {
		delete(prj.uses, id)
	}
}

// drop records that a workflow is no longer segue's, or is gone.
func (p *Platform) drop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	for _, prj := range p.projects {
		if u := prj.uses[id]; u != nil && u.auth != nil {
			prj.unsettled.Store(true)
			prj.left[u.auth.ID] = u.auth.Name
		}
		delete(prj.uses, id)
	}
}

// A place is a use that a workflow is about to take.
type place struct {
	id   string
	auth *authRecord
}

// reserve finds a credential that has the headers with the current values, and
// prevents its deletion until leave is called. It returns nil if there is none.
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
		usable := false // check again: the comparison took time
		for _, u := range prj.uses {
			usable = usable || u.sound && u.auth != nil && u.auth.ID == id && !p.buried[id]
		}
		var place *place
		if usable {
			place = prj.keep(reservedPlace, auth)
		}
		p.mu.Unlock()
		if place != nil {
			return place
		}
	}
	return nil
}

// The prefixes of the IDs of places: for a workflow that is about to be stored,
// and for a new credential without such a workflow.
const (
	reservedPlace = "reserved "
	mintedPlace   = "minted "
)

// minted reports whether the place holds a new credential. Another workflow may
// use it if the original one can't be stored.
func (p *place) minted() bool { return strings.HasPrefix(p.id, mintedPlace) }

// keep makes a place for a credential. The caller holds Platform.mu.
func (prj *project) keep(kind string, auth *authRecord) *place {
	place := &place{id: kind + rand.Text(), auth: auth}
	prj.uses[place.id] = &use{auth: auth, sound: true, seq: math.MaxInt} // no listing removes it
	return place
}

// leaveMinted releases the places of unused new credentials.
func (p *Platform) leaveMinted(prj *project) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(prj.uses, func(id string, _ *use) bool { return strings.HasPrefix(id, mintedPlace) })
}

// bury records that a credential no longer exists, or is to be replaced.
func (p *Platform) bury(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buried[id] = true
}

// leave releases a place.
func (p *Platform) leave(prj *project, place *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(prj.uses, place.id)
}

// valid reports whether a credential holds the current values, as far as they
// are known, and is not to be replaced.
func (p *Platform) valid(prj *project, auth *authRecord) bool {
	p.mu.Lock()
	values, buried := maps.Clone(prj.values), p.buried[auth.ID]
	p.mu.Unlock()
	if buried {
		return false
	}
	for name, print := range auth.Secrets {
		if v, known := values[name]; known && !p.prints.matches(print, v) {
			return false
		}
	}
	return true
}
