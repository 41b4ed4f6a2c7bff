"""A place: one board, its line to the broker, the servers, and the steps between its stages."""

import time
from collections.abc import Callable
from typing import Any

from hil_tests.board import Board, Firmware, Flashing
from hil_tests.errors import StageError
from hil_tests.fault_proxy import Line
from hil_tests.faults import NONE, Faults
from hil_tests.scenario_file import Scenario
from hil_tests.servers import Servers
from hil_tests.stages import Strategy

# The slowest that is well: an ESP32 boots, joins Wi-Fi and shakes hands in half a minute.
STEP_WAIT_S = 60.0
SOS_HOLD_S = 1.0  # Longer than the 0.8 s that raise an SOS.
_LOOK_S = 0.05
# A gateway refuses, and receipts, what comes from a device that was registered within the second
# after its last look: gateway/adapters/directory.py.
_KNOWN_AFTER_S = 1.5


class Place:
    """Where one run happens; `strategy.reach` brings its device to a stage.

    Attributes:
        device: Its id in the current run.
        screen: What the wearer reads now; empty when it is off.
        firmware: What was flashed.
        cuts: How often the power was cut.
        notes: What had to be done before the run could begin.
    """

    def __init__(self, board: Board, line: Line, servers: Servers, faults: Faults = NONE) -> None:
        self.board, self.line, self.servers = board, line, servers
        self.strategy = Strategy(self)
        self.device = ""
        self.screen: list[str] = []
        self.firmware: Firmware | None = None
        self.cuts = 0
        self.notes: list[str] = []
        self._always = faults
        self._faults = faults
        self._link_up = False
        self._prepared_s = 0.0
        self._listener: Callable[[str, Any], None] | None = None

    def prepare(self, scenario: Scenario, device: str) -> None:
        """Flash the board for a scenario and end what an aborted run left; it is off then."""
        self.device = device
        self.screen, self.cuts, self._listener = [], 0, None
        self.set_faults(NONE)
        self.strategy.forget()
        self.firmware = self.board.prepare(
            Flashing(
                device=device,
                kind=scenario.device,
                broker=(self.line.host, self.line.port),
                duty=scenario.duty,
                settings=scenario.settings,
                named_networks=scenario.names_networks(),
            )
        )
        self._prepared_s = time.monotonic()
        self._end_cases()
        self.strategy.reach("off")
        self.cuts = 0

    def listen(self, listener: Callable[[str, Any], None]) -> None:
        """Hand everything that the board shows to `listener` as well."""
        self._listener = listener

    # What a scenario does.

    def power(self, *, on: bool) -> None:
        """Give or take the power; the stage is unknown afterwards."""
        self.board.need("power")
        self.strategy.forget()
        self.board.power(on=on)
        if not on:
            self.cuts += 1
            self._show("screen", [])

    def reset(self) -> None:
        """Start the board again; what it showed before says nothing about its new life."""
        self._restart(self.board.reset)

    def clock(self, unix_s: int) -> None:
        """Set the chip's clock and start the board again."""
        self._restart(lambda: self.board.clock(unix_s))

    def link(self, *, up: bool) -> None:
        """Give or take the network: at the board, or at the proxy where the board cannot."""
        self._link_up = up
        if "link" in self.board.offers:
            self.board.link(up=up)
        else:
            self.line.set(self._faults if up else Faults(refuse=True))

    def set_faults(self, faults: Faults) -> None:
        """Let faults begin; NONE ends those of the scenario, not those of the rig."""
        self._faults = faults if faults != NONE else self._always
        if self._link_up or "link" in self.board.offers:
            self.line.set(self._faults)

    def look(self) -> None:
        """Take in what the board has shown since the last look."""
        for what, value in self.board.look():
            self._show(what, value)

    # Steps between stages.

    def switch_off(self) -> None:
        """Take the power away."""
        self.power(on=False)

    def enter_bootloader(self) -> None:
        """Start the chip so that it listens to a flash tool."""
        self.board.need("bootloader")
        self.board.bootloader()

    def boot(self) -> None:
        """Switch on without a network and wait for the application."""
        self.link(up=False)
        self.board.power(on=True)
        time.sleep(max(0.0, self._prepared_s + _KNOWN_AFTER_S - time.monotonic()))
        self.wait("the application shows itself", self.board.is_running)

    def join(self) -> None:
        """Give it a network and wait until the gateway has stored its state."""
        before = self._connection()
        self.link(up=True)
        self.wait("the gateway has its state", lambda: self._is_online_since(before))

    def leave(self) -> None:
        """Take the network away and wait until that shows."""
        self.link(up=False)
        self.wait("the broker has said that it is gone", lambda: not self._is_online_since(None))

    def raise_sos(self) -> None:
        """Press SOS and wait until the wearer is told that it is stored."""
        self.board.need("press:sos", "screen")
        self.board.press("sos")
        time.sleep(SOS_HOLD_S)
        self.board.release("sos")
        self.wait("the wearer reads SOS STORED", lambda: self.reads("SOS STORED"))

    def end_sos(self) -> None:
        """Close its case and wait until the wearer is told."""
        self.servers.step_case(self.device, "close")
        self.wait("the wearer reads of no SOS", lambda: not self.reads("SOS"))

    def reads(self, text: str) -> bool:
        """Tell whether a line of the screen holds a text."""
        return any(text in line for line in self.screen)

    def wait(self, what: str, claim: Callable[[], Any], wait_s: float = STEP_WAIT_S) -> None:
        """Look until a claim is true.

        Raises:
            StageError: It was not in time.
        """
        deadline_s = time.monotonic() + wait_s
        while True:
            self.look()
            if claim():
                return
            if time.monotonic() > deadline_s:
                raise StageError(
                    f"{self.board.name} ({self.device}): not within {wait_s:.0f} s: {what}; "
                    f"it shows {self.screen}, the gateway has {self._said()}"
                    f"{''.join(f'; it said: {line}' for line in self.board.complaints()[-1:])}"
                )
            time.sleep(_LOOK_S)

    def _end_cases(self) -> None:
        """Close what an aborted run left open; a terminal keeps its SOS until it hears of that."""
        closed = self.servers.close_cases(self.device)
        self.notes = [f"an earlier run left a case open: {kind}; closed" for kind in closed]
        if "sos" in closed and "screen" in self.board.offers:
            self.strategy.reach("online")
            self.wait("the wearer reads of no SOS", lambda: not self.reads("SOS"))

    def _restart(self, how: Callable[[], None]) -> None:
        self.strategy.forget()
        how()
        self.look()
        self._show("screen", [])

    def _show(self, what: str, value: Any) -> None:
        if what == "screen":
            self.screen = value
        if self._listener is not None:
            self._listener(what, value)

    def _connection(self) -> tuple[int, int, int] | None:
        row = self.servers.state(self.device)
        return None if row is None else (row["epoch"], row["boot"], row["connection"])

    def _is_online_since(self, before: tuple[int, int, int] | None) -> bool:
        row = self.servers.state(self.device)
        return row is not None and bool(row["online"]) and self._connection() != before

    def _said(self) -> str:
        row = self.servers.state(self.device)
        if row is None:
            return "no state"
        return f"online={bool(row['online'])}, {row['state']}"
