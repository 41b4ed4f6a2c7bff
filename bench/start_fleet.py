"""Switches many devices on, and tells from outside how many are connected."""

from __future__ import annotations

import sqlite3
import sys
import time
from typing import TYPE_CHECKING

from provisioning.virtual import device_folder

if TYPE_CHECKING:
    from pathlib import Path

    from bench.installation import Installation
    from provisioning.fleet import VirtualFleet

# Switched on and not yet connected: as many TLS handshakes at once as two cores do in a second or
# two. All at once, each would take longer than a device waits.
STARTING_MAX = 100
LOOK_S = 0.2
CONNECT_WAIT_S = 900


def online(home: Path) -> int:
    """Return how many devices the registry has as online: their state was stored."""
    connection = sqlite3.connect(home / "registry.sqlite", timeout=30)
    try:
        return connection.execute("SELECT count(*) FROM device_state WHERE online").fetchone()[0]
    finally:
        connection.close()


def connect_all(
    installation: Installation,
    fleet: VirtualFleet,
    names: list[str],
    wait_s: float = CONNECT_WAIT_S,
) -> float:
    """Switch devices on; return the seconds until the registry has them all online.

    Ends the bench when that takes longer than `wait_s`.
    """
    home = installation.home
    before = online(home)
    begun_s = time.monotonic()
    waiting = list(reversed(names))
    started = 0
    while (up := online(home) - before) < len(names):
        while waiting and started - up < STARTING_MAX:
            fleet.start(device_folder(home, waiting.pop()))
            started += 1
        if time.monotonic() - begun_s > wait_s:
            sys.exit(f"{up} of {len(names)} devices are connected after {wait_s:.0f} s")
        time.sleep(LOOK_S)
    return time.monotonic() - begun_s
