package sync

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/seguehq/segue/automation"
)

// hidden replaces text in a difference that is or may be a secret.
const hidden = "(hidden)"

// A Difference is one field of an automation that an update changes.
type Difference struct {
	// Path is the path in the automation's canonical JSON, for example
	// `action.payload.traits.name`, `action.headers."Content-Type"` or
	// `action.payload.products[0]`. A header is shown whole. An element of a list is
	// counted in the desired list, or in the stored one if it is only there. The path
	// is empty where the stored automation can't be read and all of it is replaced.
	Path string `json:"path"`
	// Before is the JSON value on the platform, After the desired one; nil if
	// there is none. A string that contains a secret's value, or is in a place
	// for credentials, is replaced by "(hidden)".
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	// Place is the place in the code, nil if it is unknown.
	Place *Place `json:"place,omitempty"`
}

// A Place is a line of the author's files.
type Place struct {
	// File is relative to the project, with slashes.
	File string `json:"file"`
	// Line counts from 1.
	Line int `json:"line"`
}

// String gives both, as in "growth/growth.cue:12".
func (p Place) String() string { return p.File + ":" + strconv.Itoa(p.Line) }

// Compare returns the differences between two JSON values, in the order of their paths.
// Lists are compared by their elements: an inserted element is one difference.
func Compare(before, after json.RawMessage) ([]Difference, error) {
	c := comparison{mask: &automation.Mask{}}
	if err := c.texts(before, after); err != nil {
		return nil, err
	}
	return c.found, c.err
}

// differences compares two automations by their canonical JSON.
func differences(actual, want automation.Automation, secrets map[string]automation.Secret) ([]Difference, error) {
	c := comparison{mask: automation.MaskOf(secrets), headers: true}
	return c.automations(actual, want)
}

// automations compares two automations.
func (c *comparison) automations(actual, want automation.Automation) ([]Difference, error) {
	after, err := want.Canonical()
	if err != nil {
		return nil, err
	}
	before, err := actual.Canonical()
	if err != nil {
		// The stored automation can't be read: all of it is replaced.
		return []Difference{{After: after}}, nil
	}
	if err := c.texts(before, after); err != nil {
		return nil, err
	}
	return c.found, c.err
}

// shownContent returns an automation's canonical JSON without any secret, nil if it has
// none. Header values that may be credentials are hidden as in a [Difference].
func shownContent(a automation.Automation, secrets map[string]automation.Secret) json.RawMessage {
	b, err := a.Canonical()
	if err != nil {
		return nil
	}
	doc, err := decode(b)
	if err != nil {
		return nil
	}
	c := comparison{mask: automation.MaskOf(secrets)}
	if headers, ok := lookUp(doc, "action", "headers").(map[string]any); ok {
		for name, value := range headers {
			headers[name], _ = hideCredentials(name, value, value)
		}
	}
	shown, err := encode(c.hide(doc))
	if err != nil {
		return nil
	}
	return shown
}

// lookUp follows field names through decoded JSON, nil if there is no such field.
func lookUp(doc any, path ...string) any {
	for _, name := range path {
		fields, _ := doc.(map[string]any)
		doc = fields[name]
	}
	return doc
}

var plainField = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// format writes a path the way CUE does. Its steps are field names and indices.
func (c *comparison) format(path []any) string {
	var b strings.Builder
	for i, step := range path {
		name, isField := step.(string)
		switch {
		case !isField:
			fmt.Fprintf(&b, "[%d]", step)
			continue
		case i > 0:
			b.WriteByte('.')
		}
		// The first two are the canonical form's own, as in action.payload.
		if (i > 1 || !c.headers) && c.mask.Finds(name) {
			name = hidden
		}
		if plainField.MatchString(name) {
			b.WriteString(name)
		} else {
			b.WriteString(strconv.Quote(name))
		}
	}
	return b.String()
}

// credentialHeader matches the names of headers whose literal value is likely
// to be a credential that somebody has pasted.
var credentialHeader = regexp.MustCompile(`(?i)auth|cookie|token|secret|key|password|signature`)

// hideCredentials hides the literal text in both values of a header if either
// refers to a secret or contains credentials, or if the name suggests it: if
// the code has a reference, text on the platform may be its value.
func hideCredentials(name string, before, after any) (any, any) {
	_, structured := before.(map[string]any)
	if !structured {
		_, structured = after.(map[string]any)
	}
	if !structured && !credentialHeader.MatchString(name) {
		return before, after
	}
	return hideLiterals(before), hideLiterals(after)
}

// hideLiterals replaces every string but the names of secrets.
func hideLiterals(v any) any {
	switch v := v.(type) {
	case string:
		if v != "" {
			return hidden
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, value := range v {
			if k != "secret" {
				value = hideLiterals(value)
			}
			out[k] = value
		}
		return out
	}
	return v
}

// hide replaces every string, and every field name, that reveals a secret.
func (c *comparison) hide(v any) any {
	switch v := v.(type) {
	case string:
		if c.mask.Finds(v) {
			return hidden
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = c.hide(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[c.mask.Hide(k)] = c.hide(v[k])
		}
		return out
	}
	return v
}
