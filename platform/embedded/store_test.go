package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

func TestOpenCreatesPrivateFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	path := filepath.Join(t.TempDir(), "new ?#%/platform.db")
	s := openStore(t, path)
	if err := s.putSecret(t.Context(), "p", "S", automation.NewSecret("x")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600, path + ".key": 0o600, path + "-wal": 0o600} {
		stat, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := stat.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", name, got, want)
		}
	}
}

func TestOpenKeepsWhatIsThere(t *testing.T) {
	path := dataFile(t)
	s := openStore(t, path)
	a := sample("growth/a", "https://example.com/")
	marker := &sync.Marker{Project: "growth", Key: a.Key, Hash: a.Hash()}
	made := must(s.createAutomation(t.Context(), marker, a))(t)
	if err := s.putSecret(t.Context(), "growth", writeKey, automation.NewSecret("abc123")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, path)
	got := must(again.automationByID(t.Context(), made.ID))(t)
	if string(got.Automation) != string(made.Automation) || *got.Marker != *marker {
		t.Errorf("after opening again: %+v, want %+v", got, made)
	}
	if value := must(again.secrets(t.Context(), "growth"))(t)[writeKey]; value.Reveal() != "abc123" {
		t.Error("the secret is another one")
	}
}

func TestOpenRefuses(t *testing.T) {
	exec := func(t *testing.T, path string, statements ...string) {
		t.Helper()
		db := must(sql.Open("sqlite", path))(t)
		defer db.Close()
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	withSecret := func(t *testing.T, path string) {
		t.Helper()
		s := must(Open(t.Context(), path))(t)
		if err := s.putSecret(t.Context(), "p", "S", automation.NewSecret("x")); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	for name, test := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"a short text":           {func(t *testing.T, p string) { write(t, p, "hello") }, "is not a segue platform database (it is not a SQLite file)"},
		"a long text":            {func(t *testing.T, p string) { write(t, p, strings.Repeat("hello ", 1000)) }, "is not a segue platform database"},
		"a folder":               {func(t *testing.T, p string) { os.Mkdir(p, 0o700) }, "is a folder"},
		"another program's file": {func(t *testing.T, p string) { exec(t, p, "CREATE TABLE t (x)") }, "belongs to another program"},
		"another application": {func(t *testing.T, p string) { exec(t, p, "PRAGMA application_id = 7", "CREATE TABLE t (x)") },
			"belongs to another program"},
		"a newer version": {func(t *testing.T, p string) {
			must(Open(t.Context(), p))(t).Close()
			exec(t, p, "PRAGMA user_version = 4")
		}, "was written by a newer segue (data version 4, this one reads up to 3); upgrade segue"},
		"a damaged file": {func(t *testing.T, p string) {
			must(Open(t.Context(), p))(t).Close()
			b := must(os.ReadFile(p))(t)
			write(t, p, string(b[:100])+strings.Repeat("\xff", len(b)-100))
		}, "is damaged"},
		"a locked file": {func(t *testing.T, p string) {
			must(Open(t.Context(), p))(t).Close()
			db := must(sql.Open("sqlite", p+"?_txlock=exclusive"))(t)
			tx := must(db.Begin())(t)
			t.Cleanup(func() { tx.Rollback(); db.Close() })
		}, "is in use by another process"},
		"a lost key": {func(t *testing.T, p string) { withSecret(t, p); os.Remove(p + ".key") },
			"platform.db.key is missing, and without it the stored secret can't be read"},
		"a wrong key": {func(t *testing.T, p string) { withSecret(t, p); write(t, p+".key", strings.Repeat("ab", 32)) },
			"is not the key of the stored secret; restore"},
		"half a key":       {func(t *testing.T, p string) { withSecret(t, p); write(t, p+".key", "abcd") }, "is not a key (64 hex digits)"},
		"a key for all":    {func(t *testing.T, p string) { withSecret(t, p); os.Chmod(p+".key", 0o644) }, "mode 0644); run: chmod 600"},
		"a file as folder": {func(t *testing.T, p string) { os.RemoveAll(filepath.Dir(p)); write(t, filepath.Dir(p), "x") }, "create its folder"},
		"a folder as key":  {func(t *testing.T, p string) { os.Mkdir(p+".key", 0o700) }, "platform.db.key"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "platform.db")
			os.Mkdir(filepath.Dir(path), 0o700)
			test.make(t, path)
			before, _ := os.ReadFile(path)
			s, err := open(t.Context(), path, 20*time.Millisecond)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), filepath.Dir(path)) {
				t.Errorf("got error %q, want one with %q", err, test.want)
			}
			if after, _ := os.ReadFile(path); before != nil && string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenMakesNewKeyWhileThereAreNoSecrets(t *testing.T) {
	path := dataFile(t)
	openStore(t, path).Close()
	os.Remove(path + ".key")
	s := openStore(t, path)
	if err := s.putSecret(t.Context(), "p", "S", automation.NewSecret("x")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	openStore(t, path)
}

func TestSealedSecretBelongsToItsPlace(t *testing.T) {
	s := openStore(t, dataFile(t))
	if err := s.putSecret(t.Context(), "p", "A", automation.NewSecret("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.Exec("UPDATE secrets SET name = 'B'"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.secrets(t.Context(), "p"); err == nil {
		t.Error("a secret under another's name was opened")
	}
}

func TestDiskFullLeavesNothingHalfDone(t *testing.T) {
	path := dataFile(t)
	s := openStore(t, path)
	p := platformOver(t, s)
	ctx := t.Context()
	if _, err := s.write.Exec("PRAGMA max_page_count = 40"); err != nil {
		t.Fatal(err)
	}
	var kept int
	var err error
	for err == nil {
		a := sample(fmt.Sprintf("growth/%d", kept), "https://example.com/")
		a.Name = strings.Repeat("long ", 2000)
		if _, err = p.Create(ctx, "growth", a); err == nil {
			kept++
		}
	}
	var e *sync.Error
	if !errors.As(err, &e) || e.Status != http.StatusInsufficientStorage || !strings.Contains(e.Message, "full") {
		t.Fatalf("got error %v, want 507 and that the disk is full", err)
	}
	if all := must(p.List(ctx, "growth"))(t); len(all) != kept {
		t.Errorf("%d automations are there, want %d", len(all), kept)
	}
	// An occurrence whose deliveries do not fit is not stored either.
	big := Occurrence{ID: "big", Kind: automation.Pattern, Name: "Account activated", Data: fmt.Appendf(nil, `{"userId": %q}`, strings.Repeat("x", 300_000))}
	if _, err := p.call(ctx, call{method: "POST", path: "/v1/occurrences", in: big}); !errors.As(err, &e) || e.Status != http.StatusInsufficientStorage {
		t.Errorf("fire on a full disk: %v, want 507", err)
	}
	if _, err := p.call(ctx, call{method: "GET", path: "/v1/occurrences/big"}); sync.KindOf(err) != sync.NotFound {
		t.Errorf("read the occurrence: %v, want not found", err)
	}
	if _, err := s.write.Exec("PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Create(ctx, "growth", sample("growth/after", "https://example.com/")); err != nil {
		t.Errorf("create after room was made: %v", err)
	}
}

func TestReadOnlyData(t *testing.T) {
	s := openStore(t, dataFile(t))
	if _, err := s.write.Exec("PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	_, err := platformOver(t, s).Create(t.Context(), "growth", sample("growth/a", "https://example.com/"))
	var e *sync.Error
	if !errors.As(err, &e) || e.Status != 500 || !strings.Contains(e.Message, "can't be written") {
		t.Errorf("got %v, want 500 and that the file can't be written", err)
	}
}

func TestLockedDataIsTemporary(t *testing.T) {
	path := dataFile(t)
	openStore(t, path).Close()
	s := must(open(t.Context(), path, 10*time.Millisecond))(t)
	defer s.Close()
	other := openStore(t, path)
	tx := must(other.write.Begin())(t)
	defer tx.Rollback()
	_, err := platformOver(t, s).Create(t.Context(), "growth", sample("growth/a", "https://example.com/"))
	var e *sync.Error
	if !errors.As(err, &e) || e.Status != 503 || e.Kind != sync.Temporary || e.RetryAfter != time.Second {
		t.Errorf("got %#v, want a temporary 503 with Retry-After", err)
	}
}

// platformOver returns an in-process platform over an open store.
func platformOver(t *testing.T, s *Store) *Platform {
	t.Helper()
	logger := newLogBook().logger()
	d := newDispatcher(s, fast(), logger)
	t.Cleanup(d.Close)
	p := newPlatform(must(NewClient("http://in-process", automation.Secret{}, ClientOptions{}))(t).base, s.path, automation.Secret{},
		ClientOptions{Transport: handlerTransport{newAPI(s, d, automation.Secret{}, logger)}})
	return p
}

// Another process may see the file while it is being created, or its creator may be
// killed: SQLite writes the file's header before the tables.
func TestFileWithoutTables(t *testing.T) {
	path := dataFile(t)
	db := must(sql.Open("sqlite", path))(t)
	must(db.Exec(incremental))(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if stat := must(os.Stat(path))(t); stat.Size() == 0 {
		t.Fatal("SQLite writes nothing, so this tests nothing")
	}
	must(openLocal(t, path, LocalOptions{}).Create(t.Context(), "growth", sample("growth/a", "https://example.com/")))(t)
}

// TestWriterProcess is not a test: TestSeveralProcessesWrite runs it.
func TestWriterProcess(t *testing.T) {
	path, name := os.Getenv("SEGUE_TEST_DATA"), os.Getenv("SEGUE_TEST_WRITER")
	if path == "" || name == "" {
		t.Skip("for TestSeveralProcessesWrite")
	}
	p := openLocal(t, path, LocalOptions{})
	for i := range writes {
		if _, err := p.Create(t.Context(), "growth", sample(fmt.Sprintf("%s/%d", name, i), "https://example.com/")); err != nil {
			t.Fatal(err)
		}
		// All processes write this automation: one succeeds.
		if _, err := p.Create(t.Context(), "growth", sample(fmt.Sprintf("all/%d", i), "https://example.com/")); err != nil && sync.KindOf(err) != sync.Exists {
			t.Fatal(err)
		}
	}
	if err := p.PutSecret(t.Context(), "growth", name, automation.NewSecret(name)); err != nil {
		t.Fatal(err)
	}
}

const writes = 20

func TestSeveralProcessesWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := dataFile(t)
	var running gosync.WaitGroup
	const processes = 3
	for i := range processes {
		running.Go(func() {
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriterProcess$")
			c.Env = append(os.Environ(), "SEGUE_TEST_DATA="+path, fmt.Sprintf("SEGUE_TEST_WRITER=w%d", i))
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("process %d: %v\n%s", i, err, out)
			}
		})
	}
	running.Wait()
	p := openLocal(t, path, LocalOptions{})
	all := must(p.List(t.Context(), "growth"))(t)
	if want := (processes + 1) * writes; len(all) != want {
		t.Errorf("%d automations, want %d", len(all), want)
	}
	if states := must(p.Secrets(t.Context(), "growth", nil))(t); len(states) != processes {
		t.Errorf("%d secrets, want %d", len(states), processes)
	}
}

func TestSeveralStoresWrite(t *testing.T) {
	path := dataFile(t)
	ctx := context.Background()
	var running gosync.WaitGroup
	for i := range 4 {
		running.Go(func() {
			s, err := Open(ctx, path) // all at once: one creates the file
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for j := range writes {
				a := sample(fmt.Sprintf("w%d/%d", i, j), "https://example.com/")
				if _, err := s.createAutomation(ctx, &sync.Marker{Project: "p", Key: a.Key, Hash: "h"}, a); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if page, _ := must2(openStore(t, path).automations(ctx, automationFilter{project: "p", limit: 1000}))(t); len(page) != 4*writes {
		t.Errorf("%d automations, want %d", len(page), 4*writes)
	}
}

func must2[T, U any](v T, u U, err error) func(testing.TB) (T, U) {
	return func(t testing.TB) (T, U) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v, u
	}
}
