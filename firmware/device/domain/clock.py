"""Which source of time to believe: the ladder build date < carried on < server < satellites.

Unix time = uptime + offset; the uptime never steps, so nothing is ordered by the wall clock.
"""

from wire_protocol import clock as quality

YEARS_20_S = 20 * 31_557_600
# For so long a better source that fell silent outranks a worse one: at 20 ppm, 2 s adrift.
TRUST_MS = 24 * 3_600_000
# Smaller corrections by the satellites are noise: fixes wait for their line.
JITTER_MS = 2_000
# What the server says has passed when it comes here, perhaps for long: it corrects a clock that is
# behind, and one that is ahead by no more than a receipt may have travelled it does not.
BEHIND_MS, TRAVEL_MS = 300, 60_000


class ClockLadder:
    """The clock of one boot.

    Attributes:
        quality: A code of wire_protocol.clock: how `now_ms` came about.
        steps: How often the clock was set.
    """

    def __init__(self, built_s: int) -> None:
        """Start at the build date: no knowledge, only a bound for what is believed."""
        self.quality = quality.NONE
        self.steps = 0
        self._built_s = built_s
        self._offset_ms = built_s * 1000
        self._heard_ms = 0

    def plausible(self, unix_ms: int) -> bool:
        """Say whether a time lies from the build date to 20 years after it."""
        return 0 <= unix_ms // 1000 - self._built_s <= YEARS_20_S

    def start_at(self, unix_s: int, kept_running: bool, uptime_ms: int) -> None:
        """Carry on from a time kept over a restart.

        Args:
            unix_s: That time.
            kept_running: A real-time clock counted on; False: it is when we last knew the time,
                good enough for certificates but not for dating a record.
            uptime_ms: Now.
        """
        if self.plausible(unix_s * 1000) and unix_s * 1000 > self.now_ms(uptime_ms):
            self._offset_ms = unix_s * 1000 - uptime_ms
            if kept_running:
                self.quality = quality.RTC

    def offer(self, source: int, unix_ms: int, uptime_ms: int) -> bool:
        """Take the time from a source (quality.SERVER or GNSS); True if the clock was set."""
        if not self.plausible(unix_ms):
            return False
        if source < self.quality and uptime_ms - self._heard_ms < TRUST_MS:
            return False
        self._heard_ms = uptime_ms
        if source == self.quality:
            is_server = source == quality.SERVER
            most, least = (BEHIND_MS, -TRAVEL_MS) if is_server else (JITTER_MS, -JITTER_MS)
            if least < unix_ms - self.now_ms(uptime_ms) < most:
                return False
        self.quality = source
        self._offset_ms = unix_ms - uptime_ms
        self.steps += 1
        return True

    def now_ms(self, uptime_ms: int) -> int:
        """Return the best guess of Unix time in ms."""
        return self._offset_ms + uptime_ms
