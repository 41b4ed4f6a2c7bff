"""`python -m bench`: every bench in turn; `python -m bench NAME...`: some of them;
`python -m bench NAME ARGUMENT...`: one with arguments of its own.

`python -m bench soak` runs the long ones: a million mutated frames, fifty thousand power cuts, the
whole district. Each bench is a program of its own with a time bound, `python -m bench.NAME`, and
ends with its result as one JSON object on its last line; here the last line of all holds the
results by name, also kept in bench/results/all.json (soak.json). A bench that failed says why
under `failed`, the others go on, and the exit status is 1; so it is when a figure that must be
there is not, which is named under `missing`. An aim that is not met is said at the end and changes
nothing else: how fast something is depends on the machine.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any, NamedTuple

from bench.results import RESULTS

STOP_WAIT_S = 20


class Bench(NamedTuple):
    """One program: `figures` are what its result must hold, a path of names each."""

    name: str
    minutes: int
    figures: tuple[str, ...]
    arguments: tuple[str, ...] = ()


BENCHES = (
    Bench("wire", 5, ("formats.xunhu.walking track, 60", "check_12_us")),
    Bench(
        "wire_socket",
        15,
        tuple(
            f"cases.{walk}, {size}.{figure}"
            for walk in ("walking track", "generated walk")
            for size in (12, 60)
            for figure in ("bytes_a_fix", "mb_a_month")
        ),
    ),
    Bench("nmea", 5, ("all.rows", "all.reproduced", "all.extra")),
    Bench("firmware", 10, ("heap_free_bytes", "modules", "application_bytes")),
    Bench("heap_day", 60, ("heap_low_bytes", "heap_low_during", "drift_bytes", "minutes")),
    Bench(
        "loop",
        30,
        ("longest_turn_epochs.walking", "epoch_bytes", "fix_bytes.walking", "fix_bytes.sos"),
    ),
    Bench(
        "storage",
        20,
        ("sqlite.fixes_a_second", "sqlite_row_a_fix.fixes_a_second", "influxdb.fixes_a_second"),
    ),
    Bench(
        "gateway",
        20,
        (
            "gateway.fixes_a_second",
            "gateway.gateway_cpu_us_a_fix",
            "raw_broker.fixes_a_second",
            "influxdb.fixes_a_second",
            "influxdb.ceiling_points_a_second",
        ),
    ),
    Bench(
        "sos",
        20,
        tuple(
            f"{situation}.{figure}"
            for situation in ("idle", "connected", "telemetry_away")
            for figure in ("p50_ms", "p99_ms", "broker_p50_ms", "broker_p99_ms")
        ),
    ),
    Bench(
        "district",
        30,
        ("connected_s", "sealed", "stored", "lost", "doubled", "terminal_kb", "cpu_cores"),
    ),
    Bench(
        "broker_restart",
        15,
        ("all_back_s", "most_in_a_second", "most_tcp_in_a_second", "sos_stored_s"),
    ),
    Bench("sos_faults", 20, ("p99_s", "exactly_once")),
    Bench("commands", 30, ("executed_once", "doubled", "executed_after_ttl", "exactly_once")),
)
FIGURES = {bench.name: bench.figures for bench in BENCHES}
SOAKS = (
    Bench("wire_soak", 60, ("frames",)),
    Bench("power_cuts", 180, ("cuts", "failures")),
    Bench("flash_wear", 30, ("journal.years", "journal.spread", "nvs.years"), ("30",)),
    Bench("sos_faults", 300, ("p99_s", "exactly_once"), ("--sos", "10000", "--terminals", "100")),
    Bench(
        "commands",
        300,
        ("executed_once", "doubled", "executed_after_ttl", "exactly_once"),
        ("--commands", "10000", "--terminals", "100"),
    ),
    Bench("wire_socket", 90, FIGURES["wire_socket"], ("--speed", "4")),
    Bench("sos", 60, FIGURES["sos"], ("--presses", "1000")),
    Bench("district", 60, FIGURES["district"]),
    # Where it ends is the figure; all of them need not be carried.
    Bench("district", 60, ("ended_with",), ("--terminals", "14360", "--minutes", "2")),
)


def main(arguments: list[str]) -> int:
    name, *rest = arguments or ["all"]
    if name in ("all", "soak"):
        return run_all("soak" if name == "soak" else "all", SOAKS if name == "soak" else BENCHES)
    known = {bench.name: bench for bench in SOAKS + BENCHES}
    if name not in known:
        print(f"no bench {name!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    if rest and all(other in known for other in rest):
        return run_all("some", tuple(known[each] for each in arguments))
    result = run(known[name]._replace(arguments=tuple(rest), minutes=24 * 60))
    for line in remarks(result):
        print(line, file=sys.stderr)
    return is_wrong(result)


def run_all(title: str, benches: tuple[Bench, ...]) -> int:
    results: dict[str, dict[str, Any]] = {}
    for bench in benches:
        key = " ".join((bench.name, *bench.arguments))
        print(f"== {key}", flush=True)
        begin_s = time.monotonic()
        results[key] = result = run(bench)
        print(f"== {key}: {time.monotonic() - begin_s:.0f} s", flush=True)
    print("== all of them")
    for key, result in results.items():
        outcome = f"FAILED: {result['failed']}" if "failed" in result else "done"
        print(f"{key:32}{outcome}")
        for line in remarks(result):
            print(f"{'':32}{line}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{title}.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results))
    return any(is_wrong(result) for result in results.values())


def is_wrong(result: dict[str, Any]) -> bool:
    """Tell whether a bench failed, or left a figure out."""
    return "failed" in result or "missing" in result


def remarks(result: dict[str, Any]) -> list[str]:
    """Return what the closing table says below a bench: what is missing, aims that were missed."""
    found = [f"missing: {', '.join(result['missing'])}"] if "missing" in result else []
    for name, aim in result.get("aims", {}).items():
        if not aim["met"]:
            found.append(f"aim not met: {name}: {aim['value']}, wanted {aim['aim']}")
    return found


def holds(result: object, figure: str) -> bool:
    """Tell whether a result holds a figure that is more than null."""
    for name in figure.split("."):
        result = result.get(name) if isinstance(result, dict) else None
    return result is not None


def run(bench: Bench) -> dict[str, Any]:
    """Run one bench, show what it prints, return its last line and what is wrong with it."""
    result = _run(bench)
    missing = [figure for figure in bench.figures if not holds(result, figure)]
    if missing:
        result["missing"] = missing
    return result


def command(bench: Bench) -> list[str]:
    """Return the program of a bench."""
    return [sys.executable, "-m", f"bench.{bench.name}", *bench.arguments]


def _run(bench: Bench) -> dict[str, Any]:
    module = f"bench.{bench.name}"
    if importlib.util.find_spec(module) is None:
        return {"failed": f"there is no {module} yet"}
    last = ""
    with subprocess.Popen(
        command(bench),
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        late = threading.Event()
        timer = threading.Timer(bench.minutes * 60, _end, (process, late))
        timer.start()
        try:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                last = line
            process.wait()
        except BaseException:
            _end(process, late)
            raise
        finally:
            timer.cancel()
    if late.is_set():
        return {"failed": f"not ended after {bench.minutes} minutes"}
    # One that found a promise broken has figures all the same, and says so by its exit status.
    status = process.returncode
    failed = {"failed": f"exit status {status}"} if status else {}
    try:
        return failed | dict(json.loads(last))
    except (ValueError, TypeError):
        return failed or {"failed": "its last line is no JSON"}


def _end(process: subprocess.Popen[str], late: threading.Event) -> None:
    """Ask a bench to end, as Ctrl-C would, so that it stops what it started; then make it end."""
    late.set()
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        print("it does not end by itself", file=sys.stderr)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
