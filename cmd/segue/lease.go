package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/sync"
)

// defaultLockTimeout is the time that apply waits while somebody else applies.
const defaultLockTimeout = 5 * time.Minute

// lease takes the project's lease on the target, if that can hold one. release
// releases it.
func (t *terminal) lease(c *cli.Context, s *session) (held context.Context, release func(), err error) {
	said := ""
	held, holding, err := sync.TakeLease(c.Context, s.platform, s.desired.Project, sync.LeaseOptions{
		Holder: holder(os.Getenv), Wait: c.Duration("lock-timeout"), Calls: s.readCalls(), // nothing has been changed yet
		Waiting: func(e *sync.HeldError) {
			if e.Lease.ID != said { // once for each that is waited for
				said = e.Lease.ID
				fmt.Fprintln(t.stderr, "Waiting: "+printableLines(e.Error()))
			}
		},
	})
	var other *sync.HeldError
	switch {
	case errors.As(err, &other):
		return nil, nil, fmt.Errorf("nothing was changed: %w; try again later, or ignore it with --no-lock", other)
	case err != nil:
		return nil, nil, beforeChanges(c.Context, fmt.Errorf("take the lease of the project on %s: %w; nothing was changed, and --no-lock applies without a lease", s.desired.Target, err))
	}
	return held, func() {
		if err := holding.Release(); err != nil {
			fmt.Fprintf(t.stderr, "The lease on %s could not be released, and expires by itself: %v\n", s.desired.Target, printableLines(err.Error()))
		}
	}, nil
}

// holder returns who applies: the URL of the pipeline's job if there is one,
// otherwise the user and the machine.
func holder(getenv func(string) string) string {
	if p := pipelineOf(getenv); p != nil {
		return p.job(getenv)
	}
	return userAndMachine()
}

// planAgain checks, after the lease is taken, whether the plan is still valid:
// somebody may have applied since. If not, it makes the plan again, and asks for
// approval of new changes. It returns nil if nothing is left to do.
func (t *terminal) planAgain(c *cli.Context, s *session, approved *sync.Plan) (*sync.Plan, error) {
	if _, ok := s.platform.(sync.Locker); !ok {
		return approved, nil
	}
	err := sync.Verify(c.Context, s.platform, approved, s.desired.Secrets, s.calls())
	var stale *sync.StaleError
	if !errors.As(err, &stale) {
		return approved, beforeChanges(c.Context, err)
	}
	plan, err := s.plan(c.Context)
	switch {
	case err != nil:
		return nil, err
	case plan.Empty():
		t.result = plan.NothingDone()
		t.printf("\nSomebody else has applied this in the meantime.\n")
		return nil, nil
	case len(plan.Blocks) > 0:
		return nil, &sync.BlockedError{Blocks: plan.Blocks}
	}
	t.printf("\n%s has changed since the plan was made. The plan is now:\n\n", plan.Target)
	t.showPlan(plan)
	if err := s.approve(plan); err != nil {
		return nil, err
	}
	return plan, nil
}
