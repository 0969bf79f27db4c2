package diagnostic

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func sarifSchemaOf(t testing.TB) *jsonschema.Schema {
	t.Helper()
	file, err := os.Open("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(sarifSchema, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(sarifSchema)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validateSARIF(t testing.TB, schema *jsonschema.Schema, text string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("not valid SARIF: %v\n%s", err, text)
	}
}

func TestSARIFMatchesTheOfficialSchema(t *testing.T) {
	schema := sarifSchemaOf(t)
	for name, l := range map[string]List{
		"findings": testFindings(),
		"none":     nil,
		"odd": {
			{},
			{Severity: "other", File: "a:b/c?d#e.cue", Range: Range{Start: Position{Line: 3}}},
			{Code: "x", File: "/abs/\xff.cue", Range: at(1, 1, 1), Fix: &Fix{}},
			{Code: "\xff", Fix: &Fix{Edits: []Edit{{File: "gone"}}}, Related: []Related{{}, {}}},
			{Code: "\xfe", File: "segue.cue", Range: Range{Position{9, 9}, Position{2, 2}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			validateSARIF(t, schema, write(t, "sarif", l, Options{Source: readTestFile, ToolVersion: "(devel)"}))
		})
	}
	// The schema is strict enough to be worth the test.
	if schema.Validate(map[string]any{"version": "2.1.0", "runs": []any{map[string]any{"results": []any{}}}}) == nil {
		t.Error("a run without a tool passes")
	}
}

// sarifLog has the parts of a log that the tests check.
type sarifLog struct {
	Runs []struct {
		Results []struct {
			RuleID              string
			Fixes               []any
			PartialFingerprints map[string]string
			Locations           []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI, URIBaseID string }
					Region           *struct{ StartLine, StartColumn, EndLine, EndColumn int }
				}
			}
		}
	}
}

func readSARIF(t *testing.T, l List, opts Options) sarifLog {
	t.Helper()
	var log sarifLog
	if err := json.Unmarshal([]byte(write(t, "sarif", l, opts)), &log); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestSARIFColumnsAreUTF16(t *testing.T) {
	source := func(string) ([]byte, error) { return []byte("first\r\né😀\xff日x\r\n"), nil }
	for _, c := range []struct{ from, to, wantFrom, wantTo int }{
		{1, 3, 1, 2},    // é: two bytes, one unit
		{3, 7, 2, 4},    // 😀: four bytes, two units
		{7, 8, 4, 5},    // an invalid byte
		{8, 11, 5, 6},   // 日: three bytes, one unit
		{11, 12, 6, 7},  // x
		{12, 12, 7, 7},  // the end of the line
		{11, 999, 6, 7}, // beyond it
	} {
		region := readSARIF(t, List{{File: "f", Range: at(2, c.from, c.to)}}, Options{Source: source}).Runs[0].Results[0].Locations[0].PhysicalLocation.Region
		if region.StartColumn != c.wantFrom || region.EndColumn != c.wantTo {
			t.Errorf("bytes %d to %d: got %+v, want %d to %d", c.from, c.to, *region, c.wantFrom, c.wantTo)
		}
	}
}

// Columns far into a line are found from places on the way, in any order.
func TestColumnsOfALongLine(t *testing.T) {
	s := newSource([]byte("x\n" + strings.Repeat("日😀", 10_000)))
	for _, n := range []int{9_999, 10, 5_000, 9_998, 0, 5_001} {
		if got, want := s.column(Position{2, 1 + 7*n}), 1+3*n; got != want {
			t.Errorf("after %d: column %d, want %d", n, got, want)
		}
	}
	if got := s.column(Position{1, 2}); got != 2 {
		t.Errorf("on the line before: column %d, want 2", got)
	}
}

func TestSARIFPaths(t *testing.T) {
	for file, want := range map[string][2]string{
		"a b/ü%.cue": {"sub/a%20b/%C3%BC%25.cue", "%SRCROOT%"},
		"a:b.cue":    {"sub/a:b.cue", "%SRCROOT%"},
		"q?#.cue":    {"sub/q%3F%23.cue", "%SRCROOT%"},
		"/abs/f.cue": {"file:///abs/f.cue", ""},
	} {
		at := readSARIF(t, List{{File: file}}, Options{Prefix: "sub"}).Runs[0].Results[0].Locations[0].PhysicalLocation
		if got := [2]string{at.ArtifactLocation.URI, at.ArtifactLocation.URIBaseID}; got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
		if at.Region != nil {
			t.Errorf("%s: a finding of the file as a whole has a region", file)
		}
	}
	if got := readSARIF(t, List{{File: "a:b.cue"}}, Options{}).Runs[0].Results[0].Locations[0].PhysicalLocation.ArtifactLocation.URI; got != "./a:b.cue" {
		t.Errorf("a: would be a scheme: got %q", got)
	}
}

func TestSARIFFingerprintsSurviveMoves(t *testing.T) {
	prints := func(l List) (out []string) {
		for _, r := range readSARIF(t, l, Options{}).Runs[0].Results {
			out = append(out, r.PartialFingerprints[sarifFingerprint])
		}
		return out
	}
	here := prints(List{{File: "f", Code: "c", Message: "m", Range: at(1, 2, 3)}, {File: "f", Code: "c", Message: "m", Range: at(2, 2, 3)}})
	moved := prints(List{{File: "f", Code: "c", Message: "m", Range: at(8, 5, 6)}, {File: "f", Code: "c", Message: "m", Range: at(9, 2, 3)}})
	if here[0] != moved[0] || here[1] != moved[1] {
		t.Errorf("%q became %q", here, moved)
	}
	if here[0] == here[1] {
		t.Errorf("two findings share %q", here[0])
	}
	if other := prints(List{{File: "f", Code: "c", Message: "n"}}); other[0] == here[0] {
		t.Error("another message has the same fingerprint")
	}
}

func TestSARIFLeavesOutFixesThatItCannotPlace(t *testing.T) {
	for name, fix := range map[string]Fix{
		"no edits":        {Message: "m"},
		"unreadable file": {"m", []Edit{{"gone.cue", at(1, 1, 2), "x"}}},
		"beyond the file": {"m", []Edit{{"segue.cue", at(99, 1, 2), "x"}}},
	} {
		if got := readSARIF(t, List{{Fix: &fix}}, Options{Source: readTestFile}).Runs[0].Results[0].Fixes; got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}
