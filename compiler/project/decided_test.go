package project

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"cuelang.org/go/cue/cuecontext"

	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/schema"
)

const (
	smallProject = "project: \"small\"\n"
	largeProject = `import segue "github.com/seguehq/segue/schema/project"

segue.#Project

project:       "large"
defaultTarget: "local"
sources: {
	segment: {region: "eu", writeKey: secret: "KEY"}
	other: {writeKey: secret: "OTHER", endpoint: "https://events.example.com/v1"}
}
targets: {
	local: platform: "embedded"
	far: {
		platform: "n8n", url: "https://n8n.example.com", apiKey: secret: "N8N"
		parallelism: 4, timeout: "1m", prune: false
		sources: other: region: "us"
	}
}
secrets: KEY: env: "SEGMENT_KEY"
secrets: OTHER: file: "key.txt"
moved: project: "former"
limits: {time: "30s", memory: "2GB"}
`
	module = "module: \"example.com/growth@v0\"\nlanguage: version: \"" + schema.LanguageVersion + "\"\n"
)

// compareDecided compares what is decided of a project with what CUE makes of it. It
// reports whether it was decided.
func compareDecided(t *testing.T, project, module string) bool {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"segue.cue": project, "cue.mod/module.cue": module} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	open := func() *workspace.Disk {
		disk, err := workspace.OpenProject(context.Background(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		return disk
	}
	decided, err := decidedProject(open())
	if err != nil {
		t.Logf("left to CUE: %v", err)
		return false
	}
	evaluated, findings, err := loadProject(open())
	if err != nil || len(findings) > 0 || evaluated == nil {
		t.Errorf("it is decided, and CUE finds %v, %v:\n%s\n%s", findings, err, module, project)
		return true
	}
	if d := cmp.Diff(evaluated, decided); d != "" {
		t.Errorf("CUE's project is another:\n%s\n%s", d, project)
	}
	return true
}

// word is what is replaced by something else.
var word = regexp.MustCompile(`"[^"\n]*"|[A-Za-z0-9_.#]+|[{}:,]`)

// Segue.cue is decided as CUE evaluates it, or left to it: written well, and with each
// word replaced by others.
func TestDecidedProject(t *testing.T) {
	for _, project := range []string{smallProject, largeProject} {
		if !compareDecided(t, project, module) {
			t.Errorf("it is not decided:\n%s", project)
		}
	}
	decided := 0
	try := func(project string) {
		if compareDecided(t, project, module) {
			decided++
		}
	}
	for _, at := range word.FindAllStringIndex(largeProject, -1) {
		for _, other := range []string{"", "0", "1", "8", "64", "65", "-1", "1.5", "1e3", "0x10", "99999999999999999999", "true", "null", `""`, `"a b"`, `"eu"`, `"local"`, `"other"`,
			`"http://x.example"`, `"HTTP://x"`, `"5s"`, `"1KB"`, `"embedded"`, `#"eu"#`, "'eu'", `"\(1)"`, "{}", "[]", "{a: 1}", `{secret: "A"}`, "_", "string", "project", "data", `"project"`, "env", "segue"} {
			try(largeProject[:at[0]] + other + largeProject[at[1]:])
		}
	}
	for _, more := range []string{"data: 1", "package x", "trackingPlan: {}", "platforms: {}", "placeholders: {}", "x: 1", "_x: 1", "#x: 1", "targets: {}", "targets: local: data: \"x.db\"",
		"targets: far: data: \"x.db\"", "limits: time: \"30s\"", "limits: time: \"31s\"", "{}", "sources: segment: region: \"eu\"", "// a comment", "@x()", "let x = 1", "...", "if true {}",
		"secrets: KEY: file: \"x\"", "secrets: A: exec: [\"x\"]", "secrets: {}", "targets: local: platform: string", "targets: local: sources: {}", "segue.#Project", "segue.#Target"} {
		try(largeProject + more + "\n")
		try(smallProject + more + "\n")
	}
	names, err := filepath.Glob("../../testdata/corpus/*/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("there is no corpus", err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if f.Name == "segue.cue" {
				try(string(f.Data))
			}
		}
	}
	if decided < 150 {
		t.Errorf("only %d were decided", decided)
	}
	t.Logf("%d were decided", decided)
}

// The catalog is read as CUE evaluates it.
func TestPlainCatalog(t *testing.T) {
	disk, err := workspace.OpenProject(context.Background(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	evaluated, err := builtinCatalog(cuecontext.New(), workspace.NewLoader(disk, schema.Files()))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(evaluated, plainCatalog()); d != "" || len(evaluated) == 0 {
		t.Errorf("CUE's catalog is another:\n%s", d)
	}
}

// A module file that is taken for plain is one that CUE has nothing against.
func TestPlainModule(t *testing.T) {
	decided := 0
	try := func(module string) {
		if compareDecided(t, smallProject, module) {
			decided++
		}
	}
	for _, name := range []string{"example.com/growth@v0", "example.com/growth", "example.com@v1", "growth", "growth@v0", "a.b/c_d@v0", "a.b/c-@v0", "A.b/c", "a.b/con", "a.b/nul@v0",
		"a.b/v2@v2", "a.b/c.git", "a.b/c@v0.1.2", "a.b/c@v01", "a.b//c", "a.b/", "a.b/c~1", ".b/c", "a..b", "a.b/c@latest", "", "cue.dev/x", "github.com/seguehq/segue/schema@v0", "github.com/seguehq"} {
		try("module: \"" + name + "\"\nlanguage: version: \"" + schema.LanguageVersion + "\"\n")
	}
	for _, at := range word.FindAllStringIndex(module, -1) {
		for _, other := range []string{"", "1", "null", `""`, `"v0.8.0"`, `"v0.99.0"`, `"v1"`, "{}", "deps", "source", "_"} {
			try(module[:at[0]] + other + module[at[1]:])
		}
	}
	for _, more := range []string{"source: kind: \"git\"", "deps: {}", "deps: \"a.b/c@v0\": v: \"v0.1.0\"", "x: 1", "package x", "language: version: \"" + schema.LanguageVersion + "\"", "language: x: 1", "custom: {}"} {
		try(module + more + "\n")
	}
	if decided < 8 {
		t.Errorf("only %d were decided", decided)
	}
	t.Logf("%d were decided", decided)
}
