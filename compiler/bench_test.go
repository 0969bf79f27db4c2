package compiler_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/workspace"
)

// perPackage is how many automations a package of the benchmarks has.
const perPackage = 10

func BenchmarkCompile1000(b *testing.B)  { benchmarkCompile(b, 1_000, 0) }
func BenchmarkCompile10000(b *testing.B) { benchmarkCompile(b, 10_000, 0) }

// BenchmarkCompile10000Mistakes is for comparison with BenchmarkCompile10000, at
// the same time: it has mistakes in 100 packages, and takes at most 1.3 times as
// long.
func BenchmarkCompile10000Mistakes(b *testing.B) { benchmarkCompile(b, 10_000, 100) }

// benchmarkCompile compiles a project with some mistakes in it, one in a package,
// evenly among them.
func benchmarkCompile(b *testing.B, automations, mistakes int) {
	dir := b.TempDir()
	write := func(name, content string) {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			b.Fatal(err)
		}
	}
	write("segue.cue", defaultProject)
	write("cue.mod/module.cue", workspace.ModuleFile("bench.example@v0"))
	packages := automations / perPackage
	for i := range packages {
		content := benchmarkPackage(i)
		if mistakes > 0 && i%(packages/mistakes) == 0 {
			m := benchmarkMistakes[i/(packages/mistakes)%len(benchmarkMistakes)]
			content = strings.Replace(content, m.right, m.wrong, 1)
		}
		write(fmt.Sprintf("team%d/package%d/automations.cue", i/25, i), content)
	}
	b.ReportAllocs()
	for b.Loop() {
		result := compileDir(b, compiler.Options{Dir: dir})
		if found := len(result.Diagnostics); found != mistakes {
			b.Fatalf("%d findings:\n%s", found, show(result.Diagnostics))
		}
		if n := len(result.Document.Automations); mistakes == 0 && n != automations {
			b.Fatalf("%d automations", n)
		}
	}
	b.ReportMetric(float64(automations*b.N)/b.Elapsed().Seconds(), "automations/s")
}

// benchmarkMistakes are mistakes of several kinds, each as a change of one place.
var benchmarkMistakes = []struct{ right, wrong string }{
	{"{{userId}}", "{{userID}}"},               // a placeholder
	{"employees: 40", `employees: "a lot"`},    // a type
	{"timestamp:", "timestmp:"},                // a field
	{"trigger: pattern:", "trigger: patern:"},  // a trigger
	{"automation.#Group", "automation.#Gruop"}, // a reference
	{`plan:  "team"`, `plan:  "team`},          // the syntax
	{`revenue:  3.5`, `revenue:  "3.5"`},       // a number as a text
}

// benchmarkPackage is a package with automations of all three calls.
func benchmarkPackage(number int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "package package%d\n\nimport \"github.com/seguehq/segue/schema/automation\"\n", number)
	for i := range perPackage {
		call, fields := "Identify", "\t\ttraits: {\n\t\t\temail: \"{{userEmail}}\"\n\t\t\tname:  \"{{userName}}\"\n\t\t\tplan:  \"team\"\n\t\t}\n"
		switch i % 3 {
		case 1:
			call, fields = "Group", "\t\tgroupId: \"{{accountId}}\"\n\t\ttraits: {\n\t\t\tname:      \"{{accountName}}\"\n\t\t\temployees: 40\n\t\t}\n"
		case 2:
			call, fields = "Track", "\t\tevent: \"Report Exported\"\n\t\tproperties: {\n\t\t\tduration: \"{{duration | number}}\"\n\t\t\trevenue:  3.5\n\t\t}\n\t\tcontext: app: name: \"Engine\"\n"
		}
		fmt.Fprintf(&s, `
automations: "automation-%d": automation.#%s & {
	name: "Automation %d of package %d"
	trigger: pattern: "Pattern %d of package %d"
	payload: {
		userId: "{{userId}}"
%s		timestamp: "{{clientTimestampEndTime}}"
	}
}
`, i, call, i, number, i, number, fields)
	}
	return s.String()
}
