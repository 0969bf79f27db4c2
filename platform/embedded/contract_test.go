package embedded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/seguehq/segue/automation"
)

const document = "../../docs/platform-api.yaml"

// A contract checks requests and answers against docs/platform-api.yaml, and
// records the documented answers that it has seen.
type contract struct {
	t         *testing.T
	model     *v3.Document
	validator validator.Validator
	handler   http.Handler
	seen      map[string]bool // "GET /v1/automations 200"
}

func newContract(t *testing.T, handler http.Handler) *contract {
	t.Helper()
	doc := must(libopenapi.NewDocument(must(os.ReadFile(document))(t)))(t)
	model := must(doc.BuildV3Model())(t)
	v, errs := validator.NewValidator(doc, config.WithFormatAssertions(), config.WithStrictMode(),
		config.WithStrictIgnoredHeadersExtra("X-Content-Type-Options", "Cache-Control"),
		// Objects with arbitrary names, which strict mode would report as
		// undeclared.
		config.WithStrictIgnorePaths("$.body.**.headers.*", "$.body.**.payload.**", "$.body.data.**", "$.body.values.*", "$.body.secrets.*"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("the document: %s", e)
		}
		t.FailNow()
	}
	return &contract{t, &model.Model, v, handler, map[string]bool{}}
}

// operations lists the operations of the document, such as "GET
// /v1/automations".
func (c *contract) operations() []string {
	var all []string
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

// do sends a request. The answer must have this status and conform to the
// document; the request must conform too if it succeeds.
func (c *contract) do(status int, method, target, body string, header ...string) *httptest.ResponseRecorder {
	c.t.Helper()
	w := do(c.handler, method, target, body, header...)
	name := fmt.Sprintf("%s %s", method, target)
	if w.Code != status {
		c.t.Errorf("%s: got %d %s, want %d", name, w.Code, w.Body, status)
	}
	request := httptest.NewRequest(method, "http://127.0.0.1:8377"+target, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+testToken)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	if status < 300 {
		if ok, errs := c.validator.ValidateHttpRequestSync(request); !ok {
			for _, e := range errs {
				c.t.Errorf("%s: the request is not as documented: %s (%s) %v", name, e.Message, e.Reason, e.SchemaValidationErrors)
			}
		}
	}
	operation := c.operation(method, target)
	if operation == "" {
		return w // a path or a method that does not exist
	}
	c.seen[fmt.Sprintf("%s %d", operation, w.Code)] = true
	answer := w.Result()
	answer.Body = io.NopCloser(bytes.NewReader(w.Body.Bytes()))
	if ok, errs := c.validator.ValidateHttpResponse(request, answer); !ok {
		for _, e := range errs {
			c.t.Errorf("%s: the answer %d is not as documented: %s (%s) %v\n%.300s", name, w.Code, e.Message, e.Reason, e.SchemaValidationErrors, w.Body)
		}
	}
	return w
}

// operation returns the documented operation of a request, or "" if there is
// none.
func (c *contract) operation(method, target string) string {
	path, _, _ := strings.Cut(target, "?")
	for _, o := range c.operations() {
		m, pattern, _ := strings.Cut(o, " ")
		parts := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(pattern), `[^/]+`)
		if m == method && regexp.MustCompile("^"+parts+"$").MatchString(path) {
			return o
		}
	}
	return ""
}

func TestHandlerIsAsDocumented(t *testing.T) {
	h, store := handlerFor(t)
	c := newContract(t, h)
	var routes []string
	for _, r := range h.(*api).routes() {
		routes = append(routes, r.method+" "+r.pattern)
	}
	slices.Sort(routes)
	if diff := cmp.Diff(c.operations(), routes); diff != "" {
		t.Errorf("operations (-documented +handled):\n%s", diff)
	}

	target := newEndpoint(t, answerWith(400), answerWith(500))
	a := sample("growth/a", target.URL)
	broken := sample("growth/broken", target.URL)
	broken.Action.Payload = json.RawMessage(`{"x":"{{nowhere}}"}`)
	broken.Action.Headers["X-Token"] = automation.Header{Scheme: automation.Bearer, Value: automation.Credential{Text: "t"}}
	broken.Action.Headers["X-Key"] = automation.Header{Value: automation.Credential{Secret: writeKey}}
	good := newBody(t, "growth", a)
	bare := a
	bare.Action.Headers = nil
	large := `"` + strings.Repeat("x", bodyLimit) + `"`
	anonymous, form := []string{"Authorization", ""}, []string{"Content-Type", "text/plain"}

	c.do(200, "GET", "/healthz", "", anonymous...)
	c.do(200, "GET", "/v1/health", "", anonymous...)
	c.do(200, "GET", "/metrics", "")
	c.do(401, "GET", "/metrics", "", anonymous...)
	h.(*api).dispatcher.stuck.Store(true)
	c.do(503, "GET", "/healthz", "", anonymous...)
	c.do(503, "GET", "/v1/health", "", anonymous...)
	h.(*api).dispatcher.stuck.Store(false)

	location := c.do(201, "POST", "/v1/automations", good).Header().Get("Location")
	c.do(201, "POST", "/v1/automations", newBody(t, "", bare))
	c.do(201, "POST", "/v1/automations", newBody(t, "growth", broken))
	other := c.do(201, "POST", "/v1/automations", newBody(t, "growth", sample("growth/other", target.URL))).Header().Get("Location")
	c.do(409, "POST", "/v1/automations", good)
	c.do(400, "POST", "/v1/automations", "{")
	c.do(401, "POST", "/v1/automations", good, anonymous...)
	c.do(413, "POST", "/v1/automations", large)
	c.do(415, "POST", "/v1/automations", good, form...)
	c.do(422, "POST", "/v1/automations", strings.Replace(good, "POST", "", 1))
	c.do(200, "GET", "/v1/automations?project=growth&key=growth%2Fa&limit=1", "")
	c.do(200, "GET", "/v1/automations?limit=2", "")
	c.do(400, "GET", "/v1/automations?limit=1000", "")
	c.do(401, "GET", "/v1/automations", "", anonymous...)
	c.do(405, "PATCH", "/v1/automations", "")
	c.do(404, "GET", "/v1/nothing", "")

	c.do(200, "GET", location, "")
	c.do(401, "GET", location, "", anonymous...)
	c.do(404, "GET", "/v1/automations/999", "")
	c.do(200, "PUT", location, good, "If-Match", `"1"`)
	c.do(200, "PUT", location, newBody(t, "", a), "If-Match", `"2"`)
	c.do(400, "PUT", location, "{", "If-Match", `"1"`)
	c.do(401, "PUT", location, good, anonymous...)
	c.do(404, "PUT", "/v1/automations/999", good, "If-Match", `"1"`)
	c.do(409, "PUT", other, good, "If-Match", `"1"`)
	c.do(412, "PUT", location, good, "If-Match", `"1"`)
	c.do(413, "PUT", location, large, "If-Match", `"1"`)
	c.do(415, "PUT", location, good, "If-Match", `"1"`, "Content-Type", "text/plain")
	c.do(422, "PUT", location, strings.Replace(good, "POST", "", 1), "If-Match", `"1"`)
	c.do(428, "PUT", location, good)
	c.do(204, "DELETE", other, "", "If-Match", `"1"`)
	c.do(401, "DELETE", location, "", anonymous...)
	c.do(404, "DELETE", other, "", "If-Match", `"1"`)
	c.do(412, "DELETE", location, "", "If-Match", `"9"`)
	c.do(428, "DELETE", location, "")

	c.do(204, "PUT", "/v1/secrets/growth/"+writeKey, `{"value":"abc123"}`)
	c.do(400, "PUT", "/v1/secrets/growth/"+writeKey, `{"Value`)
	c.do(401, "PUT", "/v1/secrets/growth/"+writeKey, `{}`, anonymous...)
	c.do(413, "PUT", "/v1/secrets/growth/"+writeKey, large)
	c.do(415, "PUT", "/v1/secrets/growth/"+writeKey, `{}`, form...)
	c.do(422, "PUT", "/v1/secrets/growth/"+writeKey, `{}`)
	c.do(204, "PUT", "/v1/secrets/growth/OLD", `{"value":"x"}`)
	c.do(200, "GET", "/v1/secrets?project=growth", "")
	c.do(400, "GET", "/v1/secrets", "")
	c.do(401, "GET", "/v1/secrets?project=growth", "", anonymous...)
	c.do(200, "POST", "/v1/secrets:compare", `{"project":"growth","values":{"SEGMENT_WRITE_KEY":"abc123","NEW":"x"}}`)
	c.do(400, "POST", "/v1/secrets:compare", `{}`)
	c.do(401, "POST", "/v1/secrets:compare", `{}`, anonymous...)
	c.do(413, "POST", "/v1/secrets:compare", large)
	c.do(415, "POST", "/v1/secrets:compare", `{}`, form...)
	c.do(204, "DELETE", "/v1/secrets/growth/OLD", "")
	c.do(401, "DELETE", "/v1/secrets/growth/OLD", "", anonymous...)

	lease := func(id string) string {
		return `{"id":"` + id + `","holder":"ada@laptop","since":"2026-03-14T09:00:00Z","until":"2026-03-14T09:01:00Z"}`
	}
	c.do(200, "PUT", "/v1/leases/growth", lease("one"))
	c.do(409, "PUT", "/v1/leases/growth", lease("two"))
	c.do(400, "PUT", "/v1/leases/growth", "{")
	c.do(401, "PUT", "/v1/leases/growth", lease("one"), anonymous...)
	c.do(413, "PUT", "/v1/leases/growth", large)
	c.do(415, "PUT", "/v1/leases/growth", lease("one"), form...)
	c.do(422, "PUT", "/v1/leases/growth", strings.Replace(lease("one"), "09:01", "09:00", 1))
	c.do(422, "PUT", "/v1/leases/growth", strings.Replace(lease("one"), "ada@laptop", "", 1))
	c.do(204, "DELETE", "/v1/leases/growth?id=one", "")
	c.do(400, "DELETE", "/v1/leases/growth", "")
	c.do(401, "DELETE", "/v1/leases/growth?id=one", "", anonymous...)

	fire := `{"id":"first","kind":"pattern","name":"Account activated","data":{"userId":"u1","userName":"n","extra":[1]}`
	c.do(200, "POST", "/v1/occurrences", fire+`,"dryRun":true}`)
	c.do(202, "POST", "/v1/occurrences", fire+"}")
	c.do(202, "POST", "/v1/occurrences", fire+"}")
	c.do(202, "POST", "/v1/occurrences", `{"kind":"journey","name":"nobody's"}`)
	c.do(400, "POST", "/v1/occurrences", "{")
	c.do(401, "POST", "/v1/occurrences", "{}", anonymous...)
	c.do(409, "POST", "/v1/occurrences", `{"id":"first","kind":"pattern","name":"other"}`)
	c.do(413, "POST", "/v1/occurrences", large)
	c.do(415, "POST", "/v1/occurrences", "{}", form...)
	c.do(422, "POST", "/v1/occurrences", "{}")
	waitFinal(t, platformOver(t, store), "first")
	c.do(200, "GET", "/v1/occurrences/first", "")
	c.do(401, "GET", "/v1/occurrences/first", "", anonymous...)
	c.do(404, "GET", "/v1/occurrences/none", "")
	c.do(200, "GET", "/v1/deliveries?occurrence=first&limit=2", "")
	c.do(200, "GET", "/v1/deliveries?project=growth&key=growth%2Fa&status=failed", "")
	c.do(400, "GET", "/v1/deliveries?status=x", "")
	c.do(200, "GET", "/v1/deliveries?since=2026-03-14T09:00:00Z", "")
	c.do(401, "GET", "/v1/deliveries", "", anonymous...)
	c.deliveries(t, store)

	c.handler = localHosts(h)
	for _, o := range c.operations() {
		method, pattern, _ := strings.Cut(o, " ")
		if path := strings.NewReplacer("{id}", "1", "{project}", "p", "{name}", "n").Replace(pattern); !slices.Contains([]string{"/v1/health", "/healthz"}, pattern) {
			c.do(403, method, path, "{}", "Host", "evil.example")
		}
	}
	c.handler = h
	if _, err := store.write.Exec("PRAGMA max_page_count = 1; PRAGMA busy_timeout = 10"); err != nil {
		t.Fatal(err)
	}
	wide := a
	wide.Key, wide.Name = "growth/wide", strings.Repeat("x", 500_000)
	c.do(507, "POST", "/v1/automations", newBody(t, "growth", wide))
	wide.Key = "growth/a"
	c.do(507, "PUT", location, newBody(t, "growth", wide), "If-Match", "*")
	for i := range 100 { // until the page with the leases is full
		w := do(h, "PUT", fmt.Sprintf("/v1/leases/p%d-%s", i, strings.Repeat("x", 200)), strings.Replace(lease(strings.Repeat("i", 250)), "ada@laptop", strings.Repeat("h", 250), 1))
		if w.Code != 200 {
			break
		}
	}
	c.do(507, "PUT", "/v1/leases/last-"+strings.Repeat("x", 200), strings.Replace(lease(strings.Repeat("i", 250)), "ada@laptop", strings.Repeat("h", 250), 1))
	c.do(507, "PUT", "/v1/secrets/growth/"+writeKey, `{"value":"`+strings.Repeat("x", 60_000)+`"}`)
	c.do(507, "POST", "/v1/occurrences", `{"kind":"pattern","name":"n","data":{"x":"`+strings.Repeat("x", 500_000)+`"}}`)

	blocker := must(open(t.Context(), store.path, time.Second))(t)
	defer blocker.Close()
	tx := must(blocker.write.Begin())(t)
	defer tx.Rollback()
	c.do(503, "POST", "/v1/automations", newBody(t, "growth", sample("growth/b", target.URL)))
	c.do(503, "PUT", location, good, "If-Match", "*")
	c.do(503, "DELETE", location, "", "If-Match", "*")
	c.do(503, "PUT", "/v1/secrets/growth/S", `{"value":"x"}`)
	c.do(503, "DELETE", "/v1/secrets/growth/S", "")
	c.do(503, "PUT", "/v1/leases/growth", lease("one"))
	c.do(503, "DELETE", "/v1/leases/growth?id=one", "")
	c.do(503, "POST", "/v1/occurrences", `{"kind":"pattern","name":"n"}`)
	c.do(503, "POST", "/v1/deliveries/1/retry", "{}")
	c.do(503, "DELETE", "/v1/deliveries/1", "")

	c.unseen(t)
}

// deliveries covers the operations on single deliveries. Some deliveries of the
// occurrence "first" have failed, one because it can't be rendered.
func (c *contract) deliveries(t *testing.T, store *Store) {
	p := platformOver(t, store)
	ids := map[DeliveryStatus]string{}
	var broken string
	for _, d := range must(p.Deliveries(t.Context(), DeliveryQuery{Occurrence: "first"}))(t) {
		if d.Request == nil {
			broken = d.ID
		} else {
			ids[d.Status] = d.ID
		}
	}
	path := "/v1/deliveries/" + ids[Failed]
	anonymous := []string{"Authorization", ""}
	c.do(200, "GET", path, "")
	c.do(401, "GET", path, "", anonymous...)
	c.do(404, "GET", "/v1/deliveries/999999", "")
	c.do(400, "POST", path+"/retry", "{")
	c.do(401, "POST", path+"/retry", "{}", anonymous...)
	c.do(404, "POST", "/v1/deliveries/999999/retry", "{}")
	c.do(409, "POST", "/v1/deliveries/"+ids[Delivered]+"/retry", "{}")
	c.do(413, "POST", path+"/retry", `"`+strings.Repeat("x", bodyLimit)+`"`)
	c.do(415, "POST", path+"/retry", "{}", "Content-Type", "text/plain")
	c.do(422, "POST", "/v1/deliveries/"+broken+"/retry", "{}")
	store.limits.Pending = 0
	c.do(429, "POST", path+"/retry", "{}")
	c.do(429, "POST", "/v1/occurrences", `{"kind":"pattern","name":"n"}`)
	store.limits = Limits{}.withDefaults()
	c.do(202, "POST", path+"/retry", `{"render":true}`)
	waitFinal(t, p, "first")
	c.do(409, "DELETE", path, "")
	c.do(401, "DELETE", path, "", anonymous...)
	c.do(404, "DELETE", "/v1/deliveries/999999", "")
	c.do(204, "DELETE", "/v1/deliveries/"+broken, "")
}

// unseen fails for each documented answer that the test has not received. Two
// answers are exempt because they are too unlikely to provoke: only SQLite's
// own shutdown blocks reading, and deleting needs no disk space.
func (c *contract) unseen(t *testing.T) {
	unlikely := regexp.MustCompile(`^(GET .* 503|POST /v1/secrets:compare 503|DELETE .* 507|POST .*/retry 507|(GET|DELETE|PUT) .* 405)$`)
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			for code := range operation.Responses.Codes.FromOldest() {
				answer := strings.ToUpper(method) + " " + path + " " + code
				if !c.seen[answer] && !unlikely.MatchString(answer) {
					t.Errorf("no request got the documented answer %s", answer)
				}
			}
		}
	}
}

func TestProblemCodesAreDocumented(t *testing.T) {
	handled := map[string]bool{}
	for _, file := range must(filepath.Glob("*.go"))(t) {
		for _, m := range regexp.MustCompile(`newProblem\([^,]+, "([a-z-]+)"`).FindAllStringSubmatch(string(must(os.ReadFile(file))(t)), -1) {
			handled[m[1]] = true
		}
	}
	documented := map[string]bool{}
	c := newContract(t, nil)
	problem := c.model.Components.Schemas.GetOrZero("Problem").Schema()
	for _, n := range problem.Properties.GetOrZero("code").Schema().Enum {
		documented[n.Value] = true
	}
	if diff := cmp.Diff(documented, handled); diff != "" {
		t.Errorf("codes of problems (-documented +handled):\n%s", diff)
	}
}
