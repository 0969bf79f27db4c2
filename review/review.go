package review

import (
	"encoding/json"
	"path"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// A Review is a plan prepared for display: all its strings are safe to print.
type Review struct {
	Plan *sync.Plan
	// Changes are the changes of automations, in the plan's order.
	Changes []Change
}

// A Change is a change of one automation, prepared for display.
type Change struct {
	Action sync.Action `json:"action"`
	Key    string      `json:"key"`
	// Folder is the key without its last part.
	Folder string `json:"folder"`
	Reason string `json:"reason,omitempty"`
	// Place is the automation's place in the code, "" if it is unknown.
	Place string `json:"place,omitempty"`
	// Trigger describes its trigger: `pattern "Account activated"`.
	Trigger string `json:"trigger,omitempty"`
	// Facts are about an automation that is created or deleted.
	Facts []Fact `json:"facts,omitempty"`
	// Payload is the payload of an automation that is created or deleted, as indented
	// JSON. Short is the same in one line.
	Payload []string `json:"payload,omitempty"`
	Short   string   `json:"short,omitempty"`
	// Fields are the fields that an update changes.
	Fields []Field `json:"fields,omitempty"`
	// Moves describes the move of its webhook, "" if it does not move.
	Moves string `json:"moves,omitempty"`
	// Others are the keys of further automations with the same update, in [Text] and [Markdown].
	Others []string `json:"-"`
	// Refused is the reason why apply will leave the change out, "" if it will
	// not.
	Refused string `json:"refused,omitempty"`
}

// A Fact is a property of an automation.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// New breaks a plan down.
func New(p *sync.Plan) *Review {
	r := &Review{Plan: p, Changes: make([]Change, len(p.Changes))}
	for i, c := range p.Changes {
		r.Changes[i] = changeOf(c)
	}
	return r
}

func changeOf(c sync.Change) Change {
	out := Change{Action: c.Action, Key: diagnostic.Printable(c.Key), Folder: diagnostic.Printable(path.Dir(c.Key)),
		Reason: diagnostic.Printable(reason(c)), Place: placeText(c.Place), Fields: fieldsOf(c.Differences)}
	if c.Address != nil {
		out.Moves = diagnostic.Printable("its webhook moves: " + c.Address.Before + " → " + c.Address.After)
	}
	if c.Taken != nil {
		out.Refused = diagnostic.Printable(taken(*c.Taken))
	}
	a := contentOf(c)
	if a == nil {
		return out
	}
	out.Trigger = diagnostic.Printable(string(a.Trigger.Kind) + " " + quoted(a.Trigger.Name))
	if c.Action != sync.Update {
		out.describe(*a, c.Endpoint)
	}
	return out
}

// contentOf returns the automation of a change, or nil if it can't be read.
func contentOf(c sync.Change) *automation.Automation {
	if c.Content != nil || c.Base == nil || c.Base.Content == nil {
		return c.Content
	}
	var a automation.Automation
	if json.Unmarshal(c.Base.Content, &a) != nil {
		return nil
	}
	return &a
}

// describe fills in the facts of an automation that is created or deleted.
func (c *Change) describe(a automation.Automation, endpoint string) {
	fact := func(name, value string) {
		if value != "" {
			c.Facts = append(c.Facts, Fact{name, diagnostic.Printable(value)})
		}
	}
	fact("source", c.Place)
	fact("name", a.Name)
	fact("trigger", string(a.Trigger.Kind)+" "+quoted(a.Trigger.Name))
	if !a.Enabled {
		fact("enabled", "no")
	}
	if a.Protect {
		fact("protected", "yes")
	}
	if endpoint != "" {
		fact("webhook", "POST "+endpoint)
	}
	fact("request", a.Action.Method+" "+a.Action.URL)
	if len(a.Action.Payload) > 0 {
		payload, err := automation.CanonicalPayload(a.Action.Payload)
		if err != nil {
			payload = a.Action.Payload
		}
		c.Short, c.Payload = line(payload), indented(payload)
		for i := range c.Payload {
			c.Payload[i] = diagnostic.Printable(c.Payload[i])
		}
	}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return s
	}
	return string(b)
}

// indent formats JSON for people.
func indent(v json.RawMessage) []byte { return automation.Indent(v) }
