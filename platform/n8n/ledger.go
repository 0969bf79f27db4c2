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

// A ledger is a workflow that exists only while credentials of a project are
// created or deleted. If segue is killed meanwhile, the ledger shows that to
// the next plan, and the next apply cleans up. A ledger also finds credentials,
// which the API can't list: n8n resolves the names, or the IDs, to which its
// nodes refer. Each apply has its own ledger, so two at the same time can't
// overwrite each other's.
type ledgerRecord struct {
	Project string `json:"project"`
	// Secrets are the secrets that were about to be stored or deleted.
	Secrets []string `json:"secrets"`
	// By is the ID of the Platform that made it.
	By string `json:"by"`
	// Into is the project that takes over workflows of this one, "" for none. This
	// project may never be applied again, so the other one cleans up.
	Into string `json:"into,omitempty"`
}

// ledgerID is the ID of the node that makes a workflow a ledger. Nodes that
// look for a credential have this ID with a number.
const ledgerID = "segue-ledger"

// ledger returns the record of a ledger. It returns false for any other
// workflow, including a ledger to which somebody has added nodes.
func (w *workflow) ledger() (ledgerRecord, bool) {
	var r ledgerRecord
	foreign := func(n node) bool { return !strings.HasPrefix(n.text("id"), ledgerID) }
	return r, recorded(w.node(ledgerID), &r) && r.Project != "" && !slices.ContainsFunc(w.Nodes, foreign)
}

// buildLedger makes a ledger that looks for credentials.
func buildLedger(r ledgerRecord, refs []credentialRef) *workflow {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // the record only has strings
	}
	note := func(id string, i int, text string) node {
		return newNode(id, fmt.Sprintf("Note %d", i), noteType, 1, 0, 200*i, map[string]any{"content": text, "height": 160, "width": 520})
	}
	w := &workflow{
		Name: "segue " + r.Project + ": credentials are being changed", Connections: map[string]any{}, Settings: map[string]any{},
		Nodes: []node{note(ledgerID, 0, "## Managed by segue\n\nThis exists while `segue apply` changes credentials of the project **"+r.Project+
			"**. The next apply cleans up after an interrupted one.\n\n`segue "+string(line)+"`\n")},
	}
	for i, ref := range refs {
		n := note(fmt.Sprintf("%s-%d", ledgerID, i), i+1, "")
		n.setCredential(ref)
		w.Nodes = append(w.Nodes, n)
	}
	return w
}

// look returns the existing credentials among refs, with their IDs and names.
// It does not find an ambiguous name. If the project's ledger is not open, look
// opens it with the secrets of auth. The caller holds prj.credentials.
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
			prj.ledger = "" // another apply has deleted it as a leftover
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

// secretsOf returns the names of the secrets in a credential, or if it is nil,
// in all credentials of the project's workflows: a leftover may be any of those.
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

// closeLedger deletes the project's ledger. The caller holds prj.credentials.
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

// fewestNames is the minimum number of a project's credential names.
const fewestNames = 32

// names returns the possible names of the project's credentials: few enough to
// look for all of them, and twice as many as are in use.
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
	if len(name) > 80 { // n8n allows names of up to 128 characters
		name = fmt.Sprintf("%.60s~%x", name, sha256.Sum256([]byte(name)))[:80]
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("segue %s: headers %02d", name, i)
	}
	return names
}

// named returns references to credentials by name.
func named(names []string) []credentialRef {
	refs := make([]credentialRef, len(names))
	for i, name := range names {
		refs[i].name = name
	}
	return refs
}

// lookByName looks for the possible names of the project's credentials, and for
// more. It also returns the names. If more than half of them are taken, for
// example by credentials in people's copies of workflows, it doubles their number.
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

// sweepRounds is the maximum number of sweeps: another apply can make it
// necessary to repeat one.
const sweepRounds = 8

// sweep deletes the project's unused credentials, then its ledger, and the
// ledgers for which leftover returns true. The caller holds prj.credentials.
func (p *Platform) sweep(ctx context.Context, prj *project, leftover func(ledgerRecord) bool) (err error) {
	prj.unsettled.Store(false) // later writes may be too late for this sweep
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

// sweepOnce deletes unused credentials. Another apply may just have started to
// use one: sweepOnce then gives that workflow another credential. This may end
// the use of yet another one, so the sweep has to be repeated.
func (p *Platform) sweepOnce(ctx context.Context, prj *project) (all []workflow, again bool, err error) {
	var left []credentialRef
	p.mu.Lock()
	for id, name := range prj.left {
		left = append(left, credentialRef{id, name}) // regardless of its name
	}
	p.mu.Unlock()
	_, found, err := p.lookByName(ctx, prj, nil, left...)
	if err != nil {
		return nil, false, err
	}
	// List after looking: otherwise the use of a found credential could be
	// missed.
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

// used reports whether any workflow refers to a credential, or is about to.
// Workflows being deleted do not count.
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

// mend gives the project's workflows a new credential if theirs no longer
// exists, and reports whether it has changed any. alive reports whether a
// credential is known to exist.
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
	// It may have been created since alive was computed.
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
				continue // the values for a new one are unknown
			}
			changed = true
			if err := p.rotate(ctx, prj, w, r); err != nil && sync.KindOf(err) != sync.Conflict {
				return changed, err
			}
		}
	}
	return changed, nil
}

// atHand reports whether the values of a credential are known.
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

// byOthers treats no ledger as a leftover.
func byOthers(ledgerRecord) bool { return false }

// Settle implements [sync.Settler]. During another apply, it is not certain
// whether a credential is used: of two applies, the one that ends last cleans
// up after both.
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

// endMinting forgets, at the end of an apply, the credentials that it has made:
// the next apply may have to replace them.
func (p *Platform) endMinting(prj *project) {
	p.mu.Lock()
	defer p.mu.Unlock()
	prj.minted = map[string]bool{}
}
