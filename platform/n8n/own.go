package n8n

import (
	"cmp"
	"context"
	"strings"
)

// People copy workflows, and with them segue's note. So a workflow is segue's own
// only if its note was written for it: if the note has the workflow's ID, which
// n8n gives to no other. A copy is its maker's, whatever he does with it.
//
// n8n makes the ID up as it stores a workflow, so that the note can have it only
// with a second write. Until then, whoever has made the workflow knows its ID and
// nonce, and everybody else recognises it by facts that a copy in the editor does not
// share with it.

// owned returns the record of a workflow that is a project's own. Of those whose
// note has no ID, it needs [markUnfinished] to have gone over all that there are.
func (w *workflow) owned() (record, bool) {
	r, ok := w.record()
	return r, ok && (r.ID == w.ID || r.ID == "" && w.unfinished)
}

// markUnfinished finds the workflows that are segue's own though their note has
// no ID: what this Platform has written, whose nonces are given by ID, what an apply
// has left that was killed before it could note the ID, and what an older segue has
// made.
//
// Those that others have written have the endpoint that segue gave them, which the
// editor changes in a copy, and no older one is like them. What was active once and
// should have an ID by then is none of them. It may be segue's all the same: n8n can
// lose the ID after it has confirmed it, and segue be killed before it puts that
// right. But it may as well be a copy that was made through the API, and activated,
// before the original was deleted: nothing that n8n tells is different.
func markUnfinished(all []workflow, written map[string]string) {
	oldest := map[string]*workflow{}
	finished := map[string]bool{}
	for i := range all {
		w := &all[i]
		r, ok := w.record()
		key, nonce := r.Project+"\n"+r.Key, "nonce "+r.Nonce
		switch {
		case !ok:
			continue
		case r.ID != "":
			if r.ID == w.ID {
				finished[key], finished[nonce] = true, true
			}
			continue
		case r.Nonce != "" && written[w.ID] == r.Nonce:
			w.unfinished, finished[nonce] = true, true
			continue
		case !w.hasEndpointOf(r), r.Nonce != "" && (w.enabled() || w.Archived || w.TriggerCount > 0):
			continue
		case r.Nonce != "":
			key = nonce
		}
		if first := oldest[key]; first == nil || w.before(first) {
			oldest[key] = w
		}
	}
	for key, w := range oldest {
		// Beside one that has its ID since, it is a copy.
		w.unfinished = !finished[key]
	}
}

// before reports whether n8n has stored the workflow before another one. A file
// that is imported brings the time along at which its original was made; since
// when the workflow belongs to somebody, n8n says itself.
func (w *workflow) before(other *workflow) bool {
	return cmp.Or(strings.Compare(w.CreatedAt, other.CreatedAt), strings.Compare(w.sharedSince(), other.sharedSince()), strings.Compare(w.ID, other.ID)) < 0
}

// sharedSince is since when the workflow belongs to somebody.
func (w *workflow) sharedSince() string {
	if w.Shared == nil || len(*w.Shared) == 0 {
		return ""
	}
	return (*w.Shared)[0].CreatedAt
}

// hasEndpointOf reports whether the trigger is the one that segue gives to the
// automation of the record.
func (w *workflow) hasEndpointOf(r record) bool {
	n := w.node(triggerID)
	return n.text("type") == webhookType && n.text("webhookId") == webhookID(r.Project, r.Key) &&
		n.parameters()["path"] == webhookPath(r.Project, r.Key)
}

// owns reports whether a workflow that was just read, with its record, is
// a project's own.
func (p *Platform) owns(ctx context.Context, w *workflow, r record) (bool, error) {
	if r.ID != "" || r.Project == "" {
		return r.ID == w.ID && r.Project != "", nil
	}
	all, err := p.list(ctx)
	if err != nil {
		return false, err
	}
	for i := range all {
		if all[i].ID == w.ID {
			_, w.unfinished = all[i].owned()
		}
	}
	return w.unfinished, nil
}
