"""Records that wait in memory until their receipt is here: the rescue agent's own journal.

It has an epoch of its own, as every journal in memory, so that no number of it can be taken for
one of the flash's. Records found in a broken journal wait here under their own numbers, as
references to the place where they lie.
"""

import os
import struct

from wire_protocol import frames, lean

WAITING_MAX = 24  # Beyond it only an SOS is taken, in the place of the oldest that is none.
AT_ONCE_MAX = 2  # Posted in one go; the link has room for 3, and the state needs one.
FIRST_MS, LONGEST_MS = 2_000, 60_000
_STREAM, _EPOCH, _SEQ, _SOS, _SEALED, _DUE, _TRIES = 0, 1, 2, 3, 4, 5, 6


class Outbox:
    """What was sealed or found, and is not receipted yet.

    Attributes:
        epoch: Of the records sealed here.
        dropped: Records that had to make room for an SOS.
    """

    def __init__(self, link, clock, boot: int, read, on_bad) -> None:
        """Begin empty.

        Args:
            link: Posts messages.
            clock: Dates records.
            boot: Number of this start.
            read: Gives the sealed bytes of a record that was found, from its reference; OSError
                if it went bad.
            on_bad: Called with stream, epoch and seq of one that did.
        """
        self.epoch = struct.unpack("<I", os.urandom(4))[0]
        self._link, self._clock, self._boot, self._read = link, clock, boot, read
        self._next = {"event": 1, "result": 1}
        self._rows = []
        self.dropped = 0
        self._on_bad = on_bad

    def seal(self, stream: str, kind: str, fields: dict, sos: bool = False) -> int:
        """Seal a record; returns its seq, 0 if there is no room. `incident` 0 becomes its own."""
        if not self._make_room(sos):
            return 0
        seq = self._next[stream]
        record = self._clock.stamp()
        record.update(fields)
        record.update({"epoch": self.epoch, "seq": seq, "kind": kind, "boot": self._boot})
        if record.get("incident") == 0:
            record["incident"] = seq
        self._next[stream] = seq + 1
        self._rows.append([stream, self.epoch, seq, sos, lean.seal(record), 0, 0])
        return seq

    def add(self, stream: str, epoch: int, seq: int, sos: bool, place: tuple) -> bool:
        """Take a record that was found; False when there is no room for it now."""
        if any(row[:3] == [stream, epoch, seq] for row in self._rows):
            return True
        if len(self._rows) >= WAITING_MAX:
            return False
        self._rows.append([stream, epoch, seq, sos, place, 0, 0])
        return True

    def waits(self, stream: str, epoch: int, seq: int) -> bool:
        """Say whether a record still lacks its receipt."""
        return any(row[:3] == [stream, epoch, seq] for row in self._rows)

    def waits_for_any(self) -> bool:
        """Say whether any record lacks its receipt."""
        return bool(self._rows)

    def held(self) -> dict:
        """Return how many records wait, by stream."""
        counts = dict.fromkeys(lean.STREAMS, 0)
        for row in self._rows:
            counts[row[_STREAM]] += 1
        return counts

    def found_wait(self) -> int:
        """Return how many of the records that were found wait."""
        return len([row for row in self._rows if row[_EPOCH] != self.epoch])

    def restart(self) -> None:
        """A new connection: all that waits is to be sent again."""
        for row in self._rows:
            row[_DUE] = row[_TRIES] = 0

    def receive(self, receipt: dict) -> None:
        """Forget what a receipt names."""
        for stream, counts in receipt["streams"].items():
            self._rows = [
                row
                for row in self._rows
                if row[_STREAM] != stream
                or row[_EPOCH] != receipt["epoch"]
                or (row[_SEQ] > counts[0] and row[_SEQ] not in counts[1:])
            ]

    def send_due(self) -> None:
        """Post what is due, SOS first, as far as the link has room."""
        now = self._clock.uptime_ms()
        due = [row for row in self._rows if row[_DUE] <= now]
        due.sort(key=lambda row: not row[_SOS])
        for row in due[:AT_ONCE_MAX]:
            sealed = row[_SEALED]
            if isinstance(sealed, tuple):
                try:
                    sealed = self._read(sealed)
                except OSError:
                    self._rows.remove(row)
                    self._on_bad(*row[:_SOS])
                    continue
            # 1: nothing below was given up, as far as anybody here knows.
            wrap = lean.wrap if row[_STREAM] in self._next else frames.envelope
            qos = 1 if row[_STREAM] in self._next else 0
            token = (row[_STREAM], row[_EPOCH], row[_SEQ])
            if not self._link.publish(row[_STREAM], wrap(1, sealed), qos, token, row[_SOS]):
                return
            row[_DUE] = now + min(FIRST_MS << min(row[_TRIES], 10), LONGEST_MS)
            row[_TRIES] += 1

    def _make_room(self, sos: bool) -> bool:
        if len(self._rows) < WAITING_MAX:
            return True
        for row in self._rows:
            if sos and not row[_SOS]:
                self._rows.remove(row)
                self.dropped += 1
                return True
        return False
