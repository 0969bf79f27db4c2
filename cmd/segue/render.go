package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/finding"
)

const renderHelp = `Render prints the request that an automation would send, with its placeholders
filled in: from the catalog's samples, or from a JSON object of values in a file
(- for the standard input). Values that the file leaves out come from the
samples. Secrets are not looked up and not shown. A request that no platform would
send, because Segment would drop it or a value is longer than its placeholder
allows, is an error that gives the reason.

EXAMPLES:
   segue render growth/account-activated
   segue render growth/account-activated --data values.json
   echo '{"userName": "Grace"}' | segue render growth/account-activated --data -`

func renderCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "render", Usage: "print the request that an automation would send", Description: renderHelp, ArgsUsage: "KEY",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "take the placeholders' values from `FILE`, a JSON object", DefaultText: "the samples"},
			targetFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return errors.New("name one automation by its key; segue compile lists them")
			}
			result, err := t.compile(c.Context, c.String("target"))
			if err != nil {
				return err
			}
			a, err := find(result, c.Args().First())
			if err != nil {
				return err
			}
			values := result.Project.Catalog.Samples(a.Trigger.Kind)
			if file := c.String("data"); file != "" {
				given, err := t.readValues(c.Context, file, result.Project.Catalog)
				if err != nil {
					return err
				}
				maps.Copy(values, given)
			}
			// The values of secrets are not needed: headers are shown from their
			// references.
			r, err := a.Action.Render(values, func(string) (automation.Secret, bool) { return automation.Secret{}, true })
			if err != nil {
				return fmt.Errorf("%s: %w", a.Key, err)
			}
			t.showRequest(r.Method, r.URL, a.Action.Headers, r.Header.Get, r.Body)
			if err := a.CheckMessage(r, values); err != nil {
				return fmt.Errorf("%s: the request would not be sent: %w", a.Key, err)
			}
			return nil
		},
	})
}

// find returns the automation with a key.
func find(result *compiler.Result, key string) (automation.Automation, error) {
	var keys []string
	for _, a := range result.Document.Automations {
		if a.Key == key {
			return a.Decode()
		}
		keys = append(keys, a.Key)
	}
	if near := finding.Nearest(key, keys); near != "" {
		return automation.Automation{}, fmt.Errorf("there is no automation %q; did you mean %s?", key, near)
	}
	return automation.Automation{}, fmt.Errorf("there is no automation %q; segue compile lists them", key)
}

// known makes sure that each value is for a placeholder of the catalog: a value
// under a misspelt name would not be missed.
func known(values map[string]any, catalog automation.Catalog, file string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, ok := catalog[name]; ok {
			continue
		}
		if near := finding.Nearest(name, slices.Sorted(maps.Keys(catalog))); near != "" {
			return fmt.Errorf("%s: there is no placeholder %q; did you mean %s?", file, name, near)
		}
		return fmt.Errorf("%s: there is no placeholder %q in the catalog; add it under placeholders in segue.cue", file, name)
	}
	return nil
}

// readValues reads a JSON object of values for placeholders of the catalog from a
// file, or from the standard input for "-".
func (t *terminal) readValues(ctx context.Context, file string, catalog automation.Catalog) (map[string]any, error) {
	content, err := t.readInput(ctx, file)
	if err != nil {
		return nil, err
	}
	shown := inputName(file)
	var values map[string]any
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		return nil, jsonError(shown, content, err)
	}
	if rest := bytes.TrimLeft(content[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, fmt.Errorf("%s: there is more after the JSON object", place(shown, content, len(content)-len(rest)))
	}
	if values == nil {
		return nil, fmt.Errorf(`%s: want a JSON object of values, such as {"userId": "u1"}`, shown)
	}
	return values, known(values, catalog, shown)
}

func (t *terminal) readInput(ctx context.Context, file string) ([]byte, error) {
	if file == "-" {
		return interruptible(ctx, func() ([]byte, error) { return readValuesFrom(t.stdin) })
	}
	content, err := interruptible(ctx, func() ([]byte, error) {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readValuesFrom(f)
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("can't read the values in %s: %w", file, cause(err))
	}
	return content, err
}

// mostValues is the maximum size of values, in bytes.
const mostValues = 8 << 20

func readValuesFrom(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, mostValues+1))
	if err == nil && len(content) > mostValues {
		err = fmt.Errorf("there are more than %d MB", mostValues>>20)
	}
	return bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")), err // a byte order mark of Windows
}

// inputName is a file as messages name it.
func inputName(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

// jsonError returns an error with the place of invalid JSON in a file.
func jsonError(file string, content []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		return fmt.Errorf(`%s: want a JSON object of values, such as {"userId": "u1"}, got a JSON %s`, file, kind.Value)
	case errors.As(err, &syntax):
		// Its offset counts the byte that is wrong.
		return fmt.Errorf("%s: not JSON: %w", place(file, content, int(syntax.Offset)-1), err)
	default:
		return fmt.Errorf("%s: not JSON: it ends too early", place(file, content, len(content)))
	}
}

// place is "file:line:column" of an offset.
func place(file string, content []byte, offset int) string {
	before := string(content[:max(0, min(offset, len(content)))])
	return fmt.Sprintf("%s:%d:%d", file, strings.Count(before, "\n")+1, len(before)-strings.LastIndex(before, "\n"))
}
