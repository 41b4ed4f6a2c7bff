#!/bin/sh
# Types of device code against the ESP32 stubs, by pyright (mypy reads those stubs as our code).
set -eu
cd "$(dirname "$0")/.."
exec .venv/bin/pyright --project firmware
