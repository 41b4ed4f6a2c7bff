"""When a receipt for tracks and readings goes out (ADR 0002): one for several batches.

A receipt costs about as much as a batch on a mobile link, so it waits until it covers enough.
Events and results never wait: this policy is not asked for them.
"""

from dataclasses import dataclass, field

BATCHES_PER_RECEIPT = 4
# The longest a device waits; its resend timer for tracks (600 s) is longer.
WAIT_MS_MAX = 240_000


@dataclass(slots=True)
class _Pending:
    epoch: int
    streams: dict[str, list[int]] = field(default_factory=dict)
    batches: int = 0
    since_ms: int = 0
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """One receipt to send: for each stream `[upto, single...]`."""

    device: str
    epoch: int
    streams: dict[str, list[int]]


class ReceiptPolicy:
    """What is committed and not yet receipted, by device; bounded by the number of devices."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._eager: set[str] = set()
        self._fresh: set[str] = set()

    def connected(self, device: str) -> None:
        """A new connection of the device began: its first batch is receipted at once."""
        self._fresh.add(device)

    def sos_is_open(self, device: str, is_open: bool) -> None:
        """While an SOS is open nothing of its device waits."""
        (self._eager.add if is_open else self._eager.discard)(device)

    def committed(  # noqa: PLR0913 - the facts of one commit
        self, device: str, epoch: int, stream: str, cursor: list[int], *,
        batches: int, duplicate: bool, now_ms: int,
    ) -> None:  # fmt: skip
        """Note committed batches of one stream.

        Args:
            device: Whose they are.
            epoch: Of its journal; a new one replaces what was pending of the old.
            stream: track or reading.
            cursor: `[upto, single...]` after the commit.
            batches: How many messages this covers.
            duplicate: One of them was stored before, so a receipt of ours was lost.
            now_ms: The time of this commit.
        """
        pending = self._pending.get(device)
        if pending is None or pending.epoch != epoch:
            pending = self._pending[device] = _Pending(epoch, since_ms=now_ms)
        pending.streams[stream] = cursor
        pending.batches += batches
        pending.urgent |= duplicate or device in self._eager or device in self._fresh
        self._fresh.discard(device)

    def due(self, now_ms: int) -> list[Receipt]:
        """Take out every receipt that should go now."""
        ready = [
            device
            for device, pending in self._pending.items()
            if pending.urgent
            or pending.batches >= BATCHES_PER_RECEIPT
            or not 0 <= now_ms - pending.since_ms < WAIT_MS_MAX  # also after a clock step
        ]
        receipts = []
        for device in ready:
            pending = self._pending.pop(device)
            receipts.append(Receipt(device, pending.epoch, pending.streams))
        return receipts
