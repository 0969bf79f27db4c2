package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/project"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

const triggersHelp = `If a platform can list its patterns and journeys, their names can be a package
of the project. An editor completes them, and vet finds those that the platform
does not have.

EXAMPLES:
   segue triggers pull
   segue triggers pull --target prod`

const triggersPullHelp = `Pull writes the patterns and journeys of a target's platform to
triggers/triggers.cue, a CUE package of the project. In another package, import it
and write

   trigger: triggers.#AccountActivated

Once the file exists, vet reports every trigger that is not in it. A file of that
name that pull has not written is not replaced.

EXAMPLES:
   segue triggers pull
   segue triggers pull --target prod`

func triggersCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "triggers", Usage: "work with a platform's patterns and journeys", Description: triggersHelp,
		Subcommands: []*cli.Command{{
			Name: "pull", Usage: "write a platform's patterns and journeys as CUE", Description: triggersPullHelp,
			Flags:  append([]cli.Flag{targetFlag()}, trustFlags()...),
			Action: func(c *cli.Context) error { return t.pullTriggers(c) },
		}},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand("segue triggers", c.Command.Subcommands, c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func (t *terminal) pullTriggers(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	settings, name, target, err := t.target(c.Context, c.String("target"))
	if err != nil {
		return err
	}
	if described := settings.Platforms[target.Platform]; described == nil {
		return fmt.Errorf("the target %s can't list triggers: %s; nothing was written", name, triggersOf(target.Platform))
	} else if len(described.Triggers) == 0 {
		return fmt.Errorf("the target %s can't list triggers: the description of %s in segue.cue has no triggers; nothing was written", name, target.Platform)
	}
	secrets, err := t.secrets(c, settings, credentialUse(name, target))
	if err != nil {
		return beforeChanges(c.Context, err)
	}
	platform, err := t.connect(c.Context, connecting{project: settings, name: name, target: target, secrets: secrets})
	if err != nil {
		return err
	}
	defer platform.Close()
	lister, ok := platform.(sync.TriggerLister)
	if !ok {
		return fmt.Errorf("the platform %s can't list triggers; nothing was written", target.Platform)
	}
	triggers, err := lister.Triggers(c.Context)
	if err != nil {
		return fmt.Errorf("list triggers on %s: %w; nothing was written", name, err)
	}
	if len(triggers) == 0 {
		return fmt.Errorf("%s lists no patterns and no journeys; nothing was written", name)
	}
	changed, err := project.WriteTriggers(c.Context, settings.Dir, triggers)
	if err != nil {
		return err
	}
	verb := "Wrote"
	if !changed {
		verb = "There is nothing new in"
	}
	t.printf("%s %s: %s of %s.\n", verb, config.TriggersFile, diagnostic.Plural(len(triggers), "trigger"), diagnostic.Printable(name))
	return nil
}

// triggersOf explains the triggers of a platform that can't list them.
func triggersOf(platform string) string {
	if platform == config.Embedded {
		return "the embedded platform accepts any pattern or journey name"
	}
	return "on " + platform + " a trigger is an endpoint that segue makes, and any name will do"
}
