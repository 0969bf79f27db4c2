package description

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	cuejson "cuelang.org/go/encoding/json"

	"github.com/seguehq/segue/automation"
)

// A mapping evaluates encode and decode: it fills in the input and reads the
// output.
type mapping struct {
	lock           *sync.Mutex
	encode, decode cue.Value
}

// An Input is the input of encode.
type Input struct {
	Automation automation.Automation
	// Marker is the result of [Platform.MarkerText].
	Marker  string
	Project string
	// Secret gives the values of the secrets that headers refer to.
	Secret automation.SecretLookup
}

// sentHeader is a header in the input of encode.
type sentHeader struct {
	Value  string `json:"value"`
	Secret bool   `json:"secret"`
}

// Encode returns the platform's object of an automation, as decoded JSON with
// numbers as json.Number.
func (p *Platform) Encode(in Input) (any, error) { return p.encoded(in, "object") }

// encoded evaluates one of encode's outputs. It returns nil if there is no such
// output.
func (p *Platform) encoded(in Input, output string) (any, error) {
	if err := p.fits(in.Automation); err != nil {
		return nil, err
	}
	headers := map[string]sentHeader{}
	for name, h := range in.Automation.Action.Headers {
		text, err := HeaderText(h, in.Secret)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		headers[name] = sentHeader{Value: text, Secret: len(h.SecretNames()) > 0}
	}
	p.mapping.lock.Lock()
	defer p.mapping.lock.Unlock()
	v, err := fill(p.mapping.encode, map[string]any{"automation": in.Automation, "marker": in.Marker, "headers": headers, "project": in.Project})
	if err != nil {
		return nil, err
	}
	if v = v.LookupPath(cue.MakePath(cue.Str(output))); !v.Exists() && output != "object" {
		return nil, nil
	}
	return read(v)
}

// fits checks that the platform supports an automation.
func (p *Platform) fits(a automation.Automation) error {
	has := func(list []string, name string) bool {
		if len(list) == 0 {
			return true
		}
		for _, s := range list {
			if s == name {
				return true
			}
		}
		return false
	}
	if !has(p.Only.Methods, a.Action.Method) {
		return fmt.Errorf("the platform can't send a request with the method %s", a.Action.Method)
	}
	if !has(p.Only.Triggers, string(a.Trigger.Kind)) {
		return fmt.Errorf("the platform does not support triggers of the kind %s", a.Trigger.Kind)
	}
	return nil
}

// HeaderText returns a header's value as sent, before placeholders are filled
// in.
func HeaderText(h automation.Header, secret automation.SecretLookup) (string, error) {
	var missing error
	text := func(c automation.Credential) string {
		if c.Secret == "" {
			return c.Text
		}
		value, ok := secret(c.Secret)
		if !ok {
			missing = fmt.Errorf("the value of the secret %s is not available", c.Secret)
		}
		return value.Reveal()
	}
	switch h.Scheme {
	case automation.Basic:
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(text(h.Username)+":"+text(h.Password))), missing
	case automation.Bearer:
		return "Bearer " + text(h.Value), missing
	default:
		return text(h.Value), missing
	}
}

// Content is the output of decode.
type Content struct {
	// Automation has the key from decode, if any. It is not protected, and has no
	// headers.
	Automation automation.Automation
	// Headers are the values by name; nil for a hidden value.
	Headers map[string]*string
}

// content is decode's output.
type content struct {
	Key     string             `json:"key"`
	Name    string             `json:"name"`
	Enabled *bool              `json:"enabled"`
	Trigger automation.Trigger `json:"trigger"`
	Action  struct {
		Method  string             `json:"method"`
		URL     string             `json:"url"`
		Headers map[string]*string `json:"headers"`
		Payload json.RawMessage    `json:"payload"`
	} `json:"action"`
}

// Decode returns the automation in an object of the platform. The object is
// decoded JSON with numbers as json.Number.
func (p *Platform) Decode(object any) (Content, error) {
	p.mapping.lock.Lock()
	defer p.mapping.lock.Unlock()
	v, err := fill(p.mapping.decode, map[string]any{"object": object})
	if err != nil {
		return Content{}, err
	}
	b, err := v.LookupPath(cue.MakePath(cue.Str("automation"))).MarshalJSON()
	if err != nil {
		return Content{}, err
	}
	var c content
	if err := json.Unmarshal(b, &c); err != nil {
		return Content{}, typeError(err)
	}
	return c.result()
}

// DecodeParts reads the readable parts of an object that Decode can't read,
// because the platform has changed or dropped a part of it. The parts are the
// same as those from Decode.
func (p *Platform) DecodeParts(object any) Content {
	p.mapping.lock.Lock()
	defer p.mapping.lock.Unlock()
	var c content
	c.Enabled = new(bool)
	v, err := fill(p.mapping.decode, map[string]any{"object": object})
	if err != nil {
		return Content{}
	}
	for path, into := range map[string]any{
		"name": &c.Name, "enabled": c.Enabled, "trigger.kind": &c.Trigger.Kind, "trigger.name": &c.Trigger.Name,
		"action.method": &c.Action.Method, "action.url": &c.Action.URL, "action.headers": &c.Action.Headers, "action.payload": &c.Action.Payload,
	} {
		at := v.LookupPath(cue.ParsePath("automation." + path))
		if b, err := at.MarshalJSON(); err == nil {
			_ = json.Unmarshal(b, into) // leave out values of a wrong type
		}
	}
	out, err := c.result()
	if err != nil {
		return Content{}
	}
	return out
}

// result returns the content in canonical form.
func (c content) result() (out Content, err error) {
	if c.Enabled == nil {
		return Content{}, errors.New("decode returns no automation.enabled")
	}
	out = Content{Headers: map[string]*string{}, Automation: automation.Automation{Key: c.Key, Name: c.Name, Enabled: *c.Enabled, Trigger: c.Trigger,
		Action: automation.Request{Kind: automation.KindHTTPRequest, Method: c.Action.Method, URL: c.Action.URL}}}
	for name, value := range c.Action.Headers {
		out.Headers[textproto.CanonicalMIMEHeaderKey(name)] = value
	}
	if len(c.Action.Payload) > 0 && string(c.Action.Payload) != "null" {
		if out.Automation.Action.Payload, err = automation.CanonicalPayload(c.Action.Payload); err != nil {
			return Content{}, fmt.Errorf("decode returns a payload that is not JSON: %w", err)
		}
	}
	return out, nil
}

// typeError describes a wrong type in decode's output.
func typeError(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("decode returns a %s for automation.%s", wrong.Value, wrong.Field)
	}
	return err
}

// Trigger decodes an object of a list of triggers.
func (p *Platform) Trigger(list TriggerList, object any) (automation.Trigger, error) {
	p.mapping.lock.Lock()
	defer p.mapping.lock.Unlock()
	var t automation.Trigger
	v, err := fill(list.decode, map[string]any{"object": object})
	if err != nil {
		return t, err
	}
	if err := decodeInto(v.LookupPath(cue.MakePath(cue.Str("trigger"))), &t); err != nil {
		return t, err
	}
	if t.Kind != automation.Pattern && t.Kind != automation.Journey || t.Name == "" {
		return t, fmt.Errorf("decode returns the trigger %q %q; a trigger is a pattern or a journey with a name", t.Kind, t.Name)
	}
	return t, nil
}

// fill fills in the inputs that a value declares.
func fill(v cue.Value, inputs map[string]any) (cue.Value, error) {
	for _, name := range sortedKeys(inputs) {
		if !v.LookupPath(cue.MakePath(cue.Str(name))).Exists() {
			continue
		}
		b, err := marshal(inputs[name])
		if err != nil {
			return v, err
		}
		if bytes.Contains(b, []byte(byteOrderMark)) {
			if b, err = withoutMarks(b); err != nil {
				return v, err
			}
		}
		expr, err := cuejson.Extract("", b)
		if err != nil {
			return v, err
		}
		v = v.FillPath(cue.MakePath(cue.Str(name)), cuecontext.New().BuildExpr(expr))
	}
	return v, nil
}

// CUE refuses JSON with this character unescaped, even in a string.
const (
	byteOrderMark        = "\ufeff"
	escapedByteOrderMark = `\ufeff`
)

// withoutMarks escapes byte order marks, also those in strings that are JSON
// themselves, which a mapping may read with json.Unmarshal. In JSON they occur
// only in strings, so the meaning stays the same.
func withoutMarks(b []byte) ([]byte, error) {
	v, err := Parse(b)
	if err != nil {
		return nil, err
	}
	if b, err = marshal(inner(v)); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(b, []byte(byteOrderMark), []byte(escapedByteOrderMark)), nil
}

// inner escapes the marks in strings that are JSON.
func inner(v any) any {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, byteOrderMark) && json.Valid([]byte(v)) {
			return strings.ReplaceAll(v, byteOrderMark, escapedByteOrderMark)
		}
	case []any:
		for i := range v {
			v[i] = inner(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = inner(v[name])
		}
	}
	return v
}

// read returns a concrete value as decoded JSON.
func read(v cue.Value) (any, error) {
	b, err := v.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return Parse(b)
}

// Parse decodes JSON with numbers as json.Number.
func Parse(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// marshal encodes a value without escaping for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// asymmetric reports whether the platform returns something else than it was
// sent.
func (p *Platform) asymmetric() bool {
	p.mapping.lock.Lock()
	defer p.mapping.lock.Unlock()
	return p.mapping.encode.LookupPath(cue.MakePath(cue.Str("returned"))).Exists()
}
