// Package automation is segue's domain: automations, the parsing and filling in
// of their placeholders, and their canonical JSON, which every other part of
// segue uses.
//
// An [Automation] has a name, a [Trigger] and a [Request]. The request's
// payload, URL and header values may hold placeholders such as {{userId}};
// [ParseTemplate] reads them, [Request.Render] fills them in. A [Document] is a
// project's automations in canonical order; [Document.Canonical] gives its
// RFC 8785 bytes, and [Automation.Hash] identifies one automation by content.
//
// The package imports nothing else of segue.
package automation

import (
	"encoding/json"
	"slices"
)

// APIVersion is the version of the layout of a [Document]. A reader refuses
// other versions.
const APIVersion = "segue/v1"

// KindHTTPRequest is the only kind of action.
const KindHTTPRequest = "http_request"

// A Document is the compiled form of a project.
type Document struct {
	// Project is the project's name in segue.cue.
	Project string
	// Automations is sorted by key; a key appears once.
	Automations []Encoded
}

// An Automation sends a request when its trigger happens.
type Automation struct {
	// Action is the request that is sent.
	Action Request `json:"action"`
	// Enabled says whether the trigger fires the automation. A disabled one is
	// kept on the platform, switched off.
	Enabled bool `json:"enabled"`
	// Key identifies the automation in its project, for example
	// "growth/account-activated". It never changes while the automation lives.
	Key string `json:"key"`
	// Name is the name that people see on the platform.
	Name string `json:"name"`
	// Placeholders holds, by name, the limits of placeholders that the automation
	// uses. It has only those for which the project's code declares a limit.
	Placeholders map[string]PlaceholderLimit `json:"placeholders,omitempty"`
	// Protect makes a plan that would delete the automation fail. It is stored
	// on the platform, so that it still holds after the code is gone.
	Protect bool `json:"protect,omitempty"`
	// Trigger starts the automation.
	Trigger Trigger `json:"trigger"`
}

// A PlaceholderLimit limits the values that a platform may fill in for a
// placeholder.
type PlaceholderLimit struct {
	// MaxLength is the maximum length of the value, in bytes of JSON text
	// without the quotes of a string. A longer value is refused, and nothing is
	// sent.
	MaxLength int `json:"maxLength"`
}

// A TriggerKind is a kind of trigger.
type TriggerKind string

// The kinds of trigger.
const (
	// Pattern is a usage pattern that the platform has detected.
	Pattern TriggerKind = "pattern"
	// Journey is a journey that a user has completed.
	Journey TriggerKind = "journey"
)

// A Trigger is a pattern or a journey, by its name on the platform.
type Trigger struct {
	Kind TriggerKind `json:"kind"`
	Name string      `json:"name"`
}

// DeepestPayload is the maximum nesting of objects and lists in a payload. Most
// JSON readers fail beyond 10,000 levels, and a payload itself is nested: in an
// automation, a list, an answer.
const DeepestPayload = 1000

// A Request is the HTTP request that an automation sends.
type Request struct {
	// Headers are keyed by canonical MIME name ("Content-Type").
	Headers map[string]Header `json:"headers"`
	// Kind is always KindHTTPRequest.
	Kind string `json:"kind"`
	// Method is in upper case: "POST".
	Method string `json:"method"`
	// Payload is the JSON body in canonical form, its strings being templates.
	// Nil means no body.
	Payload json.RawMessage `json:"payload,omitempty"`
	// URL is absolute. Placeholders are allowed in its path and query.
	URL string `json:"url"`
}

// PlaceholderNames returns the names of the request's placeholders, sorted and
// without duplicates. It leaves out malformed ones.
func (r Request) PlaceholderNames() []string {
	var names []string
	add := func(text string) {
		t, _ := ParseTemplate(text)
		for _, ref := range t.References() {
			names = append(names, ref.Name)
		}
	}
	add(r.URL)
	for _, h := range r.Headers {
		if h.Scheme == "" && h.Value.Secret == "" { // credentials hold no placeholders
			add(h.Value.Text)
		}
	}
	var payload any
	if r.Payload != nil && json.Unmarshal(r.Payload, &payload) == nil {
		eachString(payload, add)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// eachString calls f with every string in decoded JSON that is not a field's name.
func eachString(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			eachString(e, f)
		}
	case map[string]any:
		for _, e := range v {
			eachString(e, f)
		}
	}
}

// A Header is the value of one HTTP header: a string that may contain
// placeholders, a secret by its name, or credentials of the Basic or Bearer
// scheme. The zero Header is the empty string.
type Header struct {
	// Scheme is empty for a plain value.
	Scheme AuthScheme
	// Value is the whole value when Scheme is empty, the token when it is Bearer.
	Value Credential
	// Username and Password are set when Scheme is Basic.
	Username, Password Credential
}

// An AuthScheme is a scheme of the Authorization header. segue builds the
// header from credentials, so a secret can remain a reference.
type AuthScheme string

// The schemes.
const (
	Basic  AuthScheme = "basic"
	Bearer AuthScheme = "bearer"
)

// A Credential is a literal string or a reference to a secret, never both.
type Credential struct {
	// Text is the literal. It may contain placeholders if the credential is a
	// whole header value.
	Text string
	// Secret is the name of a secret, such as "SEGMENT_WRITE_KEY". Its value
	// is never part of an automation.
	Secret string
}
