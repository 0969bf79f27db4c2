package nodered

import (
	"net/http"
	"testing"

	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// A plan reads all flows, once. All changes of an apply are one deploy.
func TestRequests(t *testing.T) {
	r := start(t, "")
	name := func(r *http.Request) string { return r.Method + " " + r.URL.Path }
	platformtest.Requests(t, func(t testing.TB, transport http.RoundTripper) sync.Platform {
		p, err := New(r.url, Options{Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}, name, map[string]platformtest.Traffic{
		platformtest.CreatesThree: {
			Plan:  map[string]int{"GET /flows": 1, "GET /settings": 1},
			Apply: map[string]int{"GET /flows": 2, "POST /flows": 1},
		},
		platformtest.NothingToDo: {Plan: map[string]int{"GET /flows": 1, "GET /settings": 1}},
		platformtest.UpdatesOne: {
			Plan:  map[string]int{"GET /flows": 1, "GET /settings": 1},
			Apply: map[string]int{"GET /flows": 2, "POST /flows": 1},
		},
		platformtest.RotatesSecret: {
			Plan:  map[string]int{"GET /flows": 1, "GET /settings": 1},
			Apply: map[string]int{"GET /flows": 1, "POST /flows": 1},
		},
		platformtest.DeletesOne: {
			Plan:  map[string]int{"GET /flows": 1, "GET /settings": 1},
			Apply: map[string]int{"GET /flows": 2, "POST /flows": 1},
		},
	})
}
