package nodered

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// Survey implements [sync.Surveyor].
func (p *Platform) Survey(ctx context.Context, project string, keys []string) (sync.Survey, error) {
	version, err := p.client.version(ctx)
	if err != nil {
		return sync.Survey{}, err
	}
	c, err := p.lastListed(ctx)
	if err != nil {
		return sync.Survey{}, err
	}
	s := sync.Survey{Product: "Node-RED " + version}
	if major(version) > newest {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s is Node-RED %s, which is newer than segue was tested with, %d.x", p.client.place(), version, newest))
	}
	takes, warnings := c.taken(project, keys)
	s.Others, s.Warnings = c.others(project, takes), append(s.Warnings, warnings...)
	return s, nil
}

// Address implements [sync.Addresser]. It is below Node-RED's httpNodeRoot, which its
// settings tell.
func (p *Platform) Address(project, key string) string {
	p.client.mu.Lock()
	root := p.client.nodeRoot
	p.client.mu.Unlock()
	if root == "" {
		return ""
	}
	at := url.URL{Scheme: p.client.base.Scheme, Host: p.client.base.Host, Path: strings.TrimRight(root, "/") + endpointPath(project, key)}
	return at.String()
}

// taken returns the keys whose endpoints others hold, by the flow or subflow
// that does, and tells of those that may take one.
func (c *config) taken(project string, keys []string) (map[string]string, []string) {
	tabs := map[string]string{}
	for _, t := range c.tabs(project) {
		if _, ok := tabs[t.marker.Key]; !ok {
			tabs[t.marker.Key] = t.id
		}
	}
	takes, all := map[string]string{}, c.endpoints()
	var warnings []string
	for _, key := range keys {
		takers, behind := all.holders(project, key, tabs[key])
		for _, e := range takers {
			if _, ok := takes[e.z]; !ok {
				takes[e.z] = key
			}
		}
		for _, e := range behind {
			warnings = append(warnings, fmt.Sprintf("%s has the endpoint of %s as well, POST %s, and gets nothing as long as it is behind; "+
				"when somebody changes, switches off or removes that one, Node-RED forgets both, and `segue apply --replace %s` brings the endpoint back",
				c.nameOf(e.z), key, endpointPath(project, key), key))
		}
	}
	return takes, warnings
}

// others returns what is not the project's own and concerns it: copies of its
// flows, the flows of other projects, what holds an endpoint, and a flow that is
// segue's by its nodes and has lost its marker.
func (c *config) others(project string, takes map[string]string) []sync.Other {
	var all []sync.Other
	on, shared := c.nodesOf(), map[string]subflow{}
	for _, e := range c.entries {
		if e.kind != "tab" && e.kind != "subflow" {
			continue
		}
		marked := e.marker != nil
		if marked && e.own && e.marker.Project == project {
			continue
		}
		o := sync.Other{Kind: sync.Unmarked, Title: c.nameOf(e.id), Takes: takes[e.id], Endpoint: holds(e, on[e.id])}
		switch {
		case marked && e.own:
			o.Kind = sync.Foreign
			s, ok := shared[e.marker.Project]
			if !ok {
				s = c.subflow(e.marker.Project)
				shared[e.marker.Project] = s
			}
			o.Stored = stored(tab{entry: e, marker: *e.marker}, on[e.id], s)
		case marked && e.marker.Project == project:
			o.Kind = sync.Copy
			o.Stored = readable(e, on[e.id])
			o.Marker = e.marker.Marker
		case o.Takes != "" || wroteBySegue(project, on[e.id]):
			o.Stored = readable(e, on[e.id])
		default:
			continue
		}
		all = append(all, o)
	}
	return all
}

// readable reads a flow that is not segue's own as far as it can be read.
func readable(e entry, on []entry) sync.Stored {
	a := automation.Automation{
		Name: e.node().text("label"), Enabled: !e.off,
		Action: automation.Request{Kind: automation.KindHTTPRequest, Headers: map[string]automation.Header{}},
	}
	if m := e.marker; m != nil {
		a.Key, a.Protect, a.Trigger = m.Key, m.Protect, m.Trigger
	}
	fields := map[string]node{}
	for _, n := range on {
		if n.kind == "template" {
			fields[n.field] = n.node()
		}
	}
	readParts(fields[requestField], fields[payloadField], &a)
	return sync.Stored{ID: e.id, Revision: revision(e, on), Automation: a}
}

// wroteBySegue reports whether a flow without a marker holds what segue writes
// for the project: it uses the project's subflow, and has a request.
func wroteBySegue(project string, on []entry) bool {
	request, uses := false, false
	for _, n := range on {
		request = request || n.kind == "template" && n.field == requestField
		uses = uses || n.kind == "subflow:"+subflowID(project)
	}
	return request && uses
}

// holds tells of the endpoints of a flow.
func holds(e entry, on []entry) string {
	var all []string
	for _, n := range on {
		if n.kind != endpointKind || n.url == "" {
			continue
		}
		endpoint := strings.ToUpper(printable(n.method)) + " /" + strings.TrimPrefix(printable(e.pathOf(n)), "/")
		if n.off || e.off {
			endpoint += ", switched off"
		}
		all = append(all, endpoint)
	}
	return strings.Join(all, "; ")
}
