"""Commands that take time: a message that must be read, a position that must be found.

They wait here for their answer until their deadline; `told` takes them in.
"""

WAITING_MAX = 4  # More are refused as busy.


class Orders:
    """What a device has accepted and not yet answered.

    Attributes:
        waiting: Command id -> uptime in ms at which it expires.
    """

    def __init__(self, kept, clock, logbook) -> None:
        self._kept = kept
        self._clock = clock
        self._logbook = logbook
        self.waiting = {}
        # What waited when the power went is not known any more, and that is the answer.
        for command in kept.load("waiting", []):
            logbook.result(command, "failed", "restarted")
        self.keep()

    def finish(self, command: str, status: str, reason: str = "", data=None) -> None:
        """Answer a command that waited."""
        if self.waiting.pop(command, None) is not None:
            self._logbook.result(command, status, reason, data)
            self.keep()

    def expire(self) -> list:
        """Answer what waited too long; returns the ids."""
        now = self._clock.uptime_ms()
        late = [command for command in self.waiting if self.waiting[command] <= now]
        for command in late:
            self.finish(command, "expired", "time to live")
        return late

    def keep(self) -> None:
        """Write down which commands wait."""
        self._kept.save("waiting", list(self.waiting))
