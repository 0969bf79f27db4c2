package nodered

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// One apply is held whenever it reads the flows or deploys them, while another one runs.
func TestTwoAppliesInterleaved(t *testing.T) {
	if testing.Short() {
		t.Skip("takes each interleaving in turn")
	}
	r := start(t, "")
	platformtest.TwoApplies(t, platformtest.Contest{
		Once: true, Plain: true, Held: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/flows") },
		Open: func(t testing.TB, transport http.RoundTripper) sync.Platform {
			p, err := New(r.url, Options{Transport: transport, Timeout: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			return p
		},
	})
}
