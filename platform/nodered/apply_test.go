package nodered

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"strings"
	gosync "sync"
	"syscall"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// A tap counts requests, and can replace a deploy.
type tap struct {
	mu       gosync.Mutex
	requests []string
	// deploy, if not nil, replaces the next deploy.
	deploy func(*http.Request) (*http.Response, error)
}

func (c *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.requests = append(c.requests, r.Method+" "+r.URL.Path)
	do := c.deploy
	if r.Method != http.MethodPost || r.URL.Path != "/flows" {
		do = nil
	}
	if do != nil {
		c.deploy = nil
	}
	c.mu.Unlock()
	if do != nil {
		return do(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// take returns the requests since the last time.
func (c *tap) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.requests
	c.requests = nil
	return all
}

// through returns a platform behind a tap.
func (r *nodeRED) through(t *testing.T, c *tap) *Platform {
	t.Helper()
	p, err := New(r.url, Options{Transport: c, Token: automation.NewSecret(r.token)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var patient = sync.Calls{Tries: 20, BackOff: func() backoff.BackOff {
	return &backoff.ExponentialBackOff{InitialInterval: 10 * time.Millisecond, Multiplier: 2, MaxInterval: 500 * time.Millisecond}
}}

func plan(t *testing.T, p sync.Platform, in sync.Desired) *sync.Plan {
	t.Helper()
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true, Calls: patient})
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	return plan
}

func apply(t *testing.T, p sync.Platform, in sync.Desired) {
	t.Helper()
	if _, err := sync.Apply(t.Context(), p, plan(t, p, in), in, sync.ApplyOptions{Parallelism: 8, Calls: patient}); err != nil {
		t.Fatalf("apply: %v", err)
	}
	platformtest.RequireExactly(t, p, in)
}

// kill ends Node-RED at some point of a deploy and restarts it. The deploy
// fails as with a broken connection.
func (r *nodeRED) kill(when string) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		client := &http.Transport{DisableKeepAlives: true}
		switch when {
		case "before":
			r.Kill()
		case "during":
			wrote := make(chan struct{})
			var once gosync.Once
			req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
				WroteRequest: func(httptrace.WroteRequestInfo) { once.Do(func() { close(wrote) }) }}))
			done := make(chan struct{})
			go func() {
				defer close(done)
				if res, err := client.RoundTrip(req); err == nil {
					res.Body.Close()
				}
			}()
			<-wrote
			r.Kill()
			<-done
		case "after":
			if res, err := client.RoundTrip(req); err == nil {
				res.Body.Close()
			}
			r.Kill()
		}
		r.Start()
		return nil, syscall.ECONNRESET
	}
}

// An apply of a hundred automations beside twenty flows of others is one
// deploy, even if Node-RED is killed in the middle of it.
func TestAHundredAutomationsBesideTheFlowsOfOthers(t *testing.T) {
	for _, when := range []string{"", "before", "during", "after"} {
		t.Run("killed "+when, func(t *testing.T) {
			r := start(t, "")
			starts, received := platformtest.StartRecorder(t), platformtest.StartRecorder(t)
			const others = 20
			for i := range others {
				r.add(t, foreign(i, starts.URL)...)
			}
			for range others {
				starts.Next(t)
			}
			ids := foreignIDs(others)
			before := r.only(t, ids)
			if bytes.Count(before, []byte("\n")) != len(ids) {
				t.Fatalf("of %d foreign nodes %d are there", len(ids), bytes.Count(before, []byte("\n")))
			}
			c := &tap{}
			p := r.through(t, c)
			in := platformtest.Hundred("growth", received.URL+"/v1/track")

			step := func(what string) {
				t.Helper()
				if when != "" {
					c.deploy = r.kill(when)
				}
				c.take()
				apply(t, p, in)
				deploys := 0
				for _, request := range c.take() {
					if request == "POST /flows" {
						deploys++
					}
				}
				if when == "" && deploys != 1 || deploys > 2 {
					t.Errorf("%s: %d deploys, want 1", what, deploys)
				}
				if diff := cmp.Diff(string(before), string(r.only(t, ids))); diff != "" {
					t.Errorf("%s: what belongs to others has changed (-before +after):\n%s", what, diff)
				}
			}
			step("create")
			for i := range 10 {
				in.Automations[i].Name += ", edited"
			}
			for i := range 5 {
				in.Automations[20+i].Enabled = false
			}
			in.Automations = slices.Delete(in.Automations, 50, 60)
			in.Secrets = platformtest.Secret("rotated")
			step("edit, remove, switch off, rotate")

			if when != "" {
				// The flows of others were started with the program.
				r.started(t)
			} else {
				r.settle(t)
				if again := starts.Take(); len(again) > 0 {
					t.Errorf("%d flows of others were restarted", len(again))
				}
			}
			for _, a := range in.Automations {
				err := r.fire(t, "growth", a.Key, map[string]any{"userId": "u1"})
				if !a.Enabled {
					if err == nil {
						t.Errorf("%s is switched off, and was fired", a.Key)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", a.Key, err)
				}
				got := received.Next(t)
				if auth := got.Header.Get("Authorization"); auth != "Basic cm90YXRlZDo=" || !strings.Contains(string(got.Body), a.Key) {
					t.Errorf("%s: got %s with %s", a.Key, got.Body, auth)
				}
			}
			if when == "" {
				// The recorder would have noticed a restart.
				starts.Take()
				r.deploy(t, r.flows(t), "full")
				for range others {
					starts.Next(t)
				}
			}
		})
	}
}

func TestANoOpPlanOfAThousandReadsOnce(t *testing.T) {
	r := start(t, "")
	c := &tap{}
	p := r.through(t, c)
	in := platformtest.Hundred("growth", "https://example.com/v1/track")
	for i := range 10 {
		for _, a := range in.Automations[:100] {
			if i > 0 {
				a.Key = fmt.Sprintf("%s-%d", a.Key, i)
				in.Automations = append(in.Automations, a)
			}
		}
	}
	apply(t, p, in)
	size := 0
	for _, raw := range r.flows(t) {
		size += len(raw) + 1
	}
	t.Logf("1000 automations take %d KB", size/1000)
	c.take()
	if plan := plan(t, p, in); !plan.Empty() || len(plan.Unchanged) != 1000 {
		t.Errorf("%d unchanged, changes %+v", len(plan.Unchanged), plan.Changes)
	}
	if diff := cmp.Diff([]string{"GET /flows"}, c.take()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// A deploy of others between segue's read and write is not overwritten.
func TestADeployInBetween(t *testing.T) {
	r := start(t, "")
	c := &tap{}
	p := r.through(t, c)
	in := platformtest.Hundred("growth", "https://example.com/v1/track")
	in.Automations = in.Automations[:3]
	apply(t, p, in)

	in.Automations[0].Name = "New"
	c.deploy = func(req *http.Request) (*http.Response, error) {
		r.add(t, foreign(0, "http://127.0.0.1:9")...)
		return http.DefaultTransport.RoundTrip(req)
	}
	apply(t, p, in)
	if got := r.only(t, foreignIDs(1)); bytes.Count(got, []byte("\n")) != len(foreignIDs(1)) {
		t.Errorf("of what was deployed in between, there is:\n%s", got)
	}

	// If they have changed one of segue's flows, their change stays, and the
	// others are written.
	in.Automations[0].Name, in.Automations[1].Name = "Newer", "Newer"
	c.deploy = func(req *http.Request) (*http.Response, error) {
		id := first(t, p, "growth", in.Automations[1].Key).ID
		r.change(t, func(n node) bool {
			if n.id() == id {
				n["label"] = "By hand"
			}
			return n.id() == id
		})
		return http.DefaultTransport.RoundTrip(req)
	}
	result, err := sync.Apply(t.Context(), p, plan(t, p, in), in, sync.ApplyOptions{Calls: patient})
	if err == nil || sync.KindOf(err) != sync.Conflict || !strings.Contains(err.Error(), in.Automations[1].Key) || !strings.Contains(err.Error(), "plan again") {
		t.Errorf("error = %v", err)
	}
	if result.CountOutcome(sync.Done) != 1 || first(t, p, "growth", in.Automations[0].Key).Automation.Name != "Newer" ||
		first(t, p, "growth", in.Automations[1].Key).Automation.Name != "By hand" {
		t.Errorf("not the one, or the other as well: %+v", result)
	}
	apply(t, p, in)
}

func first(t testing.TB, p sync.Platform, project, key string) sync.Stored {
	t.Helper()
	found, err := p.Find(context.WithoutCancel(t.Context()), project, key)
	if err != nil || len(found) == 0 {
		t.Fatalf("find %s: %v, %v", key, found, err)
	}
	return found[0]
}

// A plan shows edits in the editor in canonical form, as far as possible, and
// the next apply reverts all of them.
func TestEditsByHand(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	in := platformtest.Hundred("growth", recorder.URL+"/v1/track")
	in.Automations = in.Automations[:2]
	key := in.Automations[0].Key
	apply(t, p, in)
	id := first(t, p, "growth", key).ID
	sub := subflowID("growth")
	on := func(part string, f func(node)) func() {
		return func() {
			r.change(t, func(n node) bool {
				if n.id() == partID(id, part) {
					f(n)
					return true
				}
				return false
			})
		}
	}
	replace := func(n node, field, old, new string) {
		if !strings.Contains(n.text(field), old) {
			t.Fatalf("%s holds no %s: %s", field, old, n.text(field))
		}
		n[field] = strings.ReplaceAll(n.text(field), old, new)
	}
	without := func(ids ...string) func() {
		return func() {
			all := slices.DeleteFunc(r.flows(t), func(raw json.RawMessage) bool { return slices.Contains(ids, readEntry(raw).id) })
			r.deploy(t, all, "full")
		}
	}
	kind := func(what string) string { return `action.kind "http_request (changed by hand: ` + what + `)"` }
	for name, tt := range map[string]struct {
		edit func()
		want []string // path and value before, of the first automation
		all  bool     // the other one is changed as well
	}{
		"name": {edit: func() {
			r.change(t, func(n node) bool {
				if n.id() == id {
					n["label"] = "By hand"
				}
				return n.id() == id
			})
		}, want: []string{`name "By hand"`}},
		"url":         {edit: on(requestPart, func(n node) { replace(n, "template", "/v1/track", "/v1/x") }), want: []string{`action.url "` + recorder.URL + `/v1/x"`}},
		"method":      {edit: on(requestPart, func(n node) { replace(n, "template", `"POST"`, `"PUT"`) }), want: []string{`action.method "PUT"`}},
		"header":      {edit: on(requestPart, func(n node) { replace(n, "template", "application/json", "text/plain") }), want: []string{`action.headers."Content-Type" "text/plain"`}},
		"layout":      {edit: on(payloadPart, func(n node) { replace(n, "template", "\n", "\n\n") })},
		"no JSON":     {edit: on(payloadPart, func(n node) { n["template"] = "{oops" }), want: []string{`action.payload "{oops"`}},
		"endpoint":    {edit: on(endpointPart, func(n node) { n["url"] = "/elsewhere" }), want: []string{kind("node endpoint")}},
		"method in":   {edit: on(endpointPart, func(n node) { n["method"] = "get" }), want: []string{kind("node endpoint")}},
		"disabled":    {edit: on(sendPart, func(n node) { n["d"] = true }), want: []string{kind("node send")}},
		"wires":       {edit: on(payloadPart, func(n node) { n["wires"] = []any{[]any{}} }), want: []string{kind("node payload")}},
		"mustache":    {edit: on(payloadPart, func(n node) { n["syntax"] = "mustache" }), want: []string{kind("node payload")}},
		"node's name": {edit: on(payloadPart, func(n node) { n["name"] = "my payload"; n["info"] = "a note" })},
		"more nodes": {edit: func() {
			r.add(t, node{"id": newID(), "type": "debug", "z": id, "name": "", "active": true, "wires": []any{}, "x": 1, "y": 1})
		}, want: []string{kind("1 nodes more")}},
		"no send": {edit: without(partID(id, sendPart)), want: []string{kind("no node send")}},
		"subflow": {edit: func() {
			r.change(t, func(n node) bool {
				if n.id() == partID(sub, "build") {
					n["func"] = n.text("func") + "\n// by hand"
				}
				return n.id() == partID(sub, "build")
			})
		}, want: []string{kind("the subflow segue: growth")}, all: true},
		"subflow moved": {edit: func() {
			r.change(t, func(n node) bool {
				if n.id() == sub {
					n["in"].([]any)[0].(map[string]any)["x"] = 5
				}
				return n.id() == sub
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.edit()
			plan := plan(t, p, in)
			var got []string
			for _, c := range plan.Changes {
				if c.Action != sync.Update || c.Reason != sync.Drifted {
					t.Errorf("%s: %s because of %s", c.Key, c.Action, c.Reason)
				}
				for _, d := range c.Differences {
					if c.Key == key {
						got = append(got, d.Path+" "+string(d.Before))
					}
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if more := len(plan.Changes) > 1; more != tt.all || len(plan.Secrets) > 0 {
				t.Errorf("changes of %d automations, secrets %+v", len(plan.Changes), plan.Secrets)
			}
			apply(t, p, in)
			for _, a := range in.Automations {
				if err := r.fire(t, "growth", a.Key, map[string]any{"userId": "u1"}); err != nil {
					t.Fatal(err)
				}
				if got := recorder.Next(t); got.Method != "POST" || got.Header.Get("Authorization") != "Basic YWJjMTIzOg==" ||
					got.URI != "/v1/track" || !strings.Contains(string(got.Body), `"Event of `+a.Key+`"`) {
					t.Errorf("%s: got %s %s with %v: %s", a.Key, got.Method, got.URI, got.Header, got.Body)
				}
			}
		})
	}

	t.Run("the subflow is deleted", func(t *testing.T) {
		r.deploy(t, slices.DeleteFunc(r.flows(t), func(raw json.RawMessage) bool {
			e := readEntry(raw)
			return e.id == sub || e.z == sub || e.kind == "subflow:"+sub
		}), "full")
		if plan := plan(t, p, in); plan.Count(sync.Update) != 2 || len(plan.Secrets) != 1 || plan.Secrets[0].Action != sync.Create {
			t.Errorf("plan = %+v", plan)
		}
		apply(t, p, in)
	})
	t.Run("the secret is deleted", func(t *testing.T) {
		r.change(t, func(n node) bool {
			if n.id() == sub {
				n["env"] = []any{}
				n["credentials"] = node{}
			}
			return n.id() == sub
		})
		if plan := plan(t, p, in); len(plan.Secrets) != 1 || plan.Secrets[0].Action != sync.Create {
			t.Errorf("secrets = %+v", plan.Secrets)
		}
		apply(t, p, in)
	})
	t.Run("the marker is deleted", func(t *testing.T) {
		r.change(t, func(n node) bool {
			if n.id() == id {
				n["info"] = ""
			}
			return n.id() == id
		})
		_, err := sync.Apply(t.Context(), p, plan(t, p, in), in, sync.ApplyOptions{Calls: patient})
		if err == nil || !strings.Contains(err.Error(), key+": create") || !strings.Contains(err.Error(), "/segue/growth/"+key+" is held by flow") {
			t.Errorf("error = %v", err)
		}
		// It is still segue's by its nodes, and can be taken back.
		others := survey(t, p, "growth", key).Others
		if len(others) != 1 || others[0].Kind != sync.Unmarked || others[0].Takes != key || others[0].ID != id {
			t.Fatalf("others = %+v", others)
		}
		a := in.Automations[0]
		made, err := p.Update(t.Context(), others[0].Stored, sync.MarkerOf("growth", a), a)
		if err != nil || made.ID != id {
			t.Errorf("taken back: %+v, %v", made, err)
		}
		platformtest.RequireExactly(t, p, in)
	})
}

// The editor shows people where a flow comes from. The description of an older
// segue is not a difference.
func TestWhereTheSourceIs(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	in := platformtest.Hundred("growth", "https://example.com")
	in.Automations = in.Automations[:2]
	in.Automations[0].Key, in.Automations[1].Key = "teams/onboarding/welcome", "welcome"
	apply(t, p, in)
	info := func(key string) string {
		t.Helper()
		id := first(t, p, "growth", key).ID
		for _, raw := range r.flows(t) {
			if e := readEntry(raw); e.id == id {
				return e.info
			}
		}
		return ""
	}
	for key, want := range map[string][]string{
		"teams/onboarding/welcome": {"managed in Git", "Do not edit it here", "- project: `growth`\n",
			"- source: `automations: \"welcome\"` in the folder `teams/onboarding`, which is beside the project's `segue.cue`\n",
			"- key: `teams/onboarding/welcome`\n", "`POST /segue/growth/teams/onboarding/welcome`"},
		"welcome": {"- source: `automations: \"welcome\"` in the folder of the project's `segue.cue`\n", "- key: `welcome`\n"},
	} {
		for _, w := range want {
			if text := info(key); !strings.Contains(text, w) {
				t.Errorf("the info of %s holds no %q:\n%s", key, w, text)
			}
		}
	}
	r.change(t, func(n node) bool {
		head, marker, ok := strings.Cut(n.text("info"), markerPrefix)
		if ok {
			n["info"] = "As an older version, or somebody, has put it: " + head[:20] + "\n\n" + markerPrefix + marker
		}
		return ok
	})
	if plan := plan(t, p, in); !plan.Empty() {
		t.Errorf("changes = %+v", plan.Changes)
	}
}

// Flows of others are not changed, byte for byte, however odd their JSON is.
// They are in the flow file before Node-RED starts, which writes them in its
// own form.
func TestOddJSONOfOthersStaysAsItIs(t *testing.T) {
	const odd = `[
{"z":"","type":"tab","id":"00000000000000b1","label":"\u2028 \ud83d\ude80 \ud800 \u0000 \u007f </script> & é e\u0301","disabled":false,"info":"segue-marker: {\"project\":\"grow","env":[]},
{"type":"comment","z":"00000000000000b1","id":"00000000000000b2","wires":[["00000000000000b3"]],"int":12345678901234567890,"exp":1e21,"small":1e-7,"minus":-0,"frac":1.10,"x":1.5e2,"y":100.0,
 "10":1,"9":2,"b":1,"a":2,"":3,"twice":1,"twice":{"n":null},"__proto__":{"x":1},"constructor":{"prototype":[]},"toString":"s","É":[[],{},[{}],"\ud83d"],"long":0.1234567890123456789},
{"id":"00000000000000b3","type":"function","z":"00000000000000b1","name":7,"func":"return msg;\r\n\t\/\/","url":["not","text"],"method":{"a":1},"outputs":"1","d":"yes","wires":[]},
{"id":"00000000000000b4","type":"http proxy","name":null,"url":"http://127.0.0.1:9","noproxy":[]},
{"id":"00000000000000b5","type":"subflow","name":"","info":12,"in":[],"out":[]},
{"id":"00000000000000b6","type":"group","z":"00000000000000b1","nodes":["00000000000000b2"],"style":{"stroke":"#ff0000","label":true},"w":1e2}
]`
	r := start(t, "")
	r.Kill()
	if err := os.WriteFile(filepath.Join(r.data, "flows.json"), []byte(odd), 0o644); err != nil {
		t.Fatal(err)
	}
	r.Start()
	r.started(t)
	p := r.platform(t)
	ids := map[string]bool{}
	for i := range 6 {
		ids[fmt.Sprintf("00000000000000b%d", i+1)] = true
	}
	// Node-RED itself rewrites the file with any deploy.
	r.deploy(t, r.flows(t), "full")
	before, stored := r.only(t, ids), r.stored(t, ids)
	if bytes.Count(before, []byte("\n")) != len(ids) || !bytes.Contains(before, []byte(`"exp":1e+21`)) {
		t.Fatalf("before:\n%s", before)
	}
	in := platformtest.Hundred("growth", "https://example.com")
	for range 3 {
		apply(t, p, in)
		if diff := cmp.Diff(string(before), string(r.only(t, ids))); diff != "" {
			t.Errorf("what belongs to others has changed (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(string(stored), string(r.stored(t, ids))); diff != "" {
			t.Errorf("the file has changed (-before +after):\n%s", diff)
		}
		in.Automations = in.Automations[:len(in.Automations)-1]
		in.Automations[0].Name += "."
		in.Secrets = platformtest.Secret(in.Automations[0].Name)
	}
}

// stored returns the nodes with these IDs as Node-RED's file has them, one a
// line.
func (r *nodeRED) stored(t testing.TB, ids map[string]bool) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.data, "flows.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, raw := range all {
		if ids[readEntry(raw).id] {
			out.Write(raw)
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// Everything is deleted, and nothing is left behind.
func TestNothingIsLeftBehind(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	r.add(t, foreign(0, "http://127.0.0.1:9")...)
	before := r.flows(t)
	in := platformtest.Hundred("growth", "https://example.com")
	apply(t, p, in)
	in.Automations = nil
	all, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowMassDelete: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sync.Apply(t.Context(), p, all, in, sync.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	text := func(all []json.RawMessage) string { return string(bytes.Join(rawBytes(all), []byte("\n"))) }
	if diff := cmp.Diff(text(before), text(r.flows(t))); diff != "" {
		t.Errorf("flows (-before +after):\n%s", diff)
	}
}

func rawBytes(all []json.RawMessage) [][]byte {
	out := make([][]byte, len(all))
	for i, raw := range all {
		out[i] = raw
	}
	return out
}

// The network loses requests and answers, and the platform reports errors for
// work that it has done. Still the result is correct.
func TestApplyThroughFaults(t *testing.T) {
	r := start(t, "")
	r.add(t, foreign(0, "http://127.0.0.1:9")...)
	direct, others := r.platform(t), r.only(t, foreignIDs(1))
	for seed := range uint64(6) {
		proxy := platformtest.StartFaultProxy(t, platformtest.Backend(t, r.url), seed, platformtest.Faults{Rate: 0.5})
		through, err := New(proxy.URL, Options{Timeout: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		in := platformtest.Hundred(fmt.Sprint("growth-", seed), "https://example.com")
		in.Automations = in.Automations[:20]
		for range 3 {
			if _, err := sync.Apply(t.Context(), through, plan(t, through, in), in, sync.ApplyOptions{Calls: patient}); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			platformtest.RequireExactly(t, direct, in)
			in.Automations = in.Automations[:len(in.Automations)-2]
			in.Automations[0].Name += "."
			in.Secrets = platformtest.Secret(in.Automations[0].Name)
		}
	}
	if diff := cmp.Diff(string(others), string(r.only(t, foreignIDs(1)))); diff != "" {
		t.Errorf("what belongs to others has changed:\n%s", diff)
	}
}

func TestNodeREDGoesAwayMidway(t *testing.T) {
	r := start(t, "")
	c := &tap{}
	p := r.through(t, c)
	in := platformtest.Hundred("growth", "https://example.com")
	due := plan(t, p, in)
	c.deploy = func(*http.Request) (*http.Response, error) {
		r.Kill()
		return nil, syscall.ECONNRESET
	}
	calls := sync.Calls{Tries: 3, BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) }}
	result, err := sync.Apply(t.Context(), p, due, in, sync.ApplyOptions{Calls: calls})
	if err == nil || !strings.Contains(err.Error(), "is Node-RED running?") || !strings.Contains(err.Error(), "whether it took effect is unknown") {
		t.Errorf("error = %v", err)
	}
	if result.CountOutcome(sync.Failed) != 101 {
		t.Errorf("%d failed, want all", result.CountOutcome(sync.Failed))
	}
	var cause *sync.Error
	if !errors.As(err, &cause) || cause.Kind != sync.Temporary {
		t.Errorf("error = %#v", cause)
	}
	r.Start()
	apply(t, p, in)
}
