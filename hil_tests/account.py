"""The promise after every run: what a device sealed is stored once, whole, and nothing else is."""

import time
from collections import Counter
from dataclasses import dataclass, field

from hil_tests.board import Board, Key
from hil_tests.receiver import Fix
from hil_tests.servers import Servers

STREAMS = ("track", "reading", "event", "result")


@dataclass
class Account:
    """One device: what its board saw it seal, and what the stores hold.

    Attributes:
        sealed: None when the board cannot see it; then the device's own word counts that it
            holds nothing more, and that no number is missing.
    """

    sealed: dict[Key, int] | None
    stored: dict[Key, int]
    doubled: list[Key]
    dropped: list[tuple[str, int, int, int]]  # stream, epoch, first, count
    held: int | None  # Records that the device still holds, as it says.
    owed: dict[Key, int] | None = None  # What must be stored, if that is less than all sealed.
    fixes: list[Fix] = field(default_factory=list)

    def missing(self) -> list[Key]:
        """Sealed records that are neither stored nor named in a dropped range."""
        return [
            key
            for key in (self.sealed if self.owed is None else self.owed) or {}
            if key not in self.stored and not any(_covers(row, key) for row in self.dropped)
        ]

    def is_at_rest(self) -> bool:
        """Tell whether nothing more will come."""
        return self.held == 0 if self.sealed is None else not self.missing()

    def problems(self, fed: set[Fix] | None, since_s: int = 0, pulls: int = 0) -> list[str]:
        """Return what breaks the promise, in words; nothing is well.

        Args:
            fed: What the receiver said since the run began; None when nobody knows.
            since_s: When that was; a bench board has older fixes in the stores.
            pulls: How often the battery was pulled: each time the board may die between a
                record's last byte in the flash and telling that it is there.
        """
        found = [f"{key} is stored twice" for key in self.doubled]
        found += [f"{key} was sealed and is not stored" for key in self.missing()]
        if self.sealed is not None:
            unseen = [key for key in self.stored if key not in self.sealed]
            if len(unseen) > pulls:
                found += [f"{key} is stored and was never sealed" for key in unseen]
            found += [f"{key} is stored in another shape than sealed"
                      for key, count in self.stored.items()
                      if self.sealed.get(key, count) != count]  # fmt: skip
        elif self.held:
            found.append(f"the device still holds {self.held} records")
        found += self._holes()
        if fed is not None:
            found += [f"fix {fix} was never said by the receiver"
                      for fix in self.fixes if fix[0] >= since_s and fix not in fed]  # fmt: skip
        return found

    def _holes(self) -> list[str]:
        found = []
        for stream, epoch in sorted({key[:2] for key in self.stored}):
            numbers = {
                number
                for (name, of, first), count in self.stored.items()
                if (name, of) == (stream, epoch)
                for number in range(first, first + count)
            }
            for name, of, first, count in self.dropped:
                if (name, of) == (stream, epoch):
                    numbers |= set(range(first, first + count))
            # A bench board's journal may be older than these stores.
            low = 1 if self.sealed is not None else min(numbers)
            holes = sorted(set(range(low, max(numbers) + 1)) - numbers)
            if holes:
                found.append(f"{stream} of epoch {epoch} has holes at {holes[:10]}")
        return found


def look(
    servers: Servers, board: Board, device: str, owed: dict[Key, int] | None = None
) -> Account:
    """Return the account of a device as of now."""
    # First, so that what is stored meanwhile does not look as if it was never sealed.
    stored: Counter[Key] = Counter()
    counts: dict[Key, int] = {}
    dropped = []
    for stream in ("track", "reading"):
        for epoch, seq, record in servers.batches(device, stream):
            stored[stream, epoch, seq] += 1
            counts[stream, epoch, seq] = record[10]  # The header's count, wire_protocol/frames.
    for row in servers.events(device):
        stored["event", row["epoch"], row["seq"]] += 1
        counts["event", row["epoch"], row["seq"]] = 1
        if row["kind"] == "dropped":
            dropped.append((row["stream"], row["epoch"], row["first"], row["count"]))
    for row in servers.results(device):
        stored["result", row["epoch"], row["seq"]] += 1
        counts["result", row["epoch"], row["seq"]] = 1
    state = servers.state(device)
    held = None
    if state is not None and state["online"]:
        held = sum(_count(value) for value in state["state"].get("held", {}).values())
    return Account(
        sealed=board.sealed(),
        stored=counts,
        doubled=[key for key, times in stored.items() if times > 1],
        dropped=dropped,
        held=held,
        owed=owed,
        fixes=servers.fixes(device),
    )


def wait_until_at_rest(
    servers: Servers, board: Board, device: str, owed: dict[Key, int] | None, *, wait_s: float
) -> bool:
    """Wait until everything is stored; False if it is not in time."""
    deadline_s = time.monotonic() + wait_s
    while not look(servers, board, device, owed).is_at_rest():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.2)
    return True


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _covers(row: tuple[str, int, int, int], key: Key) -> bool:
    stream, epoch, first, count = row
    return (stream, epoch) == key[:2] and first <= key[2] < first + count
