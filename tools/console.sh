#!/bin/sh
# Builds the console into console/dist, unless nothing changed since the last time.
set -eu
cd "$(dirname "$0")/../console"
digest() { LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1; }

packages=$(printf 'package.json\0package-lock.json\0' | digest)
if [ "$(cat node_modules/complete 2>/dev/null || true)" != "$packages" ]; then
    echo "installing the console's npm packages"
    ../tools/npm.sh ci --loglevel=error --fetch-retries=5 --no-fund --no-audit || {
        echo "missing: the console's npm packages (npm ci failed, see above)" >&2
        exit 1
    }
    echo "$packages" >node_modules/complete
fi

sources=$(find . \( -path ./node_modules -o -path ./dist -o -path ./tests \) -prune -o -type f -print0 | digest)
if [ "$(cat dist/complete 2>/dev/null || true)" != "$sources" ]; then
    echo "building the console"
    log=$(mktemp)
    ../tools/npm.sh run --silent build >"$log" 2>&1 || {
        cat "$log" >&2
        echo "the console could not be built, see above" >&2
        exit 1
    }
    rm -f "$log"
    echo "$sources" >dist/complete
fi
