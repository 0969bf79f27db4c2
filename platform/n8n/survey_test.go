package n8n

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// other returns the only workflow that concerns a project but is not its own.
func (s *server) other(t testing.TB, project, key, id string) sync.Other {
	t.Helper()
	survey, err := s.platform(Options{}).Survey(t.Context(), project, []string{key, "some/other"})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(survey.Others, func(o sync.Other) bool { return o.ID == id })
	if i < 0 {
		t.Fatalf("the survey does not tell of %s: %+v", id, survey.Others)
	}
	return survey.Others[i]
}

// removeNote deletes segue's note, as people may do.
func (s *server) removeNote(t testing.TB, id string) {
	t.Helper()
	s.edit(t, id, func(w map[string]any) {
		w["nodes"] = slices.DeleteFunc(w["nodes"].([]any), func(n any) bool { return n.(map[string]any)["id"] == noteID })
	})
}

// A plan reports a workflow that is in the way of an automation. An apply that
// tries nevertheless leaves nothing behind. The workflow can be taken over.
func TestTakenWebhookPaths(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	recorder := platformtest.StartRecorder(t)
	// hook makes a workflow with a trigger of some sort at a path.
	hook := func(t *testing.T, kind string, parameters map[string]any, active bool) string {
		t.Helper()
		trigger := newNode("hook", "Hook", kind, 2, 0, 0, parameters)
		trigger["webhookId"] = webhookID("hook", fmt.Sprint(s.serial.Add(1)))
		var made struct{ ID string }
		s.rest(t, "POST", "/api/v1/workflows", workflow{Name: "Theirs", Nodes: []node{trigger}, Connections: map[string]any{}, Settings: map[string]any{}}, &made)
		if active {
			s.rest(t, "POST", "/api/v1/workflows/"+made.ID+"/activate", nil, nil)
		}
		return made.ID
	}
	applied := func(t *testing.T, in sync.Desired) string {
		t.Helper()
		apply(t, s.platform(Options{}), in)
		found, err := s.platform(Options{}).Find(t.Context(), in.Project, in.Automations[0].Key)
		if err != nil || len(found) != 1 {
			t.Fatalf("found %+v, %v", found, err)
		}
		return found[0].ID
	}
	t.Run("a marker edited by hand", s.testMarkerEdited)
	for i, test := range []struct {
		name string
		make func(t *testing.T, in sync.Desired, path string) string
		kind sync.OtherKind
		// takes is true if it is in the way; refused is true if an apply is
		// refused.
		takes, refused bool
	}{
		{"an active one whose note was removed", func(t *testing.T, in sync.Desired, _ string) string {
			id := applied(t, in)
			s.removeNote(t, id)
			return id
		}, sync.Unmarked, true, true},
		{"an inactive one whose note was removed", func(t *testing.T, in sync.Desired, _ string) string {
			id := applied(t, in)
			s.removeNote(t, id)
			s.rest(t, "POST", "/api/v1/workflows/"+id+"/deactivate", nil, nil)
			return id
		}, sync.Unmarked, true, false},
		{"somebody's own", func(t *testing.T, _ sync.Desired, path string) string {
			return hook(t, webhookType, map[string]any{"httpMethod": "POST", "path": path, "options": map[string]any{}}, true)
		}, sync.Unmarked, true, true},
		{"one with slashes around its path, for several methods", func(t *testing.T, _ sync.Desired, path string) string {
			return hook(t, webhookType, map[string]any{"multipleMethods": true, "httpMethod": []string{"POST", "PUT"}, "path": "/" + path + "/", "options": map[string]any{}}, true)
		}, sync.Unmarked, true, true},
		{"an active copy, when the original is deleted", func(t *testing.T, in sync.Desired, _ string) string {
			id := applied(t, in)
			copied := editorCopy(false, false)(t, s, id)
			s.rest(t, "DELETE", "/api/v1/workflows/"+id, nil, nil)
			s.rest(t, "POST", "/api/v1/workflows/"+copied+"/activate", nil, nil)
			return copied
		}, sync.Copy, true, true},
		{"another project's, at a path that somebody has given it", func(t *testing.T, in sync.Desired, path string) string {
			other := one("foreign-"+in.Project, recorder.URL)
			id := applied(t, other)
			s.edit(t, id, func(w map[string]any) {
				for _, n := range nodesOf(w) {
					if n["id"] == triggerID {
						n["parameters"].(map[string]any)["path"] = path
					}
				}
			})
			return id
		}, sync.Foreign, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := one(fmt.Sprintf("taken-%d", i), recorder.URL)
			key := in.Automations[0].Key
			id := test.make(t, in, webhookPath(in.Project, key))
			o := s.other(t, in.Project, key, id)
			if o.Kind != test.kind || (o.Takes == key) != test.takes || !strings.Contains(o.Title, id) || o.Endpoint != "POST /webhook/"+webhookPath(in.Project, key) {
				t.Errorf("the survey tells of %+v", o)
			}
			before, all := s.raw(t, id), s.strings(t, "SELECT id FROM workflow_entity ORDER BY id")
			if test.refused {
				p := s.platform(Options{})
				plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true})
				if err != nil {
					t.Fatal(err)
				}
				_, err = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: sync.Calls{Tries: 2, BackOff: patient.BackOff}})
				wantError(t, err, sync.Refused, id, webhookPath(in.Project, key))
				// n8n itself reports a workflow that nobody saw before.
				if err := p.PutSecret(t.Context(), in.Project, "WRITE_KEY", in.Secrets["WRITE_KEY"]); err != nil {
					t.Fatal(err)
				}
				_, err = p.Create(t.Context(), in.Project, in.Automations[0])
				wantError(t, err, sync.Refused, id, webhookPath(in.Project, key), "deactivate that workflow")
				if err := p.Settle(t.Context(), in.Project); err != nil {
					t.Fatal(err)
				}
				if after := s.strings(t, "SELECT id FROM workflow_entity ORDER BY id"); !slices.Equal(after, all) {
					t.Errorf("n8n has the workflows %q after the refusal, want %q", after, all)
				}
				if after := s.raw(t, id); after != before {
					t.Errorf("it is\n%s\nwant\n%s", after, before)
				}
			}
			// It is taken over.
			p := s.platform(Options{})
			if err := p.PutSecret(t.Context(), in.Project, "WRITE_KEY", in.Secrets["WRITE_KEY"]); err != nil {
				t.Fatal(err)
			}
			o = s.other(t, in.Project, key, id)
			stored, err := p.Update(t.Context(), o.Stored, sync.MarkerOf(in.Project, in.Automations[0]), in.Automations[0])
			if err != nil || stored.ID != id {
				t.Fatalf("taken over: %+v, %v", stored, err)
			}
			if err := p.Settle(t.Context(), in.Project); err != nil {
				t.Fatal(err)
			}
			platformtest.RequireExactly(t, s.platform(Options{}), in)
			s.requireUsed(t, in.Project)
			recorder.Take()
			if err := fire(s.webhook(in.Project, key), map[string]any{"userId": "u"}); err != nil {
				t.Fatal(err)
			}
			if auth := recorder.Next(t).Header.Get("Authorization"); auth != "Basic YWJjMTIzOg==" {
				t.Errorf("Authorization = %q", auth)
			}
		})
	}
	for name, parameters := range map[string]map[string]any{
		"at the path, for GET":          {"path": "PATH", "options": map[string]any{}},
		"at a path that begins with it": {"httpMethod": "POST", "path": "PATH/more", "options": map[string]any{}},
	} {
		t.Run("not in the way: "+name, func(t *testing.T) {
			in := one(fmt.Sprintf("free-%d", s.serial.Add(1)), recorder.URL)
			key := in.Automations[0].Key
			parameters["path"] = strings.Replace(parameters["path"].(string), "PATH", webhookPath(in.Project, key), 1)
			id := hook(t, webhookType, parameters, true)
			survey, err := s.platform(Options{}).Survey(t.Context(), in.Project, []string{key})
			if err != nil || slices.ContainsFunc(survey.Others, func(o sync.Other) bool { return o.ID == id }) {
				t.Errorf("the survey has %+v, %v", survey.Others, err)
			}
			apply(t, s.platform(Options{}), in)
			platformtest.RequireExactly(t, s.platform(Options{}), in)
		})
	}
}

// A project is renamed: its workflows are taken over one by one, and keep their
// IDs. If the apply is killed at any point, the next one continues.
func TestProjectIsRenamed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	recorder := platformtest.StartRecorder(t)
	take := func(p *Platform, to sync.Desired, from string) error {
		survey, err := p.Survey(t.Context(), to.Project, nil)
		if err != nil {
			return err
		}
		if err := p.PutSecret(t.Context(), to.Project, "WRITE_KEY", to.Secrets["WRITE_KEY"]); err != nil {
			return err
		}
		for _, a := range to.Automations {
			for _, o := range survey.Others {
				if o.Kind == sync.Foreign && o.Marker.Project == from && o.Marker.Key == a.Key {
					if _, err := p.Update(t.Context(), o.Stored, sync.MarkerOf(to.Project, a), a); err != nil {
						return err
					}
				}
			}
		}
		return p.Settle(t.Context(), to.Project)
	}
	for points := 1; ; points++ {
		if points > 40 {
			t.Fatal("it takes more than 40 writing requests")
		}
		before, after := two(fmt.Sprintf("before-%d", points), "abc123"), two(fmt.Sprintf("after-%d", points), "abc123")
		for i := range after.Automations {
			before.Automations[i].Action.URL, after.Automations[i].Action.URL = recorder.URL, recorder.URL
		}
		apply(t, s.platform(Options{}), before)
		ids := map[string]string{}
		found, err := s.platform(Options{}).List(t.Context(), before.Project)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			ids[f.Marker.Key] = f.ID
		}
		mortal := &dying{left: points}
		err = take(s.platform(Options{Transport: mortal}), after, before.Project)
		if survived := !mortal.dead(); survived != (err == nil) {
			t.Fatalf("killed after request %d: %v", points, err)
		}
		if mortal.dead() {
			if err := take(s.platform(Options{}), after, before.Project); err != nil {
				t.Fatalf("killed after request %d, and again: %v", points, err)
			}
			apply(t, s.platform(Options{}), after)
		}
		platformtest.RequireExactly(t, s.platform(Options{}), after)
		platformtest.RequireExactly(t, s.platform(Options{}), sync.Desired{Project: before.Project, Target: "test"})
		s.requireUsed(t, after.Project)
		s.requireUsed(t, before.Project)
		s.requireCredentials(t, before.Project, 0)
		s.requireCredentials(t, after.Project, 1)
		now, err := s.platform(Options{}).List(t.Context(), after.Project)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range now {
			if n.ID != ids[n.Marker.Key] {
				t.Errorf("%s is the workflow %s, want %s", n.Marker.Key, n.ID, ids[n.Marker.Key])
			}
			if err := fire(s.webhook(after.Project, n.Marker.Key), map[string]any{"userId": "u"}); err != nil {
				t.Error(err)
				continue
			}
			if auth := recorder.Next(t).Header.Get("Authorization"); auth != "Basic YWJjMTIzOg==" {
				t.Errorf("Authorization = %q", auth)
			}
		}
		if t.Failed() {
			t.Fatalf("killed after request %d", points)
		}
		if !mortal.dead() {
			t.Logf("killed at %d points", points-1)
			return
		}
	}
}
