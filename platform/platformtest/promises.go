package platformtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

func canCopy(b *Bench) bool     { return b.Copy != nil }
func canFireJSON(b *Bench) bool { return b.FireJSON != nil }

// promiseChecks check that people's objects, automations between two writes, and
// messages in transit are never harmed.
var promiseChecks = []check{
	{name: "an apply never changes a copy that a person has made", given: canCopy, run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		in := c.desired(c.automation("growth/a", r.URL+"/v1/track"), c.automation("growth/b", r.URL+"/v1/track"))
		c.apply(t, in)
		read := c.Copy(t, c.find(t, "growth/a"))
		before := read(t)
		same := func(when string) {
			t.Helper()
			if diff := cmp.Diff(string(before), string(read(t))); diff != "" {
				t.Errorf("%s, the copy is another one (-before +now):\n%s", when, diff)
			}
		}
		if plan := c.plan(t, in); !plan.Empty() {
			t.Errorf("a copy is a change: %+v", plan.Changes)
		}
		in.Automations[0].Name = "Changed"
		c.apply(t, in)
		same("after an update of the original")
		in.Secrets = secrets("rotated")
		c.apply(t, in)
		same("after a rotation")
		c.fires(t, r, in.Automations[0], map[string]any{"userId": "u1"}, in.Secrets)
		in.Automations = in.Automations[1:]
		c.apply(t, in)
		same("after the original is deleted")
		c.fires(t, r, in.Automations[0], map[string]any{"userId": "u1"}, in.Secrets)
	}},
	{name: "no automation is reported as changed that nobody has changed", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		in := c.desired(c.unusual(r.URL)...)
		plan := c.plan(t, in)
		_, err := sync.Apply(t.Context(), c.Platform, plan, in, sync.ApplyOptions{Parallelism: 4, Calls: quick})
		var altered *sync.AlteredError
		if err != nil && !errors.As(err, &altered) {
			t.Fatalf("apply: %v", err)
		}
		for _, when := range []string{"after an apply", "after they were fired"} {
			plan = c.plan(t, in)
			if !plan.Empty() {
				b, _ := json.MarshalIndent(plan.Changes, "", "  ")
				t.Errorf("%s: %s", when, b)
			}
			for _, a := range in.Automations {
				if err := c.Fire(t, c.project, a, map[string]any{"userId": "u1", "userName": "Zoe"}); err != nil {
					t.Errorf("fire %s: %v", a.Key, err)
				}
			}
		}
	}},
	{name: "when a key is renamed, a killed apply leaves one automation that fires", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		values := map[string]any{"userId": "u1"}
		in := c.desired(c.plain("growth/old"), c.plain("growth/stays"))
		for i := range in.Automations {
			in.Automations[i].Action.URL = r.URL + "/v1/track"
		}
		c.apply(t, in)
		in.Automations[0] = c.plain("growth/new")
		in.Automations[0].Action.URL = r.URL + "/v1/track"
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		plan := c.plan(t, in)
		if _, err := sync.Apply(ctx, killed{c.Platform, kill}, plan, in, sync.ApplyOptions{Parallelism: 8, Calls: quick}); err == nil {
			t.Fatal("the apply has come to its end")
		}
		c.fires(t, r, in.Automations[0], values, in.Secrets)
		c.apply(t, in)
		c.fires(t, r, in.Automations[0], values, in.Secrets)
		c.fires(t, r, in.Automations[1], values, in.Secrets)
	}},
	{name: "a number above 2^53 in JSON arrives digit by digit", given: canFireJSON, run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a := c.automation("growth/a", r.URL+"/v1/events")
		a.Action.Payload = payload(map[string]any{"userId": "{{userId}}", "cast": "{{userId | number}}", "mixed": "of {{userId}}"})
		in := c.desired(a)
		c.apply(t, in)
		for _, number := range []string{"9007199254740993", "-9007199254740993", "12345678901234567890", "0.1234567890123456789", "1.10", "-0", "1e400"} {
			if err := c.FireJSON(t, c.project, a, fmt.Sprintf(`{"userId": %s, "unused": [1e999, {"a": "1"}]}`, number)); err != nil {
				t.Errorf("%s: %v", number, err)
				continue
			}
			got := r.Next(t)
			var body map[string]json.RawMessage
			if err := json.Unmarshal(got.Body, &body); err != nil {
				t.Fatalf("%s: body %s: %v", number, got.Body, err)
			}
			for field, want := range map[string]string{"userId": `"` + number + `"`, "cast": number, "mixed": `"of ` + number + `"`} {
				if string(body[field]) != want {
					t.Errorf("%s: %s = %s, want %s", number, field, body[field], want)
				}
			}
		}
	}},
	{name: "values with which Segment would drop the message are refused with the reason", needs: ChecksMessages, given: canFireJSON, run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a := c.strict(r.URL)
		in := c.desired(a)
		c.apply(t, in)
		for object, reason := range droppedValues {
			err := c.FireJSON(t, c.project, a, object)
			if err == nil || !strings.Contains(err.Error(), reason) {
				t.Errorf("%.200s: error %v, want %q", object, err, reason)
			}
			if sent := r.Take(); len(sent) > 0 {
				t.Errorf("%.200s: %s was sent", object, sent[0].Body)
			}
		}
		for _, object := range []string{
			`{"userId": "u1", "at": "2026-03-14T09:26Z", "id": "m1", "plan": "12345678"}`,
			`{"userId": 7, "at": "20260314T0926+02", "id": "` + strings.Repeat("x", 99) + `", "plan": "日本"}`,
		} {
			if err := c.FireJSON(t, c.project, a, object); err != nil {
				t.Errorf("%s: %v", object, err)
				continue
			}
			r.Next(t)
		}
	}, without: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a := c.strict(r.URL)
		in := c.desired(a)
		c.apply(t, in)
		c.fires(t, r, a, map[string]any{"userId": "", "at": "tomorrow", "id": "m1", "plan": "longer than declared"}, in.Secrets)
	}},
	{name: "a space in a query is %20", run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		a := c.automation("growth/a", r.URL+"/v1/events?q={{userName}}")
		in := c.desired(a)
		c.apply(t, in)
		got := c.fires(t, r, a, map[string]any{"userId": "u1", "userName": "a b+c"}, in.Secrets)
		if got.URI != "/v1/events?q=a%20b%2Bc" {
			t.Errorf("got %s", got.URI)
		}
	}},
	{name: "a message that an endpoint does not accept is sent again", needs: Retries, run: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		in := c.desired(c.automation("growth/a", r.URL+"/v1/track"))
		c.apply(t, in)
		for _, status := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
			r.Fail(2, status)
			if err := c.Fire(t, c.project, in.Automations[0], map[string]any{"userId": "u1"}); err != nil {
				t.Errorf("after two answers of %d: %v", status, err)
			}
			if n := len(r.Take()); n != 3 {
				t.Errorf("%d was answered twice: it was sent %d times, want 3", status, n)
			}
		}
	}, without: func(t *testing.T, c *scene) {
		r := StartRecorder(t)
		in := c.desired(c.automation("growth/a", r.URL+"/v1/track"))
		c.apply(t, in)
		r.Fail(1, http.StatusServiceUnavailable)
		if err := c.Fire(t, c.project, in.Automations[0], map[string]any{"userId": "u1"}); err == nil {
			t.Error("it reports success")
		}
		if n := len(r.Take()); n != 1 {
			t.Errorf("it was sent %d times, want once", n)
		}
	}},
}

// droppedValues are values for [scene.strict], with the reason why they are
// refused.
var droppedValues = map[string]string{
	`{"userId": "", "at": "2026-03-14", "id": "m", "plan": "pro"}`:                                   "userId is empty",
	`{"userId": " \t", "at": "2026-03-14", "id": "m", "plan": "pro"}`:                                "userId is empty",
	`{"userId": "u1", "at": "tomorrow", "id": "m", "plan": "pro"}`:                                   "timestamp is not an ISO 8601 time",
	`{"userId": "u1", "at": "2026-02-30T00:00:00Z", "id": "m", "plan": "pro"}`:                       "timestamp is not an ISO 8601 time",
	`{"userId": "u1", "at": "2026-03-14", "id": "` + strings.Repeat("x", 100) + `", "plan": "pro"}`:  "messageId has 100 characters",
	`{"userId": "u1", "at": "2026-03-14", "id": "m", "plan": "123456789"}`:                           "the value of {{plan}} has 9 bytes, and its maxLength is 8",
	`{"userId": "u1", "at": "2026-03-14", "id": "m", "plan": "日本語"}`:                                 "the value of {{plan}} has 9 bytes",
	`{"userId": "` + strings.Repeat("u", 33000) + `", "at": "2026-03-14", "id": "m", "plan": "pro"}`: "the maximum is 32768",
}

// strict makes an automation for which some values make a message that Segment
// drops.
func (c *scene) strict(url string) automation.Automation {
	a := c.automation("growth/a", url+"/v1/track")
	a.Action.Payload = payload(map[string]any{"event": "E", "userId": "{{userId}}", "timestamp": "{{at}}", "messageId": "{{id}}",
		"properties": map[string]any{"plan": "{{plan}}"}})
	a.Placeholders = map[string]automation.PlaceholderLimit{"plan": {MaxLength: 8}}
	return a
}

// unusual makes automations with values that a platform might store in another
// form.
func (c *scene) unusual(url string) []automation.Automation {
	empty := c.automation("growth/empty", url+"/v1/events")
	empty.Action.Payload = payload(map[string]any{"userId": "{{userId}}", "null": nil, "object": map[string]any{}, "list": []any{}, "string": "",
		"nested": map[string]any{"null": nil, "list": []any{nil, map[string]any{}, []any{}, ""}}})
	numbers := c.automation("growth/numbers", url+"/v1/events")
	numbers.Action.Payload = json.RawMessage(`{"digits":0.1234567890123456,"large":1e+100,"long":9007199254740991,"negative":-0.5,"zero":0}`)
	order := c.automation("growth/order", url+"/v1/events?b=2&a=1&b=1&c")
	order.Action.Payload = payload(map[string]any{"list": []any{"b", "a", "b", 2, 1}, "z": 1, "a": 2})
	order.Action.Headers["X-B"] = automation.Header{Value: automation.Credential{Text: "b, a, b"}}
	texts := c.automation("growth/texts", url+"/v1/a%7Cb/%C3%A9/{{userId}}?q=%20+&u={{userName}}")
	texts.Name = "e\u0301 \u00e9  two spaces, \"quotes\" <b>&amp;</b> {{userId}}"
	texts.Action.Payload = payload(map[string]any{"accents": "e\u0301 \u00e9", "spaces": "  a  b  ", "lines": "a\r\nb\n", "html": "<a href='x'>&lt;</a>", "field.with.dots": "{{userName}}"})
	disabled := c.automation("growth/placeholders", url+"/v1/track")
	disabled.Placeholders = map[string]automation.PlaceholderLimit{"userId": {MaxLength: 40}}
	disabled.Protect = false
	return []automation.Automation{empty, numbers, order, texts, disabled}
}

// killed is a platform whose apply is killed before it deletes anything.
type killed struct {
	sync.Platform
	kill context.CancelFunc
}

// Delete does not reach the platform.
func (k killed) Delete(ctx context.Context, _ sync.Stored) error {
	k.kill()
	return context.Canceled
}
