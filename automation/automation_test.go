package automation

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var example = Automation{
	Key:     "growth/account-activated",
	Name:    "Account activated",
	Enabled: true,
	Trigger: Trigger{Kind: Pattern, Name: "Account activated"},
	Action: Request{
		Kind: KindHTTPRequest, Method: "POST", URL: "https://api.segment.io/v1/group",
		Headers: map[string]Header{
			"Accept":        {Value: Credential{Text: "application/json"}},
			"Authorization": {Scheme: Basic, Username: Credential{Secret: "SEGMENT_WRITE_KEY"}},
			"Content-Type":  {Value: Credential{Text: "application/json"}},
		},
		Payload: json.RawMessage(`{"userId":"{{userId}}","groupId":"{{accountId}}"}`),
	},
}

const exampleCanonical = `{"action":{"headers":{"Accept":"application/json",` +
	`"Authorization":{"basic":{"password":"","username":{"secret":"SEGMENT_WRITE_KEY"}}},` +
	`"Content-Type":"application/json"},"kind":"http_request","method":"POST",` +
	`"payload":{"groupId":"{{accountId}}","userId":"{{userId}}"},"url":"https://api.segment.io/v1/group"},` +
	`"enabled":true,"key":"growth/account-activated","name":"Account activated",` +
	`"trigger":{"kind":"pattern","name":"Account activated"}}`

func TestCanonical(t *testing.T) {
	got, err := example.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(exampleCanonical, string(got)); diff != "" {
		t.Errorf("automation (-want +got):\n%s", diff)
	}
	encoded, err := Encode([]Automation{example})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := Document{Project: "growth", Automations: encoded}.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"apiVersion":"segue/v1","automations":[` + exampleCanonical + `],"project":"growth"}`
	if diff := cmp.Diff(want, string(doc)); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	empty, err := Document{Project: "p"}.Canonical()
	if want := `{"apiVersion":"segue/v1","automations":[],"project":"p"}`; err != nil || string(empty) != want {
		t.Errorf("empty document = %s, %v; want %s", empty, err, want)
	}
}

// RFC 8785, section 3.2.2: U+2028 and "<" are not escaped.
func TestCanonicalStrings(t *testing.T) {
	a := example
	a.Name = "a<b>&\u2028\"\\\x01é"
	got, err := a.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if want := "\"name\":\"a<b>&\u2028\\\"\\\\\\u0001é\""; !strings.Contains(string(got), want) {
		t.Errorf("canonical form %s does not hold %s", got, want)
	}
}

func TestHashFollowsContent(t *testing.T) {
	if h := example.Hash(); !strings.HasPrefix(h, "sha256:") || len(h) != len("sha256:")+64 {
		t.Errorf("Hash() = %q", h)
	}
	reordered := example
	reordered.Action.Payload = json.RawMessage(` {"groupId":"{{accountId}}", "userId":"{{userId}}"}`)
	if reordered.Hash() != example.Hash() {
		t.Error("the order of fields in the payload changes the hash")
	}
	for what, change := range map[string]func(*Automation){
		"enabled": func(a *Automation) { a.Enabled = false },
		"protect": func(a *Automation) { a.Protect = true },
		"url":     func(a *Automation) { a.Action.URL += "x" },
		"payload": func(a *Automation) { a.Action.Payload = json.RawMessage(`{}`) },
		"trigger": func(a *Automation) { a.Trigger.Kind = Journey },
	} {
		changed := example
		change(&changed)
		if changed.Hash() == example.Hash() {
			t.Errorf("a change of %s does not change the hash", what)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	a := example
	a.Protect = true
	a.Action.Headers = map[string]Header{
		"A": {Value: Credential{Text: "text"}},
		"B": {Value: Credential{Secret: "S"}},
		"C": {Scheme: Bearer, Value: Credential{Secret: "T"}},
		"D": {Scheme: Basic, Username: Credential{Text: "u"}, Password: Credential{Secret: "P"}},
		"E": {},
	}
	b, err := a.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	var back Automation
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if back.Hash() != a.Hash() {
		t.Errorf("round trip changed the automation:\n%s", cmp.Diff(a, back))
	}
	if diff := cmp.Diff([]string{"P", "S", "T"}, back.SecretNames()); diff != "" {
		t.Errorf("SecretNames (-want +got):\n%s", diff)
	}
	for _, bad := range []string{`1`, `{}`, `{"secret":""}`, `{"secret":"A","x":1}`, `{"basic":{},"bearer":"x"}`, `{"basic":{"user":"x"}}`, `null`} {
		if err := new(Header).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("header %s was accepted", bad)
		}
	}
}

func TestDocumentVersion(t *testing.T) {
	var d Document
	err := json.Unmarshal([]byte(`{"apiVersion":"segue/v2","automations":[],"project":"p"}`), &d)
	if err == nil || !strings.Contains(err.Error(), "segue/v1") {
		t.Errorf("a document of another version: error = %v", err)
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	s := NewSecret("hunter2")
	wrapped := struct {
		S Secret
		P *Secret
		M map[string]Secret
	}{s, &s, map[string]Secret{"k": s}}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "w", wrapped)
	j, err := json.Marshal(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprint(s), fmt.Sprintf("%s %v %+v %#v %q", s, s, s, s, s), fmt.Sprintf("%v %+v %#v", wrapped, wrapped, wrapped.M), string(j), log.String(),
	} {
		if strings.Contains(shown, "hunter2") {
			t.Errorf("the secret shows in %s", shown)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Error("Reveal does not give the value")
	}
}

func TestPayloadDepth(t *testing.T) {
	for text, want := range map[string]int{
		`1`: 0, `{}`: 1, `[[],[{}]]`: 3, `{"a": "[[[{\"["}`: 1, `"\\"`: 0, `{"a":{"b":[1]},"c":[[]]}`: 3, `"\`: 0,
	} {
		if got := PayloadDepth([]byte(text)); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}
