package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/review"
	"github.com/seguehq/segue/sync"
)

const destroyHelp = `Destroy deletes all automations and secrets of the project from a target. It prints
them, and asks for the project's name. Other automations stay, and so
does everything if one of the project's is protected. It only reads segue.cue:
the code may have errors, or no automations any more.

EXAMPLES:
   segue destroy --auto-approve
   segue destroy --target local --auto-approve`

func destroyCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "destroy", Usage: "delete everything of the project from a target", Description: destroyHelp,
		Flags: slices.Concat([]cli.Flag{targetFlag()}, applyFlags(), trustFlags()),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if err := checkParallelism(c); err != nil {
				return err
			}
			return t.audited(c, func() error { return t.destroy(c) })
		},
	}
}

func (t *terminal) destroy(c *cli.Context) error {
	project, name, target, err := t.target(c.Context, c.String("target"))
	if err != nil {
		return beforeChanges(c.Context, err)
	}
	s, err := t.openEmpty(c, project, name, target, toWrite)
	if err != nil {
		return beforeChanges(c.Context, err)
	}
	defer s.platform.Close()
	s.options.AllowMassDelete = true
	s.target.Prune = true
	s.approve = func(plan *sync.Plan) error { return t.approveDestroy(c.Context, plan) }
	plan, err := s.plan(c.Context)
	if err != nil {
		return err
	}
	if plan.Empty() {
		t.printf("Nothing to delete: %s has nothing of the project %s.\n", diagnostic.Printable(plan.Target), plan.Project)
		return nil
	}
	t.showDestroy(plan)
	for i := range plan.Blocks {
		if plan.Blocks[i].Kind == sync.Protected {
			plan.Blocks[i].Remedy = "write `protect: false`, and apply that first"
		}
	}
	if len(plan.Blocks) > 0 {
		return &sync.BlockedError{Blocks: plan.Blocks}
	}
	return t.carryOut(c, s, plan)
}

// showDestroy prints the automations and secrets to delete.
func (t *terminal) showDestroy(plan *sync.Plan) {
	_ = review.Deletions(t.stdout, plan, t.textOptions()) // the output keeps its error
	t.printf("\nThis deletes %s%s of the project %s from %s.\n", diagnostic.Plural(len(plan.Changes), "automation"),
		and(len(plan.Secrets), "secret"), plan.Project, diagnostic.Printable(plan.Target))
}

// and returns a second count, if it is not zero.
func and(n int, noun string) string {
	if n == 0 {
		return ""
	}
	return " and " + diagnostic.Plural(n, noun)
}

// openEmpty connects to a target with an empty desired state.
func (t *terminal) openEmpty(
	c *cli.Context, project *config.Project, name string, target config.Target, use connectionUse,
) (*session, error) {
	secrets, err := t.secrets(c, project, credentialUse(name, target))
	if err != nil {
		return nil, err
	}
	platform, err := t.connect(c.Context, connecting{project: project, name: name, target: target, secrets: secrets, use: use})
	if err != nil {
		return nil, err
	}
	return &session{
		desired: sync.Desired{Project: project.Name, Target: name, Former: project.Moved.Project()},
		target:  target, platform: platform,
	}, nil
}

// approveDestroy asks for the project's name.
func (t *terminal) approveDestroy(ctx context.Context, plan *sync.Plan) error {
	if !interactive(t.stdin) {
		return errors.New("destroy asks before it deletes anything, but there is no terminal; use --auto-approve")
	}
	fmt.Fprintf(t.stderr, "Type the project's name, %s, to continue: ", plan.Project)
	answer, err := interruptible(ctx, func() (string, error) { return bufio.NewReader(t.stdin).ReadString('\n') })
	if err != nil && err != io.EOF {
		fmt.Fprintln(t.stderr)
		return err
	}
	if strings.TrimSpace(answer) != plan.Project {
		return errors.New("that is not the project's name; nothing was changed")
	}
	return nil
}
