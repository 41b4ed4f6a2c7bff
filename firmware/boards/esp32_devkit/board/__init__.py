"""An ESP32 development board with a GNSS receiver, three buttons and a few lights.

Runs on the official MicroPython image. Everything that is wired to it stands in `board.pins`.
"""

import asyncio
import socket
import time

import flash
import machine
import tls
from chip.bearers import Bearers
from chip.identity import Identity
from chip.uptime import Uptime

from board import pins
from board.buttons import Buttons
from board.signals import Buzzer, Signal
from board.voltage import Voltage
from board.wifi import Wifi

# This port counts time from 2000-01-01; the application knows Unix time alone.
_EPOCH_2000_S = 946_684_800
_SET_SINCE_S = 1_735_689_600  # 2025-01-01: before it, the chip's clock was never set.
_BATTERY_MV_MIN = 2000  # No lithium cell that still runs a chip is lower.
# MicroPython doubles its heap when the first 56 KB are full, out of the memory that TLS needs
# too. Measured: a connection takes 29 KB, each of these 24.
_HELD_FOR_TLS = 2
_REASONS = {
    machine.PWRON_RESET: "power",  # A brownout too: the port does not tell them apart.
    machine.HARD_RESET: "software",
    machine.SOFT_RESET: "software",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep_sleep",
}


def open_board() -> "Board":
    """Make the one board of this chip."""
    board = Board()
    del Board.__init__  # There is no second one, and its memory is scarce.
    return board


class Board(Identity):
    """What the application asks for."""

    journal_path = "/journal"

    def __init__(self) -> None:
        super().__init__()
        self._uptime = Uptime()
        self.journal_state, self.journal_lost = flash.journal, flash.journal_lost
        wifi = Wifi(self.device_id, self.config)
        self._bearers = Bearers(wifi, self._modem(), self.uptime_ms)
        # Behind the Wi-Fi, which cannot do without its own.
        self._held = _hold_for_tls()
        self._light = Signal(machine.Pin(pins.LIGHT, machine.Pin.OUT, value=0))
        self._vibration = Signal(machine.Pin(pins.VIBRATION, machine.Pin.OUT, value=0))
        self._buzzer = Signal(Buzzer(pins.BUZZER))
        self._battery = Voltage(pins.BATTERY)
        self._screen = None
        self._lines = ()
        self._sensors = None
        self._buttons = Buttons(pins.BUTTONS)
        self.receiver = None
        self.neighbours = None
        if self.config.get("relay"):
            from board.neighbours import Neighbours

            self.neighbours = Neighbours()
        if self.config.get("device_kind") == "sensor_node":
            from board.sensors import Sensors

            self._sensors = Sensors(self.config.get("sensors", {}))
        else:
            from board.screen import open_screen

            self._screen = open_screen()
            self.receiver = asyncio.StreamReader(
                machine.UART(
                    pins.RECEIVER_UART,
                    pins.RECEIVER_BAUD,
                    rx=pins.RECEIVER_RX,
                    tx=pins.RECEIVER_TX,
                    rxbuf=1024,  # A second of talk: the loop may be busy with TLS for so long.
                )
            )

    async def next_input(self) -> tuple:
        """Wait for a button, or for `settle`; returns (name, action), both empty after that."""
        return await self._buttons.next()

    def sensor_read(self, name: str) -> int | None:
        """The value of a sensor in the unit of the wire, or None if there is none of that name."""
        return self._sensors.read(name) if self._sensors else None

    def battery_mv(self) -> int | None:
        """The battery's voltage, or None when the input sees none: a board on a cable."""
        measured_mv = self._battery.read_mv() * pins.BATTERY_DIVIDER
        return measured_mv if measured_mv >= _BATTERY_MV_MIN else None

    def light(self, pattern: tuple) -> None:
        """Blink on and on with (on_ms, off_ms) pairs; () is dark."""
        self._light.play(pattern, True)

    def vibrate(self, pattern: tuple) -> None:
        """Vibrate once."""
        self._vibration.play(pattern, False)

    def tone(self, pattern: tuple) -> None:
        """Sound once."""
        self._buzzer.play(pattern, False)

    def screen(self, lines: tuple) -> None:
        """Show these lines of text, on the console when there is no screen."""
        if lines == self._lines:
            return
        self._lines = lines
        if self._screen:
            self._screen.show(lines)
        else:
            print("screen:", " | ".join(lines))

    def _modem(self) -> object:
        apn = self.config.get("apn")
        if not apn:
            return None
        from board.modem import Modem

        uart = machine.UART(
            pins.MODEM_UART, pins.MODEM_BAUD, rx=pins.MODEM_RX, tx=pins.MODEM_TX, rxbuf=1024
        )
        return Modem(uart, apn)

    def status(self, name: str, value) -> None:
        """Nobody asks on a real board; the virtual one shows it."""

    async def network_up(self) -> None:
        """Return when there is a network; raises OSError if there is none within 20 s."""
        # All is loaded by now, and TLS needs the memory.
        flash.settle()
        while self._held:
            self._held.pop().close()
        await self._bearers.up()

    def settle(self) -> None:
        """Give back what helped to load code; whoever waits for a button has a turn."""
        flash.settle()
        self._buttons.poke()

    def network_is_up(self) -> bool:
        """Tell whether there is a network now."""
        return self._bearers.is_up()

    def rssi_dbm(self) -> int | None:
        """Signal strength, or None without a network."""
        return self._bearers.rssi_dbm()

    def uptime_ms(self) -> int:
        """Milliseconds since the start."""
        return self._uptime.ms()

    def rtc_s(self) -> int:
        """Unix seconds kept over a reset, 0 if never set since the power came."""
        now_s = time.time() + _EPOCH_2000_S
        return now_s if now_s >= _SET_SINCE_S else 0

    def set_rtc(self, unix_s: int) -> None:
        """Set the clock that is kept over a reset; TLS checks certificates by it."""
        date = time.gmtime(unix_s - _EPOCH_2000_S)
        # The weekday is in the middle here: `(year, month, day, weekday, hours, ...)`.
        machine.RTC().datetime(date[:3] + date[6:7] + date[3:6] + (0,))

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
        """Start the chip's watchdog, which only a reset stops."""
        return machine.WDT(timeout=timeout_ms)


def _hold_for_tls() -> list:
    """Take the memory of TLS connections before the application makes the heap grow."""
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    return [
        context.wrap_socket(
            socket.socket(), server_hostname="nobody", do_handshake_on_connect=False
        )
        for _ in range(_HELD_FOR_TLS)
    ]
