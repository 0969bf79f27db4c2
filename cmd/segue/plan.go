package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/sync"
)

const planHelp = `Plan compares the project with a target and prints what apply would change. It
changes nothing. A plan that apply would not carry out is printed as well, and the
exit status is 1. With --detailed-exitcode, it is 0 if there is nothing to change
and 2 if there is.

Without the values of secrets, plan shows all but whether one of them would be
rotated: with --no-secrets, and also where none of the automations' secrets is in
the environment. A pull request from a fork has none.

Patterns restrict the plan to some folders of the project, and --only to some
automations by their keys. All others stay as they are, in the code and on the
target, and no secret is deleted.

With several targets, --target a,b or --all-targets, the plans come one after the
other; one that fails does not stop the rest, unless --stop-on-failure is given.

EXAMPLES:
   segue plan
   segue plan ./growth/...
   segue plan --only growth/account-activated
   segue plan --target local --detailed-exitcode
   segue plan --all-targets
   segue plan --format json
   segue plan --no-secrets`

func planCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "plan", Usage: "print what apply would change", Description: planHelp, ArgsUsage: "[PATTERN...]",
		Flags: slices.Concat(targetsFlags(), []cli.Flag{
			&cli.BoolFlag{Name: "no-secrets", Usage: "look up no secrets but the target's own credential"},
			&cli.BoolFlag{Name: "detailed-exitcode", Usage: "end with status 2 if there are changes"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "print the plan as `FORMAT`: text or json"},
		}, planFlags(), trustFlags()),
		Action: func(c *cli.Context) error {
			format := c.String("format")
			if err := oneOfFormats(format, "text", "json"); err != nil {
				return err
			}
			names, several, err := t.targetNames(c)
			switch {
			case err != nil:
				return err
			case several:
				return t.planTargets(c, names, format)
			}
			s, err := t.open(c, names[0], toRead)
			if err != nil {
				return err
			}
			defer s.platform.Close()
			plan, err := s.plan(c.Context)
			if err != nil {
				return err
			}
			if format == "json" {
				if err := t.printJSON(plan); err != nil {
					return err
				}
			} else {
				t.showPlan(plan)
				t.showSecretsUnknown(s, plan)
			}
			if err := blocked(plan); err != nil {
				return err
			}
			if c.Bool("detailed-exitcode") && !plan.Empty() {
				return statusError(statusChanges)
			}
			return nil
		},
	})
}

// blocked is the error of a plan that must not be applied, nil for any other.
func blocked(plan *sync.Plan) error {
	if len(plan.Blocks) == 0 {
		return nil
	}
	return &sync.BlockedError{Blocks: plan.Blocks}
}

// showSecretsUnknown says what a plan lacks that was made without secrets.
func (t *terminal) showSecretsUnknown(s *session, plan *sync.Plan) {
	if plan.SecretsUnknown {
		t.printf("%s. Whether one would be rotated is not known.\n", s.noSecrets)
	}
}
