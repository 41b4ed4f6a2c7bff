"""Which fixes are kept, and when a batch of them is sealed.

Off duty nothing is kept but in an SOS. Walking keeps a fix every 5 s, standing still one a minute,
an SOS every one for 15 minutes behind each press, then one every 5 s. A batch ends after 12 fixes
or 60 s; while somebody watches and while an SOS is open every fix is a batch of its own.
"""

from wire_protocol.fix import Fix

MOVING_GAP_MS = 5_000
STILL_GAP_MS = 60_000
SOS_GAP_MS = 1_000
# No batch is open so long (`batch_s`): times further apart are those of a clock that leaped, and a
# batch of them may be more than the wire can say.
SPAN_MS_MAX = 3_600_000
# Somebody forgot to close it, or nobody comes: the battery must last for whoever does come.
SOS_DENSE_MS = 900_000
# A receiver that lies on a table says 5 to 30 cm/s; a slow walk is 60.
MOVING_CMS = 50
MOVED_M = 15  # Off the last fix kept by more than a receiver's noise: it moves, whatever it says.
STILL_AFTER_MS = 30_000
# Receivers print a time once a second, not exactly every 1000 ms by our clock.
SLACK_MS = 200
_UM_PER_E6 = 111_320  # Micrometres to one 1e-6 degree of latitude.


class Recorder:
    """Fixes of one terminal, on their way into batches."""

    def __init__(self, batch_fixes: int, batch_s: int) -> None:
        self._batch_fixes = batch_fixes
        self._batch_ms = batch_s * 1000
        # The times of all but the first count from there: a time since 1970 in ms is a big
        # integer, which takes as much heap as the rest of a fix.
        self._fixes = []
        self._quality = 0
        self._began_ms = 0
        self._kept_ms = None
        self._kept_fix = None
        self._moved_ms = 0

    def offer(self, fix: Fix, quality: int, now_ms: int, sos_ms: int | None) -> bool:
        """Take a fix of a terminal that may record; True if it was kept.

        Args:
            fix: Dated by a clock of this quality; ask `must_seal` before.
            quality: Code of wire_protocol.clock.
            now_ms: Uptime.
            sos_ms: How long ago SOS was pressed last; None when none is open.
        """
        if (fix.speed_cms or 0) >= MOVING_CMS or self._is_elsewhere(fix):
            self._moved_ms = now_ms
            gap = MOVING_GAP_MS
        else:
            gap = STILL_GAP_MS if now_ms - self._moved_ms >= STILL_AFTER_MS else MOVING_GAP_MS
        if sos_ms is not None:
            gap = SOS_GAP_MS if sos_ms < SOS_DENSE_MS else MOVING_GAP_MS
        if self._kept_ms is not None and now_ms - self._kept_ms < gap - SLACK_MS:
            return False
        if not self._fixes:
            self._began_ms = now_ms
            self._quality = quality
            self._fixes.append(fix)
        else:
            self._fixes.append((fix.at_ms - self._fixes[0].at_ms,) + fix[1:])
        self._kept_ms = now_ms
        self._kept_fix = fix
        return True

    def must_seal(self, fix: Fix, quality: int) -> bool:
        """Say whether this fix cannot join the batch: its clock is another, or it leaped."""
        batch = self._fixes
        return bool(batch) and (
            quality != self._quality
            or not self._kept_fix.at_ms <= fix.at_ms <= batch[0].at_ms + SPAN_MS_MAX
        )

    def is_due(self, now_ms: int, live: bool) -> bool:
        """Say whether the batch is to be sealed now; `live`: watched, or an SOS is open."""
        batch = self._fixes
        if not batch:
            return False
        full = len(batch) >= self._batch_fixes or now_ms - self._began_ms >= self._batch_ms
        return live or full

    def take(self) -> tuple:
        """Return (clock quality, fixes) of the batch and begin a new one."""
        fixes, self._fixes = self._fixes, []
        for place in range(1, len(fixes)):
            row = fixes[place]
            fixes[place] = Fix(fixes[0].at_ms + row[0], *row[1:])
        return self._quality, fixes

    def _is_elsewhere(self, fix: Fix) -> bool:
        if self._kept_fix is None:
            return True
        # Degrees of longitude are shorter than this outside the equator: it errs to the safe side.
        off = abs(fix.lat_e6 - self._kept_fix.lat_e6) + abs(fix.lon_e6 - self._kept_fix.lon_e6)
        return off * _UM_PER_E6 // 1_000_000 >= MOVED_M
