"""The GNSS receiver's line: bytes arrive in pieces of any size, as on a UART.

What they say comes from a source chosen in rig.json (`path`, `log`), from the control socket
(`feed`), or both.
"""

import asyncio

import rig

_WAITING_BYTES_MAX = 4096  # As the chip's UART buffer: what nobody reads in time is lost.
_SLICE_BYTES_MAX = 64
MODES = ("fix", "no_fix", "silent")


class Receiver:
    """Answers `readinto` like the UART stream of a real board."""

    def __init__(self, wired: dict) -> None:
        self.fed = None  # [Unix ms, lat_e6, lon_e6] of the newest position that was sent.
        self.mode = "fix"
        self._random = wired.get("seed", 1) | 1
        self._slice_max = wired.get("slice_bytes", _SLICE_BYTES_MAX)
        self._waiting, self._read = b"", 0  # What came, and how much of it was read.
        self._came = asyncio.Event()
        self._taken = asyncio.Event()
        self._task = None
        source = self._open_source(wired)
        if source:
            self._task = asyncio.create_task(source.run(self))

    async def readinto(self, buffer: bytearray) -> int:
        """Wait for bytes and put some of them into `buffer`; returns how many."""
        while not self._left():
            self._came.clear()
            await self._came.wait()
        # Numerical Recipes' generator: all that is asked of it is that the cuts move about.
        self._random = (self._random * 1664525 + 1013904223) & 0xFFFFFFFF
        count = min(1 + (self._random >> 16) % self._slice_max, len(buffer), self._left())
        # No copies: what a fix allocates is measured here, and a UART makes none.
        buffer[:count] = memoryview(self._waiting)[self._read : self._read + count]
        self._read += count
        self._taken.set()
        return count

    def put(self, data: bytes) -> None:
        """Bytes come in over the line; too many at once lose the oldest."""
        self._waiting = (self._waiting[self._read :] + data)[-_WAITING_BYTES_MAX:]
        self._read = 0
        self._came.set()

    def put_position(self, data: bytes, at_ms: int, lat_e6: int, lon_e6: int) -> None:
        """Bytes come in that tell a position; remembered for who compares."""
        if self.mode == "silent":
            return
        if self.mode == "fix":
            self.fed = [at_ms, lat_e6, lon_e6]
            rig.witness("fed", at_ms, lat_e6, lon_e6)
        self.put(data)

    async def feed(self, data: bytes) -> None:
        """Send bytes from outside, no faster than they are read."""
        while self._left() + len(data) > _WAITING_BYTES_MAX:
            self._taken.clear()
            await self._taken.wait()
        self.put(data)

    def _left(self) -> int:
        return len(self._waiting) - self._read

    def set_mode(self, mode: str) -> None:
        """Choose between a good view of the sky, a bad one, and a cut wire."""
        if mode not in MODES:
            raise ValueError("mode is none of " + " ".join(MODES))
        rig.witness("receiver", mode)
        self.mode = mode

    def _open_source(self, wired: dict) -> object:
        kind = wired["kind"]
        if kind == "path":
            from board.receiver_path import Path

            return Path(wired)
        if kind == "log":
            from board.receiver_log import Log

            return Log(wired)
        return None
