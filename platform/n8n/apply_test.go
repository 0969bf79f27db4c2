package n8n

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// patient configures calls that survive a restart of n8n.
var patient = sync.Calls{Tries: 300, BackOff: func() backoff.BackOff {
	return &backoff.ExponentialBackOff{InitialInterval: 20 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Second}
}}

// apply makes the platform as wanted, 8 changes at a time.
func apply(t testing.TB, p sync.Platform, in sync.Desired) {
	t.Helper()
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true, Calls: patient, AllowMassDelete: true})
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Parallelism: 8, Calls: patient}); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// credentials returns the names of the credentials of a project, including
// orphans.
func (s *server) credentials(t testing.TB, project string) []string {
	t.Helper()
	var all struct{ Data []struct{ Name string } }
	s.rest(t, "GET", "/rest/credentials", nil, &all)
	var names []string
	for _, c := range all.Data {
		if strings.HasPrefix(c.Name, "segue "+project+":") {
			names = append(names, c.Name)
		}
	}
	return names
}

// requireCredentials checks how many credentials there are.
func (s *server) requireCredentials(t testing.TB, project string, n int) {
	t.Helper()
	if names := s.credentials(t, project); len(names) != n {
		t.Errorf("n8n has the credentials %q of %s, want %d", names, project, n)
	}
}

// changed edits a tenth of the automations, removes a tenth, switches a twentieth off
// and rotates the write key.
func changed(in sync.Desired) sync.Desired {
	in.Automations = slices.Clone(in.Automations)
	n := len(in.Automations)
	for i := range n / 10 {
		in.Automations[i].Name += ", edited"
	}
	for i := range n / 20 {
		in.Automations[n/5+i].Enabled = false
	}
	in.Automations = slices.Delete(in.Automations, n/2, n/2+n/10)
	in.Secrets = platformtest.Secret("rotated")
	return in
}

// n8n is killed in the middle of an apply, and restarted. The apply continues,
// and nothing is duplicated, lost or left over.
func TestApplyWhileN8nIsRestarted(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	kill := &tripwire{}
	p := s.platform(Options{Transport: kill})
	in := platformtest.Hundred("restarted", "https://example.com")
	in.Automations = in.Automations[:40]
	for _, step := range []struct {
		in    sync.Desired
		after int // writing requests
	}{{in, 70}, {changed(in), 25}, {changed(in), 0}} {
		tripped := kill.set(step.after)
		done := make(chan struct{})
		go func() {
			defer close(done)
			apply(t, p, step.in)
		}()
		if step.after > 0 {
			select {
			case <-tripped:
				s.process.Kill()
				s.process.Start()
			case <-done:
				t.Fatal("the apply was done before n8n was killed")
			}
		}
		<-done
		if t.Failed() {
			return
		}
		platformtest.RequireExactly(t, p, step.in)
		platformtest.RequireExactly(t, s.platform(Options{}), step.in)
		s.requireCredentials(t, "restarted", 1)
	}
	apply(t, p, sync.Desired{Project: "restarted", Target: "test"})
	s.requireCredentials(t, "restarted", 0)
}

// A tripwire closes a channel after this number of writing requests.
type tripwire struct {
	mu    gosync.Mutex
	left  int
	after chan struct{}
}

func (w *tripwire) set(n int) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left, w.after = n, make(chan struct{})
	return w.after
}

func (w *tripwire) RoundTrip(r *http.Request) (*http.Response, error) {
	if writes(r) {
		w.mu.Lock()
		if w.left--; w.left == 0 {
			close(w.after)
		}
		w.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(r)
}

// segue dies after each of its writing requests in turn, without an answer to
// the last one. The next apply cleans up, and no credential is lost.
func TestApplyAfterSegueWasKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	calls := sync.Calls{Tries: 1, BackOff: patient.BackOff}
	steps := []struct {
		name string
		in   func(project string) sync.Desired
		want int // credentials afterwards
	}{
		{"create", func(project string) sync.Desired { return two(project, "abc123") }, 1},
		{"rotate", func(project string) sync.Desired { return two(project, "rotated") }, 1},
		{"other headers", func(project string) sync.Desired {
			in := two(project, "rotated")
			for i := range in.Automations {
				in.Automations[i].Action.Headers = map[string]automation.Header{"X-Key": in.Automations[i].Action.Headers["Authorization"]}
			}
			return in
		}, 1},
		{"no secret", func(project string) sync.Desired {
			in := two(project, "")
			for i := range in.Automations {
				in.Automations[i].Action.Headers = nil
			}
			in.Secrets = nil
			return in
		}, 0},
		{"delete", func(project string) sync.Desired { return sync.Desired{Project: project, Target: "test"} }, 0},
	}
	before := sync.Desired{Project: "killed", Target: "test"}
	for _, step := range steps {
		in := step.in("killed")
		if step.name == "delete" {
			before = two("killed", "abc123")
		}
		points := 0
		for survived := false; !survived; points++ {
			if points > 40 {
				t.Fatalf("%s: it takes more than 40 writing requests", step.name)
			}
			apply(t, s.platform(Options{}), before)
			mortal := &dying{left: points + 1}
			p := s.platform(Options{Transport: mortal})
			plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true, Calls: calls, AllowMassDelete: true})
			if err != nil {
				t.Fatal(err)
			}
			_, err = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: calls, Parallelism: 1})
			if survived = !mortal.dead(); survived && err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			heal := s.platform(Options{})
			apply(t, heal, in)
			platformtest.RequireExactly(t, heal, in)
			if names := s.credentials(t, "killed"); len(names) != step.want {
				t.Fatalf("%s, killed after request %d: n8n has the credentials %q, want %d", step.name, points+1, names, step.want)
			}
		}
		t.Logf("%s: killed at %d points", step.name, points-1)
		before = in
	}
}

// Two applies of one project at the same time interfere. The next apply cleans
// up after them: no unused credential is left, and no workflow without its
// credential.
func TestTwoAppliesAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	t.Run("whatever they do", s.testTwoApplies)
	t.Run("one uses a credential that the other deletes", s.testUseOfDeletedCredential)
	t.Run("one takes the other's new credential for a leftover", s.testNewCredentialDeleted)
}

func (s *server) testTwoApplies(t *testing.T) {
	recorder := platformtest.StartRecorder(t)
	const project = "both"
	code := func(n int, secret string, change func(*automation.Automation)) sync.Desired {
		in := platformtest.Hundred(project, recorder.URL)
		in.Automations, in.Secrets = in.Automations[:n], platformtest.Secret(secret)
		in.Automations[0].Enabled = false // only the marker shows that its key is taken
		for i := range in.Automations {
			change(&in.Automations[i])
		}
		return in
	}
	as := func(*automation.Automation) {}
	renamed := func(a *automation.Automation) { a.Name += ", renamed" }
	header := func(a *automation.Automation) {
		a.Action.Headers = maps.Clone(a.Action.Headers)
		a.Action.Headers["X-Key"] = a.Action.Headers["Authorization"]
	}
	none := sync.Desired{Project: project, Target: "test"}
	for _, step := range []struct {
		name       string
		one, other sync.Desired
	}{
		{"both create", code(5, "abc123", as), code(5, "abc123", as)},
		{"both rotate", code(5, "rotated", as), code(5, "rotated", as)},
		{"one rotates while the other updates", code(5, "rotated", renamed), code(5, "again", as)},
		{"both change the headers", code(5, "again", header), code(5, "again", header)},
		{"one changes the headers and the other does not", code(5, "again", header), code(4, "again", as)},
		{"one deletes what the other makes", code(2, "again", as), code(5, "again", header)},
		{"both delete", none, none},
	} {
		var both gosync.WaitGroup
		for i, in := range []sync.Desired{step.one, step.other} {
			p := s.platform(Options{})
			both.Go(func() {
				plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true, Calls: patient, AllowMassDelete: true})
				if err == nil {
					_, err = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: patient})
				}
				if err != nil {
					t.Logf("%s: apply %d: %v", step.name, i+1, err)
				}
			})
		}
		both.Wait()
		in := step.other
		apply(t, s.platform(Options{}), in)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
		s.requireUsed(t, project)
		for _, a := range in.Automations {
			if !a.Enabled {
				continue
			}
			if err := fire(s.webhook(project, a.Key), map[string]any{"userId": "u"}); err != nil {
				t.Errorf("%s: %s: %v", step.name, a.Key, err)
				continue
			}
			user, _, _ := (&http.Request{Header: recorder.Next(t).Header}).BasicAuth()
			if want := in.Secrets["WRITE_KEY"].Reveal(); user != want {
				t.Errorf("%s: %s was sent with %q, want %q", step.name, a.Key, user, want)
			}
		}
		if t.Failed() {
			t.Fatalf("after: %s", step.name)
		}
	}
}

// One apply deletes a credential with the last workflow that uses it, just after
// another apply has given it to a new workflow. Then both applies give that
// workflow another credential.
func (s *server) testUseOfDeletedCredential(t *testing.T) {
	const project = "used-late"
	recorder := platformtest.StartRecorder(t)
	in := two(project, "abc123")
	in.Automations[1].Action.URL = recorder.URL
	old, fresh := in, in
	old.Automations, fresh.Automations = in.Automations[:1], in.Automations[1:]
	apply(t, s.platform(Options{}), old)
	other := s.platform(Options{})
	if _, err := other.Secrets(t.Context(), project, in.Secrets); err != nil {
		t.Fatal(err)
	}
	var late sync.Stored
	var lateErr, settleErr error
	var created, settled gosync.Once
	p := s.platform(Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		switch {
		case r.Method == "DELETE" && strings.Contains(r.URL.Path, "/credentials/"):
			created.Do(func() { late, lateErr = other.Create(t.Context(), project, fresh.Automations[0]) })
		case r.Method == "PUT" && late.ID != "" && strings.HasSuffix(r.URL.Path, late.ID):
			settled.Do(func() {
				other.project(project).unsettled.Store(true) // as after an update
				settleErr = other.Settle(t.Context(), project)
			})
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	found, err := p.Find(t.Context(), project, old.Automations[0].Key)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	if _, err := p.Secrets(t.Context(), project, in.Secrets); err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(t.Context(), found[0]); err != nil || lateErr != nil || settleErr != nil {
		t.Fatal(err, lateErr, settleErr)
	}
	settled.Do(func() { t.Error("the workflow was not given another credential") })
	s.requireUsed(t, project)
	platformtest.RequireExactly(t, s.platform(Options{}), fresh)
	if err := fire(s.webhook(project, fresh.Automations[0].Key), map[string]any{"userId": "u"}); err != nil {
		t.Fatal(err)
	}
	if auth := recorder.Next(t).Header.Get("Authorization"); auth != "Basic YWJjMTIzOg==" {
		t.Errorf("Authorization = %q", auth)
	}
}

// One apply has just created a credential, and another one sees that nothing
// uses it.
func (s *server) testNewCredentialDeleted(t *testing.T) {
	const project = "taken-for-left"
	in := two(project, "abc123")
	var posts atomic.Int64
	meddling := roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/workflows") {
			if posts.Add(1) == 2 { // the first is the ledger
				s.requireCredentials(t, project, 1)
				apply(t, s.platform(Options{}), sync.Desired{Project: project, Target: "test"})
				s.requireCredentials(t, project, 0)
			}
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	p := s.platform(Options{Transport: meddling})
	apply(t, p, in)
	platformtest.RequireExactly(t, s.platform(Options{}), in)
	s.requireUsed(t, project)
	s.requireCredentials(t, project, 1)
}

// requireUsed checks, in n8n's database, that each credential of a project is
// used by a workflow, and that each credential used by a workflow exists.
func (s *server) requireUsed(t testing.TB, project string) {
	t.Helper()
	stored := s.strings(t, "SELECT id FROM credentials_entity WHERE name LIKE ?", "segue "+project+":%")
	used := s.strings(t, `SELECT DISTINCT json_extract(node.value, '$.credentials.`+credentialType+`.id')
		FROM workflow_entity, json_each(nodes) node
		WHERE json_extract(node.value, '$.id') = ? AND nodes LIKE ? AND json_extract(node.value, '$.credentials') IS NOT NULL`,
		sendID, `%"segue/`+project+`/%`)
	slices.Sort(stored)
	slices.Sort(used)
	if !slices.Equal(stored, used) {
		t.Errorf("n8n has the credentials %q of %s; used are %q", stored, project, used)
	}
	if left := s.strings(t, "SELECT name FROM workflow_entity WHERE name LIKE ?", "segue "+project+":%"); len(left) > 0 {
		t.Errorf("the workflows %q are left", left)
	}
}

// two returns two automations that share a write key.
func two(project, value string) sync.Desired {
	in := platformtest.Hundred(project, "https://example.com")
	in.Automations = in.Automations[:2]
	in.Secrets = platformtest.Secret(value)
	return in
}

// dying sends this number of writing requests, the last one without an answer,
// and none afterwards.
type dying struct {
	mu   gosync.Mutex
	left int
}

// writes reports whether a request changes something. A move of a credential to
// a project that does not exist changes nothing.
func writes(r *http.Request) bool {
	return r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/transfer")
}

var errDead = errors.New("killed")

func (d *dying) dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.left <= 0
}

func (d *dying) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	if d.left <= 0 {
		d.mu.Unlock()
		return nil, errDead
	}
	if writes(r) {
		d.left--
	}
	last := d.left == 0
	d.mu.Unlock()
	res, err := http.DefaultTransport.RoundTrip(r)
	if last && err == nil {
		res.Body.Close()
		return nil, errDead
	}
	return res, err
}

// With parallel writes over SQLite, against the advice of DefaultParallelism,
// several applies may be needed. No apply makes the state worse.
func TestParallelWritesComeRightInTheEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := s.platform(Options{Parallelism: 8})
	in := platformtest.Hundred("parallel", "https://example.com")
	for _, in := range []sync.Desired{in, changed(in)} {
		applies := 0
		for ; applies < 10; applies++ {
			plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true, Calls: patient})
			if err != nil {
				t.Fatal(err)
			}
			if plan.Empty() {
				break
			}
			if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Parallelism: 8, Calls: patient}); err != nil {
				t.Logf("apply %d: %v", applies+1, err)
			}
		}
		t.Logf("it took %d applies", applies)
		platformtest.RequireExactly(t, s.platform(Options{}), in)
	}
}

// A plan without changes only requests the pages of the list, and whether its
// credentials exist.
func TestPlanWithoutChangesReadsPagesOnly(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	const n = 600
	in := sync.Desired{Project: "pages", Target: "test", Secrets: platformtest.Secret("abc123")}
	p := s.platform(Options{})
	if err := p.PutSecret(t.Context(), in.Project, "WRITE_KEY", in.Secrets["WRITE_KEY"]); err != nil {
		t.Fatal(err)
	}
	template := platformtest.Hundred(in.Project, "https://example.com").Automations
	for i := range n {
		a := template[i%100]
		a.Key, a.Enabled = fmt.Sprintf("team/a%04d", i), false
		in.Automations = append(in.Automations, a)
	}
	made, err := p.Create(t.Context(), in.Project, in.Automations[0])
	if err != nil {
		t.Fatal(err)
	}
	s.multiply(t, made.ID, in)
	t.Cleanup(func() { // fast, like their creation; none was ever active
		s.sqlite(t, "DELETE FROM shared_workflow")
		s.sqlite(t, "DELETE FROM workflow_entity")
	})
	counted := &counter{}
	start := time.Now()
	plan, err := sync.MakePlan(t.Context(), s.platform(Options{Transport: counted}), in, sync.PlanOptions{AllowSecondProject: true})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	if !plan.Empty() || len(plan.Unchanged) != n {
		t.Errorf("the plan has %d changes and %d unchanged", len(plan.Changes), len(plan.Unchanged))
	}
	const pages = 3                   // of 250, each repeating 5 of the one before
	others := counted.counts["GET /"] // which shows n8n's version
	for request, n := range counted.counts {
		// n8n 1 can't read a credential; another request shows whether it exists.
		if strings.HasPrefix(request, "GET /api/v1/credentials/") || strings.HasPrefix(request, "PUT /api/v1/credentials/") && strings.HasSuffix(request, "/transfer") {
			others += n
		}
	}
	if len(counted.counts) != 1+others || others != 3 || counted.counts["GET /api/v1/workflows"] != pages {
		t.Errorf("requests of a plan without changes: %v, want %d pages of the list, 2 about the credential, and 1 about the version", counted.counts, pages)
	}
	t.Logf("a plan of %d automations without changes took %v and %v", n, took.Round(time.Millisecond), counted.counts)

	t.Run("workflows that are deleted while the list is read move no others out of it", func(t *testing.T) {
		ids := s.strings(t, "SELECT id FROM workflow_entity")
		slices.Sort(ids) // as n8n does
		read := 0
		meddling := roundTripper(func(r *http.Request) (*http.Response, error) {
			res, err := http.DefaultTransport.RoundTrip(r)
			if read++; read == 2 {
				for _, id := range ids[:2*pageOverlap] {
					s.rest(t, "DELETE", "/api/v1/workflows/"+id, nil, nil)
				}
			}
			return res, err
		})
		stored, err := s.platform(Options{Transport: meddling}).List(t.Context(), in.Project)
		if err != nil {
			t.Fatal(err)
		}
		listed := map[string]bool{}
		for _, one := range stored {
			listed[one.ID] = true
		}
		for _, id := range ids[2*pageOverlap:] {
			if !listed[id] {
				t.Errorf("the list has lost %s", id)
			}
		}
		if read <= pages {
			t.Errorf("%d pages were read, want more than %d: what has moved was not noticed", read, pages)
		}
	})
}

// multiply stores further automations of the project in n8n's database, in the
// same form as n8n's API, which is too slow for hundreds.
func (s *server) multiply(t *testing.T, id string, in sync.Desired) {
	t.Helper()
	var w workflow
	s.rest(t, "GET", "/api/v1/workflows/"+id, nil, &w)
	r, ok := w.record()
	if !ok {
		t.Fatal("no record")
	}
	db := s.database(t)
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	insert := func(table, key string, values map[string]any) {
		rows, err := tx.Query("SELECT name FROM pragma_table_info(?)", table)
		if err != nil {
			t.Fatal(err)
		}
		var names, sources []string
		var args []any
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			names = append(names, `"`+name+`"`)
			if v, ok := values[name]; ok {
				sources, args = append(sources, "?"), append(args, v)
			} else {
				sources = append(sources, `"`+name+`"`)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM %s WHERE "%s" = ?`,
			table, strings.Join(names, ", "), strings.Join(sources, ", "), table, key), append(args, id)...); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range in.Automations[1:] {
		r.Key, r.Hash, r.ID, r.Nonce = a.Key, a.Hash(), fmt.Sprintf("%s%04d", id[:12], i), fmt.Sprint("nonce ", i)
		other, err := build(a, r, "")
		if err != nil {
			t.Fatal(err)
		}
		other.node(sendID)["credentials"] = w.node(sendID)["credentials"]
		nodes, err := json.Marshal(other.Nodes)
		if err != nil {
			t.Fatal(err)
		}
		insert("workflow_entity", "id", map[string]any{"id": r.ID, "name": a.Name, "nodes": string(nodes)})
		insert("shared_workflow", "workflowId", map[string]any{"workflowId": r.ID})
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// BenchmarkApply compares an apply of a hundred new automations, including the
// plan, with the minimum of requests: a credential, and a create and an
// activation each, with the same parallelism. Both run in turn.
func BenchmarkApply(b *testing.B) {
	s := startServer(b)
	const n = 100
	var applied, bare time.Duration
	round := 0
	for b.Loop() {
		round++
		project := fmt.Sprintf("bench-%d", round)
		in := platformtest.Hundred(project, "https://example.com")
		p := s.platform(Options{})
		applied += timed(func() { apply(b, p, in) })
		apply(b, p, sync.Desired{Project: project, Target: "test"})
		bare += timed(func() { s.createBare(b, in) })
		apply(b, s.platform(Options{}), sync.Desired{Project: project, Target: "test"})
	}
	b.ReportMetric(applied.Seconds()*1000/float64(b.N)/n, "ms/applied")
	b.ReportMetric(bare.Seconds()*1000/float64(b.N)/n, "ms/bare")
	b.ReportMetric(applied.Seconds()/bare.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// createBare makes the same workflows as an apply, one request at a time as
// with DefaultParallelism, without any other request.
func (s *server) createBare(t testing.TB, in sync.Desired) {
	t.Helper()
	p := s.platform(Options{})
	p.project(in.Project).values = in.Secrets
	auth, headers, err := p.newMint(p.project(in.Project), secretHeaders(in.Automations[0].Action))
	if err != nil {
		t.Fatal(err)
	}
	auth.Name = "segue " + in.Project + ": bare"
	var made struct{ ID string }
	s.rest(t, "POST", "/api/v1/credentials", map[string]any{"name": auth.Name, "type": credentialType,
		"data": map[string]any{"headers": map[string]any{"values": headers}}}, &made)
	auth.ID = made.ID
	for _, a := range in.Automations {
		w, err := build(a, record{Marker: sync.Marker{Project: in.Project, Key: a.Key, Hash: a.Hash()}, Auth: auth}, "")
		if err != nil {
			t.Fatal(err)
		}
		s.rest(t, "POST", "/api/v1/workflows", w, &made)
		s.rest(t, "POST", "/api/v1/workflows/"+made.ID+"/activate", nil, nil)
	}
}
