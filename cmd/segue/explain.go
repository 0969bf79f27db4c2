package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler/finding"
)

const explainHelp = `Explain explains a finding's code and why it matters, and shows a wrong and a
right example. Without a code, it lists all codes.

EXAMPLES:
   segue explain
   segue explain unknown-placeholder`

func explainCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "explain a finding's code", Description: explainHelp, ArgsUsage: "[CODE]",
		Action: func(c *cli.Context) error {
			switch c.NArg() {
			case 0:
				for _, code := range finding.Codes() {
					e, _ := finding.Explain(code.Name)
					t.printf("%-26s %s\n", code.Name, e.Title)
				}
				return nil
			case 1:
				return t.explain(c.Args().First())
			default:
				return errors.New("explain takes one code")
			}
		},
	}
}

func (t *terminal) explain(name string) error {
	e, ok := finding.Explain(name)
	if !ok {
		var names []string
		for _, code := range finding.Codes() {
			names = append(names, code.Name)
		}
		if near := finding.Nearest(name, names); near != "" {
			return fmt.Errorf("there is no code %q; did you mean %s?", name, near)
		}
		return fmt.Errorf("there is no code %q; segue explain lists them", name)
	}
	t.printf("%s (%s)\n\n%s\n\n%s\n", e.Name, e.Severity, e.Title, e.Why)
	t.example("Wrong", e.Wrong)
	t.example("Right", e.Right)
	return nil
}

func (t *terminal) example(title string, files []finding.ExampleFile) {
	for _, f := range files {
		t.printf("\n%s, %s:\n\n%s", title, f.Name, f.Content)
	}
}
