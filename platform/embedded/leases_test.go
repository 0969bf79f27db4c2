package embedded

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// lease returns a lease of one minute by a wrong clock, which must not matter.
func lease(id, holder string) sync.Lease {
	since := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	return sync.Lease{ID: id, Holder: holder, Since: since, Until: since.Add(time.Minute)}
}

func TestLease(t *testing.T) {
	_, store := handlerFor(t)
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	store.now = func() time.Time { return now }
	p := platformOver(t, store)
	if err := p.Lock(t.Context(), "growth", lease("1", "ada")); err != nil {
		t.Fatal(err)
	}
	var held *sync.HeldError
	wantHeld := func(err error, since, until time.Time) {
		t.Helper()
		if !errors.As(err, &held) {
			t.Fatalf("error %v, want that somebody else holds it", err)
		}
		if diff := cmp.Diff(sync.Lease{ID: "1", Holder: "ada", Since: since, Until: until}, held.Lease); diff != "" {
			t.Errorf("lease (-want +got):\n%s", diff)
		}
	}
	begin := now
	wantHeld(p.Lock(t.Context(), "growth", lease("2", "grace")), begin, begin.Add(time.Minute))
	if err := p.Lock(t.Context(), "sales", lease("2", "grace")); err != nil {
		t.Errorf("another project: %v", err)
	}
	now = now.Add(50 * time.Second)
	if err := p.Lock(t.Context(), "growth", lease("1", "ada")); err != nil {
		t.Errorf("renew: %v", err)
	}
	now = now.Add(59 * time.Second)
	wantHeld(p.Lock(t.Context(), "growth", lease("2", "grace")), begin, now.Add(time.Second))
	if err := p.Unlock(t.Context(), "growth", lease("2", "grace")); err != nil {
		t.Errorf("release the lease of somebody else: %v", err)
	}
	wantHeld(p.Lock(t.Context(), "growth", lease("2", "grace")), begin, now.Add(time.Second))
	now = now.Add(time.Second) // it has expired
	if err := p.Lock(t.Context(), "growth", lease("2", "grace")); err != nil {
		t.Errorf("take an expired lease: %v", err)
	}
	if err := p.Lock(t.Context(), "growth", lease("1", "ada")); !errors.As(err, &held) || held.Lease.Holder != "grace" {
		t.Errorf("renew a lost lease: %v", err)
	}
	for range 2 {
		if err := p.Unlock(t.Context(), "growth", lease("2", "grace")); err != nil {
			t.Errorf("release it: %v", err)
		}
	}
	if err := p.Lock(t.Context(), "growth", lease("1", "ada")); err != nil {
		t.Errorf("take a released lease: %v", err)
	}
}

// Several processes open one file, and one of them gets the lease.
func TestLeaseHasOneHolder(t *testing.T) {
	path := dataFile(t)
	const n = 8
	errs := make([]error, n)
	var all gosync.WaitGroup
	for i := range n {
		p := must(OpenLocal(t.Context(), path, LocalOptions{}))(t)
		t.Cleanup(func() { p.Close() })
		all.Go(func() {
			errs[i] = p.Lock(context.Background(), "growth", lease(string(rune('a'+i)), "somebody"))
		})
	}
	all.Wait()
	taken := 0
	for _, err := range errs {
		var held *sync.HeldError
		switch {
		case err == nil:
			taken++
		case !errors.As(err, &held):
			t.Errorf("error %v, want that somebody else holds it", err)
		}
	}
	if taken != 1 {
		t.Errorf("%d hold the lease, want 1", taken)
	}
}

// A platform of an older segue does not have this path; applies work there as
// before.
func TestLeaseOfAnOlderPlatform(t *testing.T) {
	older := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { noSuchPath().send(w) })
	p := must(NewClient("http://127.0.0.1:1", automation.Secret{}, ClientOptions{Transport: handlerTransport{older}}))(t)
	if err := errors.Join(p.Lock(t.Context(), "growth", lease("1", "ada")), p.Unlock(t.Context(), "growth", lease("1", "ada"))); err != nil {
		t.Error(err)
	}
}

// A file of the first layout is migrated to the present one, and its content
// works.
func TestOpenBringsAFileUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "platform.db")
	a := sample("growth/a", "https://example.com/")
	marker := sync.MarkerOf("growth", a)
	db := must(sql.Open("sqlite", path))(t)
	for _, statement := range []string{migrations[0], "PRAGMA application_id = 0x73656775", "PRAGMA user_version = 1"} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(`INSERT INTO automations (project, key, hash, revision, body, enabled, trigger_kind, trigger_name, created_at, updated_at)
		VALUES ('growth', ?, ?, 7, ?, 1, ?, ?, 1, 2)`, a.Key, marker.Hash, must(canonicalBody(a))(t), string(a.Trigger.Kind), a.Trigger.Name); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time, there is nothing to do
		p := must(OpenLocal(t.Context(), path, LocalOptions{}))(t)
		stored := must(p.List(t.Context(), "growth"))(t)
		if len(stored) != 1 || stored[0].Revision != "7" || stored[0].Marker != marker || stored[0].Automation.Hash() != a.Hash() {
			t.Fatalf("stored %+v", stored)
		}
		if err := p.Lock(t.Context(), "growth", lease("1", "ada")); err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMarkerKeepsWhatWasMade(t *testing.T) {
	_, store := handlerFor(t)
	p := platformOver(t, store)
	a := sample("growth/a", "https://example.com/")
	stored := must(p.Create(t.Context(), "growth", a))(t)
	next := stored.Marker
	next.Made = "sha256:made"
	stored = must(p.Update(t.Context(), stored, next, a))(t)
	found := must(p.Find(t.Context(), "growth", a.Key))(t)
	if stored.Marker != next || len(found) != 1 || found[0].Marker != next {
		t.Errorf("marker %+v, found %+v, want %+v", stored.Marker, found, next)
	}
}

// One project takes over the automations of another, and automations that have
// lost their markers.
func TestTakeOver(t *testing.T) {
	_, store := handlerFor(t)
	p := platformOver(t, store)
	a, b := sample("growth/a", "https://example.com/"), sample("growth/b", "https://example.com/")
	first := must(p.Create(t.Context(), "old", a))(t)
	second := must(p.Create(t.Context(), "old", b))(t)
	own := must(p.Create(t.Context(), "new", sample("growth/own", "https://example.com/")))(t)
	for _, project := range []string{"old", "new"} {
		if err := p.PutSecret(t.Context(), project, writeKey, automation.NewSecret("of "+project)); err != nil {
			t.Fatal(err)
		}
	}
	bare := sample("growth/bare", "https://example.com/")
	bare.Action.Headers = nil
	unmarked := must(store.createAutomation(t.Context(), nil, bare))(t)
	other := bare
	other.Key = "elsewhere"
	must(store.createAutomation(t.Context(), nil, other))(t)

	survey := must(p.Survey(t.Context(), "new", []string{"growth/a", "growth/bare", "growth/own"}))(t)
	type shown struct {
		ID    string
		Kind  sync.OtherKind
		Takes string
	}
	var got []shown
	for _, o := range survey.Others {
		got = append(got, shown{o.ID, o.Kind, o.Takes})
	}
	want := []shown{{first.ID, sync.Foreign, ""}, {second.ID, sync.Foreign, ""}, {unmarked.ID, sync.Unmarked, "growth/bare"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("others (-want +got):\n%s", diff)
	}
	if o := survey.Others[0]; o.Marker != first.Marker || o.Automation.Hash() != a.Hash() || o.Title != `automation "`+a.Name+`" (`+o.ID+`)` {
		t.Errorf("foreign %+v", o)
	}

	secrets := func(project string) int { return len(must(p.Secrets(t.Context(), project, nil))(t)) }
	for i, o := range survey.Others {
		a := o.Automation
		must(p.Update(t.Context(), o.Stored, sync.MarkerOf("new", a), a))(t)
		if n := secrets("old"); n != 1 && i == 0 || n != 0 && i > 0 {
			t.Errorf("after %d: the old project has %d secrets", i+1, n)
		}
	}
	if n := len(must(p.List(t.Context(), "new"))(t)); n != 4 {
		t.Errorf("%d automations, want 4", n)
	}
	if n := secrets("new"); n != 1 {
		t.Errorf("the new project has %d secrets, want 1", n)
	}
	_, err := p.Update(t.Context(), own, sync.MarkerOf("new", a), a)
	if sync.KindOf(err) != sync.Exists {
		t.Errorf("a key that is taken: %v", err)
	}
	if o := must(p.Survey(t.Context(), "new", nil))(t).Others; len(o) != 0 {
		t.Errorf("others %+v, want none", o)
	}
}

// A list nests its automations one level deeper, and its reader has a depth
// limit.
func TestNestedTooDeep(t *testing.T) {
	_, store := handlerFor(t)
	p := platformOver(t, store)
	for n, fits := range map[int]bool{automation.DeepestPayload: true, automation.DeepestPayload + 1: false, 9_997: false} {
		a := sample("growth/a", "https://example.com/")
		a.Action.Payload = []byte(strings.Repeat("[", n) + `"[\"{"` + strings.Repeat("]", n))
		stored, err := p.Create(t.Context(), "growth", a)
		if !fits {
			if err == nil || !strings.Contains(err.Error(), "payload: is nested") || sync.KindOf(err) != sync.Refused {
				t.Errorf("%d deep: error %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%d deep: %v", n, err)
		}
		if found := must(p.List(t.Context(), "growth"))(t); len(found) != 1 || found[0].Automation.Hash() != a.Hash() {
			t.Errorf("%d deep: it can't be listed", n)
		}
		if err := p.Delete(t.Context(), stored); err != nil {
			t.Error(err)
		}
	}
}
