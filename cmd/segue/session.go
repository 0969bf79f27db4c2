package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// targetFlag selects the target of a command.
func targetFlag() cli.Flag {
	return &cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "use the target `NAME` of segue.cue", DefaultText: "the project's default target"}
}

// A session is a compiled project and the target that is to match it.
type session struct {
	project  *config.Project
	desired  sync.Desired
	target   config.Target
	platform connection
	// noSecrets says why the values of secrets are not available, "" if they
	// are.
	noSecrets string
	// only selects the automations of the command.
	only sync.Selection
	// options control how plans are made.
	options sync.PlanOptions
	// approve asks whether a plan is to be applied, unless the command line says so; nil
	// for the question that apply asks.
	approve func(*sync.Plan) error
	// again looks once the lease is held whether a plan still holds, and returns the one to
	// carry out, nil for none. If it is nil, a plan that does not hold is made again.
	again func(*sync.Plan) (*sync.Plan, error)
	// digest is that of the plan file that is applied, "" for none.
	digest string
	// places returns places in the code, nil for unknown ones.
	places func(key string, path ...any) *sync.Place
}

// open compiles the project, finds the secrets and connects to a target, "" for the
// default one. The platform must be closed.
func (t *terminal) open(c *cli.Context, target string, use connectionUse) (*session, error) {
	s, err := t.connectTarget(c, target, use)
	return s, beforeChanges(c.Context, err)
}

// beforeChanges returns the error of a command that has changed nothing yet.
func beforeChanges(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

func (t *terminal) connectTarget(c *cli.Context, named string, use connectionUse) (*session, error) {
	project, name, target, err := t.target(c.Context, named)
	if err != nil {
		return nil, err
	}
	only, err := sync.NewSelection(c.Args().Slice(), c.StringSlice("only"))
	if err != nil {
		return nil, err
	}
	result, err := t.compile(c.Context, name, c.Args().Slice()...)
	if err != nil {
		return nil, err
	}
	automations, err := result.Document.Decode()
	if err != nil {
		return nil, err
	}
	desired := sync.Desired{
		Project: project.Name, Target: name, Automations: automations, Former: project.Moved.Project(), Moves: project.Moved.Keys(), Elsewhere: result.Elsewhere,
	}.Selected(only)
	uses := sync.SecretUses(desired.Automations)
	noSecrets := ""
	switch {
	case use == toLook || c.Bool("no-secrets"):
		noSecrets = "No secrets were looked up"
	case use == toRead && c.String("out") == "" && noneGiven(project, uses):
		noSecrets = "No secrets were given, and apply needs them: " + strings.Join(slices.Sorted(maps.Keys(usesOf(uses))), ", ")
	}
	if noSecrets != "" {
		uses = nil
	}
	secrets, err := t.secrets(c, project, append(uses, credentialUse(name, target)...))
	if err != nil {
		return nil, err
	}
	platform, err := t.connect(c.Context, connecting{project: project, name: name, target: target, secrets: secrets, use: use})
	if err != nil {
		return nil, err
	}
	desired.Secrets = secrets
	return &session{
		project: project, places: t.placesOf(c.Context, result),
		desired: desired, target: target, platform: platform, noSecrets: noSecrets, only: only, options: planOptions(c),
	}, nil
}

// placesOf finds the lines of a project's files, nil if they can't be read.
func (t *terminal) placesOf(ctx context.Context, result *compiler.Result) func(key string, path ...any) *sync.Place {
	places, err := t.project().Places(ctx, result)
	if err != nil {
		return nil
	}
	return func(key string, path ...any) *sync.Place {
		file, line, ok := places.Of(key, path...)
		if !ok {
			return nil
		}
		return &sync.Place{File: file, Line: line}
	}
}

// target reads the project file and picks a target.
func (t *terminal) target(ctx context.Context, name string) (*config.Project, string, config.Target, error) {
	project, findings, err := t.project().Project(ctx)
	if err != nil {
		return nil, "", config.Target{}, err
	}
	if project == nil {
		return nil, "", config.Target{}, t.findings(t.stderr, findings)
	}
	name, target, err := project.Target(name)
	return project, name, target, t.projectError(err)
}

// projectError shows the finding in an error about the project file.
func (t *terminal) projectError(err error) error {
	var finding *config.ProjectError
	if errors.As(err, &finding) {
		return t.findings(t.stderr, diagnostic.List{finding.Diagnostic})
	}
	return err
}

// How often a request is made before segue gives up on it. Somebody waits for a
// plan, and nothing is lost without it. Within segue nothing passes by itself
// but another process's lock, which the platform waits for by itself.
const (
	planTries  = 4
	localTries = 2
)

// onlyFlag picks automations by their keys.
func onlyFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "only", Usage: "leave out all but the automations whose keys match `PATTERN`, such as growth/* or growth/...; " +
		"can be repeated"}
}

// planFlags are the flags for making a plan.
func planFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "allow-mass-delete", Usage: "allow a plan that deletes all automations, or more than half of ten or more"},
		&cli.BoolFlag{Name: "second-project", Usage: "allow the first apply of a project beside another one that has the same keys on the target"},
		&cli.BoolFlag{Name: "adopt", Usage: "take over the one on the target that holds the endpoint of an automation to be created, or the only copy of it"},
		onlyFlag(),
		&cli.StringSliceFlag{Name: "replace", Usage: "write the automation with this `KEY` again, changed or not; can be repeated"},
		&cli.BoolFlag{Name: "replace-secrets", Usage: "store every secret again, changed or not"},
	}
}

// planOptions reads the planFlags.
func planOptions(c *cli.Context) sync.PlanOptions {
	return sync.PlanOptions{
		AllowMassDelete: c.Bool("allow-mass-delete"), AllowSecondProject: c.Bool("second-project"),
		Adopt: c.Bool("adopt"), Replace: c.StringSlice("replace"), ReplaceSecrets: c.Bool("replace-secrets"),
	}
}

// plan compares the project with the target.
func (s *session) plan(ctx context.Context) (*sync.Plan, error) {
	options := s.options
	options.Calls, options.KeepOrphans, options.NoSecrets = s.readCalls(), !s.target.Prune, s.noSecrets != ""
	options.Only, options.Place = s.only, s.places
	plan, err := sync.MakePlan(ctx, s.platform, s.desired, options)
	return plan, beforeChanges(ctx, err)
}

// calls returns how to call the target.
func (s *session) calls() sync.Calls {
	calls := sync.Calls{Timeout: time.Duration(s.target.Timeout)}
	if s.target.URL == "" {
		calls.Tries = localTries
	}
	return calls
}

// readCalls returns how to call the target while somebody waits for a plan.
func (s *session) readCalls() sync.Calls {
	calls := s.calls()
	if calls.Tries == 0 {
		calls.Tries = planTries
	}
	return calls
}

// parallelism returns the parallelism of the command line, otherwise of the
// target.
func (s *session) parallelism(flag int) int {
	if flag > 0 {
		return flag
	}
	return s.target.Parallelism
}
