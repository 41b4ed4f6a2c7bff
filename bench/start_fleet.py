"""Switches many devices on, tells from outside how many are connected, and where that ends."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from typing import TYPE_CHECKING

from bench.machine import open_files, shortage
from provisioning.errors import ProvisioningError
from provisioning.virtual import device_folder

if TYPE_CHECKING:
    from pathlib import Path

    from bench.installation import Installation
    from provisioning.fleet import VirtualFleet

# Switched on and not yet connected: as many TLS handshakes at once as two cores do in a second or
# two. All at once, each would take longer than a device waits.
STARTING_MAX = 100
LOOK_S = 0.2
STALLED_S = 120  # No further device came for so long: this is where it ends.
CONNECT_S_MAX = 1_500  # 14,360 devices at 30 a second take 480.
LOOKED_AT_MAX = 500


class Ended(Exception):
    """This machine carries no more; the message says why, and how many it carried."""


def online(home: Path) -> int:
    """Return how many devices the registry has as online: their state was stored."""
    return len(online_names(home))


def online_names(home: Path) -> set[str]:
    """Return the devices that the registry has as online."""
    connection = sqlite3.connect(home / "registry.sqlite", timeout=30)
    try:
        rows = connection.execute("SELECT device FROM device_state WHERE online").fetchall()
    finally:
        connection.close()
    return {device for (device,) in rows}


def connect_all(installation: Installation, fleet: VirtualFleet, names: list[str]) -> float:
    """Switch devices on; return the seconds until the registry has them all online.

    Raises:
        Ended: Memory, processes or files ran out, or no further device came.
    """
    home = installation.home
    before = most = online(home)
    begun_s = moved_s = time.monotonic()
    waiting = list(reversed(names))
    started = 0
    while (up := online(home)) - before < len(names):
        now_s = time.monotonic()
        if up > most:
            most, moved_s = up, now_s
        if now_s - moved_s > STALLED_S:
            raise Ended(f"{up} are online and none came in {STALLED_S} s: {_why(home, fleet)}")
        if now_s - begun_s > CONNECT_S_MAX:
            raise Ended(f"{up} are online after {CONNECT_S_MAX} s: {_why(home, fleet)}")
        if short := shortage(home):
            raise Ended(f"{short} with {up} online")
        if full := _broker_is_full(installation):
            raise Ended(f"{full} with {up} online")
        while waiting and started + before - up < STARTING_MAX:
            try:
                fleet.start(device_folder(home, waiting.pop()))
            except (ProvisioningError, OSError) as error:
                raise Ended(f"{error}; {up} are online") from error
            started += 1
        time.sleep(LOOK_S)
    return time.monotonic() - begun_s


def _broker_is_full(installation: Installation) -> str | None:
    try:
        used, most = open_files(installation.pid("broker"))
    except OSError:
        return None  # It is just being started again.
    return f"the broker has {used} of {most} files open" if used >= most - 1 else None


def _why(home: Path, fleet: VirtualFleet) -> str:
    """Say what those that are not online are doing: the last lines of their consoles, counted."""
    there = online_names(home)
    said: Counter[str] = Counter()
    for log in sorted((home / "devices").glob("*/console.log")):
        name = log.parent.name
        if name in there or said.total() == LOOKED_AT_MAX:
            continue
        lines = log.read_text(errors="replace").splitlines() or ["nothing said"]
        said[f"{'on' if fleet.running(name) else 'off'}, {lines[-1][:80]}"] += 1
    return "; ".join(f"{count} {what}" for what, count in said.most_common(3)) or "none is left"
