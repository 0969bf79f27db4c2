package diagnostic

import (
	"encoding/xml"
	"fmt"
	"io"
	"path"
	"strings"
)

// WriteJUnit writes the findings as JUnit XML, one test case each. GitLab and Jenkins show only one failure for
// a test case, so a test case for a file would hide all of its findings but the first.
//
// Both show the class name and the name, and use them to compare runs. The class name is the file without its
// extension, because Jenkins takes the part before a dot for a package. The name is the code and the message,
// without the line, so that a finding that moved is not reported as new. GitLab drops all but one of the test
// cases with the same name, so repeated names are numbered. The text of a failure is the finding as [WriteText]
// shows it. An error is a failure. A warning is a skipped test with a reason. Jenkins considers a report
// without tests broken, so a project without findings is one test that passes.
func WriteJUnit(w io.Writer, l List, opts Options) error {
	t := newTextWriter(l, Options{Source: opts.Source, Prefix: opts.Prefix})
	report := junitSuites{Name: "segue vet", junitCounts: countJUnit(l)}
	taken, repeats := map[[2]string]bool{}, map[[2]string]int{} // by class name and name
	for i, d := range l {
		if i == 0 || d.File != l[i-1].File {
			report.Suites = append(report.Suites, junitSuite{Name: Printable(suiteName(opts, d))})
		}
		suite := &report.Suites[len(report.Suites)-1]
		c := junitCase{File: Printable(opts.file(d.File)), Name: Printable(d.Code + ": " + d.Message)}
		c.ClassName = strings.TrimSuffix(suite.Name, path.Ext(suite.Name))
		plain := [2]string{c.ClassName, c.Name}
		for taken[[2]string{c.ClassName, c.Name}] {
			repeats[plain]++
			c.Name = fmt.Sprintf("%s (%d)", plain[1], repeats[plain]+1)
		}
		taken[[2]string{c.ClassName, c.Name}] = true
		t.out.Reset()
		t.finding(d)
		outcome := &junitOutcome{Message: Printable(d.Message), Type: Printable(d.Code), Text: t.out.String()}
		one := List{d}
		if one.HasErrors() {
			c.Failure = outcome
		} else {
			c.Skipped = outcome
		}
		suite.Cases = append(suite.Cases, c)
		suite.add(countJUnit(one))
	}
	if len(l) == 0 {
		report.Suites = []junitSuite{{Name: "segue", junitCounts: report.junitCounts,
			Cases: []junitCase{{ClassName: "segue", Name: "no findings"}}}}
	}
	b, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, xml.Header+string(b)+"\n")
	return err
}

// suiteName returns the finding's file, or the project if it is not about a file.
func suiteName(opts Options, d Diagnostic) string {
	if d.File == "" {
		return "segue"
	}
	return opts.file(d.File)
}

func countJUnit(l List) junitCounts {
	s := l.Summary()
	return junitCounts{Tests: max(1, len(l)), Failures: s.Errors, Skipped: s.Warnings}
}

type junitCounts struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
}

func (c *junitCounts) add(other junitCounts) {
	c.Tests += other.Tests
	c.Failures += other.Failures
	c.Skipped += other.Skipped
}

type junitSuites struct {
	XMLName xml.Name `xml:"testsuites"`
	Name    string   `xml:"name,attr"`
	junitCounts
	Suites []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name string `xml:"name,attr"`
	junitCounts
	Cases []junitCase `xml:"testcase"`
}

type junitCase struct {
	ClassName string        `xml:"classname,attr"`
	Name      string        `xml:"name,attr"`
	File      string        `xml:"file,attr,omitempty"`
	Failure   *junitOutcome `xml:"failure"`
	Skipped   *junitOutcome `xml:"skipped"`
}

type junitOutcome struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}
