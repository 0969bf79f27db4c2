package diagnostic

import (
	"encoding/xml"
	"strings"
	"testing"
)

func TestGitHubEscapes(t *testing.T) {
	source := func(string) ([]byte, error) { return []byte("é😀x\n"), nil }
	for name, c := range map[string]struct {
		d    Diagnostic
		want string
	}{
		"in a property":         {Diagnostic{Severity: Error, Code: "a:b,c%", File: "d:e,f\n%.cue", Message: "m"}, `::error file=d%3Ae%2Cf\n%25.cue,title=a%3Ab%2Cc%25::m`},
		"in the message":        {Diagnostic{Severity: Warning, Code: "c", Message: "100%: a, b\r\n::error::x", Help: "h"}, `::warning title=c::100%25: a, b\r\n::error::x%0Ahelp: h`},
		"columns":               {Diagnostic{Code: "c", File: "f", Range: at(1, 7, 8), Message: "m"}, `::warning file=f,line=1,col=4,endLine=1,endColumn=5,title=c::m`},
		"several lines":         {Diagnostic{Code: "c", File: "f", Range: Range{Position{1, 2}, Position{3, 4}}, Message: "m"}, `::warning file=f,line=1,endLine=3,title=c::m`},
		"an unknown end":        {Diagnostic{Code: "c", File: "f", Range: Range{Start: Position{1, 1}}, Message: "m"}, `::warning file=f,line=1,col=1,title=c::m`},
		"a line without column": {Diagnostic{Code: "c", File: "f", Range: Range{Start: Position{Line: 2}}, Message: "m"}, `::warning file=f,line=2,title=c::m`},
	} {
		if got := write(t, "github", List{c.d}, Options{Source: source}); got != c.want+"\n" {
			t.Errorf("%s:\n got %s want %s", name, got, c.want)
		}
	}
}

// readJUnit parses a report and checks that its counts are right and that no two
// tests have the same name.
func readJUnit(t testing.TB, text string) junitSuites {
	t.Helper()
	var r junitSuites
	if err := xml.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var total junitCounts
	names := map[string]bool{}
	for _, s := range r.Suites {
		var counts junitCounts
		for _, c := range s.Cases {
			counts.Tests++
			if c.Failure != nil {
				counts.Failures++
			}
			if c.Skipped != nil {
				counts.Skipped++
			}
			if name := c.ClassName + "\n" + c.Name; names[name] {
				t.Errorf("two tests of %s are named %q", c.ClassName, c.Name)
			} else {
				names[name] = true
			}
		}
		if counts != s.junitCounts {
			t.Errorf("suite %s counts %+v, has %+v", s.Name, s.junitCounts, counts)
		}
		total.add(counts)
	}
	if total != r.junitCounts {
		t.Errorf("the report counts %+v, has %+v", r.junitCounts, total)
	}
	return r
}

func TestJUnitNamesAreUnique(t *testing.T) {
	l := List{
		{Severity: Error, Code: "c", Message: "m", File: "a.cue", Range: at(1, 1, 2)},
		{Severity: Error, Code: "c", Message: "m (2)", File: "a.cue", Range: at(2, 1, 2)},
		{Severity: Error, Code: "c", Message: "m", File: "a.cue", Range: at(3, 1, 2)},
		{Severity: Error, Code: "c", Message: "m", File: "a.cue", Range: at(4, 1, 2)},
		{Severity: Warning, Code: "c", Message: "m", File: "a.json"},
		{Severity: Warning, Code: "c", Message: "m"},
	}
	var got []string
	for _, s := range readJUnit(t, write(t, "junit", l, Options{})).Suites {
		for _, c := range s.Cases {
			got = append(got, c.ClassName+" "+c.Name)
		}
	}
	want := "a c: m, a c: m (2), a c: m (3), a c: m (4), a c: m (5), segue c: m"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}

func TestJUnitWithoutFindings(t *testing.T) {
	r := readJUnit(t, write(t, "junit", nil, Options{}))
	if r.Tests != 1 || r.Failures+r.Skipped+r.Errors != 0 {
		t.Errorf("got %+v", r.junitCounts)
	}
}
