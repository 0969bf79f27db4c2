package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue/format"
	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
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
				return t.formatInput(c.Bool("check"))
			}
			return t.formatFiles(c)
		},
	}
}

// formatInput formats the standard input.
func (t *terminal) formatInput(check bool) error {
	content, err := io.ReadAll(t.stdin)
	if err != nil {
		return err
	}
	formatted, err := formatCUE("standard input", content)
	switch {
	case err != nil:
		return err
	case !check:
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
	formatted, err := format.Source(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")))
	if err != nil {
		return nil, fmt.Errorf("%s does not parse, so it can't be formatted: %w", diagnostic.Printable(name), err)
	}
	if crlf {
		formatted = bytes.ReplaceAll(formatted, []byte("\n"), []byte("\r\n"))
	}
	return formatted, nil
}

// formatFiles formats the files that match the patterns. One that does not parse does not stop the others.
func (t *terminal) formatFiles(c *cli.Context) error {
	names, err := cueFiles(c.Args().Slice())
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

// cueFiles lists the CUE files below the current folder that match one of the patterns, or all.
func cueFiles(patterns []string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		base := entry.Name()
		hidden := name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_"))
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (hidden || base == "cue.mod"):
			return filepath.SkipDir
		case entry.Type().IsRegular() && !hidden && strings.HasSuffix(base, ".cue"):
			all = append(all, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil || len(patterns) == 0 {
		return all, err
	}
	var out []string
	for _, pattern := range patterns {
		base, below := strings.CutSuffix(filepath.ToSlash(pattern), "...")
		base = path.Clean(base)
		n := len(out)
		for _, name := range all {
			if name == base || path.Dir(name) == base || below && (base == "." || strings.HasPrefix(name, base+"/")) {
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
