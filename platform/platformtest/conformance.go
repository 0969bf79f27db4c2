package platformtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// A Capability is a feature that not every platform supports. [Harness.Missing]
// declares missing ones. The suite then checks for a sensible alternative, and
// the table in docs/platforms.md shows the reason.
type Capability string

// The capabilities.
const (
	// AtomicRevisions: of several simultaneous updates of one revision, one is
	// done and the others are refused. Without it, a platform only detects
	// changes made before the update began.
	AtomicRevisions Capability = "AtomicRevisions"
	// ManualRevisions: an edit by hand gives an automation a new revision.
	ManualRevisions Capability = "ManualRevisions"
	// UniqueKeys: a second automation of the same project and key is refused.
	// Without it, both exist and can be found.
	UniqueKeys Capability = "UniqueKeys"
	// OneWrite: all changes of an apply are made in one write, or none is; the
	// platform is a [sync.Batcher].
	OneWrite Capability = "OneWrite"
	// Canvas: an automation is laid out on a canvas, where its parts can be moved.
	Canvas Capability = "Canvas"
	// NamedTriggers: a pattern or journey fires every automation that names it.
	// Without it, each automation has its own endpoint.
	NamedTriggers Capability = "NamedTriggers"
	// ListsTriggers: the platform can list its patterns and journeys.
	ListsTriggers Capability = "ListsTriggers"
	// LongNumbers: a number of more than fifteen digits, given as text, arrives
	// digit by digit. Without it, the nearest double arrives.
	LongNumbers Capability = "LongNumbers"
	// UnicodeHeaders: a header's value can hold any printable text, and is sent
	// in UTF-8. Without it, the message is not sent.
	UnicodeHeaders Capability = "UnicodeHeaders"
	// ChecksMessages: a message that Segment would drop is not sent, and the reason
	// is given. Without it, it is sent.
	ChecksMessages Capability = "ChecksMessages"
	// Retries: a message that an endpoint does not accept is sent again. Without
	// it, it is sent once.
	Retries Capability = "Retries"
)

// A Harness gives the conformance suite access to one kind of platform.
type Harness struct {
	// Platform is the package's name, "embedded". The results are kept under it.
	Platform string
	// Release distinguishes the results from those of another version of the same
	// platform; "" for the first one.
	Release string
	// Product is the tested product, for the table: "n8n 1.123.81".
	Product string
	// Missing has the reason for each missing capability, as a clause for
	// people: "its API has no conditional update".
	Missing map[Capability]string
	// New returns a platform to test with. It may give the same program every
	// time: each check uses projects of its own, and clears them away.
	New func(t *testing.T) *Bench
}

// A Bench is a platform under test, with functions that change it without
// segue. They get the automation as the platform returned it.
type Bench struct {
	Platform sync.Platform

	// EditPayload sets a string at the top level of the payload to a string
	// without placeholders, as a person would in the platform's own editor.
	EditPayload func(t testing.TB, stored sync.Stored, field, text string)
	// SwitchOff disables an automation, as a person would.
	SwitchOff func(t testing.TB, stored sync.Stored)
	// Move changes the layout on the canvas, and nothing else. Without a canvas
	// it saves the automation unchanged.
	Move func(t testing.TB, stored sync.Stored)
	// AddForeign stores unrelated objects of every kind on the platform. The
	// returned function reads all of them, as raw as possible.
	AddForeign func(t testing.TB) (read func(t testing.TB) []byte)
	// Dump returns everything that the platform's API returns about its
	// objects.
	Dump func(t testing.TB) []byte
	// Fire makes the automation's trigger happen with these values, and waits
	// until the platform has sent the message. It returns an error if no
	// message was sent, also if there is nothing to fire.
	Fire func(t testing.TB, project string, a automation.Automation, values map[string]any) error
	// FireJSON does the same with the values as an object in JSON, which is sent to
	// the platform unchanged: numbers keep all digits. The error has the platform's
	// reason. Nil skips the checks that need it.
	FireJSON func(t testing.TB, project string, a automation.Automation, object string) error
	// Copy copies an automation as a person would in the platform's own editor,
	// including the marker if the editor copies it. It gives the copy another name
	// and, if necessary, its own endpoint. The returned function reads the copy, as
	// raw as possible. Nil skips the checks that need it.
	Copy func(t testing.TB, stored sync.Stored) (read func(t testing.TB) []byte)
}

// A check is a row of the table.
type check struct {
	// name is a sentence that is true for a platform that passes.
	name string
	// needs is the capability that the check needs, "" for none.
	needs Capability
	run   func(t *testing.T, c *scene)
	// given reports whether a bench supports the check; nil for any bench.
	given func(*Bench) bool
	// without runs instead of run if the capability is missing.
	without func(t *testing.T, c *scene)
}

// A scene is the environment of one check.
type scene struct {
	*Bench
	project string
	// direct is for single calls without the engine's retries.
	direct sync.Platform
}

// Run checks that a platform keeps the contract of [sync.Platform] and sends
// the right messages. Each check is a subtest. If the platform lacks a
// capability, the suite checks the alternative.
//
// The results are compared with testdata/PLATFORM-RELEASE.json beside this file, and
// renewed with SEGUE_UPDATE=1, along with the table in docs/platforms.md.
func Run(t *testing.T, h Harness) {
	all := slices.Concat(storageChecks, applyChecks, messageChecks, promiseChecks)
	left := 0
	results := make([]checkResult, 0, len(all))
	for i, c := range all {
		result := checkResult{Check: c.name}
		run := c.run
		if reason, missing := h.Missing[c.needs]; missing && c.needs != "" {
			result.Missing, run = reason, c.without
		}
		passed := t.Run(c.name, func(t *testing.T) {
			bench := h.New(t)
			if c.given != nil && !c.given(bench) {
				left++
				t.Skip("the bench does not support the check")
			}
			s := &scene{Bench: bench, project: fmt.Sprintf("conformance-%02d", i), direct: patientPlatform{t, bench.Platform}}
			t.Cleanup(func() { s.clear(t) })
			if result.Missing != "" {
				t.Logf("%s is missing: %s", c.needs, result.Missing)
			}
			run(t, s)
			results = append(results, result)
		})
		if !passed {
			t.Logf("%s does not conform: %s", h.Platform, c.name)
		}
	}
	for capability := range h.Missing {
		if !slices.ContainsFunc(all, func(c check) bool { return c.needs == capability }) {
			t.Errorf("%s is declared missing, and no check is about it", capability)
		}
	}
	switch {
	case t.Failed():
	case len(results)+left < len(all):
		t.Logf("%d of %d checks were run; the results are not compared", len(results), len(all))
	default:
		record(t, results, h)
	}
}

// clear removes the objects of the check, as far as possible.
func (c *scene) clear(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for _, project := range []string{c.project, c.other()} {
		in := sync.Desired{Project: project, Target: "test"}
		plan, err := sync.MakePlan(ctx, c.Platform, in, sync.PlanOptions{AllowMassDelete: true, Calls: quick})
		if err == nil && !plan.Empty() {
			plan.Blocks = nil // protected ones go too
			_, err = sync.Apply(ctx, c.Platform, plan, in, sync.ApplyOptions{Calls: quick})
		}
		if err != nil && !t.Failed() {
			t.Errorf("clear %s away: %v", project, err)
		}
	}
}

// other is the name of a second project.
func (c *scene) other() string { return c.project + "-b" }

// secretName is the secret that automations under test refer to.
const secretName = "WRITE_KEY"

// automation makes an automation that posts to a URL with a write key.
func (c *scene) automation(key, url string) automation.Automation {
	return automation.Automation{
		Key: key, Name: "Automation " + key, Enabled: true,
		// Its own trigger, so that it is fired alone.
		Trigger: automation.Trigger{Kind: automation.Pattern, Name: "Pattern of " + c.project + " " + key},
		Action: automation.Request{
			Kind: automation.KindHTTPRequest, Method: "POST", URL: url,
			Headers: map[string]automation.Header{
				"Authorization": {Scheme: automation.Basic, Username: automation.Credential{Secret: secretName}},
				"Content-Type":  {Value: automation.Credential{Text: "application/json"}},
			},
			Payload: payload(map[string]any{"event": "Event of " + key, "userId": "{{userId}}"}),
		},
	}
}

// plain makes an automation without a secret.
func (c *scene) plain(key string) automation.Automation {
	a := c.automation(key, "https://example.com/v1/track")
	delete(a.Action.Headers, "Authorization")
	return a
}

// payload returns the canonical form of a JSON value.
func payload(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err == nil {
		b, err = automation.CanonicalPayload(b)
	}
	if err != nil {
		panic(err)
	}
	return b
}

// desired returns the desired state of the project, with abc123 as the value of
// its secret.
func (c *scene) desired(automations ...automation.Automation) sync.Desired {
	return sync.Desired{
		Project: c.project, Target: "test", Automations: automations,
		Secrets: map[string]automation.Secret{secretName: automation.NewSecret("abc123")},
	}
}

func (c *scene) plan(t *testing.T, in sync.Desired) *sync.Plan {
	t.Helper()
	plan, err := sync.MakePlan(t.Context(), c.Platform, in, sync.PlanOptions{Calls: quick})
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	return plan
}

// apply plans and applies, and checks that the platform is then up to date and
// the next plan is empty. It returns the plan.
func (c *scene) apply(t *testing.T, in sync.Desired) *sync.Plan {
	t.Helper()
	plan := c.plan(t, in)
	if _, err := sync.Apply(t.Context(), c.Platform, plan, in, sync.ApplyOptions{Parallelism: 8, Calls: quick}); err != nil {
		t.Fatalf("apply: %v", err)
	}
	RequireExactly(t, c.Platform, in)
	return plan
}

// RequireExactly checks that a platform holds each wanted automation once and
// nothing else of the project, and that the next plan is empty.
func RequireExactly(t testing.TB, p sync.Platform, in sync.Desired) {
	t.Helper()
	stored, err := patientPlatform{t, p}.List(t.Context(), in.Project)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	var want, got []string
	for _, a := range in.Automations {
		want = append(want, a.Key+" "+a.Hash())
	}
	for _, s := range stored {
		got = append(got, s.Marker.Key+" "+s.Automation.Hash())
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("automations on the platform (-want +got):\n%s", diff)
	}
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{Calls: quick})
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	if !plan.Empty() {
		b, _ := json.MarshalIndent(plan, "", "  ")
		t.Errorf("there is still something to do: %s", b)
	}
}

// find returns the only automation with the key.
func (c *scene) find(t *testing.T, key string) sync.Stored {
	t.Helper()
	found, err := c.direct.Find(t.Context(), c.project, key)
	if err != nil || len(found) != 1 {
		t.Fatalf("find %s: %d automations, %v; want one", key, len(found), err)
	}
	return found[0]
}

func (c *scene) create(t *testing.T, project string, a automation.Automation) sync.Stored {
	t.Helper()
	stored, err := c.direct.Create(t.Context(), project, a)
	if err != nil {
		t.Fatalf("create %s: %v", a.Key, err)
	}
	return stored
}

func (c *scene) putSecret(t *testing.T, project, name, value string) {
	t.Helper()
	if err := c.direct.PutSecret(t.Context(), project, name, automation.NewSecret(value)); err != nil {
		t.Fatalf("put secret %s: %v", name, err)
	}
}

// wantKind checks the kind of a call's error.
func wantKind(t *testing.T, what string, err error, want sync.ErrorKind) {
	t.Helper()
	if err == nil || sync.KindOf(err) != want {
		t.Errorf("%s: error %v (kind %d), want one of kind %d", what, err, sync.KindOf(err), want)
	}
}

// wantSame checks that an automation was read back as it was written.
func wantSame(t *testing.T, what string, got sync.Stored, project string, want automation.Automation) {
	t.Helper()
	if diff := cmp.Diff(canonicalText(want), canonicalText(got.Automation)); diff != "" {
		t.Errorf("%s: automation (-want +got):\n%s", what, diff)
	}
	marker := sync.Marker{Project: project, Key: want.Key, Hash: want.Hash()}
	if diff := cmp.Diff(marker, got.Marker); diff != "" {
		t.Errorf("%s: marker (-want +got):\n%s", what, diff)
	}
	if got.ID == "" || got.Revision == "" {
		t.Errorf("%s: id %q, revision %q; want both", what, got.ID, got.Revision)
	}
}

func canonicalText(a automation.Automation) string {
	b, err := a.Canonical()
	if err != nil {
		return "no canonical form: " + err.Error()
	}
	return string(automation.Indent(b))
}
