package nodered

import (
	"context"
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// Unmanaged implements [sync.Importer]: the flows without a marker that have an endpoint.
// A flow of segue's whose marker is gone is read like any other of segue's. A flow built
// by a person is read if it is an endpoint, optionally a template, and one HTTP request.
func (p *Platform) Unmanaged(ctx context.Context, project string) ([]sync.Unmanaged, error) {
	c, err := p.client.readConfig(ctx)
	if err != nil {
		return nil, err
	}
	var all []sync.Unmanaged
	on := c.nodesOf()
	for _, e := range c.entries {
		if e.kind != "tab" || e.marker != nil || !slices.ContainsFunc(on[e.id], func(n entry) bool { return n.kind == endpointKind }) {
			continue
		}
		u := sync.Unmanaged{Stored: readable(e, on[e.id]), Title: c.nameOf(e.id)}
		if wroteBySegue(project, on[e.id]) {
			c.lostMarker(e, on[e.id], project, &u)
		} else {
			u.Automation, u.Remarks, u.Against = byHand(e, on[e.id])
		}
		all = append(all, u)
	}
	return all, nil
}

// lostMarker reads a flow of segue's whose marker somebody has removed.
func (c *config) lostMarker(e entry, on []entry, project string, u *sync.Unmanaged) {
	key, found := strings.CutPrefix(e.path, endpointPath(project, ""))
	a := u.Automation
	a.Key = key
	// Only the marker had the name of the trigger.
	a.Trigger = automation.Trigger{Kind: automation.Pattern, Name: a.Name}
	u.Remarks = []string{"The trigger's name is lost with the marker: the pattern is named after the flow"}
	byID := map[string]node{}
	for _, n := range on {
		if !isDecoration(n.kind) {
			byID[n.id] = n.node()
		}
	}
	t := tab{entry: e, marker: tabMarker{Marker: sync.Marker{Project: project, Key: key}, ID: e.id}}
	edited := editedParts(t, a, byID)
	switch {
	case !found || key == "":
		u.Against = "its endpoint is not one that segue gives"
	case len(edited) > 0:
		u.Against = "somebody has changed " + strings.Join(edited, ", ")
	default:
		u.Automation, u.Adoptable = a, true
	}
}

// byHand reads a flow built by a person.
func byHand(e entry, on []entry) (a automation.Automation, remarks []string, against string) {
	name := e.node().text("label")
	a = automation.Automation{Name: name, Enabled: !e.off, Trigger: automation.Trigger{Kind: automation.Pattern, Name: name}}
	var endpoint, template, send node
	for _, n := range on {
		switch {
		case isDecoration(n.kind), n.kind == "http response", n.kind == "debug", n.off:
		case n.kind == endpointKind && endpoint == nil:
			endpoint = n.node()
		case n.kind == "template" && template == nil:
			template = n.node()
		case n.kind == "http request" && send == nil:
			send = n.node()
		default:
			return a, nil, fmt.Sprintf("a node of the type %s has no counterpart: only an endpoint, a template and one HTTP request have", quoted([]byte(n.kind)))
		}
	}
	chain := []node{endpoint, template, send}
	if template == nil {
		chain = []node{endpoint, send}
	}
	switch {
	case send == nil:
		return a, nil, "it has no HTTP request"
	case !wired(chain):
		return a, nil, "its endpoint does not lead straight to its HTTP request"
	case send.text("authType") != "" && send.text("authType") != "none":
		return a, nil, "its HTTP request has credentials, which Node-RED does not return"
	}
	r := clicked{}
	a.Action = r.request(send, template)
	remarks = append(r.remarks, fmt.Sprintf("In Node-RED it is triggered at %s, but segue makes its own flow with its own endpoint: "+
		"once that is applied, call it instead, and delete this one", printable(endpoint.text("url"))),
		"Node-RED has no name for the trigger: the pattern is named after the flow")
	return a, remarks, r.against
}

// wired reports whether the first output of each node is connected to the next
// one.
func wired(chain []node) bool {
	for i, n := range chain[:len(chain)-1] {
		wires, _ := n["wires"].([]any)
		if len(wires) == 0 {
			return false
		}
		first, _ := wires[0].([]any)
		if !slices.Contains(first, any(chain[i+1].id())) {
			return false
		}
	}
	return true
}

// A clicked request is the request of a node "http request" that a person has
// filled in.
type clicked struct {
	remarks []string
	against string // the first thing that can't be expressed
}

// refuse records a part that can't be expressed.
func (c *clicked) refuse(format string, args ...any) {
	if c.against == "" {
		c.against = fmt.Sprintf(format, args...)
	}
}

func (c *clicked) request(send, template node) automation.Request {
	r := automation.Request{Kind: automation.KindHTTPRequest, Method: strings.ToUpper(send.text("method")), Headers: map[string]automation.Header{}}
	if r.Method == "USE" || send.text("url") == "" {
		c.refuse("its method or its URL comes with each message")
	}
	r.URL = c.template("the URL", send.text("url"))
	for _, h := range list(send["headers"]) {
		name, value := h.text("keyType"), h.text("valueValue")
		if name == "other" {
			name = h.text("keyValue")
		}
		if name == "" || name == "msg" || h.text("valueType") == "msg" {
			c.refuse("a header comes with each message")
			continue
		}
		if value == "" {
			value = h.text("valueType")
		}
		r.Headers[textproto.CanonicalMIMEHeaderKey(name)] = automation.Header{Value: automation.Credential{Text: value}}
	}
	switch {
	case template != nil:
		c.body(&r, template)
	case r.Method != "GET" && r.Method != "HEAD":
		c.refuse("its body is the endpoint's body: put a template in between")
	}
	return r
}

// body reads the template of the body.
func (c *clicked) body(r *automation.Request, template node) {
	if template.text("field") != "payload" || template.text("fieldType") != "msg" || template.text("syntax") != "mustache" {
		c.refuse("its template does not make the body, or is not in Mustache")
		return
	}
	payload, err := automation.CanonicalPayload([]byte(c.template("the template", template.text("template"))))
	if err != nil {
		c.refuse("its template is not JSON once its fields are placeholders")
		return
	}
	r.Payload = payload
	if _, given := r.Headers["Content-Type"]; !given {
		r.Headers["Content-Type"] = automation.Header{Value: automation.Credential{Text: "application/json"}}
	}
}

var (
	mustache     = regexp.MustCompile(`\{\{\{?([^{}]*)\}?\}\}`)
	payloadValue = regexp.MustCompile(`^\s*payload\.([A-Za-z_]\w*)\s*$`)
)

// template converts Mustache's fields of the endpoint's body to placeholders.
func (c *clicked) template(what, text string) string {
	return mustache.ReplaceAllStringFunc(text, func(s string) string {
		m := payloadValue.FindStringSubmatch(strings.Trim(s, "{}"))
		if m == nil {
			c.refuse("%s has %s, which is not a field of the endpoint's body", what, quoted([]byte(s)))
			return s
		}
		return "{{" + m[1] + "}}"
	})
}
