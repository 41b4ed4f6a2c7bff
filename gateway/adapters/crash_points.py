"""Named points between receiving and publishing, at which a test can kill this very process.

`XUNHU_GATEWAY_STOP_AT=committed` (either path), `urgent.committed`, or `bulk.committed:20` (the
twentieth time). Nothing is simulated: the process sends SIGKILL to itself, as the kernel or a
power cut would.
"""

import os
import signal
import threading

from gateway.errors import GatewayError

PATHS = ("urgent", "bulk")
POINTS = ("received", "committed", "receipted", "published")


class CrashPoints:
    """Counts how often the point that was asked for is reached, and dies there."""

    def __init__(self, stop_at: str) -> None:
        name, _, times = stop_at.partition(":")
        path, _, point = name.rpartition(".")
        if stop_at and (
            point not in POINTS or path not in ("", *PATHS) or not (times or "1").isdigit()
        ):
            raise GatewayError(
                f"XUNHU_GATEWAY_STOP_AT={stop_at!r}, not [urgent.|bulk.]{'|'.join(POINTS)}[:COUNT]"
            )
        self._points = frozenset(f"{one}.{point}" for one in PATHS if path in ("", one))
        self._left = int(times or "1")
        self._lock = threading.Lock()

    def reach(self, path: str, point: str) -> None:
        """Say that a point is reached."""
        if f"{path}.{point}" not in self._points:
            return
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
