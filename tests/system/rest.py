"""Brings a running installation to rest, so that witnesses and stores can be compared."""

import signal
import time
from collections.abc import Collection

from tests.system.accounts import accounts
from tests.system.installation import Installation, wait_for


def quiet(installation: Installation) -> bool:
    """Every sealed record of every device is stored."""
    return all(account.missing() == [] for account in accounts(installation.home).values())


def come_to_rest(installation: Installation) -> None:
    """Close what is open, take everybody off duty and wait until the journals are empty."""
    installation.close_cases()
    terminals = installation.terminals()
    for device in terminals:
        control = installation.control(device)
        control.wait(lambda shown: not any("SOS" in line for line in shown["screen"]), 60)
        control.push("duty")
    # What a killed gateway had taken is sent again ten minutes later, or at the next connection.
    for row in installation.items("/devices"):
        installation.control(row["id"]).link(up=False)
        installation.control(row["id"]).link(up=True)
    wait_for("every sealed record is stored", lambda: quiet(installation), 180)
    # Sensor nodes go on measuring: stop them, so that the witness and the store can be compared.
    installation.kill("virtual-devices", signal.SIGTERM)
    wait_for("what the sensor nodes sealed last", lambda: quiet(installation), 60)


def everybody_is_heard(installation: Installation, but: Collection[str] = ()) -> None:
    """Wait until a further fix of every terminal is shown."""
    devices = set(installation.terminals()).difference(but)
    installation.watch(sorted(devices))  # Else fixes come by the dozen.
    since_ms = now_ms()
    for device in devices:

        def heard(device: str = device) -> bool:
            row = installation.call("GET", f"/devices/{device}")["position"]
            return row is not None and row["received_ms"] >= since_ms

        # Who stands still makes a fix a minute.
        wait_for(f"{device} is heard", heard, 90)


def now_ms() -> int:
    """The time as everybody but a device with a bad clock has it."""
    return time.time_ns() // 1_000_000
