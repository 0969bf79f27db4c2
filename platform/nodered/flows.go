package nodered

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// A node is an entry of Node-RED's configuration: a tab, a subflow, a node on
// one of them, or a configuration node.
type node map[string]any

func (n node) text(name string) string {
	s, _ := n[name].(string)
	return s
}

func (n node) id() string { return n.text("id") }

// An entry is a node as Node-RED returned it, with the fields that segue reads.
type entry struct {
	raw json.RawMessage // written back unchanged

	id, kind string
	z        string // the tab or subflow that it is on
	info     string
	url      string // of an endpoint
	method   string
	field    string // filled in by a template
	off      bool   // it is disabled
	path     string // of the endpoints on a tab that refer to its variable
	// marker is the marker of a tab, or nil.
	marker *tabMarker
	// own is true if the marker was written for this tab, and not for the
	// original of a copy.
	own bool
	// restart makes the next deploy restart the node although it is unchanged.
	restart bool
}

// readEntry reads a node. Others' nodes may have any values for these names:
// fields of another type stay empty.
func readEntry(raw json.RawMessage) entry {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(raw, &fields)
	text := func(name string) (s string) {
		_ = json.Unmarshal(fields[name], &s)
		return s
	}
	flag := func(name string) (b bool) {
		_ = json.Unmarshal(fields[name], &b)
		return b
	}
	e := entry{raw: raw, off: flag("d") || flag("disabled"), id: text("id"), kind: text("type"), z: text("z"), info: text("info"), url: text("url"), method: text("method"), field: text("field")}
	if e.kind == "tab" {
		var variables []struct{ Name, Type, Value string }
		_ = json.Unmarshal(fields["env"], &variables) // odd ones are not segue's
		for _, v := range variables {
			if v.Name == pathVariable {
				e.path = pathFor(e.id, v.Type, v.Value)
			}
		}
	}
	if m := (tabMarker{}); e.kind == "tab" && markerIn(e.info, &m) && m.Project != "" && m.Key != "" {
		e.marker, e.own = &m, m.ID == e.id
	}
	return e
}

// findOwn decides, by the IDs of their nodes, which tabs are own if their
// markers have no tab ID.
func (c *config) findOwn() {
	there := map[string]bool{}
	for _, e := range c.entries {
		if e.z != "" {
			there[e.id] = true
		}
	}
	for i := range c.entries {
		if e := &c.entries[i]; e.marker != nil && e.marker.ID == "" {
			e.own = slices.ContainsFunc(parts, func(part string) bool { return there[partID(e.id, part)] })
		}
	}
}

// A config is Node-RED's whole configuration at one revision.
type config struct {
	rev     string
	entries []entry
	// before are the entries as they were read.
	before []entry
	// changed is set by every change.
	changed bool
}

// readConfig gets the configuration.
func (c *client) readConfig(ctx context.Context) (*config, error) {
	a, err := c.do(ctx, call{method: http.MethodGet, path: "/flows", header: map[string]string{"Node-RED-API-Version": "v2"}})
	if err != nil {
		return nil, err
	}
	var doc struct {
		Rev   string
		Flows []json.RawMessage
	}
	if err := json.Unmarshal(a.body, &doc); err != nil || doc.Rev == "" {
		return nil, c.strange(a.body)
	}
	config := &config{rev: doc.Rev, entries: make([]entry, len(doc.Flows))}
	for i, raw := range doc.Flows {
		config.entries[i] = readEntry(raw)
	}
	config.findOwn()
	config.before = slices.Clone(config.entries)
	return config, nil
}

// deploy writes the configuration, if Node-RED still has the revision that it
// was read at. "nodes" restarts only what has changed.
func (c *client) deploy(ctx context.Context, config *config) error {
	var b bytes.Buffer
	b.WriteString(`{"rev":`)
	rev, err := json.Marshal(config.rev)
	if err != nil {
		return err
	}
	b.Write(rev)
	b.WriteString(`,"flows":[`)
	for i, e := range config.entries {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(e.deployed())
	}
	b.WriteString("]}")
	_, err = c.do(ctx, call{method: http.MethodPost, path: "/flows", body: b.Bytes(), media: "application/json",
		header: map[string]string{"Node-RED-API-Version": "v2", "Node-RED-Deployment-Type": "nodes"}})
	return err
}

// deployed returns the node as it is sent. A node with credentials counts as
// changed, and they are not stored with it: adding empty credentials restarts a
// node without changing it.
func (e entry) deployed() []byte {
	object, ok := bytes.CutSuffix(bytes.TrimSpace(e.raw), []byte("}"))
	if !e.restart || !ok || e.kind != endpointKind {
		return e.raw
	}
	return slices.Concat(object, []byte(`,"credentials":{}}`))
}

// on returns the entries on a tab or subflow.
func (c *config) on(z string) []entry {
	var found []entry
	for _, e := range c.entries {
		if e.z == z && z != "" {
			found = append(found, e)
		}
	}
	return found
}

// get returns the entry with an ID, nil if there is none.
func (c *config) get(id string) *entry {
	for i := range c.entries {
		if c.entries[i].id == id {
			return &c.entries[i]
		}
	}
	return nil
}

// remove takes out the entries that match.
func (c *config) remove(match func(entry) bool) {
	before := len(c.entries)
	c.entries = slices.DeleteFunc(c.entries, match)
	c.changed = c.changed || len(c.entries) != before
}

// put replaces the node with its ID, or appends the node. It keeps the layout.
func (c *config) put(n node) error {
	old := c.get(n.id())
	if old != nil {
		was := old.node()
		for _, name := range layout {
			if v, ok := was[name]; ok {
				n[name] = v
			}
		}
		for _, name := range []string{"in", "out"} {
			if v, ok := was[name]; ok && sameValue(name, n[name], v) {
				n[name] = v
			}
		}
	}
	raw, err := encode(n)
	if err != nil {
		return err
	}
	c.changed = true
	if old != nil {
		*old = readEntry(raw)
	} else {
		c.entries = append(c.entries, readEntry(raw))
	}
	return nil
}

// node decodes the entry.
func (e entry) node() node {
	var n node
	_ = json.Unmarshal(e.raw, &n) // it was read from JSON, and may not be an object
	return n
}

// layout are the fields of a node's appearance and position.
var layout = []string{"x", "y", "w", "h", "l", "g", "icon", "inputLabels", "outputLabels"}

// encode marshals a node without escaping for HTML.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// same reports whether a node equals the one that segue makes, apart from its
// layout and empty fields added by the editor.
func same(want, got node) bool {
	ignored := func(name string) bool { return name == "name" || name == "info" || slices.Contains(layout, name) }
	for name, v := range want {
		if !ignored(name) && !sameValue(name, v, got[name]) {
			return false
		}
	}
	for name, v := range got {
		if _, ok := want[name]; !ok && !ignored(name) && !blank(v) {
			return false
		}
	}
	return true
}

func sameValue(name string, want, got any) bool {
	switch name {
	case "wires":
		want, got = sortedWires(want), sortedWires(got)
	case "in", "out", "env":
		want, got = withoutLooks(want), withoutLooks(got)
	}
	a, errA := encode(want)
	b, errB := encode(got)
	if errA != nil || errB != nil {
		return false
	}
	return bytes.Equal(a, b) || blank(want) && blank(got)
}

// blank reports whether a value is one that the editor omits or writes for an
// empty field.
func blank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case float64:
		return v == 0
	case int:
		return v == 0
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !blank(e) })
	case map[string]any:
		return len(v) == 0
	}
	b, err := encode(v)
	return err == nil && (string(b) == "[]" || string(b) == "{}")
}

// withoutLooks returns the ports or the variables of a subflow without their
// positions and appearance.
func withoutLooks(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var list []node
	if json.Unmarshal(b, &list) != nil {
		return v
	}
	for _, n := range list {
		for _, name := range []string{"x", "y", "ui", "value"} {
			delete(n, name)
		}
	}
	return list
}

// sortedWires sorts the wires of each output, whose order does not matter.
func sortedWires(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var wires [][]string
	if json.Unmarshal(b, &wires) != nil {
		return v
	}
	for _, w := range wires {
		slices.Sort(w)
	}
	for len(wires) > 0 && len(wires[len(wires)-1]) == 0 {
		wires = wires[:len(wires)-1]
	}
	return wires
}

// markerPrefix begins segue's line in an info.
const markerPrefix = "segue-marker: "

// infoOf appends a marker to a description for people.
func infoOf(text string, marker any) (string, error) {
	b, err := json.Marshal(marker)
	return text + "\n\n" + markerPrefix + string(b) + "\n", err
}

// markerIn reads the last marker of an info, and reports whether there is one.
func markerIn(info string, marker any) bool {
	lines := strings.Split(info, "\n")
	for _, line := range slices.Backward(lines) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), markerPrefix); ok {
			return json.Unmarshal([]byte(rest), marker) == nil
		}
	}
	return false
}
