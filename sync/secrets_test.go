package sync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
)

// TestMain lets the test binary play the commands that print secrets.
func TestMain(m *testing.M) {
	switch os.Getenv("SECRETS_TEST_COMMAND") {
	case "print":
		wd, _ := os.Getwd()
		fmt.Printf("%s in %s $HOME\n", strings.Join(os.Args[1:], "+"), filepath.Base(wd))
	case "fail":
		fmt.Println("hunter2 on stdout")
		fmt.Fprintln(os.Stderr, "hunter2 on stderr")
		os.Exit(3)
	case "silent":
	case "endless":
		for {
			if _, err := fmt.Println("hunter2"); err != nil {
				time.Sleep(time.Hour) // until it is killed
			}
		}
	case "hang":
		time.Sleep(time.Hour) // until it is killed
	default:
		os.Exit(m.Run())
	}
}

func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

// everything trusts a project with all that it asks for.
func everything(string) bool { return true }

func TestResolveRunsAndReadsNothingThatIsNotTrusted(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "id_rsa")
	dir := t.TempDir()
	for file, text := range map[string]string{outside: "hunter2", filepath.Join(dir, "inside.txt"): "fine"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ran := filepath.Join(dir, "ran")
	for link, to := range map[string]string{"out": outside, "in": "inside.txt", "absolute": filepath.Join(dir, "inside.txt"), "folder": filepath.Dir(outside)} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	for name, source := range map[string]automation.SecretSource{
		"a command":               {Exec: []string{"touch", ran}},
		"a file outside":          {File: outside},
		"a path that leads out":   {File: "../" + filepath.Base(filepath.Dir(outside)) + "/id_rsa"},
		"a link that leads out":   {File: "out"},
		"a folder that leads out": {File: "folder/id_rsa"},
	} {
		r := SecretResolver{Dir: dir, Sources: map[string]automation.SecretSource{"S": source}, Trusted: func(name string) bool { return name == "OTHER" }}
		secrets, err := r.Resolve(t.Context(), []SecretUse{{Secret: "S", Where: "growth/a"}})
		if err == nil || !strings.Contains(err.Error(), "nobody has allowed it") || len(secrets) != 0 {
			t.Errorf("%s: got %v, %v", name, secrets, err)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the command has run")
	}
	for _, file := range []string{"inside.txt", "./inside.txt", filepath.Join(dir, "inside.txt"), "in", "absolute"} {
		r := SecretResolver{Dir: dir, Sources: map[string]automation.SecretSource{"S": {File: file}}}
		secrets, err := r.Resolve(t.Context(), []SecretUse{{Secret: "S"}})
		if err != nil || secrets["S"].Reveal() != "fine" {
			t.Errorf("%s: got %q, %v", file, secrets["S"].Reveal(), err)
		}
	}
}

func TestResolveReadsEverySource(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key.txt"), []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SECRETS_TEST_COMMAND", "print")
	t.Setenv("PLAIN", "from the real environment")
	r := SecretResolver{Dir: dir, Trusted: everything, Sources: map[string]automation.SecretSource{
		"RENAMED": {Env: "OTHER"},
		"FILE":    {File: "key.txt"},
		"FILE2":   {File: filepath.Join(dir, "key.txt")},
		"EXEC":    {Exec: []string{os.Args[0], "a b", "$(c)"}},
	}}
	t.Setenv("OTHER", "renamed")
	secrets, err := r.Resolve(t.Context(), []SecretUse{{Secret: "PLAIN"}, {Secret: "RENAMED"}, {Secret: "FILE"}, {Secret: "FILE2"}, {Secret: "EXEC"}, {Secret: "PLAIN"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, s := range secrets {
		got[name] = s.Reveal()
	}
	want := map[string]string{
		"PLAIN": "from the real environment", "RENAMED": "renamed", "FILE": "from file", "FILE2": "from file",
		"EXEC": "a b+$(c) in " + filepath.Base(dir) + " $HOME",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

func TestResolveFetchesEachSecretOnce(t *testing.T) {
	fetched := 0
	r := SecretResolver{LookupEnv: func(string) (string, bool) { fetched++; return "x", true }}
	if _, err := r.Resolve(t.Context(), []SecretUse{{Secret: "S", Where: "a"}, {Secret: "S", Where: "b"}, {Secret: "S", Where: "c"}}); err != nil || fetched != 1 {
		t.Errorf("fetched %d times, %v; want once", fetched, err)
	}
}

func TestResolveReportsAllMissingSecretsAtOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "empty.txt"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := SecretResolver{
		Trusted: everything,
		Dir:     dir, LookupEnv: env(map[string]string{"EMPTY": "", "THERE": "x"}),
		Sources: map[string]automation.SecretSource{
			"RENAMED":    {Env: "OTHER"},
			"FILE":       {File: "missing.txt"},
			"FILE_EMPTY": {File: "empty.txt"},
			"EXEC":       {Exec: []string{"segue-no-such-command"}},
		},
	}
	a := makeAutomation("growth/a", 1, "SEGMENT_WRITE_KEY", "THERE")
	a.Action.Headers["Authorization"] = automation.Header{Scheme: automation.Basic, Username: automation.Credential{Secret: "SEGMENT_WRITE_KEY"}}
	uses := SecretUses([]automation.Automation{a, makeAutomation("growth/b", 1, "SEGMENT_WRITE_KEY")})
	for _, name := range []string{"EMPTY", "RENAMED", "FILE", "FILE_EMPTY", "EXEC"} {
		uses = append(uses, SecretUse{Secret: name, Where: "target prod, apiKey"})
	}
	_, err := r.Resolve(t.Context(), uses)
	want := "6 secrets are missing:\n" +
		"  EMPTY: the environment variable EMPTY is empty\n" +
		"    used by target prod, apiKey\n" +
		"    provide it with `export EMPTY=...`, or name another place for it under `secrets:` in segue.cue\n" +
		"  EXEC: the command can't be run: exec: \"segue-no-such-command\": executable file not found in $PATH\n" +
		"    used by target prod, apiKey\n" +
		"    mend its entry under `secrets:` in segue.cue\n" +
		"  FILE: the file missing.txt can't be read: no such file or directory\n" +
		"    used by target prod, apiKey\n" +
		"    mend its entry under `secrets:` in segue.cue\n" +
		"  FILE_EMPTY: the file empty.txt is empty\n" +
		"    used by target prod, apiKey\n" +
		"    mend its entry under `secrets:` in segue.cue\n" +
		"  RENAMED: the environment variable OTHER is not set\n" +
		"    used by target prod, apiKey\n" +
		"    provide it with `export OTHER=...`, or name another place for it under `secrets:` in segue.cue\n" +
		"  SEGMENT_WRITE_KEY: the environment variable SEGMENT_WRITE_KEY is not set\n" +
		"    used by growth/a, header Authorization, and 2 more\n" +
		"    provide it with `export SEGMENT_WRITE_KEY=...`, or name another place for it under `secrets:` in segue.cue"
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestResolveShowsNothingThatACommandPrints(t *testing.T) {
	for mode, want := range map[string]string{
		"fail":    ": exit status 3",
		"silent":  " prints nothing",
		"endless": " prints too much for a secret: over 64 KB",
		"hang":    " took longer than 50ms",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Setenv("SECRETS_TEST_COMMAND", mode)
			timeout := time.Minute
			if mode == "hang" {
				timeout = 50 * time.Millisecond
			}
			r := SecretResolver{Trusted: everything, Timeout: timeout, Sources: map[string]automation.SecretSource{"S": {Exec: []string{os.Args[0]}}}}
			_, err := r.Resolve(t.Context(), []SecretUse{{Secret: "S", Where: "growth/a"}})
			if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), want) {
				t.Errorf("error = %v, want ...%s", err, want)
			}
			var missing *MissingSecretsError
			if !errors.As(err, &missing) || len(missing.Missing) != 1 || missing.Missing[0].Name != "S" {
				t.Errorf("error = %#v, want a MissingSecretsError for S", err)
			}
		})
	}
}

// What else is in the value is named, with the remedy, and the value is not.
func TestResolveTakesNothingThatNoHeaderCanCarry(t *testing.T) {
	for value, want := range map[string]string{
		"hunter2\n":         "",
		"hunter2\r\n":       "",
		"hun ter2":          "",
		" hunter2":          "has whitespace around the value",
		"hunter2\t":         "has whitespace around the value",
		"hunter2\n\n":       "holds more than one line",
		"hunter2\nhunter3":  "holds more than one line",
		"hunter2\x00":       "holds a control character",
		"hunter2\xff":       "holds bytes that are not UTF-8",
		"\ufeffhunter2":     "begins with a byte order mark",
		" \t ":              "holds only whitespace",
		"hunter2:hunter3":   "",
		"user: hunter2:bad": "contains a colon, which the user name of Basic credentials can't have",
	} {
		value, isUser := strings.CutPrefix(value, "user: ")
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "key.txt"), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		r := SecretResolver{Dir: dir, LookupEnv: env(map[string]string{"S": value}), Sources: map[string]automation.SecretSource{"FILE": {File: "key.txt"}}}
		for name, source := range map[string]string{"S": "the environment variable S ", "FILE": "the file key.txt "} {
			secrets, err := r.Resolve(t.Context(), []SecretUse{{Secret: name, Where: "growth/a", BasicUser: isUser}})
			switch {
			case want == "" && (err != nil || secrets[name].Reveal() != strings.TrimRight(value, "\r\n")):
				t.Errorf("%s %q: %q, %v", name, value, secrets[name].Reveal(), err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), name+": "+source+want) || !strings.Contains(err.Error(), "growth/a") || strings.Contains(err.Error(), "hunter")):
				t.Errorf("%s %q: error = %v, want ...%s", name, value, err, want)
			}
		}
	}
}

func TestSecretUsesKnowsBasicUserNames(t *testing.T) {
	a := makeAutomation("growth/a", 1, "TENANT")
	a.Action.Headers["Authorization"] = automation.Header{Scheme: automation.Basic,
		Username: automation.Credential{Secret: "USER"}, Password: automation.Credential{Secret: "PASSWORD"}}
	got := map[string]bool{}
	for _, u := range SecretUses([]automation.Automation{a}) {
		got[u.Secret] = u.BasicUser
	}
	if diff := cmp.Diff(map[string]bool{"USER": true, "PASSWORD": false, "TENANT": false}, got); diff != "" {
		t.Errorf("user names (-want +got):\n%s", diff)
	}
}

func TestResolveReadsNoMoreOfAFileThanASecret(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "long.txt"), []byte(strings.Repeat("x", secretLimit+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"long.txt":   "the file long.txt is too long for a secret: over 64 KB",
		".":          ". is not a file",
		os.DevNull:   os.DevNull + " is not a file",
		"no/such/it": "the file no/such/it can't be read: no such file or directory",
	} {
		r := SecretResolver{Dir: dir, Trusted: everything, Sources: map[string]automation.SecretSource{"S": {File: file}}}
		if _, err := r.Resolve(t.Context(), []SecretUse{{Secret: "S"}}); err == nil || !strings.Contains(err.Error(), "S: "+want+"\n") {
			t.Errorf("%s: error = %v, want ...%s", file, err, want)
		}
	}
}

func TestResolveEndsWithItsContext(t *testing.T) {
	t.Setenv("SECRETS_TEST_COMMAND", "hang")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := SecretResolver{Trusted: everything, Sources: map[string]automation.SecretSource{"S": {Exec: []string{os.Args[0]}}}}
	if _, err := r.Resolve(ctx, []SecretUse{{Secret: "S"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}
