package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/review"
	"github.com/seguehq/segue/sync"
)

const planHelp = `Plan compares the project with a target and prints the changes of an apply. It
changes nothing. A plan that apply would refuse is printed as well, and the
exit status is 1. With --detailed-exitcode, it is 0 if there is nothing to change
and 2 if there is.

Without the values of secrets, plan shows everything except whether one would be
rotated: with --no-secrets, and also if none of the automations' secrets is in
the environment. A pull request from a fork has none.

Patterns restrict the plan to some folders of the project, and --only to some
automations by their keys. All others are ignored, in the code and on the
target, and no secret is deleted.

With several targets, --target a,b or --all-targets, the plans come one after
another; a failed one does not stop the others, unless --stop-on-failure is given.
With --out, the plan is written to a file as well: every change with its content and
its base revision, the configuration of the target, and a digest. segue apply
FILE makes these changes and no others, elsewhere and later, or refuses. The file holds
no values of secrets. segue plan FILE prints the plan that is in the file, in any of the
formats, and needs neither the project nor the target.

With --refresh-only, plan shows how the target differs from the state that segue left,
regardless of later changes in the code: edited automations with their fields, missing ones,
and those with the marker of the project, or of its former name, that are not in
the code. With --detailed-exitcode, a nightly job ends with 2 if there is any.

On text, long values are folded unless --full is given. json is for programs, by the
schema docs/schema/plan-v1.json. markdown is for a comment on a pull request: it never
exceeds GitHub's limit, and mentions omitted parts. html is one page with a
search and filters, which needs no network.

EXAMPLES:
   segue plan
   segue plan ./growth/...
   segue plan --only growth/account-activated
   segue plan --target local --detailed-exitcode
   segue plan --all-targets
   segue plan --refresh-only --detailed-exitcode
   segue plan --full
   segue plan --format json
   segue plan --format markdown > comment.md
   segue plan --format html > plan.html
   segue plan --no-secrets
   segue plan --out plan.json
   segue plan plan.json --format html > plan.html`

// drift prints how the target differs from the state that segue left there.
func (t *terminal) drift(c *cli.Context, target, format string) error {
	if c.IsSet("out") {
		return errors.New("--refresh-only makes no plan to apply; leave out --out")
	}
	if err := oneOfFormats(format, "text", "json"); err != nil {
		return fmt.Errorf("with --refresh-only, %w", err)
	}
	s, err := t.open(c, target, toRead)
	if err != nil {
		return err
	}
	defer s.platform.Close()
	plan, err := s.plan(c.Context)
	if err != nil {
		return err
	}
	drift := plan.Drift()
	if format == "json" {
		err = review.JSON(t.stdout, drift)
	} else {
		err = review.Drift(t.stdout, drift, t.textOptions())
	}
	if drift.SecretsUnknown {
		fmt.Fprintf(t.notesBeside(format), "%s. It is unknown whether the stored ones differ.\n", s.noSecrets)
	}
	if err == nil && c.Bool("detailed-exitcode") && !drift.Empty() {
		return statusError(statusChanges)
	}
	return err
}

// planFormats are the formats that a plan is printed in.
var planFormats = []string{"text", "json", "markdown", "html"}

// writePlan prints a plan in one of the planFormats.
func (t *terminal) writePlan(plan *sync.Plan, format string) error {
	switch format {
	case "json":
		return review.JSON(t.stdout, plan)
	case "markdown":
		return review.Markdown(t.stdout, plan)
	case "html":
		return review.HTML(t.stdout, plan)
	}
	t.showPlan(plan)
	return nil
}

// fullFlag shows all of a plan.
func fullFlag(t *terminal) cli.Flag {
	return &cli.BoolFlag{Name: "full", Usage: "show long values whole", Destination: &t.full}
}

func planCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "plan", Usage: "print the changes that apply would make", Description: planHelp, ArgsUsage: "[PATTERN...|FILE]",
		Flags: slices.Concat(targetsFlags(), []cli.Flag{
			&cli.BoolFlag{Name: "no-secrets", Usage: "read no secrets except the target's own credential"},
			fullFlag(t),
			&cli.BoolFlag{Name: "refresh-only", Usage: "show only how the target differs from the state that segue left there"},
			&cli.BoolFlag{Name: "detailed-exitcode", Usage: "end with status 2 if there are changes"},
			&cli.StringFlag{Name: "out", Usage: "write the plan to `FILE` as well, for segue apply FILE"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "print the plan as `FORMAT`: " + strings.Join(planFormats, ", ")},
		}, planFlags(), trustFlags()),
		Action: func(c *cli.Context) error {
			format := c.String("format")
			if err := oneOfFormats(format, planFormats...); err != nil {
				return err
			}
			if c.NArg() > 0 && namesPlanFile(c.Args().First()) {
				return t.showPlanFile(c, format)
			}
			names, several, err := t.targetNames(c)
			switch {
			case err != nil:
				return err
			case several && (c.IsSet("out") || c.Bool("refresh-only")):
				return errors.New("--out and --refresh-only are for one target")
			case several:
				return t.planTargets(c, names, format)
			case c.IsSet("out") && c.Bool("no-secrets"):
				return errors.New("a plan without the values of secrets can't be applied: it is unknown whether one would be rotated; " +
					"leave out --out or --no-secrets")
			case c.Bool("refresh-only"):
				return t.drift(c, names[0], format)
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
			if err := t.writePlan(plan, format); err != nil {
				return err
			}
			showSecretsUnknown(t.notesBeside(format), s, plan)
			if err := blocked(plan); err != nil {
				return err
			}
			if c.String("out") != "" {
				if err := t.writePlanFile(c, s, plan, t.notesBeside(format)); err != nil {
					return err
				}
			}
			if c.Bool("detailed-exitcode") && !plan.Empty() {
				return statusError(statusChanges)
			}
			return nil
		},
	})
}

// blocked returns the error of a plan that must not be applied, nil for any
// other.
func blocked(plan *sync.Plan) error {
	if len(plan.Blocks) == 0 {
		return nil
	}
	return &sync.BlockedError{Blocks: plan.Blocks}
}

// showSecretsUnknown notes that a plan was made without secrets.
func showSecretsUnknown(w io.Writer, s *session, plan *sync.Plan) {
	if plan.SecretsUnknown {
		fmt.Fprintf(w, "%s. It is unknown whether one would be rotated.\n", s.noSecrets)
	}
}
