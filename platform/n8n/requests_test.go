package n8n

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// identifiers are those of workflows and credentials in a path.
var identifiers = regexp.MustCompile(`^/api/v1/(workflows|credentials)/[^/]+`)

// A plan reads the pages of workflows, looks whether credentials are there, and finds n8n's
// version. An apply writes a new workflow three times: with the marker, with its own ID in
// that, and to activate it. At its end, a workflow is made and deleted that says that
// credentials are being changed.
func TestRequests(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	name := func(r *http.Request) string {
		return r.Method + " " + strings.TrimPrefix(identifiers.ReplaceAllString(r.URL.Path, "/$1/ID"), "/api/v1")
	}
	// n8n 1 can't read a credential; another request shows whether it exists.
	planned := map[string]int{"GET /": 1, "GET /workflows": 1, "GET /credentials/ID": 1, "PUT /credentials/ID/transfer": 1}
	platformtest.Requests(t, func(t testing.TB, transport http.RoundTripper) sync.Platform {
		return s.platform(Options{Transport: transport})
	}, name, map[string]platformtest.Traffic{
		platformtest.CreatesThree: {
			Plan: map[string]int{"GET /": 1, "GET /workflows": 2},
			Apply: map[string]int{
				"DELETE /workflows/ID": 1, "GET /workflows": 2, "POST /credentials": 1, "POST /workflows": 4,
				"POST /workflows/ID/activate": 3, "PUT /workflows/ID": 4,
			},
		},
		platformtest.NothingToDo: {Plan: planned},
		platformtest.UpdatesOne: {
			Plan: planned,
			Apply: map[string]int{
				"DELETE /workflows/ID": 1, "GET /workflows": 2, "GET /workflows/ID": 1, "POST /workflows": 1,
				"PUT /workflows/ID": 1,
			},
		},
		platformtest.RotatesSecret: {
			Plan: planned,
			Apply: map[string]int{
				"DELETE /credentials/ID": 1, "DELETE /workflows/ID": 1, "GET /workflows": 3, "GET /workflows/ID": 3,
				"POST /credentials": 1, "POST /workflows": 1, "PUT /workflows/ID": 5,
			},
		},
		platformtest.DeletesOne: {
			Plan:  planned,
			Apply: map[string]int{"DELETE /workflows/ID": 2, "GET /workflows": 2, "GET /workflows/ID": 1, "POST /workflows": 1},
		},
	})
}
