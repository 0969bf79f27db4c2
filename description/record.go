package description

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// A Record is what a marker says.
type Record struct {
	Project string `json:"project"`
	Key     string `json:"key"`
	Hash    string `json:"hash"`
	// Made is the hash of what the platform has made of that, "" if it has stored
	// what it was sent.
	Made string `json:"made,omitempty"`
	// ID is the identifier of the object that the marker was written for: a copy has
	// another one. It is not known before the object is there, so that a new one has
	// a Nonce alone, which is different for each create.
	ID      string `json:"id,omitempty"`
	Nonce   string `json:"nonce,omitempty"`
	Protect bool   `json:"protect,omitempty"`
	// Placeholders are the automation's: they say what its values have to keep to.
	Placeholders map[string]automation.PlaceholderLimit `json:"placeholders,omitempty"`
	// Headers are those that are more than a text: the platform holds what they
	// come to, which does not tell what they were.
	Headers map[string]automation.Header `json:"headers,omitempty"`
	// Secrets are what tells whether a secret has another value by now, by the
	// secret's name.
	Secrets map[string]string `json:"secrets,omitempty"`
}

// RecordOf returns the record of an automation, without what its secrets need.
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

// MarkerText returns the text that stands for a record.
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

// recordIn finds a record in a text that people may have written to as well.
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

// Damaged reports whether an object has a marker of the project that can't be
// read: the platform, or somebody, has cut it off or changed it.
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

// hiddenHeader stands for the value of a header that the platform hides and segue
// knows nothing of.
const hiddenHeader = "(hidden)"

// Restore puts an automation together from what an object says and what its
// marker says.
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
