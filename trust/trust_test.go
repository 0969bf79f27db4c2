package trust

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	gosync "sync"
	"testing"

	"github.com/seguehq/segue/automation"
)

// write makes files below a folder.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// asked returns the requests of a project with one source.
func asked(t *testing.T, dir string, source automation.SecretSource) []Ask {
	t.Helper()
	asks, err := Asks(dir, map[string]automation.SecretSource{"KEY": source}, []string{"KEY"})
	if err != nil {
		t.Fatal(err)
	}
	return asks
}

func TestTheWordIsForOneProjectAndOneCommand(t *testing.T) {
	grants := NewGrants(filepath.Join(t.TempDir(), "allowed"))
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		write(t, d, map[string]string{"vault.sh": "echo key", "secrets.yaml": "a"})
	}
	exec := func(words ...string) automation.SecretSource { return automation.SecretSource{Exec: words} }
	given := []automation.SecretSource{exec("sh", "vault.sh"), exec("./vault.sh", "a"), exec("sops", "-d", "secrets.yaml"), {File: "/etc/hostname"}}
	for _, source := range given {
		ask := asked(t, dir, source)[0]
		if grants.Has(ask) {
			t.Errorf("%s is allowed before it was approved", ask)
		}
		if err := grants.Add(ask); err != nil {
			t.Fatal(err)
		}
		if !grants.Has(asked(t, dir, source)[0]) {
			t.Errorf("%s is forgotten", ask)
		}
		if grants.Has(asked(t, other, source)[0]) {
			t.Errorf("%s is allowed to another project", ask)
		}
	}
	for _, source := range []automation.SecretSource{
		exec("sh", "vault.sh", "a"), exec("sh vault.sh"), exec("./vault.sh"), exec("./vault.sh", "a", ""), {File: "/etc/passwd"}, exec("/etc/hostname"),
	} {
		if ask := asked(t, dir, source)[0]; grants.Has(ask) {
			t.Errorf("%s is allowed without approval", ask)
		}
	}
	// The encrypted file may change, the script may not.
	write(t, dir, map[string]string{"vault.sh": "curl evil.example", "secrets.yaml": "b"})
	for i, want := range []bool{false, false, true} {
		if ask := asked(t, dir, given[i])[0]; grants.Has(ask) != want {
			t.Errorf("after a change of the files %s: got %v, want %v", ask, !want, want)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err == nil && !grants.Has(asked(t, link, given[2])[0]) {
		t.Error("the same project through a link counts as another one")
	}
}

func TestGrantsAreTheUsersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has no such modes")
	}
	dir := filepath.Join(t.TempDir(), "allowed")
	grants := NewGrants(dir)
	ask := asked(t, t.TempDir(), automation.SecretSource{Exec: []string{"vault"}})[0]
	var all gosync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := grants.Add(ask); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("the folder holds %v, %v; want one file", entries, err)
	}
	path := filepath.Join(dir, entries[0].Name())
	for of, want := range map[string]os.FileMode{dir: 0o700, path: 0o600} {
		if stat, err := os.Stat(of); err != nil || stat.Mode().Perm() != want {
			t.Errorf("%s has the mode %v, want %v", of, stat.Mode().Perm(), want)
		}
	}
	if !grants.Has(ask) {
		t.Error("the approval is forgotten")
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if grants.Has(ask) {
		t.Error("a file that everybody may write to counts as approval")
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(path, 0o600) // it was readable before
	if grants.Has(ask) {
		t.Error("other content counts as approval")
	}
}

func TestAnAskIsShownAsItIs(t *testing.T) {
	for want, command := range map[string][]string{
		`sops -d --extract "[\"crm\"]" secrets.yaml`: {"sops", "-d", "--extract", `["crm"]`, "secrets.yaml"},
		`sh -c "true \x1b[2K\r# harmless\nrm"`:       {"sh", "-c", "true \x1b[2K\r# harmless\nrm"},
		`"\u202egnp.exe" "\u200b" "\u3164" ""`:       {"\u202egnp.exe", "\u200b", "\u3164", ""},
		`"/bin/s\u04bb"`:                             {"/bin/s\u04bb"}, // looks like sh
	} {
		if got := (Ask{Command: command}).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAFileInsideNeedsNoWord(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, outside, map[string]string{"id_rsa": "x"})
	write(t, dir, map[string]string{"key.txt": "x", "deep/key.txt": "x", ".git/config": "x", "sub/.git/token": "x"})
	links := map[string]string{"out": filepath.Join(outside, "id_rsa"), "folder": outside, "in": "key.txt", "twice": "out"}
	for link, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	for file, want := range map[string]bool{
		"key.txt": true, "./deep/../key.txt": true, "deep/key.txt": true, filepath.Join(dir, "key.txt"): true, "in": true, "missing": true, "no/such/it": true,
		filepath.Join(outside, "id_rsa"): false, "../id_rsa": false, "out": false, "twice": false, "folder/id_rsa": false, "folder/missing": false,
		".git/config": false, "sub/.git/token": false, "/dev/zero": false, "": true,
	} {
		if _, got := Inside(dir, file); got != want {
			t.Errorf("%q: got %v, want %v", file, got, want)
		}
		if asks := asked(t, dir, automation.SecretSource{File: file}); file != "" && (len(asks) == 0) != want {
			t.Errorf("%q: the project asks for %v", file, asks)
		}
	}
}

func TestMachineVariables(t *testing.T) {
	for name, want := range map[string]bool{
		"GITHUB_TOKEN": true, "github_token": true, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": true, "CI": true, "CI_JOB_TOKEN": true, "AWS_SECRET_ACCESS_KEY": true,
		"GITLAB_TOKEN": true, "BUILDKITE_AGENT_ACCESS_TOKEN": true, "JENKINS_URL": true, "AZURE_CLIENT_SECRET": true, "GOOGLE_APPLICATION_CREDENTIALS": true,
		"NPM_TOKEN": true, "SSH_AUTH_SOCK": true, "HOME": true, "PATH": true, "https_proxy": true, "PGPASSWORD": true, "SYSTEM_ACCESSTOKEN": true, "SEGUE_CACHE_TOKEN": true,
		"SEGMENT_WRITE_KEY": false, "STAGING_WRITE_KEY": false, "N8N_API_KEY": false, "NODE_RED_PASSWORD": false, "PLATFORM_TOKEN": false,
		"SEGUE_PLATFORM_TOKEN": false, "CRM_TOKEN": false, "TENANT": false, "CIRCUIT_KEY": false, "GONG_API_KEY": false, "HOMEPAGE_TOKEN": false, "": false,
	} {
		if got := IsMachineVariable(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// TestSecurityPageListsTheVariables checks that the table in docs/security.md
// matches this package. SEGUE_UPDATE=1 renews it.
func TestSecurityPageListsTheVariables(t *testing.T) {
	const begin, end, page = "<!-- variables: begin -->\n", "<!-- variables: end -->", "../docs/security.md"
	var table strings.Builder
	table.WriteString("\n| of | variables |\n| --- | --- |\n")
	for _, group := range MachineVariables {
		table.WriteString("| " + group.Of + " | `" + strings.Join(group.Names, "`, `") + "` |\n")
	}
	table.WriteString("\n")
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), begin)
	is, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	if is == table.String() {
		return
	}
	if os.Getenv("SEGUE_UPDATE") == "" {
		t.Fatalf("%s is stale; renew it with SEGUE_UPDATE=1", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+table.String()+end+after), 0o666); err != nil {
		t.Fatal(err)
	}
}
