package nodered

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// A tabMarker is the record in a tab's info.
type tabMarker struct {
	sync.Marker
	// ID is the ID of the tab that the marker was written for; a copy has
	// another ID. Older versions of segue did not write it.
	ID string `json:"id,omitempty"`
	// Seal is the marker's [sync.Marker.Seal] with that ID. Older versions did not write it.
	Seal    string             `json:"seal,omitempty"`
	Trigger automation.Trigger `json:"trigger"`
	Protect bool               `json:"protect,omitempty"`
	// Writes counts segue's writes of the tab.
	Writes int `json:"writes"`
}

// requestJSON is the content of the request's template node.
type requestJSON struct {
	Headers map[string]automation.Header `json:"headers"`
	Method  string                       `json:"method"`
	// Placeholders are included for the checks of values.
	Placeholders map[string]automation.PlaceholderLimit `json:"placeholders,omitempty"`
	URL          string                                 `json:"url"`
}

// The nodes on a tab, by their part. The order is that of the message.
const (
	endpointPart = "endpoint"
	requestPart  = "request"
	payloadPart  = "payload"
	sendPart     = "send"
	answerPart   = "answer"
)

// The fields of the template nodes, which identify them in a copy.
const (
	requestField = "segue." + requestPart
	payloadField = "segue." + payloadPart
)

var parts = []string{endpointPart, requestPart, payloadPart, sendPart, answerPart}

// partID returns the fixed ID of a node on a tab or subflow.
func partID(container, part string) string {
	sum := sha256.Sum256([]byte(container + " " + part))
	return hex.EncodeToString(sum[:8])
}

// newID returns a new ID in the form of Node-RED's.
func newID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// endpointPath returns the path of an automation's endpoint.
func endpointPath(project, key string) string { return "/segue/" + project + "/" + key }

// pathVariable is a variable of the flow with the path of its endpoint. It is the
// automation's path in the flow that segue has written, and another path in any
// copy: if two endpoints have the same path, Node-RED forgets both when one
// stops.
const pathVariable = "SEGUE_PATH"

// pathReference is an endpoint's path that refers to the variable.
const pathReference = "${" + pathVariable + "}"

// copyPath returns the path of a copy's endpoint.
func copyPath(id string) string { return "/segue-copies/" + id }

// pathIn returns the variable for the flow with an ID. Its value is in JSONata.
func pathIn(id, path string) node {
	return node{"name": pathVariable, "type": "jsonata",
		"value": fmt.Sprintf(`$env("NR_FLOW_ID") = %q ? %q : %q & $env("NR_FLOW_ID")`, id, path, copyPath(""))}
}

var pathPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)

// sourceFolder describes the folder of an automation's source in its project. A
// key is the folder of the package, and the automation's name there.
func sourceFolder(key string) string {
	if folder := path.Dir(key); folder != "." {
		return "the folder `" + folder + "`, which is beside the project's `segue.cue`"
	}
	return "the folder of the project's `segue.cue`"
}

// tabNodes makes the nodes of an automation, the tab first.
func tabNodes(id string, m tabMarker, a automation.Automation) ([]node, error) {
	request, err := encode(requestJSON{Headers: a.Action.Headers, Method: a.Action.Method, Placeholders: a.Placeholders, URL: a.Action.URL})
	if err != nil {
		return nil, err
	}
	url := endpointPath(m.Project, m.Key)
	endpoint, env := node{"url": url, "method": "post", "upload": false, "skipBodyParsing": false, "swaggerDoc": ""}, []any{}
	if m.ID != "" { // in older versions, Node-RED handled the path and the body
		endpoint["url"], env = pathReference, []any{pathIn(id, url)}
		// The subflow parses the body, so numbers keep their digits.
		endpoint["skipBodyParsing"] = true
		// Each write changes it, so Node-RED always restarts the node and its
		// route.
		endpoint["info"] = fmt.Sprintf("Written by segue, for the %s time.", ordinal(m.Writes))
	}
	info, err := infoOf(fmt.Sprintf("This flow is managed in Git, by [segue](https://github.com/seguehq/segue). "+
		"Do not edit it here: the next `segue apply` restores the state of the code.\n\n"+
		"- project: `%s`\n- source: `automations: \"%s\"` in %s\n- key: `%s`\n\n"+
		"It starts at `POST %s`, below Node-RED's httpNodeRoot, with a JSON object of placeholder values. "+
		"The nodes `request` and `payload` hold its request and payload. A copy of this flow starts at its own path, `%s`.", m.Project, path.Base(m.Key), sourceFolder(m.Key), m.Key, url, copyPath("<ID of the flow>")), m)
	if err != nil {
		return nil, err
	}
	x := 0
	place := func(part, kind string, next string, fields node) node {
		x += 180
		n := node{"id": partID(id, part), "type": kind, "z": id, "name": part, "x": x - 60, "y": 100, "wires": []any{}}
		if next != "" {
			n["wires"] = []any{[]any{partID(id, next)}}
		}
		for k, v := range fields {
			n[k] = v
		}
		return n
	}
	template := func(part string, text []byte, next string) node {
		return place(part, "template", next, node{"field": "segue." + part, "fieldType": "msg", "format": "json", "syntax": "plain",
			"template": strings.TrimSuffix(string(automation.Indent(text)), "\n"), "output": "json"})
	}
	nodes := []node{
		{"id": id, "type": "tab", "label": a.Name, "disabled": !a.Enabled, "info": info, "env": env},
		place(endpointPart, endpointKind, requestPart, endpoint),
	}
	next := sendPart
	if a.Action.Payload != nil {
		next = payloadPart
	}
	nodes = append(nodes, template(requestPart, request, next))
	if a.Action.Payload != nil {
		nodes = append(nodes, template(payloadPart, a.Action.Payload, sendPart))
	}
	return append(nodes,
		place(sendPart, "subflow:"+subflowID(m.Project), answerPart, node{"env": []any{}}),
		place(answerPart, "http response", "", node{"statusCode": "", "headers": node{}}),
	), nil
}

var pathValue = regexp.MustCompile(`^\$env\("NR_FLOW_ID"\) = "([^"]*)" \? "([^"]*)" : `)

// pathFor returns the value of the variable in the flow with an ID, "" if it is
// unknown.
func pathFor(id, kind, value string) string {
	switch m := pathValue.FindStringSubmatch(value); {
	case kind == "str":
		return value
	case kind != "jsonata" || m == nil:
		return ""
	case m[1] == id:
		return m[2]
	}
	return copyPath(id)
}

// ordinal formats an ordinal number: 1st, 2nd, 3rd, 4th.
func ordinal(n int) string {
	suffix := "th"
	if tens := n / 10 % 10; tens != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n) + suffix
}

// A tab is a flow of segue's own.
type tab struct {
	entry
	marker tabMarker
}

// tabs returns a project's own flows.
func (c *config) tabs(project string) []tab {
	var found []tab
	for _, e := range c.entries {
		if m := e.marker; e.own && m.Project == project {
			found = append(found, tab{entry: e, marker: *m})
		}
	}
	return found
}

// nodesOf returns the nodes on each of the tabs and subflows.
func (c *config) nodesOf() map[string][]entry {
	byContainer := map[string][]entry{}
	for _, e := range c.entries {
		if e.z != "" {
			byContainer[e.z] = append(byContainer[e.z], e)
		}
	}
	return byContainer
}

// isDecoration reports whether a node on a tab has no function.
func isDecoration(kind string) bool { return kind == "comment" || kind == "group" }

// stored reads an automation back in canonical form. If the nodes of a flow
// differ from those that segue would make, because of an edit that the
// canonical form can't express, the action's kind says so.
func stored(t tab, on []entry, shared subflow) sync.Stored {
	was := t.node()
	disabled, _ := was["disabled"].(bool)
	a := automation.Automation{
		Key: t.marker.Key, Name: was.text("label"), Enabled: !disabled, Protect: t.marker.Protect, Trigger: t.marker.Trigger,
		Action: automation.Request{Kind: automation.KindHTTPRequest, Headers: map[string]automation.Header{}},
	}
	byID := map[string]node{}
	for _, e := range on {
		if !isDecoration(e.kind) {
			byID[e.id] = e.node()
		}
	}
	readParts(byID[partID(t.id, requestPart)], byID[partID(t.id, payloadPart)], &a)
	edited := editedParts(t, a, byID)
	if !shared.intact {
		edited = append(edited, "the subflow segue: "+t.marker.Project)
	}
	if len(edited) > 0 {
		a.Action.Kind += " (changed by hand: " + strings.Join(edited, ", ") + ")"
	}
	return sync.Stored{ID: t.id, Revision: revision(t.entry, on), Marker: t.marker.Marker, Automation: a,
		Outdated: t.marker.ID == "" || !shared.latest}
}

// readParts reads the template nodes of the request and the payload, if they
// exist.
func readParts(request, payload node, a *automation.Automation) {
	if request != nil {
		readRequest(request.text("template"), a)
	}
	if payload != nil {
		a.Action.Payload = readPayload(payload.text("template"))
	}
}

// editedParts names the nodes that differ from those that segue makes for a.
func editedParts(t tab, a automation.Automation, byID map[string]node) []string {
	want, err := tabNodes(t.id, t.marker, a)
	if err != nil {
		return []string{"its request can't be read"}
	}
	var edited []string
	if !hasAll(list(t.node()["env"]), want[0]["env"].([]any)) {
		edited = append(edited, "the flow's variable "+pathVariable)
	}
	for _, w := range want[1:] {
		got, ok := byID[w.id()]
		if text := got.text("template"); w.text("type") == "template" && text != "" {
			w["template"] = text // its content was read, regardless of its format
		}
		switch {
		case !ok:
			edited = append(edited, "no node "+w.text("name"))
		case !same(w, got):
			edited = append(edited, "node "+w.text("name"))
		}
		delete(byID, w.id())
	}
	if len(byID) > 0 {
		edited = append(edited, fmt.Sprintf("%d nodes more", len(byID)))
	}
	return edited
}

// hasAll reports whether variables are among those of a flow.
func hasAll(got []node, want []any) bool {
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g node) bool { return sameValue("", w, g) }) {
			return false
		}
	}
	return true
}

// readRequest reads the request's template node as far as possible.
func readRequest(text string, a *automation.Automation) {
	var fields struct {
		Headers      map[string]json.RawMessage
		Method       string
		Placeholders map[string]automation.PlaceholderLimit
		URL          string
	}
	r := &a.Action
	if json.Unmarshal([]byte(text), &fields) != nil {
		r.URL = text // the difference shows it
		return
	}
	r.Method, r.URL, a.Placeholders = fields.Method, fields.URL, fields.Placeholders
	for name, raw := range fields.Headers {
		var h automation.Header
		if json.Unmarshal(raw, &h) != nil {
			h.Value.Text = string(raw)
		}
		r.Headers[name] = h
	}
}

// readPayload reads the payload's template node. Content that is not JSON
// counts as a string.
func readPayload(text string) json.RawMessage {
	if p, err := automation.CanonicalPayload([]byte(text)); err == nil {
		return p
	}
	b, err := encode(text)
	if err != nil {
		return json.RawMessage(`""`)
	}
	return b
}

// revision identifies the content of a tab and its nodes, without their layout.
func revision(tab entry, on []entry) string {
	lines := [][]byte{}
	for _, e := range append([]entry{tab}, on...) {
		if isDecoration(e.kind) {
			continue
		}
		n := e.node()
		for _, name := range layout {
			delete(n, name)
		}
		b, err := encode(n)
		if err != nil {
			b = e.raw
		}
		lines = append(lines, b)
	}
	slices.SortFunc(lines[1:], bytes.Compare)
	sum := sha256.Sum256(bytes.Join(lines, []byte("\n")))
	return hex.EncodeToString(sum[:16])
}

// writeTab stores an automation on a tab, and removes all other nodes.
func (c *config) writeTab(id string, m tabMarker, a automation.Automation) error {
	nodes, err := tabNodes(id, m, a)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, n := range nodes {
		wanted[n.id()] = true
	}
	c.remove(func(e entry) bool {
		// A node that was moved to another tab is moved back.
		return e.z == id && !wanted[e.id] && !isDecoration(e.kind) || e.z != id && e.id != id && wanted[e.id]
	})
	for _, n := range nodes {
		if err := c.put(n); err != nil {
			return err
		}
	}
	return nil
}

// removeTab removes a tab with all its nodes.
func (c *config) removeTab(id string) {
	c.remove(func(e entry) bool { return e.id == id || e.z == id })
}
