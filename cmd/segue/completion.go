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
   segue completion fish > ~/.config/fish/completions/segue.fish
   segue completion powershell > segue.ps1`

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
	powershellCompletion = `Register-ArgumentCompleter -Native -CommandName segue -ScriptBlock {
	param($wordToComplete, $commandAst, $cursorPosition)
	$words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { "$_" })
	$command = $words[0]
	$arguments = @($words | Select-Object -Skip 1)
	if ($wordToComplete -like '-*') { $arguments += $wordToComplete }
	$arguments += '--generate-bash-completion'
	& $command @arguments 2>$null | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object {
		[System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
	}
}
`
)

func completionCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a completion script for a shell", Description: completionHelp, ArgsUsage: "bash|zsh|fish|powershell",
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return errors.New("name one shell: bash, zsh, fish or powershell")
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
			case "powershell":
				script = powershellCompletion
			default:
				return fmt.Errorf("there is no script for %q, only for bash, zsh, fish and powershell", shell)
			}
			t.printf("%s", script)
			return nil
		},
	}
}
