"""One virtual terminal whose receiver says given fixes and whose clock may run faster.

The process is real MicroPython with the real firmware; a faster clock is libfaketime's, so that
every timer of the device (batches, pings, states, resends) keeps its proportion to the others.
"""

from __future__ import annotations

import datetime
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.configuration import DeviceConfig
from provisioning.control import Control
from provisioning.virtual import Feed, Rig, device_folder, make_virtual_device

if TYPE_CHECKING:
    from provisioning.authority import Authority
    from provisioning.fleet import VirtualFleet
    from wire_protocol.track import Fix

ROOT = Path(__file__).resolve().parents[1]
# The recorder takes a fix every 5 s while its wearer moves; a little more, so that none is early.
PACE_S = 5.2
_HDOP_A_METRE = 0.2  # nmea.py: accuracy = HDOP x 5 m.


@dataclass(frozen=True)
class BatchConfig(DeviceConfig):
    """Settings with a batch of another size; it is sealed when it is full, not by time."""

    batch_fixes: int = 12

    def as_bytes(self) -> bytes:
        content = json.loads(super().as_bytes())
        content |= {"batch_fixes": self.batch_fixes, "batch_s": 600}
        return json.dumps(content, separators=(",", ":")).encode()


def sentences(fix: Fix) -> bytes:
    """Return RMC and GGA of one epoch, exact to 1e-6 degree."""
    at = datetime.datetime.fromtimestamp(fix.at_ms / 1000, datetime.UTC)
    clock = f"{at:%H%M%S}.{fix.at_ms % 1000:03d}"
    where = f"{_angle(fix.lat_e6, 2)},{'S' if fix.lat_e6 < 0 else 'N'},"
    where += f"{_angle(fix.lon_e6, 3)},{'W' if fix.lon_e6 < 0 else 'E'}"
    knots = (fix.speed_cms or 0) * 3600 / 185_200
    hdop = (fix.accuracy_m or 1) * _HDOP_A_METRE
    return _sentence(
        f"GNRMC,{clock},A,{where},{knots:.4f},{fix.course_deg:.1f},{at:%d%m%y},,,A"
    ) + _sentence(f"GNGGA,{clock},{where},1,11,{hdop:.2f},520.0,M,8.0,M,,")


def _angle(value_e6: int, digits: int) -> str:
    degrees, rest = divmod(abs(value_e6), 1_000_000)
    minutes_e5 = rest * 6
    return f"{degrees:0{digits}d}{minutes_e5 // 100_000:02d}.{minutes_e5 % 100_000:05d}"


def _sentence(body: str) -> bytes:
    checksum = 0
    for byte in body.encode():
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode()


def faster(speed: float) -> dict[str, str]:
    """Return the environment in which a program's clock runs `speed` times as fast."""
    if speed == 1:
        return {}
    places = [ROOT / ".tools" / "faketime", Path("/usr/lib")]
    found = [path for place in places for path in sorted(place.rglob("libfaketime.so.1"))]
    if not found:
        sys.exit("missing: libfaketime (run: make setup), or use --speed 1")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": f"+0s x{speed:g}"}


def micropython(name: str = "micropython-1.25") -> str:
    """Return Debian's MicroPython 1.25: 0.3 MB a process."""
    program = ROOT / ".tools" / "bin" / name
    if not program.exists():
        sys.exit(f"missing: {name} (run: make setup)")
    return str(program)


class Terminal:
    """One terminal: flashed, started, fed, stopped."""

    def __init__(
        self, home: Path, authority: Authority, device: str, port: int, batch_fixes: int
    ) -> None:
        self.device = device
        self.batch_fixes = batch_fixes
        self.folder = device_folder(home, device)
        make_virtual_device(
            self.folder, identity=authority.issue_device(device), ca_der=authority.devices_ca_der,
            config=BatchConfig("127.0.0.1", port, "localhost", duty=True, batch_fixes=batch_fixes),
            rig=Rig(receiver=Feed()),
        )  # fmt: skip
        self.control = Control(self.folder)
        self.fed: list[Fix] = []

    def start(self, fleet: VirtualFleet) -> None:
        """Switch it on and return when it has its connection and has told its state."""
        fleet.start(self.folder)
        self.control.wait(lambda shown: any("online" in line for line in shown["screen"]), 60)

    def walk(self, fixes: list[Fix], speed: float) -> None:
        """Let the receiver say these fixes, one every PACE_S of the device's time."""
        for fix in fixes:
            begun_s = time.monotonic()
            self.control.feed(sentences(fix))
            self.fed.append(fix)
            time.sleep(max(0.0, begun_s + PACE_S / speed - time.monotonic()))
