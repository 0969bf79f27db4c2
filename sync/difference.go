package sync

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/wI2L/jsondiff"

	"github.com/seguehq/segue/automation"
)

// hidden stands in a difference for text that is or may be a secret.
const hidden = "(hidden)"

// A Difference is one field of an automation that an update changes.
type Difference struct {
	// Path is where in the automation's canonical JSON, for example
	// `action.payload.traits.name`, `action.headers."Content-Type"` or
	// `action.payload.products[0]`. A header is shown whole. It is empty where
	// the stored automation can't be read and all of it is replaced.
	Path string `json:"path"`
	// Before is the JSON value on the platform, After the desired one; nil
	// where there is none. A text that holds a secret's value, or that stands
	// where credentials belong, is replaced by "(hidden)".
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// differences compares two automations by their canonical JSON, in the order
// of their paths there.
func differences(actual, want automation.Automation, secrets map[string]automation.Secret) ([]Difference, error) {
	after, err := want.Canonical()
	if err != nil {
		return nil, err
	}
	before, err := actual.Canonical()
	if err != nil {
		// What is stored can't be read: all of it is replaced.
		return []Difference{{After: after}}, nil
	}
	patch, err := jsondiff.CompareJSON(before, after)
	if err != nil {
		return nil, err
	}
	var docs [2]any
	for i, b := range [][]byte{before, after} {
		if err := json.Unmarshal(b, &docs[i]); err != nil {
			return nil, err
		}
	}
	c := comparison{before: docs[0], after: docs[1], mask: automation.MaskOf(secrets), seen: map[string]int{}}
	for _, op := range patch {
		if err := c.add(op); err != nil {
			return nil, err
		}
	}
	return c.found, nil
}

// A comparison turns the operations of a JSON patch into differences.
type comparison struct {
	before, after any
	mask          *automation.Mask
	seen          map[string]int
	found         []Difference
}

func (c *comparison) add(op jsondiff.Operation) error {
	path := strings.Split(op.Path, "/")[1:]
	for i := range path {
		path[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(path[i])
	}
	before, after := op.OldValue, op.Value
	hasBefore, hasAfter := op.Type != jsondiff.OperationAdd, op.Type != jsondiff.OperationRemove
	if isHeader(path) {
		// Half of a credential says little; show the header whole.
		path = path[:3]
		before, hasBefore = lookUp(c.before, path)
		after, hasAfter = lookUp(c.after, path)
		before, after = hideCredentials(path[2], before, after)
	}
	pointer := strings.Join(path, "/")
	if list, ok := lookUp(c.before, path[:len(path)-1]); ok && (!hasBefore || !hasAfter) {
		// A patch is applied step by step, so all that is added to the end of a
		// list, or taken from it, has the same path. Count them.
		if list, ok := list.([]any); ok {
			last := &path[len(path)-1]
			i, err := strconv.Atoi(*last)
			if err != nil {
				i = len(list)
			}
			*last = strconv.Itoa(i + c.seen[pointer])
		}
	}
	c.seen[pointer]++
	if isHeader(path) && c.seen[pointer] > 1 {
		return nil
	}
	d := Difference{Path: c.format(path)}
	var err error
	if hasBefore {
		d.Before, err = encode(c.hide(before))
	}
	if hasAfter && err == nil {
		d.After, err = encode(c.hide(after))
	}
	c.found = append(c.found, d)
	return err
}

func isHeader(path []string) bool {
	return len(path) > 2 && path[0] == "action" && path[1] == "headers"
}

// lookUp follows a path through a JSON value.
func lookUp(doc any, path []string) (any, bool) {
	for _, step := range path {
		switch v := doc.(type) {
		case map[string]any:
			next, ok := v[step]
			if !ok {
				return nil, false
			}
			doc = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			doc = v[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

var plainField = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// format writes a path the way CUE does.
func (c *comparison) format(path []string) string {
	var b strings.Builder
	for i, step := range path {
		// The first two are the canonical form's own, as in action.payload.
		if i > 1 && c.mask.Finds(step) {
			step = hidden
		}
		parent, ok := lookUp(c.before, path[:i])
		if !ok {
			parent, _ = lookUp(c.after, path[:i])
		}
		_, list := parent.([]any)
		switch {
		case list:
			fmt.Fprintf(&b, "[%s]", step)
			continue
		case i > 0:
			b.WriteByte('.')
		}
		if plainField.MatchString(step) {
			b.WriteString(step)
		} else {
			b.WriteString(strconv.Quote(step))
		}
	}
	return b.String()
}

// credentialHeader matches the names of headers whose literal value is likely
// to be a credential that somebody has pasted.
var credentialHeader = regexp.MustCompile(`(?i)auth|cookie|token|secret|key|password|signature`)

// hideCredentials hides the literal text in both values of a header if either
// refers to a secret or has credentials in it, or the name suggests it: where
// the code has a reference, text on the platform may well be its value.
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

// hideLiterals replaces every text but the names of secrets.
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

// hide replaces every text, and every field name, that gives a secret away.
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

// encode marshals a value without escaping what only HTML cares about.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
