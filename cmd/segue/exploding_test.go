package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seguehq/segue/diagnostic"
)

// goodPackages is how many packages are beside those that explode.
const goodPackages = 500

// explosions are packages that CUE would be busy with for hours, or that end its
// process, and the words of their findings.
var explosions = []struct {
	name, content string
	want          []string // one of these
}{
	{"product", `_d: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
_all: [for a in _d for b in _d for c in _d for d in _d for e in _d for f in _d for g in _d for h in _d {a + b + c + d + e + f + g + h}]
automations: all: _all[0]
`, []string{"product was not evaluated completely: it took more than 4s of processor time"}},
	{"doubling", lines(40, func(i int) string { return fmt.Sprintf("_s%d: _s%d + _s%[2]d\n", i+1, i) }) + `_s0: "0123456789"
automations: all: name: _s40
`, []string{"doubling was not evaluated completely: it took more than 500 MB of memory"}},
	{"disjunctions", "automations: all: {...}" + lines(30, func(i int) string { return fmt.Sprintf(" & ({a%d: 1} | {a%[1]d: 2})", i) }) + "\n",
		[]string{"disjunctions was not evaluated completely: it took more than 4s of processor time", "disjunctions was not evaluated completely: it took more than 500 MB of memory"}},
	{"sum", "automations: all: name: 1" + strings.Repeat("+1", 300_000) + "\n",
		[]string{"sum was not evaluated completely: it is nested too deeply"}},
	{"runaway", "automations: all: name: _a20000\n_a0: 1\n" + lines(20_000, func(i int) string { return fmt.Sprintf("_a%d: _a%d + 1\n", 20_000-i, 19_999-i) }),
		[]string{"runaway was not evaluated completely: it is nested too deeply", "runaway was not evaluated completely: it took more than 4s of processor time"}},
	{"deep", "x: " + strings.Repeat("{a: ", 100_000) + "1" + strings.Repeat("}", 100_000) + "\n",
		[]string{"values are nested more than 10000 levels deep"}},
	{"circle", "automations: all: #A\n#A: next: #A\n", []string{"refers to itself"}},
	{"self", "import \"exploding.example/self\"\n\nx: self.x\n", []string{"packages import each other in a circle", "imports itself"}},
	{"huge", "automations: {\n" + lines(96_000, func(i int) string {
		return fmt.Sprintf("\t\"a%d\": {name: \"A %[1]d\", enabled: 1 + %[1]d, x: [1, 2, 3, {a: %[1]d}]}\n", i)
	}) + "}\n", []string{"huge was not evaluated completely: it took more than 4s of processor time", "huge was not evaluated completely: it took more than 500 MB of memory"}},
	{"hostile", "_passwd: _ @embed(file=\"../../../../etc/passwd\", type=text)\nautomations: all: name: _passwd\n",
		[]string{"cannot refer to parent directory"}},
}

func lines(n int, line func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i))
	}
	return b.String()
}

// explodingProject writes a project of good packages, and those that explode.
func explodingProject(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(content), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	write("segue.cue", "project: \"exploding\"\nsources: segment: writeKey: secret: \"SEGMENT_WRITE_KEY\"\n")
	write("cue.mod/module.cue", "module: \"exploding.example@v0\"\nlanguage: version: \"v0.17.0\"\n")
	for _, e := range explosions {
		write(e.name+"/a.cue", "@extern(embed)\n\npackage "+e.name+"\n\n"+e.content)
	}
	for i := range goodPackages {
		write(fmt.Sprintf("good/p%d/a.cue", i), fmt.Sprintf(`package p%d

import "github.com/seguehq/segue/schema/automation"

automations: one: automation.#Track & {
	name: "Number %[1]d"
	trigger: pattern: "Number %[1]d"
	payload: {userId: "{{userId}}", event: "Number %[1]d Done"}
}
`, i))
	}
	return dir
}

// segueIn returns a command that runs segue in a folder, with a home and a folder for
// temporary files of its own, on two processors.
func segueIn(t *testing.T, dir string, args ...string) (cmd *exec.Cmd, scratch string) {
	t.Helper()
	path, err := exec.LookPath("segue")
	if err != nil {
		t.Fatal(err)
	}
	scratch = t.TempDir()
	cmd = exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+scratch, "TMPDIR="+scratch, "SEGUE_CACHE_DIR=off", "GOMAXPROCS=2")
	return cmd, scratch
}

// allFiles lists a folder, with all below it.
func allFiles(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		all = append(all, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all[1:]
}

// Packages that explode in every way that we know of end at their limits, each as a
// finding, and all others are compiled and tested.
func TestWhatExplodesHurtsNobodyElse(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while, and more than its limits with the race detector")
	}
	t.Parallel()
	dir := explodingProject(t)
	before := allFiles(t, dir)
	cmd, scratch := segueIn(t, dir, "test", "--format", "json", "--limit-time", "4s", "--limit-memory", "500MB")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	family := observe(cmd.Process.Pid)
	err := cmd.Wait()
	most, seen := family()
	if cmd.ProcessState.ExitCode() != statusFailed {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var report struct {
		Packages []struct {
			Folder      string `json:"package"`
			Automations int
			Broken      bool
		}
		Diagnostics diagnostic.List
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v\n%s", err, stdout.String())
	}
	for _, e := range explosions {
		found := slices.ContainsFunc(report.Diagnostics, func(d diagnostic.Diagnostic) bool {
			return strings.HasPrefix(d.File, e.name+"/") && slices.ContainsFunc(e.want, func(w string) bool { return strings.Contains(d.Message, w) })
		})
		if !found {
			t.Errorf("%s: no finding that says %q", e.name, e.want)
		}
	}
	good := 0
	for _, p := range report.Packages {
		if strings.HasPrefix(p.Folder, "good/") && p.Automations == 1 && !p.Broken {
			good++
		}
	}
	for _, d := range report.Diagnostics {
		if strings.HasPrefix(d.File, "good/") {
			t.Errorf("%s: %s", d.File, d.Message)
		}
	}
	if good != goodPackages || t.Failed() {
		t.Errorf("%d good packages of %d", good, goodPackages)
		for _, d := range report.Diagnostics {
			t.Logf("%s: %.200s [%s]", d.File, d.Message, d.Code)
		}
	}
	if most > 2 {
		t.Errorf("%d children at once on two processors", most)
	}
	for _, pid := range seen {
		if running(pid) {
			t.Errorf("the child %d is still there", pid)
		}
	}
	t.Logf("%d children, %d at once at most", len(seen), most)
	if left := allFiles(t, scratch); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if after := allFiles(t, dir); !slices.Equal(before, after) {
		t.Errorf("the project has other files than before")
	}
}

// A tracking plan of many events with many properties is no explosion.
func TestALargeTrackingPlanIsNotGivenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while, and more than its limits with the race detector")
	}
	t.Parallel()
	const events = 366
	dir := t.TempDir()
	plan := "project: \"large\"\nsources: segment: writeKey: secret: \"SEGMENT_WRITE_KEY\"\ntrackingPlan: events: {\n"
	automations := "package growth\n\nimport \"github.com/seguehq/segue/schema/automation\"\n"
	for i := range events {
		plan += fmt.Sprintf("\t\"Event %d Done\": {description: \"The event number %[1]d.\", properties: {\n", i)
		plan += lines(3, func(j int) string {
			return fmt.Sprintf("\t\tname%d?: string & !=\"\"\n\t\tcount%[1]d?: int & >=0 & <=1000\n\t\tkind%[1]d?: \"a%[1]d\" | \"b\" | \"c\"\n\t\tlist%[1]d?: [...{id!: string, price?: number}]\n", j)
		}) + "\t\tplan: \"free\" | \"pro\"\n\t}}\n"
		automations += fmt.Sprintf(`
automations: "event-%d": automation.#Track & {
	name: "Event %[1]d"
	trigger: pattern: "Event %[1]d"
	payload: {userId: "{{userId}}", event: "Event %[1]d Done", properties: {plan: "pro", name0: "x", count1: 3, kind2: "b", list1: [{id: "i"}]}}
}
`, i)
	}
	for name, content := range map[string]string{
		"segue.cue": plan + "}\n", "growth/a.cue": automations,
		"cue.mod/module.cue": "module: \"large.example@v0\"\nlanguage: version: \"v0.17.0\"\n",
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(content), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	cmd, _ := segueIn(t, dir, "vet")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%.3000s", err, out)
	}
}
