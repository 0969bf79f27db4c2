package nodered

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// copyFlow copies a flow like Node-RED's editor when somebody exports it and
// imports it as a copy: every node gets a new ID, and references are updated. It
// returns the ID of the copy. edit, if not nil, changes the nodes.
func (r *nodeRED) copyFlow(t testing.TB, id string, edit func(node)) string {
	t.Helper()
	fresh := map[string]string{}
	var originals []json.RawMessage
	for _, raw := range r.flows(t) {
		if e := readEntry(raw); e.id == id || e.z == id {
			fresh[e.id] = newID()
			originals = append(originals, raw)
		}
	}
	var copies []node
	for _, raw := range originals {
		text := string(raw)
		for old, new := range fresh {
			// The info is only text for the editor: its marker is not changed.
			text = strings.ReplaceAll(text, `"`+old+`"`, `"`+new+`"`)
		}
		var n node
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		if edit != nil {
			edit(n)
		}
		copies = append(copies, n)
	}
	r.add(t, copies...)
	return fresh[id]
}

// withPath gives a copy the path of an automation of the project growth.
func withPath(key string) func(node) {
	return func(n node) {
		if n.text("type") == endpointKind {
			n["url"] = endpointPath("growth", key)
		}
	}
}

// flowOf returns the raw nodes of a flow, one a line.
func (r *nodeRED) flowOf(t testing.TB, id string) string {
	t.Helper()
	var b strings.Builder
	for _, raw := range r.flows(t) {
		if e := readEntry(raw); e.id == id || e.z == id {
			b.Write(raw)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// removeFlow deletes a flow by hand.
func (r *nodeRED) removeFlow(t testing.TB, id string) {
	t.Helper()
	r.deploy(t, slices.DeleteFunc(r.flows(t), func(raw json.RawMessage) bool {
		e := readEntry(raw)
		return e.id == id || e.z == id
	}), "nodes")
}

// restart kills Node-RED, and waits until its flows run again.
func (r *nodeRED) restart(t testing.TB) {
	t.Helper()
	r.Kill()
	r.Start()
	r.started(t)
}

// one is a project with one automation, which posts to the recorder.
func one(r *platformtest.Recorder, project string) sync.Desired {
	in := platformtest.Hundred(project, r.URL+"/v1/track")
	in.Automations = in.Automations[:1]
	return in
}

// mustFire fires an automation, and expects its message, and no other.
func (r *nodeRED) mustFire(t testing.TB, recorder *platformtest.Recorder, project, key string) platformtest.Received {
	t.Helper()
	if err := r.fire(t, project, key, map[string]any{"userId": "u1"}); err != nil {
		t.Fatalf("fire %s: %v", key, err)
	}
	got := recorder.Next(t)
	if more := recorder.Take(); len(more) > 0 {
		t.Errorf("%s: %d messages more than one", key, len(more))
	}
	return got
}

// A copy belongs to the person who made it, whatever they change.
func TestACopyIsNobodys(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := one(recorder, "growth")
	key := in.Automations[0].Key
	apply(t, p, in)
	id := first(t, p, "growth", key).ID
	for name, tt := range map[string]struct {
		edit     func(node)
		title    string // "" for that of the original
		endpoint string
	}{
		"as it is": {nil, "", "POST /segue-copies/"},
		"with the path of the original": {func(n node) {
			if n.text("type") == endpointKind {
				n["url"] = endpointPath("growth", key)
			}
		}, "", "POST /segue/growth/" + key},
		"with a name and a path of its own": {func(n node) {
			switch n.text("type") {
			case "tab":
				n["label"] = "Mine"
			case endpointKind:
				n["url"] = "/mine"
			}
		}, "Mine", "POST /mine"},
		"switched off": {func(n node) {
			if n.text("type") == "tab" {
				n["disabled"] = true
			}
		}, "", "POST /segue-copies/, disabled"},
		"with another request": {func(n node) {
			if n.text("field") == requestField {
				n["template"] = `{"method":"GET","url":"http://127.0.0.1:9","headers":{}}`
			}
		}, "", "POST /segue-copies/"},
	} {
		t.Run(name, func(t *testing.T) {
			mine := r.copyFlow(t, id, tt.edit)
			before := r.flowOf(t, mine)
			if plan := plan(t, p, in); !plan.Empty() {
				t.Errorf("beside a copy, a plan has the changes %+v", plan.Changes)
			}
			s := survey(t, p, "growth", key)
			if len(s.Others) != 1 {
				t.Fatalf("others = %+v", s.Others)
			}
			o, title := s.Others[0], tt.title
			if title == "" {
				title = in.Automations[0].Name
			}
			if want := fmt.Sprintf("flow %q (%s)", title, mine); o.Kind != sync.Copy || o.Takes != "" || o.ID != mine || o.Title != want ||
				o.Endpoint != strings.Replace(tt.endpoint, copyPath(""), copyPath(mine), 1) {
				t.Errorf("other = %+v", o)
			}
			in.Automations[0].Name += "."
			apply(t, p, in)
			if err := p.Delete(t.Context(), o.Stored); sync.KindOf(err) != sync.Refused || err == nil {
				t.Errorf("a copy is deleted: %v", err)
			}
			if diff := cmp.Diff(before, r.flowOf(t, mine)); diff != "" {
				t.Errorf("the copy has changed (-before +after):\n%s", diff)
			}
			// The automation's own endpoint answers, also after a restart.
			for range 2 {
				if got := r.mustFire(t, recorder, "growth", key); got.Method != "POST" {
					t.Errorf("the copy has sent %+v", got)
				}
				r.restart(t)
			}
			// A copy can be taken over, and keeps its ID, once the original is gone.
			_, err := p.Update(t.Context(), o.Stored, sync.MarkerOf("growth", in.Automations[0]), in.Automations[0])
			if sync.KindOf(err) != sync.Exists || err == nil {
				t.Errorf("a second one is adopted: %v", err)
			}
			r.removeFlow(t, id)
			made, err := p.Update(t.Context(), o.Stored, sync.MarkerOf("growth", in.Automations[0]), in.Automations[0])
			if err != nil || made.ID != mine {
				t.Fatalf("adopted: %+v, %v", made, err)
			}
			platformtest.RequireExactly(t, p, in)
			r.mustFire(t, recorder, "growth", key)
			id = mine
		})
	}
}

// A copy that comes first would get what is sent to the original.
func TestACopyInFrontTakesTheEndpoint(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := one(recorder, "growth")
	key := in.Automations[0].Key
	apply(t, p, in)
	id := first(t, p, "growth", key).ID
	mine := r.copyFlow(t, id, withPath(key))
	all := r.flows(t)
	slices.SortStableFunc(all, func(a, b json.RawMessage) int {
		of := func(raw json.RawMessage) int {
			if e := readEntry(raw); e.id == mine {
				return 0
			}
			return 1
		}
		return of(a) - of(b)
	})
	r.deploy(t, all, "full")
	if others := survey(t, p, "growth", key).Others; len(others) != 1 || others[0].Takes != key || others[0].Kind != sync.Copy {
		t.Errorf("others = %+v", others)
	}
	in.Automations[0].Name += "."
	_, err := sync.Apply(t.Context(), p, plan(t, p, in), in, sync.ApplyOptions{Calls: patient})
	if want := fmt.Sprintf("is held by flow %q (%s)", "Automation "+key, mine); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error = %v, want %s", err, want)
	}
}

// The subflow and its secrets stay as long as people's flows use them.
func TestASubflowThatAPersonUsesStays(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := one(recorder, "growth")
	key := in.Automations[0].Key
	apply(t, p, in)
	mine := r.copyFlow(t, first(t, p, "growth", key).ID, func(n node) {
		if n.text("type") == endpointKind {
			n["url"] = "/mine"
		}
	})
	// And a copy of the subflow itself.
	mySubflow := r.copyFlow(t, subflowID("growth"), nil)
	before, beforeSubflow := r.flowOf(t, mine), r.flowOf(t, mySubflow)
	in.Automations = nil
	in.Secrets = nil
	all, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowMassDelete: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sync.Apply(t.Context(), p, all, in, sync.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	platformtest.RequireExactly(t, p, in)
	if diff := cmp.Diff(before+beforeSubflow, r.flowOf(t, mine)+r.flowOf(t, mySubflow)); diff != "" {
		t.Errorf("what a person has made has changed (-before +after):\n%s", diff)
	}
	r.settle(t)
	if status, b := r.request(t, "POST", "/mine", nil, map[string]any{"userId": "u1"}); status != 200 {
		t.Errorf("the copy answers %d: %s", status, b)
	}
	if got := recorder.Next(t).Header.Get("Authorization"); got != "Basic YWJjMTIzOg==" {
		t.Errorf("Authorization = %q", got)
	}
	// Without the copy, everything is removed.
	r.removeFlow(t, mine)
	if all, err = sync.MakePlan(t.Context(), p, in, sync.PlanOptions{}); err != nil || len(all.Secrets) != 1 {
		t.Fatalf("plan = %+v, %v", all, err)
	}
	if _, err := sync.Apply(t.Context(), p, all, in, sync.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if left := r.flowOf(t, subflowID("growth")); left != "" {
		t.Errorf("there is still:\n%s", left)
	}
	if diff := cmp.Diff(beforeSubflow, r.flowOf(t, mySubflow)); diff != "" {
		t.Errorf("the copied subflow has changed (-before +after):\n%s", diff)
	}
}

// Node-RED forgets every endpoint of a path when it stops one of them: the
// others are restarted.
func TestEndpointsOfOnePath(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := one(recorder, "growth")
	key := in.Automations[0].Key
	apply(t, p, in)
	id := first(t, p, "growth", key).ID
	// second makes a duplicate of segue's own, as only a fault could.
	second := func() string {
		return r.copyFlow(t, id, func(n node) {
			if n.text("type") == "tab" {
				n["info"] = strings.Replace(n.text("info"), `"id":"`+id+`"`, `"id":"`+n.id()+`"`, 1)
				marker := sync.Marker{Project: "growth", Key: key}
				n["info"] = strings.Replace(n.text("info"), marker.Seal(id), marker.Seal(n.id()), 1)
				n["env"] = []any{pathIn(n.id(), endpointPath("growth", key))}
			}
		})
	}
	t.Run("a second one of segue's own goes", func(t *testing.T) {
		second()
		apply(t, p, in)
		r.mustFire(t, recorder, "growth", key)
	})
	t.Run("a second one goes with an update", func(t *testing.T) {
		second()
		in.Automations[0].Name += "."
		apply(t, p, in)
		r.mustFire(t, recorder, "growth", key)
		r.mustFire(t, recorder, "growth", key)
	})
	t.Run("a person deletes a copy", func(t *testing.T) {
		id = first(t, p, "growth", key).ID
		mine := r.copyFlow(t, id, nil)
		r.settle(t)
		// It has its own path, and removing it does not affect the original.
		if status, b := r.request(t, "POST", copyPath(mine), nil, map[string]any{"userId": "u1"}); status != 200 {
			t.Errorf("the copy answers %d: %s", status, b)
		}
		recorder.Next(t)
		r.removeFlow(t, mine)
		r.mustFire(t, recorder, "growth", key)
	})
	t.Run("a person deletes a copy that was given the path", func(t *testing.T) {
		mine := r.copyFlow(t, id, withPath(key))
		warned := func() bool {
			return slices.ContainsFunc(survey(t, p, "growth", key).Warnings, func(w string) bool {
				return strings.Contains(w, mine) && strings.Contains(w, "--replace "+key)
			})
		}
		if !warned() {
			t.Error("there is no warning of the copy's endpoint")
		}
		r.removeFlow(t, mine)
		// Now a request may get 404, or no answer.
		if warned() {
			t.Error("there is a warning of a copy that is gone")
		}
		// The effect of a replacement.
		s, a := first(t, p, "growth", key), in.Automations[0]
		if _, err := p.Update(t.Context(), s, sync.MarkerOf("growth", a), a); err != nil {
			t.Fatal(err)
		}
		r.mustFire(t, recorder, "growth", key)
	})
	t.Run("the automation goes, and a person's flow of its path stays", func(t *testing.T) {
		mine := r.copyFlow(t, first(t, p, "growth", key).ID, func(n node) {
			withPath(key)(n)
			switch n.text("type") {
			case "tab":
				n["info"] = ""
			case "subflow:" + subflowID("growth"):
				n["type"] = "function"
				n["func"] = "msg.payload = 'mine'; return msg;"
			}
		})
		before := r.flowOf(t, mine)
		if err := p.Delete(t.Context(), first(t, p, "growth", key)); err != nil {
			t.Fatal(err)
		}
		r.settle(t)
		if status, b := r.request(t, "POST", endpointPath("growth", key), nil, map[string]any{}); status != 200 || string(b) != "mine" {
			t.Errorf("the person's flow answers %d: %s", status, b)
		}
		if diff := cmp.Diff(before, r.flowOf(t, mine)); diff != "" {
			t.Errorf("the person's flow has changed (-before +after):\n%s", diff)
		}
		r.removeFlow(t, mine)
	})
	t.Run("a path is used again within one deploy", func(t *testing.T) {
		apply(t, p, in)
		old := first(t, p, "growth", key)
		a := in.Automations[0]
		if err := p.Batch(t.Context(), "growth", sync.Batch{Deletes: []sync.Stored{old}, Creates: []automation.Automation{a}}); err != nil {
			t.Fatal(err)
		}
		platformtest.RequireExactly(t, p, in)
		r.mustFire(t, recorder, "growth", key)
		// Two flows that swap places.
		b := a
		b.Key, b.Name = "growth/b", "B"
		in.Automations = append(in.Automations, b)
		apply(t, p, in)
		x, y := first(t, p, "growth", a.Key), first(t, p, "growth", b.Key)
		told := map[string]sync.Stored{}
		err := p.Batch(t.Context(), "growth", sync.Batch{Deletes: []sync.Stored{y}, Updates: []sync.BatchUpdate{{Old: x, Next: sync.MarkerOf("growth", b), New: b}},
			Creates: []automation.Automation{a}, Stored: func(s sync.Stored) { told[s.Marker.Key] = s }})
		if err != nil {
			t.Fatal(err)
		}
		platformtest.RequireExactly(t, p, in)
		for _, key := range []string{a.Key, b.Key} {
			if diff := cmp.Diff(first(t, p, "growth", key), told[key]); diff != "" {
				t.Errorf("%s is stored otherwise than the batch told (-stored +told):\n%s", key, diff)
			}
		}
		for _, key := range []string{a.Key, b.Key} {
			r.mustFire(t, recorder, "growth", key)
		}
	})
}

// A renamed project takes over the former one's flows: they keep their IDs, and
// nothing of the former project stays.
func TestAProjectIsTakenOver(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := platformtest.Hundred("former", recorder.URL+"/v1/track")
	in.Automations = in.Automations[:3]
	apply(t, p, in)
	keys := []string{in.Automations[0].Key, in.Automations[1].Key, in.Automations[2].Key}
	s := survey(t, p, "growth", keys...)
	if len(s.Others) != 3 || len(s.Warnings) != 0 {
		t.Fatalf("survey = %+v", s)
	}
	b := sync.Batch{PutSecrets: in.Secrets}
	ids := map[string]string{}
	for _, o := range s.Others {
		i := slices.Index(keys, o.Marker.Key)
		if o.Kind != sync.Foreign || o.Marker.Project != "former" || i < 0 || o.Takes != "" || o.Marker.Hash != in.Automations[i].Hash() {
			t.Fatalf("other = %+v", o)
		}
		a := in.Automations[i]
		ids[a.Key] = o.ID
		b.Updates = append(b.Updates, sync.BatchUpdate{Old: o.Stored, Next: sync.MarkerOf("growth", a), New: a})
	}
	if err := p.Batch(t.Context(), "growth", b); err != nil {
		t.Fatal(err)
	}
	in.Project = "growth"
	platformtest.RequireExactly(t, p, in)
	for _, key := range keys {
		if got := first(t, p, "growth", key).ID; got != ids[key] {
			t.Errorf("%s: flow %s, was %s", key, got, ids[key])
		}
		r.mustFire(t, recorder, "growth", key)
		if err := r.fire(t, "former", key, map[string]any{"userId": "u1"}); err == nil {
			t.Errorf("%s still fires as the former project's", key)
		}
	}
	if left := r.flowOf(t, subflowID("former")); left != "" {
		t.Errorf("of the former project there is still:\n%s", left)
	}
	if len(survey(t, p, "growth", keys...).Others) > 0 {
		t.Error("the former project is still there")
	}
	// Somebody puts the key of one flow into the marker of another one.
	before := r.flows(t)
	r.change(t, func(n node) bool {
		info := n.text("info")
		n["info"] = strings.Replace(info, `"key":"`+keys[0]+`"`, `"key":"`+keys[1]+`"`, 1)
		return n["info"] != info
	})
	_, err := sync.MakePlan(t.Context(), r.platform(t), in, sync.PlanOptions{Calls: patient})
	if want := "somebody has edited the marker of flow \"" + in.Automations[0].Name + "\" (" + ids[keys[0]] + ")"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	r.deploy(t, before, "full")
	platformtest.RequireExactly(t, p, in)
}

// An apply rewrites flows of an older version of segue. A plan does not report
// them as changed by hand.
func TestWhatAnOlderSegueHasWritten(t *testing.T) {
	r := start(t, "")
	r.Kill()
	for _, name := range []string{"flows.json", "flows_cred.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", "older", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.data, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.Start()
	r.started(t)
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := platformtest.Hundred("growth", "http://127.0.0.1:9/v1/track")
	in.Automations = in.Automations[:2]
	key := in.Automations[0].Key
	id := first(t, p, "growth", key).ID
	// A copy of such a flow does not belong to the project either.
	mine := r.copyFlow(t, id, func(n node) {
		if n.text("type") == endpointKind {
			n["url"] = "/mine"
		}
	})
	before := r.flowOf(t, mine)
	due := plan(t, p, in)
	if len(due.Changes) != 2 || len(due.Secrets) != 0 {
		t.Fatalf("plan = %+v", due)
	}
	for _, c := range due.Changes {
		if c.Action != sync.Update || c.Reason != sync.Outdated || len(c.Differences) > 0 {
			t.Errorf("change = %+v", c)
		}
	}
	apply(t, p, in)
	if diff := cmp.Diff(before, r.flowOf(t, mine)); diff != "" {
		t.Errorf("the copy has changed (-before +after):\n%s", diff)
	}
	for i := range in.Automations {
		in.Automations[i].Action.URL = recorder.URL + "/v1/track"
	}
	if due := plan(t, p, in); due.Changes[0].Reason != sync.CodeChanged {
		t.Errorf("change = %+v", due.Changes[0])
	}
	apply(t, p, in)
	if got := r.mustFire(t, recorder, "growth", key).Header.Get("Authorization"); got != "Basic YWJjMTIzOg==" {
		t.Errorf("Authorization = %q", got)
	}
	// The copy still works with the subflow as it is now, and loses no digits.
	r.change(t, func(n node) bool {
		if n.text("z") != mine || n.text("type") != "template" {
			return false
		}
		replaced := strings.Replace(n.text("template"), "http://127.0.0.1:9", recorder.URL, 1)
		changed := replaced != n.text("template")
		n["template"] = replaced
		return changed
	})
	for body, want := range map[string]int{`{"userId":"u1"}`: 200, `{"userId":42}`: 200, `{"userId":9007199254740993}`: 422, `{"userId":0.12345678901234567}`: 422} {
		if status, b := r.post(t, "/mine", "application/json", []byte(body)); status != want {
			t.Errorf("%s: %d: %s", body, status, b)
		}
	}
	if got := recorder.Take(); len(got) != 2 {
		t.Errorf("%d messages, want 2", len(got))
	}
}

// post sends a body unchanged.
func (r *nodeRED) post(t testing.TB, path, media string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequest("POST", r.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	if strings.Contains(media, "gzip") {
		req.Header.Set("Content-Encoding", "gzip")
	}
	res, err := caller.Do(req)
	if err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b.String()
}

// All of it works on the newest release, too.
func TestTheNewestRelease(t *testing.T) {
	r := startProgram(t, program5, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := platformtest.Hundred("growth", recorder.URL+"/v1/track")
	in.Automations = in.Automations[:3]
	for i := range in.Automations {
		in.Automations[i].Action.Payload = json.RawMessage(`{"event":"E","n":"{{n | number}}","userId":"{{userId}}"}`)
	}
	apply(t, p, in)
	key := in.Automations[0].Key
	if s := survey(t, p, "growth", key); len(s.Warnings) > 0 || !strings.HasPrefix(s.Product, "Node-RED 5.") {
		t.Errorf("survey = %+v", s)
	}
	digits := func() {
		t.Helper()
		r.settle(t)
		if status, b := r.post(t, endpointPath("growth", key), "application/json", []byte(`{"userId":"u1","n":9007199254740993}`)); status != 200 {
			t.Fatalf("%d: %s", status, b)
		}
		if got := recorder.Next(t); !bytes.Contains(got.Body, []byte(`"n":9007199254740993,`)) {
			t.Errorf("body %s", got.Body)
		}
	}
	digits()
	mine := r.copyFlow(t, first(t, p, "growth", key).ID, nil)
	before := r.flowOf(t, mine)
	in.Automations[0].Name += "."
	in.Secrets = platformtest.Secret("rotated")
	apply(t, p, in)
	if diff := cmp.Diff(before, r.flowOf(t, mine)); diff != "" {
		t.Errorf("the copy has changed (-before +after):\n%s", diff)
	}
	r.removeFlow(t, mine)
	digits()
	if status, b := r.post(t, endpointPath("growth", key), "application/json", []byte(`{"userId":" ","n":1}`)); status != 422 || !strings.Contains(b, "userId is empty") {
		t.Errorf("%d: %s", status, b)
	}
}
