package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"
)

const completionHelp = `Completion prints a script that makes the shell complete segue's commands and
flags.

EXAMPLES:
   source <(segue completion bash)
   source <(segue completion zsh)
   segue completion fish > ~/.config/fish/completions/segue.fish`

// The scripts ask segue itself, which answers to --generate-bash-completion.
const (
	bashCompletion = `_segue() {
	local words
	words=("${COMP_WORDS[@]:0:$COMP_CWORD}")
	[[ "${COMP_WORDS[COMP_CWORD]}" == -* ]] && words+=("${COMP_WORDS[COMP_CWORD]}")
	COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o bashdefault -o default -F _segue segue
`
	zshCompletion = `#compdef segue
_segue() {
	local -a words_before answers
	words_before=("${(@)words[1,$CURRENT-1]}")
	[[ "${words[$CURRENT]}" == -* ]] && words_before+=("${words[$CURRENT]}")
	answers=("${(@f)$("${words_before[@]}" --generate-bash-completion 2>/dev/null)}")
	if [[ -n "${answers[1]}" ]]; then
		_describe 'segue' answers
	else
		_files
	fi
}
compdef _segue segue
`
)

func completionCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a completion script for a shell", Description: completionHelp, ArgsUsage: "bash|zsh|fish",
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return errors.New("name one shell: bash, zsh or fish")
			}
			var script string
			switch shell := c.Args().First(); shell {
			case "bash":
				script = bashCompletion
			case "zsh":
				script = zshCompletion
			case "fish":
				var err error
				if script, err = c.App.ToFishCompletion(); err != nil {
					return err
				}
			default:
				return fmt.Errorf("there is no script for %q, only for bash, zsh and fish", shell)
			}
			t.printf("%s", script)
			return nil
		},
	}
}
