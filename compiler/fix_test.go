package compiler_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/diagnostic"
)

// found compiles a project and returns its findings.
func found(t *testing.T, dir, target string) diagnostic.List {
	t.Helper()
	result, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir, Target: target})
	if err != nil {
		t.Fatal(err)
	}
	return result.Diagnostics
}

// fixAll applies fixes until there are none, and returns the last findings.
func fixAll(t *testing.T, dir, target string) (diagnostic.List, int) {
	t.Helper()
	file := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	total := 0
	for round := 0; ; round++ {
		list := found(t, dir, target)
		n, err := diagnostic.FixFiles(list, func(name string) ([]byte, error) { return os.ReadFile(file(name)) },
			func(name string, content []byte) error {
				if _, err := parser.ParseFile(name, content); err != nil {
					if before, _ := os.ReadFile(file(name)); before != nil {
						if _, old := parser.ParseFile(name, before); old == nil {
							t.Errorf("fixed, %s does not parse any more: %v\n%s", name, err, content)
						}
					}
				}
				return os.WriteFile(file(name), content, 0o666)
			})
		if err != nil {
			t.Fatal(err)
		}
		total += n
		for _, d := range list {
			if n == 0 && d.Fix != nil {
				t.Errorf("the fix of %s at %s can't be applied", d.Code, place(d.File, d.Range))
			}
		}
		if n == 0 {
			return list, total
		}
		if round == 5 {
			t.Fatalf("still fixing: %+v", list)
		}
	}
}

// Fixes repair the whole corpus as far as that is certain, without a new mistake.
func TestFixesOfTheCorpus(t *testing.T) {
	if testing.Short() {
		t.Skip("it checks the whole corpus several times")
	}
	fixed := map[string]int{}
	err := filepath.WalkDir(corpusDir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".txtar" {
			return err
		}
		rel, _ := filepath.Rel(corpusDir, name)
		t.Run(strings.TrimSuffix(filepath.ToSlash(rel), ".txtar"), func(t *testing.T) {
			s := readSpecimen(t, name)
			dir := s.unpack(t)
			before := map[string]int{}
			for _, d := range found(t, dir, s.target) {
				if d.Fix != nil {
					fixed[d.Code]++
				}
				if d.Severity == diagnostic.Error {
					before[d.Code]++
				}
			}
			after, n := fixAll(t, dir, s.target)
			if n == 0 {
				return
			}
			errors := 0
			for _, d := range after {
				if d.Severity == diagnostic.Error {
					errors++
					t.Logf("left: %s %s %s", place(d.File, d.Range), d.Code, d.Message)
					if before[d.Code]--; before[d.Code] < 0 {
						t.Errorf("new error %s: %s", d.Code, d.Message)
					}
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"unknown-field", "unknown-placeholder", "unknown-cast", "unknown-definition", "unknown-reference",
		"unknown-import", "invalid-value", "unknown-source", "stray-blanks", "missing-cast", "placeholder-type", "wrong-type", "malformed-placeholder", "unused-import"} {
		if fixed[code] == 0 {
			t.Errorf("no %s of the corpus has a fix", code)
		}
	}
	t.Log(fixed)
}

// The results of fixes, and the parts of files that they leave alone.
func TestFixes(t *testing.T) {
	const head = "package growth\n\nimport \"github.com/seguehq/segue/schema/automation\"\n\n"
	identify := func(payload string) string {
		return head + "automations: a: automation.#Identify & {\n\tname: \"A\"\n\ttrigger: pattern: \"A\"\n\tpayload: {\n" + payload + "\t}\n}\n"
	}
	both := func(before, after string) [2]string { return [2]string{identify(before), identify(after)} }
	same := func(content string) [2]string { return [2]string{content, content} }
	cases := map[string][2]string{}
	for name, c := range map[string][2]string{
		"a label":                     both("\t\tuser_id:   \"{{userId}}\" // why\n", "\t\tuserId:   \"{{userId}}\" // why\n"),
		"a label in quotes":           both("\t\t\"user-id\": \"{{userId}}\"\n", "\t\t\"userId\": \"{{userId}}\"\n"),
		"a label that needs quotes":   both("\t\tuserId: \"1\", metadata: {}\n", "\t\tuserId: \"1\", \"_metadata\": {}\n"),
		"two labels for one field":    same(identify("\t\tuser_id: \"1\", userid: \"1\"\n")),
		"a label that is referred to": same(identify("\t\tuserId: \"1\", sentat: \"2026-01-31T10:00:00Z\", timestamp: sentat\n")),
		"a placeholder":               both("\t\tuserId: \"{{ userID }}\"\n", "\t\tuserId: \"{{ userId }}\"\n"),
		"a placeholder with a cast":   both("\t\tuserId: \"1\", traits: n: \"{{durration | number}}\"\n", "\t\tuserId: \"1\", traits: n: \"{{duration | number}}\"\n"),
		"placeholders of one text":    both("\t\tuserId: \"{{userID}}-{{acountId}}-{{userID}}\"\n", "\t\tuserId: \"{{userId}}-{{accountId}}-{{userId}}\"\n"),
		"over several lines":          both("\t\tuserId: \"\"\"\n\t\t\ta {{userID}}\n\t\t\tb\n\t\t\t\"\"\"\n", "\t\tuserId: \"\"\"\n\t\t\ta {{userId}}\n\t\t\tb\n\t\t\t\"\"\"\n"),
		"a raw text":                  both("\t\tuserId: #\"a \"{{userID}}\" b\"#\n", "\t\tuserId: #\"a \"{{userId}}\" b\"#\n"),
		"of the wrong type there":     same(identify("\t\tuserId: \"1\", timestamp: \"{{duraton}}\"\n")),
		"blanks":                      both("\t\tuserId: \"{{userId}} \"\n", "\t\tuserId: \"{{userId}}\"\n"),
		"blanks and a name":           both("\t\tuserId: \" {{userID}} \"\n", "\t\tuserId: \"{{userId}}\"\n"),
		"blanks over several lines":   both("\t\tuserId: \"\"\"\n\t\t\t{{userId}}\n\n\t\t\t\"\"\"\n", "\t\tuserId: \"{{userId}}\"\n"),
		"a cast":                      both("\t\tuserId: \"1\", traits: age: \"{{duration}}\"\n", "\t\tuserId: \"1\", traits: age: \"{{duration | number}}\"\n"),
		"a cast and a name":           both("\t\tuserId: \"1\", traits: age: \"{{Duration}}\"\n", "\t\tuserId: \"1\", traits: age: \"{{duration | number}}\"\n"),
		"a misspelt cast":             both("\t\tuserId: \"1\", traits: n: \"{{duration|int}}\"\n", "\t\tuserId: \"1\", traits: n: \"{{duration|number}}\"\n"),
		"a cast that can't be":        same(identify("\t\tuserId: \"1\", traits: n: \"{{userName | numbr}}\"\n")),
		"a cast too many":             both("\t\tuserId: \"{{duration | number}}\"\n", "\t\tuserId: \"{{duration}}\"\n"),
		"a number in quotes":          both("\t\tuserId: \"1\", traits: age: \"42\"\n", "\t\tuserId: \"1\", traits: age: 42\n"),
		"a number for a text":         both("\t\tuserId: 1042\n", "\t\tuserId: \"1042\"\n"),
		"true in quotes":              both("\t\tuserId: \"1\", integrations: All: \"true\"\n", "\t\tuserId: \"1\", integrations: All: true\n"),
		"single braces":               both("\t\tuserId: \"{userId}\"\n", "\t\tuserId: \"{{userId}}\"\n"),
		"as a shell":                  both("\t\tuserId: \"${userId}\"\n", "\t\tuserId: \"{{userId}}\"\n"),
		"triple braces":               both("\t\tuserId: \"{{{userId}}}\"\n", "\t\tuserId: \"{{userId}}\"\n"),
		"not closed":                  both("\t\tuserId: \"{{userId\"\n", "\t\tuserId: \"{{userId}}\"\n"),
		"half closed":                 both("\t\tuserId: \"{{userId}\"\n", "\t\tuserId: \"{{userId}}\"\n"),
		"as a Go template":            both("\t\tuserId: \"{{ .userId }}\"\n", "\t\tuserId: \"{{userId}}\"\n"),
		"not certain":                 same(identify("\t\tuserId: \"{{usr}\"\n")),
		"a definition":                {strings.Replace(identify("\t\tuserId: \"1\"\n"), "#Identify", "#Identfy", 1), identify("\t\tuserId: \"1\"\n")},
		"a reference":                 both("\t\tlet id = \"1\"\n\t\tuserId: ud\n", "\t\tlet id = \"1\"\n\t\tuserId: ud\n"),
		"a reference to the package": {head + "#UserID: \"{{userId}}\"\n" + strings.TrimPrefix(identify("\t\tuserId: #UserId\n"), head),
			head + "#UserID: \"{{userId}}\"\n" + strings.TrimPrefix(identify("\t\tuserId: #UserID\n"), head)},
		"a selector": {head + "ids: user: \"{{userId}}\"\n" + strings.TrimPrefix(identify("\t\tuserId: ids.usr\n"), head),
			head + "ids: user: \"{{userId}}\"\n" + strings.TrimPrefix(identify("\t\tuserId: ids.user\n"), head)},
		"an import": {strings.Replace(identify("\t\tuserId: \"1\"\n"), "segue/schema", "seque/schema", 1), identify("\t\tuserId: \"1\"\n")},
		"an import and its uses": {strings.ReplaceAll(strings.ReplaceAll(identify("\t\tuserId: \"1\"\n"), "automation\"", "automaton\""), "automation.", "automaton."),
			identify("\t\tuserId: \"1\"\n")},
		"an unused import": {strings.Replace(identify("\t\tuserId: \"1\"\n"), "import ", "import \"strings\" // for later\n\nimport ", 1), identify("\t\tuserId: \"1\"\n")},
		"an unused import among others": {strings.Replace(identify("\t\tuserId: \"1\"\n"), "import \"github.com/seguehq/segue/schema/automation\"", "import (\n\t// Lists.\n\t\"list\"\n\t\"github.com/seguehq/segue/schema/automation\"\n)", 1),
			strings.Replace(identify("\t\tuserId: \"1\"\n"), "import \"github.com/seguehq/segue/schema/automation\"", "import (\n\t\"github.com/seguehq/segue/schema/automation\"\n)", 1)},
		"unused imports":      {strings.Replace(identify("\t\tuserId: \"1\"\n"), "import ", "import (\n\t\"list\"\n\t\"strings\"\n)\n\nimport ", 1), identify("\t\tuserId: \"1\"\n")},
		"imports on one line": same(strings.Replace(identify("\t\tuserId: \"1\"\n"), "import ", "import \"strings\", import ", 1)),
		"a misspelt code": {strings.Replace(identify("\t\tuserId: \"1\", receivedAt: \"2026-01-31T10:00:00Z\"\n"), "\tname", "\tallow: \"set_by_segment\": \"a test\"\n\tname", 1),
			strings.Replace(identify("\t\tuserId: \"1\", receivedAt: \"2026-01-31T10:00:00Z\"\n"), "\tname", "\tallow: \"set-by-segment\": \"a test\"\n\tname", 1)},
		"what others share": {head + "#U: {userId: \"{{userID}}\", sentat: \"2026-01-31T10:00:00Z\"}\nautomations: a: automation.#Identify & {name: \"A\", trigger: pattern: \"A\", payload: #U}\n",
			head + "#U: {userId: \"{{userId}}\", sentat: \"2026-01-31T10:00:00Z\"}\nautomations: a: automation.#Identify & {name: \"A\", trigger: pattern: \"A\", payload: #U}\n"},
		"a header": {strings.Replace(identify("\t\tuserId: \"1\"\n"), "\tname", "\theaders: {accept: \"text/plain\", \"x-foo\": \"1\"}\n\tname", 1),
			strings.Replace(identify("\t\tuserId: \"1\"\n"), "\tname", "\theaders: {Accept: \"text/plain\", \"X-Foo\": \"1\"}\n\tname", 1)},
		"two spellings of a header": same(strings.Replace(identify("\t\tuserId: \"1\"\n"), "\tname", "\theaders: {\"x-foo\": \"1\", \"X-FOO\": \"1\"}\n\tname", 1)),
		"written twice":             same(identify("\t\tuserId: \"{{userID}}\"\n\t\tuserId: \"{{userID}}\"\n")),
	} {
		cases[name] = c
		if strings.Contains(name, "import") {
			cases[name+", with CRLF"] = [2]string{strings.ReplaceAll(c[0], "\n", "\r\n"), strings.ReplaceAll(c[1], "\n", "\r\n")}
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := writeProject(t, map[string]string{"segue.cue": defaultProject, "a.cue": c[0]})
			fixAll(t, dir, "")
			got, err := os.ReadFile(filepath.Join(dir, "a.cue"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c[1], string(got)); diff != "" {
				t.Errorf("fixed (-want +got):\n%s", diff)
				for _, d := range found(t, dir, "") {
					t.Logf("%s %s", d.Code, d.Message)
				}
			}
		})
	}
}

func TestFixesByTheTrackingPlan(t *testing.T) {
	const file = "package growth\n\nimport \"github.com/seguehq/segue/schema/automation\"\n\n" +
		"automations: a: automation.#Track & {name: \"A\", trigger: pattern: \"A\", payload: {userId: \"{{userId}}\", event: %q, properties: {%s: 1, %s: 1}}}\n"
	dir := writeProject(t, map[string]string{
		"segue.cue": defaultProject + "trackingPlan: events: \"Report Exported\": properties: {rows?: int, format?: string}\n",
		"a.cue":     fmt.Sprintf(file, "Report Exportd", "row", "fromat"),
	})
	list, _ := fixAll(t, dir, "")
	got, err := os.ReadFile(filepath.Join(dir, "a.cue"))
	if err != nil {
		t.Fatal(err)
	}
	// A format is a string, so the correction of fromat is not certain.
	if diff := cmp.Diff(fmt.Sprintf(file, "Report Exported", "rows", "fromat"), string(got)); diff != "" || len(list) != 1 {
		t.Errorf("fixed (-want +got):\n%s\n%+v", diff, list)
	}
}

func TestFixesOfTheProjectFile(t *testing.T) {
	dir := writeProject(t, map[string]string{"segue.cue": `project: "corpus"
sources: segment: {regon: "us", writeKey: secret: "SEGMENT_WRITE_KEY"}
targets: prod: {platform: "embeded", paralelism: "4", sources: segmnt: region: "eu"}
defaultTarget: "prd"
`})
	list, n := fixAll(t, dir, "")
	got, err := os.ReadFile(filepath.Join(dir, "segue.cue"))
	if err != nil {
		t.Fatal(err)
	}
	want := `project: "corpus"
sources: segment: {region: "us", writeKey: secret: "SEGMENT_WRITE_KEY"}
targets: prod: {platform: "embedded", parallelism: 4, sources: segment: region: "eu"}
defaultTarget: "prod"
`
	if diff := cmp.Diff(want, string(got)); diff != "" || len(list) > 0 || n != 6 {
		t.Errorf("%d fixed (-want +got):\n%s\n%+v", n, diff, list)
	}
}
