#!/bin/sh
# Every check that needs nothing to be started. Each says its name when it fails.
set -eu
cd "$(dirname "$0")/.."
PATH="$(pwd)/.venv/bin:$PATH"
failed=""
step() {
    name=$1
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok      $name"
    else
        echo "FAILED  $name"
        cat "$log"
        failed="$failed $name"
    fi
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

step format ruff format --check .
step lint ruff check .
step types mypy
step device-types tools/check_device_types.sh
step imports env PYTHONPATH=.:firmware lint-imports
step bytecode python tools/check_bytecode.py
step integers python tools/check_integers.py
step device-names python tools/check_device_names.py
step purity python tools/check_purity.py
step spelling codespell
step console tools/check_console.sh

[ -z "$failed" ] || { echo "checks failed:$failed"; exit 1; }
