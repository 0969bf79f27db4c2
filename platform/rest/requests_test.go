package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/platform/rest"
	"github.com/seguehq/segue/sync"
)

// A plan reads the list. An apply makes one request for each change, and a second one for a
// new automation, whose marker gets its identifier. It reads the list before and after its
// first create, and at its end.
func TestRequests(t *testing.T) {
	server, d := startAcme(t), described(t, worked(t))
	name := func(r *http.Request) string {
		path := r.URL.Path
		if strings.HasPrefix(path, "/api/2/rules/") {
			path = "/api/2/rules/ID"
		}
		return r.Method + " " + path
	}
	platformtest.Requests(t, func(t testing.TB, transport http.RoundTripper) sync.Platform {
		return client(t, d, server.URL, rest.Options{Transport: transport, Secrets: nil})
	}, name, map[string]platformtest.Traffic{
		platformtest.CreatesThree: {
			Plan:  map[string]int{"GET /api/2/rules": 2},
			Apply: map[string]int{"GET /api/2/rules": 8, "GET /api/2/rules/ID": 3, "PATCH /api/2/rules/ID": 3, "POST /api/2/rules": 3},
		},
		platformtest.NothingToDo: {Plan: map[string]int{"GET /api/2/rules": 4}},
		platformtest.UpdatesOne: {
			Plan:  map[string]int{"GET /api/2/rules": 4},
			Apply: map[string]int{"GET /api/2/rules": 4, "PATCH /api/2/rules/ID": 1},
		},
		platformtest.RotatesSecret: {
			Plan:  map[string]int{"GET /api/2/rules": 4},
			Apply: map[string]int{"GET /api/2/rules": 2, "PATCH /api/2/rules/ID": 3},
		},
		platformtest.DeletesOne: {
			Plan:  map[string]int{"GET /api/2/rules": 4},
			Apply: map[string]int{"DELETE /api/2/rules/ID": 1, "GET /api/2/rules": 2, "GET /api/2/rules/ID": 1},
		},
	})
}
