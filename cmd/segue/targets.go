package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fatih/color"
	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/review"
	"github.com/seguehq/segue/sync"
)

// targetsFlags name the targets of a command that can work on several.
func targetsFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "use the target `NAME` of segue.cue, or several: NAME,NAME",
			DefaultText: "the project's default target"},
		&cli.BoolFlag{Name: "all-targets", Usage: "use all targets of segue.cue, in order of their names"},
		&cli.IntFlag{Name: "targets-at-once", Value: 1, Usage: "work on `N` of several targets at a time"},
		&cli.BoolFlag{Name: "stop-on-failure", Usage: "of several targets, begin with no other one once one has failed"},
	}
}

// targetNames returns the targets of the command line, and whether there may be
// several: "" alone means the default one.
func (t *terminal) targetNames(c *cli.Context) (names []string, several bool, err error) {
	if n := c.Int("targets-at-once"); n < 1 || n > 64 {
		return nil, false, fmt.Errorf("--targets-at-once takes 1 to 64, got %d", n)
	}
	given := c.String("target")
	if !c.Bool("all-targets") {
		names = strings.Split(given, ",")
		for i, name := range names {
			if names[i] = strings.TrimSpace(name); names[i] == "" && given != "" || slices.Contains(names[:i], names[i]) {
				return nil, false, fmt.Errorf("--target %s: name each target once, with a comma in between", given)
			}
		}
		return names, len(names) > 1, nil
	}
	if given != "" {
		return nil, false, errors.New("--all-targets and --target can't both be given")
	}
	project, findings, err := t.project().Project(c.Context)
	switch {
	case err != nil:
		return nil, false, err
	case project == nil:
		return nil, false, t.findings(t.stderr, findings)
	case len(project.Targets) == 0:
		_, _, err := project.Target("")
		return nil, false, t.projectError(err)
	}
	return finding.SortedKeys(project.Targets), true, nil
}

// A targetRun is the run of a command on one of several targets.
type targetRun struct {
	name     string
	*session // nil as long as it is not open
	plan     *sync.Plan
	// first says that nothing was printed before.
	first bool
	// err is the error of the run, nil if it has not failed.
	err error
}

// errSkipped is the reason for skipping a target after another one has failed.
var errSkipped = errors.New("left out, because another target has failed")

// eachTarget calls do for the runs, as many at a time as the command line says. Each
// writes to a terminal of its own, whose output comes in the order of the targets. It
// does nothing for those that have failed, and for the rest once one has failed if the
// command line says so.
func (t *terminal) eachTarget(c *cli.Context, runs []*targetRun, do func(*terminal, *targetRun) error) {
	atOnce := c.Int("targets-at-once")
	for some := range slices.Chunk(runs, atOnce) {
		stop := c.Bool("stop-on-failure") && slices.ContainsFunc(runs, func(r *targetRun) bool { return r.err != nil })
		terminals := make([]*bufferedTerminal, len(some))
		var g errgroup.Group
		for i, r := range some {
			switch {
			case r.err != nil:
				continue
			case stop:
				r.err = errSkipped
				continue
			case c.Context.Err() != nil:
				r.err = errInterrupted
				continue
			case atOnce == 1:
				t.onTarget(r, do)
				continue
			}
			terminals[i] = t.buffered()
			g.Go(func() error {
				terminals[i].onTarget(r, do)
				return nil
			})
		}
		_ = g.Wait() // each run has its error
		for _, b := range terminals {
			if b != nil {
				b.copyTo(t)
			}
		}
	}
}

// onTarget does the work of one run, and shows why it has failed.
func (t *terminal) onTarget(r *targetRun, do func(*terminal, *targetRun) error) {
	if r.err = do(t, r); r.err != nil {
		t.showError(r.err)
	}
}

// A bufferedTerminal keeps all output.
type bufferedTerminal struct {
	*terminal
	out, err bytes.Buffer
}

// buffered returns a terminal that does the same work and keeps its output.
func (t *terminal) buffered() *bufferedTerminal {
	t.project() // they share it
	b := &bufferedTerminal{}
	shared := *t
	shared.stdout, shared.stderr = &output{to: &b.out, mask: t.mask}, &output{to: &b.err, mask: t.mask}
	b.terminal = &shared
	return b
}

// copyTo prints the kept output.
func (b *bufferedTerminal) copyTo(t *terminal) {
	_, _ = io.Copy(t.stdout, &b.out) // the output keeps its error
	_, _ = io.Copy(t.stderr, &b.err)
}

// heading prints the name of the target.
func (t *terminal) heading(r *targetRun) {
	bold := color.New(color.Bold)
	t.paint(bold, t.stdout)
	if !r.first {
		t.printf("\n")
	}
	r.first = false
	t.printf("%s\n", bold.Sprintf("Target %s", diagnostic.Printable(r.name)))
}

// planEach plans for several targets. A plan that apply would refuse is a
// failure.
func (t *terminal) planEach(c *cli.Context, names []string, use connectionUse, show func(*terminal, *targetRun) error) []*targetRun {
	runs := make([]*targetRun, len(names))
	for i, name := range names {
		runs[i] = &targetRun{name: name, first: i == 0}
	}
	t.eachTarget(c, runs, func(t *terminal, r *targetRun) (err error) {
		if c.String("format") == "text" {
			t.heading(r)
		}
		if r.session, err = t.open(c, r.name, use); err != nil {
			return err
		}
		if r.plan, err = r.session.plan(c.Context); err != nil {
			return err
		}
		return show(t, r)
	})
	return runs
}

// closeAll closes the connections of the runs.
func closeAll(runs []*targetRun) {
	for _, r := range runs {
		if r.session != nil {
			r.platform.Close()
		}
	}
}

// failedTargets is the error of a command of which some runs have failed, nil if none has.
func failedTargets(runs []*targetRun) error {
	var failed, skipped []string
	for _, r := range runs {
		switch {
		case errors.Is(r.err, errSkipped):
			skipped = append(skipped, r.name)
		case r.err != nil:
			failed = append(failed, r.name)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	text := fmt.Sprintf("%d of %d targets failed: %s", len(failed), len(runs), strings.Join(failed, ", "))
	if len(skipped) > 0 {
		text += "; left out: " + strings.Join(skipped, ", ")
	}
	return errors.New(text)
}

// unmatched is the error for targets on which a pattern of the selection matches
// nothing, nil if there are none.
func unmatched(runs []*targetRun) error {
	var lacking []string
	pattern := ""
	for _, r := range runs {
		var none *sync.NoMatchError
		if errors.As(r.err, &none) {
			lacking, pattern = append(lacking, r.name), none.Pattern
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return fmt.Errorf("nothing was changed on any target: %q matches nothing on %s; leave those targets out with --target",
		pattern, strings.Join(lacking, ", "))
}

// planTargets prints the plans for several targets.
func (t *terminal) planTargets(c *cli.Context, names []string, format string) error {
	if format == "html" {
		return errors.New("--format html is for one target: write a page for each, with --target NAME")
	}
	runs := t.planEach(c, names, toRead, func(t *terminal, r *targetRun) error {
		if format == "text" {
			t.showPlan(r.plan)
			showSecretsUnknown(t.stdout, r.session, r.plan)
		}
		return blocked(r.plan)
	})
	defer closeAll(runs)
	changes := false
	plans := plansJSON{Format: plansFormat, Plans: []*sync.Plan{}}
	for _, r := range runs {
		if r.plan != nil {
			plans.Plans = append(plans.Plans, r.plan)
			changes = changes || !r.plan.Empty()
		}
	}
	var err error
	switch format {
	case "json":
		err = diagnostic.EncodeJSON(t.stdout, plans)
	case "markdown":
		err = review.Markdown(t.stdout, plans.Plans...)
	}
	if err != nil {
		return err
	}
	if err := failedTargets(runs); err != nil {
		return err
	}
	if changes && c.Bool("detailed-exitcode") {
		return statusError(statusChanges)
	}
	return nil
}

// plansFormat names the layout of several plans as JSON.
const plansFormat = "segue/plans/v1"

// plansJSON are plans for several targets, in order of the command line.
type plansJSON struct {
	Format string       `json:"format"`
	Plans  []*sync.Plan `json:"plans"`
}

// applyTargets applies to several targets: first all plans are shown, then they are
// carried out. Where a selection matches nothing on one of them, nothing is changed on
// any.
func (t *terminal) applyTargets(c *cli.Context, names []string) error {
	if c.Int("targets-at-once") > 1 && !c.Bool("auto-approve") {
		return errors.New("--targets-at-once needs --auto-approve: apply asks about one target after the other")
	}
	runs := t.planEach(c, names, toWrite, func(t *terminal, r *targetRun) error {
		t.showPlan(r.plan)
		return cannotApply(r.plan)
	})
	defer closeAll(runs)
	if err := unmatched(runs); err != nil {
		return err
	}
	changing := false
	for _, r := range runs {
		changing = changing || r.err == nil && !r.plan.Empty()
	}
	if changing {
		t.eachTarget(c, runs, func(t *terminal, r *targetRun) error {
			if r.plan.Empty() {
				return nil
			}
			t.heading(r)
			return t.carryOut(c, r.session, r.plan)
		})
	}
	return failedTargets(runs)
}
