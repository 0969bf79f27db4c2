package rest_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/platform/rest"
	"github.com/seguehq/segue/sync"
)

// A desk is a platform that stores notes, each a JSON object.
type desk struct {
	*httptest.Server
	mu    gosync.Mutex
	last  int
	notes map[string]map[string]any
	order []string
	rev   map[string]int
	// name makes an identifier from a number.
	name func(n int) string
	// stored changes a note before it is stored.
	stored func(note map[string]any)
	// tag returns a note's ETag, given its revision and whether the client accepts
	// gzip. takes reports which If-Match the desk accepts. Nil means no tags.
	tag   func(rev int, zipped bool) string
	takes func(rev int, ifMatch string) bool
	// zips compresses reads for clients that accept it, or always.
	zips, alwaysZips bool
	// updates counts the writes to existing notes, including refused ones.
	updates int
}

func startDesk(t *testing.T) *desk {
	d := &desk{notes: map[string]map[string]any{}, rev: map[string]int{}, name: strconv.Itoa}
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/notes"), "/")
	status, out := http.StatusOK, any(nil)
	match := func() bool { return d.takes == nil || d.takes(d.rev[id], r.Header.Get("If-Match")) }
	switch _, there := d.notes[id]; {
	case id != "" && !there:
		status = http.StatusNotFound
	case r.Method == "GET" && id == "":
		all := []any{}
		for _, id := range d.order {
			all = append(all, d.notes[id])
		}
		out = all
	case r.Method == "GET":
		out = d.notes[id]
	case r.Method == "DELETE" && !match():
		status = http.StatusPreconditionFailed
	case r.Method == "DELETE":
		delete(d.notes, id)
		d.order = slices.DeleteFunc(d.order, func(s string) bool { return s == id })
		status = http.StatusNoContent
	default:
		var note map[string]any
		if err := json.NewDecoder(r.Body).Decode(&note); err != nil {
			panic(err)
		}
		if r.Method == "PUT" {
			if d.updates++; !match() {
				w.WriteHeader(http.StatusPreconditionFailed)
				return
			}
		}
		if d.stored != nil {
			d.stored(note)
		}
		if id == "" {
			d.last++
			id = d.name(d.last)
			d.order = append(d.order, id)
		}
		note["id"] = id
		d.notes[id], out = note, note
		d.rev[id]++
	}
	zipped := d.alwaysZips || d.zips && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	if zipped = zipped && r.Method == "GET"; zipped {
		w.Header().Set("Content-Encoding", "gzip")
	}
	if d.tag != nil && id != "" {
		w.Header().Set("ETag", d.tag(d.rev[id], zipped))
	}
	w.WriteHeader(status)
	if out == nil {
		return
	}
	b, _ := json.Marshal(out)
	if zipped {
		z := gzip.NewWriter(w)
		z.Write(b)
		z.Close()
		return
	}
	w.Write(b)
}

// copyOf makes a copy of a note, as a person would, and changes it.
func (d *desk) copyOf(id string, change func(note map[string]any)) (copied string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, _ := json.Marshal(d.notes[id])
	var note map[string]any
	if err := json.Unmarshal(b, &note); err != nil {
		panic(err)
	}
	d.last++
	copied = d.name(d.last)
	note["id"] = copied
	if change != nil {
		change(note)
	}
	d.notes[copied], d.rev[copied] = note, 1
	d.order = append(d.order, copied)
	return copied
}

// text returns a note unchanged.
func (d *desk) text(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, _ := json.Marshal(d.notes[id])
	return string(b)
}

// edit changes a note behind segue's back.
func (d *desk) edit(id string, change func(note map[string]any)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d.notes[id])
	d.rev[id]++
}

const deskFile = `
project: "p"
targets: prod: {platform: "acme", url: "http://127.0.0.1"}
platforms: acme: {
	auth: none: true
	endpoints: {
		list: path:   "/notes"
		read: path:   "/notes/{id}"
		create: path: "/notes"
		update: path: "/notes/{id}"
		delete: path: "/notes/{id}"
	}
	marker: field: "note"
	REVISION
	encode: {
		automation: _
		headers:    _
		marker:     _
		object: {
			name: automation.name
			data: automation
			sent: {for n, h in headers {(n): [if h.secret {null}, h.value][0]}}
			note: marker
		}
	}
	decode: {
		object: _
		automation: {
			key:     object.data.key
			name:    object.name
			enabled: object.data.enabled
			trigger: object.data.trigger
			action: {
				method:  object.data.action.method
				url:     object.data.action.url
				headers: object.sent
				if object.data.action.payload != _|_ {payload: object.data.action.payload}
			}
		}
	}
}
`

func deskClient(t *testing.T, d *desk, revision string) rest.Client {
	t.Helper()
	return client(t, deskDescription(t, revision), d.URL, rest.Options{})
}

func deskDescription(t *testing.T, revision string) *description.Platform {
	t.Helper()
	return described(t, strings.Replace(deskFile, "REVISION", revision, 1))
}

// marker reads and changes what a note's marker says.
func editMarker(note map[string]any, change func(record map[string]any)) {
	text, _ := strings.CutPrefix(note["note"].(string), "segue:")
	var record map[string]any
	if err := json.Unmarshal([]byte(text), &record); err != nil {
		panic(err)
	}
	change(record)
	// The project comes first, as segue writes it.
	project := record["project"]
	delete(record, "project")
	b, _ := json.Marshal(record)
	note["note"] = fmt.Sprintf(`segue:{"project":%q,%s`, project, b[1:])
}

func ids(t *testing.T, p sync.Platform, project string) []string {
	t.Helper()
	stored, err := p.List(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range stored {
		out = append(out, s.ID)
	}
	slices.Sort(out)
	return out
}

// others lists the findings of a survey: "copy 3", or "copy 3 takes team/a000".
func others(t *testing.T, p sync.Surveyor, project string, keys ...string) []string {
	t.Helper()
	survey, err := p.Survey(t.Context(), project, keys)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range survey.Others {
		text := string(o.Kind) + " " + o.ID
		if o.Takes != "" {
			text += " takes " + o.Takes
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// An apply never changes copies that a person has made.
func TestCopiesStay(t *testing.T) {
	server := startDesk(t)
	in := wanted(2)
	p := deskClient(t, server, "")
	apply(t, p, in)
	copied := server.copyOf("1", func(note map[string]any) { note["name"] = "Mine" })
	same := server.copyOf("2", nil)
	want := [2]string{server.text(copied), server.text(same)}

	if diff := cmp.Diff([]string{"1", "2"}, ids(t, p, "load")); diff != "" {
		t.Errorf("own (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"copy 3", "copy 4"}, others(t, p, "load", "team/a000", "team/a001")); diff != "" {
		t.Errorf("others (-want +got):\n%s", diff)
	}
	in.Automations[0].Name = "Another"
	apply(t, p, in)
	rotated := in
	rotated.Secrets = map[string]automation.Secret{"WRITE_KEY": automation.NewSecret("rotated")}
	apply(t, p, rotated)
	rotated.Automations = rotated.Automations[1:]
	apply(t, p, rotated)
	rotated.Automations = in.Automations
	apply(t, p, rotated)
	if got := [2]string{server.text(copied), server.text(same)}; got != want {
		t.Errorf("the copies are %q, want %q", got, want)
	}
}

// Automations without an identifier are distinguished from copies as far as
// possible.
func TestMarkersWithoutIdentifier(t *testing.T) {
	if testing.Short() {
		t.Skip("one change after another")
	}
	letters := func(n int) string { return string(rune('z' - n)) }
	drop := func(fields ...string) func(map[string]any) {
		return func(note map[string]any) {
			editMarker(note, func(r map[string]any) {
				for _, f := range fields {
					delete(r, f)
				}
			})
		}
	}
	killed, former := drop("id"), drop("id", "nonce")
	renamed := func(note map[string]any) { note["name"] = "Mine" }
	for name, test := range map[string]struct {
		name   func(int) string
		act    func(d *desk, first string)
		own    []string
		others []string
	}{
		"killed after the create": {letters, func(d *desk, first string) { d.edit(first, killed) }, []string{"y"}, nil},
		"of an older segue":       {letters, func(d *desk, first string) { d.edit(first, former) }, []string{"y"}, nil},
		"copied before the identifier was there": {letters, func(d *desk, first string) {
			d.edit(d.copyOf(first, nil), killed)
		}, []string{"y"}, []string{"copy x"}},
		"killed, copied and counted": {strconv.Itoa, func(d *desk, first string) {
			d.edit(first, killed)
			d.copyOf(first, renamed)
		}, []string{"1"}, []string{"copy 2"}},
		"killed, copied and changed": {letters, func(d *desk, first string) {
			d.edit(first, killed)
			d.copyOf(first, renamed)
		}, []string{"y"}, []string{"copy x"}},
		"killed, and copied as it is": {letters, func(d *desk, first string) {
			d.edit(first, killed)
			d.copyOf(first, nil)
		}, nil, []string{"copy x takes team/a000", "copy y takes team/a000"}},
		"of an older segue, and copied as it is": {letters, func(d *desk, first string) {
			d.edit(first, former)
			d.copyOf(first, nil)
		}, nil, []string{"copy x takes team/a000", "copy y takes team/a000"}},
		"of an older segue beside one of this": {letters, func(d *desk, first string) {
			d.edit(d.copyOf(first, nil), former)
		}, []string{"y"}, []string{"copy x"}},
		"the original is gone": {letters, func(d *desk, first string) {
			d.copyOf(first, nil)
			delete(d.notes, first)
			d.order = d.order[1:]
		}, nil, []string{"copy x"}},
		"the marker is gone": {letters, func(d *desk, first string) {
			d.edit(first, func(note map[string]any) { note["note"] = "" })
		}, nil, []string{"unmarked y takes team/a000"}},
		"the marker is gone from a copy": {letters, func(d *desk, first string) {
			d.edit(d.copyOf(first, nil), func(note map[string]any) { note["note"] = "" })
		}, []string{"y"}, []string{"unmarked x"}},
		"another project's": {letters, func(d *desk, first string) {
			d.edit(first, func(note map[string]any) {
				editMarker(note, func(r map[string]any) { r["project"] = "other"; delete(r, "seal") })
			})
		}, nil, []string{"foreign y"}},
		"another project's, killed, and copied as it is": {letters, func(d *desk, first string) {
			d.edit(first, func(note map[string]any) {
				editMarker(note, func(r map[string]any) { r["project"] = "other" })
			})
			d.edit(first, killed)
			d.copyOf(first, nil)
		}, nil, []string{"copy x", "copy y"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := startDesk(t)
			server.name = test.name
			p := deskClient(t, server, "")
			in := wanted(1)
			apply(t, p, in)
			test.act(server, server.order[0])
			if got := ids(t, p, "load"); !slices.Equal(got, test.own) {
				t.Errorf("own %q, want %q", got, test.own)
			}
			// From the result of List, and once more from the platform.
			for range 2 {
				if got := others(t, p, "load", in.Automations[0].Key); !slices.Equal(got, test.others) {
					t.Errorf("others %q, want %q", got, test.others)
				}
			}
			for _, id := range test.own {
				found, err := p.Find(t.Context(), "load", in.Automations[0].Key)
				if err != nil || len(found) != 1 || found[0].ID != id {
					t.Errorf("found %+v, %v", found, err)
				}
			}
		})
	}
}

// A renamed project takes over its own automations. Copies that people have made of them
// remain theirs.
func TestCopiesStayWhereAProjectIsRenamed(t *testing.T) {
	server := startDesk(t)
	in := wanted(2)
	former := in
	former.Project = "old"
	apply(t, deskClient(t, server, ""), former)
	copied := server.copyOf("1", func(note map[string]any) { note["name"] = "Mine" })
	same := server.copyOf("2", nil)
	want := [2]string{server.text(copied), server.text(same)}

	p := deskClient(t, server, "")
	if diff := cmp.Diff([]string{"foreign 1", "foreign 2"}, others(t, p, "load", "team/a000", "team/a001")); diff != "" {
		t.Errorf("others (-want +got):\n%s", diff)
	}
	in.Former = "old"
	apply(t, p, in)
	if diff := cmp.Diff([]string{"1", "2"}, ids(t, p, "load")); diff != "" {
		t.Errorf("own (-want +got):\n%s", diff)
	}
	if got := [2]string{server.text(copied), server.text(same)}; got != want {
		t.Errorf("the copies are %q, want %q", got, want)
	}
	// A copy's marker names a secret too.
	plan, err := sync.MakePlan(t.Context(), deskClient(t, server, ""), in, sync.PlanOptions{Calls: quick})
	if err != nil || !plan.Empty() {
		t.Errorf("plan = %+v, %v", plan, err)
	}
}

// An automation of another project, a copy, and one without a marker are taken over.
func TestTakeOver(t *testing.T) {
	server := startDesk(t)
	p := deskClient(t, server, "")
	in := wanted(3)
	apply(t, p, in)
	server.edit("1", func(note map[string]any) {
		editMarker(note, func(r map[string]any) { r["project"] = "old"; delete(r, "seal") })
	})
	server.edit("2", func(note map[string]any) { note["note"] = "" })
	server.copyOf("3", nil)
	keys := []string{"team/a000", "team/a001", "team/a002"}
	survey, err := p.Survey(t.Context(), "load", keys)
	if err != nil || len(survey.Others) != 3 {
		t.Fatalf("others %+v, %v", survey.Others, err)
	}
	for i, o := range survey.Others {
		a := o.Automation
		a.Key = "new/" + strconv.Itoa(i)
		next := sync.MarkerOf("load", a)
		next.Made = "sha256:made"
		stored, err := p.Update(t.Context(), o.Stored, next, a)
		if err != nil || stored.ID != o.ID || stored.Marker != next || stored.Automation.Hash() != a.Hash() {
			t.Errorf("%s %s: %+v, %v", o.Kind, o.ID, stored, err)
		}
	}
	if got := ids(t, p, "load"); !slices.Equal(got, []string{"1", "2", "3", "4"}) {
		t.Errorf("own %q", got)
	}
	if got := others(t, p, "load", keys...); len(got) != 0 {
		t.Errorf("others %q", got)
	}
}

// Somebody has edited a marker into another valid one. Nothing is planned then, whichever of
// the two projects asks.
func TestMarkerEditedByHand(t *testing.T) {
	server := startDesk(t)
	in := wanted(3)
	apply(t, deskClient(t, server, ""), in)
	for name, c := range map[string]struct {
		edit     func(record map[string]any)
		projects []string
		says     string
	}{
		"the key of another one": {func(r map[string]any) { r["key"] = "team/a001" }, []string{"load"}, "team/a001 of the project load"},
		"a key that nobody has":  {func(r map[string]any) { r["key"] = "team/b" }, []string{"load"}, "team/b of the project load"},
		"another project":        {func(r map[string]any) { r["project"] = "other" }, []string{"load", "other"}, "team/a000 of the project other"},
	} {
		before := server.text("1")
		server.edit("1", func(note map[string]any) { editMarker(note, c.edit) })
		edited := server.text("1")
		for _, project := range c.projects {
			in := in
			in.Project = project
			_, err := sync.MakePlan(t.Context(), deskClient(t, server, ""), in, sync.PlanOptions{Calls: quick})
			want := `somebody has edited the marker of "Automation 0" (1): it now names ` + c.says
			if err == nil || !strings.Contains(err.Error(), want) || sync.KindOf(err) != sync.Refused {
				t.Errorf("%s: %s: error %v, want %s", name, project, err, want)
			}
		}
		if got := server.text("1"); got != edited {
			t.Errorf("%s: it was changed to %s", name, got)
		}
		server.edit("1", func(note map[string]any) {
			clear(note)
			if err := json.Unmarshal([]byte(before), &note); err != nil {
				t.Fatal(err)
			}
		})
	}
	platformtest.RequireExactly(t, deskClient(t, server, ""), in)
}

// An entity tag that the platform does not accept back does not prevent an update, and
// does not allow overwriting a change of somebody else.
func TestEntityTags(t *testing.T) {
	if testing.Short() {
		t.Skip("one request after the other")
	}
	plain := func(rev int, _ bool) string { return fmt.Sprintf(`"%d"`, rev) }
	exactly := func(tag func(int, bool) string) func(int, string) bool {
		return func(rev int, given string) bool { return given == tag(rev, false) }
	}
	suffixed := func(suffix string) func(int, bool) string {
		return func(rev int, zipped bool) string {
			if zipped {
				return fmt.Sprintf(`"%d%s"`, rev, suffix)
			}
			return plain(rev, false)
		}
	}
	weak := func(rev int, _ bool) string { return fmt.Sprintf(`W/"%d"`, rev) }
	for name, test := range map[string]struct {
		tag         func(int, bool) string
		takes       func(int, string) bool
		zips, force bool
		most        int // updates sent per automation
	}{
		"strong":                        {plain, exactly(plain), false, false, 1},
		"compressed for whoever asks":   {suffixed("-gzip"), exactly(plain), true, false, 1},
		"compressed for everybody":      {suffixed("-gzip"), exactly(plain), true, true, 3},
		"compressed by another":         {suffixed(";br"), exactly(plain), true, true, 3},
		"weak, and compared":            {weak, exactly(weak), false, false, 1},
		"weak, and compared as strong":  {weak, exactly(plain), false, false, 3},
		"weak, and never taken":         {weak, func(_ int, given string) bool { return given == "" }, false, false, 4},
		"weak, compressed, as if plain": {func(rev int, _ bool) string { return fmt.Sprintf(`W/"%d-gzip"`, rev) }, exactly(plain), true, true, 4},
		"weak, and needed":              {weak, func(rev int, given string) bool { return given == "*" || given == weak(rev, false) }, false, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			server := startDesk(t)
			server.tag, server.takes, server.zips, server.alwaysZips = test.tag, test.takes, test.zips, test.force
			p := deskClient(t, server, `revision: header: "ETag"`)
			in := wanted(3)
			apply(t, p, in)
			stored, err := p.List(t.Context(), in.Project)
			if err != nil {
				t.Fatal(err)
			}
			server.updates = 0
			for i := range in.Automations {
				in.Automations[i].Name += ", changed"
			}
			apply(t, deskClient(t, server, `revision: header: "ETag"`), in)
			// The accepted form is tried first for the next automation.
			if most := 3 * test.most; server.updates > most {
				t.Errorf("%d updates, want at most %d", server.updates, most)
			}
			for _, s := range stored { // as they were before
				for what, err := range map[string]error{
					"update": func() error { _, err := p.Update(t.Context(), s, s.Marker, s.Automation); return err }(),
					"delete": p.Delete(t.Context(), s),
				} {
					if sync.KindOf(err) != sync.Conflict || err == nil {
						t.Errorf("%s of another revision: %v", what, err)
					}
				}
			}
			in.Automations = in.Automations[1:]
			apply(t, p, in)
		})
	}
}

// Any change that a platform makes to a stored automation can be read, and is
// reported as the platform's change.
func TestAltered(t *testing.T) {
	if testing.Short() {
		t.Skip("one change after another")
	}
	payload := func(note map[string]any) map[string]any {
		return note["data"].(map[string]any)["action"].(map[string]any)["payload"].(map[string]any)
	}
	for name, test := range map[string]struct {
		stored func(note map[string]any)
		field  string
	}{
		"a name is trimmed":   {func(n map[string]any) { n["name"] = strings.TrimSpace(n["name"].(string)) }, "name"},
		"null is dropped":     {func(n map[string]any) { delete(payload(n), "nothing") }, "action.payload.nothing"},
		"an empty list goes":  {func(n map[string]any) { delete(payload(n), "list") }, "action.payload.list"},
		"a number is rounded": {func(n map[string]any) { payload(n)["n"] = 0.1 }, "action.payload.n"},
		"a list has an order": {func(n map[string]any) { payload(n)["order"] = []any{"a", "b"} }, "action.payload.order[0]"},
		"a URL is encoded": {func(n map[string]any) {
			n["data"].(map[string]any)["action"].(map[string]any)["url"] = "https://example.com/a%7Cb"
		}, "action.url"},
		"the payload goes":       {func(n map[string]any) { delete(n["data"].(map[string]any)["action"].(map[string]any), "payload") }, "action.payload"},
		"enabled goes":           {func(n map[string]any) { delete(n["data"].(map[string]any), "enabled") }, "enabled"},
		"enabled is a number":    {func(n map[string]any) { n["data"].(map[string]any)["enabled"] = 1 }, "enabled"},
		"the trigger is null":    {func(n map[string]any) { n["data"].(map[string]any)["trigger"] = nil }, "trigger.name"},
		"a text is composed":     {func(n map[string]any) { payload(n)["e"] = "é" }, "action.payload.e"},
		"a header's value is {}": {func(n map[string]any) { n["sent"].(map[string]any)["X-A"] = map[string]any{} }, "action.headers"},
	} {
		t.Run(name, func(t *testing.T) {
			server := startDesk(t)
			server.stored = test.stored
			p := deskClient(t, server, "")
			in := wanted(1)
			a := &in.Automations[0]
			a.Name, a.Action.URL = " One ", "https://example.com/a|b"
			a.Action.Headers["X-A"] = automation.Header{Value: automation.Credential{Text: "a"}}
			a.Action.Payload = json.RawMessage(`{"e":"e\u0301","list":[],"n":0.1234567890123,"nothing":null,"order":["b","a"]}`)
			a.Action.Payload, _ = automation.CanonicalPayload(a.Action.Payload)
			for range 2 {
				plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{Calls: quick})
				if err != nil {
					t.Fatal(err)
				}
				if len(plan.Altered) > 0 || plan.Empty() {
					if !plan.Empty() || len(plan.Altered) != 1 || !slices.ContainsFunc(plan.Altered[0].Differences, func(d sync.Difference) bool {
						return strings.HasPrefix(d.Path, test.field)
					}) {
						t.Errorf("the second plan: %+v, %+v; want that %s is reported", plan.Changes, plan.Altered, test.field)
					}
					return
				}
				result, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: quick})
				if err == nil || len(result.Altered) != 1 {
					t.Fatalf("apply: %v, %+v", err, result.Altered)
				}
			}
			t.Error("the second plan has changes")
		})
	}
}

// Two applies at once leave one of each automation.
func TestTwoApplies(t *testing.T) {
	server := startDesk(t)
	in := wanted(20)
	var both gosync.WaitGroup
	for range 2 {
		p := deskClient(t, server, "")
		plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{Calls: quick})
		if err != nil {
			t.Fatal(err)
		}
		both.Go(func() {
			// Whether it succeeds or fails, it must leave exactly one.
			_, _ = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Parallelism: 4, Calls: quick})
		})
	}
	both.Wait()
	p := deskClient(t, server, "")
	apply(t, p, in)
	if n := len(maps.Clone(server.notes)); n != len(in.Automations) {
		t.Errorf("%d notes, want %d", n, len(in.Automations))
	}
}

// One apply is held at each of its requests while another one runs, on Acme, which refuses
// an update of another version.
func TestTwoAppliesInterleaved(t *testing.T) {
	if testing.Short() {
		t.Skip("takes each interleaving in turn")
	}
	secrets := platformtest.Secret("abc123")
	deletes := func(r *http.Request) bool { return r.Method == "DELETE" } // which has no object, and so no version
	server, d := startAcme(t), described(t, worked(t))
	platformtest.TwoApplies(t, platformtest.Contest{Once: true, Overwrites: deletes, Open: func(t testing.TB, transport http.RoundTripper) sync.Platform {
		return client(t, d, server.URL, rest.Options{Transport: transport, Timeout: time.Hour, Lag: time.Millisecond, Secrets: secrets})
	}})
}
