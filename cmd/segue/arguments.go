package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler/finding"
)

// completing is the argument with which a completion script asks for
// completions. It is always the last one.
const completing = "--generate-bash-completion"

// flagsFirst moves a command's flags in front of its arguments: people write
// "render KEY --data FILE", but the flag package stops at the first argument.
// It does not move arguments after "--".
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) == 0 || args[len(args)-1] == completing {
		return args
	}
	out := args[:1:1]
	flags, commands := app.Flags, app.Commands
	var arguments []string
	for i := 1; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return slices.Concat(out, args[i:i+1], arguments, args[i+1:])
		case strings.HasPrefix(arg, "-") && arg != "-":
			out = append(out, arg)
			if takesValue(flags, arg) && i+1 < len(args) {
				i++
				out = append(out, args[i])
			}
		case len(arguments) == 0 && named(commands, arg) != nil:
			c := named(commands, arg)
			flags, commands = c.Flags, c.Subcommands
			out = append(out, arg)
		default:
			arguments = append(arguments, arg)
			commands = nil
		}
	}
	return append(out, arguments...)
}

// takesValue reports whether the argument after a flag is the flag's value.
func takesValue(flags []cli.Flag, arg string) bool {
	name := strings.TrimLeft(arg, "-") // a name with "=" is no flag's
	for _, f := range flags {
		if documented, ok := f.(cli.DocGenerationFlag); ok && slices.Contains(f.Names(), name) {
			return documented.TakesValue()
		}
	}
	return false
}

// named returns the command with a name, nil if there is none.
func named(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// unknownCommand returns the error for an unknown subcommand.
func unknownCommand(of string, commands []*cli.Command, name string) error {
	var names []string
	for _, c := range commands {
		names = append(names, c.Name)
	}
	if near := finding.Nearest(name, names); near != "" {
		return fmt.Errorf("there is no command %q; did you mean %s %s?", name, of, near)
	}
	return fmt.Errorf("there is no command %q; %s --help lists them", name, of)
}

// invalidValue is how the flag package reports a flag's value.
var invalidValue = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-([^:]+): (.*)$`)

// usageError turns the flag package's errors into the reader's terms.
func usageError(c *cli.Context, err error, _ bool) error {
	command, flags := "segue", c.App.Flags
	if c.Command != nil && c.Command.HelpName != "" {
		command, flags = c.Command.HelpName, c.Command.Flags
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		return unknownFlag(command, flags, name)
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return fmt.Errorf("%s needs a value; see %s --help", dashed(name), command)
	}
	if m := invalidValue.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s can't be %s; see %s --help", dashed(m[2]), m[1], command)
	}
	return fmt.Errorf("%w; see %s --help", err, command)
}

// unknownFlag is the error for a flag that a command does not have.
func unknownFlag(command string, flags []cli.Flag, name string) error {
	if name == "C" {
		return errors.New("-C goes before the command: segue -C DIR COMMAND")
	}
	var names []string
	for _, f := range flags {
		// Every letter is close to every other letter.
		names = append(names, slices.DeleteFunc(slices.Clone(f.Names()), func(n string) bool { return len(n) == 1 })...)
	}
	if near := finding.Nearest(name, names); near != "" {
		return fmt.Errorf("%s has no flag %s; did you mean %s?", command, dashed(name), dashed(near))
	}
	return fmt.Errorf("%s has no flag %s; see %s --help", command, dashed(name), command)
}

// dashed returns a flag as it is written.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// noArguments refuses arguments.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return fmt.Errorf("%s takes no arguments, got %q; see %s --help", c.Command.HelpName, c.Args().First(), c.Command.HelpName)
	}
	return nil
}

// oneOfFormats checks the value of --format.
func oneOfFormats(format string, formats ...string) error {
	if slices.Contains(formats, format) {
		return nil
	}
	return fmt.Errorf("there is no format %q; the formats are %s", format, strings.Join(formats, ", "))
}
