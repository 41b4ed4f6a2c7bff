"""How much may flow in a time: a bucket that fills evenly, and never holds more than some seconds.

Times are passed in, in seconds of any clock that does not step.
"""

BURST_S = 2.0


class Flow:
    """One bucket, full at first."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._most = per_s * BURST_S
        self._left = self._most
        self._at_s: float | None = None

    def has(self, amount: int, now_s: float) -> bool:
        """Tell whether so much may flow now."""
        if self._at_s is not None:
            self._left = min(self._most, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return self._left >= amount

    def take(self, amount: int, now_s: float) -> bool:
        """Let so much flow; False, and nothing taken, when it is too much now."""
        if not self.has(amount, now_s):
            return False
        self._left -= amount
        return True
