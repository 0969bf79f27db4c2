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
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s is Node-RED %s, which is newer than the tested %d.x", p.client.place(), version, newest))
	}
	takes, warnings := c.taken(project, keys)
	s.Others, s.Warnings = c.others(project, takes), append(s.Warnings, warnings...)
	return s, nil
}

// Address implements [sync.Addresser]. It is below Node-RED's httpNodeRoot, which is
// in its settings.
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

// taken returns the keys whose endpoints others hold, by flow or subflow, and
// warnings about flows that may take one.
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
			warnings = append(warnings, fmt.Sprintf("%s also has the endpoint of %s, POST %s, and gets no requests as long as it is behind; "+
				"if somebody changes, disables or removes it, Node-RED forgets both, and `segue apply --replace %s` brings the endpoint back",
				c.nameOf(e.z), key, endpointPath(project, key), key))
		}
	}
	return takes, warnings
}

// others returns the flows that are not the project's own but concern it: copies
// of its flows, flows of other projects, flows that hold an endpoint, and flows
// with segue's nodes that have lost their markers.
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

// readable reads a flow that is not segue's own as far as possible.
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

// wroteBySegue reports whether a flow without a marker is one that segue writes
// for the project: it uses the project's subflow, and has a request.
func wroteBySegue(project string, on []entry) bool {
	request, uses := false, false
	for _, n := range on {
		request = request || n.kind == "template" && n.field == requestField
		uses = uses || n.kind == "subflow:"+subflowID(project)
	}
	return request && uses
}

// holds describes the endpoints of a flow.
func holds(e entry, on []entry) string {
	var all []string
	for _, n := range on {
		if n.kind != endpointKind || n.url == "" {
			continue
		}
		endpoint := strings.ToUpper(printable(n.method)) + " /" + strings.TrimPrefix(printable(e.pathOf(n)), "/")
		if n.off || e.off {
			endpoint += ", disabled"
		}
		all = append(all, endpoint)
	}
	return strings.Join(all, "; ")
}
