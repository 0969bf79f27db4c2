package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

const planHelp = `Plan compares the project with a target and prints what apply would change. It
changes nothing. A plan that apply would not carry out is printed as well, and the
exit status is 1. With --detailed-exitcode, it is 0 if there is nothing to change
and 2 if there is.

Without the values of secrets, plan shows all but whether one of them would be
rotated: with --no-secrets, and also where none of the automations' secrets is in
the environment. A pull request from a fork has none.

With --out, the plan is written to a file as well: every change with its content and
the revision that it starts from, how the target is reached, and a digest. segue apply
FILE makes these changes and no others, elsewhere and later, or refuses. The file holds
no values of secrets.

EXAMPLES:
   segue plan
   segue plan --target local --detailed-exitcode
   segue plan --format json
   segue plan --no-secrets
   segue plan --out plan.json`

func planCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "plan", Usage: "print what apply would change", Description: planHelp,
		Flags: slices.Concat([]cli.Flag{
			targetFlag(),
			&cli.BoolFlag{Name: "no-secrets", Usage: "look up no secrets but the target's own credential"},
			&cli.BoolFlag{Name: "detailed-exitcode", Usage: "end with status 2 if there are changes"},
			&cli.StringFlag{Name: "out", Usage: "write the plan to `FILE` as well, for segue apply FILE"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "print the plan as `FORMAT`: text or json"},
		}, planFlags(), trustFlags()),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			format := c.String("format")
			if err := oneOfFormats(format, "text", "json"); err != nil {
				return err
			}
			if c.IsSet("out") && c.Bool("no-secrets") {
				return errors.New("a plan without the values of secrets can't be applied: whether one would be rotated is not known; leave --out or --no-secrets away")
			}
			s, err := t.open(c, toRead)
			if err != nil {
				return err
			}
			defer s.platform.Close()
			plan, err := s.plan(c.Context, planOptions(c))
			if err != nil {
				return err
			}
			if format == "json" {
				var b bytes.Buffer
				e := json.NewEncoder(&b)
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				if err := e.Encode(plan); err != nil {
					return err
				}
				t.printf("%s", diagnostic.EscapeJSON(b.Bytes()))
			} else {
				t.showPlan(plan)
				if plan.SecretsUnknown {
					t.printf("%s. Whether one would be rotated is not known.\n", s.noSecrets)
				}
			}
			switch {
			case len(plan.Blocks) > 0:
				return &sync.BlockedError{Blocks: plan.Blocks}
			}
			if c.String("out") != "" {
				if err := t.writePlanFile(c, s, plan, t.notesBeside(format)); err != nil {
					return err
				}
			}
			switch {
			case c.Bool("detailed-exitcode") && !plan.Empty():
				return statusError(statusChanges)
			}
			return nil
		},
	})
}
