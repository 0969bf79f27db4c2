#!/usr/bin/env bash
# Builds a snapshot of a release into dist/, for all systems, and installs, tries and removes its
# package for Debian. It needs Go, and takes a quarter of an hour the first time.
set -euo pipefail
cd "$(dirname "$0")/.."
tools="${XDG_CACHE_HOME:-$HOME/.cache}/segue-ci"

# tool installs a Go program with a version of its own, once, and puts it on the PATH:
# tool NAME PACKAGE VERSION
tool() {
	local bin="$tools/$1-$3"
	[ -x "$bin/$1" ] || GOBIN="$bin" CGO_ENABLED=0 go install "$2@$3"
	export PATH="$bin:$PATH"
}
tool goreleaser github.com/goreleaser/goreleaser/v2 v2.15.1
tool cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod v1.10.0

goreleaser check
goreleaser release --snapshot --clean
(cd dist && sha256sum --quiet -c checksums.txt)
scripts/trydeb.sh dist/segue_linux_amd64.deb
