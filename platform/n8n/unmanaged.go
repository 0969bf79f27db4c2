package n8n

import (
	"context"
	"encoding/json"
	"fmt"
	"net/textproto"
	"regexp"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// Unmanaged implements [sync.Importer]: the workflows without a note. A workflow of
// segue's whose note is gone is read like any other of segue's. A workflow built by a
// person is read if it is a webhook and one HTTP request.
func (p *Platform) Unmanaged(ctx context.Context, project string) ([]sync.Unmanaged, error) {
	all, err := p.list(ctx)
	if err != nil {
		return nil, err
	}
	var found []sync.Unmanaged
	for i := range all {
		w := &all[i]
		if _, marked := w.record(); marked || w.Shared != nil && len(*w.Shared) == 0 || w.onlyNotes() {
			continue
		}
		found = append(found, p.unmanaged(w, project))
	}
	return found, nil
}

// onlyNotes reports whether a workflow has no function, like those of segue's
// leases.
func (w *workflow) onlyNotes() bool { return len(contents(w.Nodes)) == 0 }

func (p *Platform) unmanaged(w *workflow, project string) sync.Unmanaged {
	u := sync.Unmanaged{Stored: w.stored(record{}), Title: p.title(w)}
	switch {
	case w.Archived:
		u.Against = "it is archived"
	case w.node(requestID) != nil && w.node(fillID) != nil:
		w.lostNote(project, &u)
	default:
		u.Automation, u.Remarks, u.Against = w.byHand()
	}
	return u
}

// lostNote reads a workflow of segue's whose note somebody has removed.
func (w *workflow) lostNote(project string, u *sync.Unmanaged) {
	a := automation.Automation{
		Name: w.Name, Enabled: w.enabled(),
		Action: automation.Request{Kind: automation.KindHTTPRequest, Headers: map[string]automation.Header{}},
	}
	edits := w.readRequest(&a)
	path, _ := w.node(triggerID).parameters()["path"].(string)
	of, key, found := strings.Cut(strings.TrimPrefix(path, "segue/"), "/")
	a.Key = key
	want, err := build(a, record{Marker: sync.Marker{Project: of, Key: key}}, "")
	switch {
	case !found || webhookPath(of, key) != path:
		u.Against = "its webhook's path is not one that segue gives"
	case of != project:
		u.Against = fmt.Sprintf("it was %s of the project %s", key, of)
	case len(edits) > 0:
		u.Against = "somebody has changed " + strings.Join(edits, "; ")
	case err != nil:
		u.Against = err.Error()
	case want.frame() != w.frame():
		u.Against = "somebody has changed its nodes or connections, or another version of segue has made it"
	default:
		u.Automation, u.Adoptable = a, true
	}
}

// byHand reads a workflow built by a person.
func (w *workflow) byHand() (a automation.Automation, remarks []string, against string) {
	a = automation.Automation{Name: w.Name, Enabled: w.enabled(), Trigger: automation.Trigger{Kind: automation.Pattern, Name: w.Name}}
	var hook, send node
	for _, n := range w.Nodes {
		switch kind := n.text("type"); {
		case kind == "n8n-nodes-base.stickyNote" || kind == "n8n-nodes-base.respondToWebhook":
		case n["disabled"] == true:
		case kind == webhookType && hook == nil:
			hook = n
		case kind == "n8n-nodes-base.httpRequest" && send == nil:
			send = n
		default:
			return a, nil, fmt.Sprintf("the node %q (%s) has no counterpart: only a webhook and one HTTP request have", n.text("name"), kind)
		}
	}
	switch {
	case hook == nil || send == nil:
		return a, nil, "it is not a webhook with one HTTP request"
	case !w.leads(hook.text("name"), send.text("name")):
		return a, nil, "its webhook does not lead to its HTTP request"
	case send.parameters()["authentication"] != nil && send.parameters()["authentication"] != "none":
		return a, nil, fmt.Sprintf("the node %q uses a credential, whose value n8n does not return", send.text("name"))
	}
	r := clicked{parameters: send.parameters()}
	a.Action = r.request()
	path, _ := hook.parameters()["path"].(string)
	remarks = append(r.remarks, fmt.Sprintf("In n8n it is triggered at /webhook/%s, but segue makes its own workflow with its own webhook: "+
		"once that is applied, call it instead, and delete this one", strings.Trim(path, "/")),
		"n8n has no name for the trigger: the pattern is named after the workflow")
	return a, remarks, r.against
}

// leads reports whether a node's only output is connected to another one.
func (w *workflow) leads(from, to string) bool {
	var connections map[string]struct {
		Main [][]struct{ Node string }
	}
	b, err := json.Marshal(w.Connections)
	if err != nil || json.Unmarshal(b, &connections) != nil {
		return false
	}
	main := connections[from].Main
	return len(main) == 1 && len(main[0]) == 1 && main[0][0].Node == to
}

// A clicked request is the request of a node "HTTP Request" that a person has
// filled in.
type clicked struct {
	parameters map[string]any
	remarks    []string
	against    string // the first thing that can't be expressed
}

func (c *clicked) text(field string) string {
	s, _ := c.parameters[field].(string)
	return s
}

// refuse records a part that can't be expressed.
func (c *clicked) refuse(format string, args ...any) {
	if c.against == "" {
		c.against = fmt.Sprintf(format, args...)
	}
}

func (c *clicked) request() automation.Request {
	r := automation.Request{Kind: automation.KindHTTPRequest, Method: "GET", Headers: map[string]automation.Header{}}
	if c.text("method") != "" {
		r.Method = strings.ToUpper(c.text("method"))
	}
	r.URL = c.template("the URL", c.text("url"))
	if c.parameters["sendQuery"] == true {
		c.refuse("its query parameters are separate from the URL: write them into the URL in n8n")
	}
	if c.parameters["sendHeaders"] == true {
		for name, value := range c.pairs("header", "specifyHeaders", "headerParameters", "jsonHeaders") {
			r.Headers[textproto.CanonicalMIMEHeaderKey(name)] = automation.Header{Value: automation.Credential{Text: c.template("the header "+name, value)}}
		}
	}
	if c.parameters["sendBody"] == true {
		r.Payload = c.body()
		if _, given := r.Headers["Content-Type"]; !given {
			r.Headers["Content-Type"] = automation.Header{Value: automation.Credential{Text: "application/json"}}
		}
	}
	if options, _ := c.parameters["options"].(map[string]any); len(options) > 0 {
		c.remarks = append(c.remarks, "The options of the HTTP request in n8n, such as a timeout, have no counterpart")
	}
	return r
}

// pairs reads names with values, which are a list or JSON in the node.
func (c *clicked) pairs(what, how, list, text string) map[string]string {
	out := map[string]string{}
	if c.text(how) == "json" {
		var fields map[string]any
		if json.Unmarshal([]byte(strings.TrimPrefix(c.text(text), "=")), &fields) != nil {
			c.refuse("its %ss are not an object in JSON", what)
		}
		for name, value := range fields {
			out[name] = fmt.Sprint(value)
		}
		return out
	}
	outer, _ := c.parameters[list].(map[string]any)
	all, _ := outer["parameters"].([]any)
	for _, one := range all {
		pair, _ := one.(map[string]any)
		name, _ := pair["name"].(string)
		value, isText := pair["value"].(string)
		if name == "" || !isText || strings.HasPrefix(name, "=") {
			c.refuse("a %s has a name or a value that is not plain", what)
			continue
		}
		out[name] = value
	}
	return out
}

// body reads the body, which segue sends as JSON.
func (c *clicked) body() json.RawMessage {
	kind := c.text("contentType")
	switch {
	case kind == "" || kind == "json":
	case kind == "raw" && strings.Contains(c.text("rawContentType"), "json"):
		return c.json(c.text("body"))
	default:
		c.refuse("its body is not JSON but %s", kind)
		return nil
	}
	if c.text("specifyBody") == "json" {
		return c.json(c.text("jsonBody"))
	}
	fields := map[string]any{}
	for name, value := range c.pairs("body field", "", "bodyParameters", "") {
		fields[name] = c.template("the field "+name, value)
	}
	b, err := marshal(fields)
	if err != nil {
		c.refuse("its body is not JSON")
	}
	return b
}

func (c *clicked) json(text string) json.RawMessage {
	payload, err := automation.CanonicalPayload([]byte(c.template("the body", text)))
	if err != nil {
		c.refuse("its body is not JSON once its expressions are placeholders")
	}
	return payload
}

var (
	expressionPattern = regexp.MustCompile(`(?s)\{\{(.*?)\}\}`)
	bodyField         = regexp.MustCompile(`^\s*\$json(?:\.body|\["body"\])(?:\.([A-Za-z_]\w*)|\["([A-Za-z_]\w*)"\])\s*$`)
)

// template converts n8n's expressions for fields of the webhook's body to
// placeholders.
func (c *clicked) template(what, text string) string {
	inner, isExpression := strings.CutPrefix(text, "=")
	if !isExpression {
		if strings.Contains(text, "{{") {
			c.refuse("%s contains a literal {{, which segue would treat as a placeholder", what)
		}
		return text
	}
	return expressionPattern.ReplaceAllStringFunc(inner, func(s string) string {
		m := bodyField.FindStringSubmatch(strings.TrimSuffix(strings.TrimPrefix(s, "{{"), "}}"))
		if m == nil {
			c.refuse("%s has an expression that is not a field of the webhook's body", what)
			return s
		}
		return "{{" + m[1] + m[2] + "}}"
	})
}
