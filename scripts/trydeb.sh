#!/usr/bin/env bash
# Installs a package for Debian into a folder of its own, tries what is in it, and removes it:
# trydeb.sh FILE. Nothing else on the machine changes.
set -euo pipefail
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"
dpkg=(dpkg "--root=$root" "--log=$root/var/lib/dpkg/log" --force-not-root)

"${dpkg[@]}" --install "$1"
"$root/usr/bin/segue" version | tee "$root/version"
grep -qx "commit $(git -C "$(dirname "$0")/.." rev-parse HEAD)\(, with changes\)\?" "$root/version"
grep -q '^date 2' "$root/version"
(cd "$root" && usr/bin/segue init project && usr/bin/segue -C project vet)
zcat "$root/usr/share/man/man1/segue.1.gz" | grep -q '^\.TH segue 1'
bash -n "$root/usr/share/bash-completion/completions/segue"
grep -q '^#compdef segue' "$root/usr/share/zsh/vendor-completions/_segue"
grep -q '^complete -c segue' "$root/usr/share/fish/vendor_completions.d/segue.fish"
test -s "$root/usr/share/doc/segue/copyright"

"${dpkg[@]}" --purge segue
left=$(find "$root" -name '*segue*' -not -path "$root/project/*")
if [ -n "$left" ]; then
	printf 'left behind:\n%s\n' "$left"
	exit 1
fi
