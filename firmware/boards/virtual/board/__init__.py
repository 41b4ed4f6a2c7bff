"""The virtual board: a terminal or sensor node made of a flash image, a host folder and sockets.

`rig` is what the launcher offers of the world around the chip; people and tests reach the board
through its control socket (`board.control`).
"""

import asyncio
import sys

import access_points
import flash
import machine
import rig
from chip.bearers import Bearers
from chip.identity import Identity
from chip.uptime import Uptime

from board.air import Air
from board.control import Control

_INPUTS_MAX = 32  # More than a hand can press before the application looks.
_REASONS = {
    machine.PWRON_RESET: "power",
    machine.HARD_RESET: "software",
    machine.SOFT_RESET: "software",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep_sleep",
}


def open_board() -> "Board":
    """Make the one board of this process and open its control socket."""
    board = Board()
    del Board.__init__  # There is no second one, and its memory is scarce.
    return board


class Board(Identity):
    """What the application asks for; the attributes below are what a wearer would perceive."""

    journal_path = "/journal"

    def __init__(self) -> None:
        super().__init__()
        self._uptime = Uptime()
        self._network = sys.modules["socket"]  # The launcher's radio, with a switch.
        self.journal_state, self.journal_lost = flash.journal, flash.journal_lost
        has_modem = rig.settings.get("modem") is True
        self._air = {"wifi": self._open_wifi(-60, 2 if has_modem else 20)}
        if has_modem:
            self._air["modem"] = Air(self._network, -95, 5)
        self._bearers = Bearers(self._air["wifi"], self._air.get("modem"), self.uptime_ms)
        self.sensors = dict(rig.settings.get("sensors", {}))
        self.battery = rig.settings.get("battery_mv", 3900)
        self.shown = {"light": (), "vibrate": (), "tone": (), "screen": ()}
        self.receiver = self._open_receiver()
        self.neighbours = None
        if rig.settings.get("radio"):
            from board.neighbours import Neighbours

            self.neighbours = Neighbours(rig.settings["radio"])
        self._inputs = []
        self._input_came = asyncio.Event()
        if not rig.settings.get("link_up", True):
            self.switch_network(False)
        Control(self).start()

    # What is put into the device.

    async def next_input(self) -> tuple:
        """Wait for a button, or for `settle`; returns (name, action), both empty after that."""
        if not self._inputs:
            self._input_came.clear()
            await self._input_came.wait()
        return self._inputs.pop(0) if self._inputs else ("", "")

    def put_input(self, name: str, action: str) -> None:
        """A finger moves; raises ValueError when the application takes none of it."""
        if len(self._inputs) >= _INPUTS_MAX:
            raise ValueError("%d inputs wait, the application takes none" % _INPUTS_MAX)
        rig.witness("input", name, action)
        self._inputs.append((name, action))
        self._input_came.set()

    def sensor_read(self, name: str) -> int | None:
        """The value of a sensor, or None if there is none of that name."""
        return self.sensors.get(name)

    def battery_mv(self) -> int:
        """The battery's voltage."""
        return self.battery

    # What the device shows; each pattern is a tuple of (on_ms, off_ms).

    def light(self, pattern: tuple) -> None:
        """Blink on and on; () is dark."""
        self.shown["light"] = pattern

    def vibrate(self, pattern: tuple) -> None:
        """Vibrate once."""
        self.shown["vibrate"] = pattern

    def tone(self, pattern: tuple) -> None:
        """Sound once."""
        self.shown["tone"] = pattern

    def screen(self, lines: tuple) -> None:
        """Show these lines of text."""
        if lines != self.shown["screen"]:
            rig.witness("screen", *lines)
        self.shown["screen"] = lines

    def status(self, name: str, value) -> None:
        """Tell a bench what the device thinks; a real board has nobody to tell."""
        if name == "sealed":
            rig.witness("sealed", *value)
        self.shown[name] = value

    # The network.

    async def network_up(self) -> None:
        """Return when there is a network; raises OSError if there is none within 20 s."""
        flash.settle()  # All is loaded by now, and TLS needs memory.
        await self._bearers.up()

    def settle(self) -> None:
        """Give back what helped to load code; whoever waits for a button has a turn."""
        flash.settle()
        self._input_came.set()

    def network_is_up(self) -> bool:
        """Tell whether there is a network now."""
        return self._bearers.is_up()

    def switch_network(self, up: bool, bearer: str = "wifi") -> None:
        """Take the access point away, or give it back; or the modem's cell."""
        rig.witness("link", up)
        self._air[bearer].switch(up)

    def rssi_dbm(self) -> int | None:
        """Signal strength, or None without a network."""
        return self._bearers.rssi_dbm()

    # Time and power.

    def uptime_ms(self) -> int:
        """Milliseconds since the start."""
        return self._uptime.ms()

    def rtc_s(self) -> int:
        """Unix seconds kept over a reset, 0 if never set since the power came."""
        return rig.rtc_s()

    def set_rtc(self, unix_s: int) -> None:
        """Set the clock that is kept over a reset."""
        rig.set_rtc(unix_s)

    def reset_reason(self) -> str:
        """Why the device started."""
        return _REASONS.get(machine.reset_cause(), "unknown")

    def reset(self) -> None:
        """Start again; does not return."""
        machine.reset()

    def well(self) -> None:
        """The application works: starts that failed are forgotten."""
        flash.well()

    def watchdog(self, timeout_ms: int) -> machine.WDT:
        """Start the watchdog; without `feed()` for so long the device resets."""
        return machine.WDT(timeout=timeout_ms)

    def _open_wifi(self, dbm: int, wait_s: int) -> object:
        air = Air(self._network, dbm, wait_s)
        points = rig.settings.get("access_points")
        return air if points is None else access_points.Wifi(air, wait_s, points, self.config)

    def _open_receiver(self) -> object:
        wired = rig.settings.get("receiver")
        if not wired:
            return None
        from board.receiver import Receiver

        return Receiver(wired)
