package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler"
)

const compileHelp = `Compile prints the project's automations as canonical JSON, sorted by key: the
same input gives the same bytes on every machine. Nothing is printed if the
project has errors. Secrets stay references.

With -o, the document goes into a file; a path that ends in / is a folder that
gets one file for each automation, named after its key.

EXAMPLES:
   segue compile
   segue compile --compact | sha256sum
   segue compile -o automations.json
   segue compile -o out/`

func compileCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "compile", Usage: "print the automations as canonical JSON", Description: compileHelp,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "compact", Usage: "print the RFC 8785 bytes, in one line"},
			&cli.StringFlag{Name: "o", Usage: "write to `FILE`, or with one file for each automation to DIR/"},
			&cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "use the sources as the target `NAME` has them", DefaultText: "as the project has them"},
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			result, err := t.compile(c.Context, c.String("target"))
			if err != nil {
				return err
			}
			out, compact := c.String("o"), c.Bool("compact")
			if strings.HasSuffix(out, "/") {
				return writeEach(out, result.Document, compact)
			}
			b, err := result.Document.Canonical()
			if err != nil {
				return err
			}
			if !compact {
				b = automation.Indent(b)
			}
			if out == "" {
				_, err = t.stdout.Write(b)
				return err
			}
			return writeFile(out, b)
		},
	}
}

// compile compiles the project and shows the findings. The error is for the exit
// status if there are errors among them.
func (t *terminal) compile(ctx context.Context, target string) (*compiler.Result, error) {
	result, err := compiler.Compile(ctx, compiler.Options{Target: target, Limits: t.limits()})
	if err != nil {
		return nil, t.projectError(err)
	}
	return result, t.findings(t.stderr, result.Diagnostics)
}

// writeEach writes a file for each automation.
func writeEach(dir string, d automation.Document, compact bool) error {
	for _, a := range d.Automations {
		b, err := a.Canonical()
		if err != nil {
			return err
		}
		if !compact {
			b = automation.Indent(b)
		}
		name := filepath.Join(dir, filepath.FromSlash(a.Key)+".json")
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("can't write %s: %w", name, cause(err))
		}
		if err := writeFile(name, b); err != nil {
			return err
		}
	}
	return nil
}

// writeFile replaces a file in one step, so that a reader never sees half of it.
// A CUE file is no output, but somebody's work.
func writeFile(name string, content []byte) error {
	stat, err := os.Stat(name)
	switch {
	case err == nil && stat.IsDir():
		return fmt.Errorf("%s is a folder; -o %s/ writes a file for each automation into it", name, name)
	case err == nil && strings.EqualFold(filepath.Ext(name), ".cue"):
		return fmt.Errorf("%s is a CUE file, and -o would replace it by JSON; name another file", name)
	}
	if err := replaceFile(name, content, 0o644); err != nil {
		return fmt.Errorf("can't write %s: %w", name, cause(err))
	}
	return nil
}

// replaceFile writes a new file and puts it in the place of an old one.
func replaceFile(name string, content []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".segue-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Chmod(mode), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
