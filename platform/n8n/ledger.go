package n8n

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/seguehq/segue/sync"
)

// A ledger is a workflow that is there only while credentials of a project come
// or go. What segue leaves behind when it is killed meanwhile, the next plan
// sees by its ledger, and the next apply puts in order. And as the API can't
// list credentials, a ledger finds them: n8n resolves the names, or the IDs, to
// which its nodes refer. Each apply has a ledger of its own, so that two at the
// same time can't write over each other's.
type ledgerRecord struct {
	Project string `json:"project"`
	// Secrets are what was about to be stored or deleted.
	Secrets []string `json:"secrets"`
	// By is the Platform that has made it.
	By string `json:"by"`
	// Into is the project that takes workflows of this one over, "" for none. Nobody
	// may apply this one any more, so that the other one puts it in order.
	Into string `json:"into,omitempty"`
}

// ledgerID is the ID of the node that makes a workflow a ledger. Those that
// look for a credential have a number at its end.
const ledgerID = "segue-ledger"

// ledger returns what a ledger records, false for any other workflow: also for
// one that somebody has put something into.
func (w *workflow) ledger() (ledgerRecord, bool) {
	var r ledgerRecord
	foreign := func(n node) bool { return !strings.HasPrefix(n.text("id"), ledgerID) }
	return r, recorded(w.node(ledgerID), &r) && r.Project != "" && !slices.ContainsFunc(w.Nodes, foreign)
}

// buildLedger makes a ledger that looks for credentials.
func buildLedger(r ledgerRecord, refs []credentialRef) *workflow {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // it is all texts
	}
	note := func(id string, i int, text string) node {
		return newNode(id, fmt.Sprintf("Note %d", i), noteType, 1, 0, 200*i, map[string]any{"content": text, "height": 160, "width": 520})
	}
	w := &workflow{
		Name: "segue " + r.Project + ": credentials are being changed", Connections: map[string]any{}, Settings: map[string]any{},
		Nodes: []node{note(ledgerID, 0, "## Managed by segue\n\nThis is here while `segue apply` changes credentials of the project **"+r.Project+
			"**. What is left of one that was cut off, the next one puts in order.\n\n`segue "+string(line)+"`\n")},
	}
	for i, ref := range refs {
		n := note(fmt.Sprintf("%s-%d", ledgerID, i), i+1, "")
		n.setCredential(ref)
		w.Nodes = append(w.Nodes, n)
	}
	return w
}

// look returns those of the credentials that exist, with their IDs and names. A
// name that several have is not found. It opens the project's ledger, which the
// secrets of auth are written to, if it is not open. prj.credentials is held.
func (p *Platform) look(ctx context.Context, prj *project, auth *authRecord, refs []credentialRef) ([]credentialRef, error) {
	r := ledgerRecord{Project: prj.name, By: p.id, Secrets: prj.ledgerSecrets, Into: prj.into}
	if prj.ledger == "" {
		r.Secrets = p.secretsOf(prj, auth)
	}
	w := buildLedger(r, refs)
	var out workflow
	var err error
	if prj.ledger != "" {
		err = p.write(ctx, call{method: "PUT", path: "/workflows/" + url.PathEscape(prj.ledger), in: w, out: &out})
		if sync.KindOf(err) == sync.NotFound && err != nil {
			prj.ledger = "" // another apply has taken it for a leftover
		}
	}
	if prj.ledger == "" {
		out = workflow{}
		err = p.write(ctx, call{method: "POST", path: "/workflows", in: w, out: &out})
		prj.doubtful = prj.doubtful || err != nil
	}
	if err != nil {
		return nil, err
	}
	if out.ID == "" {
		return nil, &sync.Error{Kind: sync.Refused, Message: "n8n has answered without the workflow's id; use " + Versions}
	}
	prj.ledger, prj.ledgerSecrets = out.ID, r.Secrets
	var found []credentialRef
	for _, n := range out.Nodes {
		if c := n.credential(); c.id != "" && !strings.HasPrefix(c.name, missing) {
			found = append(found, c)
		}
	}
	return found, nil
}

// secretsOf returns the names of the secrets in a credential, or in all that the
// project's workflows use if it is nil: what is left behind may be any of those.
func (p *Platform) secretsOf(prj *project, auth *authRecord) []string {
	names := map[string]bool{}
	add := func(a *authRecord) {
		for name := range a.Secrets {
			names[name] = true
		}
	}
	if auth != nil {
		add(auth)
		return slices.Sorted(maps.Keys(names))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range prj.uses {
		if u.auth != nil {
			add(u.auth)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// closeLedger deletes the project's ledger. prj.credentials is held.
func (p *Platform) closeLedger(ctx context.Context, prj *project) error {
	if prj.ledger == "" {
		return nil
	}
	if err := p.deleteLedger(ctx, prj.ledger); err != nil {
		return err
	}
	prj.ledger = ""
	return nil
}

func (p *Platform) deleteLedger(ctx context.Context, id string) error {
	err := p.write(ctx, call{method: "DELETE", path: "/workflows/" + url.PathEscape(id)})
	if err != nil && sync.KindOf(err) != sync.NotFound {
		return err
	}
	return nil
}

// fewestNames is how many names of credentials a project has at least.
const fewestNames = 32

// names returns the names that the project's credentials may have: so few that
// all can be looked for, and twice as many as are in use.
func (p *Platform) names(prj *project) []string {
	p.mu.Lock()
	used := map[string]bool{}
	for _, u := range prj.uses {
		if u.auth != nil {
			used[u.auth.ID] = true
		}
	}
	p.mu.Unlock()
	n := fewestNames
	for n < max(2*len(used), prj.series) {
		n *= 2
	}
	name := prj.name
	if len(name) > 80 { // n8n takes names of up to 128 characters
		name = fmt.Sprintf("%.60s~%x", name, sha256.Sum256([]byte(name)))[:80]
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("segue %s: headers %02d", name, i)
	}
	return names
}

// named returns references to the credentials that have the names.
func named(names []string) []credentialRef {
	refs := make([]credentialRef, len(names))
	for i, name := range names {
		refs[i].name = name
	}
	return refs
}

// lookByName is look for the credentials whose names the project's may have, and
// for more. It returns those names too. If more than half of them are taken, as by
// credentials that people's copies of workflows keep, there are twice as many.
func (p *Platform) lookByName(ctx context.Context, prj *project, auth *authRecord, more ...credentialRef) (names []string, found []credentialRef, _ error) {
	for {
		names = p.names(prj)
		found, err := p.look(ctx, prj, auth, append(named(names), more...))
		if err != nil || len(found) <= len(names)/2+len(more) {
			return names, found, err
		}
		prj.series = 2 * len(names)
	}
}

// sweepRounds is how often a sweep is repeated: each time, another apply has
// come in between.
const sweepRounds = 8

// sweep deletes the project's credentials that no workflow uses, then its
// ledger, and those that leftover says. prj.credentials is held.
func (p *Platform) sweep(ctx context.Context, prj *project, leftover func(ledgerRecord) bool) (err error) {
	prj.unsettled.Store(false) // what is written from now on may come too late for this sweep
	defer func() {
		if err != nil {
			prj.unsettled.Store(true)
		}
	}()
	p.mu.Lock()
	left := maps.Clone(prj.left)
	p.mu.Unlock()
	var all []workflow
	for round, again := 0, true; again; round++ {
		if round == sweepRounds {
			return &sync.Error{Kind: sync.Temporary, Message: "other applies of the project keep changing its credentials"}
		}
		if all, again, err = p.sweepOnce(ctx, prj); err != nil {
			return err
		}
	}
	for i := range all {
		if r, ok := all[i].ledger(); ok && r.Project == prj.name && all[i].ID != prj.ledger && (r.By == p.id || leftover(r)) {
			if err := p.deleteLedger(ctx, all[i].ID); err != nil {
				return err
			}
		}
	}
	if err := p.closeLedger(ctx, prj); err != nil {
		return err
	}
	prj.doubtful = false
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(prj.left, func(id, _ string) bool { _, was := left[id]; return was })
	return nil
}

// sweepOnce deletes credentials that no workflow uses. Another apply at the same
// time may just have put one of them to use: such a workflow is given another,
// which may in turn put an end to a use, so that it has to be done again.
func (p *Platform) sweepOnce(ctx context.Context, prj *project) (all []workflow, again bool, err error) {
	var left []credentialRef
	p.mu.Lock()
	for id, name := range prj.left {
		left = append(left, credentialRef{id, name}) // whatever it is called
	}
	p.mu.Unlock()
	_, found, err := p.lookByName(ctx, prj, nil, left...)
	if err != nil {
		return nil, false, err
	}
	// Who lists first could miss the use of a credential that is found.
	if all, err = p.list(ctx); err != nil {
		return nil, false, err
	}
	deleted := map[string]bool{}
	for _, c := range found {
		if deleted[c.id] || p.used(prj, all, c.id) {
			continue
		}
		if err := p.deleteCredential(ctx, c.id); err != nil {
			return nil, false, err
		}
		deleted[c.id] = true
	}
	if len(deleted) > 0 {
		if all, err = p.list(ctx); err != nil {
			return nil, false, err
		}
	}
	again, err = p.mend(ctx, prj, all, func(id string) bool {
		return !deleted[id] && slices.ContainsFunc(found, func(c credentialRef) bool { return c.id == id })
	})
	return all, again, err
}

// used reports whether a workflow refers to a credential, whoever it belongs
// to, or is about to. Those that are being deleted do not count.
func (p *Platform) used(prj *project, all []workflow, credential string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range all {
		if _, ledger := all[i].ledger(); ledger || p.gone[all[i].ID] {
			continue
		}
		if all[i].uses(credential) {
			return true
		}
	}
	for _, u := range prj.uses {
		if u.auth != nil && u.auth.ID == credential {
			return true
		}
	}
	return false
}

// mend gives those of the project's workflows another credential whose own does
// not exist any more, and reports whether it has changed any. alive tells of
// a credential that is known to exist.
func (p *Platform) mend(ctx context.Context, prj *project, all []workflow, alive func(string) bool) (changed bool, _ error) {
	refs := map[string]credentialRef{}
	users := map[string][]*workflow{}
	for i := range all {
		w := &all[i]
		r, ok := w.owned()
		id := w.node(sendID).credential().id
		if ok && r.Project == prj.name && r.Auth != nil && r.Auth.ID == id && !alive(id) {
			refs[id], users[id] = r.Auth.ref(), append(users[id], w)
		}
	}
	if len(refs) == 0 {
		return false, nil
	}
	// It may have been created since alive was found out.
	found, err := p.look(ctx, prj, nil, slices.Collect(maps.Values(refs)))
	if err != nil {
		return false, err
	}
	for _, c := range found {
		delete(users, c.id)
	}
	for _, id := range slices.Sorted(maps.Keys(users)) {
		p.bury(id)
		for _, w := range users[id] {
			r, _ := w.record()
			if !p.atHand(prj, r.Auth) {
				continue // nothing to make another one of
			}
			changed = true
			if err := p.rotate(ctx, prj, w, r); err != nil && sync.KindOf(err) != sync.Conflict {
				return changed, err
			}
		}
	}
	return changed, nil
}

// atHand reports whether the values are known that a credential holds.
func (p *Platform) atHand(prj *project, auth *authRecord) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range auth.Secrets {
		_, known := prj.values[name]
		if !known && p.lookup != nil {
			_, known = p.lookup(name)
		}
		if !known {
			return false
		}
	}
	return true
}

// byOthers says of no ledger that it is a leftover.
func byOthers(ledgerRecord) bool { return false }

// Settle implements [sync.Settler]. Whether anything uses a credential can't be
// told for certain while another apply is at work at the same time: of two, the
// one that ends last finds what both have left.
func (p *Platform) Settle(ctx context.Context, project string) error {
	p.mu.Lock()
	prj := p.project(project)
	p.mu.Unlock()
	prj.credentials.Lock()
	defer prj.credentials.Unlock()
	p.leaveMinted(prj)
	defer p.endMinting(prj)
	if prj.ledger == "" && !prj.doubtful && !prj.unsettled.Load() {
		return nil
	}
	return p.sweep(ctx, prj, byOthers)
}

// endMinting forgets which credentials this apply has made, at its end: the next
// one may be told to replace them.
func (p *Platform) endMinting(prj *project) {
	p.mu.Lock()
	defer p.mu.Unlock()
	prj.minted = map[string]bool{}
}
