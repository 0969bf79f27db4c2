package platformtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// messageChecks check the messages of fired automations. The expected message
// is the result of [automation.Request.Render].
var messageChecks = []check{
	{name: "the write key arrives as Basic credentials, and a rotated one at once", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		in := c.desired(c.automation("growth/a", r.URL+"/v1/track"))
		for value, want := range map[string]string{"abc123": "Basic YWJjMTIzOg==", "rotated": "Basic cm90YXRlZDo="} {
			in.Secrets = secrets(value)
			c.apply(t, in)
			got := c.fires(t, r, in.Automations[0], map[string]any{"userId": "u1"}, in.Secrets)
			if auth := got.Header.Get("Authorization"); auth != want {
				t.Errorf("Authorization = %q, want %q", auth, want)
			}
			if got.URI != "/v1/track" || got.Method != "POST" || got.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got %s %s with %v", got.Method, got.URI, got.Header)
			}
		}
	}},
	{name: "bearer, secret and text headers arrive, with placeholders", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a := c.automation("growth/a", r.URL+"/v1/events")
		secret := automation.Credential{Secret: secretName}
		a.Action.Headers = map[string]automation.Header{
			"Accept": {Value: automation.Credential{Text: "text/plain, application/json;q=0.5"}}, "Content-Type": {Value: automation.Credential{Text: "application/json; charset=utf-8"}},
			"Authorization": {Scheme: automation.Bearer, Value: secret},
			"X-Secret":      {Value: secret},
			"X-Both":        {Scheme: automation.Basic, Username: automation.Credential{Text: "user"}, Password: secret},
			"X-Text":        {Value: automation.Credential{Text: `of {{userId}} and "{{userName}}"; $json.userId ${HOME} =1+1`}},
		}
		in := c.desired(a)
		in.Secrets = secrets(`q"uo\te ' {{userId}} ${HOME} ={{ $json.userId }} $& $1 %41`)
		c.apply(t, in)
		c.fires(t, r, a, map[string]any{"userId": `u-1 {{userName}} "q" \ $& ${x}`, "userName": "Zoe"}, in.Secrets)
	}},
	{name: "a text header can hold any printable string", needs: UnicodeHeaders, run: func(t *testing.T, c *scene) {
		r, in := c.unicodeHeader(t)
		c.fires(t, r, in.Automations[0], map[string]any{"userName": "Zoë 日本 🚀"}, in.Secrets)
	}, without: func(t *testing.T, c *scene) {
		r, in := c.unicodeHeader(t)
		c.refusesToFire(t, r, in.Automations[0], map[string]any{"userName": "Zoë 日本 🚀"}, map[string]any{"userName": "Zoe"}, in.Secrets)
	}},
	{name: "casts give numbers and booleans, and without a cast a string is sent", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a := c.automation("growth/a", r.URL+"/v1/events")
		a.Action.Payload = payload(map[string]any{
			"number": "{{duration | number}}", "boolean": "{{flag | boolean}}", "text": "{{duration}}", "flag": "{{flag}}",
			"mixed": "{{duration}} s, {{flag}}", "list": []any{"{{duration | number}}", "{{duration}}"},
		})
		in := c.desired(a)
		c.apply(t, in)
		for _, values := range []map[string]any{
			{"duration": 42, "flag": true}, {"duration": "42", "flag": "false"}, {"duration": -1.5, "flag": false}, {"duration": " 0.25 ", "flag": " true "},
			{"duration": 0, "flag": true}, {"duration": "1e3", "flag": true}, {"duration": 123456789012345, "flag": true},
		} {
			c.fires(t, r, a, values, in.Secrets)
		}
		got := c.fires(t, r, a, map[string]any{"duration": 42, "flag": true}, in.Secrets)
		want := `{"boolean":true,"flag":"true","list":[42,"42"],"mixed":"42 s, true","number":42,"text":"42"}`
		if b, err := automation.CanonicalPayload(got.Body); err != nil || string(b) != want {
			t.Errorf("body = %s, %v; want %s", got.Body, err, want)
		}
	}},
	{name: "a long number arrives digit by digit", needs: LongNumbers, run: func(t *testing.T, c *scene) {
		got := c.longNumber(t)
		if string(got["n"]) != "12345678901234567890" || string(got["d"]) != "0.1234567890123456789" {
			t.Errorf("n = %s, d = %s", got["n"], got["d"])
		}
	}, without: func(t *testing.T, c *scene) {
		got := c.longNumber(t)
		if f, ok := new(big.Float).SetString(string(got["n"])); !ok || f.Cmp(big.NewFloat(12345678901234567890)) != 0 {
			t.Errorf("n = %s, want the nearest double", got["n"])
		}
	}},
	{name: "any value arrives unchanged, and can't change the message around it", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a := c.automation("growth/a", r.URL+"/v1/events")
		a.Action.Payload = payload(map[string]any{
			"userId": "{{userId}}", "mixed": "a {{userName}} b {{userId}}", "after": "{{userName}}",
			"nested": map[string]any{"list": []any{"{{userId}}", map[string]any{"deep": []any{"{{ userName }}!"}}}},
		})
		in := c.desired(a)
		c.apply(t, in)
		for _, v := range hostile {
			got := c.fires(t, r, a, map[string]any{"userId": v, "userName": "<" + v + ">", "unused": v}, in.Secrets)
			var body struct{ UserID string }
			if err := json.Unmarshal(got.Body, &body); err != nil || body.UserID != v {
				t.Errorf("userId = %q, %v; want %q", body.UserID, err, v)
			}
		}
	}},
	{name: "any string in a payload arrives unchanged", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		in := c.desired()
		for name, p := range payloads {
			a := c.automation(fmt.Sprintf("growth/payload-%d", len(in.Automations)), r.URL+"/v1/events")
			a.Name, a.Action.Payload = name, payload(p)
			in.Automations = append(in.Automations, a)
		}
		c.apply(t, in)
		for _, a := range in.Automations {
			c.fires(t, r, a, map[string]any{"userId": "u1", "duration": 42, "flag": true}, in.Secrets)
		}
	}},
	{name: "values in a URL are percent-encoded", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a := c.automation("growth/a", r.URL+"/u/{{userId}}/x%20y;z?q={{userName}}&r=a+b&s=%26#{{userId}}")
		in := c.desired(a)
		c.apply(t, in)
		for _, v := range []string{"plain", "a/b", "a?b#c", "a&b=c", "a b+c", "%41%", `"\{{userName}}`, "日本 🚀", "..%2f..", "a@b:c;d,e!f*g'h(i)", "$& ${x} $json"} {
			c.fires(t, r, a, map[string]any{"userId": v, "userName": v}, in.Secrets)
		}
		for _, v := range []string{"", ".", ".."} {
			c.refusesToFire(t, r, a, map[string]any{"userId": v, "userName": "n"}, map[string]any{"userId": "u", "userName": v}, in.Secrets)
		}
	}},
	{name: "every method arrives, with and without a body", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		in := c.desired()
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			a := c.automation("growth/"+method, r.URL+"/v1/"+method)
			a.Action.Method = method
			if method != "GET" {
				in.Automations = append(in.Automations, a)
			}
			a.Key += "-bare"
			a.Trigger.Name += ", bare"
			a.Action.Payload, a.Action.Headers = nil, map[string]automation.Header{"Authorization": a.Action.Headers["Authorization"]}
			in.Automations = append(in.Automations, a)
		}
		c.apply(t, in)
		for _, a := range in.Automations {
			c.fires(t, r, a, map[string]any{"userId": "u1"}, in.Secrets)
		}
	}},
	{name: "nothing is sent without a value, or with one that does not fit", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a := c.automation("growth/a", r.URL+"/v1/events")
		a.Action.Headers["X-User"] = automation.Header{Value: automation.Credential{Text: "{{userName}}"}}
		a.Action.Payload = payload(map[string]any{"userId": "{{userId}}", "n": "{{duration | number}}", "b": "{{flag | boolean}}", "c": "{{constructor}}"})
		in := c.desired(a)
		c.apply(t, in)
		good := map[string]any{"userId": "u1", "userName": "n", "duration": 1, "flag": true, "constructor": "c"}
		for name, bad := range map[string]any{
			"userId missing": nil, "userName missing": nil, "constructor missing": nil, "duration missing": nil,
			"userId is": []any{"u"}, "userName is": map[string]any{"a": 1}, "duration is": "12 s", "flag is": "yes",
			"duration stays": true, "flag stays": 1, "duration hex": "0x10", "duration empty": "", "duration infinite": "Infinity", "duration plus": "+1",
			"userName breaks": "a\r\nX-Injected: 1",
		} {
			values := map[string]any{}
			for k, v := range good {
				values[k] = v
			}
			field, _, _ := strings.Cut(name, " ")
			if delete(values, field); bad != nil {
				values[field] = bad
			}
			c.refusesToFire(t, r, a, values, good, in.Secrets)
		}
	}},
	{name: "a disabled automation is not fired, until it is enabled", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a, b := c.automation("growth/a", r.URL+"/a"), c.automation("growth/b", r.URL+"/b")
		values := map[string]any{"userId": "u1"}
		for _, enabled := range []bool{false, true, false} {
			a.Enabled = enabled
			in := c.desired(a, b)
			c.apply(t, in)
			if enabled {
				c.fires(t, r, a, values, in.Secrets)
				continue
			}
			if err := c.Fire(t, c.project, a, values); err == nil {
				t.Error("the disabled automation was fired")
			}
			c.fires(t, r, b, values, in.Secrets)
		}
	}},
	{name: "a trigger fires every automation that names it", needs: NamedTriggers, run: func(t *testing.T, c *scene) {
		if got := c.sharedTrigger(t); len(got) != 2 {
			t.Errorf("%d messages, want 2", len(got))
		}
	}, without: func(t *testing.T, c *scene) {
		if got := c.sharedTrigger(t); len(got) != 1 || got[0].URI != "/a" {
			t.Errorf("%d messages, want the one of growth/a", len(got))
		}
	}},
	{name: "an automation edited by hand sends the right message again after an apply", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		in := c.desired(c.automation("growth/a", r.URL+"/v1/track"))
		values := map[string]any{"userId": `u"1`}
		c.apply(t, in)
		c.EditPayload(t, c.find(t, "growth/a"), "event", `By "hand"`)
		edited := in.Automations[0]
		edited.Action.Payload = payload(map[string]any{"event": `By "hand"`, "userId": "{{userId}}"})
		c.fires(t, r, edited, values, in.Secrets)
		c.apply(t, in)
		c.fires(t, r, in.Automations[0], values, in.Secrets)
	}},
	{name: "a deleted automation no longer fires", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a, b := c.automation("growth/a", r.URL+"/a"), c.automation("growth/b", r.URL+"/b")
		c.apply(t, c.desired(a, b))
		c.apply(t, c.desired(b))
		if err := c.Fire(t, c.project, a, map[string]any{"userId": "u1"}); err == nil {
			t.Error("the deleted automation was fired")
		}
		c.fires(t, r, b, map[string]any{"userId": "u1"}, secrets("abc123"))
	}},
}

// hostile are values that would break a message built by joining strings.
var hostile = []string{
	"", " ", "plain", `"`, `\`, `\\"`, `\u0022`, "'", "`", "a\nb", "a\r\nb", "\t\u0001\u007f", "\u2028\u2029", "{{userId}}", "{{userName}}", "{{{userId}}}",
	"{{{", "}}}", "{{", "}}", "${}", "${userId}", "${process.exit(1)}", "$json", "$json.userId", "={{ }}", "={{ $json.userId }}", "=1+1", "$& $1 $` $'",
	`","userId":"injected`, `"},"x":{"y":"`, "</script><b>&amp;", "%41 %s %d", "👩‍🚀 e\u0301 日本", "null", "true", "42", "__proto__", "toString", "$(HOME)",
	"msg.payload", "{{duration | number}}", strings.Repeat("long \"x\" ", 500),
}

// fires fires an automation, and checks that its message arrives, and no other.
func (c *scene) fires(t *testing.T, r *Recorder, a automation.Automation, values map[string]any, known map[string]automation.Secret) Received {
	t.Helper()
	want, err := a.Action.Render(values, func(name string) (automation.Secret, bool) { s, ok := known[name]; return s, ok })
	if err != nil {
		t.Fatalf("the check itself is wrong: %v", err)
	}
	if err := c.Fire(t, c.project, a, values); err != nil {
		t.Fatalf("%s (%s) with %q: fire: %v", a.Key, a.Name, values, err)
	}
	got := r.Next(t)
	if more := r.Take(); len(more) > 0 {
		t.Errorf("%s: %d messages more than one: %+v", a.Key, len(more), more)
	}
	sameMessage(t, fmt.Sprintf("%s (%s) with %.200q", a.Key, a.Name, values), got, want)
	return got
}

// refusesToFire checks that bad values give an error and no message, and that
// good values still give a message.
func (c *scene) refusesToFire(t *testing.T, r *Recorder, a automation.Automation, bad, good map[string]any, known map[string]automation.Secret) {
	t.Helper()
	if err := c.Fire(t, c.project, a, bad); err == nil {
		t.Errorf("with %q it reports success", bad)
	}
	c.fires(t, r, a, good, known)
}

// sameMessage compares the received message with the expected one. It ignores
// equivalent escapes and headers that a client adds.
func sameMessage(t *testing.T, what string, got Received, want automation.Rendered) {
	t.Helper()
	if got.Method != want.Method {
		t.Errorf("%s: method %s, want %s", what, got.Method, want.Method)
	}
	u, err := url.Parse(want.URL)
	if err != nil {
		t.Fatalf("the check itself is wrong: %v", err)
	}
	if diff := cmp.Diff(urlParts(u.RequestURI()), urlParts(got.URI)); diff != "" {
		t.Errorf("%s: URL %s (-want +got):\n%s", what, got.URI, diff)
	}
	for name, values := range want.Header {
		if diff := cmp.Diff(values, got.Header.Values(name)); diff != "" {
			t.Errorf("%s: header %s (-want +got):\n%s", what, name, diff)
		}
	}
	if want.Body == nil || len(got.Body) == 0 {
		if len(want.Body)+len(got.Body) > 0 {
			t.Errorf("%s: body %q, want %q", what, got.Body, want.Body)
		}
		return
	}
	wantBody, wantErr := decode(want.Body)
	gotBody, gotErr := decode(got.Body)
	if wantErr != nil || gotErr != nil {
		t.Fatalf("%s: body %q is not JSON: %v, %v", what, got.Body, gotErr, wantErr)
	}
	if diff := cmp.Diff(wantBody, gotBody); diff != "" {
		t.Errorf("%s: body (-want +got):\n%s", what, diff)
	}
}

// urlParts splits a path and a query before it decodes them, to detect a value
// that has changed the structure.
func urlParts(uri string) []string {
	decoded := func(s string, f func(string) (string, error)) string {
		if d, err := f(s); err == nil {
			return d
		}
		return "undecodable: " + s
	}
	path, query, _ := strings.Cut(uri, "?")
	var parts []string
	for _, segment := range strings.Split(path, "/") {
		parts = append(parts, "/"+decoded(segment, url.PathUnescape))
	}
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		parts = append(parts, "?"+decoded(name, url.QueryUnescape), decoded(value, url.QueryUnescape))
	}
	return parts
}

// decode reads JSON for a comparison: 1, 1.0 and 1e0 are the same number.
func decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	var v any
	err := d.Decode(&v)
	if err == nil && d.More() {
		err = fmt.Errorf("more than one value")
	}
	return v, err
}

// unicodeHeader applies an automation with a placeholder in a header.
func (c *scene) unicodeHeader(t *testing.T) (*Recorder, sync.Desired) {
	r := StartRecorder(t)
	a := c.automation("growth/a", r.URL+"/v1/events")
	a.Action.Headers["X-Name"] = automation.Header{Value: automation.Credential{Text: "{{userName}}"}}
	a.Action.Payload = payload(map[string]any{"name": "{{userName}}"})
	in := c.desired(a)
	c.apply(t, in)
	return r, in
}

// longNumber sends numbers that no double can represent, given as strings.
func (c *scene) longNumber(t *testing.T) map[string]json.RawMessage {
	r := StartRecorder(t)
	a := c.automation("growth/a", r.URL+"/v1/events")
	a.Action.Payload = payload(map[string]any{"n": "{{n | number}}", "d": "{{d | number}}", "s": "{{n}}"})
	in := c.desired(a)
	c.apply(t, in)
	got := c.fires(t, r, a, map[string]any{"n": "12345678901234567890", "d": "0.1234567890123456789"}, in.Secrets)
	var body map[string]json.RawMessage
	if err := json.Unmarshal(got.Body, &body); err != nil {
		t.Fatal(err)
	}
	if s := string(body["s"]); s != `"12345678901234567890"` {
		t.Errorf("without a cast: %s", s)
	}
	return body
}

// sharedTrigger fires one of two automations with the same trigger, and returns
// the messages that arrived before a third one fired.
func (c *scene) sharedTrigger(t *testing.T) []Received {
	r := StartRecorder(t)
	a, b, last := c.automation("growth/a", r.URL+"/a"), c.automation("growth/b", r.URL+"/b"), c.automation("growth/last", r.URL+"/last")
	b.Trigger = a.Trigger
	c.apply(t, c.desired(a, b, last))
	for _, fired := range []automation.Automation{a, last} {
		if err := c.Fire(t, c.project, fired, map[string]any{"userId": "u1"}); err != nil {
			t.Fatalf("fire %s: %v", fired.Key, err)
		}
	}
	var before []Received
	for {
		got := r.Next(t)
		if got.URI == "/last" {
			return append(before, r.Take()...)
		}
		before = append(before, got)
	}
}
