"""A journal in memory, for a device whose flash has failed: an SOS must go out all the same.

Loaded only then. It has an epoch of its own, so that no seq of it can ever be taken for one of
the journal in flash. Full, it forgets its oldest track and reading, then the oldest event that is
no SOS, and names them as the journal in flash does.
"""

import json
import os
import struct

from device.adapters.segments import FAMILIES, SOS, STREAM_OF
from device.errors import JournalFull
from device.late import forget

ENTRIES_MAX = 24  # About 8 KB of records.
FIRSTS_MAX = 8  # Beyond them, of first presses: without its first one an SOS has no case.


def take_over(logbook, dropped: int) -> None:
    """Give a logbook a journal in memory; the one in flash, if it had one, is its old one's.

    Args:
        logbook: With `journal`, `old` and `faults`, as in device.services.logbook.
        dropped: Records given up so far.
    """
    logbook.old = False
    if logbook.journal is not None:
        # Its constructor is gone by now, and not missed.
        logbook.old = type(logbook)()
        logbook.old.journal = logbook.journal
    logbook.journal = RamJournal(dropped)
    logbook.faults.add("journal")


class RamJournal:
    """What `Journal` does, until the power is cut."""

    spoilt = 0, 0

    def __init__(self, dropped: int) -> None:
        self.epoch = struct.unpack("<I", os.urandom(4))[0]
        self.dropped = dropped
        self._lost = []
        self._entries = []  # (family, seq, count, record), oldest first
        self._next = dict.fromkeys(FAMILIES, 1)

    def next_seq(self, stream: str) -> int:
        """As in `Journal`."""
        return self._next[stream]

    def tip(self, family: str) -> int:
        """As in `Journal`, or higher."""
        return self._next[STREAM_OF[family]]

    def low(self, stream: str) -> int:
        """As in `Journal`."""
        for family, seq, _, _ in self._entries:
            if STREAM_OF[family] == stream:
                return seq
        return self._next[stream]

    def held(self, stream: str) -> int:
        """As in `Journal`."""
        return sum([row[2] for row in self._entries if STREAM_OF[row[0]] == stream])

    def append(self, stream: str, record: bytes, count: int = 1, sos: bool = False) -> int:
        """As in `Journal`; JournalFull when 24 SOS records wait, 32 for the first of an SOS."""
        seq = self._next[stream]
        if len(self._entries) >= ENTRIES_MAX and not self._give_up():
            is_first = sos and json.loads(record).get("incident") == seq
            if not is_first or len(self._entries) >= ENTRIES_MAX + FIRSTS_MAX:
                raise JournalFull("{} SOS records wait".format(ENTRIES_MAX))
        family = SOS if sos else FAMILIES[stream][0]
        self._entries.append((family, seq, count, record))
        self._next[stream] = seq + count
        return seq

    def entry(self, family: str, seq: int) -> tuple | None:
        """As in `Journal`."""
        for row in self._entries:
            if row[0] == family and row[1] >= seq:
                return row[1:]
        return None

    def is_held(self, stream: str, seq: int) -> bool:
        """As in `Journal`."""
        return any(row[1] == seq and STREAM_OF[row[0]] == stream for row in self._entries)

    def receive(self, stream: str, upto: int, singles: list) -> None:
        """As in `Journal`."""
        self._entries = [
            row
            for row in self._entries
            if STREAM_OF[row[0]] != stream or (row[1] > upto and row[1] not in singles)
        ]

    def lost(self) -> list:
        """As in `Journal`, once there is room for a record that names them."""
        return self._lost if len(self._entries) < ENTRIES_MAX else []

    def named(self, stream: str, first: int, count: int) -> None:
        """As in `Journal`."""
        for row in self._lost:
            if row[0] == stream and row[1] == first:
                row[1] += count
                row[2] -= count
        self._lost = [row for row in self._lost if row[2] > 0]

    def _give_up(self) -> bool:
        """Forget the oldest of what is least needed, and note that it is to be named."""
        for family in "trex":
            for row in self._entries:
                if row[0] == family:
                    self._name(*row)
                    self._entries.remove(row)
                    self.dropped += row[2]
                    return True
        return False

    def _name(self, family: str, seq: int, count: int, record: bytes) -> None:
        from device.adapters.journal_drop import name_lost

        stream, kind = STREAM_OF[family], None
        if stream == "event":
            said = json.loads(record)
            kind = said["kind"]
            if kind == "dropped":
                # The ranges of those that are dropped themselves must be named again.
                name_lost(self._lost, said["stream"], said["first"], said["count"], None)
        name_lost(self._lost, stream, seq, count, kind)
        forget("device.adapters.journal_drop")
