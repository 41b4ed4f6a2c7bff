"""How many refused messages are kept for inspection: enough to see why, never a flood.

A device gone mad, or a retired one that nobody switched off, sends the same again for ever. What
is beyond the budget is receipted and counted as ever, only not written to the disk.
"""

# Rows of one device that may come at once, and how fast room for more returns.
BURST_ROWS = 20
ROWS_AN_HOUR = 60
DEVICES_MAX = 10_000


class QuarantineBudget:
    """A leaky bucket for each device. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._levels: dict[str, tuple[float, float]] = {}  # device -> (rows, as of)

    def room(self, device: str, now_s: float) -> int:
        """Return how many more rows of a device may be kept now."""
        return int(BURST_ROWS - self._rows(device, now_s))

    def charge(self, device: str, rows: int, now_s: float) -> None:
        """Count rows that were kept."""
        level = self._rows(device, now_s) + rows
        if len(self._levels) >= DEVICES_MAX and device not in self._levels:
            self._levels.clear()
        self._levels[device] = (level, now_s)

    def _rows(self, device: str, now_s: float) -> float:
        rows, as_of_s = self._levels.get(device, (0.0, now_s))
        return max(0.0, rows - (now_s - as_of_s) * ROWS_AN_HOUR / 3600)
