"""One sensor's alarm: threshold, hysteresis, mute."""


class Alarm:
    """Raised at the threshold, lowered only when the value is back by the hysteresis.

    Attributes:
        raised: What the last event said.
    """

    def __init__(self, threshold: int, hysteresis: int, below: bool) -> None:
        """Both in the sensor's unit; `below`: too little is the danger (a supply that fails)."""
        self.threshold = threshold
        self.raised = False
        self._hysteresis = hysteresis
        self._below = below
        self._muted_until_ms = 0

    def mute(self, for_s: int, now_ms: int) -> None:
        """Be silent for so long, 0 ends it; what still is above the threshold then, is raised."""
        self._muted_until_ms = now_ms + for_s * 1000

    def muted_s(self, now_ms: int) -> int:
        """Return the seconds of silence left, 0 if it is not muted."""
        return max(0, self._muted_until_ms - now_ms + 999) // 1000

    def look(self, value: int, now_ms: int) -> bool:
        """Take a value; True if `raised` has changed, which is an event."""
        over = self.threshold - value if self._below else value - self.threshold
        raised = over >= 0 or (self.raised and over > -self._hysteresis)
        # Muted: no new alarm, but an end is always told.
        if raised == self.raised or (raised and self.muted_s(now_ms)):
            return False
        self.raised = raised
        return True
