"""`python -m bench.wire_socket [--fixes N] [--speed X] [--proxy]`: bytes a fix at the socket.

Real firmware in real MicroPython, mutual TLS, real mosquitto, real gateway. Four terminals: the
walking track of tests/recorded and a generated walk, each in batches of 12 and of 60. Counted are
all IP packets of each terminal's connection, both directions: TCP/IP headers, acknowledgements,
TLS, MQTT, receipts.

A batch of 12 takes a minute, one of 60 five. The devices' clocks run SPEED times as fast
(libfaketime), the network, the broker and the gateway in real time; the gateway's one rule in a
device's time, a receipt after 240 s at the latest, is divided by SPEED (bench/faster_gateway.py),
its other rule, one receipt for 4 batches, is as it is. `--speed 1` takes its time instead.

JSON on the last line and in bench/results/wire_socket.json.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench import results, wire_traffic
from bench.capture import open_capture
from bench.wire_terminal import Terminal, faster, micropython
from bench.wire_tracks import RECORDED, generated_walk, recorded_walk
from provisioning.fleet import VirtualFleet
from storage.settings import Settings
from storage.telemetry.open import open_telemetry
from tests.gateway.installation import GatewayProcess, Installation
from wire_protocol.track import Fix

AIMS = {12: 28, 60: 13}  # Bytes a fix.
RECEIPT_WAIT_S = 240  # gateway/domain/receipts.py
MONTH = (8, 30)  # Hours a shift, shifts.


def there_and_back(fixes: list[Fix], count: int) -> list[Fix]:
    """Return `count` fixes: the way there, back, there again; no jump, no time twice."""
    path = [fix for last, fix in zip([None, *fixes], fixes, strict=False)
            if last is None or fix.at_ms > last.at_ms]  # fmt: skip
    steps = [(b.at_ms - a.at_ms) for a, b in itertools.pairwise(path)]
    found, at_ms, place, forward = [], time.time_ns() // 10**9 * 1000, 0, True
    while len(found) < count:
        fix = path[place]
        course = fix.course_deg if forward else (fix.course_deg + 180) % 360
        found.append(fix._replace(at_ms=at_ms, course_deg=course))
        if place == (len(path) - 1 if forward else 0):
            forward = not forward
        following = place + (1 if forward else -1)
        at_ms += steps[min(place, following)]
        place = following
    return found


def start_gateway(installation: Installation, speed: float) -> GatewayProcess:
    """Start the gateway through bench.faster_gateway."""
    executable = sys.executable
    wrapper = installation.home / "gateway-python"
    # GatewayProcess runs `sys.executable -m gateway`.
    wrapper.write_text(
        f'#!/bin/sh\nshift 2\nexec "{executable}" -m bench.faster_gateway {speed:g} "$@"\n'
    )
    wrapper.chmod(0o700)
    sys.executable = str(wrapper) if speed != 1 else executable
    try:
        return installation.start_gateway().wait_until_connected()
    finally:
        sys.executable = executable


def stored_fixes(installation: Installation, device: str) -> tuple[list[Fix], int]:
    """Return what the store holds of a device, and the bytes of its records."""
    telemetry = open_telemetry(Settings(telemetry_url=installation.telemetry_url))
    try:
        rows = telemetry.track(device, 0, 2**53)
    finally:
        telemetry.close()
    fixes = [Fix(r.at_ms, r.lat_e6, r.lon_e6, r.speed_cms, r.course_deg, r.accuracy_m)
             for r in rows]  # fmt: skip
    return fixes, wire_traffic.record_bytes(installation.home / "telemetry.sqlite", device)


def is_same(fed: Fix | None, stored: Fix) -> bool:
    """Tell whether a stored fix is the one that the receiver said, as far as NMEA carries it."""
    if fed is None:
        return False
    # The wire keeps courses in steps of 2 degrees. 1e-4 knots are less than 1 cm/s.
    return stored == fed._replace(course_deg=(fed.course_deg + 1) // 2 * 2 % 360)


def check(terminal: Terminal, stored: list[Fix]) -> None:
    """End the bench if the store holds anything else than what the receiver said."""
    fed = {fix.at_ms: fix for fix in terminal.fed}
    times = [fix.at_ms for fix in stored]
    if len(set(times)) != len(times) or not all(is_same(fed.get(f.at_ms), f) for f in stored):
        sys.exit(f"{terminal.device}: the store does not hold what its receiver said, once")


def run(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    installation = Installation(home)
    walks = {"walking track": recorded_walk(), "generated walk": generated_walk()}
    cases = [(name, size) for name in walks for size in AIMS]
    names = [f"t-{number:04}" for number in range(1, len(cases) + 1)]
    installation.add_devices(names)
    installation.start_broker()
    capture = open_capture(installation.listeners.devices_port, proxy=options.proxy)
    fleet = VirtualFleet(micropython(), environment=faster(options.speed))
    report: dict[str, dict[str, Any]] = {}
    try:
        start_gateway(installation, options.speed)
        terminals, ports = [], []
        for name, (_, size) in zip(names, cases, strict=True):
            terminal = Terminal(home, installation.authority, name, capture.port, size)
            terminal.start(fleet)
            port = next(port for port in capture.flows if port not in ports)
            terminals.append(terminal)
            ports.append(port)
        time.sleep(2 + 10 / options.speed)  # The first state, the duty event and their receipts.
        begun_s = time.monotonic()
        threads = []
        for terminal, (walk, size) in zip(terminals, cases, strict=True):
            fixes = there_and_back(walks[walk], options.fixes // size * size)
            thread = threading.Thread(target=terminal.walk, args=(fixes, options.speed))
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()
        ended_s = time.monotonic()
        time.sleep(2 + 1.2 * RECEIPT_WAIT_S / options.speed)
        if len(capture.flows) != len(cases):
            sys.exit(f"{len(capture.flows)} connections of {len(cases)} terminals: one broke")
        for terminal, port, (walk, size) in zip(terminals, ports, cases, strict=True):
            stored, record_bytes = stored_fixes(installation, terminal.device)
            check(terminal, stored)
            traffic = wire_traffic.sort_out(capture.flows[port].pieces, begun_s, ended_s)
            report[f"{walk}, {size}"] = wire_traffic.figures(
                traffic, len(stored), record_bytes, options.speed, MONTH
            ) | {"fed": len(terminal.fed), "batch": size}
        if lost := capture.lost():
            sys.exit(f"the capture missed {lost} packets")
    finally:
        fleet.stop()
        capture.stop()
        installation.stop()
    return {"how": capture.how, "raw": capture.raw, "speed": options.speed, "cases": report}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fixes", type=int, default=1200, help="of each terminal")
    parser.add_argument("--speed", type=float, default=20)
    parser.add_argument("--proxy", action="store_true", help="as where raw sockets are forbidden")
    options = parser.parse_args()
    if not RECORDED.exists():
        sys.exit(f"the walking track is missing: {RECORDED}")
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as folder:
        result = run(options, Path(folder))
    wire_traffic.show(result)
    aims = {
        f"{name}.bytes_a_fix": results.judged(case["bytes_a_fix"], at_most=AIMS[case["batch"]])
        for name, case in result["cases"].items()
    }
    results.write("wire_socket", result | {"aims": aims})
    return 0


if __name__ == "__main__":
    sys.exit(main())
