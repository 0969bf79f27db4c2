package n8n

import (
	"context"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// rebuilding returns a function that builds an automation's workflow over another
// one, with a credential.
func (p *Platform) rebuilding(was *workflow, wanted record, a automation.Automation) func(*workflow, *authRecord) (*workflow, record, error) {
	return func(w *workflow, auth *authRecord) (*workflow, record, error) {
		wanted.Auth = auth
		out, err := build(a, wanted, p.source)
		if err != nil {
			return nil, wanted, refused(err)
		}
		out.ID = was.ID
		out.keepLayout(w)
		return out, wanted, nil
	}
}

// replace creates a new workflow for an archived one of segue's own. The new one
// fires before the archived one is deleted, so one of them exists even if segue
// is killed.
func (p *Platform) replace(ctx context.Context, archived *workflow, next sync.Marker, a automation.Automation) (sync.Stored, error) {
	prj, err := p.known(ctx, next.Project)
	if err != nil {
		return sync.Stored{}, err
	}
	all, err := p.list(ctx)
	if err != nil {
		return sync.Stored{}, err
	}
	var stored sync.Stored
	if live := liveOf(all, next.Project, a.Key); live != nil {
		// A killed apply has left it, or somebody else is applying now.
		r, _ := live.record()
		stored, err = p.Update(ctx, live.stored(r), next, a)
	} else {
		stored, err = p.createNew(ctx, prj, next, a)
	}
	if err != nil {
		return sync.Stored{}, err
	}
	if err := p.remove(ctx, archived); err != nil && sync.KindOf(err) != sync.NotFound {
		return sync.Stored{}, err
	}
	return stored, nil
}

// liveOf returns the first workflow of a project and key that is not archived,
// nil if there is none.
func liveOf(all []workflow, project, key string) *workflow {
	var first *workflow
	for i := range all {
		w := &all[i]
		r, ok := w.owned()
		if ok && !w.Archived && r.Project == project && r.Key == key && (first == nil || w.ID < first.ID) {
			first = w
		}
	}
	return first
}

// takeOver makes a workflow of another project, a copy, or a workflow without a
// note a project's own. r is its record, and own says whether the record was
// written for it.
func (p *Platform) takeOver(ctx context.Context, w *workflow, r record, own bool, next sync.Marker, a automation.Automation) (sync.Stored, error) {
	prj, err := p.known(ctx, next.Project)
	if err != nil {
		return sync.Stored{}, err
	}
	if id := p.taken(prj, a.Key); id != "" && id != w.ID {
		return sync.Stored{}, &sync.Error{Kind: sync.Refused, Message: "it can't be taken over as " + a.Key + ", because the workflow " + id + " already is"}
	}
	if w.Archived {
		return sync.Stored{}, &sync.Error{Kind: sync.Refused, Message: "the " + p.title(w) + " is archived; restore it in n8n first"}
	}
	var from *project // that gives up a credential
	if own && r.Auth != nil {
		if from, err = p.known(ctx, r.Project); err != nil {
			return sync.Stored{}, err
		}
		err := p.inFormer(from, func() error {
			from.into = next.Project
			return p.giveUp(ctx, from, r.Auth, w.ID)
		})
		if err != nil {
			return sync.Stored{}, err
		}
	}
	// Its old credential may be unused afterwards.
	prj.unsettled.Store(true)
	wanted := record{Marker: next, ID: w.ID, Nonce: r.Nonce, Protect: a.Protect}
	w, err = p.writeTaken(ctx, prj, w, wanted, a)
	if err != nil {
		return sync.Stored{}, err
	}
	if from != nil {
		err := p.inFormer(from, func() error {
			if from.ledger == "" {
				return nil
			}
			return p.sweep(ctx, from, byOthers)
		})
		if err != nil {
			return sync.Stored{}, err
		}
	}
	return p.finish(ctx, w, a)
}

// writeTaken writes an automation over a workflow that is taken over, with a
// credential of the new project.
func (p *Platform) writeTaken(ctx context.Context, prj *project, w *workflow, wanted record, a automation.Automation) (*workflow, error) {
	prj.credentials.Lock()
	defer prj.credentials.Unlock()
	w, err := p.relocate(ctx, prj, w, record{}, secretHeaders(a.Action), p.rebuilding(w, wanted, a))
	if err != nil || prj.ledger == "" {
		return w, err
	}
	return w, p.sweep(ctx, prj, byOthers)
}
