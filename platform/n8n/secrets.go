package n8n

import (
	"context"
	"maps"
	"slices"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// Secrets implements [sync.Platform]. A secret in several credentials is the
// same if its value matches in all of them, and no apply was interrupted while
// it changed them.
func (p *Platform) Secrets(ctx context.Context, project string, want map[string]automation.Secret) (map[string]sync.SecretState, error) {
	p.mu.Lock()
	prj := p.project(project)
	s := p.snapshot
	fresh := s != nil && s.seq == p.seq
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
	leftovers := prj.leftovers
	p.mu.Unlock()
	byHand, err := p.inspected(ctx, prj)
	if err != nil {
		return nil, err
	}

	for _, value := range want {
		p.mask.Add(value)
	}
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
				see(name, wanted && byHand[u.auth.ID] == "" && p.prints.matches(print, v))
			}
		}
	}
	for _, r := range leftovers {
		for _, name := range r.Secrets {
			see(name, false)
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

// PutSecret implements [sync.Platform]. It moves the workflows that use the
// secret to a new credential, one after another, even if the recorded value is
// the same: somebody may have edited the old credential by hand. If that is
// interrupted, the next call continues. A secret that no workflow uses yet is
// kept in memory for the first one that does.
func (p *Platform) PutSecret(ctx context.Context, project, name string, value automation.Secret) error {
	p.mask.Add(value)
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
	var moving []*workflow
	for i := range all {
		w := &all[i]
		r, ok := w.owned()
		if ok && r.Project == project && r.Auth != nil && r.Auth.Secrets[name] != "" && !p.isNew(prj, r.Auth) {
			p.bury(r.Auth.ID)
			moving = append(moving, w)
		}
	}
	for _, w := range moving {
		r, _ := w.owned()
		if err := p.rotate(ctx, prj, w, r); err != nil {
			return err
		}
	}
	return p.sweepFor(ctx, prj, name, len(moving) > 0)
}

// isNew reports whether a credential was made in this apply with the current
// values.
func (p *Platform) isNew(prj *project, auth *authRecord) bool {
	p.mu.Lock()
	minted := prj.minted[auth.ID]
	p.mu.Unlock()
	return minted && p.valid(prj, auth)
}

// inFormer changes the credentials of another project than the applied one.
func (p *Platform) inFormer(from *project, f func() error) error {
	from.credentials.Lock()
	defer from.credentials.Unlock()
	return f()
}

// sweepFor cleans up after an apply that was interrupted while it changed the
// secret, or always if always is true. The caller holds prj.credentials.
func (p *Platform) sweepFor(ctx context.Context, prj *project, name string, always bool) error {
	leftover := func(r ledgerRecord) bool { return slices.Contains(r.Secrets, name) }
	p.mu.Lock()
	always = always || slices.ContainsFunc(prj.leftovers, leftover)
	var former []*project
	for _, r := range prj.leftovers {
		if r.Project != prj.name && leftover(r) {
			former = append(former, p.project(r.Project))
		}
	}
	p.mu.Unlock()
	for _, from := range former {
		err := p.inFormer(from, func() error {
			return p.sweep(ctx, from, func(r ledgerRecord) bool { return r.Into == prj.name && leftover(r) })
		})
		if err != nil {
			return err
		}
	}
	if !always && prj.ledger == "" {
		return nil
	}
	return p.sweep(ctx, prj, leftover)
}

// rotate moves a workflow to a credential with the current values, and changes
// nothing else. The caller holds prj.credentials.
func (p *Platform) rotate(ctx context.Context, prj *project, listed *workflow, was record) error {
	// It may have been changed since it was listed.
	w, r, err := p.current(ctx, listed.stored(was))
	if err != nil {
		if kind := sync.KindOf(err); kind == sync.NotFound {
			return nil
		}
		return err
	}
	if r.Auth == nil || p.valid(prj, r.Auth) {
		return nil // another apply has been here
	}
	var a automation.Automation
	w.readRequest(&a)
	secret := secretHeaders(a.Action)
	if shapeOf(secret) != r.Auth.Shape {
		return nil // somebody has edited its headers: an update reverts that
	}
	w, err = p.relocate(ctx, prj, w, r, secret, func(w *workflow, auth *authRecord) (*workflow, record, error) {
		r.Auth = auth
		next := w.writable(nil)
		next.ID = w.ID
		next.node(sendID).setCredential(auth.ref())
		r.ID = w.ID
		next.setRecord(r, p.source)
		return next, r, nil
	})
	if err != nil || !w.unpublished() {
		return err
	}
	return p.setEnabled(ctx, w, true)
}

// DeleteSecret implements [sync.Platform]. A secret is deleted with the last
// workflow that uses it, so only the leftovers of interrupted applies remain to
// be deleted.
func (p *Platform) DeleteSecret(ctx context.Context, project, name string) error {
	p.mu.Lock()
	prj := p.project(project)
	delete(prj.values, name)
	delete(prj.put, name)
	p.snapshot = nil
	p.mu.Unlock()
	if _, err := p.list(ctx); err != nil {
		return err
	}
	prj.credentials.Lock()
	defer prj.credentials.Unlock()
	return p.sweepFor(ctx, prj, name, false)
}
