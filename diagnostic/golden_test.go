package diagnostic

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update says to renew the golden files.
var update = os.Getenv("SEGUE_UPDATE") != ""

// at is a range on one line.
func at(line, from, to int) Range {
	return Range{Position{line, from}, Position{line, to}}
}

// testFiles are the files that the golden findings are about.
var testFiles = map[string]string{
	"growth/activation.cue": strings.Join([]string{
		"package growth",
		"",
		"automations: \"account-activated\": {",
		"\tpayload: {",
		"\t\tuserId: \"{{userID}}\"",
		"\t\ttraits: name: \"日本語 😀 {{nam}}\"",
		"\t}",
		"}",
	}, "\n"),
	"växt/50% off.cue": "a: 1\nb: \"x\"\n",
	"segue.cue":        "sources: web: {writeKey: \"s3cr3t\", region: \"EU\"}\n",
}

func readTestFile(file string) ([]byte, error) {
	content, ok := testFiles[file]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: file, Err: fs.ErrNotExist}
	}
	return []byte(content), nil
}

// testFindings has one finding of every kind.
func testFindings() List {
	l := List{
		{Severity: Error, Code: "unknown-placeholder", Message: "unknown placeholder {{userID}}", Suggestion: "userId",
			Help: "did you mean {{userId}}?", File: "growth/activation.cue", Range: at(5, 12, 22),
			Path: `automations."account-activated".payload.userId`, Key: "growth/account-activated",
			Fix: &Fix{"write userId", []Edit{{"growth/activation.cue", at(5, 14, 20), "userId"}}}},
		{Severity: Error, Code: "unknown-placeholder", Message: "unknown placeholder {{nam}}",
			Help: "did you mean {{name}}?", File: "growth/activation.cue", Range: at(6, 33, 40),
			Fix: &Fix{"write name", []Edit{{"growth/activation.cue", at(6, 35, 38), "name"}}}},
		{Severity: Error, Code: "missing-field", Message: "event is missing", File: "growth/activation.cue",
			Range: Range{Position{4, 11}, Position{7, 3}}, Help: `write event: "Account Activated"`,
			Related: []Related{{"track needs it", "cue.mod/pkg/segue/track.cue", at(12, 2, 7)}}},
		{Severity: Warning, Code: "type-conflict", Message: `plan is a [string](int) here, 100% sure: a, b`, File: "växt/50% off.cue",
			Range: at(2, 4, 7), Related: []Related{{"a number there", "växt/50% off.cue", at(1, 4, 5)}, {"a number there", "växt/50% off.cue", at(1, 4, 5)}}},
		{Severity: Error, Code: "secret", Message: "a write key stands in the code", File: "segue.cue", Range: at(1, 26, 34),
			Confidential: true, Fix: &Fix{"keep s3cr3t elsewhere", []Edit{{"segue.cue", at(1, 26, 34), "secret: \"s3cr3t\""}}}},
		{Severity: Error, Code: "unknown-region", Message: "the regions are us and eu", File: "segue.cue", Range: at(1, 44, 48)},
		{Severity: Error, Code: "no-project", Message: "there is no segue.cue", Help: "write one,\nor \x1b[31mcd\x1b[0m \xff elsewhere"},
	}
	l.Sort()
	return l
}

func write(t *testing.T, format string, l List, opts Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, l, opts); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	opts := Options{Source: readTestFile, Prefix: "team a", ToolVersion: "v1.2.3", Describe: func(code string) Rule {
		if code != "secret" {
			return Rule{}
		}
		return Rule{Summary: "A secret stands in the code.", Help: "Name it in segue.cue.", URL: "https://example.com/secret"}
	}}
	for _, format := range Formats() {
		t.Run(format, func(t *testing.T) {
			got := write(t, format, testFindings(), opts)
			if strings.Contains(got, "s3cr3t") {
				t.Error("a secret is shown")
			}
			file := filepath.Join("testdata", "findings."+format)
			if update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s is stale, see testdata/README.md (-want +got):\n%s", file, diff)
			}
		})
	}
}

func TestFormatsWithoutFindings(t *testing.T) {
	for format, want := range map[string]string{
		"text":   "",
		"json":   "{\n  \"diagnostics\": [],\n  \"summary\": {\n    \"errors\": 0,\n    \"warnings\": 0\n  }\n}\n",
		"github": "",
		"gitlab": "[]\n",
	} {
		if got := write(t, format, nil, Options{}); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
	if got := write(t, "sarif", nil, Options{}); !strings.Contains(got, `"results": []`) {
		t.Errorf("SARIF without findings has no results: %s", got)
	}
	if got := write(t, "junit", nil, Options{}); !strings.Contains(got, `<testcase classname="segue" name="no findings"></testcase>`) {
		t.Errorf("JUnit without findings has no passing test: %s", got)
	}
}

func TestUnknownFormat(t *testing.T) {
	err := Write(&bytes.Buffer{}, "yaml", nil, Options{})
	if err == nil || err.Error() != `unknown format "yaml"; the formats are text, json, sarif, github, gitlab, junit` {
		t.Errorf("got %v", err)
	}
}

// A failing writer's error reaches the caller.
func TestWriteError(t *testing.T) {
	for _, format := range Formats() {
		if err := Write(brokenWriter{}, format, testFindings(), Options{}); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
