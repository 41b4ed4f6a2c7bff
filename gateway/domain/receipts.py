"""When tracks and readings are receipted (ADR 0002): one receipt for several batches.

A receipt costs about as much as a batch on a mobile link, so it waits until it covers enough. The
cursors behind it move sooner (ADR 0021): another gateway's receipt must not leave out what this
one has stored. Events and results never wait: this policy is not asked for them.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.domain.inbound import Claim, Refused
from wire_protocol.messages import REFUSED_MAX

BATCHES_PER_RECEIPT = 4
# The longest a device waits: a little less than its resend timer for tracks (600 s). Two batches
# of five minutes share a receipt that way.
WAIT_S_MAX = 540
# How far behind the cursors may be. Moving one costs about as much as storing a batch; under load
# one move covers many.
MOVE_S = 1.0
# Streams that are remembered, of ten districts; who is forgotten is receipted at once.
STREAMS_MAX = 60_000


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be receipted now, of one device and epoch; some cursors may have moved before."""

    device: str
    epoch: int
    claims: list[Claim]


@dataclass(slots=True)
class _Pending:
    epoch: int
    since_s: float
    claims: list[Claim] = field(default_factory=list)
    moved: int = 0  # How many of them are in the cursors.


@dataclass(slots=True)
class _Receipted:
    epoch: int
    upto: int
    singles: frozenset[int]


class ReceiptPolicy:
    """What is committed and not yet receipted, by device. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._pending: OrderedDict[str, _Pending] = OrderedDict()  # The oldest first.
        self._ready: dict[str, None] = {}
        self._eager: set[str] = set()
        self._receipted: dict[tuple[str, str], _Receipted] = {}
        self._fresh: set[str] = set()
        self._replaced: list[Due] = []
        self._unmoved: dict[str, None] = {}
        self._moved_s = 0.0

    def connected(self, device: str) -> None:
        """A new connection of the device began: its first batch is receipted at once."""
        self._fresh.add(device)
        if device in self._pending:
            # It is about to send all of that again; or its first batch was quicker than this.
            self._ready[device] = None

    def sos_is_open(self, device: str, *, is_open: bool) -> None:
        """While an SOS is open nothing of its device waits."""
        if is_open:
            self._eager.add(device)
            if device in self._pending:
                self._ready[device] = None
        else:
            self._eager.discard(device)

    def committed(self, claim: Claim, now_s: float, *, at_once: bool = False) -> bool:
        """Note a batch that is stored, or refused for good; True when it was stored before.

        Args:
            claim: Its place in its stream.
            now_s: The time of this commit.
            at_once: Do not wait with its receipt.
        """
        device = claim.device
        pending = self._pending.get(device)
        if pending is not None and pending.epoch != claim.epoch:
            # A new journal: what is pending of the old one is receipted for itself.
            self._replaced.append(Due(device, pending.epoch, pending.claims))
            del self._pending[device]
            pending = None
        if pending is None:
            pending = self._pending[device] = _Pending(claim.epoch, now_s)
        known = self._receipted.get((device, claim.stream))
        duplicate = _is_known(claim, known) or claim in pending.claims[:BATCHES_PER_RECEIPT]
        pending.claims.append(claim)
        self._unmoved[device] = None
        if (
            at_once
            or duplicate
            or known is None
            or device in self._fresh
            or device in self._eager
            or len(pending.claims) >= BATCHES_PER_RECEIPT
        ):
            self._ready[device] = None
            self._fresh.discard(device)
        return duplicate

    def due(self, now_s: float) -> list[Due]:
        """Take out everything that is to be receipted now."""
        for device, pending in self._pending.items():
            if now_s - pending.since_s < WAIT_S_MAX:
                break
            self._ready[device] = None
        return self._take(list(self._ready))

    def to_move(self, now_s: float) -> list[Claim]:
        """Take the claims whose cursors should move now although no receipt is due."""
        if now_s - self._moved_s < MOVE_S:
            return []
        self._moved_s = now_s
        claims: list[Claim] = []
        for device in self._unmoved:
            pending = self._pending.get(device)
            if pending is not None:
                claims += pending.claims[pending.moved :]
                pending.moved = len(pending.claims)
        self._unmoved.clear()
        return claims

    def all(self) -> list[Due]:
        """Take out everything: this gateway ends."""
        return self._take(list(self._pending))

    def receipted(self, key: tuple[str, int, str], upto: int, singles: list[int]) -> None:
        """Note where the cursor of (device, epoch, stream) stands after a receipt."""
        if len(self._receipted) >= STREAMS_MAX:
            self._receipted.clear()
        device, epoch, stream = key
        self._receipted[device, stream] = _Receipted(epoch, upto, frozenset(singles))

    def _take(self, devices: list[str]) -> list[Due]:
        found, self._replaced = self._replaced, []
        for device in devices:
            pending = self._pending.pop(device, None)
            if pending is not None:
                found.append(Due(device, pending.epoch, pending.claims))
        self._ready.clear()
        return found


def _is_known(claim: Claim, known: _Receipted | None) -> bool:
    return (
        known is not None
        and known.epoch == claim.epoch
        and (claim.last <= known.upto or claim.first in known.singles)
    )


def refused_events(items: Iterable[Refused]) -> dict[tuple[str, int], list[int]]:
    """Return the seqs of refused events, by device and epoch, as many as a receipt names.

    What is refused is receipted like what is stored, so that it blocks nothing. An SOS's wearer
    must not take it for stored.
    """
    found: dict[tuple[str, int], list[int]] = {}
    for item in items:
        claim = item.claim
        if claim is None or claim.stream != "event":
            continue
        seqs = found.setdefault((claim.device, claim.epoch), [])
        if claim.first not in seqs and len(seqs) < REFUSED_MAX:
            seqs.append(claim.first)
    return found
