"""`python -m bench.district [--terminals N] [--minutes M]`: a whole district on this machine.

So many real terminals (the firmware in Debian's MicroPython 1.25, mutual TLS, each with its own
certificate and flash) walk through a real `xunhu up`. Measured: the time until the registry has
all of them online, beside as many bare TLS clients in MicroPython; then for M minutes the CPU of
each part and the memory of a terminal; and what the rigs saw sealed against what is stored. What
was sealed until the end of those minutes is given the longest wait for a receipt to arrive.

Where the machine carries no more, the run ends with the reason in `ended_with` and what it held
until then. What is not stored and not receipted is in the terminals' journals, and counted apart
(`held_by_terminals_away`, `not_arrived`); `lost` is what was receipted and is not there. Exit
status 1 if anything was lost, doubled or made up, or, where all were carried, did not arrive.

JSON on the last line and in bench/results/district.json (district-N.json for another number).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import machine, results
from bench.district_account import compare, sealed, stored
from bench.installation import Installation, micropython, walkers
from bench.start_fleet import Ended, connect_all, online, online_names
from bench.tls_clients import connect_bare, handshakes
from provisioning.fleet import VirtualFleet

if TYPE_CHECKING:
    from types import FrameType

TERMINALS = 1_436
ARRIVE_S = 660  # The longest wait of a terminal for a receipt is 600 s; then it sends again.
LOOK_S = 5.0
HEAP = "512k"
WORKED = "all of them worked until the end"


class Parts:
    """The processes of a whole installation, and what CPU each kind of them uses."""

    def __init__(self, installation: Installation) -> None:
        self.pids = {
            "terminals": machine.with_argument_below(installation.home / "devices"),
            "broker": [installation.pid("broker")],
            "gateway": [installation.pid("gateway-1")],
            "api": [installation.pid("api-1")],
        }

    def cpu_s(self) -> dict[str, float]:
        """Return the seconds used since each was started."""
        return {part: machine.cpu_s(pids) for part, pids in self.pids.items()}

    def ended(self) -> int:
        """Return how many of them are not there any more."""
        return sum(len(pids) - machine.running(pids) for pids in self.pids.values())


def work(installation: Installation, minutes: float, figures: dict[str, Any]) -> None:
    """Let all of them work for so long, or until the machine runs out of something."""
    home = installation.home
    parts = Parts(installation)
    before, all_before_s = parts.cpu_s(), machine.machine_cpu_s()
    begun_s = time.monotonic()
    least = online(home)
    while (left_s := begun_s + minutes * 60 - time.monotonic()) > 0:
        time.sleep(min(LOOK_S, left_s))
        least = min(least, online(home))
        if short := machine.shortage(home):
            figures.setdefault("ended_with", f"{short} after {time.monotonic() - begun_s:.0f} s")
            break
    lasted_s = time.monotonic() - begun_s
    used = {part: (after - before[part]) / lasted_s for part, after in parts.cpu_s().items()}
    busy = (machine.machine_cpu_s() - all_before_s) / lasted_s
    figures |= {
        "worked_s": round(lasted_s, 1),
        "cpu_cores": round(sum(used.values()), 3),
        "cpu_cores_by_part": {part: round(share, 3) for part, share in used.items()},
        "cpu_cores_busy_with_other_work": round(busy - sum(used.values()), 3),
        "terminal_kb": machine.memory_kb(parts.pids["terminals"], "Pss"),
        "terminal_rss_kb": machine.memory_kb(parts.pids["terminals"], "Rss"),
        "server_rss_kb": {
            part: machine.memory_kb(pids, "Rss")
            for part, pids in parts.pids.items()
            if part != "terminals"
        },
        "broker_open_files": machine.open_files(parts.pids["broker"][0])[0],
        "online_least": least,
        "online_at_the_end": online(home),
        "processes_ended": parts.ended(),
    }  # fmt: skip


def settle_accounts(home: Path, figures: dict[str, Any]) -> None:
    """Wait until all that was sealed until now is stored, no longer than a terminal may."""
    until_ms = time.time_ns() // 1_000_000
    due = sealed(home, until_ms)
    begun_s = time.monotonic()
    while True:
        there, reachable = stored(home), online_names(home)
        # Read after the stores: a record is sealed before it is sent.
        found = compare(due, sealed(home), there, reachable)
        waited_s = time.monotonic() - begun_s
        if not found["not_arrived"] or waited_s > ARRIVE_S:
            break
        print(f"{found['not_arrived']} records are still to come", flush=True)
        time.sleep(LOOK_S)
    figures |= found | {"last_arrived_after_s": round(waited_s, 1)}


def connect(installation: Installation, fleet: VirtualFleet, names: list[str]) -> dict[str, Any]:
    """Switch all of them on; return what that took, or why it ended."""
    try:
        seconds = connect_all(installation, fleet, names)
    except Ended as error:
        return {"ended_with": str(error), "online_at_most": online(installation.home)}
    used = Parts(installation).cpu_s()
    return {
        "connected_s": round(seconds, 1),
        "connected_a_second": round(len(names) / seconds, 1),
        "terminal_start_cpu_ms": round(used["terminals"] / len(names) * 1000, 1),
    }


def connect_reference(installation: Installation, count: int) -> dict[str, Any]:
    """Connect bare clients; return what that took."""
    try:
        seconds, kb = connect_bare(installation, count)
    except Ended as error:
        return {"bare_ended_with": str(error)}
    return {"bare_clients": count, "bare_connected_s": round(seconds, 1), "bare_kb": kb}


def run(options: argparse.Namespace, home: Path, figures: dict[str, Any]) -> None:
    names = [f"t-{number:05}" for number in range(options.terminals)]
    installation = Installation(home)
    with contextlib.ExitStack() as stack:
        # One that could not be watched for want of open files.
        stack.callback(machine.end_all_below, home / "devices")
        stack.callback(installation.stop)
        # Before the fleet, which takes all open files for itself and whom it starts: `xunhu up`
        # gets what a user's shell has.
        installation.start()
        fleet = VirtualFleet(micropython(), options=("-X", f"heapsize={HEAP}"))
        stack.enter_context(fleet)
        begun_s = time.monotonic()
        installation.flash(names, walkers(len(names), witness=("sealed",)))
        figures["flashed_s"] = round(time.monotonic() - begun_s, 1)
        figures["broker_open_files_max"] = machine.open_files(installation.pid("broker"))[1]
        bare = min(len(names), TERMINALS)
        figures["handshakes_a_second"] = round(bare / handshakes(installation, bare), 1)
        figures |= connect_reference(installation, bare)
        print(json.dumps(figures), flush=True)
        figures |= connect(installation, fleet, names)
        print(json.dumps(figures), flush=True)
        work(installation, options.minutes, figures)
        settle_accounts(home, figures)
        figures.setdefault("ended_with", WORKED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--terminals", type=int, default=TERMINALS)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)  # Thousands of processes must not stay behind.
    figures: dict[str, Any] = {"terminals": options.terminals}
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as folder:
        run(options, Path(folder), figures)
    name = "district" if options.terminals == TERMINALS else f"district-{options.terminals}"
    results.write(name, figures)
    wrong = ["lost", "doubled", "stored_and_never_sealed"]
    if figures["ended_with"] == WORKED:
        wrong.append("not_arrived")
    return any(figures[figure] for figure in wrong)


if __name__ == "__main__":
    sys.exit(main())
