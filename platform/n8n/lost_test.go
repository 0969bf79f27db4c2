package n8n

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// A losing transport makes n8n lose a write that it has confirmed, as it does over
// SQLite when it rolls back a transaction shared by several requests.
type losing struct {
	s *server
	// after is the end of the path of the request after whose answer the write
	// is lost: "/activate", or "" for the write itself.
	after string
	dies  bool // segue is killed then

	before map[string]any // the workflow as it was before the write
	lost   int            // the number of lost writes
}

func (l *losing) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.dies && l.lost > 0 {
		return nil, errDead
	}
	id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/api/v1/workflows/"), "/activate")
	if r.Method == "PUT" && strings.HasPrefix(r.URL.Path, "/api/v1/workflows/") && l.before == nil {
		w := l.s.read(l.s.t, id)
		if !strings.Contains(w["name"].(string), "credentials are being changed") { // a ledger
			l.before = map[string]any{"name": w["name"], "nodes": w["nodes"], "connections": w["connections"], "settings": map[string]any{}}
		}
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && l.before != nil && l.lost == 0 && (l.after == "" || strings.HasSuffix(r.URL.Path, l.after)) {
		l.lost++
		if status, answer, err := l.s.try("PUT", "/api/v1/workflows/"+id, l.before); err != nil || status != http.StatusOK {
			l.s.t.Errorf("write the old nodes back: %d, %v: %s", status, err, answer)
		}
		if l.dies {
			res.Body.Close()
			return nil, errDead
		}
	}
	return res, err
}

// A write that n8n confirms and loses is repeated. A new workflow whose ID was lost
// remains segue's own, and there is no second one.
func TestLostWrite(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	// requireOne checks that exactly one workflow has the automation's path, that
	// it fires, and that the next plan is empty.
	requireOne := func(t *testing.T, in sync.Desired) {
		t.Helper()
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		key := in.Automations[0].Key
		ids := s.strings(t, "SELECT id FROM workflow_entity WHERE nodes LIKE ?", `%"`+webhookPath(in.Project, key)+`"%`)
		if len(ids) != 1 {
			t.Errorf("n8n has the workflows %q, want one", ids)
		}
		if err := fire(s.webhook(in.Project, key), map[string]any{"userId": "u"}); err != nil {
			t.Error(err)
		}
		s.requireUsed(t, in.Project)
	}
	for _, test := range []struct{ name, project, after string }{
		{"before the activation", "lost-early", ""},
		{"after the activation", "lost-late", "/activate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := one(test.project, platformtest.StartRecorder(t).URL)
			transport := &losing{s: s, after: test.after}
			apply(t, s.platform(Options{Transport: transport}), in)
			if transport.lost != 1 {
				t.Errorf("%d writes were lost, want 1", transport.lost)
			}
			requireOne(t, in)
		})
	}
	t.Run("the activation tells of it", func(t *testing.T) {
		in := bare("lost-told", platformtest.StartRecorder(t).URL)
		in.Automations = in.Automations[:1]
		p := s.platform(Options{Transport: &losing{s: s}})
		_, err := p.Create(t.Context(), in.Project, in.Automations[0])
		wantError(t, err, sync.Temporary, "n8n has confirmed a write of the workflow", "has lost it")
		apply(t, p, in)
		requireOne(t, in)
	})
	t.Run("an update", func(t *testing.T) {
		in := one("lost-update", platformtest.StartRecorder(t).URL)
		apply(t, s.platform(Options{}), in)
		in.Automations[0].Name += ", updated"
		transport := &losing{s: s}
		p := s.platform(Options{Transport: transport})
		plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true, Calls: patient})
		if err != nil {
			t.Fatal(err)
		}
		_, err = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: patient})
		if sync.KindOf(err) != sync.Conflict || transport.lost != 1 {
			t.Errorf("the apply whose update was lost, with %d others: %v; want a conflict", transport.lost-1, err)
		}
		apply(t, s.platform(Options{}), in)
		requireOne(t, in)
	})
	// A workflow that segue could not repair looks like an activated copy. A plan
	// reports it, and --adopt takes it over.
	t.Run("and segue is killed at once", func(t *testing.T) {
		in := one("lost-and-killed", platformtest.StartRecorder(t).URL)
		p := s.platform(Options{Transport: &losing{s: s, after: "/activate", dies: true}})
		if _, err := p.Secrets(t.Context(), in.Project, in.Secrets); err != nil {
			t.Fatal(err)
		}
		if err := p.PutSecret(t.Context(), in.Project, "WRITE_KEY", in.Secrets["WRITE_KEY"]); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Create(t.Context(), in.Project, in.Automations[0]); !errors.Is(err, errDead) {
			t.Fatalf("create: %v, want that it was killed", err)
		}
		p = s.platform(Options{})
		plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true, Calls: patient})
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Changes) != 1 || plan.Changes[0].Taken == nil || plan.Changes[0].Taken.Kind != sync.Copy {
			t.Errorf("the plan has %+v, want a create whose path a copy takes", plan.Changes)
		}
		plan, err = sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true, Calls: patient, Adopt: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: patient}); err != nil {
			t.Fatal(err)
		}
		requireOne(t, in)
	})
}
