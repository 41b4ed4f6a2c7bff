"""`python -m bench.broker_restart [--terminals N]`: how a district comes back.

All terminals are connected and have been for a while (a connection counts as one that lived after
30 s); then the broker is killed, and `xunhu up` starts it again. Measured: the time from the kill
until each terminal has a new connection (its state says which), how many came in the busiest
second, and an SOS pressed while the broker is away. Aim: all back within 60 s,
at most 100 a second.

JSON on the last line and in bench/results/broker_restart.json.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench import machine, results
from bench.installation import Installation, micropython, walkers
from bench.start_fleet import connect_all
from provisioning.control import Control
from provisioning.fleet import VirtualFleet
from provisioning.virtual import device_folder

LIVED_S = 40  # Longer than what device.domain.backoff takes for a connection that lived.
BACK_S_MAX = 300
LOOK_S = 0.25
AIM_BACK_S, AIM_A_SECOND = 60, 100


def connections(home: Path) -> dict[str, tuple[int, int, int]]:
    """Return device -> (boot, connection, ms at which the gateway had its last state)."""
    database = sqlite3.connect(home / "registry.sqlite", timeout=30)
    try:
        rows = database.execute(
            "SELECT device, boot, connection, received_ms FROM device_state WHERE online"
        ).fetchall()
    finally:
        database.close()
    return {device: (boot, connection, at_ms) for device, boot, connection, at_ms in rows}


def come_back(home: Path, before: dict[str, tuple[int, int, int]]) -> dict[str, int]:
    """Wait until every device has a new connection; return device -> ms of its first state."""
    came: dict[str, int] = {}
    until_s = time.monotonic() + BACK_S_MAX
    while len(came) < len(before) and time.monotonic() < until_s:
        for device, (boot, connection, at_ms) in connections(home).items():
            if device in before and (boot, connection) > before[device][:2]:
                came.setdefault(device, at_ms)
        time.sleep(LOOK_S)
    return came


def run(options: argparse.Namespace, home: Path, figures: dict[str, Any]) -> None:
    names = [f"t-{number:05}" for number in range(options.terminals)]
    installation = Installation(home)
    with contextlib.ExitStack() as stack:
        stack.callback(machine.end_all_below, home / "devices")
        stack.callback(installation.stop)
        installation.start()
        fleet = VirtualFleet(micropython(), options=("-X", "heapsize=512k"))
        stack.enter_context(fleet)
        installation.flash(names, walkers(len(names), witness=("sealed",)), sos_hold_ms=0)
        figures["connected_s"] = round(connect_all(installation, fleet, names), 1)
        time.sleep(LIVED_S)
        before = connections(home)
        killed_ms = time.time_ns() // 1_000_000
        os.kill(installation.pid("broker"), signal.SIGKILL)
        Control(device_folder(home, names[0])).press("sos")
        came = come_back(home, before)
        figures |= account(came, killed_ms, len(before))
        figures["sos_stored_s"] = sos_stored_s(home, names[0], killed_ms)


def account(came: dict[str, int], killed_ms: int, terminals: int) -> dict[str, Any]:
    """Return how they came: the gateway's own clock dates each first state."""
    waits_s = sorted((at_ms - killed_ms) / 1000 for at_ms in came.values())
    a_second = Counter(int(wait_s) for wait_s in waits_s)
    return {
        "terminals": terminals, "back": len(came),
        "first_back_s": round(waits_s[0], 1), "all_back_s": round(waits_s[-1], 1),
        "half_back_s": round(waits_s[len(waits_s) // 2], 1),
        "most_in_a_second": max(a_second.values()),
        "aim_back_s": AIM_BACK_S, "aim_a_second": AIM_A_SECOND,
    }  # fmt: skip


def sos_stored_s(home: Path, device: str, pressed_ms: int) -> float | None:
    """Return the seconds until the press was an event in the registry."""
    database = sqlite3.connect(home / "registry.sqlite", timeout=30)
    try:
        row = database.execute(
            "SELECT min(received_ms) FROM event WHERE device = ? AND kind = 'sos'", (device,)
        ).fetchone()
    finally:
        database.close()
    return None if row[0] is None else round((row[0] - pressed_ms) / 1000, 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--terminals", type=int, default=1436)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as folder:
        run(parser.parse_args(), Path(folder), figures)
    results.write("broker_restart", figures)
    return figures["back"] < figures["terminals"]


if __name__ == "__main__":
    sys.exit(main())
