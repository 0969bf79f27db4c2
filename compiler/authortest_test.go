package compiler_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// group is a group automation; tests follows its payload.
func group(tests string) string {
	return `package growth

import "github.com/seguehq/segue/schema/automation"

automations: "activated": automation.#Group & {
	name: "Activated"
	trigger: pattern: "Activated"
	payload: {
		userId:  "{{userId}}"
		groupId: "{{accountId}}"
		traits: {name: "{{accountName}}", score: "{{duration | number}}", tags: ["a", "{{userName}}"]}
		context: page: url: "https://example.com/{{userName}}"
	}
` + tests + `
}
`
}

// testFiles tests a project. Results come as lines.
func testFiles(t *testing.T, files map[string]string, run string) (results, findings []string) {
	t.Helper()
	for name, content := range map[string]string{"segue.cue": defaultProject, "cue.mod/module.cue": workspace.ModuleFile("corpus.example@v0")} {
		if _, ok := files[name]; !ok {
			files[name] = content
		}
	}
	return testProject(t, writeProject(t, files), run)
}

func testProject(t *testing.T, dir, run string) (results, findings []string) {
	t.Helper()
	opts := compiler.TestOptions{Options: compiler.Options{Dir: dir}}
	if run != "" {
		opts.Run = regexp.MustCompile(run)
	}
	report, err := compiler.Test(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	results = []string{}
	for _, p := range report.Packages {
		for _, r := range p.Results {
			if len(r.Problems) == 0 {
				results = append(results, "ok "+r.Key+": "+r.Test)
			}
			for _, problem := range r.Problems {
				results = append(results, fmt.Sprintf("%s: %s: %s: %s [%s] [%s]", at(r.File, r.Range), r.Test,
					at(problem.File, problem.Range), problem.Message, problem.Want, problem.Got))
			}
		}
	}
	return results, lines(report.Diagnostics)
}

func at(file string, r diagnostic.Range) string {
	return fmt.Sprintf("%s:%d:%d", file, r.Start.Line, r.Start.Column)
}

func TestAuthorTests(t *testing.T) {
	const sample = "ok growth/activated: "
	for _, test := range []struct {
		name, tests string
		want        []string
	}{
		{"passes", `	tests: "t": {values: {accountName: "Grace Ltd", duration: 3}, expect: {groupId: "acct-7", traits: {name: "Grace Ltd", score: 3.0}}}`,
			[]string{sample, sample + "t"}},
		{"text for a number", `	tests: "t": {values: duration: "3.5", expect: traits: score: 3.5}`, []string{sample, sample + "t"}},
		{"constraints", `	tests: "t": expect: traits: {score: >40 & <50, name: =~"^Anal", tags: [...string]}`, []string{sample, sample + "t"}},
		{"what is missing", `	tests: "t": expect: traits: {email?: _|_, phone?: string}`, []string{sample, sample + "t"}},
		{"braces are data", `	tests: "t": {values: accountName: "{{userId}}", expect: traits: name: "{{userId}}"}`, []string{sample, sample + "t"}},
		{"URL", `	tests: "t": expectURL: "https://api.segment.io/v1/group"`, []string{sample, sample + "t"}},
		{"error", `	tests: "t": {values: duration: "long", expectError: "payload.traits.score"}`, []string{sample, sample + "t"}},
		{"missing value", `	tests: "t": {values: accountId: null, expectError: "{{accountId}}"}`, []string{sample, sample + "t"}},
		{"wrong value", `	tests: "sends the name": {values: accountName: "Grace", expect: traits: name: "Ada"}`, []string{sample,
			`growth/a.cue:14:9: sends the name: growth/a.cue:14:80: payload.traits.name differs from the expected value ["Ada"] ["Grace"]`}},
		{"type", `	tests: "t": expect: traits: score: "42.5"`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:37: payload.traits.score differs from the expected value ["42.5"] [42.5]`}},
		{"constraint", `	tests: "t": expect: traits: score: >50`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:37: payload.traits.score does not match the expected constraint [>50] [42.5]`}},
		{"element", `	tests: "t": expect: traits: tags: ["a", "b"]`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:42: payload.traits.tags[1] differs from the expected value ["b"] ["Ada Byron"]`}},
		{"length", `	tests: "t": expect: traits: tags: ["a"]`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:36: payload.traits.tags differs from the expected value [["a"]] [["a","Ada Byron"]]`}},
		{"misspelt field", `	tests: "t": expect: traits: nmae: "x"`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:36: payload.traits.nmae is missing; did you mean name? ["x"] []`}},
		{"there after all", `	tests: "t": expect: traits: name?: _|_`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:37: payload.traits.name is present, but the test expects that it is not [] ["Analytical Engines Ltd"]`}},
		{"no struct", `	tests: "t": expect: traits: name: first: "x"`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:36: payload.traits.name is not an object [{"first":"x"}] ["Analytical Engines Ltd"]`}},
		{"wrong URL", `	tests: "t": expectURL: "https://api.segment.io/v1/track"`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:25: url differs from the expected value ["https://api.segment.io/v1/track"] ["https://api.segment.io/v1/group"]`}},
		{"unexpected error", `	tests: "t": values: duration: "long"`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:9: the values can't be filled in: payload.traits.score: the value of {{duration}} is not a number [] []`}},
		{"no error", `	tests: "t": expectError: "boom"`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:27: the message would be sent, but the test expects an error ["boom"] []`}},
		{"another error", `	tests: "t": {values: accountId: null, expectError: "boom"}`, []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:14:53: the message fails with another error ["boom"] ["payload.groupId: no value for placeholder {{accountId}}"]`}},
		{"several problems", "\ttests: \"t\": expect: {\n\t\tuserId: \"x\"\n\t\tgroupId: \"y\"\n\t}", []string{sample,
			`growth/a.cue:14:9: t: growth/a.cue:15:11: payload.userId differs from the expected value ["x"] ["u-1042"]`,
			`growth/a.cue:14:9: t: growth/a.cue:16:12: payload.groupId differs from the expected value ["y"] ["acct-7"]`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for where, files := range map[string]map[string]string{
				"in the automation": {"growth/a.cue": group(test.tests)},
				"in a file of its own": {"growth/a.cue": group(""),
					"growth/a_test.cue": "package growth\n" + strings.Repeat("\n", 11) + "automations: \"activated\": {\n" + test.tests + "\n}\n"},
			} {
				got, findings := testFiles(t, files, "")
				want := strings.Join(test.want, "\n")
				if strings.HasSuffix(where, "own") {
					want = strings.ReplaceAll(want, "growth/a.cue", "growth/a_test.cue")
				}
				if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
					t.Errorf("%s (-want +got):\n%s", where, diff)
				}
				if len(findings) > 0 {
					t.Errorf("%s: findings %q", where, findings)
				}
			}
		})
	}
}

// Tests, valid or not, are never a part of an automation.
func TestAuthorTestsAreNotCompiled(t *testing.T) {
	document := func(files map[string]string) string {
		files["segue.cue"], files["cue.mod/module.cue"] = defaultProject, workspace.ModuleFile("corpus.example@v0")
		result, err := compiler.Compile(context.Background(), compiler.Options{Dir: writeProject(t, files)})
		if err != nil || len(result.Diagnostics) > 0 {
			t.Fatal(err, lines(result.Diagnostics))
		}
		b, err := result.Document.Canonical()
		if err != nil || len(result.Document.Automations) != 1 {
			t.Fatal(err, string(b))
		}
		return string(b)
	}
	plain := document(map[string]string{"growth/a.cue": group("")})
	for name, files := range map[string]map[string]string{
		"with tests":      {"growth/a.cue": group(`	tests: "t": {values: accountName: "{{x}}", expect: traits: {name: string, score: >3}}`)},
		"with a file":     {"growth/a.cue": group(""), "growth/a_test.cue": "package growth\n\nautomations: activated: tests: \"t\": expect: 1\n"},
		"with a bad file": {"growth/a.cue": group(""), "growth/a_test.cue": "package growth\n\n}{\n"},
	} {
		if got := document(files); got != plain {
			t.Errorf("%s: %s\nwithout: %s", name, got, plain)
		}
	}
}

func TestAuthorTestFindings(t *testing.T) {
	for _, test := range []struct {
		name, tests, file string
		want              []string
	}{
		{"unknown placeholder", `	tests: "t": values: acountName: "x"`, "", []string{
			`growth/a.cue:14:22-14:32: error unknown-placeholder: there is no placeholder "acountName" [accountName]`}},
		{"misspelt field", `	tests: "t": expects: {}`, "", []string{
			`growth/a.cue:14:14-14:21: error unknown-field: tests.t has no field "expects" [expect]`}},
		{"misspelt field beside a constraint", `	tests: "t": {vals: {}, expect: traits: name: string}`, "", []string{
			`growth/a.cue:14:15-14:19: error unknown-field: tests.t has no field "vals"`}},
		{"value that is not a scalar", `	tests: "t": values: accountName: ["x"]`, "", []string{
			`growth/a.cue:14:35-14:40: error wrong-type: tests.t.values.accountName must be a string, a number, true, false or null, got a list`}},
		{"mistake elsewhere", "\ttests: \"t\": expect: traits: {name: string, score: >3}\n\tenabled: 1", "", []string{
			`growth/a.cue:15:11-15:12: error wrong-type: enabled must be true or false, got the number 1`}},
		{"no automation", "", "automations: \"actvated\": tests: \"t\": expect: {a: >1}", []string{
			`growth/a_test.cue:3:14-3:24: error unknown-automation: the tests are for "actvated", but the package has no automation of that name [activated]`}},
		{"a file that does not parse", "", "automations: {", []string{`growth/a_test.cue:`}},
		{"unknown placeholder in a file", "", "automations: activated: tests: \"t\": values: acountName: \"x\"", []string{
			`growth/a_test.cue:3:45-3:55: error unknown-placeholder: there is no placeholder "acountName" [accountName]`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"growth/a.cue": group(test.tests)}
			if test.file != "" {
				files["growth/a_test.cue"] = "package growth\n\n" + test.file + "\n"
			}
			_, got := testFiles(t, files, "")
			if len(got) != len(test.want) {
				t.Fatalf("findings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			for i, want := range test.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("finding %s\nwant    %s", got[i], want)
				}
			}
		})
	}
}

func TestRunSomeTests(t *testing.T) {
	files := func() map[string]string {
		return map[string]string{"growth/a.cue": group("\ttests: {one: {}, two: {}, \"two and a half\": {}}")}
	}
	for run, want := range map[string]string{
		"one":                   "ok growth/activated: one",
		"two$":                  "ok growth/activated: two",
		"^growth/activated/two": "ok growth/activated: two\nok growth/activated: two and a half",
		"three":                 "",
	} {
		got, _ := testFiles(t, files(), run)
		if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("--run %s (-want +got):\n%s", run, diff)
		}
	}
}

// The message that the samples make must satisfy the spec with its real values. The template can't show that.
func TestSamples(t *testing.T) {
	const placeholders = `placeholders: {
	nobody: {sample: "", description: "Empty."}
	adType: {sample: "middle", description: "Not an ad type."}
	midRoll: {sample: "mid-roll", description: "An ad type."}
	long: {sample: "` + "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" + `", maxLength: 50, description: "Long."}
	xls: {sample: "xls", description: "A format."}
}
`
	for _, test := range []struct {
		name, call, payload, plan string
		want                      string
	}{
		{"right", "Track", `userId: "{{userId}}", event: "Video Ad Started", properties: {type: "{{midRoll}}"}, timestamp: "{{clientTimestampEndTime}}"`, "", "ok growth/x: "},
		{"empty id", "Track", "event: \"Report Exported\"\nuserId: \"{{nobody}}\"", "",
			`growth/a.cue:5:14: : growth/a.cue:10:9: with the samples, payload.userId must not be empty [] [""]`},
		{"not one of the words, which is advice", "Track",
			`userId: "{{userId}}", event: "Video Ad Started", properties: {type: "{{adType}}"}`, "", "ok growth/x: "},
		{"too long", "Identify", `userId: "{{userId}}", messageId: "{{long}}"`, "",
			`growth/a.cue:5:14: : growth/a.cue:9:34: with the samples, payload.messageId has 120 characters`},
		{"not in the plan", "Track", `userId: "{{userId}}", event: "Report Exported", properties: {format: "{{xls}}"}`,
			`trackingPlan: events: "Report Exported": properties: format!: "csv" | "pdf"`,
			`growth/a.cue:5:14: : growth/a.cue:9:70: with the samples, payload.properties.format must be "csv" or "pdf" in the tracking plan, got the string "xls" [] ["xls"]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, findings := testFiles(t, map[string]string{"segue.cue": defaultProject + placeholders + test.plan + "\n",
				"growth/a.cue": `package growth

import "github.com/seguehq/segue/schema/automation"

automations: "x": automation.#` + test.call + ` & {
	name: "X"
	trigger: pattern: "X"
	payload: {
` + test.payload + `
	}
}
`}, "")
			if len(got) != 1 || !strings.HasPrefix(got[0], test.want) {
				t.Errorf("results %q, want %q; findings %q", got, test.want, findings)
			}
		})
	}
}

// The examples in the docs behave as documented.
func TestDocumentedTests(t *testing.T) {
	for file, want := range map[string][]string{
		"../docs/testing.md":        {"ok growth/account-activated: ", "ok growth/account-activated: needs an account", "ok growth/account-activated: sends the name"},
		"../docs/tracking-plans.md": {"ok growth/report-exported: "},
	} {
		t.Run(file, func(t *testing.T) {
			dir := writeProject(t, documented(t, file))
			got, findings := testProject(t, dir, "")
			if diff := cmp.Diff(want, got); diff != "" || len(findings) > 0 {
				t.Errorf("results (-want +got):\n%s\nfindings %q", diff, findings)
			}
		})
	}
}

// documented returns the files of a page: its code blocks, which name their file
// in a comment on the first line.
func documented(t *testing.T, name string) map[string]string {
	t.Helper()
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"segue.cue": defaultProject, "cue.mod/module.cue": workspace.ModuleFile("docs.example@v0")}
	for _, m := range regexp.MustCompile("(?ms)^```(?:cue|json)\n(?:// (\\S+)\n)?(.*?)^```").FindAllStringSubmatch(string(page), -1) {
		switch {
		case m[1] == "segue.cue":
			files[m[1]] += m[2]
		case m[1] != "":
			files[m[1]] = m[2]
		}
	}
	return files
}
