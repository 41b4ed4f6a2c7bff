"""A journal in memory, for a device whose flash has failed: an SOS must go out all the same.

Loaded only then. It has an epoch of its own, so that no seq of it can ever be taken for one of
the journal in flash. Full, it forgets its oldest track and reading, then the oldest event that is
no SOS.
"""

import os
import struct

from device.adapters.segments import FAMILIES, SOS, STREAM_OF
from device.errors import JournalFull

ENTRIES_MAX = 24  # About 8 KB of records.


class RamJournal:
    """What `Journal` does, until the power is cut."""

    def __init__(self, dropped: int) -> None:
        self.epoch = struct.unpack("<I", os.urandom(4))[0]
        self.dropped = dropped
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
        """As in `Journal`; JournalFull when 24 presses wait."""
        if len(self._entries) >= ENTRIES_MAX:
            self._give_up()
        seq = self._next[stream]
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
        """Nothing: what is forgotten here is counted, and `low` says it to the gateway."""
        return []

    def named(self, stream: str, first: int, count: int) -> None:
        """Nothing to do."""

    def _give_up(self) -> None:
        for family in "trex":
            for row in self._entries:
                if row[0] == family:
                    self._entries.remove(row)
                    self.dropped += row[2]
                    return
        raise JournalFull("{} SOS records wait".format(ENTRIES_MAX))
