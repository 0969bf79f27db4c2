package n8n

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/seguehq/segue/sync"
)

// n8n 2 refuses to delete a published workflow: it has to be unpublished first. If
// segue is killed between the two, the workflow no longer fires, and the next plan
// deletes it like any other.

// A withdrawal is the change of a workflow's revision by unpublishing it: the
// caller that deletes it only knows the revision before.
type withdrawal struct{ before, after string }

// erase deletes a workflow, and unpublishes it first if n8n requires that.
func (p *Platform) erase(ctx context.Context, w *workflow) error {
	path := "/workflows/" + url.PathEscape(w.ID)
	err := p.write(ctx, call{method: "DELETE", path: path})
	var e *sync.Error
	if !errors.As(err, &e) || e.Status != http.StatusConflict {
		return err
	}
	r, _ := w.record()
	before := w.revision(r)
	var out workflow
	if err := p.write(ctx, call{method: "POST", path: path + "/deactivate", out: &out}); err != nil {
		return err
	}
	w.Active, w.ActiveVersionID, w.VersionID, w.ActiveVersion = out.Active, out.ActiveVersionID, out.VersionID, out.ActiveVersion
	p.withdrawn.Store(w.ID, withdrawal{before, w.revision(r)})
	err = p.write(ctx, call{method: "DELETE", path: path})
	if errors.As(err, &e) && e.Status == http.StatusConflict {
		e.Kind = sync.Temporary // n8n has not finished unpublishing
	}
	return err
}

// markWithdrawn restores the old revision of workflows that were unpublished in
// order to be deleted, and are otherwise unchanged.
func (p *Platform) markWithdrawn(all []workflow) {
	for i := range all {
		if v, ok := p.withdrawn.Load(all[i].ID); ok {
			all[i].withdrawn = v.(withdrawal)
		}
	}
}
