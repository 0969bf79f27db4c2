package embedded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

func TestConformance(t *testing.T) {
	platformtest.Require(t, "embedded")
	platformtest.Run(t, platformtest.Harness{
		Platform: "embedded", Product: "segue itself",
		Missing: map[platformtest.Capability]string{
			platformtest.OneWrite:      "each automation is a separate write",
			platformtest.Canvas:        "there is no canvas; saving an automation unchanged is not an edit",
			platformtest.ListsTriggers: "it accepts any trigger name",
		},
		New: newBench,
	})
}

func TestMoves(t *testing.T) {
	platformtest.Require(t, "embedded")
	platformtest.Moves(t, newBench(t))
}

func TestRoundTrip(t *testing.T) {
	platformtest.Require(t, "embedded")
	b := newBench(t)
	platformtest.RoundTrip(t, b, func(t testing.TB, s sync.Stored) {
		t.Helper()
		p := b.Platform.(*Platform)
		var out storedAutomation
		c := call{method: http.MethodPut, path: "/v1/automations/" + s.ID, revision: s.Revision, out: &out,
			in: automationBody{Marker: json.RawMessage("null"), Automation: &s.Automation}}
		if _, err := p.call(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	})
}

func newBench(t *testing.T) *platformtest.Bench {
	token := automation.NewSecret(testToken)
	base := served(t, ServeOptions{Data: dataFile(t), Token: token, Delivery: fast()})
	client := must(NewClient(base, token, ClientOptions{}))(t)
	t.Cleanup(func() { client.Close() })
	return bench(client, base)
}

// bench changes a served platform as its other users do: through its API.
func bench(client *Platform, base string) *platformtest.Bench {
	request := func(t testing.TB, method, path string, body any) []byte {
		t.Helper()
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(method, base+path, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+testToken)
		req.Header.Set("Content-Type", "application/json")
		if method == http.MethodPut {
			req.Header.Set("If-Match", "*")
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode > 299 {
			t.Fatalf("%s %s: %d, %v: %s", method, path, res.StatusCode, err, answer)
		}
		return answer
	}
	edit := func(t testing.TB, s sync.Stored, change func(a map[string]any)) {
		t.Helper()
		var stored map[string]any
		if err := json.Unmarshal(request(t, "GET", "/v1/automations/"+s.ID, nil), &stored); err != nil {
			t.Fatal(err)
		}
		a := stored["automation"].(map[string]any)
		change(a)
		request(t, "PUT", "/v1/automations/"+s.ID, map[string]any{"automation": a})
	}
	fire := func(t testing.TB, a automation.Automation, data []byte) error {
		t.Helper()
		result, err := client.Fire(t.Context(), Occurrence{Kind: a.Trigger.Kind, Name: a.Trigger.Name, Data: data})
		if err != nil {
			return err
		}
		for _, d := range result.Deliveries {
			if d.Status != Delivered {
				return fmt.Errorf("%s: %s", d.Status, d.Error)
			}
		}
		if len(result.Deliveries) == 0 {
			return fmt.Errorf("no automation has the trigger")
		}
		return nil
	}
	return &platformtest.Bench{
		Platform: client,
		FireJSON: func(t testing.TB, _ string, a automation.Automation, object string) error {
			t.Helper()
			return fire(t, a, []byte(object))
		},
		// A copy has no marker, because the platform accepts a project's key only
		// once. Without a project, it has no secrets.
		Copy: func(t testing.TB, s sync.Stored) func(testing.TB) []byte {
			t.Helper()
			a := s.Automation
			a.Name, a.Trigger.Name, a.Action.Headers = "Copy of "+a.Name, "Trigger of a copy", nil
			var made struct{ ID string }
			if err := json.Unmarshal(request(t, "POST", "/v1/automations", map[string]any{"automation": a}), &made); err != nil {
				t.Fatal(err)
			}
			return func(t testing.TB) []byte {
				t.Helper()
				return request(t, "GET", "/v1/automations/"+made.ID, nil)
			}
		},
		EditPayload: func(t testing.TB, s sync.Stored, field, text string) {
			t.Helper()
			edit(t, s, func(a map[string]any) { a["action"].(map[string]any)["payload"].(map[string]any)[field] = text })
		},
		SwitchOff: func(t testing.TB, s sync.Stored) {
			t.Helper()
			edit(t, s, func(a map[string]any) { a["enabled"] = false })
		},
		Move: func(t testing.TB, s sync.Stored) {
			t.Helper()
			edit(t, s, func(map[string]any) {})
		},
		AddForeign: func(t testing.TB) func(testing.TB) []byte {
			t.Helper()
			foreign := sample("someone/else", "https://example.com/")
			foreign.Action.Headers = nil
			var made struct{ ID string }
			if err := json.Unmarshal(request(t, "POST", "/v1/automations", map[string]any{"automation": foreign}), &made); err != nil {
				t.Fatal(err)
			}
			return func(t testing.TB) []byte {
				t.Helper()
				return request(t, "GET", "/v1/automations/"+made.ID, nil)
			}
		},
		Dump: func(t testing.TB) []byte {
			t.Helper()
			return append(request(t, "GET", "/v1/automations?limit=200", nil), request(t, "GET", "/v1/deliveries?limit=200", nil)...)
		},
		Fire: func(t testing.TB, _ string, a automation.Automation, values map[string]any) error {
			t.Helper()
			data, err := json.Marshal(values)
			if err != nil {
				t.Fatal(err)
			}
			return fire(t, a, data)
		},
	}
}
