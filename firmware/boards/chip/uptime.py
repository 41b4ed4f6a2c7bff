"""Milliseconds since the start that never wrap: the chip's own counter starts over in 12 days."""

import time


class Uptime:
    """Must be asked at least every six days; the supervisor does so every few seconds."""

    def __init__(self) -> None:
        self._last = time.ticks_ms()
        self._total_ms = 0

    def ms(self) -> int:
        """Milliseconds since this object was made, at the board's start."""
        now = time.ticks_ms()
        self._total_ms += time.ticks_diff(now, self._last)
        self._last = now
        return self._total_ms
