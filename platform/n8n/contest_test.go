package n8n

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// One apply is held at a write while another one runs: at an update, a create and a delete
// of each pair of plans. With Turns left out, it is held at each write in turn; that takes
// some minutes. n8n carries out updates and deletes whatever has happened since segue has
// looked.
func TestTwoAppliesInterleaved(t *testing.T) {
	if testing.Short() {
		t.Skip("takes several interleavings in turn")
	}
	t.Parallel()
	s := startServer(t)
	platformtest.TwoApplies(t, platformtest.Contest{
		Once: true, Plain: true, Held: writes,
		Turns: map[string][]int{
			"the same plan":                        {1, 2}, // updates "changed", creates "new"
			"different plans":                      {1},
			"different plans, the other one first": {5}, // deletes "gone"
			"opposite plans":                       {2},
			"opposite plans, the other one first":  {2}, // deletes "changed"
		},
		Overwrites: func(r *http.Request) bool { return r.Method == "PUT" || r.Method == "DELETE" },
		Open: func(t testing.TB, transport http.RoundTripper) sync.Platform {
			return s.platform(Options{Transport: transport, Timeout: time.Hour})
		},
	})
}

// testMarkerEdited: a plan notices a note into which somebody has put another key.
func (s *server) testMarkerEdited(t *testing.T) {
	in := two("edited", "abc123")
	apply(t, s.platform(Options{}), in)
	found, err := s.platform(Options{}).Find(t.Context(), in.Project, in.Automations[0].Key)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	other := in.Automations[1].Key
	s.edit(t, found[0].ID, func(w map[string]any) {
		for _, n := range nodesOf(w) {
			if n["id"] == noteID {
				p := n["parameters"].(map[string]any)
				p["content"] = strings.Replace(p["content"].(string), `"key":"`+in.Automations[0].Key, `"key":"`+other, 1)
			}
		}
	})
	_, err = sync.MakePlan(t.Context(), s.platform(Options{}), in, sync.PlanOptions{Calls: patient})
	wantError(t, err, sync.Refused, "somebody has edited the marker of the workflow", found[0].ID, other+" of the project edited")
	// The remedy is to remove the note, and to take the workflow over.
	s.removeNote(t, found[0].ID)
	p := s.platform(Options{})
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{Calls: patient, Adopt: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: patient}); err != nil {
		t.Fatal(err)
	}
	platformtest.RequireExactly(t, s.platform(Options{}), in)
}
