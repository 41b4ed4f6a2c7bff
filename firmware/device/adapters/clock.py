"""The device's clock: the ladder, the board's counters, and what is kept over power cuts.

Kept is the last time known, and with it what the board's own clock is worth, which cannot tell
whether it was set to the truth or to a guess: a number below zero says that it runs from a guess.
"""

from device.domain.clock import ClockLadder
from device.late import make_once
from wire_protocol import clock as quality

KEEP_MS = 600_000  # The last time known is written this often: 144 small writes a day.


class Clock:
    """Time for records and for certificates."""

    def __init__(self, board, kept, built_s: int) -> None:
        self._board = board
        self._kept = kept
        self._ladder = make_once(ClockLadder, built_s)
        now = board.uptime_ms()
        last = kept.load("clock", 0)
        last = last if isinstance(last, int) else 0
        self._ladder.start_at(board.rtc_s(), last > 0, now)
        if not self._ladder.quality:
            self._ladder.start_at(abs(last), False, now)
            if last >= 0:
                # Before the clock is set: a power cut between the two must not make it a truth.
                kept.save("clock", -(self.now_ms() // 1000))
        # Before the first connection: TLS refuses a certificate that is not valid yet.
        self._set_board()
        self._kept_ms = now

    @property
    def quality(self) -> int:
        """Code of wire_protocol.clock."""
        return self._ladder.quality

    def uptime_ms(self) -> int:
        """Ms since the start, never stepping."""
        return self._board.uptime_ms()

    def now_ms(self) -> int:
        """Best guess of Unix time in ms; what it is worth says `quality`."""
        return self._ladder.now_ms(self._board.uptime_ms())

    def plausible(self, unix_ms: int) -> bool:
        """Say whether a time can be true, as far as this device can tell."""
        return self._ladder.plausible(unix_ms)

    def offer(self, source: int, unix_ms: int) -> bool:
        """Take a time from the server or the satellites; True if the clock was set by it."""
        before = self._ladder.quality
        stepped = self._ladder.offer(source, unix_ms, self._board.uptime_ms())
        if stepped:
            self._set_board()
            # Not at every step: where writing makes the loop late, the next fix is late too,
            # steps the clock again, and the device does nothing else any more.
            if self._ladder.quality > before:
                self.keep()
        return stepped

    def stamp(self) -> dict:
        """Return the fields that date a record."""
        return {
            "at": self.now_ms(),
            "clock": quality.NAMES[self.quality],
            "uptime_s": self._board.uptime_ms() // 1000,
        }

    def keep_if_due(self) -> None:
        """Write the time now and then, so that a power cut costs minutes, not years."""
        if self.quality > quality.NONE and self._board.uptime_ms() - self._kept_ms >= KEEP_MS:
            self.keep()

    def keep(self) -> None:
        """Write the time."""
        self._kept_ms = self._board.uptime_ms()
        self._kept.save("clock", self.now_ms() // 1000)

    def _set_board(self) -> None:
        self._board.set_rtc(self.now_ms() // 1000)
