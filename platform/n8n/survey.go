package n8n

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/sync"
)

// Survey implements [sync.Surveyor]. It lists people's copies of the project's
// workflows, the workflows of other projects, and workflows with a trigger at
// the webhook path of one of the keys.
func (p *Platform) Survey(ctx context.Context, project string, keys []string) (sync.Survey, error) {
	product, warnings, err := p.product(ctx)
	if err != nil {
		return sync.Survey{}, err
	}
	p.mu.Lock()
	s := p.snapshot
	fresh := s != nil && s.seq == p.seq
	p.mu.Unlock()
	var all []workflow
	if fresh {
		all = s.all
	} else if all, err = p.list(ctx); err != nil {
		return sync.Survey{}, err
	}
	byHand, err := p.changedByHand(ctx, project)
	if err != nil {
		return sync.Survey{}, err
	}
	return sync.Survey{Product: product, Warnings: append(warnings, byHand...), Others: p.others(all, project, keys)}, nil
}

// Address implements [sync.Addresser]. n8n may be configured to show another host
// for its webhooks; they still answer at its own address.
func (p *Platform) Address(project, key string) string {
	return p.base + "/webhook/" + webhookPath(project, key)
}

// others returns the workflows that are not the project's own but concern it.
func (p *Platform) others(all []workflow, project string, keys []string) []sync.Other {
	atPath := map[string]string{}
	for _, key := range keys {
		atPath[webhookPath(project, key)] = key
	}
	has := map[string]bool{} // the keys with a workflow
	for i := range all {
		if r, own := all[i].owned(); own && r.Project == project {
			has[r.Key] = true
		}
	}
	var others []sync.Other
	for i := range all {
		w := &all[i]
		r, marked := w.record()
		_, own := w.owned()
		if own && r.Project == project || w.Shared != nil && len(*w.Shared) == 0 {
			continue
		}
		o := sync.Other{Title: p.title(w)}
		switch {
		case !marked:
			o.Kind = sync.Unmarked
		case own:
			o.Kind = sync.Foreign
		default:
			o.Kind = sync.Copy
		}
		for _, path := range w.paths() {
			key, wanted := atPath[path]
			// An inactive workflow is harmless. But one without a note, at the
			// path of an automation without a workflow, was probably that
			// automation's before somebody removed the note.
			if wanted && (w.enabled() || !marked && !w.Archived && !has[key]) {
				o.Takes, o.Idle, o.Endpoint = key, !w.enabled(), "POST /webhook/"+path
				break
			}
		}
		concerns := o.Takes != "" || own || marked && r.Project == project && !w.Archived
		if !concerns {
			continue
		}
		o.Stored = w.stored(r)
		if !marked {
			o.Stored.Automation, _ = w.automation(record{Marker: sync.Marker{Project: project, Key: o.Takes}})
		}
		others = append(others, o)
	}
	return others
}

// title returns the name of a workflow for people.
func (p *Platform) title(w *workflow) string {
	return fmt.Sprintf("workflow %q (%s)", p.printable(w.Name), p.printable(w.ID))
}

// paths returns the paths at which the workflow accepts a POST, below n8n's
// /webhook/. It uses the published version if there is one.
func (w *workflow) paths() []string {
	nodes := w.Nodes
	if w.enabled() && len(w.ActiveVersion.Nodes) > 0 {
		nodes = w.ActiveVersion.Nodes
	}
	var paths []string
	for _, n := range nodes {
		path, _ := n.parameters()["path"].(string)
		path = strings.Trim(strings.TrimSpace(strings.TrimPrefix(path, "=")), "/")
		if path == "" || n["disabled"] == true || n.text("type") == webhookType && !n.takesPost() {
			continue
		}
		paths = append(paths, path)
	}
	return paths
}

// takesPost reports whether a webhook accepts requests with the method POST.
func (n node) takesPost() bool {
	switch method := n.parameters()["httpMethod"].(type) {
	case string:
		return method == "POST"
	case []any:
		return slices.Contains(method, any("POST"))
	case nil:
		return n.parameters()["multipleMethods"] == true // its default is GET and POST
	}
	return false
}
