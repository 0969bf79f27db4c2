package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/review"
	"github.com/seguehq/segue/sync"
)

const applyHelp = `Apply makes a target match the project. It prints the plan, asks, and applies
it: secrets first, then automations, several at a time. One failure does not
stop the others, and the next apply makes the remaining changes. Ctrl-C finishes
the requests in progress and reports. A second apply of the project waits
for the first, if the target supports that.

A request that fails for a temporary reason, such as an unreachable target, is
made up to 8 times with growing pauses (plan: 4 times), for at most five
minutes. Each may take the target's timeout, by default 30s,
and the list of all automations ten times as long.

Patterns restrict it to some folders of the project, and --only to some automations
by their keys. All others are not changed, and no secret is deleted.

With --audit FILE, apply appends a line of JSON to a file for each change as it ends: when,
who, the commit, the change, the revisions before and after, and the outcome.

With several targets, --target a,b or --all-targets, apply first shows all plans, and
then applies them one after another, or several at a time. A failed target does not stop
the others, unless --stop-on-failure is given.

With a FILE from segue plan --out, which exists or whose name ends in
.json, apply makes only the changes of that plan, or none: it refuses a plan that is
stale, was edited, or is for another project or target than the one in the current
folder. It needs neither the project nor CUE, only the secrets. The file itself says
where secrets come from and where they are sent. So with --auto-approve, apply accepts it
only in the folder of the project with the same settings in segue.cue, or with the --digest
of the plan that was reviewed.

EXAMPLES:
   segue apply
   segue apply ./growth/...
   segue apply --auto-approve
   segue apply --target local --auto-approve --parallelism 4
   segue apply --auto-approve --audit audit.log
   segue plan --out plan.json
   segue apply plan.json --auto-approve`

func applyCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "apply", Usage: "make a target match the project", Description: applyHelp, ArgsUsage: "[PATTERN...|FILE]",
		Flags: slices.Concat(targetsFlags(), applyFlags(), []cli.Flag{
			fullFlag(t),
			&cli.StringFlag{Name: "format", Value: "text",
				Usage: "print the outcome as `FORMAT`: text, or json, with the plan on the standard error"},
			&cli.StringFlag{Name: "digest", Usage: "with a FILE: apply only the plan with this `DIGEST`"},
		}, planFlags(), trustFlags()),
		Action: func(c *cli.Context) error {
			format := c.String("format")
			if err := oneOfFormats(format, "text", "json"); err != nil {
				return err
			}
			if format == "json" {
				return t.audited(c, func() error { return t.applyForPrograms(c) })
			}
			return t.audited(c, func() error { return t.apply(c) })
		},
	})
}

// applyForPrograms applies, with the result as JSON on the standard output and everything
// else on the standard error. There is no result if nothing was tried.
func (t *terminal) applyForPrograms(c *cli.Context) error {
	out := t.stdout
	t.stdout = &output{to: t.stderr, mask: t.mask}
	err := t.apply(c)
	t.stdout = out
	if t.result == nil {
		return err
	}
	return errors.Join(err, review.JSON(t.stdout, t.result))
}

func (t *terminal) apply(c *cli.Context) error {
	if err := checkParallelism(c); err != nil {
		return err
	}
	switch {
	case c.NArg() > 0 && namesPlanFile(c.Args().First()):
		return t.applyFile(c)
	case c.IsSet("digest"):
		return errors.New("--digest is for a plan file; name the file that segue plan --out has written")
	}
	names, several, err := t.targetNames(c)
	switch {
	case err != nil:
		return err
	case several && c.String("format") != "text":
		return fmt.Errorf("--format %s is for one target: apply to each by itself, with --target NAME", c.String("format"))
	case several:
		return t.applyTargets(c, names)
	}
	s, err := t.open(c, names[0], toWrite)
	if err != nil {
		return err
	}
	defer s.platform.Close()
	plan, err := s.plan(c.Context)
	if err != nil {
		return err
	}
	t.showPlan(plan)
	if err := cannotApply(plan); err != nil {
		return err
	}
	if plan.Empty() {
		t.result = plan.NothingDone()
		return nil
	}
	if err := t.carryOut(c, s, plan); err != nil {
		return err
	}
	if s.target.Platform != config.Embedded {
		return nil
	}
	if example := fireExample(s.desired.Automations, c.String("target")); example != nil {
		t.printf("\nTry next, to see the messages that a trigger would send:\n  %s\n", t.command(example...))
	}
	return nil
}

// cannotApply returns the reason why a plan can't be applied, or nil.
func cannotApply(plan *sync.Plan) error {
	if err := blocked(plan); err != nil {
		return err
	}
	if plan.Empty() && len(plan.Altered) > 0 {
		return fmt.Errorf("%s stored as in the code; see above how to write them instead", review.NotAre(len(plan.Altered)))
	}
	return nil
}

// applyFlags are the flags of the commands that change a target.
func applyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "auto-approve", Usage: "do not ask before changing anything"},
		&cli.IntFlag{Name: "parallelism", Usage: "make at most `N` requests at once", DefaultText: "the target's own, or 8"},
		&cli.BoolFlag{Name: "no-lock", Usage: "take no lease of the project on the target, and ignore the lease of somebody else"},
		&cli.DurationFlag{Name: "lock-timeout", Value: defaultLockTimeout, Usage: "wait for `TIME` at most while somebody else applies"},
		auditFlag(),
	}
}

// checkParallelism checks the value of --parallelism.
func checkParallelism(c *cli.Context) error {
	if n := c.Int("parallelism"); c.IsSet("parallelism") && (n < 1 || n > 64) {
		return fmt.Errorf("--parallelism takes 1 to 64, got %d", n)
	}
	return nil
}

// carryOut asks for approval of a plan that was shown, applies it and shows the
// result.
func (t *terminal) carryOut(c *cli.Context, s *session, plan *sync.Plan) error {
	if s.approve == nil {
		s.approve = func(plan *sync.Plan) error { return t.approve(c.Context, plan.Target) }
	}
	if c.Bool("auto-approve") {
		s.approve = func(*sync.Plan) error { return nil }
	}
	if err := s.approve(plan); err != nil {
		return err
	}
	ctx := c.Context
	if !c.Bool("no-lock") {
		held, release, err := t.lease(c, s)
		if err != nil {
			return err
		}
		defer release()
		ctx = held
	}
	again := s.again
	if again == nil && !c.Bool("no-lock") {
		again = func(plan *sync.Plan) (*sync.Plan, error) { return t.planAgain(c, s, plan) }
	}
	if again != nil {
		var err error
		if plan, err = again(plan); err != nil || plan == nil {
			return err
		}
	}
	t.printf("\n")
	progress := t.newProgress(len(plan.Changes) + len(plan.Secrets))
	defer context.AfterFunc(c.Context, progress.interrupted)()
	result, err := sync.Apply(ctx, s.platform, plan, s.desired, sync.ApplyOptions{
		Parallelism: s.parallelism(c.Int("parallelism")), Progress: progress.event, Calls: s.calls(),
		Record: t.audit.recorder(plan, s.digest),
	})
	progress.done()
	if result == nil {
		return err
	}
	t.result = result
	t.showResult(result)
	if err != nil {
		return errors.New(failures(result))
	}
	return nil
}

// approve asks whether to go on.
func (t *terminal) approve(ctx context.Context, target string) error {
	if !interactive(t.stdin) {
		return errors.New("apply asks before it changes anything, but there is no terminal; use --auto-approve")
	}
	yes, err := t.confirm(ctx, fmt.Sprintf("\nApply this to %s?", diagnostic.Printable(target)))
	if err != nil {
		return err
	}
	if !yes {
		return errors.New("nothing was changed")
	}
	return nil
}

// fireExample returns a platform fire command that has an effect in the
// project, or nil.
func fireExample(automations []automation.Automation, target string) []string {
	for _, a := range automations {
		// A shell can't pass a NUL to a program.
		if a.Enabled && !strings.Contains(a.Trigger.Name, "\x00") {
			words := []string{"platform", "fire", "--kind", string(a.Trigger.Kind), "--name", a.Trigger.Name}
			if target != "" {
				words = append(words, "--target", target)
			}
			return append(words, "--dry-run")
		}
	}
	return nil
}
