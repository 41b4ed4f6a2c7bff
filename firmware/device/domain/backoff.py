"""How long to wait before the next try: doubling, with jitter, and not fooled by a quick kick.

Loaded when a connection ended, then dropped; what it remembers between two tries lies with its
user.
"""

FIRST_MS = 1_000
LONGEST_MS = 60_000  # Once a broker is back, everybody is within this.
# While an SOS is open the battery and the broker matter less than the seconds.
URGENT_FIRST_MS = 250
URGENT_LONGEST_MS = 8_000
URGENT_STABLE_MS = 3_000  # Where each connection lives for seconds only, waits may not grow.

# A broker that accepts and throws out at once must not be asked once a second by a whole
# district: only a connection that lived this long counts as a success.
STABLE_MS = 30_000


class Backoff:
    """One peer's back-off.

    Args:
        random_below: Chance is passed in: `random_below(n)` gives 0..n-1.
        return_s: A connection that lived and was lost although the network is there was probably
            lost by everybody at once. They come back spread over so many seconds, and who finds
            the broker still away takes half of that for the next try: 35 s let a district of
            1,436 terminals make fewer than 100 connections a second.
        memory: [failures in a row, whether the last loss was the broker's]; changed in place.
    """

    def __init__(self, random_below, return_s: int = 0, memory: list | None = None) -> None:
        self._random_below = random_below
        self._return_ms = return_s * 1000
        self._memory = memory or [0, False]

    def after(self, lived_ms: int, urgent: bool, network: bool = False) -> int:
        """Return the wait in ms before the next try.

        Args:
            lived_ms: How long the connection lived, 0 if it never came up.
            urgent: An SOS is open.
            network: There is a network all the same: the broker is what was lost.
        """
        memory = self._memory
        if lived_ms >= (URGENT_STABLE_MS if urgent else STABLE_MS):
            memory[0], memory[1] = 0, network
            if network and not urgent and self._return_ms:
                return self._random_below(self._return_ms)
        first = URGENT_FIRST_MS if urgent else FIRST_MS
        if memory[1] and self._return_ms and not urgent:
            first = self._return_ms // 2
        longest = URGENT_LONGEST_MS if urgent else LONGEST_MS
        wait_ms = min(first << min(memory[0], 10), longest)
        memory[0] += 1
        # Half fixed, half chance: a district that lost its broker does not come back as one.
        return wait_ms // 2 + self._random_below(wait_ms // 2 + 1)
