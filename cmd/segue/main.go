// Command segue keeps automations in Git: it checks them, compiles them to
// canonical JSON and makes an automation platform match.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/fatih/color"
	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// The exit statuses.
const (
	statusDone    = 0
	statusFailed  = 1 // the command failed, or there are findings
	statusChanges = 2 // plan --detailed-exitcode found changes
)

func main() {
	// Evaluating CUE makes much garbage and keeps little of it.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	if len(os.Args) == 2 && os.Args[1] == evaluateMode {
		compiler.Serve(buildVersion())
	}
	if len(os.Args) == 2 && os.Args[1] == cueMode {
		serveCUE()
	}
	ctx, stop := interruptContext()
	status := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// interruptContext returns a context that ends with the first Ctrl-C, or the end
// of the terminal, so that requests in progress can finish. The second Ctrl-C
// ends the process: it is not caught after the context is done.
func interruptContext() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		<-signals
		signal.Stop(signals)
		cancel(errors.New("interrupted"))
	}()
	return ctx, func() { cancel(nil) }
}

const appHelp = `segue is automations as code: a team keeps the automations that send its
events to Segment in CUE files, under review, and makes the platform match.

A project is a folder with a segue.cue. Commands work on the current folder;
-C names another one.

EXAMPLES:
   segue init growth                     make a project
   segue -C growth vet                   check it
   segue -C growth plan                  see the changes
   segue -C growth apply                 make them`

// run runs the command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	t := newTerminal(stdin, stdout, stderr)
	defer t.endProfiles()
	defer t.endLog()
	defer t.closeCache(ctx)
	defer t.children.Close()
	app := newApp(t)
	return t.finish(app.RunContext(ctx, flagsFirst(app, args)))
}

// newApp returns the command line, whose commands read and write through t.
func newApp(t *terminal) *cli.App {
	app := &cli.App{
		Name:                 "segue",
		Usage:                "automations as code",
		Description:          appHelp,
		HideVersion:          true,
		HideHelpCommand:      true, // there is one of our own
		Reader:               t.stdin,
		Writer:               t.stdout,
		ErrWriter:            t.stderr,
		EnableBashCompletion: true,
		Flags: append([]cli.Flag{&cli.StringFlag{
			Name: "C", Usage: "work in `DIR`, which relative paths on the command line are relative to as well", DefaultText: "the current folder",
		}, &cli.BoolFlag{
			Name: "version", Usage: "print the versions of segue, its schema and CUE", DisableDefaultText: true,
		}, cli.HelpFlag}, observingFlags(false)...), // cli adds the one for help only with its own help command
		Before: func(c *cli.Context) error {
			if c.IsSet("C") {
				t.dir = c.String("C")
				if err := os.Chdir(t.dir); err != nil {
					return fmt.Errorf("can't work in %q: %w", t.dir, cause(err))
				}
			}
			return t.startProfiles(c) // a command's own flags say where the log goes
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand("segue", c.App.Commands, c.Args().First())
			}
			if c.Bool("version") {
				t.showVersions()
				return nil
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			initCommand(t), vetCommand(t), fmtCommand(t), testCommand(t), compileCommand(t), renderCommand(t), planCommand(t), applyCommand(t), listCommand(t), importCommand(t), destroyCommand(t),
			lspCommand(t), platformCommand(t), triggersCommand(t), explainCommand(t), cacheCommand(t), versionCommand(t), completionCommand(t), manCommand(t), helpCommand(),
		},
		ExitErrHandler: func(*cli.Context, error) {}, // run reports errors itself
		OnUsageError:   usageError,
	}
	t.prepare(app.Commands)
	return app
}

// prepare sets the common properties of all commands.
func (t *terminal) prepare(commands []*cli.Command) {
	for _, c := range commands {
		c.Flags = append(c.Flags, observingFlags(true)...)
		c.Before = t.observed(c.Before)
		c.OnUsageError = usageError
		c.HideHelpCommand = true // "segue vet help" is about a folder named help
		t.prepare(c.Subcommands)
	}
}

// observingFlags are those that log or profile, of segue and of each command, where
// help does not show them again.
func observingFlags(hidden bool) []cli.Flag { return append(logFlags(hidden), profileFlags(hidden)...) }

// observe starts the log and the profiles that the observingFlags ask for.
func (t *terminal) observe(c *cli.Context) error {
	if err := t.startLog(c); err != nil {
		return err
	}
	return t.startProfiles(c)
}

// observed starts the log and the profiles before everything else that precedes a command.
func (t *terminal) observed(before cli.BeforeFunc) cli.BeforeFunc {
	return func(c *cli.Context) error {
		if err := t.observe(c); err != nil || before == nil {
			return err
		}
		return before(c)
	}
}

// A statusError ends the process with a status, without another message.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// finish reports the error that a command ended with, or else that its output
// was lost, and returns the status.
func (t *terminal) finish(err error) int {
	var status statusError
	isStatus := errors.As(err, &status)
	if lost := t.stdout.err; lost != nil && (err == nil || isStatus || errors.Is(err, lost)) {
		err, isStatus = fmt.Errorf("can't write to the standard output: %w", cause(lost)), false
	}
	switch {
	case err == nil:
		return statusDone
	case isStatus:
		return int(status)
	default:
		t.showError(err)
		return statusFailed
	}
}

// showError prints an error, unless it is only a status.
func (t *terminal) showError(err error) {
	var status statusError
	if errors.As(err, &status) {
		return
	}
	red := color.New(color.FgRed, color.Bold)
	t.paint(red, t.stderr)
	for _, text := range errorTexts(err) {
		fmt.Fprintf(t.stderr, "%s %s\n", red.Sprint("error:"), printableLines(text))
	}
}

// errorTexts are the errors that a command ended with, each of which may be
// several lines: every guard that stops a plan is one.
func errorTexts(err error) []string {
	var blocked *sync.BlockedError
	if !errors.As(err, &blocked) {
		return []string{err.Error()}
	}
	var texts []string
	for _, b := range blocked.Blocks {
		texts = append(texts, b.String())
	}
	return texts
}

// findings shows the findings for people, and returns the error for the exit
// status if any is an error.
func (t *terminal) findings(w io.Writer, list diagnostic.List) error {
	return t.report(w, "text", list, mostFindings)
}
