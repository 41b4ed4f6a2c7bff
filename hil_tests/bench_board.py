"""A real board on a bench: console, relay, receiver line and flash tool are hands and eyes."""

import json
import time
from typing import TYPE_CHECKING, Any

import serial

from hil_tests import flash_tool
from hil_tests.board import Board, Firmware, Flashing, Key
from hil_tests.console import Console
from hil_tests.errors import NotOnThisRigError, RigError
from hil_tests.flashed import configuration
from hil_tests.relay import Relay
from hil_tests.rig_file import CONTACTS, BoardSpec, Rig, Wire
from hil_tests.scenario_file import BUTTONS
from hil_tests.servers import Servers
from provisioning.application import build_application
from provisioning.image import device_parts

if TYPE_CHECKING:
    from provisioning.authority import DeviceIdentity

CHIP_START_S = 946_684_800  # 2000-01-01: where an ESP32 begins when the power comes.
_SCREEN = "screen: "
_STRAP_S = 0.5  # GPIO0 is read some milliseconds after the power has risen.
_DISCHARGE_S = 1.0  # Capacitors on a devkit carry it on for half a second.
_BOOT_WAIT_S = 20.0  # An ESP32 takes 7 s.
_SILENT_BOOT_S = 8.0  # A sensor node has no screen whose first line tells that it runs.
_BUILD = "print(open('/app/build.json').read())"
# What a scenario before this one changed by a command, and kept, is none of this one's.
_FORGET_CHANGES = (
    "import os\n"
    "if 'changes.json' in os.listdir('/journal'):\n"
    "    os.remove('/journal/changes.json')\n"
)
_SET_CLOCK = (
    "import machine, time\n"
    "d = time.gmtime({unix_s} - 946684800)\n"
    "machine.RTC().datetime(d[:3] + d[6:7] + d[3:6] + (0,))\n"
)
_RESET = "import machine\nmachine.reset()\n"


class Bench:
    """What the boards of one rig share: its relays."""

    def __init__(self, rig: Rig, servers: Servers) -> None:
        self._rig, self._servers = rig, servers
        self._relays = {name: Relay(port) for name, port in rig.relays.items()}

    def open(self, spec: BoardSpec) -> Board:
        """Open the ports of a board."""
        return BenchBoard(spec, self._rig, self._servers, self._relays)

    def close(self) -> None:
        """Open every contact; the boards are closed already."""
        for relay in self._relays.values():
            relay.close()


class BenchBoard(Board):
    """One real board."""

    def __init__(
        self, spec: BoardSpec, rig: Rig, servers: Servers, relays: dict[str, Relay]
    ) -> None:
        offers = {"reset", "clock", "screen"}
        offers |= {"power"} if spec.power else set()
        offers |= {"bootloader"} if spec.bootloader != "none" else set()
        offers |= {"receiver"} if spec.receiver else set()
        offers |= {"networks"} if rig.wifi else set()
        offers |= {f"press:{name}" for name in spec.buttons if name in BUTTONS}
        offers |= {f"sensor:{name}" for name in spec.buttons if name in CONTACTS}
        super().__init__(spec.name, spec.kind, frozenset(offers))
        self.networks = rig.wifi
        self._spec, self._rig, self._servers, self._relays = spec, rig, servers, relays
        self._console = Console(spec.console, spec.console_baud)
        self._receiver = self._open_receiver()
        self._identity: DeviceIdentity | None = None
        self._flashed: dict[int, bytes] = {}
        self._is_on = False
        self._shown = False
        self._on_s = 0.0

    def prepare(self, flashing: Flashing) -> Firmware:
        """Write what differs from what is on it, and ask the board what it runs."""
        if self._spec.bootloader == "none":
            if flashing.settings:
                raise NotOnThisRigError(f"board {self.name} is not flashed here: no settings")
        else:
            self._flash(self._parts(flashing))
        self.power(on=False)
        self.power(on=True)
        self._wait_for_boot()
        try:
            build = json.loads(self._console.ask(_BUILD))
        except ValueError as error:
            raise RigError(f"board {self.name}: build.json cannot be read: {error}") from error
        self._console.ask(_FORGET_CHANGES)
        self.power(on=False)
        return Firmware(build["version"], build["hash"], build["board"])

    def power(self, *, on: bool) -> None:
        """Close or open the contact in its supply."""
        if on == self._is_on and on:
            return
        self._move(self._spec.power, "power", closed=on)
        self._is_on, self._shown = on, False
        self._on_s = time.monotonic()
        if not on:
            time.sleep(_DISCHARGE_S)
            self._console.lines()

    def bootloader(self) -> None:
        """Hold GPIO0 low while the power comes; with reset lines esptool does it itself."""
        if self._spec.bootloader == "button":
            self.press("ok")
            self.power(on=True)
            time.sleep(_STRAP_S)
            self.release("ok")
        else:
            self.power(on=True)

    def is_running(self) -> bool:
        """Tell whether the application has shown a screen since the power came."""
        if self.kind == "sensor_node":
            return self._is_on and time.monotonic() - self._on_s > _SILENT_BOOT_S
        return self._shown

    def press(self, button: str) -> None:
        """Close the contact across a button."""
        self._move(self._spec.buttons.get(button), f"press:{button}", closed=True)

    def release(self, button: str) -> None:
        """Open it."""
        self._move(self._spec.buttons.get(button), f"press:{button}", closed=False)

    def say(self, data: bytes) -> None:
        """Send bytes to the receiver's pin; never into a chip without power."""
        if self._receiver is None or not self._is_on:
            return
        try:
            self._receiver.write(data)
        except (OSError, serial.SerialException) as error:
            raise RigError(f"receiver {self._spec.receiver}: {error}") from error

    def link(self, *, up: bool) -> None:
        """Not ours: the proxy refuses in place of the access point."""
        raise NotOnThisRigError(f"board {self.name} has no link ({up})")

    def reset(self) -> None:
        """Reset by the board's own REPL: RAM goes, clock and flash stay."""
        self._shown = False
        self._console.order(_RESET)

    def clock(self, unix_s: int) -> None:
        """Set the chip's clock; 2000-01-01 is what a power cut sets it to."""
        if unix_s == CHIP_START_S:
            self.power(on=False)
            self.power(on=True)
            return
        self._shown = False
        self._console.order(_SET_CLOCK.format(unix_s=unix_s) + _RESET)

    def sensor(self, name: str, value: int) -> None:
        """Energise the relay for 1: its NC contact lets go of the pin, whose pull-up says so."""
        self._move(self._spec.buttons.get(name), f"sensor:{name}", closed=bool(value))

    def battery(self, mv: int) -> None:
        """There is no supply here that can be told a voltage."""
        raise NotOnThisRigError(f"board {self.name} has no battery ({mv} mV)")

    def look(self) -> list[tuple[str, Any]]:
        """Return the screens that a board without a display prints."""
        found: list[tuple[str, Any]] = []
        for line in self._console.lines():
            # A prompt without a line end may stand before it.
            _, marked, lines = line.partition(_SCREEN)
            if marked:
                self._shown = True
                found.append(("screen", lines.split(" | ")))
        return found

    def sealed(self) -> dict[Key, int] | None:
        """A real board tells nobody what it seals: its own word counts that nothing is left."""
        return None

    def close(self) -> None:
        """Switch it off and let go of its ports."""
        if self._spec.power:
            self.power(on=False)
        self._console.close()
        if self._receiver is not None:
            self._receiver.close()

    def _wait_for_boot(self) -> None:
        """Leave the board alone while it boots; whatever it is then, the prompt is tried."""
        deadline_s = time.monotonic() + _BOOT_WAIT_S
        while not self.is_running() and time.monotonic() < deadline_s:
            self.look()
            time.sleep(0.1)

    def _move(self, wire: Wire | None, what: str, *, closed: bool) -> None:
        if wire is None:
            raise NotOnThisRigError(f"board {self.name} has no {what}")
        self._relays[wire.relay].set(wire.channel, closed=closed)

    def _open_receiver(self) -> serial.Serial | None:
        spec = self._spec
        if not spec.receiver:
            return None
        try:
            return serial.Serial(spec.receiver, spec.receiver_baud, write_timeout=2)
        except (OSError, serial.SerialException) as error:
            raise RigError(f"receiver {spec.receiver}: {error}") from error

    def _parts(self, flashing: Flashing) -> dict[int, bytes]:
        """Return what the flash must hold; the journal stays as it is."""
        if self._identity is None:
            self._identity = self._servers.authority.issue_device(flashing.device)
            self._servers.register(flashing.device, flashing.kind, self._identity)
        return device_parts(
            flashing.device,
            self._identity,
            self._servers.authority.devices_ca_der,
            configuration(flashing, self._rig.wifi),
            build_application(self._spec.target),
        )

    def _flash(self, parts: dict[int, bytes]) -> None:
        changed = {at: part for at, part in parts.items() if self._flashed.get(at) != part}
        if not changed:
            return
        self.power(on=False)
        self.bootloader()
        # Should this fail half way, nobody knows what is on it.
        self._flashed = {}
        with self._console.let_go():
            flash_tool.write(
                self._spec.console,
                self._spec.console_baud,
                changed,
                reset=self._spec.bootloader == "lines",
                options=self._spec.esptool,
            )
        self._flashed = dict(parts)
