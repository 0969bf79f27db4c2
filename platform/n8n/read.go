package n8n

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// stored returns a workflow in canonical form.
func (w *workflow) stored(r record) sync.Stored {
	a, outdated := w.automation(r)
	changed, _ := time.Parse(time.RFC3339, w.UpdatedAt) // the zero time if n8n does not return it
	return sync.Stored{ID: w.ID, Revision: w.revision(r), Changed: changed, Marker: r.Marker, Automation: a,
		Outdated: outdated || w.unfinished, Archived: w.Archived}
}

// revision identifies the content of a workflow that matters to segue. A move
// on the canvas, another credential with the same headers, or writing its ID
// into the note is not a change.
func (w *workflow) revision(r record) string {
	r.Auth, r.ID, r.Seal, r.Nonce = nil, "", "", ""
	b, err := canonical(map[string]any{
		"record": r, "name": w.Name, "enabled": w.enabled(), "unpublished": w.unpublished(), "archived": w.Archived,
		"nodes": contents(w.Nodes), "connections": w.Connections, "credential": w.usesItsCredential(),
	})
	if err != nil {
		b = []byte(w.VersionID)
	}
	sum := sha256.Sum256(b)
	revision := hex.EncodeToString(sum[:16])
	if revision == w.withdrawn.after {
		return w.withdrawn.before
	}
	return revision
}

// contents returns the functional content of the nodes, by ID.
func contents(nodes []node) map[string]any {
	all := map[string]any{}
	for _, n := range nodes {
		if n.text("id") == noteID || n.text("type") == "n8n-nodes-base.stickyNote" {
			continue
		}
		all[n.text("id")] = n.content()
	}
	return all
}

// content returns the node without its visual properties, and without its
// credentials, which are compared separately.
func (n node) content() map[string]any {
	c := map[string]any{}
	for field, v := range n {
		switch field {
		case "position", "notes", "notesInFlow", "credentials", "createdAt", "updatedAt":
		case "retryOnFail", "maxTries", "waitBetweenTries": // retries are up to the operators of n8n
		case "disabled", "executeOnce", "alwaysOutputData", "continueOnFail":
			if v != false {
				c[field] = v
			}
		default:
			c[field] = v
		}
	}
	return c
}

// usesItsCredential reports whether the node "Send" uses the credential that
// segue has made for it, or correctly none.
func (w *workflow) usesItsCredential() bool {
	r, _ := w.record()
	n := w.node(sendID)
	if r.Auth == nil {
		return n.credential() == credentialRef{}
	}
	return r.Auth.ID != "" && n.credential().id == r.Auth.ID && w.resolved()
}

// automation reads an automation back. Edits for which the canonical form has no
// field are described in the action's kind, so a plan shows them. outdated is
// true if another version of segue made the nodes in another layout and nobody
// has changed them since.
func (w *workflow) automation(r record) (a automation.Automation, outdated bool) {
	a = automation.Automation{
		Key: r.Key, Name: w.Name, Enabled: w.enabled(), Protect: r.Protect,
		Action: automation.Request{Kind: automation.KindHTTPRequest, Headers: map[string]automation.Header{}},
	}
	edits := w.readRequest(&a)

	// The workflow that segue would write for this automation.
	want, err := build(a, r, "")
	if err != nil {
		edits = append(edits, "it can't be written back: "+err.Error())
		want = &workflow{}
	}
	switch frame := w.frame(); {
	case frame == want.frame(): // the current layout
		edits = append(edits, w.readSend(&a, want)...)
	case frame == r.Frame || r.Frame == "" && w.isFirst(a, r):
		outdated = true
		edits = append(edits, w.readSend(&a, w.asItIs())...)
	case r.Layout != layout():
		edits = append(edits, w.readSend(&a, w.asItIs())...)
		edits = append(edits, "nodes or connections of another version of segue")
	default:
		edits = append(edits, w.readSend(&a, want)...)
		edits = append(edits, w.otherEdits(want)...)
	}
	if w.Archived {
		edits = append(edits, "it is archived")
	}
	if w.unpublished() {
		edits = append(edits, "another version of it is published")
	}
	if len(edits) > 0 {
		slices.Sort(edits)
		a.Action.Kind += ", changed in n8n: " + strings.Join(slices.Compact(edits), "; ")
	}
	return a, outdated
}

// readRequest reads the node "Request" and returns the invalid parts as edits.
func (w *workflow) readRequest(a *automation.Automation) (edits []string) {
	n := w.node(requestID)
	outer, _ := n.parameters()["assignments"].(map[string]any)
	list, _ := outer["assignments"].([]any)
	seen := map[string]bool{}
	for _, one := range list {
		field, _ := one.(map[string]any)
		name, _ := field["name"].(string)
		value, isText := field["value"].(string)
		bad := !isText || seen[name]
		seen[name] = true
		switch name {
		case "trigger":
			bad = bad || strict(value, &a.Trigger) != nil
		case "method":
			a.Action.Method = value
		case "url":
			a.Action.URL = value
		case "headers":
			bad = bad || strict(value, &a.Action.Headers) != nil
		case "placeholders":
			bad = bad || strict(value, &a.Placeholders) != nil
		case "payload":
			if p, err := automation.CanonicalPayload([]byte(value)); err == nil {
				a.Action.Payload = p
			} else if a.Action.Payload, err = marshal(value); err != nil {
				bad = true
			}
		default:
			bad = true
		}
		if bad {
			edits = append(edits, fmt.Sprintf("the field %q of the node %q", name, requestName))
		}
	}
	return edits
}

// strict reads JSON without fields that v does not have.
func strict(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// asItIs returns a copy of the workflow that [workflow.readSend] may write to.
func (w *workflow) asItIs() *workflow {
	out := w.writable(nil)
	if n := out.node(sendID); n != nil {
		n["parameters"] = maps.Clone(n.parameters())
	}
	return out
}

// readSend reads values with which people have replaced the expressions of the
// node "Send". It also copies them into want, so that each counts once.
func (w *workflow) readSend(a *automation.Automation, want *workflow) (edits []string) {
	n, wanted := w.node(sendID), want.node(sendID)
	if n == nil || wanted == nil {
		return nil
	}
	got, expected := n.parameters(), wanted.parameters()
	literal := func(field string) (string, bool) {
		s, ok := got[field].(string)
		if !ok && field == "method" && got[field] == nil {
			s, ok = "GET", true // the node's default, which the editor does not save
		}
		if !ok || s == expected[field] {
			return "", false
		}
		if got[field] != nil {
			expected[field] = got[field]
		} else {
			delete(expected, field)
		}
		return s, true
	}
	if method, ok := literal("method"); ok {
		a.Action.Method = method
	}
	if u, ok := literal("url"); ok {
		a.Action.URL = u
	}
	for _, field := range []string{"body", "jsonBody"} {
		if _, there := expected[field]; !there {
			continue
		}
		if body, ok := literal(field); ok {
			if p, err := automation.CanonicalPayload([]byte(body)); err == nil {
				a.Action.Payload = p
			} else if p, err := marshal(body); err == nil {
				a.Action.Payload = p
			}
		}
	}
	if expected["sendBody"] == true && got["sendBody"] != true {
		a.Action.Payload = nil
		for _, field := range []string{"sendBody", "contentType", "rawContentType", "body", "specifyBody", "jsonBody"} {
			delete(expected, field)
			if v, ok := got[field]; ok {
				expected[field] = v
			}
		}
	}
	if !w.usesItsCredential() || got["authentication"] != expected["authentication"] || got["nodeCredentialType"] != expected["nodeCredentialType"] {
		secret := secretHeaders(a.Action)
		for name := range secret {
			a.Action.Headers[name] = automation.Header{Value: automation.Credential{Text: "not from segue's credential"}}
		}
		if r, _ := w.record(); len(secret) == 0 && r.Auth == nil {
			edits = append(edits, fmt.Sprintf("the node %q has a credential", sendName))
		}
		for _, field := range []string{"authentication", "nodeCredentialType", "genericAuthType"} {
			delete(expected, field)
			if v, ok := got[field]; ok {
				expected[field] = v
			}
		}
	}
	return edits
}

// otherEdits describes the nodes and connections that differ.
func (w *workflow) otherEdits(want *workflow) (edits []string) {
	got, expected := contents(w.Nodes), contents(want.Nodes)
	for _, n := range w.Nodes {
		if id := n.text("id"); got[id] != nil && expected[id] == nil {
			edits = append(edits, fmt.Sprintf("the node %q was added", n.text("name")))
		}
	}
	for _, n := range want.Nodes {
		id := n.text("id")
		switch is := w.node(id); {
		case expected[id] == nil: // a note
		case is == nil:
			edits = append(edits, fmt.Sprintf("the node %q was removed", n.text("name")))
		case id == triggerID && is.parameters()["path"] != n.parameters()["path"]:
			edits = append(edits, fmt.Sprintf("the webhook's path is %q", is.parameters()["path"]))
		case id != requestID && !same(is.content(), n.content()), id == requestID && !same(withoutFields(is), withoutFields(n)):
			edits = append(edits, fmt.Sprintf("the node %q", n.text("name")))
		}
	}
	if !same(w.Connections, want.Connections) && len(want.Connections) > 0 {
		edits = append(edits, "the connections between nodes")
	}
	return edits
}

// withoutFields returns the content of the node "Request" without its fields,
// which are read one by one.
func withoutFields(n node) map[string]any {
	c := n.content()
	p := map[string]any{}
	for k, v := range n.parameters() {
		if k != "assignments" {
			p[k] = v
		}
	}
	c["parameters"] = p
	return c
}

// same reports whether two values are the same JSON.
func same(a, b any) bool {
	x, errX := canonical(a)
	y, errY := canonical(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(b)
}
