"""`python -m bench.broker_restart [--terminals N]`: how a district comes back.

All terminals are connected, walking, and have been for a while (a connection counts as one that
lived after 30 s; their receivers speak every five seconds, bench/installation.py); then the broker
is killed, and `xunhu up` starts it again. Measured: the time from the kill until each terminal has
a new connection (its state says which); how many connections the broker accepted in the busiest
second, wherever that begins, by TCP and by CONNACK, as its packets tell (a raw socket: Linux,
CAP_NET_RAW); and an SOS pressed while the broker is away. Aim: all back within 60 s, at most 100 a
second.

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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import machine, results
from bench.arrivals import arrivals, most_within
from bench.capture import PacketCapture
from bench.installation import QUIET_RECEIVER_S, Installation, micropython, walkers
from bench.start_fleet import connect_all
from provisioning.control import Control
from provisioning.fleet import VirtualFleet
from provisioning.virtual import device_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        walking = walkers(len(names), witness=("sealed",), period_s=QUIET_RECEIVER_S)
        installation.flash(names, walking, sos_hold_ms=0)
        figures["connected_s"] = round(connect_all(installation, fleet, names), 1)
        time.sleep(LIVED_S)
        before = connections(home)
        capture = stack.enter_context(captured(installation.devices_port))
        killed_ms = time.time_ns() // 1_000_000
        os.kill(installation.pid("broker"), signal.SIGKILL)
        Control(device_folder(home, names[0])).press("sos")
        came = come_back(home, before)
        figures |= account(came, killed_ms, len(before)) | accepted(capture)
        figures["sos_stored_s"] = sos_stored_s(home, names[0], killed_ms)


def account(came: dict[str, int], killed_ms: int, terminals: int) -> dict[str, Any]:
    """Return how they came: the gateway's own clock dates each first state."""
    waits_s = sorted((at_ms - killed_ms) / 1000 for at_ms in came.values())
    return {
        "terminals": terminals, "back": len(came),
        "first_back_s": round(waits_s[0], 1), "all_back_s": round(waits_s[-1], 1),
        "half_back_s": round(waits_s[len(waits_s) // 2], 1),
    }  # fmt: skip


@contextlib.contextmanager
def captured(port: int) -> Iterator[PacketCapture | None]:
    """Listen to the packets of a port; None where this user may not."""
    try:
        capture = PacketCapture(port)
    except PermissionError:
        print("raw sockets are not permitted here: connections cannot be counted", flush=True)
        yield None
        return
    try:
        yield capture
    finally:
        capture.stop()


def accepted(capture: PacketCapture | None) -> dict[str, Any]:
    """Return how many connections the broker accepted, and how many in its busiest second."""
    if capture is None:
        return {"most_in_a_second": None, "most_tcp_in_a_second": None}
    # A copy: the capture goes on.
    found = arrivals(list(capture.flows.values()))
    return {
        "most_in_a_second": most_within(found.connack_s),
        "most_tcp_in_a_second": most_within(found.tcp_s),
        "accepted": len(found.connack_s), "accepted_tcp": len(found.tcp_s),
        "packets_missed": capture.lost(),
    }  # fmt: skip


def aims(figures: dict[str, Any]) -> dict[str, Any]:
    """Judge the figures."""
    back_s = figures["all_back_s"] if figures["back"] == figures["terminals"] else None
    return {
        "all_back_s": results.judged(back_s, at_most=AIM_BACK_S),
        "most_in_a_second": results.judged(figures["most_in_a_second"], at_most=AIM_A_SECOND),
        "most_tcp_in_a_second": results.judged(
            figures["most_tcp_in_a_second"], at_most=AIM_A_SECOND
        ),
    }


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
    results.write("broker_restart", figures | {"aims": aims(figures)})
    return figures["back"] < figures["terminals"]


if __name__ == "__main__":
    sys.exit(main())
