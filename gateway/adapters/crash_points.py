"""Named points between receiving and publishing, at which a test can kill this very process.

`XUNHU_GATEWAY_STOP_AT=committed` or `committed:20` (the twentieth time). Nothing is simulated: the
process sends SIGKILL to itself, as the kernel or a power cut would.
"""

import os
import signal
import threading

from gateway.errors import GatewayError

POINTS = ("received", "committed", "receipted", "published")


class CrashPoints:
    """Counts how often each point is reached; dies at the one that was asked for."""

    def __init__(self, stop_at: str) -> None:
        self._name, _, times = stop_at.partition(":")
        if stop_at and (self._name not in POINTS or not (times or "1").isdigit()):
            raise GatewayError(
                f"XUNHU_GATEWAY_STOP_AT={stop_at!r}: not one of {', '.join(POINTS)}, or NAME:COUNT"
            )
        self._left = int(times or "1")
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        """Say that a point is reached."""
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
