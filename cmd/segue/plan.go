package main

import (
	"encoding/json"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/sync"
)

const planHelp = `Plan compares the project with a target and prints what apply would change. It
changes nothing. With --detailed-exitcode, the exit status is 0 if there is
nothing to change and 2 if there is.

EXAMPLES:
   segue plan
   segue plan --target local --detailed-exitcode
   segue plan --format json`

func planCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "plan", Usage: "print what apply would change", Description: planHelp,
		Flags: append(planFlags(),
			targetFlag(),
			&cli.BoolFlag{Name: "detailed-exitcode", Usage: "end with status 2 if there are changes"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "print the plan as `FORMAT`: text or json"},
		),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			format := c.String("format")
			if err := oneOfFormats(format, "text", "json"); err != nil {
				return err
			}
			s, err := t.open(c.Context, c.String("target"), toRead)
			if err != nil {
				return err
			}
			defer s.platform.Close()
			plan, err := s.plan(c.Context, planOptions(c))
			if err != nil {
				return err
			}
			if format == "json" {
				e := json.NewEncoder(t.stdout)
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				if err := e.Encode(plan); err != nil {
					return err
				}
			} else {
				t.showPlan(plan)
			}
			switch {
			case len(plan.Blocks) > 0:
				return &sync.BlockedError{Blocks: plan.Blocks}
			case c.Bool("detailed-exitcode") && !plan.Empty():
				return statusError(statusChanges)
			}
			return nil
		},
	}
}
