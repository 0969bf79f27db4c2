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

// editCredential changes the value of a credential, as a person would.
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
	eachRelease(t, testCredentialDeleted)
}

func testCredentialDeleted(t *testing.T, s *server) {
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
	if err != nil || !strings.Contains(strings.Join(survey.Warnings, "\n"), credential+") was deleted in n8n; an apply replaces it with a new one") {
		t.Errorf("the survey warns of %q, %v", survey.Warnings, err)
	}
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true})
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

// Somebody edits a credential of segue's in n8n 2, which shows the time of the
// edit.
func TestCredentialEditedByHandIsNoticed(t *testing.T) {
	t.Parallel()
	s := startRelease(t, newest)
	recorder := platformtest.StartRecorder(t)
	in := one("noticed", recorder.URL)
	apply(t, s.platform(Options{}), in)
	platformtest.RequireExactly(t, s.platform(Options{}), in)
	found, err := s.platform(Options{}).Find(t.Context(), in.Project, in.Automations[0].Key)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	credential := s.credentialOf(t, found[0].ID)
	created := s.strings(t, "SELECT createdAt FROM credentials_entity WHERE id = ?", credential)
	for { // n8n's clock must show that it is later
		s.editCredential(t, credential)
		if late := s.strings(t, "SELECT id FROM credentials_entity WHERE id = ? AND julianday(updatedAt) - julianday(createdAt) > 2.0/86400", credential); len(late) > 0 {
			break
		}
	}
	s.firesWith(t, recorder, in, "edited")
	survey, err := s.platform(Options{}).Survey(t.Context(), in.Project, nil)
	if err != nil || !strings.Contains(strings.Join(survey.Warnings, "\n"), credential+") was edited in n8n; an apply replaces it with a new one") {
		t.Errorf("the survey warns of %q, %v; the credential was made at %s", survey.Warnings, err, created)
	}
	plan, err := sync.MakePlan(t.Context(), s.platform(Options{}), in, sync.PlanOptions{AllowSecondProject: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Changes) != 0 || len(plan.Secrets) != 1 || plan.Secrets[0].Action != sync.Rotate {
		t.Errorf("the plan has %+v and %+v, want a rotation", plan.Changes, plan.Secrets)
	}
	apply(t, s.platform(Options{}), in)
	platformtest.RequireExactly(t, s.platform(Options{}), in)
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

// Somebody edits a credential of segue's in n8n. n8n 1 does not show that, and
// a plan says so. Storing a secret again with the same value gives all
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
	if err != nil || !strings.Contains(strings.Join(survey.Warnings, "\n"), "does not show whether somebody has edited a credential by hand; `segue apply --replace-secrets`") {
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

// Without the right to move credentials, segue can't see whether one exists. A
// plan says so, and works.
func TestCredentialsCantBeSeen(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	in := one("unseen", "https://example.com")
	apply(t, s.platform(Options{}), in)
	forbidding := roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/transfer") {
			// The answer of n8n to a key that lacks a scope, if its license includes
			// scopes.
			return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(`{"message":"Forbidden"}`)), Request: r}, nil
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	p := s.platform(Options{Transport: forbidding})
	survey, err := p.Survey(t.Context(), in.Project, nil)
	if err != nil || !strings.Contains(strings.Join(survey.Warnings, "\n"), "n8n does not show segue whether somebody has edited or deleted its credentials by hand") {
		t.Errorf("the survey warns of %q, %v", survey.Warnings, err)
	}
	platformtest.RequireExactly(t, s.platform(Options{Transport: forbidding}), in)
}
