package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/project"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

const fmtHelp = `Fmt formats the CUE files of the project as cue fmt does, in place, and prints the
names of those that it has changed. It leaves cue.mod alone, and folders whose names begin
with a dot or an underscore. Patterns restrict it to some files or folders: growth,
./growth/..., growth/activation.cue. With - it formats the standard input to the
standard output.

With --check, nothing is written, and the exit status is 1 if a file is not formatted.

EXAMPLES:
   segue fmt
   segue fmt ./growth/...
   segue fmt --check
   segue fmt - < growth/activation.cue`

func fmtCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "fmt", Usage: "format the project's CUE files", Description: fmtHelp, ArgsUsage: "[PATTERN...|-]",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "check", Usage: "write nothing; the exit status is 1 if a file is not formatted"}},
		Action: func(c *cli.Context) error {
			if c.NArg() == 1 && c.Args().First() == "-" {
				return t.formatInput(c)
			}
			return t.formatFiles(c)
		},
	}
}

// formatInput formats the standard input.
func (t *terminal) formatInput(c *cli.Context) error {
	content, err := interruptible(c.Context, func() ([]byte, error) { return io.ReadAll(t.stdin) })
	if err != nil {
		return err
	}
	formatted, err := formatCUE("standard input", content)
	switch {
	case err != nil:
		return err
	case !c.Bool("check"):
		_, err = t.stdout.Write(formatted)
		return err
	case !bytes.Equal(formatted, content):
		return statusError(statusFailed)
	}
	return nil
}

// formatCUE formats a file. A file with Windows line ends keeps them.
func formatCUE(name string, content []byte) ([]byte, error) {
	crlf := bytes.Contains(content, []byte("\r\n"))
	f, err := parser.ParseFile(name, bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")), parser.ParseComments)
	if err != nil {
		first := cueerrors.Errors(err)[0]
		place := diagnostic.Printable(name)
		if at := first.Position(); at.IsValid() {
			place += fmt.Sprintf(":%d:%d", at.Line(), at.Column())
		}
		return nil, fmt.Errorf("%s: the file does not parse, so it can't be formatted: %s", place, diagnostic.Printable(first.Error()))
	}
	formatted, err := format.Node(f)
	if err != nil {
		return nil, fmt.Errorf("%s can't be formatted: %w", diagnostic.Printable(name), err)
	}
	if crlf {
		formatted = bytes.ReplaceAll(formatted, []byte("\n"), []byte("\r\n"))
	}
	return formatted, nil
}

// formatFiles formats the files that match the patterns. One that does not parse does not stop the others.
func (t *terminal) formatFiles(c *cli.Context) error {
	disk, err := workspace.OpenProject(c.Context, ".", nil)
	if err != nil {
		return err
	}
	if !disk.Exists(config.ProjectFile) {
		return t.report(t.stderr, "text", diagnostic.List{project.NoProject(disk.Dir)}, 0)
	}
	all, err := workspace.NewLoader(disk, schema.Files()).Files()
	if err != nil {
		return err
	}
	names, err := cueFiles(all, c.Args().Slice())
	if err != nil {
		return err
	}
	var failed []error
	unformatted := false
	for _, name := range names {
		content, err := readProject(name)
		if err != nil {
			failed = append(failed, fmt.Errorf("read %s: %w", diagnostic.Printable(name), cause(err)))
			continue
		}
		formatted, err := formatCUE(name, content)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if bytes.Equal(formatted, content) {
			continue
		}
		if unformatted = true; !c.Bool("check") {
			if err := workspace.WriteFile(c.Context, ".", name, formatted); err != nil {
				failed = append(failed, fmt.Errorf("write %s: %w", diagnostic.Printable(name), cause(err)))
				continue
			}
		}
		t.printf("%s\n", diagnostic.Printable(name))
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	if unformatted && c.Bool("check") {
		return statusError(statusFailed)
	}
	return nil
}

// cueFiles returns the names of the files that match one of the patterns, or of all.
func cueFiles(all, patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		return all, nil
	}
	var out []string
	for _, pattern := range patterns {
		matches := workspace.PatternOrFile(pattern)
		n := len(out)
		for _, name := range all {
			if matches(name) {
				out = append(out, name)
			}
		}
		if len(out) == n {
			return nil, fmt.Errorf("no CUE file matches %q; a pattern is a file, a folder such as growth, "+
				"or ./growth/... with all folders below it", pattern)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
