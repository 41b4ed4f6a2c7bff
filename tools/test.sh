#!/bin/sh
# All checks, then all tests. InfluxDB is tested where it is or can be built (tools/influxd.sh).
set -eu
cd "$(dirname "$0")/.."
tools/check.sh
influx=$(tools/influxd.sh) || influx=""
if [ -n "$influx" ]; then
    export XUNHU_TEST_INFLUXD="$influx"
elif [ -n "${XUNHU_DEMAND_INFLUX:-}" ] && [ -z "${XUNHU_TEST_INFLUX_URL:-}" ]; then
    echo "missing: InfluxDB (no influxd on the path, and go and cargo to build it are not there)" >&2
    exit 1
fi
.venv/bin/python -m pytest -q
if [ -z "$influx" ] && [ -z "${XUNHU_TEST_INFLUX_URL:-}" ]; then
    echo "InfluxDB was not tested: no influxd on the path, and go and cargo to build it are not there"
fi
