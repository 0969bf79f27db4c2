package automation

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
)

// percentAll percent-encodes every byte.
func percentAll(s string, format string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

func jsonOf(s string) string {
	b, _ := json.Marshal(s) // encoding a string never fails
	return string(b)
}

// encoders are the ways in which programs embed a string in another one.
var encoders = map[string]func(string) string{
	"as it is":              func(s string) string { return s },
	"JSON":                  jsonOf,
	"JSON in JSON":          func(s string) string { return jsonOf(jsonOf(s)) },
	"JSON three times":      func(s string) string { return jsonOf(jsonOf(jsonOf(s))) },
	"JSON in ASCII":         func(s string) string { return fmt.Sprintf("%+q", s) },
	"Go quoted":             func(s string) string { return fmt.Sprintf("%q", s) },
	"query":                 url.QueryEscape,
	"path":                  url.PathEscape,
	"query twice":           func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"percent, upper":        func(s string) string { return percentAll(s, "%%%02X") },
	"percent, lower":        func(s string) string { return percentAll(s, "%%%02x") },
	"HTML":                  html.EscapeString,
	"HTML twice":            func(s string) string { return html.EscapeString(html.EscapeString(s)) },
	"HTML in JSON":          func(s string) string { return jsonOf(html.EscapeString(s)) },
	"Base64":                func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"Base64 for URLs":       func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"Base64 in a query":     func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) },
	"user of Basic":         func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s + ":")) },
	"user, with a password": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s + ":password")) },
	"password of a":         func(s string) string { return base64.StdEncoding.EncodeToString([]byte("a:" + s)) },
	"password of ab":        func(s string) string { return base64.StdEncoding.EncodeToString([]byte("ab:" + s)) },
	"password of abc":       func(s string) string { return base64.URLEncoding.EncodeToString([]byte("abc:" + s)) },
	"JSON in Base64":        func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + jsonOf(s))) },
	"query in Base64": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte("k=" + url.QueryEscape(s) + "&x"))
	},
	"hex":        func(s string) string { return hex.EncodeToString([]byte(s)) },
	"hex, upper": func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
}

// secretsToHide returns realistic and difficult values.
func secretsToHide() []string {
	all := []string{
		"WKsecretVALUE99x", "abc123", `pa"ss\word`, "a b+c/d=e&f", "<tag>&amp;%41", "schlüssel-ß-€", "100%sure", `backs\`, `\\\\\\\\`, "line'quote`$x",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
	}
	r := rand.New(rand.NewPCG(1, 2))
	const alphabet = `abcXYZ0189-_./+=:;,&%\"'<>{}() ~!@#$^*|?`
	for range 200 {
		var b strings.Builder
		for range 6 + r.IntN(20) {
			b.WriteByte(alphabet[r.IntN(len(alphabet))])
		}
		all = append(all, b.String())
	}
	return all
}

func TestMaskHidesASecretHoweverItIsWritten(t *testing.T) {
	for _, value := range secretsToHide() {
		m := NewMask(NewSecret(value))
		for name, encode := range encoders {
			written := encode(value)
			for _, around := range [][2]string{{"", ""}, {"token=", "&x=1"}, {`{"message": "echo `, ` BODY {}"}`}, {"Bearer ", "; Host: x"}} {
				got := m.Hide(around[0] + written + around[1])
				if !strings.Contains(got, "(secret)") || strings.Contains(got, strings.Trim(written, `"'`)) {
					t.Errorf("%s of %q: %q is shown as %q", name, value, around[0]+written+around[1], got)
				}
			}
		}
	}
}

// TestMaskLeavesNothingOfASecret checks the masked text: only the text around
// the secret, and a few characters of padding or quotes, may be left.
func TestMaskLeavesNothingOfASecret(t *testing.T) {
	const value = "WKsecretVALUE99x"
	m := NewMask(NewSecret(value))
	for name, encode := range encoders {
		got := m.Hide("at " + encode(value) + " end")
		rest := strings.NewReplacer("(secret)", "", "at ", "", " end", "").Replace(got)
		if len(rest) > len(`"\"\\\"\\\""`)+len("cGFzc3dvcmQ=") {
			t.Errorf("%s: %q is left of %q", name, rest, encode(value))
		}
	}
}

func TestMaskHidesAShortSecretOnlyAsAWord(t *testing.T) {
	for _, test := range []struct{ secret, text, want string }{
		{"a", "payload.traits.name at /api/v1", "payload.traits.name at /api/v1"},
		{"a", `{"token": "a"}`, `{"token": "(secret)"}`},
		{"a", "Bearer a", "Bearer (secret)"},
		{"a", "a", "(secret)"},
		{"a", "token=a&b=c", "token=(secret)&b=c"},
		{"a", "Basic YTo=", "Basic (secret)"},
		{"t-1", "t-12, xt-1, t-1_", "t-12, xt-1, t-1_"},
		{"t-1", "Authorization: Bearer t-1; Host: h", "Authorization: Bearer (secret); Host: h"},
		{"t-1", `says \"t-1\"`, `says \"(secret)\"`},
		{"key", "the key_id, key and KEY", "the key_id, (secret) and KEY"},
		{"pw", "a%3Apw%0A", "a%3A(secret)%0A"},
		{"ü", "für ü", "für (secret)"},
	} {
		if got := NewMask(NewSecret(test.secret)).Hide(test.text); got != test.want {
			t.Errorf("secret %q: %q is shown as %q, want %q", test.secret, test.text, got, test.want)
		}
	}
}

func TestMaskHidesAtACutWhole(t *testing.T) {
	m := NewMask(NewSecret("WKsecretVALUE99x"))
	text := strings.Repeat("x", 10) + "WKsecretVALUE99x" + strings.Repeat("y", 10)
	for cut := 11; cut <= 26; cut++ {
		if got, want := m.Start(text[:min(len(text), cut+m.Reach())], cut), "xxxxxxxxxx(secret)"; got != want {
			t.Errorf("cut at %d: got %q, want %q", cut, got, want)
		}
	}
	if got := m.Start(text, 10); got != "xxxxxxxxxx" {
		t.Errorf("cut before the secret: got %q", got)
	}
}

func TestMaskKeepsJSONValid(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, value := range secretsToHide() {
		for range 20 {
			text := jsonOf(strings.Repeat(`\`, r.IntN(3)) + "n\n" + value + strings.Repeat("\n\\", r.IntN(2)) + "x")
			if got := NewMask(NewSecret(value)).Hide(text); !json.Valid([]byte(got)) {
				t.Errorf("secret %q: %s became %s", value, text, got)
			}
		}
	}
}

func TestMaskOfWordsInWhatIsPrinted(t *testing.T) {
	m := NewMask(NewSecret("automation"), NewSecret("abc123"), NewSecret("WKsecretVALUE99x"))
	const text = "1 automation, abc123, WKsecretVALUE99x"
	if got, want := m.HideTelling(text), "1 automation, (secret), (secret)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := m.Hide(text), "1 (secret), (secret), (secret)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNoMaskHidesNothing(t *testing.T) {
	var none *Mask
	none.Add(NewSecret("x"))
	if got := none.Hide("x"); got != "x" || none.Finds("x") || none.Reach() != 0 {
		t.Errorf("a nil mask made %q of x", got)
	}
	if got := NewMask(NewSecret("")).Hide("text"); got != "text" {
		t.Errorf("an empty secret made %q of text", got)
	}
}

func BenchmarkMask(b *testing.B) {
	m := NewMask(NewSecret("WKsecretVALUE99x"), NewSecret("TOKsecretVALUE77y"), NewSecret("abc123"))
	text := strings.Repeat(`{"key": "growth/account-activated", "action": "create", "reason": "new"},`+"\n", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		m.HideTelling(text)
	}
}
