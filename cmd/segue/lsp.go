package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	cue "cuelang.org/go/cmd/cue/cmd"
	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/limits"
	"github.com/seguehq/segue/lsp"
)

const lspHelp = `Lsp is a language server: an editor starts it and speaks the Language Server
Protocol with it on the standard input and output. It shows the findings of vet
while you type, with their fixes, completes placeholders, triggers, events, sources and
targets, and shows the request that an automation sends. It sends nothing to a platform
unless the editor asks for a plan.

It also passes on what CUE's own language server does: definitions, references,
symbols, formatting and renaming. docs/editors.md shows how to set up editors.

EXAMPLES:
   segue lsp`

func lspCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "lsp", Usage: "serve an editor: findings, fixes, completion", Description: lspHelp,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if interactive(t.stdin) {
				fmt.Fprintln(t.stderr, "Waiting for an editor's messages on the standard input; stop it with Ctrl-C.")
			}
			return lsp.Serve(c.Context, io.NopCloser(t.stdin), unclosed{t.stdout}, lsp.Options{
				Compiler: t.compilerOptions(), Version: version(), CUE: limits.Self(cueMode), Plan: planIn,
				Request: func(a automation.Automation, r automation.Rendered) string {
					return requestText(r.Method, r.URL, a.Action.Headers, r.Header.Get, r.Body)
				},
				Log: func(message string) { fmt.Fprintf(t.stderr, "%s\n", message) },
			})
		},
	})
}

// planIn returns a command that prints the plan of the project in a folder.
func planIn(dir string) *exec.Cmd { return limits.Self("-C", dir, "plan")() }

// unclosed leaves a stream open, which is not the server's.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// cueMode is the one argument of a process that is CUE's language server, for the one of
// segue. It is no command: nobody types it.
const cueMode = "cue-lsp"

// serveCUE is CUE's language server, and never returns.
func serveCUE() {
	os.Args = []string{"cue", "lsp"}
	os.Exit(cue.Main())
}
