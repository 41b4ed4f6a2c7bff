"""Starts the named tasks, restarts what crashed, feeds the watchdog, keeps the reasons."""

import asyncio

from device.errors import DeviceError
from device.late import forget

WATCHDOG_MS = 60_000  # Longer than any blocking call: a name lookup may take 14 s on the chip.
FEED_MS = 5_000
FIRST_REST_MS = 1_000
LONGEST_REST_MS = 30_000
STABLE_MS = 60_000  # A task that lived this long starts again at the first rest.
WELL_MS = 300_000  # A device that ran so long without a crash works, link or no link.
_NAME, _START, _LIMIT, _BEAT, _TASK = 0, 1, 2, 3, 4


class Supervisor:
    """The tasks of one device.

    Attributes:
        crashed: Names of the tasks that crashed since this start.
        on_crash: Takes a text for a report, at the first crash of each task; set by the owner.
        on_well: Called once, when this start has proved to work; set by the owner.
    """

    def __init__(self, board, kept, boot: int) -> None:
        self._board = board
        self._kept = kept
        self._boot = boot
        self._tasks = []
        self.crashed = set()
        self.on_crash, self.on_well = _unheard, _nothing

    def add(self, name: str, start, limit_s: int | None) -> None:
        """Add a task.

        Args:
            name: For people.
            start: Coroutine function that takes `beat`, a function, and never returns.
            limit_s: Longest time between two calls of `beat`; None for a task that waits for the
                outside world and is well as long as it has not crashed.
        """
        self._tasks.append([name, start, limit_s, self._board.uptime_ms(), None])

    async def run(self) -> None:
        """Run all tasks for ever."""
        watchdog = self._board.watchdog(WATCHDOG_MS)
        for row in self._tasks:
            row[_TASK] = asyncio.create_task(self._keep(row))
        while True:
            if not self.late():
                watchdog.feed()
                if not self.crashed and self._board.uptime_ms() >= WELL_MS:
                    self.well()
            await asyncio.sleep_ms(FEED_MS)

    def well(self) -> None:
        """This start went well: what was sent has been received."""
        tell, self.on_well = self.on_well, _nothing
        tell()

    def late(self) -> list:
        """Return the names of the tasks that hang."""
        now = self._board.uptime_ms()
        return [r[_NAME] for r in self._tasks if r[_LIMIT] and now - r[_BEAT] > r[_LIMIT] * 1000]

    # One for each task; lives as long as the device.
    async def _keep(self, row: list) -> None:
        def beat() -> None:
            row[_BEAT] = self._board.uptime_ms()

        rest_ms = FIRST_REST_MS
        while True:
            beat()
            began_ms = row[_BEAT]
            try:
                await row[_START](beat)
                error = DeviceError("it returned")
            except Exception as raised:  # noqa: BLE001 - the outermost loop of every task
                error = raised
            try:
                self._note(row[_NAME], error)
            except Exception as fault:  # noqa: BLE001 - a note that fails must not end the task
                print(row[_NAME], "crashed, not noted:", fault)
            if self._board.uptime_ms() - began_ms >= STABLE_MS:
                rest_ms = FIRST_REST_MS
            await asyncio.sleep_ms(rest_ms)
            rest_ms = min(2 * rest_ms, LONGEST_REST_MS)

    def _note(self, name: str, error: Exception) -> None:
        from device.crashes import keep_crash

        is_first = name not in self.crashed
        self.crashed.add(name)
        text = keep_crash(self._kept, self._boot, self._board.uptime_ms() // 1000, name, error)
        forget("device.crashes")
        if is_first:
            # Not each one: a task that crashes at every start would fill the journal.
            self.on_crash(text)


def _nothing() -> None:
    pass


def _unheard(text: str) -> None:
    pass
