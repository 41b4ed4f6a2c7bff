"""Starts the named tasks, restarts what crashed, feeds the watchdog, keeps the reasons.

A task that hangs leaves the watchdog unfed, and one that crashes again and again ends `run`: both
end in a restart that counts as failed. While an SOS is open only the tasks that serve it count: a
restart for the sake of another waits until it is over.
"""

import asyncio

from device.errors import DeviceError
from device.late import forget

WATCHDOG_MS = 60_000  # Longer than any blocking call: a name lookup may take 14 s on the chip.
FEED_MS = 5_000
FIRST_REST_MS = 1_000
LONGEST_REST_MS = 30_000
STABLE_MS = 60_000  # A task that lived this long starts again at the first rest.
CRASHES_MAX = 5  # In a row, none of them after a stable life.
WELL_MS = 300_000  # A device that ran so long without a crash works, link or no link.
PROVEN_MS = 60_000  # One with a receipt: what breaks at every start has shown itself by then.
_SERVING = "link sender tick"  # What an open SOS lives on.
_NAME, _START, _LIMIT, _BEAT, _TASK, _CRASHES = 0, 1, 2, 3, 4, 5


class Supervisor:
    """The tasks of one device.

    Attributes:
        crashed: Names of the tasks that crashed since this start.
        on_crash: Takes a text for a report, at the first crash of each task; set by the owner.
        on_well: Called once, when this start has proved to work; set by the owner.
        is_needed: Says whether an SOS is open; set by the owner.
    """

    def __init__(self, board, kept, boot: int) -> None:
        self._board = board
        self._kept = kept
        self._boot = boot
        self._tasks = []
        self._crash_ms = 0  # Uptime of the last one.
        self._quiet_ms = WELL_MS  # How long none must come for this start to be well.
        self.crashed = set()
        self.on_crash, self.on_well, self.is_needed = _unheard, _nothing, _nothing

    def add(self, name: str, start, limit_s: int | None) -> None:
        """Add a task.

        Args:
            name: For people.
            start: Coroutine function that takes `beat`, a function, and never returns.
            limit_s: Longest time between two calls of `beat`; None for a task that waits for the
                outside world and is well as long as it has not crashed.
        """
        self._tasks.append([name, start, limit_s, self._board.uptime_ms(), None, 0])

    async def run(self) -> None:
        """Run all tasks for ever.

        Raises:
            DeviceError: One of them crashes again and again; only a restart is left.
        """
        watchdog = self._board.watchdog(WATCHDOG_MS)
        for row in self._tasks:
            row[_TASK] = asyncio.create_task(self._keep(row))
        while True:
            if not self.late():
                watchdog.feed()
                if self._board.uptime_ms() - self._crash_ms >= self._quiet_ms:
                    tell, self.on_well = self.on_well, _nothing
                    tell()
            await asyncio.sleep_ms(FEED_MS)

    def well(self) -> None:
        """What was sent has been received: the tasks that serve an SOS do so."""
        self._quiet_ms = PROVEN_MS
        for row in self._tasks:
            if row[_NAME] in _SERVING:
                row[_CRASHES] = 0

    def late(self) -> list:
        """Return the names of the tasks that hang; DeviceError if one crashes again and again."""
        now = self._board.uptime_ms()
        needed = self.is_needed()
        found = []
        for row in self._tasks:
            if needed and row[_NAME] not in _SERVING:
                continue
            if row[_CRASHES] >= CRASHES_MAX:
                raise DeviceError(row[_NAME] + " crashes again and again")
            if row[_LIMIT] and now - row[_BEAT] > row[_LIMIT] * 1000:
                found.append(row[_NAME])
        return found

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
            self._crash_ms = self._board.uptime_ms()
            if self._crash_ms - began_ms >= STABLE_MS:
                rest_ms, row[_CRASHES] = FIRST_REST_MS, 0
            row[_CRASHES] += 1
            try:
                self._note(row[_NAME], error)
            except Exception as fault:  # noqa: BLE001 - a note that fails must not end the task
                print(row[_NAME], "crashed, not noted:", fault)
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


def _nothing() -> object:
    return None


def _unheard(text: str) -> None:
    pass
