package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/platform/rest"
	"github.com/seguehq/segue/sync"
)

// An altered transport changes the server's answers.
type altered struct {
	// list changes the answers to requests for the list.
	list func(body map[string]any)
	// link is their header Link.
	link string
	// create replaces the answers to creates, after the server has done them.
	create func(*http.Response) *http.Response
}

func (a altered) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return res, err
	}
	isList := req.Method == "GET" && (strings.HasSuffix(req.URL.Path, "/things") || strings.HasSuffix(req.URL.Path, "/rules"))
	switch {
	case isList && a.list != nil && res.StatusCode == http.StatusOK:
		var body map[string]any
		d := json.NewDecoder(res.Body)
		d.UseNumber()
		if err := d.Decode(&body); err != nil {
			return nil, err
		}
		res.Body.Close()
		a.list(body)
		if a.link != "" {
			res.Header.Set("Link", a.link)
		}
		b, err := json.Marshal(body)
		res.Body = io.NopCloser(bytes.NewReader(b))
		return res, err
	case req.Method == "POST" && a.create != nil:
		return a.create(res), nil
	}
	return res, nil
}

// unavailableAt makes the n-th answer an error, although the work was done.
func unavailableAt(n int32) func(*http.Response) *http.Response {
	var count atomic.Int32
	return func(res *http.Response) *http.Response {
		if count.Add(1) == n {
			res.Body.Close()
			res.StatusCode, res.Body = http.StatusServiceUnavailable, io.NopCloser(strings.NewReader("busy"))
		}
		return res
	}
}

// bare returns n automations without secrets.
func bare(n int) sync.Desired {
	d := wanted(n)
	d.Secrets = nil
	for i := range d.Automations {
		d.Automations[i].Action.Headers = map[string]automation.Header{}
	}
	return d
}

// edited changes the marker of each thing that a list shows.
func edited(change func(marker string) any) func(map[string]any) {
	return func(body map[string]any) {
		for _, thing := range body["things"].([]any) {
			thing := thing.(map[string]any)
			labels := thing["labels"].([]any)
			thing["labels"] = []any{labels[0], change(labels[1].(string))}
		}
	}
}

// silent removes the fields about pages from a list.
func silent(body map[string]any) {
	for _, name := range []string{"after", "count", "pages"} {
		delete(body, name)
	}
}

// counted adds the number of things on the page to a list.
func counted(body map[string]any) {
	silent(body)
	body["count"] = len(body["things"].([]any))
}

// If the description of a list is wrong, no apply creates a second automation for
// a key, however often it is repeated. After the description is corrected, each
// automation is there once.
func TestWrongWayToTheList(t *testing.T) {
	if testing.Short() {
		t.Skip("one request after the other")
	}
	const plain = `revision: field: "rev"`
	right := `paging: {kind: "offset", parameter: "skip"}` + "\n" + plain
	for _, test := range []struct {
		name, fields, query string
		set                 func(*shelf)
		through             altered
		// want is in the error of every apply, until the description is corrected.
		want string
		// before is the number of automations created before.
		before int
	}{
		{name: "every page is the first", fields: `paging: {kind: "offset", parameter: "offset"}`, before: 10, want: "check paging.parameter"},
		{name: "every page is the first, and the total is known", fields: `paging: {kind: "offset", parameter: "offset", total: "count"}`, before: 10, want: "check paging.parameter"},
		{name: "every page is the first, and the number of pages is known", fields: `paging: {kind: "page", first: 0, parameter: "seite", pages: "pages"}`, before: 10, want: "check paging.parameter"},
		{name: "a cursor that is not sent", fields: `paging: {kind: "cursor", parameter: "afterr", next: "after"}`, before: 10, want: "check paging.parameter and paging.next"},
		{name: "a cursor that never ends", fields: `paging: {kind: "cursor", parameter: "after", next: "more"}`, before: 10,
			through: altered{list: func(body map[string]any) { silent(body); body["more"] = "t-1" }}, want: "check paging.parameter and paging.next"},
		{name: "a cursor elsewhere", fields: `paging: {kind: "cursor", parameter: "after", next: "cursor.after"}`, before: 10,
			through: altered{list: func(body map[string]any) { body["meta"] = map[string]any{"has_more": body["after"] != nil} }}, want: "meta.has_more, which leads to another page; check paging"},
		{name: "a total that is the page's", fields: `paging: {kind: "offset", parameter: "skip", total: "count"}`, before: 10, through: altered{list: counted}, want: "check paging.total"},
		{name: "a total that is the page's, and no more", fields: `paging: {kind: "offset", parameter: "offset", total: "count"}`, before: 0, through: altered{list: counted}, want: "paging"},
		{name: "a number of pages that is something else", fields: `paging: {kind: "page", parameter: "page", first: 0, pages: "one"}`, before: 20,
			through: altered{list: func(body map[string]any) { silent(body); body["one"] = 1 }}, want: "check paging.pages"},
		{name: "a total that no page comes up to", fields: `paging: {kind: "offset", parameter: "skip", total: "count"}`, before: 3,
			through: altered{list: func(body map[string]any) { body["count"] = 12 }}, want: `count says that there are 12, and it lists 3; check paging`},
		{name: "an offset that is a page", fields: `paging: {kind: "offset", parameter: "page"}`, before: 20, through: altered{list: silent}, want: "paging"},
		{name: "the first page is another", fields: `paging: {kind: "page", parameter: "page", first: 1}`, before: 20, through: altered{list: silent}, want: "check paging.first"},
		{name: "the first page is another, and nothing is there", fields: `paging: {kind: "page", parameter: "page", first: 1}`, through: altered{list: silent}, want: "paging"},
		{name: "pages that nobody has described", fields: plain, before: 10, want: "meta.next_cursor, which leads to another page; describe its pages in paging",
			through: altered{list: func(body map[string]any) { body["meta"] = map[string]any{"next_cursor": body["after"]} }}},
		{name: "pages by the header Link", fields: plain, before: 10, through: altered{list: silent, link: `</things?page=0>; rel="first", </things?page=2>; rel="next"`}, want: "its header Link leads to another page"},
		{name: "pages that nobody has described and nothing tells of", fields: plain, through: altered{list: silent}, want: "describe its pages in paging"},
		{name: "the same, and there are some", fields: plain, before: 10, through: altered{list: silent}, want: "describe its pages in paging"},
		{name: "the same, and what is new comes first", fields: plain, before: 10, set: func(s *shelf) { s.newest = true }, through: altered{list: silent}, want: "describe its pages in paging"},
		{name: "the same, and a total tells of them", fields: plain, before: 10, want: "meta.totalCount says that there are 10, and it lists 7; describe its pages in paging",
			through: altered{list: func(body map[string]any) { body["meta"] = map[string]any{"totalCount": body["count"]}; silent(body) }}},
		{name: "the same, and an identifier is all that creates answer", fields: plain + "\nendpoints: create: answer: \"id\"", before: 10, set: func(s *shelf) { s.answers = "id" }, through: altered{list: silent}, want: "describe its pages in paging"},
		{name: "the same, and a create fails that was carried out", fields: plain, through: altered{list: silent, create: unavailableAt(10)}, want: "describe its pages in paging"},
		{name: "the list of something else", fields: plain + "\nendpoints: list: items: \"others\"", query: "?all=1", before: 5,
			through: altered{list: func(body map[string]any) { body["others"] = []any{} }}, want: "check endpoints.list"},
		{name: "a list elsewhere", fields: plain + "\nendpoints: list: items: \"data.things\"", query: "?all=1", before: 5, want: "has no list at data.things; there is one at things"},
		{name: "a list that shows no markers", fields: plain, query: "?all=1", through: altered{list: edited(func(string) any { return "segue" })}, want: "without its marker at labels"},
		{name: "a list that cuts markers off", fields: plain, query: "?all=1", through: altered{list: edited(func(m string) any { return m[:100] + "..." })}, want: "without its marker at labels"},
		{name: "a list that cuts some markers off", fields: plain, query: "?all=1", want: "marker",
			through: altered{list: edited(func(m string) any {
				if strings.Contains(m, "team/a00") {
					return m
				}
				return m[:60]
			})}},
		{name: "a list without what is of one kind", fields: plain, query: "?all=1", want: "which was just created",
			through: altered{list: func(body map[string]any) {
				kept := []any{}
				for _, thing := range body["things"].([]any) {
					if name := thing.(map[string]any)["a"].(map[string]any)["name"].(string); !strings.HasSuffix(name, "3") {
						kept = append(kept, thing)
					}
				}
				body["things"] = kept
			}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := startShelf(t)
			if test.set != nil {
				test.set(server)
			}
			fixed := fmt.Sprintf(shelfProject, right, "")
			if server.answers == "id" {
				fixed = fmt.Sprintf(shelfProject, right+"\nendpoints: create: answer: \"id\"\nendpoints: update: answer: \"id\"", "")
			}
			healthy := func() rest.Client { return client(t, described(t, fixed), server.URL, rest.Options{}) }
			if test.before > 0 {
				apply(t, healthy(), bare(test.before))
			}
			d := described(t, strings.Replace(fmt.Sprintf(shelfProject, test.fields, test.query), `list: {path: "/things`+test.query+`", items: "things"}`, listOf(test.fields, test.query), 1))
			in := bare(30)
			for range 3 {
				p := client(t, d, server.URL, rest.Options{Transport: test.through, Lag: 5 * time.Millisecond})
				err := applyOnce(t, p, in)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q in it", err, test.want)
				}
				server.requireNoDoubles(t)
			}
			// Nothing is lost either.
			if got := len(server.objects); got < test.before {
				t.Errorf("%d things are left of %d", got, test.before)
			}
			apply(t, healthy(), in)
			platformtest.RequireExactly(t, healthy(), in)
		})
	}
}

// listOf returns the endpoint of the list, unless the fields describe it.
func listOf(fields, query string) string {
	if strings.Contains(fields, "list: items") {
		return fmt.Sprintf("list: path: %q", "/things"+query)
	}
	return fmt.Sprintf("list: {path: %q, items: \"things\"}", "/things"+query)
}

// applyOnce plans and applies as the command does.
func applyOnce(t *testing.T, p sync.Platform, in sync.Desired) error {
	t.Helper()
	calls := quick
	calls.Tries = 2
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{Calls: calls})
	if err != nil {
		return err
	}
	_, err = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Parallelism: 8, Calls: calls})
	return err
}

// requireNoDoubles checks that no two things have the same key.
func (s *shelf) requireNoDoubles(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := map[string]string{}
	for id, object := range s.objects {
		key := object["a"].(map[string]any)["key"].(string)
		if other := keys[key]; other != "" {
			t.Errorf("%s is there twice: %s and %s", key, other, id)
		}
		keys[key] = id
	}
}

// With a useless answer, the new automation can't be removed again: the user
// has to remove it by hand, and nothing else is created.
func TestCreateThatCantBeTakenBack(t *testing.T) {
	server := startShelf(t)
	server.answers = "nothing"
	fields := "revision: field: \"rev\"\nendpoints: create: answer: \"nothing\"\nendpoints: update: answer: \"nothing\""
	d := described(t, fmt.Sprintf(shelfProject, fields, "?all=1"))
	nothing := altered{list: func(body map[string]any) { body["things"] = nil }}
	err := applyOnce(t, client(t, d, server.URL, rest.Options{Transport: nothing, Lag: 5 * time.Millisecond}), bare(20))
	if err == nil || !strings.Contains(err.Error(), "it was created, but the list of /things?all=1 does not show it") || !strings.Contains(err.Error(), "Remove it by hand") {
		t.Errorf("error %v", err)
	}
	if server.creates != 1 {
		t.Errorf("%d automations were created, want no more after the first", server.creates)
	}
}

// A complete list that looks incomplete is accepted.
func TestWholeLists(t *testing.T) {
	for _, test := range []struct {
		name, fields, list string
		through            altered
	}{
		{"a total of something else", "", "whole: true", altered{list: func(body map[string]any) { body["total"] = 1000 }}},
		{"a link to the next list", "", "whole: true", altered{link: `</things?page=2>; rel="next"`, list: func(map[string]any) {}}},
		{"no more", "", "", altered{link: `</things?all=1>; rel="self"`, list: func(body map[string]any) {
			body["next"], body["has_more"], body["total"] = "", false, body["count"]
		}}},
		{"the last page over and over", `paging: {kind: "offset", parameter: "skip", total: "count"}`, "", altered{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := startShelf(t)
			file := strings.Replace(fmt.Sprintf(shelfProject, test.fields, "?all=1"), `items: "things"`, `items: "things", `+test.list, 1)
			if test.fields != "" {
				file = fmt.Sprintf(shelfProject, test.fields, "")
			}
			if err := applyOnce(t, client(t, described(t, file), server.URL, rest.Options{Transport: test.through}), bare(20)); err != nil {
				t.Error(err)
			}
			if got := len(server.objects); got != 20 {
				t.Errorf("%d things, want 20", got)
			}
		})
	}
}

// A list that shows writes with a short delay is accepted.
func TestListThatLags(t *testing.T) {
	server := startShelf(t)
	d := described(t, fmt.Sprintf(shelfProject, `revision: field: "rev"`, "?all=1"))
	var mu gosync.Mutex
	seen := map[string]int{}
	late := altered{list: func(body map[string]any) {
		mu.Lock()
		defer mu.Unlock()
		kept := []any{}
		for _, thing := range body["things"].([]any) {
			uid := thing.(map[string]any)["uid"].(string)
			if seen[uid]++; seen[uid] > 2 {
				kept = append(kept, thing)
			}
		}
		body["things"] = kept
	}}
	if err := applyOnce(t, client(t, d, server.URL, rest.Options{Transport: late, Lag: 200 * time.Millisecond}), bare(20)); err != nil {
		t.Error(err)
	}
	if server.creates != 20 || len(server.objects) != 20 {
		t.Errorf("%d creates, %d things, want 20 of each", server.creates, len(server.objects))
	}
}

// A plan with nothing to do only reads the pages of the list.
func TestRequestsOfAPlan(t *testing.T) {
	if testing.Short() {
		t.Skip("one request after the other")
	}
	server := startAcme(t)
	d := described(t, worked(t))
	in := wanted(1000)
	if err := applyOnce(t, client(t, d, server.URL, rest.Options{}), in); err != nil {
		t.Fatal(err)
	}
	server.mu.Lock()
	clear(server.requests)
	server.mu.Unlock()
	plan, err := sync.MakePlan(t.Context(), client(t, d, server.URL, rest.Options{}), in, sync.PlanOptions{Calls: quick})
	if err != nil || !plan.Empty() || len(plan.Unchanged) != 1000 {
		t.Fatalf("the plan is not empty: %v", err)
	}
	// Once for the automations and once for their secrets; 25 full pages, and one
	// more to see that there are no others.
	if got := server.requests["GET /api/2/rules"]; len(server.requests) != 1 || got > 2*26 {
		t.Errorf("requests: %v, want no more than 52 for pages of the list", server.requests)
	}
}

// A total that changes while the pages are read has them read again. One that never
// stays the same is an error, and nothing is taken for missing.
func TestATotalThatChanges(t *testing.T) {
	server, in := startShelf(t), bare(20)
	d := described(t, fmt.Sprintf(shelfProject, `paging: {kind: "offset", parameter: "skip", total: "count"}`, ""))
	apply(t, client(t, d, server.URL, rest.Options{}), in)
	creates := server.creates
	for name, test := range map[string]struct {
		lists int32 // so many answers have another total each
		want  string
	}{
		"for a while": {3, ""},
		"for ever":    {1 << 30, "check paging"},
	} {
		t.Run(name, func(t *testing.T) {
			var lists atomic.Int32
			p := client(t, d, server.URL, rest.Options{Transport: altered{list: func(body map[string]any) {
				total, err := body["count"].(json.Number).Int64()
				if n := lists.Add(1); err == nil && n <= test.lists {
					body["count"] = total + int64(n)
				}
			}}})
			switch err := applyOnce(t, p, in); {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q in it", err, test.want)
			}
			if server.creates != creates {
				t.Errorf("%d automations were created", server.creates-creates)
			}
		})
	}
}
