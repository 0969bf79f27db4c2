package compiler

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/compiler/workspace"
)

// A tree has the files of a project by name. Links start with "-> ".
func openTree(t *testing.T, tree map[string]string) *workspace.Disk {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range tree {
		full := filepath.Join(top, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(strings.ReplaceAll(target, "TOP", top), full)
		} else {
			err = os.WriteFile(full, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	disk, err := workspace.Open(context.Background(), filepath.Join(top, "project"))
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

func TestWorkspaceReadsItsFiles(t *testing.T) {
	disk := openTree(t, map[string]string{
		"outside/a.cue":              "secret",
		"project/a.cue":              "a",
		"project/deep/er/b.cue":      "b",
		"project/.git/config":        "token",
		"project/.segue/key":         "key",
		"project/link.cue":           "-> a.cue",
		"project/chain.cue":          "-> link.cue",
		"project/absolute.cue":       "-> TOP/project/a.cue",
		"project/there-and-back.cue": "-> ../project/deep/er/b.cue",
		"project/folder":             "-> deep/er",
		"project/deep/up":            "-> ..",
		"project/out.cue":            "-> ../outside/a.cue",
		"project/out":                "-> ../outside",
		"project/deep/er/out.cue":    "-> ../../../outside/a.cue",
		"project/absolute-out.cue":   "-> TOP/outside/a.cue",
		"project/chain-out.cue":      "-> out.cue",
		"project/gone.cue":           "-> nowhere.cue",
		"project/circle":             "-> circle",
		"project/one":                "-> two",
		"project/two":                "-> one",
		"project/git":                "-> .git",
		"project/env":                "-> /proc/self/environ",
		"project/descriptor":         "-> /proc/self/fd/0",
		"project/zero.json":          "-> /dev/zero",
	})
	for name, want := range map[string]string{
		"a.cue": "a", "deep/er/b.cue": "b", "link.cue": "a", "chain.cue": "a", "absolute.cue": "a",
		"there-and-back.cue": "b", "folder/b.cue": "b", "deep/up/a.cue": "a", "deep/up/deep/up/a.cue": "a",
	} {
		if got, err := disk.Read(name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, code := range map[string]string{
		"out.cue": "outside-project", "out/a.cue": "outside-project", "deep/er/out.cue": "outside-project",
		"absolute-out.cue": "outside-project", "chain-out.cue": "outside-project", "deep/up/out.cue": "outside-project",
		"env": "outside-project", "descriptor": "outside-project", "zero.json": "outside-project",
		".git/config": "outside-project", "git/config": "outside-project", ".segue/key": "outside-project",
		"gone.cue": "unreadable-file", "circle": "unreadable-file", "one": "unreadable-file", "circle/a.cue": "unreadable-file",
		"deep": "unreadable-file", "../outside/a.cue": "outside-project",
	} {
		got, err := disk.Read(name)
		var r *workspace.Refusal
		if !errors.As(err, &r) || r.Code != code || len(got) > 0 {
			t.Errorf("%s: %q, %v; want %s", name, got, err, code)
		}
	}
	if _, err := disk.Read("missing.cue"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := disk.ReadDir("out"); err == nil {
		t.Error("a folder outside was listed")
	}
}

func TestWorkspaceRefusesHugeFiles(t *testing.T) {
	disk := openTree(t, map[string]string{"project/a.cue": ""})
	if err := os.Truncate(disk.Dir+"/a.cue", 10<<30); err != nil {
		t.Skip(err)
	}
	var r *workspace.Refusal
	if _, err := disk.Read("a.cue"); !errors.As(err, &r) || r.Code != "file-too-large" {
		t.Errorf("%v", err)
	}
	if err := os.Truncate(disk.Dir+"/a.cue", 8<<20+1); err != nil {
		t.Fatal(err)
	}
	const want = "the file has 8.1 MB, but segue reads at most 8 MB"
	if _, err := disk.Read("a.cue"); err == nil || err.Error() != want {
		t.Errorf("a byte too much: %v, want %s", err, want)
	}
}

// A link that is put in the place of a folder, after it was looked at, leads nowhere.
func TestWorkspaceStaysConfined(t *testing.T) {
	disk := openTree(t, map[string]string{"project/growth/a.cue": "a", "outside/a.cue": "secret"})
	if _, err := disk.Read("growth/a.cue"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(disk.Dir+"/growth", disk.Dir+"/moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../outside", disk.Dir+"/growth"); err != nil {
		t.Fatal(err)
	}
	if got, err := disk.Read("growth/a.cue"); err == nil && string(got) != "a" {
		t.Errorf("read %q while the folder was open", got)
	}
	disk.Rest()
	if got, err := disk.Read("growth/a.cue"); err == nil {
		t.Errorf("read %q", got)
	}
}

// silentRegistry takes connections and says nothing.
func silentRegistry(t *testing.T) (asked <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	connected := make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			connected <- struct{}{}
		}
	}()
	t.Setenv("CUE_REGISTRY", l.Addr().String()+"+insecure")
	t.Setenv("CUE_CACHE_DIR", t.TempDir())
	return connected
}

var dependent = map[string]string{
	"project/segue.cue":          "import segue \"github.com/seguehq/segue/schema/project\"\n\nsegue.#Project\nproject: \"x\"\nsources: segment: writeKey: secret: \"KEY\"\n",
	"project/cue.mod/module.cue": "module: \"x.example\"\nlanguage: version: \"v0.12.0\"\ndeps: \"missing.example/x@v0\": v: \"v0.0.1\"\n",
	"project/growth/a.cue":       "package growth\n\nimport \"missing.example/x@v0:y\"\n\nz: y\n",
	"project/other/a.cue":        "package other\n\nx: y\n",
}

func TestSilentRegistry(t *testing.T) {
	silentRegistry(t)
	before := workspace.RegistrySilence
	workspace.RegistrySilence = 50 * time.Millisecond
	t.Cleanup(func() { workspace.RegistrySilence = before })
	disk := openTree(t, dependent)
	result, err := Compile(t.Context(), Options{Dir: disk.Dir})
	if err != nil {
		t.Fatal(err)
	}
	var about []string
	for _, d := range result.Diagnostics {
		about = append(about, d.File+" "+d.Code)
		if d.Code == "module-unavailable" && (d.Range.Start.Line != 3 || !strings.Contains(d.Message, "did not answer")) {
			t.Errorf("%+v", d)
		}
	}
	if got := strings.Join(about, ", "); got != "growth/a.cue module-unavailable, other/a.cue unknown-reference" {
		t.Errorf("findings: %s: %+v", got, result.Diagnostics)
	}
}

func TestSilentRegistryIsInterrupted(t *testing.T) {
	asked := silentRegistry(t)
	disk := openTree(t, dependent)
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	go func() {
		<-asked
		cancel(interrupted)
	}()
	if result, err := Compile(ctx, Options{Dir: disk.Dir}); !errors.Is(err, interrupted) {
		t.Errorf("%+v, %v", result, err)
	}
}
