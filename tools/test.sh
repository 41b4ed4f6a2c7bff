#!/bin/sh
# All checks, then all tests; the last line says how it went, or what could not be tested.
#
# InfluxDB: the running one at XUNHU_TEST_INFLUX_URL, else a program (tools/influxd.sh), else none.
# With XUNHU_DEMAND_INFLUX=1 none is a failure.
# The official MicroPython image: ../shared/esp32 (tests/official_image.py); with
# XUNHU_DEMAND_IMAGE=1 none is a failure.
set -eu
cd "$(dirname "$0")/.."

no_influx=""
if [ -z "${XUNHU_TEST_INFLUX_URL:-}" ]; then
    if answer=$(tools/influxd.sh); then
        export XUNHU_TEST_INFLUXD="$answer"
    else
        no_influx=$answer
    fi
fi
if [ -n "$no_influx" ] && [ -n "${XUNHU_DEMAND_INFLUX:-}" ]; then
    echo "missing: InfluxDB ($no_influx)" >&2
    exit 1
fi

# Serial lines of a bench are played on pseudo-terminals; in a chroot that has /dev alone are none.
if ! python3 -c 'import os; os.openpty()' 2>/dev/null; then
    echo "missing: pseudo-terminals (run: mount -t devpts devpts /dev/pts)" >&2
    exit 1
fi

image=../shared/esp32/ESP32_GENERIC-20250911-v1.26.1.bin
no_image=""
[ -f "$image" ] || no_image="there is no $image"
if [ -n "$no_image" ] && [ -n "${XUNHU_DEMAND_IMAGE:-}" ]; then
    echo "missing: the official MicroPython image ($no_image)" >&2
    exit 1
fi

failed=""
tools/check.sh || failed="checks"
# Tests wait more than they work; those of one file share their servers.
.venv/bin/python -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder || failed="${failed:+$failed and }tests"

[ -z "$failed" ] || echo "failed: $failed, see above"
not_tested=""
[ -z "$no_influx" ] || not_tested="InfluxDB was not tested: $no_influx"
[ -z "$no_image" ] ||
    not_tested="${not_tested:+$not_tested; }the official MicroPython image was not tested: $no_image"
[ -z "$not_tested" ] || echo "$not_tested"
[ -z "$failed" ]
