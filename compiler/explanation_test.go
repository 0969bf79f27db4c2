package compiler_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// unshown are the codes that an example of files can't show, and why.
var unshown = map[string]string{
	"broken-import":      "the mistake in the imported package is a finding as well",
	"cue":                "it is for what no other code is for",
	"file-too-large":     "the file would have 8 MB",
	"linked-folder":      "a link is not text",
	"module-unavailable": "it takes a module registry",
	"outside-project":    "a link is not text",
	"no-project":         "there would be no file",
	"over-budget":        "it takes as long as it takes",
	"platform-mapping":   "the description of a platform is long; docs/platforms.md has one",
	"schema-version":     "the vendored copy has many files",
	"unknown-automation": "segue test alone reads the files in which it can be",
	"unknown-trigger":    "the names of the triggers come from a platform",
	"unreadable-file":    "a device or a broken link is not text",
}

// exampleFindings compiles an example.
func exampleFindings(t *testing.T, example []finding.ExampleFile) diagnostic.List {
	t.Helper()
	files := map[string]string{"segue.cue": defaultProject}
	for _, f := range example {
		files[f.Name] = f.Content
	}
	result, err := compiler.Compile(context.Background(), compiler.Options{Dir: writeProject(t, files)})
	if err != nil {
		t.Fatal(err)
	}
	return result.Diagnostics
}

func TestExplanations(t *testing.T) {
	for _, code := range finding.Codes() {
		t.Run(code.Name, func(t *testing.T) {
			e, ok := finding.Explain(code.Name)
			if !ok || e.Title == "" || e.Why == "" {
				t.Fatalf("no explanation in finding/codes/%s.txtar", code.Name)
			}
			reason, hidden := unshown[code.Name]
			if hidden && len(e.Wrong)+len(e.Right) > 0 {
				t.Fatalf("there is an example, though %s", reason)
			}
			if hidden {
				return
			}
			if len(e.Wrong) == 0 || len(e.Right) == 0 {
				t.Fatal("no example")
			}
			found := exampleFindings(t, e.Wrong)
			if len(found) == 0 {
				t.Error("the wrong example gives no finding")
			}
			for _, d := range found {
				if d.Code != code.Name || d.Severity != code.Severity {
					t.Errorf("the wrong example gives %s %s: %s", d.Severity, d.Code, d.Message)
				}
			}
			for _, d := range exampleFindings(t, e.Right) {
				t.Errorf("the right example gives %s: %s", d.Code, d.Message)
			}
		})
	}
	files, err := os.ReadDir("finding/codes")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, ok := finding.Explain(strings.TrimSuffix(f.Name(), ".txtar")); !ok {
			t.Errorf("finding/codes/%s explains a code that does not exist", f.Name())
		}
	}
}

// docs/diagnostics.md has the explanations. Renew it with
// SEGUE_UPDATE=1 go test ./compiler -run TestDiagnosticsPage.
func TestDiagnosticsPage(t *testing.T) { holdPage(t, "codes", codesPage()) }

func codesPage() string {
	var b bytes.Buffer
	for _, code := range finding.Codes() {
		e, _ := finding.Explain(code.Name)
		fmt.Fprintf(&b, "\n### %s\n\n*%s.* %s\n\n%s\n", code.Name, code.Severity, e.Title, e.Why)
		for _, side := range []struct {
			name  string
			files []finding.ExampleFile
		}{{"Wrong", e.Wrong}, {"Right", e.Right}} {
			for _, f := range side.files {
				fmt.Fprintf(&b, "\n%s, `%s`:\n\n```%s\n%s```\n", side.name, f.Name, strings.TrimPrefix(filepath.Ext(f.Name), "."), f.Content)
			}
		}
	}
	b.WriteByte('\n')
	return b.String()
}
