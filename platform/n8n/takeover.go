package n8n

import (
	"context"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// rebuilding returns a function that builds an automation's workflow in the place
// of another one, with a credential.
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

// replace puts a new workflow in the place of an archived one of segue's own. The
// new one fires before the archived one goes, so that one of them is there
// whenever segue is killed.
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
		// An apply that was killed has left it, or somebody else applies just now.
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

// takeOver makes a workflow a project's own that is another project's, somebody's
// copy, or without a note. R is its record, and own says whether that is written
// for it.
func (p *Platform) takeOver(ctx context.Context, w *workflow, r record, own bool, next sync.Marker, a automation.Automation) (sync.Stored, error) {
	prj, err := p.known(ctx, next.Project)
	if err != nil {
		return sync.Stored{}, err
	}
	if id := p.taken(prj, a.Key); id != "" && id != w.ID {
		return sync.Stored{}, &sync.Error{Kind: sync.Refused, Message: "it can't be taken over as " + a.Key + ", since the workflow " + id + " is that already"}
	}
	if w.Archived {
		return sync.Stored{}, &sync.Error{Kind: sync.Refused, Message: "the " + p.title(w) + " is archived; fetch it back in n8n first"}
	}
	var from *project // that has to let a credential go
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
	// Whatever credential it has had may be nobody's afterwards.
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
// credential of the project that it is for.
func (p *Platform) writeTaken(ctx context.Context, prj *project, w *workflow, wanted record, a automation.Automation) (*workflow, error) {
	prj.credentials.Lock()
	defer prj.credentials.Unlock()
	w, err := p.relocate(ctx, prj, w, record{}, secretHeaders(a.Action), p.rebuilding(w, wanted, a))
	if err != nil || prj.ledger == "" {
		return w, err
	}
	return w, p.sweep(ctx, prj, byOthers)
}
