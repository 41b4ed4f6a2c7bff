"""A board that is a process: the unix port of MicroPython boots its composed flash image."""

import contextlib
import json
from pathlib import Path
from typing import Any

from hil_tests.board import Board, Firmware, Flashing, Key
from hil_tests.errors import StageError
from hil_tests.flashed import configuration
from hil_tests.servers import Servers
from provisioning.application import build_application
from provisioning.control import Control, ControlError
from provisioning.fleet import VirtualFleet
from provisioning.virtual import Feed, Rig, device_folder, make_virtual_device
from wire_protocol import sensors

_WITNESSED = ("screen", "sealed")
_BOOT_WAIT_S = 30.0
_NETWORKS = (("xunhu-bench", "a virtual password"),)


class VirtualBoard(Board):
    """One virtual board; each `prepare` makes a new device, as if a new one were unpacked."""

    def __init__(self, name: str, kind: str, servers: Servers, fleet: VirtualFleet) -> None:
        offers = {"power", "bootloader", "link", "clock", "reset", "battery", "screen", "sealed"}
        offers.add("networks")
        if kind == "terminal":
            offers |= {"press:sos", "press:duty", "press:ok", "receiver", "light", "vibrate"}
        else:
            offers |= {f"sensor:{sensor}" for sensor in sensors.NAMES}
        super().__init__(name, kind, frozenset(offers))
        self.networks = _NETWORKS
        self._servers, self._fleet = servers, fleet
        # Here and not at each run: built in several threads at once, it is built several times.
        self._application = build_application("virtual")
        self._control: Control | None = None
        self._witness_at = 0
        self._shown: dict[str, Any] = {}
        self._sealed: dict[Key, int] = {}

    @property
    def folder(self) -> Path:
        """Where the device lives that was flashed last."""
        return self._hand.folder

    def prepare(self, flashing: Flashing) -> Firmware:
        """Flash a new device."""
        identity = self._servers.authority.issue_device(flashing.device)
        self._servers.register(flashing.device, flashing.kind, identity)
        first = {"smoke": 10} if flashing.kind == "sensor_node" else {}
        terminal = flashing.kind == "terminal"
        networks = self.networks if flashing.named_networks else None
        folder = make_virtual_device(
            device_folder(self._servers.home, flashing.device),
            identity=identity,
            ca_der=self._servers.authority.devices_ca_der,
            config=configuration(flashing, networks or ()),
            rig=Rig(
                receiver=Feed() if terminal else None,
                sensors=first,
                link_up=False,
                witness=_WITNESSED,
                access_points=networks,
            ),
            application=self._application,
        )
        self._control = Control(folder)
        self._witness_at, self._shown, self._sealed = 0, {}, {}
        application = self._application
        return Firmware(application.version, application.hash, application.board)

    def power(self, *, on: bool) -> None:
        """Start the process, or kill it wherever it is."""
        if self._control is None:
            return
        if not on:
            self._fleet.kill(self.folder.name)
            self._shown = {}
        elif not self._fleet.running(self.folder.name):
            self._fleet.start(self.folder)

    def bootloader(self) -> None:
        """Nothing runs: whoever writes flash.bin now is the flash tool."""
        self._fleet.kill(self.folder.name)

    def is_running(self) -> bool:
        """Tell whether the application shows anything."""
        with contextlib.suppress(ControlError):
            shown = self._hand.show()
            return bool(shown["screen"]) or self.kind == "sensor_node"
        return False

    def press(self, button: str) -> None:
        """Press a button; a device that is off does not notice."""
        with contextlib.suppress(ControlError):
            self._hand.press(button)

    def release(self, button: str) -> None:
        """Let go of a button."""
        with contextlib.suppress(ControlError):
            self._hand.release(button)

    def say(self, data: bytes) -> None:
        """Send bytes over the receiver's line."""
        with contextlib.suppress(ControlError):
            self._hand.feed(data)

    def link(self, *, up: bool) -> None:
        """Switch the radio's network; it is kept over a restart, as an access point's absence."""
        rig = self.folder / "rig.json"
        content = json.loads(rig.read_text()) | {"link_up": up}
        rig.write_text(json.dumps(content))
        with contextlib.suppress(ControlError):
            self._hand.link(up=up)

    def reset(self) -> None:
        """Start it again."""
        self._hand.reset()

    def clock(self, unix_s: int) -> None:
        """Set the chip's clock and start it again."""
        self._hand.clock(unix_s)
        self._hand.reset()

    def sensor(self, name: str, value: int) -> None:
        """Let a sensor measure a value."""
        self._hand.set_sensor(name, value)

    def battery(self, mv: int) -> None:
        """Set the battery's voltage."""
        self._hand.battery(mv)

    def look(self) -> list[tuple[str, Any]]:
        """Return new screens, oldest first, and changes of light and vibration."""
        found: list[tuple[str, Any]] = [
            ("screen", words) for what, *words in self._new_witness() if what == "screen"
        ]
        if not self.watched:
            return found
        with contextlib.suppress(ControlError):
            shown = self._hand.show()
            for what in sorted(self.watched):
                if shown[what] != self._shown.get(what):
                    self._shown[what] = shown[what]
                    found.append((what, shown[what]))
        return found

    def sealed(self) -> dict[Key, int]:
        """Return what the device put into its journal, as its rig was told."""
        self._new_witness()
        return dict(self._sealed)

    def complaints(self) -> list[str]:
        """Return the lines that tell of memory which it asked for and did not get."""
        path = self.folder / "console.log"
        said = path.read_text(errors="replace").splitlines() if path.exists() else []
        return [line.strip() for line in said if "memory allocation failed" in line]

    def close(self) -> None:
        """Switch it off."""
        self.power(on=False)

    @property
    def _hand(self) -> Control:
        if self._control is None:
            raise StageError(f"{self.name} was never flashed")
        return self._control

    def _new_witness(self) -> list[list[Any]]:
        path = self.folder / "witness.jsonl"
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._witness_at)
            # The device may be writing its last line right now.
            data = file.read().rpartition(b"\n")[0]
        if not data:
            return []
        self._witness_at += len(data) + 1
        rows = []
        for line in data.splitlines():
            try:
                _, *row = json.loads(line)
            except ValueError:
                continue  # A line that the battery pull cut.
            if row[0] == "sealed":
                self._sealed[row[1], row[2], row[3]] = row[4]
            rows.append(row)
        return rows
