package n8n

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// one returns an automation that sends to a URL.
func one(project, url string) sync.Desired {
	in := two(project, "abc123")
	in.Automations = in.Automations[:1]
	in.Automations[0].Action.URL = url
	return in
}

// read returns a workflow as the editor reads it.
func (s *server) read(t testing.TB, id string) map[string]any {
	t.Helper()
	var got struct{ Data map[string]any }
	s.rest(t, "GET", "/rest/workflows/"+id, nil, &got)
	return got.Data
}

// raw returns all parts of a workflow that people can change.
func (s *server) raw(t testing.TB, id string) string {
	t.Helper()
	w := s.read(t, id)
	for _, field := range []string{"shared", "homeProject", "sharedWithProjects", "usedCredentials", "scopes", "triggerCount", "checksum"} {
		delete(w, field)
	}
	b, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A copying copies a workflow in one of the ways that people use, and returns
// the copy's ID.
type copying struct {
	name string
	copy func(t testing.TB, s *server, id string) string
}

func nodesOf(w map[string]any) []map[string]any {
	var all []map[string]any
	for _, n := range w["nodes"].([]any) {
		all = append(all, n.(map[string]any))
	}
	return all
}

// editorCopy saves a workflow as a new one, as n8n's editor does.
func editorCopy(freshNodes, freshPaths bool) func(testing.TB, *server, string) string {
	return func(t testing.TB, s *server, id string) string {
		t.Helper()
		w := s.read(t, id)
		for i, n := range nodesOf(w) {
			if freshNodes {
				n["id"] = webhookID(id, fmt.Sprintf("node %d of %d", i, s.serial.Add(1)))
			}
			if _, hook := n["webhookId"]; hook && freshPaths {
				n["webhookId"] = webhookID(id, fmt.Sprint(s.serial.Add(1)))
				n["parameters"].(map[string]any)["path"] = n["webhookId"]
			}
		}
		var made struct{ Data struct{ ID string } }
		s.rest(t, "POST", "/rest/workflows", map[string]any{"name": w["name"].(string) + " copy", "nodes": w["nodes"],
			"connections": w["connections"], "settings": w["settings"], "active": false}, &made)
		return made.Data.ID
	}
}

// copyings returns all ways of copying.
var copyings = []copying{
	{"Duplicate in the editor", editorCopy(true, true)},
	{"Duplicate that keeps the nodes' IDs", editorCopy(false, true)},
	{"a file that the editor imports", editorCopy(false, false)},
	{"the public API", func(t testing.TB, s *server, id string) string {
		t.Helper()
		w := s.read(t, id)
		var made struct{ ID string }
		s.rest(t, "POST", "/api/v1/workflows", map[string]any{"name": "Copy", "nodes": w["nodes"], "connections": w["connections"], "settings": map[string]any{}}, &made)
		return made.ID
	}},
	{"a file with another ID that the command line imports", func(t testing.TB, s *server, id string) string {
		t.Helper()
		w := s.read(t, id)
		copied := strings.ToUpper(id[:8]) + "copied01"
		w["id"], w["name"] = copied, "Imported"
		s.importFile(t, w)
		return copied
	}},
}

// importFile imports a workflow with n8n's command line.
func (s *server) importFile(t testing.TB, w map[string]any) {
	t.Helper()
	for _, field := range []string{"shared", "homeProject", "sharedWithProjects", "usedCredentials", "scopes", "activeVersion", "parentFolder", "tags", "checksum"} {
		delete(w, field)
	}
	b, err := json.Marshal([]any{w})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "workflow.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s.runCommand(t, "import:workflow", "--input="+file)
}

// runCommand runs a command of n8n's command line, beside the server.
func (s *server) runCommand(t testing.TB, args ...string) {
	t.Helper()
	node, path := s.release.program.NodeJS(t)
	cmd := exec.CommandContext(t.Context(), node, append([]string{filepath.Join(s.release.program.Install(t), "node_modules", "n8n", "bin", "n8n")}, args...)...)
	cmd.Dir, cmd.Env = s.data, append(append(os.Environ(), path...), "N8N_USER_FOLDER="+s.data, "N8N_ENCRYPTION_KEY=segue-test", "N8N_DIAGNOSTICS_ENABLED=false", "N8N_RUNNERS_ENABLED=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("n8n %q: %v\n%s", args, err, out)
	}
}

// A copy belongs to its maker, however it was made and changed: segue neither
// changes nor deletes it, and it continues to fire.
func TestCopiesAreTheirMakers(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for i, way := range copyings {
		t.Run(way.name, func(t *testing.T) { s.testCopy(t, fmt.Sprintf("copied-%d", i), way) })
	}
	t.Run("a workflow that was exported, deleted, and imported again is segue's own", func(t *testing.T) {
		in := one("restored", "https://example.com")
		p := s.platform(Options{})
		apply(t, p, in)
		found, err := p.Find(t.Context(), "restored", in.Automations[0].Key)
		if err != nil || len(found) != 1 {
			t.Fatalf("found %+v, %v", found, err)
		}
		exported := s.read(t, found[0].ID)
		exported["active"] = false
		s.rest(t, "DELETE", "/api/v1/workflows/"+found[0].ID, nil, nil)
		s.importFile(t, exported)
		apply(t, s.platform(Options{}), in)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		now, err := s.platform(Options{}).Find(t.Context(), "restored", in.Automations[0].Key)
		if err != nil || len(now) != 1 || now[0].ID != found[0].ID {
			t.Errorf("found %+v, %v; want the workflow %s", now, err, found[0].ID)
		}
	})
}

func (s *server) testCopy(t *testing.T, project string, way copying) {
	recorder, theirs := platformtest.StartRecorder(t), platformtest.StartRecorder(t)
	in := one(project, recorder.URL)
	key := in.Automations[0].Key
	apply(t, s.platform(Options{}), in)
	found, err := s.platform(Options{}).Find(t.Context(), project, key)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	copied := way.copy(t, s, found[0].ID)

	// Its maker gives it a name, a webhook, an address and one more node.
	path := "mine/" + project
	s.edit(t, copied, func(w map[string]any) {
		w["name"] = "Mine"
		for _, n := range nodesOf(w) {
			parameters := n["parameters"].(map[string]any)
			if n["type"] == webhookType {
				parameters["path"] = path
			}
			if n["name"] == sendName {
				parameters["url"] = theirs.URL
			}
		}
		w["nodes"] = append(w["nodes"].([]any), newNode("mine", "Mine", "n8n-nodes-base.noOp", 1, 0, 900, map[string]any{}))
	})
	s.rest(t, "POST", "/api/v1/workflows/"+copied+"/activate", nil, nil)
	fires := func(when string) {
		t.Helper()
		if err := fire(s.url+"/webhook/"+path, map[string]any{"userId": "u"}); err != nil {
			t.Fatalf("%s: the copy does not fire: %v", when, err)
		}
		if auth := theirs.Next(t).Header.Get("Authorization"); auth != "Basic YWJjMTIzOg==" {
			t.Errorf("%s: the copy sends the Authorization %q", when, auth)
		}
	}
	before := s.raw(t, copied)
	fires("at first")

	platformtest.RequireExactly(t, s.platform(Options{}), in)
	survey, err := s.platform(Options{}).Survey(t.Context(), project, []string{key})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(survey.Others, func(o sync.Other) bool { return o.ID == copied })
	switch {
	case i < 0:
		t.Errorf("the survey does not tell of the copy: %+v", survey.Others)
	default:
		o := survey.Others[i]
		if want := fmt.Sprintf("workflow %q (%s)", "Mine", copied); o.Kind != sync.Copy || o.Title != want || o.Takes != "" || o.Marker.Key != key {
			t.Errorf("the survey tells of %s as a %s that takes %q, want a copy, %s", o.Title, o.Kind, o.Takes, want)
		}
	}

	for _, step := range []struct {
		name   string
		change func(*sync.Desired)
	}{
		{"an update", func(in *sync.Desired) { in.Automations[0].Name += ", updated" }},
		{"a rotation", func(in *sync.Desired) { in.Secrets = platformtest.Secret("rotated") }},
		{"other headers", func(in *sync.Desired) {
			a := &in.Automations[0]
			a.Action.Headers = maps.Clone(a.Action.Headers)
			a.Action.Headers["X-Key"] = a.Action.Headers["Authorization"]
		}},
		{"a delete", func(in *sync.Desired) { in.Automations = nil }},
	} {
		step.change(&in)
		apply(t, s.platform(Options{}), in)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		if after := s.raw(t, copied); after != before {
			t.Errorf("after %s, the copy is\n%s\nwant\n%s", step.name, after, before)
		}
		fires("after " + step.name)
	}
	if err := fire(s.webhook(project, key), map[string]any{"userId": "u"}); err == nil {
		t.Error("what was deleted fires")
	}
}

// If an apply was killed before it could write a workflow's ID, and somebody
// copies the workflow, the copy is not completed.
func TestCopyOfUnfinishedWorkflow(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	in := one("unfinished", "https://example.com")
	in.Automations[0].Action.Headers, in.Secrets = nil, nil
	p := s.platform(Options{Transport: &dying{left: 1}})
	if _, err := p.Create(t.Context(), in.Project, in.Automations[0]); err == nil {
		t.Fatal("no error of one that was killed")
	}
	found, err := s.platform(Options{}).Find(t.Context(), in.Project, in.Automations[0].Key)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v; want the unfinished one", found, err)
	}
	var copies []string
	before := map[string]string{}
	for _, way := range copyings {
		id := way.copy(t, s, found[0].ID)
		copies, before[id] = append(copies, id), s.raw(t, id)
	}
	apply(t, s.platform(Options{}), in)
	platformtest.RequireExactly(t, s.platform(Options{}), in)
	now, err := s.platform(Options{}).Find(t.Context(), in.Project, in.Automations[0].Key)
	if err != nil || len(now) != 1 || now[0].ID != found[0].ID {
		t.Errorf("found %+v, %v; want the workflow %s", now, err, found[0].ID)
	}
	for _, id := range copies {
		if after := s.raw(t, id); after != before[id] {
			t.Errorf("the copy is\n%s\nwant\n%s", after, before[id])
		}
	}
}

// forgetIDs turns a workflow into one of a segue that did not write IDs.
func (s *server) forgetIDs(t testing.TB, id string) {
	t.Helper()
	s.edit(t, id, func(w map[string]any) {
		for _, n := range nodesOf(w) {
			if n["id"] != noteID {
				continue
			}
			var r record
			if !recorded(n, &r) {
				t.Fatal("no record")
			}
			r.ID, r.Nonce = "", ""
			n["parameters"].(map[string]any)["content"] = note(r, "")
		}
	})
}

// A workflow of an older segue is segue's own if it is the oldest one at its
// path, and gets its ID with the next apply.
func TestWorkflowsOfAnOlderSegue(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	recorder := platformtest.StartRecorder(t)
	in := one("older", recorder.URL)
	apply(t, s.platform(Options{}), in)
	found, err := s.platform(Options{}).Find(t.Context(), in.Project, in.Automations[0].Key)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	s.forgetIDs(t, found[0].ID)
	before := map[string]string{}
	for _, way := range copyings[:4] {
		id := way.copy(t, s, found[0].ID)
		before[id] = s.raw(t, id)
	}
	for _, step := range []string{"the first", "the second"} {
		plan, err := sync.MakePlan(t.Context(), s.platform(Options{}), in, sync.PlanOptions{AllowSecondProject: true})
		if err != nil {
			t.Fatal(err)
		}
		if step == "the first" && (len(plan.Changes) != 1 || plan.Changes[0].Reason != sync.Outdated || plan.Changes[0].Base.ID != found[0].ID) {
			t.Errorf("the plan has %+v, want an update of one that is outdated", plan.Changes)
		}
		apply(t, s.platform(Options{}), in)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
	}
	for id, was := range before {
		if after := s.raw(t, id); after != was {
			t.Errorf("the copy is\n%s\nwant\n%s", after, was)
		}
	}
	// Now its ID distinguishes it from its copies, regardless of age.
	s.rest(t, "DELETE", "/api/v1/workflows/"+found[0].ID, nil, nil)
	if left, err := s.platform(Options{}).Find(t.Context(), in.Project, in.Automations[0].Key); err != nil || len(left) > 1 {
		t.Errorf("found %+v, %v", left, err)
	}
}

// Somebody replaces the original with a copy: they activate the copy and archive
// the original. The original is not deleted before another workflow fires.
func TestArchivedOriginal(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	recorder := platformtest.StartRecorder(t)
	in := one("archived-original", recorder.URL)
	key := in.Automations[0].Key
	apply(t, s.platform(Options{}), in)
	original := func() sync.Stored {
		t.Helper()
		found, err := s.platform(Options{}).Find(t.Context(), in.Project, key)
		if err != nil || len(found) != 1 {
			t.Fatalf("found %+v, %v", found, err)
		}
		return found[0]
	}
	first := original()
	copied := editorCopy(false, false)(t, s, first.ID)
	s.rest(t, "POST", "/rest/workflows/"+first.ID+"/archive", nil, nil)
	s.rest(t, "POST", "/api/v1/workflows/"+copied+"/activate", nil, nil)
	before := s.raw(t, copied)

	survey, err := s.platform(Options{}).Survey(t.Context(), in.Project, []string{key})
	if err != nil || len(survey.Others) != 1 || survey.Others[0].Takes != key || survey.Others[0].Endpoint != "POST /webhook/"+webhookPath(in.Project, key) {
		t.Errorf("the survey has %+v, %v; want the copy, which takes the path", survey.Others, err)
	}
	all := s.strings(t, "SELECT id FROM workflow_entity")
	p := s.platform(Options{})
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: sync.Calls{Tries: 2, BackOff: patient.BackOff}})
	wantError(t, err, sync.Refused, copied, webhookPath(in.Project, key))
	// n8n itself reports a workflow that nobody saw before.
	_, err = p.Update(t.Context(), original(), sync.MarkerOf(in.Project, in.Automations[0]), in.Automations[0])
	wantError(t, err, sync.Refused, copied, webhookPath(in.Project, key), "deactivate that workflow")
	if now := s.strings(t, "SELECT id FROM workflow_entity"); !slices.Equal(slices.Sorted(slices.Values(now)), slices.Sorted(slices.Values(all))) {
		t.Errorf("n8n has the workflows %q after the refusal, want %q", now, all)
	}
	if after := s.raw(t, copied); after != before {
		t.Errorf("the copy is\n%s\nwant\n%s", after, before)
	}
	if now := original(); now.ID != first.ID {
		t.Errorf("the original is %s, want %s", now.ID, first.ID)
	}

	s.rest(t, "POST", "/api/v1/workflows/"+copied+"/deactivate", nil, nil)
	for points := 1; ; points++ {
		mortal := &dying{left: points}
		p := s.platform(Options{Transport: mortal})
		calls := sync.Calls{Tries: 1}
		plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true, Calls: calls})
		if err != nil {
			t.Fatal(err)
		}
		old := plan.Changes[0].Base.ID
		_, err = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: calls})
		if !mortal.dead() {
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("killed at %d points", points-1)
			break
		}
		left, err := s.platform(Options{}).Find(t.Context(), in.Project, key)
		if err != nil || len(left) == 0 {
			t.Fatalf("killed after request %d: found %+v, %v", points, left, err)
		}
		if !slices.ContainsFunc(left, func(s sync.Stored) bool { return s.ID == old }) && fire(s.webhook(in.Project, key), map[string]any{"userId": "u"}) != nil {
			t.Errorf("killed after request %d: the archived one is gone, and nothing fires", points)
		}
		recorder.Take()
		apply(t, s.platform(Options{}), in)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		s.requireUsed(t, in.Project)
		s.rest(t, "POST", "/rest/workflows/"+original().ID+"/archive", nil, nil)
	}
	platformtest.RequireExactly(t, s.platform(Options{}), in)
	if err := fire(s.webhook(in.Project, key), map[string]any{"userId": "u"}); err != nil {
		t.Error(err)
	}
	if status, _, err := s.try("GET", "/api/v1/workflows/"+copied, nil); err != nil || status != http.StatusOK {
		t.Errorf("the copy: %d, %v", status, err)
	}
}
