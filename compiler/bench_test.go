package compiler_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seguehq/segue/compiler"
)

// perPackage is how many automations a package of the benchmarks has.
const perPackage = 10

func BenchmarkCompile1000(b *testing.B)  { benchmarkCompile(b, 1_000) }
func BenchmarkCompile10000(b *testing.B) { benchmarkCompile(b, 10_000) }

func benchmarkCompile(b *testing.B, automations int) {
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
	write("cue.mod/module.cue", compiler.ModuleFile("bench.example@v0"))
	for i := range automations / perPackage {
		write(fmt.Sprintf("team%d/package%d/automations.cue", i/25, i), benchmarkPackage(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		result := compileDir(b, compiler.Options{Dir: dir})
		if n := len(result.Document.Automations); n != automations || len(result.Diagnostics) > 0 {
			b.Fatalf("%d automations, and findings:\n%s", n, show(result.Diagnostics))
		}
	}
	b.ReportMetric(float64(automations*b.N)/b.Elapsed().Seconds(), "automations/s")
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
