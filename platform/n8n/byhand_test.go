package n8n

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// credentialOf returns the ID of the credential that a workflow uses.
func (s *server) credentialOf(t testing.TB, id string) string {
	t.Helper()
	var w workflow
	s.rest(t, "GET", "/api/v1/workflows/"+id, nil, &w)
	return w.node(sendID).credential().id
}

// editCredential has a person put another value into a credential.
func (s *server) editCredential(t testing.TB, id string) {
	t.Helper()
	var got struct{ Data map[string]any }
	s.rest(t, "GET", "/rest/credentials/"+id, nil, &got)
	s.rest(t, "PATCH", "/rest/credentials/"+id, map[string]any{"name": got.Data["name"], "type": credentialType, "data": map[string]any{
		"headers": map[string]any{"values": []any{map[string]string{"name": "Authorization", "value": "edited"}}}}}, nil)
}

// Somebody deletes a credential of segue's in n8n: the next plan sees it, and the
// next apply makes another one.
func TestCredentialDeletedByHand(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	recorder := platformtest.StartRecorder(t)
	in := two("by-hand", "abc123")
	for i := range in.Automations {
		in.Automations[i].Action.URL = recorder.URL
	}
	apply(t, s.platform(Options{}), in)
	found, err := s.platform(Options{}).Find(t.Context(), in.Project, in.Automations[0].Key)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	credential := s.credentialOf(t, found[0].ID)
	s.rest(t, "DELETE", "/api/v1/credentials/"+credential, nil, nil)

	p := s.platform(Options{})
	if _, err := p.List(t.Context(), in.Project); err != nil {
		t.Fatal(err)
	}
	survey, err := p.Survey(t.Context(), in.Project, nil)
	if err != nil || !strings.Contains(strings.Join(survey.Warnings, "\n"), credential+") was deleted in n8n; an apply puts a new one in its place") {
		t.Errorf("the survey warns of %q, %v", survey.Warnings, err)
	}
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Changes) != 0 || len(plan.Secrets) != 1 || plan.Secrets[0].Action != sync.Rotate || plan.Secrets[0].Name != "WRITE_KEY" {
		t.Errorf("the plan has %+v and %+v, want a rotation", plan.Changes, plan.Secrets)
	}
	apply(t, p, in)
	platformtest.RequireExactly(t, s.platform(Options{}), in)
	s.requireUsed(t, in.Project)
	s.requireCredentials(t, in.Project, 1)
	s.firesWith(t, recorder, in, "Basic YWJjMTIzOg==")
}

// firesWith fires all automations, and checks the Authorization that they send.
func (s *server) firesWith(t testing.TB, recorder *platformtest.Recorder, in sync.Desired, want string) {
	t.Helper()
	for _, a := range in.Automations {
		if err := fire(s.webhook(in.Project, a.Key), map[string]any{"userId": "u"}); err != nil {
			t.Errorf("%s: %v", a.Key, err)
			continue
		}
		if auth := recorder.Next(t).Header.Get("Authorization"); auth != want {
			t.Errorf("%s: Authorization = %q, want %q", a.Key, auth, want)
		}
	}
}

// Somebody edits a credential of segue's in n8n. n8n 1 tells nobody, and a plan
// says so; a secret that is put again, with the value that it has, gives all
// workflows a new credential.
func TestCredentialEditedByHand(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	recorder := platformtest.StartRecorder(t)
	in := two("by-hand", "abc123")
	for i := range in.Automations {
		a := &in.Automations[i]
		a.Action.URL = recorder.URL
		a.Action.Headers["X-Second"] = automation.Header{Value: automation.Credential{Secret: "SECOND"}}
	}
	in.Secrets["SECOND"] = automation.NewSecret("second")
	apply(t, s.platform(Options{}), in)
	found, err := s.platform(Options{}).Find(t.Context(), in.Project, in.Automations[0].Key)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	before := s.credentialOf(t, found[0].ID)
	s.editCredential(t, before)
	s.firesWith(t, recorder, in, "edited")
	survey, err := s.platform(Options{}).Survey(t.Context(), in.Project, nil)
	if err != nil || !strings.Contains(strings.Join(survey.Warnings, "\n"), "does not tell whether somebody has edited a credential by hand; `segue apply --replace-secrets`") {
		t.Errorf("the survey warns of %q, %v", survey.Warnings, err)
	}

	posted := 0
	p := s.platform(Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/credentials") {
			posted++
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	for round := range 2 {
		posted = 0
		states, err := p.Secrets(t.Context(), in.Project, in.Secrets)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range in.Secrets {
			if states[name] != sync.Same {
				t.Errorf("the secret %s is in the state %d", name, states[name])
			}
			if err := p.PutSecret(t.Context(), in.Project, name, value); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Settle(t.Context(), in.Project); err != nil {
			t.Fatal(err)
		}
		if posted != 1 {
			t.Errorf("round %d: %d credentials were made, want one for both secrets", round, posted)
		}
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		s.requireUsed(t, in.Project)
		s.requireCredentials(t, in.Project, 1)
		s.firesWith(t, recorder, in, "Basic YWJjMTIzOg==")
		now := s.credentialOf(t, found[0].ID)
		if now == before {
			t.Errorf("round %d: the credential is the one that was edited", round)
		}
		before = now
	}
}

// Without the right to move credentials, an API key does not let segue see whether
// one is there. A plan says so, and works.
func TestCredentialsCantBeSeen(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	in := one("unseen", "https://example.com")
	apply(t, s.platform(Options{}), in)
	forbidding := roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/transfer") {
			// As n8n has it for a key that lacks a scope, where its licence is for scopes.
			return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(`{"message":"Forbidden"}`)), Request: r}, nil
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	p := s.platform(Options{Transport: forbidding})
	survey, err := p.Survey(t.Context(), in.Project, nil)
	if err != nil || !strings.Contains(strings.Join(survey.Warnings, "\n"), "n8n does not let segue see whether somebody has edited or deleted its credentials by hand") {
		t.Errorf("the survey warns of %q, %v", survey.Warnings, err)
	}
	platformtest.RequireExactly(t, s.platform(Options{Transport: forbidding}), in)
}
