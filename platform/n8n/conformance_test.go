package n8n

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// The suite edits workflows as the editor of n8n 1 does. n8n 2 keeps drafts separate
// from published versions; separate tests cover that.
func TestConformance(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	platformtest.Run(t, platformtest.Harness{
		Platform: "n8n", Release: s.release.name, Product: "n8n " + s.release.version + " over SQLite",
		Missing: map[platformtest.Capability]string{
			platformtest.AtomicRevisions: "its API has no conditional update: segue reads and compares a workflow just before it writes it",
			platformtest.OneWrite:        "each workflow is a separate write, and so are its credential and its activation",
			platformtest.NamedTriggers:   "each automation has its own webhook",
			platformtest.ListsTriggers:   "its triggers are webhooks, which apply makes",
		},
		New: func(t *testing.T) *platformtest.Bench { return s.bench(t) },
	})
}

func TestMoves(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) { platformtest.Moves(t, s.bench(t)) })
}

func TestRoundTrip(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		platformtest.RoundTrip(t, s.bench(t), func(t testing.TB, stored sync.Stored) {
			t.Helper()
			s.edit(t, stored.ID, func(w map[string]any) {
				w["nodes"] = slices.DeleteFunc(w["nodes"].([]any), func(n any) bool { return n.(map[string]any)["id"] == noteID })
			})
			s.published(t)
		})
	})
}

// bench changes n8n as people do: through the API of the editor.
func (s *server) bench(t *testing.T) *platformtest.Bench {
	p := s.platform(Options{})
	return &platformtest.Bench{
		Platform: p,
		EditPayload: func(t testing.TB, stored sync.Stored, field, text string) {
			t.Helper()
			s.edit(t, stored.ID, func(w map[string]any) {
				for _, f := range requestAssignments(w) {
					if f["name"] != "payload" {
						continue
					}
					var payload map[string]any
					if err := json.Unmarshal([]byte(f["value"].(string)), &payload); err != nil {
						t.Fatal(err)
					}
					payload[field] = text
					b, err := json.Marshal(payload)
					if err != nil {
						t.Fatal(err)
					}
					f["value"] = string(b)
				}
			})
		},
		SwitchOff: func(t testing.TB, stored sync.Stored) {
			t.Helper()
			s.edit(t, stored.ID, func(w map[string]any) { w["active"] = false })
		},
		Move: func(t testing.TB, stored sync.Stored) {
			t.Helper()
			s.edit(t, stored.ID, func(w map[string]any) {
				for i, n := range w["nodes"].([]any) {
					n.(map[string]any)["position"] = []int{-400 + 16*i, 999}
				}
			})
		},
		AddForeign: s.addForeign,
		Dump: func(t testing.TB) []byte {
			t.Helper()
			var all []byte
			for _, path := range []string{"/api/v1/workflows?limit=250", "/rest/workflows", "/rest/credentials?includeData=true", "/api/v1/executions?includeData=true&limit=50"} {
				all = append(all, s.rest(t, "GET", path, nil, nil)...)
			}
			return all
		},
		Fire: func(t testing.TB, project string, a automation.Automation, values map[string]any) error {
			t.Helper()
			s.published(t)
			return fire(s.webhook(project, a.Key), values)
		},
		FireJSON: func(t testing.TB, project string, a automation.Automation, object string) error {
			t.Helper()
			return postJSON(s.webhook(project, a.Key), []byte(object))
		},
		Copy: func(t testing.TB, stored sync.Stored) func(testing.TB) []byte {
			t.Helper()
			copied := copyings[0].copy(t, s, stored.ID)
			s.edit(t, copied, func(w map[string]any) {
				w["name"] = "Copy of " + stored.Automation.Name
				for _, n := range nodesOf(w) {
					if n["type"] == webhookType {
						n["parameters"].(map[string]any)["path"] = "copies/" + copied
					}
				}
			})
			t.Cleanup(func() { s.rest(t, "DELETE", "/api/v1/workflows/"+copied, nil, nil) })
			return func(t testing.TB) []byte { return []byte(s.raw(t, copied)) }
		},
	}
}

// webhook returns the URL that fires an automation.
func (s *server) webhook(project, key string) string {
	return s.url + "/webhook/" + webhookPath(project, key)
}

// fire sends values to a webhook, and waits until n8n has sent the message.
func fire(url string, values map[string]any) error {
	b, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return postJSON(url, b)
}

// postJSON sends a body to a webhook unchanged.
func postJSON(url string, body []byte) error {
	res, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode > 299 {
		err = fmt.Errorf("%s: %s", res.Status, answer)
	}
	return err
}

// edit changes a workflow the way the editor does: it reads the workflow, and
// saves all of it.
func (s *server) edit(t testing.TB, id string, change func(map[string]any)) {
	t.Helper()
	var got struct{ Data map[string]any }
	s.rest(t, "GET", "/rest/workflows/"+id, nil, &got)
	w := got.Data
	change(w)
	for _, field := range []string{"shared", "homeProject", "sharedWithProjects", "usedCredentials", "scopes", "createdAt", "updatedAt", "triggerCount", "activeVersion", "parentFolder", "versionCounter", "isArchived", "activeVersionId", "tags"} {
		delete(w, field)
	}
	s.rest(t, "PATCH", "/rest/workflows/"+id, w, nil)
}

// requestAssignments are the fields of the node "Request".
func requestAssignments(w map[string]any) []map[string]any {
	var all []map[string]any
	for _, n := range w["nodes"].([]any) {
		if n := n.(map[string]any); n["id"] == requestID {
			outer := n["parameters"].(map[string]any)["assignments"].(map[string]any)
			for _, f := range outer["assignments"].([]any) {
				all = append(all, f.(map[string]any))
			}
		}
	}
	return all
}

// addForeign stores objects unrelated to segue: an active workflow that uses a
// credential, an inactive one that resembles segue's, and a tag.
func (s *server) addForeign(t testing.TB) func(testing.TB) []byte {
	t.Helper()
	unique := fmt.Sprint(s.serial.Add(1))
	var credential, active, inactive, tag struct{ ID string }
	s.rest(t, "POST", "/api/v1/credentials", map[string]any{"name": "Foreign " + unique, "type": credentialType, "data": map[string]any{"headers": map[string]any{"values": []any{map[string]string{"name": "X", "value": "foreign"}}}}}, &credential)
	hook := newNode("a", "Hook", "n8n-nodes-base.webhook", 2, 0, 0, map[string]any{"path": "foreign/" + unique, "options": map[string]any{}})
	hook["webhookId"] = webhookID("foreign", unique)
	send := newNode("b", "Call", "n8n-nodes-base.httpRequest", 4.2, 200, 0, map[string]any{"url": "https://example.com", "authentication": "predefinedCredentialType", "nodeCredentialType": credentialType, "options": map[string]any{}})
	send["credentials"] = map[string]any{credentialType: map[string]any{"id": credential.ID, "name": "Foreign " + unique}}
	s.rest(t, "POST", "/api/v1/workflows", workflow{Name: "Foreign " + unique, Nodes: []node{hook, send}, Settings: map[string]any{},
		Connections: map[string]any{"Hook": map[string]any{"main": []any{[]any{map[string]any{"node": "Call", "type": "main", "index": 0}}}}}}, &active)
	s.rest(t, "POST", "/api/v1/workflows/"+active.ID+"/activate", nil, nil)
	s.rest(t, "POST", "/api/v1/workflows", workflow{Name: "segue growth/a", Connections: map[string]any{}, Settings: map[string]any{}, Nodes: []node{
		newNode("note", "Note", "n8n-nodes-base.stickyNote", 1, 0, 0, map[string]any{"content": "## Managed by segue\n\n`segue {\"project\":\"conformance\",\"key\":\"growth/a\"}`"})}}, &inactive)
	s.rest(t, "POST", "/api/v1/tags", map[string]string{"name": "foreign " + unique}, &tag)
	t.Cleanup(func() {
		for _, path := range []string{"/workflows/" + active.ID, "/workflows/" + inactive.ID, "/credentials/" + credential.ID, "/tags/" + tag.ID} {
			s.rest(t, "DELETE", "/api/v1"+path, nil, nil)
		}
	})
	return func(t testing.TB) []byte {
		t.Helper()
		var all []byte
		for _, path := range []string{"/api/v1/workflows/" + active.ID, "/api/v1/workflows/" + inactive.ID, "/api/v1/tags/" + tag.ID, "/rest/credentials/" + credential.ID} {
			all = append(all, s.rest(t, "GET", path, nil, nil)...)
		}
		return all
	}
}
