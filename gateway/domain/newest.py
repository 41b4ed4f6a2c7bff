"""Which fix of a device is worth showing: none that is older than the one shown before."""

from storage.telemetry.interface import TrackRow
from storage.telemetry.newest import Mark, is_newer

# Ten districts; more are compared from anew, and the API compares once more.
DEVICES_MAX = 20_000


class NewestPositions:
    """The newest fix of each device that this gateway has stored."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}

    def admit(self, row: TrackRow) -> bool:
        """Take the last fix of a batch; False when a newer one is known (a batch sent again)."""
        mark = Mark(row.clock > 0, row.epoch, row.seq, row.last_ms, row.received_ms)
        known = self._marks.get(row.device)
        if known is not None and not is_newer(mark, known):
            return False
        if known is None and len(self._marks) >= DEVICES_MAX:
            self._marks.clear()
        self._marks[row.device] = mark
        return True
