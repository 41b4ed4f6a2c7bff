#!/bin/sh
# Types of device code against the ESP32 stubs, by pyright (mypy reads those stubs as our code).
set -eu
cd "$(dirname "$0")/.."
# The stubs bring a standard library as MicroPython has it, in place of CPython's.
stubs=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
exec .venv/bin/pyright --project firmware --typeshedpath "$stubs"
