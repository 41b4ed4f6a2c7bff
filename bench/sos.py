"""`python -m bench.sos [--terminals N] [--presses N]`: from the press to the message in a browser.

Real terminals (firmware in MicroPython, mutual TLS), broker, gateway, API. The press is taken when
this program sends it to the terminal's control socket; its hold time is set to 0, because how long
a wearer must hold the button is a choice, not a delay. The end is the first WebSocket message that
shows the case. Then an operator takes and closes it, and the next terminal presses.

Before each press one message of the same size goes through the same broker (TLS, QoS 1): the raw
round trip. Three situations: `idle`, only the terminals that press; `connected`, with N terminals
walking and sending (their receivers speak every five seconds, bench/installation.py);
`telemetry_away`, with those, and the telemetry store locked against writing.

JSON on the last line and in bench/results/sos.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import results
from bench.broker_echo import BrokerEcho, BusTap
from bench.installation import (
    QUIET_RECEIVER_S,
    Installation,
    micropython,
    wait_for,
    walkers,
)
from bench.live_view import LiveView
from bench.start_fleet import Ended, connect_all, online
from provisioning.control import Control
from provisioning.fleet import VirtualFleet
from provisioning.virtual import device_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

PRESSING = 8  # Terminals that press in turn.
AIM_P99_MS = 100
SITUATIONS = ("idle", "connected", "telemetry_away")
MESSAGE_BYTES = 330  # An SOS with a fix as MQTT carries it, measured.
SHOW_WAIT_S = 30
LEGS = ("press_to_sealed", "sealed_to_gateway", "gateway_to_bus", "bus_to_browser")


class Eyes(NamedTuple):
    """What looks on from outside."""

    view: LiveView
    echo: BrokerEcho
    tap: BusTap


def press(home: Path, name: str, view: LiveView) -> tuple[float, dict[str, Any]]:
    """Press, release, wait for the case; return seconds and the case."""
    control = Control(device_folder(home, name))
    begun_s = time.time()
    control.press("sos")
    while True:
        try:
            shown = view.new_cases.get(timeout=SHOW_WAIT_S)
        except queue.Empty:
            sys.exit(f"{name}: no case in the live view within {SHOW_WAIT_S} s after its press")
        if shown.case["device"] == name:
            break
    control.release("sos")
    return shown.at_s - begun_s, shown.case | {"begun_s": begun_s, "shown_s": shown.at_s}


def end_case(installation: Installation, case: dict[str, Any]) -> None:
    """Take and close it, and wait until its terminal knows."""
    path = f"/cases/{case['id']}"
    installation.call("POST", f"{path}/take", {})
    installation.call("POST", f"{path}/close", {"reason": "bench"})
    folder = device_folder(installation.home, case["device"])
    Control(folder).wait(lambda shown: not any("SOS" in line for line in shown["screen"]), 30)


def sealed_s(home: Path, case: dict[str, Any]) -> float | None:
    """When the terminal had the press in its journal, as its witness says."""
    path = device_folder(home, case["device"]) / "witness.jsonl"
    for line in path.read_text().splitlines():
        at_ms, what, *rest = json.loads(line)
        if what == "sealed" and rest[:3] == ["event", case["epoch"], case["incident"]]:
            return at_ms / 1000
    return None


def measure(
    installation: Installation, names: list[str], eyes: Eyes, presses: int
) -> dict[str, Any]:
    """Press `presses` times; return the situation's figures."""
    home = installation.home
    times: list[float] = []
    trips: list[float] = []
    legs: dict[str, list[float]] = {leg: [] for leg in LEGS}
    for number in range(presses):
        trips.append(eyes.echo.round_trip_s(MESSAGE_BYTES))
        seconds, case = press(home, names[number % len(names)], eyes.view)
        times.append(seconds)
        sealed, told_s = sealed_s(home, case), eyes.tap.told_s.get(case["id"])
        if sealed is not None and told_s is not None:
            received_s = case["opened_received_ms"] / 1000
            points = (case["begun_s"], sealed, received_s, told_s, case["shown_s"])
            for leg, first, then in zip(LEGS, points, points[1:], strict=False):
                legs[leg].append(then - first)
        end_case(installation, case)
    figures = {
        "p50_ms": _ms(times, 0.5), "p99_ms": _ms(times, 0.99), "max_ms": _ms(times, 1),
        "broker_p50_ms": _ms(trips, 0.5), "broker_p99_ms": _ms(trips, 0.99), "presses": presses,
    }  # fmt: skip
    figures["times_the_broker_p50"] = round(figures["p50_ms"] / figures["broker_p50_ms"], 1)
    # The terminal's and the gateway's clocks tell whole milliseconds.
    figures["legs_p50_ms"] = {leg: _ms(legs[leg], 0.5) for leg in LEGS if legs[leg]}
    figures["legs_p99_ms"] = {leg: _ms(legs[leg], 0.99) for leg in LEGS if legs[leg]}
    return figures


def _ms(seconds: list[float], share: float) -> float:
    return round(results.percentile(seconds, share) * 1000, 2)


@contextlib.contextmanager
def telemetry_away(installation: Installation) -> Iterator[None]:
    """Hold the telemetry file's write lock: to who writes it is as good as away."""
    lock = sqlite3.connect(installation.home / "telemetry.sqlite", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        wait_for("the gateway says that its store is away", installation.store_is_away, 180, 0.5)
        yield
        wait_for("the telemetry store is still away", installation.store_is_away, 60, 0.5)
    finally:
        lock.execute("ROLLBACK")
        lock.close()


def run(options: argparse.Namespace, home: Path, figures: dict[str, Any]) -> None:
    names = [f"t-{number:05}" for number in range(max(options.terminals, PRESSING))]
    installation = Installation(home)
    with contextlib.ExitStack() as stack:
        stack.callback(installation.stop)
        # Before the fleet, which takes all open files for itself and whom it starts.
        installation.start()
        fleet = stack.enter_context(VirtualFleet(micropython(), options=("-X", "heapsize=512k")))
        walking = walkers(len(names), witness=("sealed",), period_s=QUIET_RECEIVER_S)
        installation.flash(names, walking, sos_hold_ms=0)
        pressing = names[:PRESSING]
        connect_all(installation, fleet, pressing)
        eyes = Eyes(
            LiveView(installation),
            BrokerEcho(home, installation.devices_port, installation.services_port),
            BusTap(home, installation.services_port),
        )
        measure(installation, pressing, eyes, 2 * PRESSING)  # Warm: imports, caches, files.
        _situation(figures, "idle", measure(installation, pressing, eyes, options.presses))
        connected_s = connect_all(installation, fleet, names[PRESSING:])
        print(f"{online(home)} terminals connected after {connected_s:.0f} s", flush=True)
        time.sleep(options.settle_s)
        found = measure(installation, pressing, eyes, options.presses)
        _situation(figures, "connected", found | {"terminals": online(home)})
        with telemetry_away(installation):
            found = measure(installation, pressing, eyes, options.presses)
        _situation(figures, "telemetry_away", found | {"terminals": online(home)})
        figures["cases"] = len(eyes.view.seen)
        for eye in eyes:
            eye.close()


def _situation(figures: dict[str, Any], name: str, found: dict[str, Any]) -> None:
    figures[name] = found
    print(name, json.dumps(found), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--terminals", type=int, default=1436)
    parser.add_argument("--presses", type=int, default=300, help="in each situation")
    parser.add_argument("--settle-s", type=float, default=60, help="after all are connected")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as folder:
        try:
            run(options, Path(folder), figures)
        except Ended as error:
            sys.exit(str(error))
    aims = {
        f"{situation}.p99_ms": results.judged(figures[situation]["p99_ms"], at_most=AIM_P99_MS)
        for situation in SITUATIONS
    }
    results.write("sos", figures | {"aims": aims})
    return 0


if __name__ == "__main__":
    sys.exit(main())
