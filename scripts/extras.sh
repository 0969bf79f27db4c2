#!/usr/bin/env bash
# Writes the manual page and the completions into extras/, for the archives and packages. They
# come from the definitions of the command line.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p extras/man extras/completions
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The flags are those of the releases, so that the packages are built once.
GOOS='' GOARCH='' CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/segue" ./cmd/segue
"$work/segue" man | gzip -9n > extras/man/segue.1.gz
"$work/segue" completion bash > extras/completions/segue.bash
"$work/segue" completion zsh > extras/completions/_segue
"$work/segue" completion fish > extras/completions/segue.fish
"$work/segue" completion powershell > extras/completions/segue.ps1
