"""Tells whether the workers still move: one that hangs is as bad as one that died."""

import threading
import time

# Longer than any wait that a worker may meet: a database's lock or statement 10 s, InfluxDB 30 s.
STALLED_S = 90.0


class Pulse:
    """Each worker beats; whoever watches asks who has not for too long."""

    def __init__(self) -> None:
        self._beats: dict[str, float] = {}

    def beat(self) -> None:
        """Say that the calling thread still moves."""
        self._beats[threading.current_thread().name] = time.monotonic()

    def stalled(self) -> list[str]:
        """Return the threads that have not moved for STALLED_S."""
        now_s = time.monotonic()
        return [name for name, beat_s in self._beats.items() if now_s - beat_s > STALLED_S]
