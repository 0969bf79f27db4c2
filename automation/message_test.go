package automation

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A messageCase is a request, and the reason why it must not be sent.
type messageCase struct {
	Name         string                      `json:"name"`
	URL          string                      `json:"url"`
	Headers      map[string]Header           `json:"headers,omitempty"`
	Placeholders map[string]PlaceholderLimit `json:"placeholders,omitempty"`
	Values       json.RawMessage             `json:"values,omitempty"`
	Body         json.RawMessage             `json:"body,omitempty"`
	// Size is the size to which the body is padded; 0 means no padding.
	Size int    `json:"size,omitempty"`
	Want string `json:"want"`
}

// body returns the case's body as sent.
func (c messageCase) body() []byte {
	if c.Size == 0 {
		return c.Body
	}
	const begin, end = `{"filling":"`, `",`
	return []byte(begin + strings.Repeat("x", c.Size-len(begin)-len(end)-len(c.Body)+1) + end + string(c.Body[1:]))
}

func messageCases(t *testing.T) []messageCase {
	t.Helper()
	b, err := os.ReadFile("testdata/messages.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []messageCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestCheckMessage(t *testing.T) {
	for _, c := range messageCases(t) {
		var values map[string]any
		if c.Values != nil {
			d := json.NewDecoder(bytes.NewReader(c.Values))
			d.UseNumber()
			if err := d.Decode(&values); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
		}
		a := Automation{Placeholders: c.Placeholders, Action: Request{Headers: c.Headers}}
		got := ""
		if err := a.CheckMessage(Rendered{URL: c.URL, Body: c.body()}, values); err != nil {
			got = err.Error()
		}
		if got != c.Want {
			t.Errorf("%s: %q, want %q", c.Name, got, c.Want)
		}
	}
}

// The JavaScript for n8n and Node-RED gives the same result for every case.
func TestMessageCheckInJavaScript(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not on the PATH; the JavaScript form of the check is not tested")
	}
	type request struct {
		URL          string                      `json:"url"`
		Headers      map[string]Header           `json:"headers,omitempty"`
		Placeholders map[string]PlaceholderLimit `json:"placeholders,omitempty"`
		Values       json.RawMessage             `json:"values,omitempty"`
		Body         *string                     `json:"body,omitempty"`
	}
	cases := messageCases(t)
	requests := make([]request, len(cases))
	for i, c := range cases {
		requests[i] = request{URL: c.URL, Headers: c.Headers, Placeholders: c.Placeholders, Values: c.Values}
		if body := c.body(); body != nil {
			text := string(body)
			requests[i].Body = &text
		}
	}
	in, err := json.Marshal(requests)
	if err != nil {
		t.Fatal(err)
	}
	// As a platform runs it: the code of one node, without require.
	cmd := exec.CommandContext(t.Context(), node, "-e", `
		const code = process.argv[1] + ';return refusal(request);';
		const run = new Function('request', code);
		const requests = JSON.parse(require('fs').readFileSync(0, 'utf8'));
		console.log(JSON.stringify(requests.map(run)));`, MessageCheck)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	var got []string
	if err := json.Unmarshal(out, &got); err != nil || len(got) != len(cases) {
		t.Fatalf("%d answers for %d cases: %v", len(got), len(cases), err)
	}
	for i, c := range cases {
		if got[i] != c.Want {
			t.Errorf("%s: %q, want %q", c.Name, got[i], c.Want)
		}
	}
}
