package n8n

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// bare returns two automations without secrets, so that an apply only writes
// workflows.
func bare(project, url string) sync.Desired {
	in := two(project, "")
	in.Secrets = nil
	for i := range in.Automations {
		a := &in.Automations[i]
		a.Action.URL = fmt.Sprintf("%s/%d", url, i)
		a.Action.Headers = map[string]automation.Header{"Content-Type": a.Action.Headers["Content-Type"]}
	}
	return in
}

// published waits until n8n 2 has published or unpublished, which happens a
// moment after it has confirmed it.
func (s *server) published(t testing.TB) {
	t.Helper()
	if s.release.version == first.version {
		return
	}
	s.eventually(t, "everything is published", func() bool {
		return len(s.strings(t, `SELECT "workflowId" FROM workflow_publication_outbox WHERE status IN ('pending', 'in_progress')`)) == 0
	})
}

// An automation removed from the code no longer fires, even if segue is killed
// at any point, and the next apply deletes it.
func TestAnActiveWorkflowIsDeleted(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, s *server) {
		recorder := platformtest.StartRecorder(t)
		for writes := 1; writes <= 4; writes++ {
			t.Run(fmt.Sprintf("segue is killed at its write %d", writes), func(t *testing.T) {
				in := bare(fmt.Sprintf("deleted-%d", writes), recorder.URL)
				apply(t, s.platform(Options{}), in)
				gone := in.Automations[1]
				in.Automations = in.Automations[:1]
				transport := &dying{left: writes}
				p := s.platform(Options{Transport: transport})
				plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{})
				if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Action != sync.Delete {
					t.Fatalf("the plan has %+v, %v", plan, err)
				}
				_, err = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: sync.Calls{Tries: 1}})
				// n8n 2 may not have finished unpublishing at the only attempt.
				if transport.dead() && err == nil {
					t.Error("it was killed, and says that all went well")
				}
				apply(t, s.platform(Options{}), in)
				platformtest.RequireExactly(t, s.platform(Options{}), in)
				s.published(t)
				if err := fire(s.webhook(in.Project, gone.Key), map[string]any{"userId": "u"}); err == nil || !strings.Contains(err.Error(), "404") {
					t.Errorf("the deleted one is fired: %v", err)
				}
				if err := fire(s.webhook(in.Project, in.Automations[0].Key), map[string]any{"userId": "u"}); err != nil {
					t.Error(err)
				}
				if got := recorder.Next(t); got.URI != "/0" || len(recorder.Take()) > 0 {
					t.Errorf("it sends to %s", got.URI)
				}
				apply(t, s.platform(Options{}), sync.Desired{Project: in.Project, Target: "test"})
			})
		}
		t.Run("n8n fails in between, and the same apply goes on", func(t *testing.T) {
			in := bare("deleted-on", recorder.URL)
			apply(t, s.platform(Options{}), in)
			in.Automations = in.Automations[:1]
			var deletes atomic.Int64
			p := s.platform(Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.Method != "DELETE" || deletes.Add(1) == 1 || deletes.Load() > 4 {
					return http.DefaultTransport.RoundTrip(r)
				}
				w := httptest.NewRecorder()
				w.WriteHeader(http.StatusServiceUnavailable)
				return w.Result(), nil
			})})
			apply(t, p, in)
			platformtest.RequireExactly(t, s.platform(Options{}), in)
		})
	})
}

// n8n 2 keeps drafts separate from published versions.
func TestADraftIsDrift(t *testing.T) {
	t.Parallel()
	s := startRelease(t, newest)
	recorder := platformtest.StartRecorder(t)
	in := bare("draft", recorder.URL)
	p := s.platform(Options{})
	apply(t, p, in)
	s.published(t)
	key := in.Automations[0].Key
	hook := s.webhook("draft", key)
	sends := func(what, uri string) {
		t.Helper()
		if err := fire(hook, map[string]any{"userId": "u"}); err != nil {
			t.Errorf("%s: %v", what, err)
		} else if got := recorder.Next(t); got.URI != uri {
			t.Errorf("%s: it sends to %s, want %s", what, got.URI, uri)
		}
	}
	found, err := p.Find(t.Context(), "draft", key)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	s.edit(t, found[0].ID, func(w map[string]any) {
		for _, f := range requestAssignments(w) {
			if f["name"] == "url" {
				f["value"] = recorder.URL + "/draft"
			}
		}
	})
	sends("the draft is not published", "/0")
	plan, err := sync.MakePlan(t.Context(), s.platform(Options{}), in, sync.PlanOptions{})
	if err != nil || len(plan.Changes) != 1 {
		t.Fatalf("the plan has %+v, %v", plan, err)
	}
	c := plan.Changes[0]
	var paths []string
	for _, d := range c.Differences {
		paths = append(paths, d.Path)
	}
	if c.Key != key || c.Reason != sync.Drifted || strings.Join(paths, " ") != "action.kind action.url" ||
		!strings.Contains(string(c.Differences[0].Before), "another version of it is published") {
		t.Errorf("the plan has %s, for %s, with %+v", c.Key, c.Reason, c.Differences)
	}
	// An apply publishes the version that it writes.
	in.Automations[0].Action.URL = recorder.URL + "/updated"
	apply(t, p, in)
	platformtest.RequireExactly(t, s.platform(Options{}), in)
	s.published(t)
	sends("the update is published", "/updated")
}
