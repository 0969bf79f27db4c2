package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

const vetHelp = `Vet checks the project: the CUE files against the schema of Segment's
messages, and every placeholder against the catalog. It prints all findings of
all packages, and nothing when there are none. The exit status is 1 if there is
an error among them; warnings alone do not change it.

Patterns restrict the check to some folders of the project.

With --fix, certain mistakes are corrected in the files: a misspelled name that is
near to only one other, whitespace around a placeholder, a missing cast, quotes around
a number, a header's case, an unused import. The rest of the files is not
changed. Then the project is checked again, and remaining findings are printed.

On text, the first 50 findings are printed, errors before warnings, and the rest
is counted by code; --max changes the number. The other formats are for programs:
json, sarif (SARIF 2.1.0, for code scanning), github (workflow commands that mark
lines in a pull request), gitlab (a code quality report) and junit (JUnit XML). They
hold all findings. All but json name files from the top of the Git repository, as CI
wants it.

With --strict, warnings are errors, unless an automation allows them. A project asks for that
of all commands with strict: true in segue.cue.

With --watch, the project is checked again after each change of its files, until
Ctrl-C. Files and folders whose names begin with a dot are not watched. With
--format json, each check prints one JSON document.

With --stdin, the standard input takes the place of the file that --path names, which
need not exist: an editor checks unsaved text. Only the findings of that file are
printed, and they decide the exit status.

EXAMPLES:
   segue vet
   segue vet ./growth/...
   segue vet --max 0
   segue vet --fix
   segue vet --watch
   segue vet --stdin --path growth/activation.cue < draft.cue
   segue vet --format json
   segue vet --format sarif > segue.sarif`

// mostFindings is the number of findings printed as text unless --max is given.
const mostFindings = 50

func vetCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "vet", Usage: "check the project", Description: vetHelp, ArgsUsage: "[PATTERN...]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: "text", Usage: "print findings as `FORMAT`: " + strings.Join(diagnostic.Formats(), ", ")},
			&cli.BoolFlag{Name: "fix", Usage: "correct in the files what is certain, and print the rest"},
			&cli.IntFlag{Name: "max", Value: mostFindings, Usage: "on text, print at most `N` findings and count the rest; 0 prints all"},
			&cli.BoolFlag{Name: "strict", Usage: "count warnings as errors, as strict: true in segue.cue does"},
			watchFlag(),
			&cli.BoolFlag{Name: "stdin", Usage: "check the standard input in the place of the file of --path"},
			&cli.StringFlag{Name: "path", Usage: "name the `FILE` of --stdin, in the project"},
		},
		Action: func(c *cli.Context) error {
			format := c.String("format")
			t.strict = c.Bool("strict")
			if err := oneOfFormats(format, diagnostic.Formats()...); err != nil {
				return err
			}
			if c.Int("max") < 0 {
				return fmt.Errorf("--max %d: a number of findings, or 0 for all", c.Int("max"))
			}
			patterns := c.Args().Slice()
			if err := watchable(c, format); err != nil {
				return err
			}
			if c.Bool("stdin") || c.IsSet("path") {
				return t.vetInput(c, format)
			}
			if c.Bool("fix") {
				fixed, left, err := fix(c.Context, t.project(), patterns)
				for _, line := range fixedLines(fixed) {
					fmt.Fprintln(t.notesBeside(format), line)
				}
				if err != nil && left == nil {
					return err
				}
				return cmp.Or(err, t.report(t.stdout, format, left, c.Int("max")))
			}
			return t.once(c, t.notesBeside(format), "", func(ctx context.Context) error {
				result, err := t.project().Compile(ctx, "", patterns)
				if err != nil {
					return err
				}
				return t.report(t.stdout, format, result.Diagnostics, c.Int("max"))
			})
		},
	})
}

// vetInput checks the standard input in the place of a file, and prints the findings of that file.
func (t *terminal) vetInput(c *cli.Context, format string) error {
	if !c.Bool("stdin") || c.String("path") == "" {
		return errors.New("--stdin and --path FILE belong together: the text, and the file that it is to be")
	}
	if c.Bool("fix") || c.Bool("watch") || c.Args().Present() {
		return errors.New("--stdin checks one text; leave out --fix, --watch and patterns")
	}
	name := filepath.ToSlash(filepath.Clean(c.String("path")))
	if filepath.IsAbs(c.String("path")) {
		here, err := os.Getwd()
		if err != nil {
			return err
		}
		if name, err = filepath.Rel(here, c.String("path")); err != nil {
			return err
		}
		name = filepath.ToSlash(name)
	}
	if !filepath.IsLocal(name) {
		return fmt.Errorf("--path %s is outside of the project", c.String("path"))
	}
	content, err := interruptible(c.Context, func() ([]byte, error) { return readValuesFrom(t.stdin) })
	if err != nil {
		return err
	}
	t.project().Set(name, content)
	result, err := t.project().Compile(c.Context, "", nil)
	if err != nil {
		return err
	}
	found := slices.DeleteFunc(result.Diagnostics, func(d diagnostic.Diagnostic) bool { return d.File != name })
	t.unsaved = map[string][]byte{name: content}
	return t.report(t.stdout, format, found, c.Int("max"))
}

// report writes the findings in a format, as text at most so many, and returns
// the error for the exit status if any is an error.
func (t *terminal) report(w io.Writer, format string, list diagnostic.List, most int) error {
	err := diagnostic.Write(w, format, list, diagnostic.Options{
		Color: t.colorful(w), Width: columns(w), Max: most,
		Source: t.readSource, Prefix: repositoryPrefix(), ToolVersion: version(), Describe: describe,
	})
	if err == nil && list.HasErrors() {
		err = statusError(statusFailed)
	}
	return err
}

// readSource reads a file whose lines are shown.
func (t *terminal) readSource(name string) ([]byte, error) {
	content, unsaved := t.unsaved[name]
	var err error
	if !unsaved {
		content, err = readProject(name)
	}
	if filepath.Ext(name) == ".cue" {
		content = credential.Mask(content)
	}
	return content, err
}

// describe explains a code to tools that show findings.
func describe(code string) diagnostic.Rule {
	e, _ := finding.Explain(code)
	return diagnostic.Rule{Summary: e.Title, Help: e.Why}
}

// columns returns the width of a terminal, 0 for other writers.
func columns(w io.Writer) int {
	if f := fileOf(w); f != nil {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// repositoryPrefix returns the path of the current folder in its Git
// repository, "" if there is none.
func repositoryPrefix() string {
	here, err := os.Getwd()
	if err != nil {
		return ""
	}
	for top := here; ; top = filepath.Dir(top) {
		if _, err := os.Stat(filepath.Join(top, ".git")); err == nil {
			way, err := filepath.Rel(top, here)
			if err != nil || way == "." {
				return ""
			}
			return filepath.ToSlash(way)
		}
		if top == filepath.Dir(top) {
			return ""
		}
	}
}
