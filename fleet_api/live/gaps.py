"""Which messages of the live bus are missing: pure.

Every producer numbers its messages 1, 2, 3... from its own start. Anything but the next number
means that something was lost, or that the producer began again: both call for a snapshot.
"""

PRODUCERS_MAX = 1_000  # Instances of gateways and API processes, with those long gone.


class Gaps:
    """The last number heard of each producer."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def complete(self, producer: str, number: int) -> bool:
        """Note a message; False when others of this producer may have been lost before it."""
        before = self._last.pop(producer, 0)
        if len(self._last) >= PRODUCERS_MAX:
            self._last.pop(next(iter(self._last)))
        self._last[producer] = number
        return number == before + 1

    def forget(self) -> None:
        """Begin anew, after a time without the bus."""
        self._last.clear()
