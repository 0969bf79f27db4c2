package message

import (
	"encoding/json"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
)

// Facts are what is known of an automation beside what is emitted: what it is compared
// by with the others of its project, which gives advice at the end of a run, and the
// targets that it is for.
type Facts struct {
	// Targets are the names of the targets that it is for, nil for all.
	Targets []string
	Call    string
	Event   string // of a track call; "" if it is known only when it is sent
	// User is the form of its userId, "" if it has none, or one that is the same in every message.
	User UserForm
	// Destinations are the names in its integrations, without All.
	Destinations []string
	// Fields are the traits, or the properties of a track call with a known event.
	Fields []FieldFact
	// Pending are codes that the automation allows and that nothing has made use
	// of so far.
	Pending []string
}

// A UserForm says by what a message names its user.
type UserForm string

// The forms of a userId.
const (
	ByEmail UserForm = "an email address"
	ByID    UserForm = "an id"
)

// userForm tells the form of a userId by the placeholders in it.
func userForm(v any) UserForm {
	text, _ := v.(string)
	t, err := automation.ParseTemplate(text)
	if err != nil || len(t.References()) == 0 {
		return ""
	}
	for _, r := range t.References() {
		if strings.Contains(finding.PlainName(r.Name), "email") {
			return ByEmail
		}
	}
	return ByID
}

// A FieldFact says which JSON type a trait or property has.
type FieldFact struct {
	// Name is the path below traits or properties. The steps are joined by
	// FactStep; an element of a list is factElement.
	Name string
	Kind JSONKind
}

const (
	// FactStep joins the steps of the name of a [FieldFact].
	FactStep    = "\x00"
	factElement = "\x01"
)

// A JSONKind is a JSON type: a bit of its own, so that several make a set.
type JSONKind uint8

const (
	textKind JSONKind = 1 << iota
	numberKind
	booleanKind
	listKind
	structKind
)

// KindWords are the JSON types for people.
var KindWords = map[JSONKind]string{textKind: "a string", numberKind: "a number", booleanKind: "true or false",
	listKind: "a list", structKind: "an object"}

// KindOf returns the type that a value of a payload has when it is sent, 0 for
// null.
func KindOf(v any) JSONKind {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "|") {
			if t, err := automation.ParseTemplate(v); err == nil {
				switch ref, _ := t.Lone(); ref.Cast {
				case automation.CastNumber:
					return numberKind
				case automation.CastBoolean:
					return booleanKind
				}
			}
		}
		return textKind
	case json.Number:
		return numberKind
	case bool:
		return booleanKind
	case []any:
		return listKind
	case map[string]any:
		return structKind
	}
	return 0
}

// Facts collects what an automation without errors is compared by.
func (m *Checked) Facts() Facts {
	f := Facts{Targets: m.only(), Call: m.Call, Pending: m.pending}
	if m.Call == "http" {
		return f
	}
	payload, _ := m.Raw["payload"].(map[string]any)
	f.User = userForm(payload["userId"])
	integrations, _ := payload["integrations"].(map[string]any)
	for _, name := range finding.SortedKeys(integrations) {
		if name != "All" {
			f.Destinations = append(f.Destinations, name)
		}
	}
	block := MessageBlock(m.Call)
	if block == "" {
		return f
	}
	if m.Call == "track" {
		event, _ := payload["event"].(string)
		if strings.Contains(event, "{{") {
			return f
		}
		f.Event = event
	}
	var seen map[FieldFact]bool // of elements of lists, which are all alike
	EachField(payload[block], func(name string, v any, _ finding.Path) bool {
		one := FieldFact{name, KindOf(v)}
		if strings.Contains(name, factElement) {
			if seen[one] {
				return true
			}
			if seen == nil {
				seen = map[FieldFact]bool{}
			}
			seen[one] = true
		}
		if one.Kind != 0 {
			f.Fields = append(f.Fields, one)
		}
		return true
	})
	return f
}

// MessageBlock is the field of a call's message that is the team's own.
func MessageBlock(call string) string {
	switch call {
	case "track", "page", "screen":
		return "properties"
	case "identify", "group":
		return "traits"
	}
	return ""
}

// EachField calls f with the fields within a value, in order and at any depth,
// until it returns false.
func EachField(v any, f func(name string, v any, at finding.Path) bool) {
	var walk func(prefix string, v any, at finding.Path) bool
	walk = func(prefix string, v any, at finding.Path) bool {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range finding.SortedKeys(v) {
				name, inner := prefix+k, append(at, k)
				if !f(name, v[k], inner) || !walk(name+FactStep, v[k], inner) {
					return false
				}
			}
		case []any:
			for i, e := range v {
				if !walk(prefix+factElement+FactStep, e, append(at, i)) {
					return false
				}
			}
		}
		return true
	}
	walk("", v, make(finding.Path, 0, 8))
}
