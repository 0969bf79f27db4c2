package compiler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// compile compiles a project that is given as files by name.
func compile(t testing.TB, files map[string]string, patterns ...string) *compiler.Result {
	t.Helper()
	return compileDir(t, compiler.Options{Dir: newProject(t, files), Patterns: patterns})
}

func newProject(t testing.TB, files map[string]string) string {
	t.Helper()
	all := map[string]string{"segue.cue": defaultProject, "cue.mod/module.cue": workspace.ModuleFile("test.example@v0")}
	maps.Copy(all, files)
	return writeProject(t, all)
}

func compileDir(t testing.TB, opts compiler.Options) *compiler.Result {
	t.Helper()
	result, err := compiler.Compile(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func keys(r *compiler.Result) []string {
	out := []string{}
	for _, a := range r.Document.Automations {
		out = append(out, a.Key)
	}
	return out
}

// identify is a right file of a package with one automation. No two automations
// have the same trigger.
func identify(pkg, name string) string {
	return fmt.Sprintf(`package %s

import "github.com/seguehq/segue/schema/automation"

automations: %q: automation.#Identify & {
	name: "User identified"
	trigger: pattern: "%s of %s"
	payload: userId: "{{userId}}"
}
`, pkg, name, name, pkg)
}

func show(l diagnostic.List) string {
	var b bytes.Buffer
	for _, d := range l {
		writeFinding(&b, d)
	}
	return b.String()
}

func TestQuickstartIsTheIntegrationGuide(t *testing.T) {
	result := compileDir(t, compiler.Options{Dir: "../examples/quickstart"})
	for _, d := range result.Diagnostics {
		if d.Code != "schema-version" { // TestSchemaCopies is about that
			t.Errorf("finding:\n%s", show(diagnostic.List{d}))
		}
	}
	// The guide's payloads, word for word except for a stray space after {{userEmail}}.
	want := map[string]string{
		"growth/user-identified": `{"userId": "{{userId}}", "traits": {"email": "{{userEmail}}", "name": "{{userName}}"},
			"timestamp": "{{clientTimestampEndTime}}"}`,
		"growth/account-grouped": `{"userId": "{{userId}}", "groupId": "{{accountId}}", "traits": {"name": "{{accountName}}"},
			"timestamp": "{{clientTimestampEndTime}}"}`,
		"growth/pattern-tracked": `{"userId": "{{userId}}", "event": "{{usagePatternName}}", "properties": {"duration": "{{duration}}"},
			"timestamp": "{{clientTimestampEndTime}}"}`,
	}
	urls := map[string]string{
		"growth/user-identified": "https://api.segment.io/v1/identify",
		"growth/account-grouped": "https://api.segment.io/v1/group",
		"growth/pattern-tracked": "https://api.segment.io/v1/track",
	}
	const headers = `{"Accept":"application/json",` +
		`"Authorization":{"basic":{"password":"","username":{"secret":"SEGMENT_WRITE_KEY"}}},` +
		`"Content-Type":"application/json"}`
	if got := keys(result); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Fatalf("automations %q", got)
	}
	automations, err := result.Document.Decode()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range automations {
		var got, wanted any
		if err := json.Unmarshal(a.Action.Payload, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(want[a.Key]), &wanted); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s payload (-want +got):\n%s", a.Key, diff)
		}
		if a.Action.URL != urls[a.Key] || a.Action.Method != "POST" {
			t.Errorf("%s: %s %s", a.Key, a.Action.Method, a.Action.URL)
		}
		b, err := json.Marshal(a.Action.Headers)
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != headers {
			t.Errorf("%s headers %s, want %s", a.Key, b, headers)
		}
	}
}

// TestQuickstartCanonical pins the bytes that plans and hashes are made of. Renew
// them with SEGUE_UPDATE=1 go test ./compiler -run TestQuickstartCanonical.
func TestQuickstartCanonical(t *testing.T) {
	const golden = "testdata/quickstart.json"
	result := compileDir(t, compiler.Options{Dir: "../examples/quickstart"})
	got, err := result.Document.Indented()
	if err != nil {
		t.Fatal(err)
	}
	if update {
		if err := os.WriteFile(golden, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

// TestCompileIsDeterministic compiles a project with good and bad packages with
// one and with many workers, several times over.
func TestCompileIsDeterministic(t *testing.T) {
	files := map[string]string{}
	for i := range 60 {
		content := identify(fmt.Sprintf("p%d", i), fmt.Sprintf("a%d", i))
		switch i % 6 {
		case 1:
			content = strings.Replace(content, "{{userId}}", "{{usrId}}", 1)
		case 2:
			content = strings.Replace(content, `"User identified"`, "7", 1)
		case 3:
			content = strings.Replace(content, "#Identify", "#Identfy", 1)
		case 4:
			content = strings.Replace(content, `"User identified"`, `"User identified`, 1)
		}
		files[fmt.Sprintf("p%d/a.cue", i)] = content
		files[fmt.Sprintf("p%d/b.cue", i)] = identify(fmt.Sprintf("p%d", i), "b")
	}
	dir := newProject(t, files)
	var first []byte
	for run := range 6 {
		result := compileDir(t, compiler.Options{Dir: dir, Workers: []int{1, 8}[run%2]})
		document, err := result.Document.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		b.Write(document)
		if err := diagnostic.WriteJSON(&b, result.Diagnostics); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b.Bytes()
			if n := len(result.Diagnostics); n != 40 {
				t.Errorf("%d findings, want 40", n)
			}
		} else if !bytes.Equal(first, b.Bytes()) {
			t.Fatalf("run %d differs:\n%s", run, cmp.Diff(string(first), b.String()))
		}
	}
}

func TestInheritedAutomations(t *testing.T) {
	t.Run("belong to the folder that declares them", func(t *testing.T) {
		result := compile(t, map[string]string{
			"growth/a.cue":       identify("growth", "base"),
			"growth/eu/b.cue":    identify("growth", "eu"),
			"growth/eu/fr/c.cue": identify("growth", "fr"),
		})
		want := []string{"growth/base", "growth/eu/eu", "growth/eu/fr/fr"}
		if got := keys(result); !slices.Equal(got, want) || len(result.Diagnostics) > 0 {
			t.Errorf("automations %q, want %q; findings:\n%s", got, want, show(result.Diagnostics))
		}
	})
	t.Run("of a comprehension above", func(t *testing.T) {
		base := strings.Replace(identify("growth", "x"), `automations: "x":`, `automations: {for n in ["one", "two"] {(n):`, 1) + "}}\n"
		base = strings.Replace(base, `"x of growth"`, "n", 1)
		result := compile(t, map[string]string{"growth/a.cue": base, "growth/eu/b.cue": identify("growth", "eu")})
		want := []string{"growth/eu/eu", "growth/one", "growth/two"}
		if got := keys(result); !slices.Equal(got, want) || len(result.Diagnostics) > 0 {
			t.Errorf("automations %q, want %q; findings:\n%s", got, want, show(result.Diagnostics))
		}
	})
	t.Run("from another package are the importer's", func(t *testing.T) {
		result := compile(t, map[string]string{
			"growth/a.cue":    strings.Replace(identify("base", "x"), "automations:", "#Shared:", 1),
			"growth/eu/b.cue": "package eu\n\nimport base \"test.example/growth:base\"\n\nautomations: base.#Shared\n",
		})
		if got := keys(result); !slices.Equal(got, []string{"growth/eu/x"}) || len(result.Diagnostics) > 0 {
			t.Errorf("automations %q; findings:\n%s", got, show(result.Diagnostics))
		}
	})
	t.Run("declared in both are an error, and the one above is kept", func(t *testing.T) {
		result := compile(t, map[string]string{
			"growth/a.cue":    identify("growth", "base"),
			"growth/eu/b.cue": identify("growth", "base"),
		})
		if len(result.Diagnostics) != 1 || result.Diagnostics[0].Code != "duplicate-key" || result.Diagnostics[0].File != "growth/eu/b.cue" {
			t.Errorf("findings:\n%s", show(result.Diagnostics))
		}
		if got := keys(result); !slices.Equal(got, []string{"growth/base"}) {
			t.Errorf("automations %q", got)
		}
	})
}

func TestPatterns(t *testing.T) {
	files := map[string]string{
		"root.cue": identify("root", "root"), "growth/a.cue": identify("growth", "a"), "growth/eu/b.cue": identify("eu", "b"),
		"growthier/c.cue": identify("growthier", "c"),
	}
	for _, test := range []struct {
		patterns string
		want     []string
	}{
		{"", []string{"growth/a", "growth/eu/b", "growthier/c", "root"}},
		{"./...", []string{"growth/a", "growth/eu/b", "growthier/c", "root"}},
		{".", []string{"root"}},
		{"growth", []string{"growth/a"}},
		{"./growth/", []string{"growth/a"}},
		{"growth/...", []string{"growth/a", "growth/eu/b"}},
		{`growth\eu`, []string{"growth/eu/b"}},
		{"growthier growth/eu growthier", []string{"growth/eu/b", "growthier/c"}},
	} {
		result := compile(t, files, strings.Fields(test.patterns)...)
		if got := keys(result); !slices.Equal(got, test.want) {
			t.Errorf("%q: automations %q, want %q", test.patterns, got, test.want)
		}
	}
	for _, pattern := range []string{"grwth", "growth/eu/b", "../x", "growt/..."} {
		if _, err := compiler.Compile(context.Background(), compiler.Options{Dir: newProject(t, files), Patterns: []string{pattern}}); err == nil {
			t.Errorf("%q: no error", pattern)
		}
	}
}

// vendored returns the schema's files as a project keeps them.
func vendored() map[string]string {
	files := map[string]string{}
	for name, content := range schema.Files() {
		files[schema.VendorDir+"/"+name] = string(content)
	}
	return files
}

func TestVendoredSchema(t *testing.T) {
	good := vendored()
	good["growth/a.cue"] = identify("growth", "a")
	if result := compile(t, good); len(result.Diagnostics) > 0 || len(keys(result)) != 1 {
		t.Errorf("the same schema: findings\n%s", show(result.Diagnostics))
	}
	change := func(f func(map[string]string)) map[string]string {
		m := maps.Clone(good)
		f(m)
		return m
	}
	for name, files := range map[string]map[string]string{
		"changed": change(func(m map[string]string) { m[schema.VendorDir+"/segment/context.cue"] += "#Extra: string\n" }),
		"missing": change(func(m map[string]string) { delete(m, schema.VendorDir+"/segment/context.cue") }),
		// Another version's file must not become part of the schema.
		"surplus": change(func(m map[string]string) {
			m[schema.VendorDir+"/automation/old.cue"] = "package automation\n\n#Identify: name: \"old\"\n"
		}),
		"broken": change(func(m map[string]string) { m[schema.VendorDir+"/segment/context.cue"] = "package" }),
	} {
		result := compile(t, files)
		if len(result.Diagnostics) != 1 || result.Diagnostics[0].Code != "schema-version" || result.Diagnostics[0].Severity != diagnostic.Warning {
			t.Errorf("%s: findings\n%s", name, show(result.Diagnostics))
		}
		if len(keys(result)) != 1 {
			t.Errorf("%s: %d automations; the schema in the binary counts", name, len(keys(result)))
		}
	}
}

// TestSchemaCopies compares the schema's source, the one in the binary and the
// copies that the examples keep.
func TestSchemaCopies(t *testing.T) {
	dirs := []string{"../schema"}
	copies, err := filepath.Glob("../examples/*/" + filepath.FromSlash(schema.VendorDir))
	if err != nil {
		t.Fatal(err)
	}
	want := schema.Files()
	for _, dir := range append(dirs, copies...) {
		got := map[string]string{}
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) != ".cue" {
				return err
			}
			content, err := os.ReadFile(name)
			rel, _ := filepath.Rel(dir, name)
			got[filepath.ToSlash(rel)] = string(content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if got[name] != string(want[name]) {
				t.Errorf("%s: %s is not the one in the binary", dir, name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s has %d files, want %d", dir, len(got), len(want))
		}
	}
}

// TestUnusualFileNames checks that a name that could disturb a terminal can't
// reach one through a finding.
func TestUnusualFileNames(t *testing.T) {
	bad := strings.Replace(identify("growth", "a"), "{{userId}}", "{{usrId}}", 1)
	for _, name := range []string{"growth/a\nb.cue", "growth/\x1b[31m.cue", "growth/ü.cue", "growth/a b.cue", "growth/'a'.cue", "gro\nwth/a.cue", "grow th/a.cue"} {
		result := compile(t, map[string]string{name: bad})
		if len(result.Diagnostics) != 1 {
			t.Errorf("%q: findings\n%s", name, show(result.Diagnostics))
		}
		var b bytes.Buffer
		if err := diagnostic.WriteText(&b, result.Diagnostics, diagnostic.Options{}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\r") || strings.Contains(b.String(), "a\nb") || strings.Contains(b.String(), "gro\nwth") {
			t.Errorf("%q: the text is raw:\n%s", name, b.String())
		}
	}
}

func TestCompileStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := compiler.Compile(ctx, compiler.Options{Dir: newProject(t, map[string]string{"growth/a.cue": identify("growth", "a")})})
	if err != context.Canceled {
		t.Errorf("error %v", err)
	}
}

// TestFoldersThatAreLeftOut checks that segue leaves out the same folders as cue does with "./...".
func TestFoldersThatAreLeftOut(t *testing.T) {
	result := compile(t, map[string]string{
		"growth/a.cue":        identify("growth", "a"),
		"_old/a.cue":          identify("old", "a"),
		".git/a.cue":          identify("git", "a"),
		"cue.mod/usr/x/a.cue": identify("x", "a"),
		"other/segue.cue":     defaultProject,
		"other/shared.cue":    "package other\n",
		"growth/_a.cue":       identify("growth", "b"),
		"growth/a_test.cue":   "package growth\n\nautomations: a: tests: sent: expect: userId: string\n",
		"growth/a_tool.cue":   "package growth\n\ncommand: list: {}\n",
		"growth/notes.txt":    "{",
	})
	if got := keys(result); !slices.Equal(got, []string{"growth/a"}) || len(result.Diagnostics) > 0 {
		t.Errorf("automations %q; findings\n%s", got, show(result.Diagnostics))
	}
}

// A folder has all its packages each time, also beside a file with tests of a package
// that is not there: CUE stops at that one, in the order of a map.
func TestTestsWithoutPackage(t *testing.T) {
	dir := newProject(t, map[string]string{
		"growth/a.cue":      identify("growth", "a"),
		"growth/b.cue":      "package more\n",
		"growth/a_test.cue": "package other\n",
	})
	for range 30 {
		result := compileDir(t, compiler.Options{Dir: dir, EvaluateAll: true})
		if got := keys(result); !slices.Equal(got, []string{"growth/a"}) || len(result.Diagnostics) != 1 || result.Diagnostics[0].Code != "no-package" {
			t.Fatalf("automations %q; findings\n%s", got, show(result.Diagnostics))
		}
	}
}

// A file with automations that gets a name by which it is not read would have them
// deleted.
func TestFilesThatAreNotRead(t *testing.T) {
	for _, name := range []string{"growth/b_test.cue", "growth/b_tool.cue", "growth/b.CUE"} {
		result := compile(t, map[string]string{"growth/a.cue": identify("growth", "a"), name: identify("growth", "b")})
		if len(result.Diagnostics) != 1 || result.Diagnostics[0].Code != "file-name" || result.Diagnostics[0].File != name {
			t.Errorf("%s: findings\n%s", name, show(result.Diagnostics))
		}
	}
}

// A folder with automations that becomes a project or a module of its own would
// have them deleted.
func TestNestedProjects(t *testing.T) {
	for _, own := range []string{"segue.cue", "cue.mod/module.cue"} {
		result := compile(t, map[string]string{
			"growth/a.cue":       identify("growth", "a"),
			"other/" + own:       defaultProject,
			"other/team/b/a.cue": identify("b", "a"),
		})
		if len(result.Diagnostics) != 1 || result.Diagnostics[0].Code != "nested-project" || result.Diagnostics[0].File != "other/"+own {
			t.Errorf("findings\n%s", show(result.Diagnostics))
		}
	}
}

func TestNoProject(t *testing.T) {
	dir := t.TempDir()
	result := compileDir(t, compiler.Options{Dir: dir})
	if len(result.Diagnostics) != 1 || result.Diagnostics[0].Code != "no-project" {
		t.Errorf("findings\n%s", show(result.Diagnostics))
	}
	below := filepath.Join(newProject(t, nil), "growth")
	if err := os.Mkdir(below, 0o777); err != nil {
		t.Fatal(err)
	}
	result = compileDir(t, compiler.Options{Dir: below})
	if len(result.Diagnostics) != 1 || !strings.Contains(result.Diagnostics[0].Help, "segue -C ..") {
		t.Errorf("findings\n%s", show(result.Diagnostics))
	}
}
