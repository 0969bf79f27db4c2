package n8n

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// sqlite runs SQL in n8n's database, behind its back and without its checks of
// foreign keys.
func (s *server) sqlite(t testing.TB, query string, args ...any) {
	t.Helper()
	db := s.database(t)
	defer db.Close()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

func (s *server) database(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.data, ".n8n", "database.sqlite")+"?_pragma=busy_timeout(30000)")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// strings returns the values of a query of n8n's database with one column.
func (s *server) strings(t testing.TB, query string, args ...any) []string {
	t.Helper()
	db := s.database(t)
	defer db.Close()
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// A workflow can only be active in a version that is in n8n's history.
func TestHistory(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	t.Run("a version is gone", s.testVersionGone)
	t.Run("versions can't be stored", s.testVersionsNotStored)
}

// One apply repairs a workflow whose version is missing from the history,
// without replacing it.
func (s *server) testVersionGone(t *testing.T) {
	p := s.platform(Options{})
	recorder := platformtest.StartRecorder(t)
	otherURL := func(a *automation.Automation) { a.Action.URL += "/other" }
	off := func(a *automation.Automation) { a.Enabled = false }
	for name, test := range map[string]struct {
		before, change func(*automation.Automation) // nil for none
	}{
		"an active workflow":                            {},
		"an active workflow that is updated":            {change: otherURL},
		"an active workflow that is switched off":       {change: off},
		"an inactive workflow that is switched on":      {before: off},
		"an inactive workflow that is updated, and on":  {before: off, change: otherURL},
		"an inactive workflow that is updated, and off": {before: off, change: func(a *automation.Automation) { off(a); otherURL(a) }},
	} {
		t.Run(name, func(t *testing.T) {
			project := fmt.Sprintf("history-%d", s.serial.Add(1))
			in, before := two(project, "abc123"), two(project, "abc123")
			for _, d := range []sync.Desired{in, before} {
				d.Automations[0].Action.URL = recorder.URL + "/v1"
			}
			if test.before != nil {
				test.before(&before.Automations[0])
			}
			if test.change != nil {
				test.change(&in.Automations[0])
			}
			apply(t, p, before)
			key := in.Automations[0].Key
			old, err := p.Find(t.Context(), project, key)
			if err != nil || len(old) != 1 {
				t.Fatalf("found %+v, %v", old, err)
			}
			s.sqlite(t, "DELETE FROM workflow_history WHERE workflowId = ?", old[0].ID)
			s.applyOnce(t, in, sync.Calls{Tries: 1})
			if now, err := p.Find(t.Context(), project, key); err != nil || len(now) != 1 || now[0].ID != old[0].ID {
				t.Errorf("found %+v, %v, want the workflow %s", now, err, old[0].ID)
			}
			s.requireCredentials(t, project, 1)
			err = fire(s.webhook(project, key), map[string]any{"userId": "u"})
			switch a := in.Automations[0]; {
			case !a.Enabled && err == nil:
				t.Error("what is switched off was fired")
			case a.Enabled && err != nil:
				t.Error(err)
			case a.Enabled:
				if got := recorder.Next(t); recorder.URL+got.URI != a.Action.URL {
					t.Errorf("the message came to %s, want %s", got.URI, a.Action.URL)
				}
			}
		})
	}
}

// applyOnce brings the platform up to date in one apply, with these calls.
func (s *server) applyOnce(t testing.TB, in sync.Desired, calls sync.Calls) {
	t.Helper()
	p := s.platform(Options{})
	plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: calls}); err != nil {
		t.Fatal(err)
	}
	platformtest.RequireExactly(t, p, in)
}

// n8n continues silently when it can't store a version.
func (s *server) testVersionsNotStored(t *testing.T) {
	recorder := platformtest.StartRecorder(t)
	// fail makes this number of writes of versions fail.
	s.sqlite(t, "CREATE TABLE failing (left INTEGER)")
	s.sqlite(t, "INSERT INTO failing VALUES (0)")
	s.sqlite(t, `CREATE TRIGGER fail BEFORE INSERT ON workflow_history WHEN (SELECT left FROM failing) > 0
		BEGIN UPDATE failing SET left = left - 1; SELECT RAISE(FAIL, 'the version is lost'); END`)
	t.Cleanup(func() { // other tests use the server after this one
		s.sqlite(t, "DROP TRIGGER fail")
		s.sqlite(t, "DROP TABLE failing")
	})
	fail := func(t *testing.T, n int) { s.sqlite(t, "UPDATE failing SET left = ?", n) }
	fires := func(t *testing.T, in sync.Desired) {
		t.Helper()
		if err := fire(s.webhook(in.Project, in.Automations[0].Key), map[string]any{"userId": "u"}); err != nil {
			t.Fatal(err)
		}
		recorder.Next(t)
	}
	wanted := func(project string) sync.Desired {
		in := two(project, "abc123")
		in.Automations = in.Automations[:1]
		in.Automations[0].Action.URL = recorder.URL
		return in
	}

	t.Run("of one that is created", func(t *testing.T) {
		in := wanted("created")
		// The create, and the update that gives it its credential.
		fail(t, 2)
		s.applyOnce(t, in, sync.Calls{Tries: 1})
		fires(t, in)
	})
	t.Run("of an active one that is updated", func(t *testing.T) {
		in := wanted("updated")
		apply(t, s.platform(Options{}), in)
		fail(t, 1)
		in.Automations[0].Name = "Updated"
		s.applyOnce(t, in, sync.Calls{Tries: 2, BackOff: patient.BackOff})
		fires(t, in)
	})
	t.Run("all the time", func(t *testing.T) {
		in := wanted("always")
		fail(t, 1000)
		p := s.platform(Options{})
		plan, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{AllowSecondProject: true})
		if err != nil {
			t.Fatal(err)
		}
		_, err = sync.Apply(t.Context(), p, plan, in, sync.ApplyOptions{Calls: sync.Calls{Tries: 1}})
		wantError(t, err, sync.Temporary, "can't activate the workflow", "fails to store versions in its workflow history")
		fail(t, 0)
		s.applyOnce(t, in, sync.Calls{Tries: 1})
		s.requireCredentials(t, "always", 1)
		fires(t, in)
	})
}

func TestNoVersion(t *testing.T) {
	for message, want := range map[string]bool{
		"SQLITE_CONSTRAINT: FOREIGN KEY constraint failed":                                                                       true,
		`insert or update on table "workflow_entity" violates foreign key constraint "FK_08d6c67b7f722b0039d9d5ed620"`:           true,
		"Cannot add or update a child row: a foreign key constraint fails (`n8n`.`workflow_entity`, CONSTRAINT `FK_08d6c67b7f`)": true,
		"SQLITE_CONSTRAINT: UNIQUE constraint failed: webhook_entity.webhookPath, webhook_entity.method":                         false,
		"SQLITE_BUSY: database is locked": false,
	} {
		err := &sync.Error{Kind: sync.Temporary, Status: http.StatusBadRequest, Message: message}
		if got := noVersion(err); got != want {
			t.Errorf("%s: %v", message, got)
		}
	}
	if noVersion(nil) {
		t.Error("no error is one")
	}
}
