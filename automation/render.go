package automation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A SecretLookup returns the value of a secret by its name.
type SecretLookup func(name string) (Secret, bool)

// Rendered is a request that is ready to send.
type Rendered struct {
	Method string
	URL    string
	// Header holds the values of secrets: send it, but do not show it.
	Header http.Header
	// Body is JSON, nil if the request has none.
	Body []byte
}

// Render fills in the placeholders. Values are decoded JSON by placeholder
// name; numbers may be json.Number. Every value is data: it becomes part of a
// JSON string in the payload, and is percent-encoded in the URL, so no value
// can change the message around it. Render fails if a value is missing, can't
// be cast, or is not allowed in a header.
func (r Request) Render(values map[string]any, secret SecretLookup) (Rendered, error) {
	target, err := renderURL(r.URL, values)
	if err != nil {
		return Rendered{}, fmt.Errorf("url: %w", err)
	}
	out := Rendered{Method: r.Method, URL: target, Header: make(http.Header, len(r.Headers))}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		value, err := renderHeader(r.Headers[name], values, secret)
		if err != nil {
			return Rendered{}, fmt.Errorf("header %s: %w", name, err)
		}
		out.Header.Set(name, value)
	}
	if r.Payload != nil {
		if out.Body, err = RenderPayload(r.Payload, values); err != nil {
			return Rendered{}, err
		}
	}
	return out, nil
}

// RenderPayload fills in the placeholders of a JSON payload. Errors name the
// field, as in "payload.traits.age".
func RenderPayload(payload json.RawMessage, values map[string]any) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	tree, err := renderValue(tree, "payload", values)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// renderValue returns the value with all templates in it filled in.
func renderValue(v any, path string, values map[string]any) (any, error) {
	switch v := v.(type) {
	case string:
		t, err := ParseTemplate(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out, err := t.Fill(values)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			var err error
			if out[i], err = renderValue(e, path+"["+strconv.Itoa(i)+"]", values); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			var err error
			if out[k], err = renderValue(v[k], path+"."+k, values); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

// Fill fills in the template. It returns a string, or a json.Number or bool if
// the template is a single placeholder with a cast.
func (t Template) Fill(values map[string]any) (any, error) {
	if ref, lone := t.Lone(); lone && ref.Cast != NoCast {
		v, ok := values[ref.Name]
		if !ok || v == nil {
			return nil, missingValue(ref)
		}
		return cast(ref, v)
	}
	return t.fillText(values, func(s string) (string, error) { return s, nil })
}

// fillText fills in every placeholder as text, after escape has seen its value.
func (t Template) fillText(values map[string]any, escape func(string) (string, error)) (string, error) {
	var b strings.Builder
	for i, text := range t.texts {
		b.WriteString(text)
		if i == len(t.references) {
			break
		}
		ref := t.references[i]
		v, ok := values[ref.Name]
		if !ok || v == nil {
			return "", missingValue(ref)
		}
		s, ok := textOf(v)
		if !ok {
			return "", fmt.Errorf("the value of {{%s}} is not a string, a number or a boolean", ref.Name)
		}
		s, err := escape(s)
		if err != nil {
			return "", fmt.Errorf("the value of {{%s}} %w", ref.Name, err)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func missingValue(ref Reference) error {
	return fmt.Errorf("no value for placeholder {{%s}}", ref.Name)
}

// textOf returns a scalar as it is written in a string.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

// cast converts a value, which may also be a string, to a number or a boolean.
func cast(ref Reference, v any) (any, error) {
	text, ok := textOf(v)
	if ok {
		switch ref.Cast {
		case CastNumber:
			_, isBool := v.(bool)
			// Check a json.Number as well: a caller may have made one that is
			// not a number in JSON.
			if n := strings.TrimSpace(text); !isBool && isJSONNumber(n) {
				return json.Number(n), nil
			}
		case CastBoolean:
			switch strings.TrimSpace(text) {
			case "true":
				return true, nil
			case "false":
				return false, nil
			}
		}
	}
	return nil, fmt.Errorf("the value of {{%s}} is not a %s", ref.Name, ref.Cast)
}

func isJSONNumber(s string) bool {
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return false
	}
	return json.Valid([]byte(s))
}

// renderURL fills in a URL's path and query.
func renderURL(raw string, values map[string]any) (string, error) {
	t, err := ParseTemplate(raw)
	if err != nil {
		return "", err
	}
	if len(t.references) > 0 && !hasHost(t.texts[0]) {
		return "", errors.New("a placeholder is not allowed in the host")
	}
	before := t.texts[0] // the text before the current placeholder
	i := 0
	return t.fillText(values, func(s string) (string, error) {
		query := strings.ContainsAny(before, "?#")
		i++
		before += t.texts[i]
		if query {
			// Write a space as %20, which every server understands: "+" is a
			// space only in forms.
			return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), nil
		}
		if s == "" || s == "." || s == ".." {
			return "", errors.New(`is empty, "." or "..", which would change the URL's path`)
		}
		return url.PathEscape(s), nil
	})
}

// hasHost reports whether a URL's first part goes beyond the host.
func hasHost(s string) bool {
	_, rest, ok := strings.Cut(s, "://")
	return ok && strings.ContainsAny(rest, "/?#")
}

// renderHeader returns a header's value as sent.
func renderHeader(h Header, values map[string]any, secret SecretLookup) (string, error) {
	value, literal, err := h.resolve(secret)
	if err != nil {
		return "", err
	}
	if !literal {
		if strings.ContainsFunc(value, unicode.IsControl) {
			return "", errors.New("the secret holds a line break or another control character")
		}
		return value, nil
	}
	t, err := ParseTemplate(value)
	if err != nil {
		return "", err
	}
	return t.fillText(values, func(s string) (string, error) {
		if strings.ContainsFunc(s, unicode.IsControl) {
			return "", errors.New("holds a line break or another control character, which a header can't")
		}
		return s, nil
	})
}
