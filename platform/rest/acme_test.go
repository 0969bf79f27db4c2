package rest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
)

// acmeKey is the API key of Acme.
const acmeKey = "acme-key-4711"

// pageCap is the maximum number of rules in a page of Acme, regardless of the
// request.
const pageCap = 40

// An acme is the platform of docs/platforms.md: its own kind of HTTP API, with
// everything in memory. It fires rules too.
type acme struct {
	URL string

	mu    sync.Mutex
	last  int
	rules map[int]*rule
	// triggers are listed in addition to those of the rules.
	behaviors, paths []string
	// requests counts requests by method and path.
	requests map[string]int
	// limit is the maximum number of rules; the error has the platform's own
	// words.
	limit int
}

// A rule is an object of Acme. Its fields are as sent, including the values of
// masked headers, which no answer contains.
type rule struct {
	id, version int
	fields      map[string]any
}

func startAcme(t testing.TB) *acme {
	a := &acme{rules: map[int]*rule{}, requests: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/2/rules", a.list)
	mux.HandleFunc("POST /api/2/rules", a.create)
	mux.HandleFunc("GET /api/2/rules/{id}", a.with(func(w http.ResponseWriter, _ *http.Request, r *rule) { a.give(w, r) }))
	mux.HandleFunc("PATCH /api/2/rules/{id}", a.with(a.patch))
	mux.HandleFunc("DELETE /api/2/rules/{id}", a.with(func(w http.ResponseWriter, _ *http.Request, r *rule) {
		delete(a.rules, r.id)
		w.WriteHeader(http.StatusNoContent)
	}))
	mux.HandleFunc("GET /api/2/behaviors", a.labels(&a.behaviors))
	mux.HandleFunc("GET /api/2/paths", a.labels(&a.paths))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.requests[r.Method+" "+r.URL.Path]++
		if r.Header.Get("X-Acme-Key") != acmeKey {
			refuse(w, http.StatusUnauthorized, "key", "who are you?")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	answer(w, status, map[string]any{"error": map[string]any{"code": code, "text": text}})
}

// with finds the rule of a request.
func (a *acme) with(f func(http.ResponseWriter, *http.Request, *rule)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		id, err := strconv.Atoi(req.PathValue("id"))
		if r := a.rules[id]; err == nil && r != nil {
			f(w, req, r)
			return
		}
		refuse(w, http.StatusNotFound, "gone", "there is no such rule")
	}
}

func (a *acme) list(w http.ResponseWriter, req *http.Request) {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(req.FormValue(name)); err == nil {
			return n
		}
		return otherwise
	}
	page, size := number("page", 1), min(number("per_page", 20), pageCap)
	if page < 1 || size < 1 {
		refuse(w, http.StatusBadRequest, "page", "there is no such page")
		return
	}
	ids := slices.Sorted(maps.Keys(a.rules))
	total := len(ids)
	ids = ids[min(total, (page-1)*size):min(total, page*size)]
	rules := []any{}
	for _, id := range ids {
		rules = append(rules, a.rules[id].shown())
	}
	answer(w, http.StatusOK, map[string]any{"data": map[string]any{"rules": rules}, "meta": map[string]any{"page": page, "total": total}})
}

// shown is a rule as Acme returns it.
func (r *rule) shown() map[string]any {
	out := maps.Clone(r.fields)
	out["rule_id"], out["lock_version"] = r.id, r.version
	out["stats"] = map[string]any{"seen": r.id * 7}
	if hook, ok := out["webhook"].(map[string]any); ok {
		hook = maps.Clone(hook)
		if fields, ok := hook["fields"].([]any); ok {
			fields = slices.Clone(fields)
			for i, f := range fields {
				if f, ok := f.(map[string]any); ok && f["masked"] == true {
					f = maps.Clone(f)
					f["value"] = nil
					fields[i] = f
				}
			}
			hook["fields"] = fields
		}
		out["webhook"] = hook
	}
	return out
}

func (a *acme) give(w http.ResponseWriter, r *rule) {
	answer(w, http.StatusOK, map[string]any{"data": map[string]any{"rule": r.shown()}})
}

// sent reads the rule in a request.
func sent(w http.ResponseWriter, req *http.Request) (map[string]any, bool) {
	var in struct{ Rule map[string]any }
	b, err := io.ReadAll(req.Body)
	if err == nil {
		err = json.Unmarshal(b, &in)
	}
	if title, _ := in.Rule["title"].(string); err != nil || title == "" {
		// Real servers echo the request like this.
		refuse(w, http.StatusUnprocessableEntity, "invalid", "a rule needs a title: "+string(b))
		return nil, false
	}
	return in.Rule, true
}

func (a *acme) create(w http.ResponseWriter, req *http.Request) {
	fields, ok := sent(w, req)
	if !ok {
		return
	}
	if a.limit > 0 && len(a.rules) >= a.limit {
		refuse(w, http.StatusPaymentRequired, "plan", fmt.Sprintf("Your plan includes %d rules.", a.limit))
		return
	}
	a.last++
	fields["created_at"] = "2026-01-01T00:00:00Z"
	a.rules[a.last] = &rule{id: a.last, version: 1, fields: fields}
	answer(w, http.StatusCreated, map[string]any{"data": map[string]any{"rule_id": a.last}})
}

func (a *acme) patch(w http.ResponseWriter, req *http.Request, r *rule) {
	fields, ok := sent(w, req)
	if !ok {
		return
	}
	if based, ok := fields["lock_version"].(float64); !ok || int(based) != r.version {
		refuse(w, http.StatusUnprocessableEntity, "stale", "somebody was faster")
		return
	}
	delete(fields, "lock_version")
	r.fields = maps.Clone(r.fields)
	maps.Copy(r.fields, fields)
	r.version++
	a.give(w, r)
}

func (a *acme) labels(list *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		data := []any{}
		if req.FormValue("page") == "1" {
			for _, label := range *list {
				data = append(data, map[string]any{"label": label})
			}
		}
		answer(w, http.StatusOK, map[string]any{"data": data, "meta": map[string]any{"total": len(*list)}})
	}
}

// duplicate copies a rule, as a user would, and changes the copy. The returned
// function reads the copy.
func (a *acme) duplicate(t testing.TB, id string, change func(fields map[string]any)) func(testing.TB) []byte {
	t.Helper()
	n, err := strconv.Atoi(id)
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	a.last++
	copied := &rule{id: a.last, version: 1, fields: maps.Clone(a.rules[n].fields)}
	a.rules[copied.id] = copied
	a.mu.Unlock()
	a.edit(t, strconv.Itoa(copied.id), change)
	return func(t testing.TB) []byte {
		a.mu.Lock()
		defer a.mu.Unlock()
		r := a.rules[copied.id]
		if r == nil {
			t.Fatal("the copy is gone")
		}
		b, err := json.Marshal([]any{r.version, r.fields})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// edit changes a rule by hand.
func (a *acme) edit(t testing.TB, id string, change func(fields map[string]any)) {
	t.Helper()
	n, err := strconv.Atoi(id)
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.rules[n]
	if r == nil {
		t.Fatalf("there is no rule %s", id)
	}
	b, err := json.Marshal(r.fields)
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	change(fields)
	r.fields = fields
	r.version++
}

// dump returns everything that Acme's API returns.
func (a *acme) dump() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out bytes.Buffer
	for _, id := range slices.Sorted(maps.Keys(a.rules)) {
		b, _ := json.Marshal(a.rules[id].shown())
		out.Write(append(b, '\n'))
	}
	return out.Bytes()
}

// fire sends the message of every live rule with a trigger.
func (a *acme) fire(kind automation.TriggerKind, name string, values map[string]any) error {
	a.mu.Lock()
	var live []*rule
	word := map[automation.TriggerKind]string{automation.Pattern: "behavior", automation.Journey: "path"}[kind]
	for _, id := range slices.Sorted(maps.Keys(a.rules)) {
		r := a.rules[id]
		if when, ok := r.fields["when"].(map[string]any); ok && r.fields["state"] == "live" && when[word] == name {
			live = append(live, r)
		}
	}
	a.mu.Unlock()
	if len(live) == 0 {
		return fmt.Errorf("no rule waits for the %s %q", word, name)
	}
	for _, r := range live {
		if err := r.send(values); err != nil {
			return err
		}
	}
	return nil
}

// send posts a rule's message.
func (r *rule) send(values map[string]any) error {
	hook := r.fields["webhook"].(map[string]any)
	request := automation.Request{Kind: automation.KindHTTPRequest, Method: strings.ToUpper(hook["verb"].(string)), URL: hook["address"].(string),
		Headers: map[string]automation.Header{}}
	masked := map[string]string{}
	for _, f := range hook["fields"].([]any) {
		f := f.(map[string]any)
		name, value := f["name"].(string), f["value"].(string)
		if f["masked"] == true {
			masked[name] = value // no placeholders in these
			continue
		}
		request.Headers[name] = automation.Header{Value: automation.Credential{Text: value}}
	}
	if template, ok := hook["template"].(string); ok {
		request.Payload = json.RawMessage(template)
	}
	rendered, err := request.Render(values, nil)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(rendered.Method, rendered.URL, bytes.NewReader(rendered.Body))
	if err != nil {
		return err
	}
	req.Header = rendered.Header
	for name, value := range masked {
		req.Header.Set(name, value)
	}
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	if res.StatusCode > 299 {
		err = fmt.Errorf("it was answered with %s", res.Status)
	}
	return errors.Join(err, res.Body.Close())
}
