#!/bin/sh
# The console's own checks and unit tests.
set -eu
cd "$(dirname "$0")/../console"
../tools/npm.sh run --silent check
../tools/npm.sh test --silent
