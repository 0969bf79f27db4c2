package main

import (
	"github.com/urfave/cli/v2"
)

const helpHelp = `Help explains a command.

EXAMPLES:
   segue help apply
   segue help platform serve`

func helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Aliases: []string{"h"}, Usage: "explain a command", Description: helpHelp, ArgsUsage: "[COMMAND]",
		Action: func(c *cli.Context) error {
			of, commands := "segue", c.App.Commands
			for _, name := range c.Args().Slice() {
				found := named(commands, name)
				if found == nil {
					return unknownCommand(of, commands, name)
				}
				of, commands = of+" "+found.Name, found.Subcommands
			}
			args := append([]string{c.App.Name}, c.Args().Slice()...)
			return c.App.RunContext(c.Context, append(args, "--help"))
		},
	}
}
