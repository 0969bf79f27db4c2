package embedded

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// A plan reads lists and compares the secrets. An apply makes one request for each change, and
// reads the project's list at its end.
func TestRequests(t *testing.T) {
	server := served(t, ServeOptions{Data: filepath.Join(t.TempDir(), "platform.db"), Token: automation.NewSecret(testToken)})
	name := func(r *http.Request) string {
		path := r.URL.Path
		if strings.HasPrefix(path, "/v1/automations/") {
			path = "/v1/automations/ID"
		}
		return r.Method + " " + path
	}
	platformtest.Requests(t, func(t testing.TB, transport http.RoundTripper) sync.Platform {
		return openAt(t, server, transport, time.Minute, nil)
	}, name, map[string]platformtest.Traffic{
		platformtest.CreatesThree: {
			Plan:  map[string]int{"GET /v1/automations": 2, "POST /v1/secrets:compare": 1},
			Apply: map[string]int{"GET /v1/automations": 1, "POST /v1/automations": 3, "PUT /v1/secrets/requests/WRITE_KEY": 1},
		},
		platformtest.NothingToDo: {Plan: map[string]int{"GET /v1/automations": 2, "POST /v1/secrets:compare": 1}},
		platformtest.UpdatesOne: {
			Plan:  map[string]int{"GET /v1/automations": 2, "POST /v1/secrets:compare": 1},
			Apply: map[string]int{"GET /v1/automations": 1, "PUT /v1/automations/ID": 1},
		},
		platformtest.RotatesSecret: {
			Plan:  map[string]int{"GET /v1/automations": 2, "POST /v1/secrets:compare": 1},
			Apply: map[string]int{"PUT /v1/secrets/requests/WRITE_KEY": 1},
		},
		platformtest.DeletesOne: {
			Plan:  map[string]int{"GET /v1/automations": 2, "POST /v1/secrets:compare": 1},
			Apply: map[string]int{"DELETE /v1/automations/ID": 1, "GET /v1/automations": 1},
		},
	})
}
