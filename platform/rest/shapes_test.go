package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	gosync "sync"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/platform/rest"
	"github.com/seguehq/segue/sync"
)

// A shelf is a server for flat objects. It supports every kind of page,
// revision and answer.
type shelf struct {
	URL string

	mu      gosync.Mutex
	last    int
	order   []string
	objects map[string]map[string]any
	// answers is the kind of answer to writes: object, id or nothing.
	answers string
	// condition is where an update sends its revision: if-match, query or "".
	condition string
	// loops answers every request with the first page.
	loops bool
	// newest lists the newest first.
	newest bool
	// creates counts the requests to create.
	creates int
	// secret must be in the query of each request; "" for none.
	secret string
}

func startShelf(t testing.TB) *shelf {
	s := &shelf{objects: map[string]map[string]any{}, answers: "object"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things", s.list)
	mux.HandleFunc("POST /things", func(w http.ResponseWriter, r *http.Request) {
		s.last++
		s.creates++
		s.put(w, r, fmt.Sprintf("t-%d", s.last))
	})
	mux.HandleFunc("/things/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		old, ok := s.objects[id]
		if !ok {
			http.Error(w, "<html>no such thing</html>", http.StatusNotFound)
			return
		}
		tag := fmt.Sprintf(`"%v"`, old["rev"])
		w.Header().Set("ETag", tag)
		given := map[string]string{"if-match": r.Header.Get("If-Match"), "query": strconv.Quote(r.FormValue("rev")), "": tag}[s.condition]
		switch {
		case r.Method == "GET":
			answer(w, 200, old)
		case given != tag:
			http.Error(w, "stale", http.StatusPreconditionFailed)
		case r.Method == "PUT":
			s.put(w, r, id)
		case r.Method == "DELETE":
			delete(s.objects, id)
			s.order = slices.DeleteFunc(s.order, func(o string) bool { return o == id })
		}
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.FormValue("key") != s.secret {
			http.Error(w, "no key", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *shelf) put(w http.ResponseWriter, r *http.Request, id string) {
	object := map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rev := 1
	if old := s.objects[id]; old != nil {
		rev = old["rev"].(int) + 1
	} else {
		s.order = append(s.order, id)
	}
	object["uid"], object["rev"] = id, rev
	s.objects[id] = object
	switch s.answers {
	case "object":
		answer(w, 200, object)
	case "id":
		answer(w, 200, map[string]any{"uid": id})
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

// list returns at most seven things at once, regardless of the request.
func (s *shelf) list(w http.ResponseWriter, r *http.Request) {
	const size = 7
	from := 0
	order := slices.Clone(s.order)
	if s.newest {
		slices.Reverse(order)
	}
	number := func(name string) int { n, _ := strconv.Atoi(r.FormValue(name)); return n }
	switch {
	case s.loops:
	case r.FormValue("page") != "":
		from = number("page") * size // the first is 0
	case r.FormValue("skip") != "":
		from = number("skip")
	case r.FormValue("after") != "":
		from = slices.Index(order, r.FormValue("after")) + 1
	case r.FormValue("all") != "":
		from = -1
	}
	to := min(len(order), from+size)
	if from < 0 {
		from, to = 0, len(order)
	}
	things := []any{}
	for _, id := range order[min(from, len(order)):max(to, min(from, len(order)))] {
		things = append(things, s.objects[id])
	}
	body := map[string]any{"things": things, "count": len(order), "pages": (len(order) + size - 1) / size, "after": nil}
	if to < len(order) && to > 0 {
		body["after"] = order[to-1]
	}
	answer(w, 200, body)
}

// shelfProject describes a shelf; the test fills in %s.
const shelfProject = `project: "growth"
targets: prod: {platform: "acme", url: "https://things.example.com", token: secret: "TOKEN"}
platforms: acme: {
	%s
	endpoints: {
		list: {path: "/things%s", items: "things"}
		create: path: "/things"
		update: path: "/things/{id}"
		delete: path: "/things/{id}"
	}
	id: "uid"
	marker: field: "labels"
	encode: {
		automation: _
		headers: _
		marker: _
		object: {
			a: automation
			h: headers
			labels: ["managed", marker]
		}
	}
	decode: {
		object: _
		automation: {
			name: object.a.name
			enabled: object.a.enabled
			trigger: object.a.trigger
			action: {
				method: object.a.action.method
				url: object.a.action.url
				headers: {for name, h in object.h {(name): [if h.secret {null}, h.value][0]}}
				if object.a.action.payload != _|_ {payload: object.a.action.payload}
			}
		}
	}
}
`

// shapes are descriptions of all kinds of shelf.
var shapes = []struct {
	name, fields, query string
	set                 func(*shelf)
}{
	{"offsets, and no revision", `paging: {kind: "offset", parameter: "skip", sizeParameter: "limit"}`, "", func(*shelf) {}},
	{"a cursor, ETag and read, answers of nothing", `paging: {kind: "cursor", parameter: "after", next: "after"}
	revision: header: "ETag"
	endpoints: read: path: "/things/{id}"
	endpoints: create: answer: "nothing"
	endpoints: update: answer: "nothing"`, "", func(s *shelf) { s.condition, s.answers = "if-match", "nothing" }},
	{"pages from 0 whose number is known, a field in If-Match, answers of an identifier", `paging: {kind: "page", parameter: "page", first: 0, pages: "pages"}
	revision: field: "rev"
	endpoints: create: answer: "id"
	endpoints: update: answer: "id"`, "", func(s *shelf) { s.condition, s.answers = "if-match", "id" }},
	{"no pages, a field in the query, a key in the query", `revision: {field: "rev", condition: "query", parameter: "rev"}
	auth: query: "key"
	headers: "X-Version": "2"`, "?all=1", func(s *shelf) { s.condition, s.secret = "query", acmeKey }},
	{"pages with a count, a revision that updates do not carry", `paging: {kind: "page", parameter: "page", first: 0, total: "count"}
	revision: {field: "rev", condition: "none"}
	auth: none: true`, "", func(*shelf) {}},
}

func TestShapes(t *testing.T) {
	if testing.Short() {
		t.Skip("one request after the other")
	}
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			server := startShelf(t)
			shape.set(server)
			d := described(t, fmt.Sprintf(shelfProject, shape.fields, shape.query))
			p := client(t, d, server.URL, rest.Options{})
			if _, ok := p.(sync.TriggerLister); ok {
				t.Error("it says that it can list triggers")
			}
			in := wanted(30)
			apply(t, p, in)
			// The code, the platform's users and a rotated secret change
			// automations at once.
			for i := range 5 {
				in.Automations[i].Name += ", edited"
			}
			in.Automations = in.Automations[:25]
			in.Secrets = map[string]automation.Secret{"WRITE_KEY": automation.NewSecret("rotated")}
			server.touch(20, "By hand")
			apply(t, p, in)
			for id, object := range server.objects {
				if h := object["h"].(map[string]any)["Authorization"].(map[string]any)["value"]; h != "Basic cm90YXRlZDo=" {
					t.Errorf("%s has %v, want the rotated write key", id, h)
				}
			}
			// Another process does not know this one's state.
			platformtest.RequireExactly(t, client(t, d, server.URL, rest.Options{}), in)
			requireRefusals(t, p, server)
		})
	}
}

// apply plans and applies, and checks that nothing is left to do.
func apply(t *testing.T, p sync.Platform, in sync.Desired) {
	t.Helper()
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{Calls: quick})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Parallelism: 8, Calls: quick}); err != nil {
		t.Fatal(err)
	}
	platformtest.RequireExactly(t, p, in)
}

// touch gives the n-th thing another name, as somebody else would.
func (s *shelf) touch(n int, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := s.objects[s.order[n]]
	object["a"].(map[string]any)["name"] = name
	object["rev"] = object["rev"].(int) + 1
}

// requireRefusals checks that changes are refused for an old revision and for a
// deleted object.
func requireRefusals(t *testing.T, p sync.Platform, server *shelf) {
	t.Helper()
	all, err := p.List(t.Context(), "load")
	if err != nil {
		t.Fatal(err)
	}
	old := all[3]
	server.touch(3, "By hand")
	_, err = p.Update(t.Context(), old, sync.MarkerOf(old.Marker.Project, old.Automation), old.Automation)
	if sync.KindOf(err) != sync.Conflict {
		t.Errorf("update of an old revision: %v", err)
	}
	if err := p.Delete(t.Context(), old); sync.KindOf(err) != sync.Conflict {
		t.Errorf("delete of an old revision: %v", err)
	}
	gone := all[4]
	if err := p.Delete(t.Context(), gone); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := p.Delete(t.Context(), gone); sync.KindOf(err) != sync.NotFound {
		t.Errorf("delete again: %v", err)
	}
}

// An endless list is an error, not a truncated list.
func TestEndlessList(t *testing.T) {
	for _, shape := range shapes[:3] {
		t.Run(shape.name, func(t *testing.T) {
			server := startShelf(t)
			shape.set(server)
			p := client(t, described(t, fmt.Sprintf(shelfProject, shape.fields, shape.query)), server.URL, rest.Options{})
			in := wanted(20)
			for _, a := range in.Automations {
				a.Action.Headers = nil
				if _, err := p.Create(t.Context(), "load", a); err != nil {
					t.Fatal(err)
				}
			}
			server.loops = true
			if all, err := p.List(t.Context(), "load"); err == nil || !strings.Contains(err.Error(), "does not end") && len(all) == 0 {
				t.Errorf("%d automations, %v", len(all), err)
			}
		})
	}
}

// No message contains a secret, whatever the platform answers.
func TestMessages(t *testing.T) {
	const secret = "wr1te-key-9f2c"
	a := wanted(1).Automations[0]
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request, body string)
		kind   sync.ErrorKind
		want   string
	}{
		{"a wrong key", func(w http.ResponseWriter, r *http.Request, _ string) {
			refuse(w, 401, "key", "I don't know "+r.Header.Get("X-Acme-Key"))
		}, sync.Unauthorized, "401: URL does not accept the token; check the secret that the target's token or apiKey names (I don't know (secret))"},
		{"an echo", func(w http.ResponseWriter, _ *http.Request, body string) { refuse(w, 422, "bad", "can't take "+body) }, sync.Refused, "422: can't take "},
		{"an echo that is not JSON", func(w http.ResponseWriter, _ *http.Request, body string) { w.WriteHeader(400); fmt.Fprint(w, body) }, sync.Refused, "400: it answered "},
		{"a limit, in its own words", func(w http.ResponseWriter, _ *http.Request, _ string) {
			refuse(w, 402, "plan", "Your plan includes 5 rules.")
		}, sync.Refused, "402: Your plan includes 5 rules."},
		{"a web page", func(w http.ResponseWriter, _ *http.Request, _ string) { fmt.Fprint(w, "<html>\x1b[31mHello") }, sync.Refused,
			"URL does not answer as described: it answered \"<html>\uFFFD[31mHello\", a web page; check the url, and the path /api/2/rules in the description"},
		{"half of an answer", func(w http.ResponseWriter, _ *http.Request, _ string) { fmt.Fprint(w, `{"data": {`) }, sync.Refused,
			`URL does not answer as described: it answered "{\"data\": {", which is not JSON`},
		{"a key without rights", func(w http.ResponseWriter, r *http.Request, _ string) {
			refuse(w, 403, "rights", r.Header.Get("X-Acme-Key")+" may only read")
		}, sync.Unauthorized, "403: URL does not accept the token, or does not permit this request; check the secret that the target's token or apiKey names, and its permissions ((secret) may only read)"},
		{"a redirect on the same server", func(w http.ResponseWriter, r *http.Request, _ string) {
			http.Redirect(w, r, r.URL.Path+"/?key="+acmeKey, http.StatusMovedPermanently)
		}, sync.Refused, "301: URL redirects /api/2/rules to /api/2/rules/; correct the path in the description, or the url"},
		{"nothing", func(http.ResponseWriter, *http.Request, string) {}, sync.Refused, "URL does not answer as described: it answered nothing"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request, _ string) {
			http.Redirect(w, r, "https://user:pw@elsewhere.example.com/x?y", http.StatusFound)
		}, sync.Refused,
			"302: URL redirects to https://elsewhere.example.com; put the platform's own address into url"},
		{"a pause", func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Retry-After", "7")
			refuse(w, 429, "slow", "slow down")
		}, sync.Temporary, "429: slow down"},
		{"a wrong path", func(w http.ResponseWriter, r *http.Request, _ string) { http.NotFound(w, r) }, sync.Refused, "404: there is no /api/2/rules at URL; check the url, and the path in the description"},
		{"a code of its own", func(w http.ResponseWriter, _ *http.Request, _ string) { refuse(w, 422, "stale", "somebody was faster") }, sync.Conflict, "422: somebody was faster"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var body any
				_ = json.NewDecoder(r.Body).Decode(&body)
				b, _ := json.Marshal(body)
				test.answer(w, r, string(b))
			}))
			defer server.Close()
			p := client(t, described(t, worked(t)), server.URL, rest.Options{Secrets: map[string]automation.Secret{"WRITE_KEY": automation.NewSecret(secret)}})
			_, err := p.Create(t.Context(), "load", a)
			if err == nil || sync.KindOf(err) != test.kind {
				t.Fatalf("error %v of kind %d, want kind %d", err, sync.KindOf(err), test.kind)
			}
			text := strings.ReplaceAll(err.Error(), server.URL, "URL")
			if !strings.HasPrefix(text, test.want) {
				t.Errorf("message %q, want %q", text, test.want)
			}
			for _, form := range []string{secret, acmeKey, "d3IxdGUta2V5LTlmMmM"} {
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), form) {
					t.Errorf("the message holds %q: %s", form, text)
				}
			}
		})
	}
}

// A changed value of a secret is recognized, but the marker does not reveal the
// value.
func TestFingerprints(t *testing.T) {
	server := startAcme(t)
	d := described(t, worked(t))
	p := client(t, d, server.URL, rest.Options{})
	in := wanted(3)
	apply(t, p, in)
	prints := map[string]bool{}
	for _, r := range server.rules {
		record, ok := d.Record(map[string]any{"notes": r.fields["notes"]})
		if !ok {
			t.Fatal("there is no marker")
		}
		prints[record.Secrets["WRITE_KEY"]] = true
	}
	if len(prints) != 1 {
		t.Errorf("%d fingerprints of one secret: each costs time at every plan", len(prints))
	}
	// Two projects with the same value have different fingerprints.
	other := wanted(3)
	other.Project = "other"
	for i := range other.Automations {
		other.Automations[i].Key = "other/" + other.Automations[i].Key
	}
	apply(t, client(t, d, server.URL, rest.Options{}), other)
	for _, r := range server.rules {
		record, _ := d.Record(map[string]any{"notes": r.fields["notes"]})
		if record.Project == "other" && prints[record.Secrets["WRITE_KEY"]] {
			t.Error("the fingerprint of another project is the same")
		}
	}
}

// An automation that a description can't represent is refused before anything
// is sent.
func TestWhatIsLost(t *testing.T) {
	server := startAcme(t)
	file := strings.Replace(worked(t), "title: automation.name", "title: [if len(automation.name) > 20 {\"long\"}, automation.name][0]", 1)
	d := described(t, file)
	p := client(t, d, server.URL, rest.Options{Secrets: wanted(1).Secrets})
	a := wanted(1).Automations[0]
	if _, err := p.Create(t.Context(), "load", a); err != nil {
		t.Fatal(err)
	}
	a.Name = "A name that is longer than twenty"
	_, err := p.Create(t.Context(), "load", a)
	if err == nil || !strings.Contains(err.Error(), "decode does not return name") {
		t.Errorf("error %v", err)
	}
	if len(server.rules) != 1 {
		t.Errorf("the server has %d rules", len(server.rules))
	}
	_, err = p.Create(t.Context(), "load", automation.Automation{Key: "x", Action: automation.Request{
		Headers: map[string]automation.Header{"A": {Value: automation.Credential{Secret: "UNKNOWN"}}}}})
	if err == nil || !strings.Contains(err.Error(), "the value of the secret UNKNOWN is not available") {
		t.Errorf("error %v", err)
	}
}

func TestTriggers(t *testing.T) {
	server := startAcme(t)
	server.behaviors, server.paths = []string{"B", "A", "A"}, []string{"A"}
	p := client(t, described(t, worked(t)), server.URL, rest.Options{})
	got, err := p.(sync.TriggerLister).Triggers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b automation.Trigger) int {
		return strings.Compare(string(a.Kind)+a.Name, string(b.Kind)+b.Name)
	})
	want := []automation.Trigger{{Kind: automation.Journey, Name: "A"}, {Kind: automation.Pattern, Name: "A"}, {Kind: automation.Pattern, Name: "B"}}
	if !slices.Equal(got, want) {
		t.Errorf("triggers = %v, want %v", got, want)
	}
}
