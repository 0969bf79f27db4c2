package automation

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func secretsOf(m map[string]string) SecretLookup {
	return func(name string) (Secret, bool) {
		v, ok := m[name]
		return NewSecret(v), ok
	}
}

// The integration guide: the write key abc123 gives YWJjMTIzOg==.
func TestRenderRequest(t *testing.T) {
	r := Request{
		Method: "POST", URL: "https://h.example/v1/{{plan}}?q={{userName}}&r={{plan}}",
		Headers: map[string]Header{
			"Authorization": {Scheme: Basic, Username: Credential{Secret: "KEY"}},
			"X-Token":       {Scheme: Bearer, Value: Credential{Secret: "KEY"}},
			"X-Key":         {Value: Credential{Secret: "BRACES"}},
			"X-User":        {Value: Credential{Text: "u={{userName}}"}},
		},
		Payload: json.RawMessage(`{"a":["{{userName}}",{"b":"x {{plan}} y {{n}}"}],"n":"{{n | number}}","t":"{{yes | boolean}}","u":1.50}`),
	}
	name := "O\"Neil\\n{{x}} ${} {{{ \\ é😀"
	got, err := r.Render(map[string]any{"userName": name, "plan": "a/b c?&", "n": json.Number("-1.5e3"), "yes": "true"},
		secretsOf(map[string]string{"KEY": "abc123", "BRACES": "{{plan}}"}))
	if err != nil {
		t.Fatal(err)
	}
	if want := "https://h.example/v1/a%2Fb%20c%3F&?q=O%22Neil%5Cn%7B%7Bx%7D%7D%20%24%7B%7D%20%7B%7B%7B%20%5C%20%C3%A9%F0%9F%98%80&r=a%2Fb%20c%3F%26"; got.URL != want {
		t.Errorf("URL = %s\nwant  %s", got.URL, want)
	}
	headers := map[string]string{}
	for k := range got.Header {
		headers[k] = got.Header.Get(k)
	}
	if diff := cmp.Diff(map[string]string{
		"Authorization": "Basic YWJjMTIzOg==", "X-Token": "Bearer abc123", "X-Key": "{{plan}}", "X-User": "u=" + name,
	}, headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	var body any
	if err := json.Unmarshal(got.Body, &body); err != nil {
		t.Fatalf("body %s: %v", got.Body, err)
	}
	if diff := cmp.Diff(map[string]any{
		"a": []any{name, map[string]any{"b": "x a/b c?& y -1.5e3"}}, "n": -1500.0, "t": true, "u": 1.5,
	}, body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestRenderErrors(t *testing.T) {
	lookup := secretsOf(map[string]string{"BAD": "a\nb", "COLON": "a:b"})
	payload := func(s string) Request {
		return Request{URL: "https://h.example/", Payload: json.RawMessage(s)}
	}
	header := func(h Header) Request {
		return Request{URL: "https://h.example/", Headers: map[string]Header{"X-H": h}}
	}
	for _, test := range []struct {
		name   string
		r      Request
		values map[string]any
		want   string
	}{
		{"missing", payload(`{"a":[{"b":"{{x}}"}]}`), nil, "payload.a[0].b: no value for placeholder {{x}}"},
		{"null", payload(`{"a":"{{x}}"}`), map[string]any{"x": nil}, "payload.a: no value"},
		{"object", payload(`{"a":"{{x}}"}`), map[string]any{"x": map[string]any{}}, "not a string, a number or a boolean"},
		{"text as number", payload(`{"a":"{{x | number}}"}`), map[string]any{"x": "12a"}, "the value of {{x}} is not a number"},
		{"boolean as number", payload(`{"a":"{{x | number}}"}`), map[string]any{"x": true}, "not a number"},
		{"JSON as number", payload(`{"a":"{{x | number}}"}`), map[string]any{"x": "1,\"b\":2"}, "not a number"},
		{"forged number", payload(`{"a":"{{x | number}}"}`), map[string]any{"x": json.Number("1}")}, "not a number"},
		{"text as boolean", payload(`{"a":"{{x | boolean}}"}`), map[string]any{"x": "yes"}, "not a boolean"},
		{"template", payload(`{"a":"{{x"}`), nil, "payload.a: placeholder {{x is not closed"},
		{"host", Request{URL: "https://{{x}}/a"}, map[string]any{"x": "evil.example"}, "is not allowed in the host"},
		{"path", Request{URL: "https://h.example/a/{{x}}/b"}, map[string]any{"x": ".."}, "would change the URL's path"},
		{"header injection", header(Header{Value: Credential{Text: "{{x}}"}}), map[string]any{"x": "a\r\nEvil: 1"}, "header X-H: the value of {{x}} holds a line break"},
		{"no secret", header(Header{Scheme: Bearer, Value: Credential{Secret: "NONE"}}), nil, "the secret NONE has no value"},
		{"secret with a line break", header(Header{Value: Credential{Secret: "BAD"}}), nil, "the secret holds a line break"},
		{"colon", header(Header{Scheme: Basic, Username: Credential{Secret: "COLON"}}), nil, "the user name of Basic credentials contains a colon"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.r.Render(test.values, lookup)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzRenderPayload(f *testing.F) {
	f.Add(`{"a":"{{x}}","b":["{{x | number}}"]}`, "O\"Neil\n{{x}} \u2028")
	f.Add(`{"a":"{{x | boolean}}"}`, "true")
	f.Add(`{"a":1e400,"":{"a":[[]]}}`, "")
	f.Fuzz(func(t *testing.T, payload, value string) {
		if !json.Valid([]byte(payload)) {
			return
		}
		out, err := RenderPayload(json.RawMessage(payload), map[string]any{"x": value})
		if err != nil {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("RenderPayload(%q, %q) = %q, which is not JSON", payload, value, out)
		}
	})
}
