package n8n

import (
	"cmp"
	"context"
	"strings"
)

// People copy workflows, and with them segue's note. So a workflow is segue's own
// only if its note was written for it: if the note has the workflow's ID, which
// is unique in n8n. A copy belongs to its maker, whatever happens to it.
//
// n8n chooses the ID when it stores a workflow, so a second write must add it to the
// note. Until then, the process that made the workflow knows its ID and nonce, and
// others recognize it by facts that a copy in the editor does not share.

// owned returns the record of a workflow that is a project's own. For workflows
// whose notes have no ID, call [markUnfinished] with all workflows before.
func (w *workflow) owned() (record, bool) {
	r, ok := w.record()
	return r, ok && (r.ID == w.ID || r.ID == "" && w.unfinished)
}

// markUnfinished finds the workflows that are segue's own although their notes have
// no ID: those that this Platform has written, with their nonces by ID in written;
// those of an apply that was killed before it could write the ID; and those of an
// older segue.
//
// Workflows written by others count if they have the endpoint from segue, which the
// editor changes in a copy, and if no older workflow is like them. A workflow that
// was ever active should have an ID and does not count. It may still be segue's: n8n
// can lose the ID after it has confirmed it, and segue can be killed before it
// repairs that. But it may also be a copy that was made through the API, and
// activated, before the original was deleted: n8n's data does not differ.
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
		// Beside a workflow with its ID, it is a copy.
		w.unfinished = !finished[key]
	}
}

// before reports whether n8n has stored the workflow before another one. An
// imported file contains the creation time of its original, so before uses the
// time from which the workflow belongs to somebody, which is n8n's own.
func (w *workflow) before(other *workflow) bool {
	return cmp.Or(strings.Compare(w.CreatedAt, other.CreatedAt), strings.Compare(w.sharedSince(), other.sharedSince()), strings.Compare(w.ID, other.ID)) < 0
}

// sharedSince returns the time from which the workflow belongs to somebody.
func (w *workflow) sharedSince() string {
	if w.Shared == nil || len(*w.Shared) == 0 {
		return ""
	}
	return (*w.Shared)[0].CreatedAt
}

// hasEndpointOf reports whether the trigger has the endpoint that segue gives
// to the record's automation.
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
