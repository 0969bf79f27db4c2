package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

const manHelp = `Man prints the manual page of segue, with all its commands and flags.

EXAMPLE:
   segue man > segue.1`

func manCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "print the manual page", Description: manHelp,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			page := *c.App
			page.Commands = explained(c.App.Name, c.App.Commands)
			text, err := page.ToManWithSection(1)
			if err != nil {
				return err
			}
			t.printf("%s", text)
			return nil
		},
	}
}

// explained returns commands whose explanations are where the manual page takes them from.
func explained(of string, commands []*cli.Command) []*cli.Command {
	all := make([]*cli.Command, len(commands))
	for i, c := range commands {
		command, name := *c, of+" "+c.Name
		command.UsageText = strings.TrimSpace(name+" "+c.ArgsUsage) + "\n\n" + c.Description
		command.Subcommands = explained(name, c.Subcommands)
		all[i] = &command
	}
	return all
}
