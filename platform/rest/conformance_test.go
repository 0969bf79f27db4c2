package rest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/platform/rest"
	"github.com/seguehq/segue/sync"
)

// The description in docs/platforms.md against a server that has that API.
func TestConformance(t *testing.T) {
	d := described(t, worked(t))
	platformtest.Run(t, platformtest.Harness{
		Platform: "rest", Product: "the API described below",
		Missing: map[platformtest.Capability]string{
			platformtest.UniqueKeys:     "it does not know segue's keys; the next apply finds and removes a second automation of a key",
			platformtest.OneWrite:       "each automation is a separate write",
			platformtest.ChecksMessages: "the platform itself decides what it sends",
			platformtest.Retries:        "the platform itself decides whether to retry",
			platformtest.Canvas:         "there is no canvas; saving an automation unchanged is not an edit",
		},
		New: func(t *testing.T) *platformtest.Bench {
			server := startAcme(t)
			server.behaviors, server.paths = []string{"Account activated", "Report exported"}, []string{"Onboarding"}
			return bench(server, client(t, d, server.URL, rest.Options{}))
		},
	})
}

func TestMoves(t *testing.T) {
	server := startAcme(t)
	platformtest.Moves(t, bench(server, client(t, described(t, worked(t)), server.URL, rest.Options{})))
}

func TestRoundTrip(t *testing.T) {
	server := startAcme(t)
	b := bench(server, client(t, described(t, worked(t)), server.URL, rest.Options{}))
	platformtest.RoundTrip(t, b, func(t testing.TB, s sync.Stored) {
		t.Helper()
		server.edit(t, s.ID, func(fields map[string]any) { fields["notes"] = "no longer segue's" })
	})
}

func bench(server *acme, p sync.Platform) *platformtest.Bench {
	return &platformtest.Bench{
		Platform: p,
		EditPayload: func(t testing.TB, s sync.Stored, field, text string) {
			t.Helper()
			server.edit(t, s.ID, func(fields map[string]any) {
				hook := fields["webhook"].(map[string]any)
				var payload map[string]any
				if err := json.Unmarshal([]byte(hook["template"].(string)), &payload); err != nil {
					t.Fatal(err)
				}
				payload[field] = text
				b, err := json.Marshal(payload)
				if err != nil {
					t.Fatal(err)
				}
				hook["template"] = string(b)
			})
		},
		SwitchOff: func(t testing.TB, s sync.Stored) {
			t.Helper()
			server.edit(t, s.ID, func(fields map[string]any) { fields["state"] = "paused" })
		},
		Move: func(t testing.TB, s sync.Stored) {
			t.Helper()
			server.edit(t, s.ID, func(map[string]any) {})
		},
		AddForeign: func(t testing.TB) func(testing.TB) []byte {
			server.mu.Lock()
			defer server.mu.Unlock()
			// One object unrelated to segue, one that resembles an automation, and
			// one that decode can't read.
			for _, fields := range []map[string]any{
				{"title": "By hand", "state": "live", "when": map[string]any{"behavior": "x"}, "notes": "do not touch",
					"webhook": map[string]any{"verb": "post", "address": "https://example.com", "fields": []any{}, "template": nil}},
				{"title": "Talks about segue", "state": "live", "notes": `segue:{"project": "", "key": ""} segue: {`},
				{"title": "Odd", "notes": nil, "webhook": 12},
			} {
				server.last++
				server.rules[server.last] = &rule{id: server.last, version: 1, fields: fields}
			}
			ids := []int{server.last - 2, server.last - 1, server.last}
			return func(testing.TB) []byte {
				server.mu.Lock()
				defer server.mu.Unlock()
				var out []byte
				for _, id := range ids {
					b, _ := json.Marshal(server.rules[id].shown())
					out = append(out, b...)
				}
				return out
			}
		},
		Dump: func(testing.TB) []byte { return server.dump() },
		FireJSON: func(t testing.TB, _ string, a automation.Automation, object string) error {
			var values map[string]any
			d := json.NewDecoder(strings.NewReader(object))
			d.UseNumber()
			if err := d.Decode(&values); err != nil {
				t.Fatal(err)
			}
			return server.fire(a.Trigger.Kind, a.Trigger.Name, values)
		},
		Copy: func(t testing.TB, s sync.Stored) func(testing.TB) []byte {
			t.Helper()
			return server.duplicate(t, s.ID, func(fields map[string]any) {
				fields["title"] = "Copy of " + fields["title"].(string)
				fields["when"] = map[string]any{"behavior": "Trigger of a copy"}
			})
		},
		Fire: func(t testing.TB, _ string, a automation.Automation, values map[string]any) error {
			b, err := json.Marshal(values)
			if err != nil {
				t.Fatal(err)
			}
			decoded := map[string]any{}
			if err := json.Unmarshal(b, &decoded); err != nil {
				t.Fatal(err)
			}
			return server.fire(a.Trigger.Kind, a.Trigger.Name, decoded)
		},
	}
}
