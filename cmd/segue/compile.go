package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/workspace"
)

const compileHelp = `Compile prints the project's automations as canonical JSON, sorted by key: the
same input gives the same bytes on every machine. Nothing is printed if the
project has errors. Secrets stay references.

With -o, the document goes into a file; a path that ends in / is a folder that
gets one file for each automation, named after its key. A file with the same
content is not written again. What compile wrote there before for an automation that
is gone is removed, unless somebody has changed it; .segue-files in the folder lists
what it wrote.

With --watch, the project is compiled again after each change of its files, until
Ctrl-C.

EXAMPLES:
   segue compile
   segue compile --compact | sha256sum
   segue compile -o automations.json
   segue compile -o out/
   segue compile --watch -o automations.json`

func compileCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "compile", Usage: "print the automations as canonical JSON", Description: compileHelp,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "compact", Usage: "print the RFC 8785 bytes, in one line"},
			&cli.StringFlag{Name: "o", Usage: "write to `FILE`, or with one file for each automation to DIR/"},
			&cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "use the sources of the target `NAME`", DefaultText: "those of the project"},
			watchFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return t.once(c, t.stderr, c.String("o"), func(ctx context.Context) error {
				result, err := t.compile(ctx, c.String("target"))
				if err != nil {
					return err
				}
				return t.writeDocument(ctx, result.Document, c.String("o"), c.Bool("compact"))
			})
		},
	})
}

// writeDocument prints the document, or writes it to out.
func (t *terminal) writeDocument(ctx context.Context, d automation.Document, out string, compact bool) error {
	if strings.HasSuffix(out, "/") {
		return writeEach(ctx, out, d, compact)
	}
	write := d.WriteIndented
	if compact {
		write = d.WriteCanonical
	}
	if out == "" {
		return write(t.stdout)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	return writeFile(ctx, "", out, b.Bytes())
}

// compile compiles the project, or the folders that patterns name, and shows the
// findings. The error is for the exit status if there are errors among them.
func (t *terminal) compile(ctx context.Context, target string, patterns ...string) (*compiler.Result, error) {
	result, err := t.project().Compile(ctx, target, patterns)
	if err != nil {
		return nil, t.projectError(err)
	}
	return result, t.findings(t.stderr, result.Diagnostics)
}

// writeFile writes a file, in the folder top if that is not "". It never
// replaces a CUE file, which is somebody's work.
func writeFile(ctx context.Context, top, name string, content []byte) error {
	stat, err := os.Stat(name)
	switch {
	case err == nil && stat.IsDir():
		return fmt.Errorf("%s is a folder; -o %s/ writes a file for each automation into it", name, name)
	case err == nil && (isCUE(name) || isCUE(resolved(name))):
		return fmt.Errorf("%s is a CUE file, and -o would replace it by JSON; name another file", name)
	}
	if err == nil && stat.Mode().IsRegular() && stat.Size() == int64(len(content)) {
		if there, err := os.ReadFile(name); err == nil && bytes.Equal(there, content) {
			return nil
		}
	}
	if err := workspace.WriteFile(ctx, top, name, content); err != nil {
		return fmt.Errorf("can't write %s: %w", name, cause(err))
	}
	return nil
}

func isCUE(name string) bool { return strings.EqualFold(filepath.Ext(name), ".cue") }
