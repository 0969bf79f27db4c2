package description

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// A Record is the content of a marker.
type Record struct {
	Project string `json:"project"`
	Key     string `json:"key"`
	Hash    string `json:"hash"`
	// Made is the hash of the automation as the platform changed it, or "" if the
	// platform stored it unchanged.
	Made string `json:"made,omitempty"`
	// ID is the identifier of the object that the marker was written for: a copy has
	// another identifier. It is unknown before the object exists, so a new marker
	// only has a Nonce, which differs for each create.
	ID    string `json:"id,omitempty"`
	Nonce string `json:"nonce,omitempty"`
	// Seal is a digest of Project, Key and ID, "" without an ID. It shows that somebody
	// has edited one of them.
	Seal    string `json:"seal,omitempty"`
	Protect bool   `json:"protect,omitempty"`
	// Placeholders are the limits of the automation's values by placeholder.
	Placeholders map[string]automation.PlaceholderLimit `json:"placeholders,omitempty"`
	// Headers are the headers that are not plain strings: the platform only
	// holds their resulting values.
	Headers map[string]automation.Header `json:"headers,omitempty"`
	// Secrets are fingerprints by the secrets' names. They show whether a
	// secret's value has changed.
	Secrets map[string]string `json:"secrets,omitempty"`
}

// RecordOf returns the record of an automation, without the fingerprints of its
// secrets.
func RecordOf(project string, a automation.Automation, hash string) Record {
	r := Record{Project: project, Key: a.Key, Hash: hash, Protect: a.Protect, Placeholders: a.Placeholders}
	for name, h := range a.Action.Headers {
		if h.Scheme != "" || h.Value.Secret != "" {
			if r.Headers == nil {
				r.Headers = map[string]automation.Header{}
			}
			r.Headers[name] = h
		}
	}
	return r
}

// MarkerText returns the marker of a record, as a string.
func (p *Platform) MarkerText(r Record) (string, error) {
	b, err := marshal(r)
	return p.Marker.Prefix + string(b), err
}

// Record returns the record in an object of the platform, if it has one.
func (p *Platform) Record(object any) (Record, bool) {
	v, _ := p.Marker.Field.Look(object)
	switch v := v.(type) {
	case string:
		return p.recordIn(v)
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				if r, ok := p.recordIn(s); ok {
					return r, true
				}
			}
		}
	}
	return Record{}, false
}

// recordIn finds a record in a string that people may have edited too.
func (p *Platform) recordIn(text string) (Record, bool) {
	for {
		_, after, found := strings.Cut(text, p.Marker.Prefix)
		if !found {
			return Record{}, false
		}
		var r Record
		if json.NewDecoder(strings.NewReader(after)).Decode(&r) == nil && r.Project != "" && r.Key != "" {
			return r, true
		}
		text = after
	}
}

// Damaged reports whether an object has an unreadable marker of the project:
// the platform, or somebody, has truncated or changed it.
func (p *Platform) Damaged(object any, project string) bool {
	if _, ok := p.Record(object); ok {
		return false
	}
	name, err := marshal(project)
	if err != nil {
		return false
	}
	begin := p.Marker.Prefix + `{"project":` + string(name) + ","
	v, _ := p.Marker.Field.Look(object)
	texts, ok := v.([]any)
	if !ok {
		texts = []any{v}
	}
	return slices.ContainsFunc(texts, func(v any) bool {
		text, _ := v.(string)
		return strings.Contains(text, begin)
	})
}

// hiddenHeader is shown as the value of a header that the platform hides and
// segue does not know.
const hiddenHeader = "(hidden)"

// Restore builds an automation from the content of an object and its marker.
func (p *Platform) Restore(c Content, r Record) automation.Automation {
	a := c.Automation
	a.Key, a.Protect, a.Placeholders = r.Key, r.Protect, r.Placeholders
	a.Action.Headers = map[string]automation.Header{}
	for name, value := range c.Headers {
		text := hiddenHeader
		if value != nil {
			text = *value
		}
		a.Action.Headers[name] = automation.Header{Value: automation.Credential{Text: text}}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		h := r.Headers[name]
		value, there := c.Headers[name]
		if len(h.SecretNames()) > 0 {
			if there || !p.Secrets.Named {
				a.Action.Headers[name] = h
			}
			continue
		}
		text, err := HeaderText(h, nil)
		if err == nil && value != nil && *value == text {
			a.Action.Headers[name] = h
		}
	}
	return a
}
