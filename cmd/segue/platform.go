package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/platform/embedded"
)

const platformHelp = `The embedded platform keeps automations in one SQLite file. A project's target
uses it in-process (data:), or over HTTP if it is served (url:).

EXAMPLES:
   segue platform fire --kind pattern --name "Account activated" --dry-run
   segue platform deliveries list
   SEGUE_PLATFORM_TOKEN=... segue platform serve --data platform.db`

func platformCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "platform", Usage: "make triggers happen, run the embedded platform, see its deliveries", Description: platformHelp, UsageText: "segue platform COMMAND",
		Subcommands: []*cli.Command{serveCommand(t), fireCommand(t), deliveriesCommand(t)},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand("segue platform", c.Command.Subcommands, c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// connectAlone connects to an embedded platform for a command that needs no other
// secret than the target's own.
func (t *terminal) connectAlone(c *cli.Context, project *config.Project, name string, target config.Target, use connectionUse) (*embedded.Platform, error) {
	secrets, err := t.secrets(c, project, credentialUse(name, target))
	if err != nil {
		return nil, beforeChanges(c.Context, err)
	}
	if err := checkSecrecy(name, target, secrets); err != nil {
		return nil, err
	}
	return t.connectEmbedded(c.Context, connecting{project: project, name: name, target: target, secrets: secrets, use: use})
}

// embeddedPlatform returns the project's name, and the platform of its target.
func (t *terminal) embeddedPlatform(c *cli.Context, use connectionUse) (string, *embedded.Platform, error) {
	project, name, target, err := t.target(c.Context, c.String("target"))
	if err != nil {
		return "", nil, err
	}
	if target.Platform != config.Embedded {
		return "", nil, fmt.Errorf("the target %s is on the platform %s, and segue only knows the deliveries of the embedded platform; look for them there", name, target.Platform)
	}
	platform, err := t.connectAlone(c, project, name, target, use)
	return project.Name, platform, err
}
