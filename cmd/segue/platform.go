package main

import (
	"github.com/urfave/cli/v2"
)

const platformHelp = `The embedded platform keeps automations in one SQLite file. A project's target
uses it within segue (data:), or over HTTP where it is served (url:).

EXAMPLES:
   segue platform fire --kind pattern --name "Account activated" --dry-run
   SEGUE_PLATFORM_TOKEN=... segue platform serve --data platform.db`

func platformCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "platform", Usage: "run the embedded platform", Description: platformHelp, UsageText: "segue platform COMMAND",
		Subcommands: []*cli.Command{serveCommand(t), fireCommand(t)},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand("segue platform", c.Command.Subcommands, c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}
