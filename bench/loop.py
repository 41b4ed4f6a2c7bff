"""`python -m bench.loop`: the longest turn of the firmware's loop, and what a fix allocates.

The image's own application in 32-bit MicroPython with the chip's heap, a real mosquitto with
mutual TLS, a gateway that sends receipts. A turn is what a task does between two waits of the
loop; no other task runs meanwhile, no button is seen, no byte of the receiver is taken. The
longest one while connecting, walking, and with an SOS open, in CPU and as a ratio to a reference
measured in the same run: the parser taking one epoch of a receiver (RMC and GGA).

What a fix allocates is counted with the collector off, walking and with an SOS open: all that the
terminal allocates in some minutes (taking the bytes, parsing, recording, sealing into the journal,
sending, receipts, screen), divided by the fixes that its receiver told meanwhile; and the parser's
part of it, for one epoch. JSON on the last line and in bench/results/loop.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench.heap_day import DEVICE, FAST_CHIP, LOOK_S, Day, flash, walking
from bench.results import write
from hil_tests.small_chip import SmallChip, small_chip
from provisioning.fleet import VirtualFleet
from tests.device.device_rig import Broker, Keys
from tests.device.gateway_sim import Gateway

ROOT = Path(__file__).resolve().parents[1]
SPEED = 100
MINUTES = 5
WAIT_S = 300.0
ROOMY = ("-X", "heapsize=4m")  # So that the collector is not missed.
EPOCHS = 500
REFERENCE = """
import gc, time
from device.domain.nmea import NmeaParser
data = (b"$GNRMC,101112.00,A,3012.3456,N,12012.3456,E,2.5000,45.0,271126,,,A*79\\r\\n"
        b"$GNGGA,101112.00,3012.3456,N,12012.3456,E,1,09,1.0,12.0,M,8.0,M,,*7E\\r\\n")
def with_sums(data):
    lines = []
    for line in data.split(b"\\r\\n")[:-1]:
        check = 0
        for byte in line[1:-3]:
            check ^= byte
        lines.append(line[:-2] + b"%02X\\r\\n" % check)
    return b"".join(lines)
epochs = [with_sums(data.replace(b"101112", b"10%02d%02d" % (n // 60 % 60, n % 60)))
          for n in range(EPOCHS)]
parser, fixes = NmeaParser(), 0
gc.collect()
gc.disable()
begun_us, begun = time.ticks_us(), gc.mem_alloc()
for epoch in epochs:
    for _ in parser.feed(epoch, len(epoch)):
        fixes += 1
allocated, taken_us = gc.mem_alloc() - begun, time.ticks_diff(time.ticks_us(), begun_us)
print(taken_us // EPOCHS, allocated // EPOCHS, fixes)
"""


def reference(program: str, folder: Path) -> dict[str, int]:
    """Return what the parser takes for one epoch: microseconds, bytes."""
    script = folder / "reference.py"
    script.write_text(f"EPOCHS = {EPOCHS}\n{REFERENCE}")
    found = []
    for _ in range(5):
        done = subprocess.run(
            [program, "-X", "heapsize=16m", str(script)],
            env={**os.environ, "MICROPYPATH": f"{ROOT / 'firmware'}:{ROOT}:.frozen"},
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        found.append([int(word) for word in done.stdout.split()])
    microseconds, allocated, fixes = min(found)
    assert fixes >= EPOCHS - 1, f"{fixes} fixes of {EPOCHS} epochs"
    return {"epoch_us": microseconds, "epoch_bytes": allocated}


class Running:
    """One terminal that runs, and the turns of its loop."""

    def __init__(self, folder: Path, chip: SmallChip, **environment: str) -> None:
        (folder / "keys").mkdir(parents=True)
        keys = Keys(folder / "keys")
        self._broker = Broker(keys, folder)
        self._broker.start()
        self.gateway = Gateway(self._broker.plain_port)
        device = flash(folder, keys, self._broker.port)
        self._console = device / "console.log"
        self._fleet = VirtualFleet(
            chip.program, options=chip.options, launcher=chip.launcher, environment=environment
        )
        self._fleet.start(device)
        self.day = Day(device, self.gateway)
        self.gateway.wait_state(lambda state: state["online"], "online")

    def close(self) -> None:
        self._fleet.stop()
        self.gateway.close()
        self._broker.kill()

    def said(self, word: str) -> list[list[int]]:
        """Return the lines of the chip that begin with a word."""
        lines = [line.split() for line in self._console.read_text(errors="replace").splitlines()]
        return [[int(each) for each in line[1:]] for line in lines if line[:1] == [word]]

    def pass_minutes(self, word: str, count: int) -> list[list[int]]:
        """Wait for so many more lines; return them."""
        before = len(self.said(word))
        until_s = time.monotonic() + WAIT_S
        while len(found := self.said(word)[before:]) < count:
            if time.monotonic() > until_s:
                sys.exit(f"{len(found)} minutes of {count} in {WAIT_S:.0f} s")
            time.sleep(LOOK_S)
        return found


Rows = dict[str, list[list[int]]]


def situations(folder: Path, chip: SmallChip, word: str, **environment: str) -> Rows:
    """Let a terminal connect, walk and raise an SOS; return what its chip said in each."""
    running = Running(folder, chip, XUNHU_SPEED=str(SPEED), **environment)
    try:
        connecting = running.pass_minutes(word, 1) and running.said(word)
        running.day.duty()
        running.pass_minutes(word, 1)
        walk = running.pass_minutes(word, MINUTES)
        running.day.sos()
        running.day.sos_stored()
        running.pass_minutes(word, 1)
        sos = running.pass_minutes(word, 2)
    finally:
        running.close()
    return {"connecting": connecting, "walking": walk, "sos": sos}


def turns(folder: Path, chip: SmallChip) -> dict[str, int]:
    """Return the longest turn of the loop in each situation, in microseconds."""
    found = situations(folder, chip, "heap")
    return {name: max(row[2] for row in rows) for name, rows in found.items()}


def allocations(folder: Path, chip: SmallChip) -> dict[str, int]:
    """Return the bytes that a fix allocates on its whole way, in each situation that has fixes."""
    found = situations(folder, replace(chip, options=ROOMY), "bytes", XUNHU_COUNT="1")
    del found["connecting"]
    return {
        name: sum(row[1] for row in rows) // sum(row[2] for row in rows)
        for name, rows in found.items()
    }


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as name:
        folder = Path(name)
        chip = walking(small_chip(folder, launcher=FAST_CHIP), folder)
        epoch = reference(chip.program, folder)
        longest = turns(folder / "turns", chip)
        allocated = allocations(folder / "allocations", chip)
    ratios = {name: round(us / epoch["epoch_us"], 1) for name, us in longest.items()}
    result = {
        "longest_turn_us": longest,
        "longest_turn_epochs": ratios,
        "fix_bytes": allocated,
        **epoch,
    }
    print(json.dumps(result, indent=1))
    write("loop", {"device": DEVICE} | result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
