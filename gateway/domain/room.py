"""How much may wait in memory, in messages and in bytes; whoever wants in is told yes or no."""

# What Python keeps beside the payload of a message that waits.
MESSAGE_BYTES = 600
_CROWDED = 0.9
_ROOMY = 0.5


class Room:
    """Bounded room with one thread that brings and one that takes away.

    Each thread writes a counter of its own, so that neither needs a lock.
    """

    def __init__(self, messages_max: int, bytes_max: int) -> None:
        self.messages_max = messages_max
        self.bytes_max = bytes_max
        self._crowded_messages = messages_max * _CROWDED
        self._crowded_bytes = bytes_max * _CROWDED
        self._brought_messages = self._brought_bytes = 0
        self._taken_messages = self._taken_bytes = 0

    @property
    def messages(self) -> int:
        """Messages that wait."""
        return self._brought_messages - self._taken_messages

    @property
    def bytes(self) -> int:
        """Bytes they take."""
        return self._brought_bytes - self._taken_bytes

    def bring(self, payload_bytes: int, share: float = 1.0) -> bool:
        """Ask for room; False when more than `share` (0..1) of it would be used."""
        if (
            self._brought_messages - self._taken_messages >= self.messages_max * share
            or self._brought_bytes - self._taken_bytes >= self.bytes_max * share
        ):
            return False
        self._brought_messages += 1
        self._brought_bytes += payload_bytes + MESSAGE_BYTES
        return True

    def take_away(self, payload_bytes: int) -> None:
        """Give the room of one message back."""
        self._taken_messages += 1
        self._taken_bytes += payload_bytes + MESSAGE_BYTES

    @property
    def is_crowded(self) -> bool:
        """True when no more should come."""
        return self.messages >= self._crowded_messages or self.bytes >= self._crowded_bytes

    @property
    def is_roomy(self) -> bool:
        """True when more may come again."""
        return self.messages < self.messages_max * _ROOMY and self.bytes < self.bytes_max * _ROOMY
