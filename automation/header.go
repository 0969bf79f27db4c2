package automation

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// secretJSON is the JSON form of a reference to a secret: {"secret": "NAME"}.
type secretJSON struct {
	Secret string `json:"secret"`
}

// MarshalJSON writes a literal as a string and a reference as {"secret": NAME}.
func (c Credential) MarshalJSON() ([]byte, error) {
	if c.Secret != "" {
		return json.Marshal(secretJSON{c.Secret})
	}
	return json.Marshal(c.Text)
}

// UnmarshalJSON reads the output of MarshalJSON.
func (c *Credential) UnmarshalJSON(b []byte) error {
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '"' {
		*c = Credential{}
		return json.Unmarshal(b, &c.Text)
	}
	var s secretJSON
	if err := strictUnmarshal(b, &s); err != nil || s.Secret == "" {
		return errors.New(`a credential is a string or {"secret": "NAME"}`)
	}
	*c = Credential{Secret: s.Secret}
	return nil
}

// basicJSON is the canonical form of Basic credentials.
type basicJSON struct {
	Password Credential `json:"password"`
	Username Credential `json:"username"`
}

// schemeJSON is the canonical form of a header that names its scheme.
type schemeJSON struct {
	Basic  *basicJSON  `json:"basic,omitempty"`
	Bearer *Credential `json:"bearer,omitempty"`
}

// MarshalJSON writes the header as a string, {"secret": NAME},
// {"basic": {"username": ..., "password": ...}} or {"bearer": ...}.
func (h Header) MarshalJSON() ([]byte, error) {
	switch h.Scheme {
	case Basic:
		return json.Marshal(schemeJSON{Basic: &basicJSON{Username: h.Username, Password: h.Password}})
	case Bearer:
		return json.Marshal(schemeJSON{Bearer: &h.Value})
	default:
		return json.Marshal(h.Value)
	}
}

// UnmarshalJSON reads the output of MarshalJSON.
func (h *Header) UnmarshalJSON(b []byte) error {
	var s schemeJSON
	if err := strictUnmarshal(b, &s); err == nil {
		switch {
		case s.Basic != nil && s.Bearer == nil:
			*h = Header{Scheme: Basic, Username: s.Basic.Username, Password: s.Basic.Password}
			return nil
		case s.Bearer != nil && s.Basic == nil:
			*h = Header{Scheme: Bearer, Value: *s.Bearer}
			return nil
		}
	}
	*h = Header{}
	if err := h.Value.UnmarshalJSON(b); err != nil {
		return errors.New(`a header is a string, {"secret": "NAME"}, {"basic": {"username": ..., "password": ...}} or {"bearer": ...}`)
	}
	return nil
}

// SecretNames returns the names of the secrets that the header refers to.
func (h Header) SecretNames() []string {
	var names []string
	for _, c := range []Credential{h.Value, h.Username, h.Password} {
		if c.Secret != "" {
			names = append(names, c.Secret)
		}
	}
	return names
}

// resolve returns the header's value as sent, before placeholders are filled
// in. literal reports whether it may contain placeholders.
func (h Header) resolve(secret SecretLookup) (value string, literal bool, err error) {
	text := func(c Credential) string {
		if c.Secret == "" {
			return c.Text
		}
		s, ok := secret(c.Secret)
		if !ok {
			err = fmt.Errorf("the secret %s has no value", c.Secret)
		}
		return s.Reveal()
	}
	switch h.Scheme {
	case Basic:
		// RFC 7617. For Segment, the user name is the write key, and the password
		// is empty.
		if strings.Contains(text(h.Username), ":") {
			return "", false, errors.New("the user name of Basic credentials contains a colon, which would begin the password")
		}
		value = "Basic " + base64.StdEncoding.EncodeToString([]byte(text(h.Username)+":"+text(h.Password)))
	case Bearer:
		value = "Bearer " + text(h.Value)
	default:
		value, literal = text(h.Value), h.Value.Secret == ""
	}
	return value, literal, err
}

// SecretNames returns the names of all secrets that the automation refers to,
// sorted and without duplicates.
func (a Automation) SecretNames() []string {
	var names []string
	for _, h := range a.Action.Headers {
		names = append(names, h.SecretNames()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// strictUnmarshal refuses fields that v does not have.
func strictUnmarshal(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// String returns the header without any secret: it shows a reference as
// "(secret NAME)".
func (h Header) String() string {
	show := func(c Credential) string {
		if c.Secret != "" {
			return "(secret " + c.Secret + ")"
		}
		return c.Text
	}
	switch h.Scheme {
	case Basic:
		return "Basic base64(" + show(h.Username) + ":" + show(h.Password) + ")"
	case Bearer:
		return "Bearer " + show(h.Value)
	default:
		return show(h.Value)
	}
}
