package message

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seguehq/segue/automation"
)

// Emit makes the automation. It is called when nothing is wrong with it.
func (m *Checked) Emit() (*automation.Automation, error) {
	text := func(k string) string { s, _ := m.Raw[k].(string); return s }
	flag := func(k string) bool { b, _ := m.Raw[k].(bool); return b }
	a := &automation.Automation{
		Key: m.Key, Name: text("name"), Enabled: flag("enabled"), Protect: flag("protect"),
		Action: automation.Request{Kind: automation.KindHTTPRequest, Method: "POST", URL: canonicalTemplate(m.url),
			Headers: m.headers},
	}
	trigger, _ := m.Raw["trigger"].(map[string]any)
	name, _ := trigger[string(m.Trigger)].(string)
	a.Trigger = automation.Trigger{Kind: m.Trigger, Name: name}
	if m.Call == "http" {
		a.Action.Method = text("method")
	}
	payload, ok := m.Raw["payload"]
	if !ok {
		delete(a.Action.Headers, "Content-Type")
		a.Placeholders = m.limits(a.Action)
		return a, nil
	}
	b, err := json.Marshal(canonicalTemplates(payload))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Key, err)
	}
	if a.Action.Payload, err = automation.CanonicalPayload(b); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Key, err)
	}
	a.Placeholders = m.limits(a.Action)
	return a, nil
}

// limits returns what the project declares of the placeholders that a request
// uses, nil for nothing.
func (m *Checked) limits(r automation.Request) map[string]automation.PlaceholderLimit {
	var limits map[string]automation.PlaceholderLimit
	for _, name := range r.PlaceholderNames() {
		if entry := m.Catalog[name]; entry.Declared {
			if limits == nil {
				limits = map[string]automation.PlaceholderLimit{}
			}
			limits[name] = automation.PlaceholderLimit{MaxLength: entry.MaxLength}
		}
	}
	return limits
}

// canonicalTemplates writes all placeholders of a value in their canonical form.
func canonicalTemplates(v any) any {
	switch v := v.(type) {
	case string:
		return canonicalTemplate(v)
	case []any:
		for i, e := range v {
			v[i] = canonicalTemplates(e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = canonicalTemplates(e)
		}
	}
	return v
}

// canonicalTemplate writes placeholders in their canonical form.
func canonicalTemplate(v string) string {
	if !strings.Contains(v, "{{") {
		return v
	}
	t, err := automation.ParseTemplate(v)
	if err != nil {
		return v
	}
	return t.String()
}
