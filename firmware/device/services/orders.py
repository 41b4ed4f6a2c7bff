"""Commands, each run once: the ledger of those that came, and those that wait for their answer.

Both are one file, written before a command runs: the power may go anywhere, and each command that
came is answered, once. What is about to be answered is kept with the seq of its result before that
is sealed, so that the next start knows whether it was.
"""

import binascii

from device.late import forget

WAITING_MAX = 4  # More are refused as busy.


class Orders:
    """What a device has taken, and not yet answered.

    Attributes:
        waiting: Command id -> uptime in ms at which it expires.
        ledger: The ids that came, 8 bytes each, one behind the other.
    """

    def __init__(self, kept, clock, logbook) -> None:
        self._kept = kept
        self._clock = clock
        self._logbook = logbook
        self.waiting = {}
        ledger, rows = kept.load("orders", ("", {}))
        self.ledger = binascii.unhexlify(ledger)
        # What waited when the power went is not known any more, and that is the answer. What
        # `changes` answers, because it restarts the device on purpose, is its own.
        _, trial, answer = kept.load("changes") or ({}, (), ())
        own = [trial[0] if trial else None, answer[1] if answer else None]
        if answer and answer[0] == logbook.journal.next_seq("result"):
            # Before any other result takes the seq that was kept for it.
            logbook.result(*answer[1:])
        tasks = kept.load("tasks")
        if tasks:
            from device.services.terminal_orders import resume

            own += resume(self.waiting, tasks, rows, logbook)
            forget("device.services.terminal_orders")
        for command in rows:
            if command in own:
                continue
            if rows[command] == 0:
                self.waiting[command] = 0
            elif rows[command] >= logbook.journal.next_seq("result"):
                logbook.result(command, "failed", "restarted")
        for command in list(self.waiting):
            if command not in own:
                self.finish(command, "failed", "restarted")

    def finish(self, command: str, status: str, reason: str = "", data=None) -> None:
        """Answer a command that waited."""
        if self.waiting.pop(command, None) is not None:
            self.keep({command: self._logbook.journal.next_seq("result")})
            self._logbook.result(command, status, reason, data)

    def expire(self) -> list:
        """Answer what waited too long; returns the ids."""
        now = self._clock.uptime_ms()
        late = [command for command in self.waiting if self.waiting[command] <= now]
        for command in late:
            self.finish(command, "expired", "time to live")
        return late

    def keep(self, rows: dict) -> bool:
        """Write down what came and what waits, beside `rows`; False if the flash refuses."""
        for command in self.waiting:
            rows[command] = 0
        return self._kept.save("orders", (binascii.hexlify(self.ledger).decode(), rows))
