package n8n

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// everything returns all workflows, each with whether its credentials exist.
func (s *server) everything(t testing.TB) map[string][]byte {
	t.Helper()
	var credentials struct{ Data []struct{ ID string } }
	s.rest(t, "GET", "/rest/credentials", nil, &credentials)
	there := map[string]bool{}
	for _, c := range credentials.Data {
		there[c.ID] = true
	}
	all := map[string][]byte{}
	for next := ""; ; {
		var page struct {
			Data       []map[string]any
			NextCursor string
		}
		s.rest(t, "GET", "/api/v1/workflows?limit=250"+next, nil, &page)
		for _, w := range page.Data {
			kept := map[string]any{}
			for _, field := range []string{"name", "nodes", "connections", "settings", "active", "isArchived"} {
				kept[field] = w[field]
			}
			var missing []string
			nodes, _ := w["nodes"].([]any)
			for _, n := range nodes {
				if id := node(n.(map[string]any)).credential().id; id != "" && !there[id] {
					missing = append(missing, id)
				}
			}
			kept["missing credentials"] = missing
			b, err := json.Marshal(kept)
			if err != nil {
				t.Fatal(err)
			}
			all[w["id"].(string)] = b
		}
		if page.NextCursor == "" {
			return all
		}
		next = "&cursor=" + page.NextCursor
	}
}

// tryEdit edits a workflow in the editor, unless n8n does not allow that.
func (s *server) tryEdit(t testing.TB, id string, change func(w map[string]any)) {
	t.Helper()
	w := s.read(t, id)
	change(w)
	s.attempt(t, "PATCH", "/rest/workflows/"+id, map[string]any{
		"name": w["name"], "nodes": w["nodes"], "connections": w["connections"], "settings": w["settings"], "versionId": w["versionId"]})
}

// attempt makes a request that n8n may refuse, even to people.
func (s *server) attempt(t testing.TB, method, path string, in any) {
	t.Helper()
	status, answer, err := s.try(method, path, in)
	if err != nil || status >= 500 && !strings.Contains(string(answer), "conflict") {
		t.Logf("%s %s: %d, %v: %s", method, path, status, err, answer)
	}
}

// activate and deactivate do the same as the switch in the editor.
func (s *server) activate(t testing.TB, id string) {
	t.Helper()
	s.attempt(t, "POST", "/api/v1/workflows/"+id+"/activate", nil)
}

func (s *server) deactivate(t testing.TB, id string) {
	t.Helper()
	s.attempt(t, "POST", "/api/v1/workflows/"+id+"/deactivate", nil)
}

// People and killed applies act at random.
func TestChaos(t *testing.T) {
	t.Parallel()
	eachRelease(t, testChaos)
}

func testChaos(t *testing.T, s *server) {
	rounds := 25 // each run has a seed of its own
	if s.release.version != first.version {
		rounds = 12 // n8n 2 takes longer to start and to publish
	}
	var copies []string
	act := func(name string, do func(t testing.TB, rng *rand.Rand, own sync.Stored) []string) platformtest.Act {
		return platformtest.Act{Name: name, Do: do}
	}
	copying := func(freshNodes, freshPaths, active bool) func(t testing.TB, _ *rand.Rand, own sync.Stored) []string {
		return func(t testing.TB, _ *rand.Rand, own sync.Stored) []string {
			id := editorCopy(freshNodes, freshPaths)(t, s, own.ID)
			if active {
				s.activate(t, id)
			}
			copies = append(copies, id)
			return []string{id}
		}
	}
	ofACopy := func(do func(t testing.TB, id string)) func(t testing.TB, rng *rand.Rand, _ sync.Stored) []string {
		return func(t testing.TB, rng *rand.Rand, _ sync.Stored) []string {
			if len(copies) == 0 {
				return nil
			}
			id := copies[rng.IntN(len(copies))]
			do(t, id)
			return []string{id}
		}
	}
	ofAnOwn := func(do func(t testing.TB, id string)) func(t testing.TB, _ *rand.Rand, own sync.Stored) []string {
		return func(t testing.TB, _ *rand.Rand, own sync.Stored) []string {
			do(t, own.ID)
			return nil
		}
	}
	platformtest.Chaos(t, platformtest.People{
		Open: func(t testing.TB, transport http.RoundTripper) sync.Platform {
			p, err := New(s.url, s.apiKey, Options{Transport: transport, Secrets: func(name string) (automation.Secret, bool) {
				value, ok := platformtest.Secret("abc123")[name]
				return value, ok
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			return p
		},
		Everything: s.everything,
		Fire: func(t testing.TB, project string, a automation.Automation, values map[string]any) error {
			status, answer, err := s.try("POST", "/webhook/"+webhookPath(project, a.Key), values)
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("%d: %s", status, answer)
			}
			return err
		},
		Release: func(t testing.TB, ids []string) {
			for _, id := range ids {
				s.deactivate(t, id)
			}
		},
		Acts: []platformtest.Act{
			act("duplicate", copying(true, true, true)),
			act("duplicate with the nodes' IDs", copying(false, true, true)),
			act("import a copy with its path", copying(false, false, false)),
			act("swap: archive it, and activate a copy with its path", func(t testing.TB, rng *rand.Rand, own sync.Stored) []string {
				made := copying(false, false, false)(t, rng, own)
				s.attempt(t, "POST", "/rest/workflows/"+own.ID+"/archive", nil)
				s.activate(t, made[0])
				return made
			}),
			act("rename", ofAnOwn(func(t testing.TB, id string) {
				s.tryEdit(t, id, func(w map[string]any) { w["name"] = w["name"].(string) + "!" })
			})),
			act("edit", ofAnOwn(func(t testing.TB, id string) {
				s.tryEdit(t, id, func(w map[string]any) {
					for _, f := range requestAssignments(w) {
						if f["name"] == "url" {
							f["value"] = "https://example.org/edited"
						}
					}
				})
			})),
			act("unpublish", ofAnOwn(s.deactivate)),
			act("archive", ofAnOwn(func(t testing.TB, id string) { s.attempt(t, "POST", "/rest/workflows/"+id+"/archive", nil) })),
			act("delete", ofAnOwn(func(t testing.TB, id string) {
				s.deactivate(t, id)
				s.attempt(t, "DELETE", "/api/v1/workflows/"+id, nil)
			})),
			act("rename a copy", ofACopy(func(t testing.TB, id string) {
				s.tryEdit(t, id, func(w map[string]any) { w["name"] = w["name"].(string) + ", mine" })
			})),
			act("activate a copy", ofACopy(s.activate)),
			act("unpublish a copy", ofACopy(s.deactivate)),
			act("delete a copy", ofACopy(func(t testing.TB, id string) {
				s.deactivate(t, id)
				s.attempt(t, "DELETE", "/api/v1/workflows/"+id, nil)
				copies = slices.DeleteFunc(copies, func(other string) bool { return other == id })
			})),
		},
	}, platformtest.Seed(t), rounds)
}
