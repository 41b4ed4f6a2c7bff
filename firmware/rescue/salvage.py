"""Finds sealed records in the journal's raw flash, whether or not its file system can be mounted.

An entry of a segment (`device.adapters.segments`) lies in one piece in one block, wherever
littlefs put it, and carries a check sum; so it is found by what every record holds, and proved by
its sum. What was receipted long ago is found as well: storage knows each record by its key, and
sending again is always safe.
"""

import json
import os
import struct

from device.adapters.segments import FAMILIES, HEADER_BYTES, pack_entry, read_entry

from wire_protocol import frames
from wire_protocol.lean import RECORD_BYTES_MAX

BLOCK_BYTES = 4096
EPOCHS_MAX = 4  # A flash in which more journals began is not worth more time.
SEEN_MAX = 256  # Stale copies of a record lie about; one that is forgotten here is sent twice.
READS_MAX = 3
FREE, GIVEN, OTHER = 0, 1, 2  # What a number of a mounted journal is.
_EIO = 5
# Looks: for an SOS, for one taken back, for events and results; the last one is for batches.
_MARKS = b'"kind":"sos"', b'"kind":"sos_', b'"epoch":'
_LOOK_JSON, _LOOK_BATCHES = 2, len(_MARKS)
_NAME_CHARS = 9  # Of a segment.


class Salvage:
    """Looks through the partition, one for each of _MARKS and one for batches.

    In that order, since a record that was never sealed may lie there with the number of one that
    was: a number is sent once, and an SOS must not be what is left out.

    Attributes:
        found: How many records were handed over.
    """

    def __init__(self, partition, buffer: bytearray, outbox, is_others, on_sos_found) -> None:
        """Begin at the first block.

        Args:
            partition: Of the journal.
            buffer: 4096 bytes, free during each `step`.
            outbox: Takes what is found.
            is_others: For a journal that can be mounted, and sent from later: only an SOS hurries,
                and one whose number is another record's, as this says of it, is none. None
                otherwise.
            on_sos_found: Called with `saw` when all that belongs to an SOS was handed over.
        """
        self._partition, self._buffer, self._outbox = partition, buffer, outbox
        self._blocks = partition.ioctl(4, 0)
        self._is_others = is_others
        self._epochs = []
        self._look, self._marks = 0, [_MARKS[0]]
        self._block = self._at = 0
        self._seen = set()
        self._on_sos_found = on_sos_found
        self.found = 0

    def step(self) -> bool:
        """Look at one block, as far as the outbox has room; False when there is no more."""
        if self._block >= self._blocks:
            self._look, self._block = self._look + 1, 0
            if self._look == _LOOK_JSON:
                self._on_sos_found(self.saw)
            if self._look == (_LOOK_JSON if self._is_others else _LOOK_BATCHES + 1):
                return False
            if self._look < _LOOK_BATCHES:
                self._marks = [_MARKS[self._look]]
            else:
                self._marks = [struct.pack("<I", epoch) for epoch in self._epochs]
                if not self._marks:
                    return False
        try:
            self._partition.readblocks(self._block, self._buffer)
        except OSError:
            self._at = BLOCK_BYTES  # What cannot be read holds nothing.
        while True:
            at = self._next_mark()
            if at < 0:
                self._block, self._at = self._block + 1, 0
                return True
            entry = self._entry_around(at)
            if entry and not self._offer(*entry):
                return True  # It comes again when there is room.
            self._at = at + 1

    def read(self, place: tuple) -> bytes:
        """Return the sealed record at (block, offset, bytes); OSError if it went bad."""
        block, start, size = place
        entry = bytearray(HEADER_BYTES + size)
        for _ in range(READS_MAX):
            try:
                self._partition.readblocks(block, entry, start - HEADER_BYTES)
            except OSError:
                continue
            _, count, _, seq, _ = struct.unpack_from("<HBBII", entry, 0)
            record = bytes(memoryview(entry)[HEADER_BYTES:])
            if pack_entry(seq, count, record) == entry:
                return record
        raise OSError(_EIO)

    def saw(self, stream: str, epoch: int, seq: int) -> bool:
        """Say whether a record was found."""
        return (epoch, stream[0], seq) in self._seen

    def _next_mark(self) -> int:
        places = [self._buffer.find(mark, self._at) for mark in self._marks]
        return min([place for place in places if place >= 0], default=-1)

    def _entry_around(self, at: int) -> tuple | None:
        """Return (start, bytes, seq) of the sealed record that has a mark at a place."""
        if self._look == _LOOK_BATCHES:
            # A batch: version and kind stand in front of its epoch.
            return self._entry(at - 2)
        begin = at
        while at - begin < RECORD_BYTES_MAX:
            begin = self._buffer.rfind(b"{", 0, begin)
            if begin < HEADER_BYTES:
                return None
            found = self._entry(begin)
            if found:
                return found
        return None

    def _entry(self, start: int) -> tuple | None:
        head = start - HEADER_BYTES
        if head < 0:
            return None
        size, count, zero, seq, _ = struct.unpack_from("<HBBII", self._buffer, head)
        if zero or not count or not 0 < size <= BLOCK_BYTES - start:
            return None
        record = bytes(memoryview(self._buffer)[start : start + size])
        whole = pack_entry(seq, count, record)
        if memoryview(self._buffer)[head : start + size] != whole:
            return None
        return start, size, seq

    def _offer(self, start: int, size: int, seq: int) -> bool:
        """Hand a record to the outbox; False when there is no room for it."""
        record = bytes(memoryview(self._buffer)[start : start + size])
        sos = False
        if record[:1] == b"{":
            event = json.loads(record)
            epoch, kind = event["epoch"], event["kind"]
            stream, sos = "result" if kind == "result" else "event", kind.startswith("sos")
        else:
            epoch, kind = struct.unpack_from("<I", record, 2)[0], record[1]
            stream = "track" if kind == frames.TRACK else "reading"
        key = (epoch, stream[0], seq)
        if key in self._seen:
            return True
        if self._is_others and self._is_others(record):
            return True
        if not self._outbox.add(stream, epoch, seq, sos, (self._block, start, size)):
            return False
        if len(self._seen) >= SEEN_MAX:
            self._seen.clear()
        self._seen.add(key)
        self.found += 1
        if epoch not in self._epochs and len(self._epochs) < EPOCHS_MAX:
            self._epochs.append(epoch)
        return True


def holder(record: bytes, folder: str, kept) -> int:
    """Say what a mounted journal has under the number of an event that was found.

    Returns:
        GIVEN: This event, or none and it will not give the number any more. OTHER: another
        event. FREE: It may give it yet; so may one that cannot be read.
    """
    event = json.loads(record)
    found = FREE
    try:
        if kept.read("epoch") != event["epoch"]:
            return GIVEN
        for row in os.ilistdir(folder):
            name = row[0]
            if len(name) != _NAME_CHARS or name[0] not in FAMILIES["event"] or "." in name:
                continue
            if int(name[1:], 16) > event["seq"]:
                found = GIVEN
                continue
            with open(folder + "/" + name, "rb") as file:
                entry = read_entry(file)
                while entry:
                    if entry[0] == event["seq"] and entry[2] != record:
                        return OTHER
                    if entry[0] >= event["seq"]:
                        found = GIVEN
                        break
                    entry = read_entry(file)
    except OSError:
        return FREE
    return found
