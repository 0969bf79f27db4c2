package main

import (
	"context"
	"fmt"
	"regexp"

	"github.com/fatih/color"
	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/diagnostic"
)

const testHelp = `Test runs the tests that automations have under tests, and those in files
whose names end in _test.cue. A test fills in values for placeholders and
compares fields of the message with the expected ones. Test also fills in the
samples of every automation, with tests or without, and checks the message that
results against Segment's spec and the tracking plan. This checks the sent
message, not only the template.

Patterns restrict the tests to some folders of the project. --run takes a regular
expression and runs the tests whose key and name it matches, as in
"growth/account-activated/sends the name"; samples are not checked then.

With --watch, the tests run again after each change of the project's files, until
Ctrl-C. With --format json, each run prints one JSON document.

EXAMPLES:
   segue test
   segue test ./growth/...
   segue test --run 'sends the name'
   segue test --watch
   segue test --format json`

func testCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "test", Usage: "run the automations' tests", Description: testHelp, ArgsUsage: "[PATTERN...]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "run the tests whose key and name match `REGEXP`"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "print the results as `FORMAT`: text or json"},
			&cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "use the sources of the target `NAME`", DefaultText: "those of the project"},
			watchFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := oneOfFormats(c.String("format"), "text", "json"); err != nil {
				return err
			}
			var only *regexp.Regexp
			if pattern := c.String("run"); pattern != "" {
				var err error
				if only, err = regexp.Compile(pattern); err != nil {
					return fmt.Errorf("--run: %w", err)
				}
			}
			return t.once(c, t.notesBeside(c.String("format")), "", func(ctx context.Context) error {
				report, err := t.project().Test(ctx, c.String("target"), c.Args().Slice(), only)
				if err != nil {
					return err
				}
				if c.String("format") == "json" {
					return t.testJSON(report)
				}
				return t.testText(report, only != nil)
			})
		},
	})
}

// testTotals counts the results.
type testTotals struct {
	Packages    int `json:"packages"`
	Automations int `json:"automations"`
	Tests       int `json:"tests"`
	Failed      int `json:"failed"`
	diagnostic.Summary
}

func totals(r *compiler.TestReport) testTotals {
	out := testTotals{Packages: len(r.Packages), Summary: r.Diagnostics.Summary()}
	for _, p := range r.Packages {
		out.Automations += p.Automations
		out.Tests += p.Tests()
		out.Failed += p.Failed()
	}
	return out
}

// status is the error for the exit status.
func (s testTotals) status() error {
	if s.Failed > 0 || s.Errors > 0 {
		return statusError(statusFailed)
	}
	return nil
}

func (t *terminal) testJSON(r *compiler.TestReport) error {
	sum := totals(r)
	if r.Diagnostics == nil {
		r.Diagnostics = diagnostic.List{}
	}
	if err := diagnostic.EncodeJSON(t.stdout, struct {
		*compiler.TestReport
		Summary testTotals `json:"summary"`
	}{r, sum}); err != nil {
		return err
	}
	return sum.status()
}

// testText prints the results like other tools: failures in detail, then a line
// for each package.
func (t *terminal) testText(r *compiler.TestReport, filtered bool) error {
	if len(r.Diagnostics) > 0 {
		if err := t.report(t.stdout, "text", r.Diagnostics, mostFindings); err != nil && !r.Diagnostics.HasErrors() {
			return err
		}
		t.printf("\n")
	}
	for _, p := range r.Packages {
		for _, result := range p.Results {
			if len(result.Problems) > 0 {
				t.testFailure(result)
			}
		}
		t.testedPackage(p, filtered)
	}
	sum := totals(r)
	switch {
	case sum.Failed > 0:
		t.printf("\n%d failed\n", sum.Failed)
	case filtered && sum.Tests == 0:
		t.printf("no test matches\n")
	}
	return sum.status()
}

// testedPackage prints the line of a package.
func (t *terminal) testedPackage(p compiler.TestedPackage, filtered bool) {
	if filtered && p.Tests() == 0 && !p.Broken {
		return
	}
	word, details := "ok  ", diagnostic.Plural(p.Automations, "automation")+", "+diagnostic.Plural(p.Tests(), "test")
	if n := p.Failed(); n > 0 {
		word, details = "FAIL", fmt.Sprintf("%s, %d failed", details, n)
	}
	if p.Broken {
		word, details = "FAIL", details+", not all were run: see the findings"
	}
	c := color.New(color.FgGreen)
	if word == "FAIL" {
		c = color.New(color.FgRed, color.Bold)
	}
	t.paint(c, t.stdout)
	t.printf("%s  %s  (%s)\n", c.Sprint(word), diagnostic.Printable(p.Folder), details)
}

// testFailure prints one failed test: its place, and the difference between the
// sent and the expected message.
func (t *terminal) testFailure(r evaluate.TestResult) {
	red, green := color.New(color.FgRed), color.New(color.FgGreen)
	t.paint(red, t.stdout)
	t.paint(green, t.stdout)
	name := r.Test
	if name == "" {
		name = "the samples"
	}
	t.printf("%s %s: %s (%s:%d:%d)\n", red.Sprint("--- FAIL:"), diagnostic.Printable(r.Key), diagnostic.Printable(name),
		diagnostic.Printable(r.File), r.Range.Start.Line, r.Range.Start.Column)
	for _, p := range r.Problems {
		t.printf("    %s:%d:%d: %s\n", diagnostic.Printable(p.File), p.Range.Start.Line, p.Range.Start.Column, diagnostic.Printable(p.Message))
		if p.Want != "" {
			t.printf("        %s\n", green.Sprint("- want ", diagnostic.Printable(p.Want)))
		}
		if p.Got != "" {
			t.printf("        %s\n", red.Sprint("+ got  ", diagnostic.Printable(p.Got)))
		}
	}
}
