// Package editors tests segue lsp in real editors, which are set up with exactly the text of docs/editors.md.
// The extension for VS Code, in the folder vscode, has a test of its own.
package editors

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// requiredVariable names the variable with the editors that must be installed: a list such as "nvim,emacs". The tests
// of others are skipped if they are missing.
const requiredVariable = "SEGUE_TEST_EDITORS"

// patience bounds the wait for an editor to show something. It is for a busy machine only; a test that passes ends as
// soon as it is shown.
const patience = time.Minute

// file is the one that is edited.
const file = "growth/signup.cue"

// project has no mistakes.
const project = `
-- segue.cue --
project: "acme"
sources: segment: writeKey: secret: "SEGMENT_WRITE_KEY"
targets: local: platform: "embedded"
-- cue.mod/module.cue --
module: "example.com/acme"
language: version: "v0.17.1"
-- growth/signup.cue --
package growth

import "github.com/seguehq/segue/schema/automation"

automations: signup: automation.#Track & {
	name: "Signed up"
	trigger: pattern: "Account activated"
	payload: {
		userId: "{{userId}}"
		event:  "Signed Up"
		properties: team: "{{accountName}}"
	}
}
`

// install returns an empty home folder, and a folder with the project. It puts segue on the PATH. The test is
// skipped in short runs, and if the editor is neither installed nor required.
func install(t *testing.T, editor string) (home, dir string) {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT TESTED: -short skips editors")
	}
	if _, err := exec.LookPath(editor); err != nil {
		if strings.Contains(","+os.Getenv(requiredVariable)+",", ","+editor+",") {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %s is not installed", editor)
	}
	bin := t.TempDir()
	run(t, exec.Command("go", "build", "-o", filepath.Join(bin, "segue"), "../cmd/segue"))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	home, dir = t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	for _, variable := range []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"} {
		t.Setenv(variable, filepath.Join(home, strings.ToLower(variable)))
	}
	t.Setenv("XDG_RUNTIME_DIR", home)
	t.Setenv("NVIM_LOG_FILE", filepath.Join(home, "nvim.log"))
	for _, f := range txtar.Parse([]byte(project)).Files {
		write(t, filepath.Join(dir, filepath.FromSlash(f.Name)), string(f.Data))
	}
	return home, dir
}

// pasted returns the blocks of docs/editors.md between comments with these names.
func pasted(t *testing.T, names ...string) string {
	t.Helper()
	page := read(t, "../docs/editors.md")
	var out strings.Builder
	for _, name := range names {
		block := regexp.MustCompile("(?s)<!-- " + name + ": begin -->\n```[a-z]+\n(.*?)```\n<!-- " + name + ": end -->")
		m := block.FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("docs/editors.md has no block %q", name)
		}
		out.WriteString(m[1])
	}
	return out.String()
}

// await waits until the answer contains text.
func await(t *testing.T, what string, answer func() string, text string) {
	t.Helper()
	last := ""
	for began := time.Now(); time.Since(began) < patience; time.Sleep(200 * time.Millisecond) {
		if last = answer(); strings.Contains(last, text) {
			return
		}
	}
	t.Fatalf("%s: no %q in %q", what, text, last)
}

// run runs a program, and returns its output without whitespace around it.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// start runs a program until the test ends.
func start(t *testing.T, begin func(*exec.Cmd) error, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	if err := begin(cmd); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
