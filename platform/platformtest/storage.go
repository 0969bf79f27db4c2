package platformtest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	gosync "sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// storageChecks check that a platform stores and returns automations correctly.
var storageChecks = []check{
	{name: "an automation is read back as it was created", run: func(t *testing.T, c *scene) {
		c.putSecret(t, c.project, secretName, "abc123")
		for name, a := range c.gallery() {
			t.Run(name, func(t *testing.T) {
				made := c.create(t, c.project, a)
				wantSame(t, "created", made, c.project, a)
				found := c.find(t, a.Key)
				wantSame(t, "found", found, c.project, a)
				if found.ID != made.ID || found.Revision != made.Revision {
					t.Errorf("found %s at revision %s, created %s at %s", found.ID, found.Revision, made.ID, made.Revision)
				}
			})
		}
		stored, err := c.direct.List(t.Context(), c.project)
		if err != nil || len(stored) != len(c.gallery()) {
			t.Fatalf("list: %d automations, %v", len(stored), err)
		}
		for _, s := range stored {
			if s.Automation.Hash() != s.Marker.Hash {
				t.Errorf("%s: listed with another hash than its marker's", s.Marker.Key)
			}
		}
	}},
	{name: "an update replaces content and marker", run: func(t *testing.T, c *scene) {
		c.putSecret(t, c.project, secretName, "abc123")
		made := c.create(t, c.project, c.plain("growth/a"))
		for name, a := range c.gallery() {
			a.Key = "growth/a"
			updated, err := c.direct.Update(t.Context(), made, sync.MarkerOf(made.Marker.Project, a), a)
			if err != nil {
				t.Fatalf("update to %s: %v", name, err)
			}
			wantSame(t, name, updated, c.project, a)
			found := c.find(t, a.Key)
			wantSame(t, name+", found", found, c.project, a)
			if updated.ID != made.ID || found.Revision != updated.Revision || updated.Revision == made.Revision {
				t.Errorf("%s: %s at revision %s, found at %s, before %s at %s", name, updated.ID, updated.Revision, found.Revision, made.ID, made.Revision)
			}
			made = updated
		}
	}},
	{name: "an update can give it another key", run: func(t *testing.T, c *scene) {
		made := c.create(t, c.project, c.plain("growth/a"))
		moved := c.plain("growth/b")
		updated, err := c.direct.Update(t.Context(), made, sync.MarkerOf(made.Marker.Project, moved), moved)
		if err != nil {
			t.Fatalf("update: %v", err)
		}
		wantSame(t, "updated", updated, c.project, moved)
		if found := c.find(t, "growth/b"); found.ID != made.ID {
			t.Errorf("found %s, want %s", found.ID, made.ID)
		}
		if found, err := c.direct.Find(t.Context(), c.project, "growth/a"); err != nil || len(found) != 0 {
			t.Errorf("find the old key: %+v, %v; want none", found, err)
		}
	}},
	{name: "an update or delete of an old revision is refused", run: func(t *testing.T, c *scene) {
		old := c.create(t, c.project, c.plain("growth/a"))
		second, third := c.plain("growth/a"), c.plain("growth/a")
		second.Name, third.Name = "Second", "Third"
		if _, err := c.direct.Update(t.Context(), old, sync.MarkerOf(old.Marker.Project, second), second); err != nil {
			t.Fatalf("update: %v", err)
		}
		_, err := c.direct.Update(t.Context(), old, sync.MarkerOf(old.Marker.Project, third), third)
		wantKind(t, "update of an old revision", err, sync.Conflict)
		wantKind(t, "delete of an old revision", c.direct.Delete(t.Context(), old), sync.Conflict)
		wantSame(t, "afterwards", c.find(t, "growth/a"), c.project, second)
	}},
	{name: "an update after an edit by hand is refused", needs: ManualRevisions, run: func(t *testing.T, c *scene) {
		old := c.create(t, c.project, c.plain("growth/a"))
		c.EditPayload(t, old, "event", "By hand")
		_, err := c.direct.Update(t.Context(), old, sync.MarkerOf(old.Marker.Project, c.plain("growth/a")), c.plain("growth/a"))
		wantKind(t, "update after an edit by hand", err, sync.Conflict)
		wantKind(t, "delete after an edit by hand", c.direct.Delete(t.Context(), old), sync.Conflict)
		edited := c.plain("growth/a")
		edited.Action.Payload = payload(map[string]any{"event": "By hand", "userId": "{{userId}}"})
		if got := c.find(t, "growth/a"); got.Automation.Hash() != edited.Hash() {
			t.Errorf("afterwards: %s", canonicalText(got.Automation))
		}
	}, without: func(t *testing.T, c *scene) {
		old := c.create(t, c.project, c.plain("growth/a"))
		c.EditPayload(t, old, "event", "By hand")
		want := c.plain("growth/a")
		want.Name = "Updated"
		if _, err := c.direct.Update(t.Context(), old, sync.MarkerOf(old.Marker.Project, want), want); err != nil {
			t.Fatalf("update: %v", err)
		}
		wantSame(t, "afterwards", c.find(t, "growth/a"), c.project, want)
	}},
	{name: "of updates at the same time, one wins", needs: AtomicRevisions, run: func(t *testing.T, c *scene) {
		won, refused, wanted := c.race(t)
		if len(won) != 1 {
			t.Errorf("%d updates of one revision were done, want 1", len(won))
		}
		for _, err := range refused {
			wantKind(t, "update that lost", err, sync.Conflict)
		}
		found := c.find(t, "growth/a").Automation.Hash()
		for _, i := range won {
			if found != wanted[i].Hash() {
				t.Errorf("update %d won, but is not stored", i)
			}
		}
	}, without: func(t *testing.T, c *scene) {
		_, _, wanted := c.race(t)
		found := c.find(t, "growth/a").Automation.Hash()
		if !slices.ContainsFunc(wanted, func(a automation.Automation) bool { return a.Hash() == found }) {
			t.Errorf("a mix of several updates is there")
		}
	}},
	{name: "a deleted automation is gone", run: func(t *testing.T, c *scene) {
		made, kept := c.create(t, c.project, c.plain("growth/a")), c.create(t, c.project, c.plain("growth/b"))
		if err := c.direct.Delete(t.Context(), made); err != nil {
			t.Fatalf("delete: %v", err)
		}
		found, err := c.direct.Find(t.Context(), c.project, "growth/a")
		if err != nil || len(found) != 0 {
			t.Errorf("found after the delete: %+v, %v", found, err)
		}
		wantKind(t, "delete again", c.direct.Delete(t.Context(), made), sync.NotFound)
		_, err = c.direct.Update(t.Context(), made, sync.MarkerOf(made.Marker.Project, c.plain("growth/a")), c.plain("growth/a"))
		wantKind(t, "update of a deleted automation", err, sync.NotFound)
		stored, err := c.direct.List(t.Context(), c.project)
		if err != nil || len(stored) != 1 || stored[0].ID != kept.ID {
			t.Errorf("listed: %+v, %v", stored, err)
		}
	}},
	{name: "a second automation of a key is refused", needs: UniqueKeys, run: func(t *testing.T, c *scene) {
		a := c.plain("growth/a")
		made := c.create(t, c.project, a)
		_, err := c.direct.Create(t.Context(), c.project, a)
		wantKind(t, "create again", err, sync.Exists)
		if found := c.find(t, "growth/a"); found.ID != made.ID || found.Revision != made.Revision {
			t.Errorf("afterwards: %+v", found)
		}
	}, without: func(t *testing.T, c *scene) {
		a := c.plain("growth/a")
		for range 2 {
			c.create(t, c.project, a)
		}
		found, err := c.direct.Find(t.Context(), c.project, a.Key)
		if err != nil || len(found) != 2 {
			t.Fatalf("find: %d automations, %v; want 2", len(found), err)
		}
		c.apply(t, c.desired(a))
	}},
	{name: "more automations than a page holds are listed", run: func(t *testing.T, c *scene) {
		const n = 260
		in := c.desired()
		for i := range n {
			a := c.plain(fmt.Sprintf("growth/a%03d", i))
			a.Enabled = false // switching on is a request more on some platforms
			in.Automations = append(in.Automations, a)
		}
		c.apply(t, in)
	}},
	{name: "projects do not see each other", run: func(t *testing.T, c *scene) {
		c.putSecret(t, c.project, secretName, "abc123")
		c.putSecret(t, c.other(), secretName, "def456")
		a, b := c.automation("growth/a", "https://example.com/a"), c.automation("growth/a", "https://example.com/b")
		made := c.create(t, c.project, a)
		c.create(t, c.other(), b)
		states, err := c.direct.Secrets(t.Context(), c.project, secrets("abc123"))
		if err != nil || states[secretName] != sync.Same {
			t.Errorf("secrets of the first project: %v, %v", states, err)
		}
		if err := c.direct.Delete(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		if err := c.direct.DeleteSecret(t.Context(), c.project, secretName); err != nil {
			t.Fatal(err)
		}
		stored, err := c.direct.List(t.Context(), c.project)
		if err != nil || len(stored) != 0 {
			t.Errorf("listed for the first project: %+v, %v", stored, err)
		}
		stored, err = c.direct.List(t.Context(), c.other())
		if err != nil || len(stored) != 1 {
			t.Fatalf("listed for the second project: %+v, %v", stored, err)
		}
		wantSame(t, "the second project's", stored[0], c.other(), b)
		states, err = c.direct.Secrets(t.Context(), c.other(), secrets("def456"))
		if err != nil || states[secretName] != sync.Same {
			t.Errorf("secrets of the second project: %v, %v", states, err)
		}
	}},
	{name: "objects of others are not changed, byte for byte", run: func(t *testing.T, c *scene) {
		read := c.AddForeign(t)
		before := read(t)
		unchanged := func(after string) {
			t.Helper()
			if now := read(t); !bytes.Equal(before, now) {
				t.Errorf("after %s (-before +after):\n%s", after, cmp.Diff(string(before), string(now)))
			}
		}
		if len(before) == 0 {
			t.Fatal("there are no foreign objects")
		}
		in := c.desired(c.automation("growth/a", "https://example.com/a"), c.automation("growth/b", "https://example.com/b"))
		c.apply(t, in)
		unchanged("creates")
		in.Automations[0].Name, in.Automations[1].Enabled = "Other", false
		in.Secrets = secrets("rotated")
		c.apply(t, in)
		unchanged("updates and a rotated secret")
		in.Automations = in.Automations[:1]
		c.apply(t, in)
		unchanged("a delete")
		stored := c.find(t, "growth/a")
		if err := c.direct.Delete(t.Context(), stored); err != nil {
			t.Fatal(err)
		}
		if err := c.direct.DeleteSecret(t.Context(), c.project, secretName); err != nil {
			t.Fatal(err)
		}
		unchanged("the last delete")
	}},
	{name: "secrets are stored, compared, rotated and deleted", run: func(t *testing.T, c *scene) {
		states := func(want map[string]automation.Secret) map[string]sync.SecretState {
			t.Helper()
			got, err := c.direct.Secrets(t.Context(), c.project, want)
			if err != nil {
				t.Fatalf("secrets: %v", err)
			}
			return got
		}
		expect := func(what string, got, want map[string]sync.SecretState) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		expect("before", states(secrets("abc123")), map[string]sync.SecretState{})
		c.putSecret(t, c.project, secretName, "abc123")
		c.create(t, c.project, c.automation("growth/a", "https://example.com/a"))
		expect("the same value", states(secrets("abc123")), map[string]sync.SecretState{secretName: sync.Same})
		expect("another value", states(secrets("abc124")), map[string]sync.SecretState{secretName: sync.Different})
		expect("none wanted", states(nil), map[string]sync.SecretState{secretName: sync.Unchecked})
		c.putSecret(t, c.project, secretName, "rotated")
		expect("rotated, the old value", states(secrets("abc123")), map[string]sync.SecretState{secretName: sync.Different})
		expect("rotated, the new value", states(secrets("rotated")), map[string]sync.SecretState{secretName: sync.Same})
		c.putSecret(t, c.project, "SECOND", "another")
		expect("a second one", states(secrets("rotated")), map[string]sync.SecretState{secretName: sync.Same, "SECOND": sync.Unchecked})
		if err := c.direct.DeleteSecret(t.Context(), c.project, "SECOND"); err != nil {
			t.Fatal(err)
		}
		expect("after a delete", states(secrets("rotated")), map[string]sync.SecretState{secretName: sync.Same})
		for range 2 {
			if err := c.direct.DeleteSecret(t.Context(), c.project, "SECOND"); err != nil {
				t.Errorf("delete a missing secret: %v", err)
			}
		}
	}},
	{name: "a secret's value is never returned", run: func(t *testing.T, c *scene) {
		const value = "s3cr3t-9f2c71d8e4b05a6c"
		in := c.desired(c.automation("growth/a", "https://example.com/a"))
		in.Automations[0].Action.Headers["X-Api-Key"] = automation.Header{Value: automation.Credential{Secret: "API_KEY"}}
		in.Secrets = secrets(value)
		in.Secrets["API_KEY"] = automation.NewSecret("key-" + value)
		c.apply(t, in)
		dump := c.Dump(t)
		if !bytes.Contains(dump, []byte("growth/a")) {
			t.Error("the dump does not even hold the automation")
		}
		for _, form := range []string{value, base64.StdEncoding.EncodeToString([]byte(value + ":")), base64.StdEncoding.EncodeToString([]byte(value))} {
			if bytes.Contains(dump, []byte(form)) {
				t.Errorf("the platform returns %s", form)
			}
		}
	}},
	{name: "the platform lists its patterns and journeys", needs: ListsTriggers, run: func(t *testing.T, c *scene) {
		lister, ok := c.Platform.(sync.TriggerLister)
		if !ok {
			t.Fatal("the platform is not a sync.TriggerLister")
		}
		triggers, err := lister.Triggers(t.Context())
		if err != nil || len(triggers) == 0 {
			t.Errorf("triggers: %v, %v", triggers, err)
		}
	}, without: func(t *testing.T, c *scene) {
		if _, ok := c.Platform.(sync.TriggerLister); ok {
			t.Error("the platform is a sync.TriggerLister")
		}
	}},
}

// secrets returns the value of one secret, for Secrets.
func secrets(value string) map[string]automation.Secret {
	return map[string]automation.Secret{secretName: automation.NewSecret(value)}
}

// race updates one revision several times at once. It returns the successful
// updates, the errors of the others, and the wanted automations.
func (c *scene) race(t *testing.T) (won []int, refused []error, wanted []automation.Automation) {
	t.Helper()
	base := c.create(t, c.project, c.plain("growth/a"))
	const n = 4
	errs := make([]error, n)
	var wg gosync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		a := c.plain("growth/a")
		a.Name = fmt.Sprintf("Update %d", i)
		a.Action.URL += fmt.Sprintf("?update=%d", i)
		wanted = append(wanted, a)
		wg.Go(func() {
			<-start
			_, errs[i] = c.direct.Update(context.WithoutCancel(t.Context()), base, sync.MarkerOf(base.Marker.Project, a), a)
		})
	}
	close(start)
	wg.Wait()
	for i, err := range errs {
		if err == nil {
			won = append(won, i)
		} else {
			refused = append(refused, err)
		}
	}
	return won, refused, wanted
}

// gallery returns one automation of each kind, by its special feature.
func (c *scene) gallery() map[string]automation.Automation {
	text := func(s string) automation.Header { return automation.Header{Value: automation.Credential{Text: s}} }
	secret := automation.Credential{Secret: secretName}
	all := map[string]automation.Automation{}
	add := func(name, key string, change func(*automation.Automation)) {
		a := c.automation(key, "https://example.com/v1/track")
		change(&a)
		all[name] = a
	}
	add("an ordinary one", "growth/account-activated", func(*automation.Automation) {})
	add("a disabled one", "growth/disabled", func(a *automation.Automation) { a.Enabled = false })
	add("a protected one", "growth/protected", func(a *automation.Automation) { a.Protect = true })
	add("a journey", "growth/journey", func(a *automation.Automation) { a.Trigger.Kind = automation.Journey })
	add("a deep key with all characters", "a/B_c/d-e/f.g_2", func(*automation.Automation) {})
	add("a name and a trigger of odd characters", "growth/odd", func(a *automation.Automation) {
		a.Name = `Zoë's "quoted" {"marker": true} <b>&amp;</b> 🚀 \n ={{ 1 + 1 }} ${HOME} [x](y) -->`
		a.Trigger.Name = c.project + ` Übung "1" \ {"a":1} 日本` + "\u2028"
	})
	add("no headers and no body", "growth/bare", func(a *automation.Automation) {
		a.Action.Method, a.Action.Headers, a.Action.Payload = "GET", map[string]automation.Header{}, nil
	})
	add("all sorts of headers", "growth/headers", func(a *automation.Automation) {
		a.Action.Headers = map[string]automation.Header{
			"Accept": text("application/json"), "Authorization": {Scheme: automation.Bearer, Value: secret},
			"X-Both":   {Scheme: automation.Basic, Username: automation.Credential{Text: "user"}, Password: secret},
			"X-Bearer": {Scheme: automation.Bearer, Value: automation.Credential{Text: "plain"}},
			"X-Empty":  text(""), "X-Secret": {Value: secret}, "X-Text": text(`user {{userId}}, "{{userName}}"`),
		}
	})
	add("basic credentials without a secret", "growth/basic", func(a *automation.Automation) {
		a.Action.Headers = map[string]automation.Header{"Authorization": {Scheme: automation.Basic,
			Username: automation.Credential{Text: "user"}, Password: automation.Credential{Text: `p"ss`}}}
	})
	add("placeholders in the URL", "growth/url", func(a *automation.Automation) {
		a.Action.URL = "https://example.com:8443/u/{{userId}}/x%20y?q={{userName}}&r=a+b&s=%26#frag"
	})
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		add("method "+method, "growth/method-"+method, func(a *automation.Automation) { a.Action.Method = method })
	}
	for name, p := range payloads {
		add("payload: "+name, "growth/payload-"+fmt.Sprint(len(all)), func(a *automation.Automation) { a.Action.Payload = payload(p) })
	}
	return all
}

// payloads are payloads of every shape, by their special features.
var payloads = map[string]any{
	"an empty object": map[string]any{},
	"a list":          []any{"{{userId}}", 1, nil, true, []any{}, map[string]any{"a": []any{"b"}}},
	"a string":        "{{userId}} in a text",
	"a number":        12.5,
	"all types": map[string]any{"null": nil, "true": true, "false": false, "zero": 0, "negative": -1.5, "large": 1e21, "small": 1e-7,
		"empty": "", "list": []any{}, "object": map[string]any{}},
	"casts":          map[string]any{"n": "{{duration | number}}", "b": "{{flag | boolean}}", "s": "{{duration}}", "mixed": "{{duration}} s of {{userId}}"},
	"odd texts":      oddTexts,
	"odd fields":     map[string]any{"with space": 1, "dots.and/slashes~": 2, `quo"te`: 3, "日本": 4, "": 5, "$json": 6, "a'b": 7, "__proto__": 8, "constructor": map[string]any{"prototype": "x"}},
	"deep structure": deep(40),
}

// oddTexts are literals that have a special meaning elsewhere, but none in a
// payload.
var oddTexts = map[string]any{
	"quotes": `a "b" 'c' ` + "`d`", "backslashes": `\ \\ \n \u0041 \"`, "control": "a\nb\r\n\tc\u0001\u007f", "separators": "\u2028\u2029\ufeff",
	"emoji": "👩‍🚀 é e\u0301 日本語", "javascript": "${process.env.HOME} ${1+1} `${x}`", "n8n": "=1+1", "n8n expression": "=$json.userId $json[\"a\"] $('x').item",
	"env": "${HOME}", "env 2": "$(HOME)", "message": "msg.payload", "html": "<b>&amp;&lt;</b><script>alert(1)</script>", "brace": "{ a } { { b } }",
	"template": "<%= x %> #{x} %{x} [[x]] @x@", "space": " ", "spaces around": "  x  ", "number": "12", "boolean": "true", "null": "null", "comment": "*/ // --> ]]>",
}

func deep(n int) any {
	if n == 0 {
		return "{{userId}}"
	}
	if n%2 == 0 {
		return map[string]any{"a": deep(n - 1)}
	}
	return []any{deep(n - 1)}
}
