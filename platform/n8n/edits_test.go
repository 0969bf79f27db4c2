package n8n

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// A plan shows edits in n8n's editor in canonical form, unless they do not
// concern segue, and an apply reverts them.
func TestEditsByHand(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := s.platform(Options{})
	in := two("edited", "abc123")
	apply(t, p, in)
	key := in.Automations[0].Key
	find := func() sync.Stored {
		t.Helper()
		found, err := p.Find(t.Context(), "edited", key)
		if err != nil || len(found) != 1 {
			t.Fatalf("found %+v, %v", found, err)
		}
		return found[0]
	}
	nodeOf := func(w map[string]any, id string) map[string]any {
		for _, n := range w["nodes"].([]any) {
			if n := n.(map[string]any); n["id"] == id {
				return n
			}
		}
		t.Fatalf("no node %s", id)
		return nil
	}
	parameters := func(w map[string]any, id string) map[string]any { return nodeOf(w, id)["parameters"].(map[string]any) }
	field := func(w map[string]any, name, value string) {
		for _, f := range requestAssignments(w) {
			if f["name"] == name {
				f["value"] = value
			}
		}
	}
	const kind = `"http_request, changed in n8n: `
	for name, test := range map[string]struct {
		edit func(w map[string]any)
		// want are the paths that differ with their values, sorted; empty for none.
		want []string
	}{
		"the name":    {func(w map[string]any) { w["name"] = "Other" }, []string{`name "Other"`}},
		"the URL":     {func(w map[string]any) { field(w, "url", "https://example.org/x") }, []string{`action.url "https://example.org/x"`}},
		"the method":  {func(w map[string]any) { field(w, "method", "PUT") }, []string{`action.method "PUT"`}},
		"the trigger": {func(w map[string]any) { field(w, "trigger", `{"kind":"journey","name":"J"}`) }, []string{`trigger.kind "journey"`, `trigger.name "J"`}},
		"a header": {func(w map[string]any) {
			field(w, "headers", strings.Replace(headersOf(w), "application/json", "text/plain", 1))
		}, []string{`action.headers."Content-Type" "text/plain"`}},
		"headers, no JSON":   {func(w map[string]any) { field(w, "headers", "{") }, []string{`action.headers."Content-Type" `, `action.headers.Authorization `, `action.kind ` + kind + `the field \"headers\" of the node \"Request\""`}},
		"payload, no JSON":   {func(w map[string]any) { field(w, "payload", "{x") }, []string{`action.payload "{x"`}},
		"the URL in Send":    {func(w map[string]any) { parameters(w, sendID)["url"] = "https://example.org/y" }, []string{`action.url "https://example.org/y"`}},
		"the method in Send": {func(w map[string]any) { parameters(w, sendID)["method"] = "PATCH" }, []string{`action.method "PATCH"`}},
		"the default method": {func(w map[string]any) { delete(parameters(w, sendID), "method") }, []string{`action.method "GET"`}},
		"the body in Send":   {func(w map[string]any) { parameters(w, sendID)["body"] = `{"event": "fixed"}` }, []string{`action.payload.event "fixed"`, `action.payload.userId `}},
		"a proxy in Send": {func(w map[string]any) {
			parameters(w, sendID)["options"].(map[string]any)["proxy"] = "http://127.0.0.1:1"
		}, []string{`action.kind ` + kind + `the node \"Send\""`}},
		"no credential":     {func(w map[string]any) { delete(nodeOf(w, sendID), "credentials") }, []string{`action.headers.Authorization "(hidden)"`}},
		"no authentication": {func(w map[string]any) { parameters(w, sendID)["authentication"] = "none" }, []string{`action.headers.Authorization "(hidden)"`}},
		"the code":          {func(w map[string]any) { parameters(w, fillID)["jsCode"] = "return []" }, []string{`action.kind ` + kind + `the node \"Fill in\""`}},
		"tries": {func(w map[string]any) {
			nodeOf(w, sendID)["retryOnFail"], nodeOf(w, sendID)["maxTries"], nodeOf(w, sendID)["waitBetweenTries"] = true, 5, 3000
		}, nil},
		"what an error leads to": {func(w map[string]any) { nodeOf(w, sendID)["onError"] = "stopWorkflow" }, []string{`action.kind ` + kind + `the node \"Send\""`}},
		"a node switched off":    {func(w map[string]any) { nodeOf(w, fillID)["disabled"] = true }, []string{`action.kind ` + kind + `the node \"Fill in\""`}},
		"the webhook's path":     {func(w map[string]any) { parameters(w, triggerID)["path"] = "other" }, []string{`action.kind ` + kind + `the webhook's path is \"other\""`}},
		"a node more": {func(w map[string]any) {
			w["nodes"] = append(w["nodes"].([]any), newNode("x", "Wait", "n8n-nodes-base.noOp", 1, 0, 0, map[string]any{}))
		}, []string{`action.kind ` + kind + `the node \"Wait\" was added"`}},
		"a node less": {func(w map[string]any) {
			w["nodes"] = slices.DeleteFunc(w["nodes"].([]any), func(n any) bool { return n.(map[string]any)["id"] == fillID })
			w["connections"] = map[string]any{}
		}, []string{`action.kind ` + kind + `the connections between nodes; the node \"Fill in\" was removed"`}},
		"a note of one's own": {func(w map[string]any) {
			w["nodes"] = append(w["nodes"].([]any), newNode("y", "Mine", "n8n-nodes-base.stickyNote", 1, 0, 0, map[string]any{"content": "Hello"}))
			nodeOf(w, sendID)["notes"] = "to Segment"
		}, nil},
		"settings": {func(w map[string]any) { w["settings"].(map[string]any)["timezone"] = "Europe/Berlin" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s.edit(t, find().ID, test.edit)
			plan, err := sync.MakePlan(t.Context(), s.platform(Options{}), in, sync.PlanOptions{AllowSecondProject: true})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range plan.Changes {
				if c.Key != key || c.Action != sync.Update || c.Reason != sync.Drifted {
					t.Errorf("the plan has %s %s, for %s", c.Action, c.Key, c.Reason)
				}
				for _, d := range c.Differences {
					got = append(got, d.Path+" "+string(d.Before))
				}
			}
			slices.Sort(got)
			if len(got) != len(test.want) {
				t.Fatalf("differences %q, want %q", got, test.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], test.want[i]) {
					t.Errorf("difference %s, want %s", got[i], test.want[i])
				}
			}
			if len(plan.Secrets) > 0 {
				t.Errorf("secrets would change: %+v", plan.Secrets)
			}
			apply(t, p, in)
			platformtest.RequireExactly(t, s.platform(Options{}), in)
			s.requireCredentials(t, "edited", 1)
		})
	}

	t.Run("a workflow that was archived is replaced", func(t *testing.T) {
		archived := find()
		s.rest(t, "POST", "/rest/workflows/"+archived.ID+"/archive", nil, nil)
		plan, err := sync.MakePlan(t.Context(), s.platform(Options{}), in, sync.PlanOptions{AllowSecondProject: true})
		if err != nil || len(plan.Changes) != 1 {
			t.Fatalf("the plan has %+v, %v", plan, err)
		}
		var got []string
		for _, d := range plan.Changes[0].Differences {
			got = append(got, d.Path+" "+string(d.Before))
		}
		slices.Sort(got)
		want := []string{"action.kind " + kind + `it is archived"`, "enabled false"}
		if c := plan.Changes[0]; c.Key != key || c.Action != sync.Update || c.Reason != sync.Drifted || !slices.Equal(got, want) {
			t.Errorf("the plan has %s %s, for %s, with %q; want an update of %s, for drift, with %q", c.Action, c.Key, c.Reason, got, key, want)
		}
		apply(t, p, in)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		if status, _, err := s.try("GET", "/api/v1/workflows/"+archived.ID, nil); err != nil || status != http.StatusNotFound {
			t.Errorf("the archived workflow: %d, %v", status, err)
		}
		s.requireUsed(t, "edited")
		s.requireCredentials(t, "edited", 1)
	})
	t.Run("a workflow that was archived and fetched back is updated", func(t *testing.T) {
		id := find().ID
		s.rest(t, "POST", "/rest/workflows/"+id+"/archive", nil, nil)
		s.rest(t, "POST", "/rest/workflows/"+id+"/unarchive", nil, nil)
		apply(t, p, in)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		if now := find(); now.ID != id {
			t.Errorf("it is the workflow %s, want %s", now.ID, id)
		}
	})
	t.Run("an archived one beside another one is deleted", func(t *testing.T) {
		// Someone archives it during an apply that considers it gone.
		archived := find().ID
		s.rest(t, "POST", "/rest/workflows/"+archived+"/archive", nil, nil)
		meanwhile := s.platform(Options{})
		if _, err := meanwhile.List(t.Context(), "edited"); err != nil {
			t.Fatal(err)
		}
		meanwhile.drop(archived)
		meanwhile.lookup = func(name string) (automation.Secret, bool) { v, ok := in.Secrets[name]; return v, ok }
		if _, err := meanwhile.Create(t.Context(), "edited", in.Automations[0]); err != nil {
			t.Fatal(err)
		}
		apply(t, p, in)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		if now := find(); now.ID == archived {
			t.Error("the archived workflow has stayed")
		}
		s.requireUsed(t, "edited")
	})
	t.Run("an archived one whose automation is removed goes, with its credential", func(t *testing.T) {
		alone := two("archived", "abc123")
		alone.Automations = alone.Automations[:1]
		apply(t, s.platform(Options{}), alone)
		s.requireCredentials(t, "archived", 1)
		found, err := p.Find(t.Context(), "archived", key)
		if err != nil || len(found) != 1 {
			t.Fatalf("found %+v, %v", found, err)
		}
		s.rest(t, "POST", "/rest/workflows/"+found[0].ID+"/archive", nil, nil)
		apply(t, s.platform(Options{}), sync.Desired{Project: "archived", Target: "test"})
		s.requireCredentials(t, "archived", 0)
		if status, _, err := s.try("GET", "/api/v1/workflows/"+found[0].ID, nil); err != nil || status != http.StatusNotFound {
			t.Errorf("the archived workflow: %d, %v", status, err)
		}
	})

	t.Run("a copy is nobody's", func(t *testing.T) {
		var got struct{ Data map[string]any }
		s.rest(t, "GET", "/rest/workflows/"+find().ID, nil, &got)
		w := got.Data
		for _, n := range w["nodes"].([]any) {
			n.(map[string]any)["id"] = "copy of " + n.(map[string]any)["id"].(string) // as the editor does
		}
		var copied struct{ ID string }
		s.rest(t, "POST", "/api/v1/workflows", map[string]any{"name": "Copy", "nodes": w["nodes"], "connections": w["connections"], "settings": map[string]any{}}, &copied)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		// It uses the credential, which a rotation must leave to it.
		in.Secrets = platformtest.Secret("rotated")
		apply(t, p, in)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		s.requireCredentials(t, "edited", 2)
		s.rest(t, "GET", "/api/v1/workflows/"+copied.ID, nil, nil)
	})
	t.Run("a credential that was deleted by hand is made again by an update", func(t *testing.T) {
		var one workflow
		s.rest(t, "GET", "/api/v1/workflows/"+find().ID, nil, &one)
		s.rest(t, "DELETE", "/api/v1/credentials/"+one.node(sendID).credential().id, nil, nil)
		in.Automations[0].Name += ", updated"
		third := in.Automations[0]
		third.Key, third.Name = "team/new", "New"
		in.Automations = append(in.Automations, third)
		fresh := s.platform(Options{})
		apply(t, fresh, in)
		apply(t, fresh, in)
		recorder := platformtest.StartRecorder(t)
		for i := range in.Automations {
			in.Automations[i].Action.URL = recorder.URL
		}
		apply(t, fresh, in)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		for _, a := range in.Automations {
			if err := fire(s.webhook("edited", a.Key), map[string]any{"userId": "u"}); err != nil {
				t.Fatal(err)
			}
			if auth := recorder.Next(t).Header.Get("Authorization"); auth != "Basic cm90YXRlZDo=" {
				t.Errorf("%s: Authorization = %q", a.Key, auth)
			}
		}
	})
}

// The note says where the source is, the same on every machine.
func TestNoteSaysWhereTheSourceIs(t *testing.T) {
	for key, want := range map[string]string{
		"growth/emea/account-activated": "the automation **account-activated** in the folder **growth/emea/** of the project **acme**, in https://example.com/acme.",
		"account-activated":             "the automation **account-activated** in the root folder of the project **acme**, in https://example.com/acme.",
	} {
		r := record{Marker: sync.Marker{Project: "acme", Key: key}}
		got := note(r, "https://example.com/acme")
		if !strings.Contains(got, want) || !strings.Contains(got, "`segue render "+key+"`") {
			t.Errorf("the note of %s is %q, want %q in it", key, got, want)
		}
		var back record
		if !recorded(newNode(noteID, noteName, "", 1, 0, 0, map[string]any{"content": got}), &back) || back.Marker != r.Marker {
			t.Errorf("%q gives %+v back", got, back)
		}
	}
}

func headersOf(w map[string]any) string {
	for _, f := range requestAssignments(w) {
		if f["name"] == "headers" {
			return f["value"].(string)
		}
	}
	return ""
}

// Code runs in another process with n8n's task runners, which will be the default.
func TestFiresWithTaskRunners(t *testing.T) {
	t.Parallel()
	s := startServer(t, "N8N_RUNNERS_ENABLED=true")
	recorder := platformtest.StartRecorder(t)
	in := two("runners", "abc123")
	in.Automations[0].Action.URL = recorder.URL + "/{{userId}}"
	in.Automations[0].Action.Payload = json.RawMessage(`{"d":"{{duration | number}}","userId":"{{userId}}"}`)
	p := s.platform(Options{})
	apply(t, p, in)
	values := map[string]any{"userId": "\"\\\n{{userId}} ={{ 1 }} ${x} 🚀\u2028", "duration": json.Number("12345678901234567890.5")}
	want, err := in.Automations[0].Action.Render(values, func(string) (automation.Secret, bool) { return automation.NewSecret("abc123"), true })
	if err != nil {
		t.Fatal(err)
	}
	if err := fire(s.webhook("runners", in.Automations[0].Key), values); err != nil {
		t.Fatal(err)
	}
	got := recorder.Next(t)
	gotBody, err := automation.CanonicalPayload(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	wantBody, err := automation.CanonicalPayload(want.Body)
	if err != nil || string(gotBody) != string(wantBody) || !strings.Contains(string(got.Body), "12345678901234567890.5") {
		t.Errorf("body = %s, want %s", got.Body, want.Body)
	}
	if auth := got.Header.Get("Authorization"); auth != "Basic YWJjMTIzOg==" || !strings.HasSuffix(want.URL, got.URI) {
		t.Errorf("Authorization = %q, URL %s", auth, got.URI)
	}
}
