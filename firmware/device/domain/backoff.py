"""How long to wait before the next try: doubling, with jitter, and not fooled by a quick kick."""

FIRST_MS = 1_000
LONGEST_MS = 120_000
URGENT_LONGEST_MS = 8_000  # While an SOS is open: the battery matters less than the seconds.

# A broker that accepts and throws out at once must not be asked once a second by a whole
# district: only a connection that lived this long counts as a success.
STABLE_MS = 30_000


class Backoff:
    """One peer's back-off. Chance is passed in: `random_below(n)` gives 0..n-1."""

    def __init__(self, random_below) -> None:
        self._random_below = random_below
        self._failures = 0

    def after(self, lived_ms: int, urgent: bool) -> int:
        """Return the wait in ms after a try that failed (0) or a connection that lived so long."""
        if lived_ms >= STABLE_MS:
            self._failures = 0
        longest = URGENT_LONGEST_MS if urgent else LONGEST_MS
        wait_ms = min(FIRST_MS << min(self._failures, 10), longest)
        self._failures += 1
        # Half fixed, half chance: a district that lost its broker does not come back as one.
        return wait_ms // 2 + self._random_below(wait_ms // 2 + 1)
