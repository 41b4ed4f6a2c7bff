"""One browser's outlet: bounded, numbered, never waited for.

The hub offers deltas and goes on at once. When a browser reads too slowly, what waits for it is
thrown away and it gets a fresh snapshot once it reads again: the truth, only less often.
"""

import asyncio
from dataclasses import dataclass

from fleet_api.kit.unit import Caller

# Some ten seconds of a district of 1,436 terminals at full rate, or 1.5 MB.
PENDING_MAX = 5_000


@dataclass(frozen=True)
class Batch:
    """What to send next: numbered deltas, each already JSON."""

    seq: int
    deltas: list[str]


class Viewer:
    """What one live view still has to send."""

    def __init__(self, caller: Caller, view_id: str, *, pending_max: int = PENDING_MAX) -> None:
        self.caller = caller
        self.scope = caller.scope
        self.view_id = view_id
        self.needs_snapshot = True
        self.end_code: int | None = None
        self.resyncs = 0
        self._pending_max = pending_max
        self._pending: list[str] = []
        self._notices: list[str] = []
        self._seq = 0
        self._wake = asyncio.Event()

    def offer(self, delta: str) -> None:
        """Queue a delta; too many, and a snapshot will stand for all of them."""
        if self.needs_snapshot:
            return  # The snapshot is not built yet: it will hold this.
        if len(self._pending) >= self._pending_max:
            self.resync()
            return
        self._pending.append(delta)
        self._wake.set()

    def notify(self, notice: str) -> None:
        """Queue a message without a number; the newest one stands for those before."""
        self._notices = [notice]
        self._wake.set()

    def resync(self) -> None:
        """Let a snapshot stand for everything up to now."""
        if not self.needs_snapshot:
            self.resyncs += 1
        self.needs_snapshot = True
        self._pending.clear()
        self._wake.set()

    def end(self, code: int) -> None:
        """Close the view with a WebSocket close code."""
        self.end_code = code
        self._wake.set()

    def begin_snapshot(self) -> None:
        """Collect deltas from here on: the snapshot is read after this call, so none is lost."""
        self.needs_snapshot = False
        self._pending.clear()
        self._seq = 0

    def take(self) -> Batch | None:
        """Return everything that waits, as one numbered message."""
        if not self._pending:
            return None
        deltas, self._pending = self._pending, []
        self._seq += 1
        return Batch(self._seq, deltas)

    def take_notices(self) -> list[str]:
        """Return the messages without a number."""
        notices, self._notices = self._notices, []
        return notices

    async def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to do; False after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True
