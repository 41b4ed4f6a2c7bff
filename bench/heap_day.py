"""`python -m bench.heap_day [--hours H] [--speed S]`: the heap of a terminal over a whole day.

The image's own application in 32-bit MicroPython with the chip's heap (hil_tests/small_chip.py),
a real mosquitto with mutual TLS, a gateway that stores and sends receipts. What the terminal waits
for is over S times as soon (bench/fast_chip.py); what it works takes as long as ever. In this day:
settings are changed, an hour passes off duty, then come eight hours on duty, walking, with
messages, positions asked for, a lease, an SOS taken and closed, one cancelled, one without a
network, hours in which the link is away or receipts are late, so that the journal grows; then an
hour of rest, all of that once more, and the night.

Once a simulated minute: the heap that is free after a collection. Told are its low-water mark, in
which minute and during what; the longest turn of the loop; and whether the heap drifts, as the
median of the hour of rest beside that of the last hour. Not of the first: what is loaded for the
first time leaves its names behind, for good, and once. JSON on the last line and in
bench/results/heap_day.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.firmware import free_heap
from bench.results import judged, write
from hil_tests.small_chip import FREE_BYTES_MIN, SmallChip, small_chip
from provisioning.authority import DeviceIdentity
from provisioning.configuration import DeviceConfig
from provisioning.control import Control, ControlError
from provisioning.fleet import VirtualFleet
from provisioning.virtual import Feed, Rig, Walk, device_folder, make_virtual_device
from tests.device.device_rig import BROKER_NAME, Broker, Keys
from tests.device.gateway_sim import Gateway
from wire_protocol import messages

if TYPE_CHECKING:
    from collections.abc import Callable

FAST_CHIP = Path(__file__).with_name("fast_chip.py")
DEVICE = "t-0001"
WALK = Walk(1, 30_274_085, 120_155_070)
OPERATOR = "Wang Fang"
HOUR = 60
LOOK_S = 0.05
WAIT_S = 120.0
STALLED_S = 180.0
DRIFT_BYTES_MAX = 256  # A name that is kept for ever takes some; a leak takes that in an hour.


class Minute(NamedTuple):
    """What the chip said of one simulated minute; `during` is what was done last."""

    number: int
    free: int
    longest_us: int
    during: str


class Day:
    """The terminal, and everything that is done to it; each step is a method."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        self.control = Control(folder)
        self.gateway = gateway
        self._console = folder / "console.log"
        self._read = 0
        self._commands = 0
        self.during = "start"
        self.minutes: list[Minute] = []

    def look(self) -> int:
        """Take in what the chip has said; return the minute that it is."""
        with self._console.open("rb") as file:
            file.seek(self._read)
            data = file.read().rpartition(b"\n")[0]
        self._read += len(data) + 1 if data else 0
        for line in data.decode(errors="replace").splitlines():
            words = line.split()
            if words[:1] == ["heap"]:
                self.minutes.append(Minute(*map(int, words[1:]), self.during))
        return self.minutes[-1].number if self.minutes else 0

    def wait(self, text: str, *, there: bool = True) -> None:
        """Wait until the wearer reads a text, or does not any more."""
        self.control.wait(lambda shown: any(text in line for line in shown["screen"]) is there,
                          WAIT_S)  # fmt: skip

    def command(self, kind: str, body: dict[str, Any], last: str = "done") -> None:
        """Give a command and wait until it is answered."""
        self._commands += 1
        command = f"{self._commands:016x}"
        issued_ms = time.time_ns() // 1_000_000
        payload = messages.make_command(command, kind, body, 600_000, issued_ms)
        self.gateway.send(DEVICE, "command", payload)
        if kind == "message":
            self.wait(body["text"])
            # A press is enough; whoever lets go a moment later has held it for long here.
            self.control.push("ok")
        self.gateway.wait_result(command, last)

    def configure(self) -> None:
        self.command("configure", {"settings": {"state_s": 300}})
        # It started anew with them: so does the day.
        self.look()
        self.minutes.clear()

    def duty(self) -> None:
        self.control.push("duty")

    def message(self) -> None:
        self.command("message", {"text": "Come to the bridge, somebody waits"})

    def read(self) -> None:
        self.command("message", {"text": "Rain is coming"})

    def orders(self) -> None:
        for kind, body in (("locate", {}), ("ring", {"for_s": 5}), ("self_test", {}),
                           ("read_log", {"first": 0})):  # fmt: skip
            self.command(kind, body)

    def watch(self) -> None:
        self.gateway.send(DEVICE, "watch", messages.make_watch(300))

    def sos(self) -> None:
        self.control.press("sos")
        self.wait("SOS")
        self.control.release("sos")

    def sos_stored(self) -> None:
        self.wait("SOS STORED")

    def say(self, status: str) -> None:
        """The command room does something about the newest SOS."""
        event = self.gateway.events("sos")[-1]
        at_ms = time.time_ns() // 1_000_000
        payload = messages.make_sos_status(
            event["epoch"], event["incident"], status, OPERATOR, at_ms
        )
        self.gateway.send(DEVICE, "sos_status", payload)

    def taken(self) -> None:
        self.say("taken")
        self.wait("SOS TAKEN")

    def coming(self) -> None:
        self.say("help")

    def closed(self) -> None:
        self.say("closed")
        self.wait("SOS", there=False)

    def cancelled(self) -> None:
        self.control.press("sos")
        self.control.press("ok")
        self.wait("SOS", there=False)
        self.control.release("ok")
        self.control.release("sos")

    def link_away(self) -> None:
        self.control.link(up=False)

    def link_back(self) -> None:
        self.control.link(up=True)

    def receipts_late(self) -> None:
        self.gateway.receipting = False

    def receipts_again(self) -> None:
        self.gateway.receipting = True


# Minute of a shift -> what is done.
SHIFT: tuple[tuple[int, Callable[[Day], None]], ...] = (
    (0, Day.duty), (15, Day.message), (30, Day.orders), (50, Day.watch),
    (70, Day.link_away), (90, Day.link_back),
    (120, Day.sos), (121, Day.sos_stored), (124, Day.taken), (127, Day.coming), (140, Day.closed),
    (155, Day.read), (165, Day.receipts_late), (225, Day.receipts_again),
    (240, Day.sos), (245, Day.cancelled), (260, Day.message),
    (280, Day.link_away), (290, Day.sos), (325, Day.link_back), (330, Day.sos_stored),
    (335, Day.closed), (350, Day.orders),
    (370, Day.receipts_late), (380, Day.link_away), (440, Day.link_back),
    (450, Day.receipts_again), (470, Day.watch), (480, Day.duty),
)  # fmt: skip
BEGINS = 60, 660  # Off duty before the first, between the two and behind the second.
REST = 600, 660
STEPS = [(begin + minute, step) for begin in BEGINS for minute, step in SHIFT]


def live(day: Day, minutes: int) -> None:
    """Let a day pass."""
    due = [step for step in STEPS if step[0] < minutes]
    moved_s, last, said_s = time.monotonic(), 0, time.monotonic()
    while (now := day.look()) < minutes:
        if now != last:
            last, moved_s = now, time.monotonic()
        if time.monotonic() > moved_s + STALLED_S:
            raise SystemExit(f"no minute in {STALLED_S:.0f} s after minute {now}: {day.during}")
        while due and due[0][0] <= now:
            _, step = due.pop(0)
            day.during = step.__name__
            try:
                step(day)
            except (ControlError, AssertionError) as error:
                raise SystemExit(f"minute {now}, {step.__name__}: {error}") from error
        if time.monotonic() > said_s + 30:
            said_s = time.monotonic()
            print(f"minute {now}", flush=True)
        time.sleep(LOOK_S)


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    chip = walking(small_chip(folder, launcher=FAST_CHIP), folder)
    (folder / "keys").mkdir()
    keys = Keys(folder / "keys")
    broker = Broker(keys, folder)
    broker.start()
    gateway = Gateway(broker.plain_port)
    device = flash(folder, keys, broker.port)
    begun_s = time.monotonic()
    try:
        with fleet_of(chip, options.speed) as fleet:
            fleet.start(device)
            day = Day(device, gateway)
            gateway.wait_state(lambda state: state["online"], "online")
            day.configure()
            live(day, options.hours * HOUR)
    finally:
        gateway.close()
        broker.kill()
    return judge(day.minutes, gateway) | {"lasted_s": round(time.monotonic() - begun_s)}


def walking(chip: SmallChip, folder: Path) -> SmallChip:
    """Return a chip that has room for what plays the receiver besides, which is none of it."""
    free = [free_heap(chip, folder, "terminal", receiver) for receiver in (Feed(), WALK)]
    heap = int(chip.options[1].removeprefix("heapsize=")) + free[0] - free[1]
    return replace(chip, options=("-X", f"heapsize={heap}"))


def fleet_of(chip: SmallChip, speed: int) -> VirtualFleet:
    """Return what runs a terminal on a chip whose idle time passes faster."""
    environment = {"XUNHU_SPEED": str(speed)}
    return VirtualFleet(
        chip.program, options=chip.options, environment=environment, launcher=chip.launcher
    )


def flash(folder: Path, keys: Keys, port: int) -> Path:
    certificate, key = keys.issue(DEVICE, DEVICE)
    return make_virtual_device(
        device_folder(folder, DEVICE),
        identity=DeviceIdentity(certificate, key, bytes(32)),
        ca_der=keys.ca_der,
        config=DeviceConfig(broker_host="127.0.0.1", broker_port=port, broker_name=BROKER_NAME),
        rig=Rig(receiver=WALK),
    )


def judge(minutes: list[Minute], gateway: Gateway) -> dict[str, Any]:
    """Return the result."""
    lowest = min(minutes, key=lambda minute: minute.free)
    end = minutes[-1].number
    rest = median(m.free for m in minutes if REST[0] <= m.number < REST[1])
    last = median(m.free for m in minutes if m.number >= end - HOUR)
    longest = max(minutes, key=lambda minute: minute.longest_us)
    lows = {
        hour: min((m.free for m in minutes if m.number // HOUR == hour), default=None)
        for hour in range(-(-end // HOUR))
    }
    return {
        "heap_low_bytes": lowest.free,
        "heap_low_minute": lowest.number,
        "heap_low_during": lowest.during,
        "heap_low_by_hour": lows,
        "rest_bytes": rest,
        "last_hour_bytes": last,
        "drift_bytes": rest - last,
        "longest_turn_ms": round(longest.longest_us / 1000, 1),
        "longest_turn_during": longest.during,
        "minutes": len(minutes),
        "records": len(gateway.stored),
        "aims": {
            "heap_low_bytes": judged(lowest.free, at_least=FREE_BYTES_MIN),
            "drift_bytes": judged(rest - last, at_most=DRIFT_BYTES_MAX),
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=int, default=24, help="at least 12, for the drift")
    parser.add_argument("--speed", type=int, default=300)
    options = parser.parse_args()
    if options.hours * HOUR <= REST[1]:
        parser.error(f"--hours {options.hours} ends before the hour of rest is over: at least 12")
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as folder:
        found = run(options, Path(folder))
    print(json.dumps(found["heap_low_by_hour"]))
    write("heap_day", {"hours": options.hours, "speed": options.speed} | found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
