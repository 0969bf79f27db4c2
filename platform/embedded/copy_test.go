package embedded

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seguehq/segue/automation"
)

// names returns the names of the files in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	for _, e := range must(os.ReadDir(dir))(t) {
		all = append(all, e.Name())
	}
	return all
}

// TestACopyHasWhatIsInTheLog opens a copy while another process has the file
// open. The last writes are then in the log beside it.
func TestACopyHasWhatIsInTheLog(t *testing.T) {
	path := dataFile(t)
	original := openLocal(t, path, LocalOptions{})
	made := must(original.Create(t.Context(), "growth", sample("growth/a", "https://example.com/")))(t)
	if err := original.PutSecret(t.Context(), "growth", writeKey, automation.NewSecret("a-secret-1")); err != nil {
		t.Fatal(err)
	}
	if log := must(os.Stat(path + "-wal"))(t); log.Size() == 0 {
		t.Fatal("the log is empty, and this tests nothing")
	}
	before := names(t, filepath.Dir(path))
	for range 2 {
		copied, discard, err := openCopy(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		page, _, err := copied.automations(t.Context(), automationFilter{project: "growth", limit: 10})
		if err != nil || len(page) != 1 || page[0].ID != made.ID {
			t.Errorf("the copy has %+v, %v", page, err)
		}
		secrets := must(copied.secrets(t.Context(), "growth"))(t)
		if got := secrets[writeKey].Reveal(); got != "a-secret-1" {
			t.Errorf("the copy's secret is %q", got)
		}
		if err := copied.putSecret(t.Context(), "growth", writeKey, automation.NewSecret("of the copy")); err != nil {
			t.Error(err)
		}
		dir := filepath.Dir(mustPath(t, copied))
		if err := copied.Close(); err != nil {
			t.Error(err)
		}
		if err := discard(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left behind", dir)
		}
	}
	if after := names(t, filepath.Dir(path)); !slices.Equal(before, after) {
		t.Errorf("the folder holds %v, and held %v", after, before)
	}
}

// mustPath returns the path of a store's file, as SQLite knows it.
func mustPath(t *testing.T, s *Store) string {
	t.Helper()
	var seq, name, file string
	if err := s.read.QueryRowContext(t.Context(), "PRAGMA database_list").Scan(&seq, &name, &file); err != nil {
		t.Fatal(err)
	}
	return file
}
