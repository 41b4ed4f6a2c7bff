"""Starts the named tasks, restarts what crashed, feeds the watchdog, keeps the reasons."""

import asyncio
import io
import sys

WATCHDOG_MS = 60_000  # Longer than any blocking call: a name lookup may take 14 s on the chip.
FEED_MS = 5_000
FIRST_REST_MS = 1_000
LONGEST_REST_MS = 30_000
STABLE_MS = 60_000  # A task that lived this long starts again at the first rest.
CRASHES_MAX = 8
TRACE_CHARS_MAX = 240  # The end of a traceback: the last two lines and what was raised.
_NAME, _START, _LIMIT, _BEAT, _TASK = 0, 1, 2, 3, 4


class Supervisor:
    """The tasks of one device.

    Attributes:
        crashes: The last ones, [boot, uptime_s, task, end of the traceback], kept over restarts.
        crashed: Names of the tasks that crashed since this start.
    """

    def __init__(self, board, kept, boot: int) -> None:
        self._board = board
        self._kept = kept
        self._boot = boot
        self._tasks = []
        self.crashed = set()
        self.crashes = kept.load("crashes", [])

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
            await asyncio.sleep_ms(FEED_MS)

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
                self._note(row[_NAME], "it returned")
            except Exception as error:  # noqa: BLE001 - the outermost loop of every task
                trace = io.StringIO()
                # The stubs take StringIO for something else than a file in memory.
                sys.print_exception(error, trace)  # pyright: ignore[reportArgumentType]
                text = trace.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
                self._note(row[_NAME], text[-TRACE_CHARS_MAX:])
            if self._board.uptime_ms() - began_ms >= STABLE_MS:
                rest_ms = FIRST_REST_MS
            await asyncio.sleep_ms(rest_ms)
            rest_ms = min(2 * rest_ms, LONGEST_REST_MS)

    def _note(self, name: str, trace: str) -> None:
        print(name, "crashed:", trace)
        self.crashed.add(name)
        self.crashes.append([self._boot, self._board.uptime_ms() // 1000, name, trace])
        del self.crashes[:-CRASHES_MAX]
        self._kept.save("crashes", self.crashes)
