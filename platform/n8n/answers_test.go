package n8n

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	gosync "sync"
	"testing"

	"github.com/seguehq/segue/automation"
)

// post sends a body to a webhook.
func post(t testing.TB, url, contentType, body string) (status int, answer string) {
	t.Helper()
	res, err := http.Post(url, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// An endpoint answers with its statuses in order, and then with 200. 0 means no
// answer.
type endpoint struct {
	mu       gosync.Mutex
	statuses []int
	got      []string // the received bodies
}

func startEndpoint(t testing.TB) (*endpoint, string) {
	e := &endpoint{}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return e, server.URL
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // half a body is enough
	e.mu.Lock()
	e.got = append(e.got, string(body))
	status := http.StatusOK
	if len(e.statuses) > 0 {
		status, e.statuses = e.statuses[0], e.statuses[1:]
	}
	e.mu.Unlock()
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	fmt.Fprint(w, `{"message":"the answer of the endpoint"}`)
}

// answers sets the next answers of the endpoint, and forgets the received
// bodies.
func (e *endpoint) answers(statuses ...int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.statuses, e.got = statuses, nil
}

// taken returns the received bodies.
func (e *endpoint) taken() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.got)
}

// failures returns how many executions of a workflow n8n counts as failed.
func (s *server) failures(t testing.TB, id string) int {
	t.Helper()
	var all struct{ Data []struct{ ID any } }
	s.rest(t, "GET", "/api/v1/executions?status=error&workflowId="+id, nil, &all)
	return len(all.Data)
}

// A webhook answers with the outcome: 200 if the message was sent, 415 or 422
// with the reason if it could not be made, and 502 if its endpoint did not
// accept it. Temporary failures are retried.
func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, s *server) {
		e, url := startEndpoint(t)
		in := two("answers", "abc123")
		a := &in.Automations[0]
		a.Action.URL = url + "/{{path}}"
		a.Action.Payload = json.RawMessage(`{"n":"{{n | number}}","text":"{{n}}"}`)
		a.Placeholders = map[string]automation.PlaceholderLimit{"path": {MaxLength: 5}}
		p := s.platform(Options{})
		apply(t, p, in)
		s.published(t)
		found, err := p.Find(t.Context(), "answers", a.Key)
		if err != nil || len(found) != 1 {
			t.Fatalf("found %+v, %v", found, err)
		}
		hook := s.webhook("answers", a.Key)
		const good = `{"path":"p","n":9007199254740993}`
		for name, test := range map[string]struct {
			contentType, body string // of the request; "" for the good ones
			endpoint          []int
			status            int
			answer            string // a part of it
			messages          int
		}{
			"sent":                   {status: 200, messages: 1},
			"with a charset":         {contentType: "application/json; charset=utf-8", status: 200, messages: 1},
			"an endpoint that made":  {endpoint: []int{201}, status: 200, messages: 1},
			"a form":                 {contentType: "application/x-www-form-urlencoded", body: "path=p&n=1", status: 415, answer: `{"error":"the request's Content-Type must be application/json"}`},
			"a form of parts":        {contentType: "multipart/form-data; boundary=x", body: "--x\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n1\r\n--x--\r\n", status: 415, answer: "Content-Type"},
			"text":                   {contentType: "text/plain", body: good, status: 415, answer: "Content-Type"},
			"a list":                 {body: "[" + good + "]", status: 422, answer: "must be one JSON object"},
			"null":                   {body: "null", status: 422, answer: "must be one JSON object"},
			"nothing":                {body: " ", status: 422, answer: ""},
			"half an object":         {body: `{"path":`, status: 422, answer: ""},
			"no value":               {body: `{"path":"p"}`, status: 422, answer: `{"error":"no value for placeholder {{n}}"}`},
			"no number":              {body: `{"path":"p","n":"\"quoted\""}`, status: 422, answer: `{"error":"the value of {{n}} is not a number"}`},
			"a long value":           {body: `{"path":"abcdef","n":1}`, status: 422, answer: `{"error":"the value of {{path}} has 6 bytes, and its maxLength is 5"}`},
			"an empty path":          {body: `{"path":"","n":1}`, status: 422, answer: `would change the URL's path`},
			"a second try":           {endpoint: []int{503}, status: 200, messages: 2},
			"a third one":            {endpoint: []int{429, 408}, status: 200, messages: 3},
			"a connection that ends": {endpoint: []int{0}, status: 200, messages: 2},
			"a bad request":          {endpoint: []int{400}, status: 502, answer: `{"error":"the endpoint answered 400"}`, messages: 1},
			"a redirect":             {endpoint: []int{302}, status: 502, answer: `{"error":"the endpoint answered 302"}`, messages: 1},
			"it never works":         {endpoint: []int{500, 500, 500, 500, 500}, status: 502, answer: `{"error":"the endpoint answered 500"}`, messages: tries},
		} {
			t.Run(name, func(t *testing.T) {
				if test.contentType == "" {
					test.contentType = "application/json"
				}
				if test.body == "" {
					test.body = good
				}
				e.answers(test.endpoint...)
				failed := s.failures(t, found[0].ID)
				status, answer := post(t, hook, test.contentType, test.body)
				if status != test.status || !strings.Contains(answer, test.answer) {
					t.Errorf("it answers %d: %s; want %d: %s", status, answer, test.status, test.answer)
				}
				got := e.taken()
				if len(got) != test.messages {
					t.Errorf("%d messages, want %d: %q", len(got), test.messages, got)
				}
				for _, message := range got {
					if message != `{"n":9007199254740993,"text":"9007199254740993"}` {
						t.Errorf("message %s", message)
					}
				}
				if test.answer == "" {
					return // sent, or refused by n8n before an execution began
				}
				// n8n stores an execution after it has answered.
				s.eventually(t, "n8n counts the failure", func() bool { return s.failures(t, found[0].ID) == failed+1 })
			})
		}
	})
}
