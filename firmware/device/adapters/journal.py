"""The journal: every sealed record in flash until the gateway's receipt, or named as dropped.

Segment files of at most SEGMENT_BYTES hold entries `length u16 | count u8 | 0 u8 | seq u32 |
crc32 u32 | record`; an entry counts once it is flushed, and what a power cut tore at the end of
a file never counted. A segment's name is its family and the seq that came next when it was made:
the newest of each family stays for ever, so that no seq is given twice. Families are the streams,
but that SOS records lie in segments of their own: they are never given up, and everything else
may be given up for them.

The flash is littlefs on a device; any folder will do. Nobody else writes in it but `Kept`.
"""

import binascii
import os
import struct

from device.errors import JournalFault, JournalFull

SEGMENT_BYTES = 4096  # One block of the flash.
SEGMENTS_MAX = 44  # Of the partition's 64 blocks; the rest is littlefs's own and `Kept`'s.
BLOCKS_SPARE = 20
RESERVED = 8  # Segments that only SOS records and results may take.
TIDY_BYTES = 1024  # A newest segment, all receipted, is replaced by an empty one above this.
LOST_MAX = 12  # Dropped ranges not yet said in a record; contiguous ones are one.
SINGLES_MAX = 64  # Receipted ones above the lowest: four windows of what may be in the air.

FAMILIES = {"track": "t", "reading": "r", "event": "es", "result": "x"}
STREAM_OF = {"t": "track", "r": "reading", "e": "event", "s": "event", "x": "result"}
SOS = "s"
_GIVEN_UP = (("t", "track"), ("r", "reading"), ("e", "event"))  # In this order, oldest first.
_NEVER_GIVES = "sx"
_HEADER = "<HBBII"
_HEADER_BYTES = 12
_ENOSPC = 28
# Of a segment in the index: its name's seq, the seq behind it, its bytes, its readable bytes.
_FIRST, _NEXT, _SIZE, _END = 0, 1, 2, 3
_TRIES_MAX = 4  # Of one append on a file system that is fuller than our count says.


class Journal:
    """The four streams of one epoch.

    Attributes:
        epoch: u32, random, made when the journal was formatted.
        dropped: Records given up since then, all in all.
    """

    def __init__(self, folder: str, kept) -> None:
        """Read what is there.

        Raises:
            JournalFault: The folder cannot be read or written.
        """
        self._folder = folder
        self._kept = kept
        self._floor = {}  # stream -> everything below is receipted, as far as this boot knows
        self._singles = {}  # stream -> {first seq: count} receipted above the floor
        self._low = {}  # stream -> lowest seq held, where it is known
        self._segments = {}  # family -> its segments, oldest first
        for stream in FAMILIES:
            self._floor[stream] = 1
            self._singles[stream] = {}
            for family in FAMILIES[stream]:
                self._segments[family] = []
        try:
            blocks = os.statvfs(folder)[2]
            self._load()
        except OSError as error:
            raise JournalFault("journal cannot be opened: {}".format(error))
        self._segments_max = max(RESERVED + 4, min(SEGMENTS_MAX, blocks - BLOCKS_SPARE))

    def next_seq(self, stream: str) -> int:
        """Return the seq of the next record of a stream."""
        return max([self.tip(family) for family in FAMILIES[stream]])

    def low(self, stream: str) -> int:
        """Return the lowest seq still held, or the next seq when there is none."""
        if stream not in self._low:
            first = self._first(stream, self._floor[stream])
            self._low[stream] = first[0] if first else self.next_seq(stream)
        return self._low[stream]

    def held(self, stream: str) -> int:
        """Return how many records wait for their receipt."""
        low = self.low(stream)
        mine = self._singles[stream]
        return self.next_seq(stream) - low - sum([mine[seq] for seq in mine if seq > low])

    def append(self, stream: str, record: bytes, count: int = 1, sos: bool = False) -> int:
        """Seal one record under the stream's next seq, which must be the one inside it.

        Args:
            stream: One of the four.
            record: 1..1200 bytes.
            count: How many seqs it takes.
            sos: It belongs to an SOS.

        Returns:
            Its seq.

        Raises:
            JournalFull: No room, and nothing left to give up for it.
            JournalFault: The flash refused.
        """
        family = SOS if sos else FAMILIES[stream][0]
        seq = self.next_seq(stream)
        head = struct.pack("<HBBI", len(record), count, 0, seq)
        entry = head + struct.pack("<I", _crc(head, record)) + record
        segments = self._segments[family]
        for _ in range(_TRIES_MAX):
            try:
                if not segments or segments[-1][_SIZE] + len(entry) > SEGMENT_BYTES:
                    self._make_room(family)
                    self._new_segment(family, seq)
                segment = segments[-1]
                self._write(family, segment, entry)
            except OSError as error:
                if error.errno != _ENOSPC:
                    raise JournalFault("write refused: {}".format(error))
                self._give_up(family)
                continue
            # With nothing held, `low` was the next seq, and that is this record.
            segment[_NEXT] = seq + count
            segment[_SIZE] += len(entry)
            return seq
        raise JournalFault("no space after {} segments were given up".format(_TRIES_MAX))

    def tip(self, family: str) -> int:
        """Return the seq behind the last record of a family, 1 when it has none."""
        segments = self._segments[family]
        return segments[-1][_NEXT] if segments else 1

    def entry(self, family: str, seq: int) -> tuple | None:
        """Return (seq, count, record) of a family's first record from `seq` on that waits."""
        stream = STREAM_OF[family]
        seq = max(seq, self._floor[stream])
        while True:
            found = self._find(family, seq, self._singles[stream])
            if found is None:
                return None
            record = self._read(found)
            if record is not None:
                return found[0], found[1], record
            self._bury(stream, found)

    def is_held(self, stream: str, seq: int) -> bool:
        """Say whether the record with this first seq was made and waits for its receipt."""
        waits = self.low(stream) <= seq < self.next_seq(stream)
        return waits and seq not in self._singles[stream]

    def receive(self, stream: str, upto: int, singles: list) -> None:
        """Take a receipt: all up to `upto`, and the records that begin with the `singles`."""
        behind = self.next_seq(stream)
        floor = self._floor[stream] = max(self._floor[stream], min(upto + 1, behind))
        mine = self._singles[stream]
        for seq in singles:
            if floor <= seq < behind and seq not in mine and len(mine) < SINGLES_MAX:
                found = self._first(stream, seq)
                if found and found[0] == seq:
                    mine[seq] = found[1]
        self._low.pop(stream, None)
        floor = self._floor[stream] = self.low(stream)
        for seq in [s for s in mine if s < floor]:
            del mine[seq]
        for family in FAMILIES[stream]:
            self._tidy(family, floor, behind)

    def lost(self) -> list:
        """Return the dropped ranges that no record has named yet: [stream, first, count, kinds]."""
        return self._lost

    def lost_named(self) -> None:
        """Forget those ranges: sealed records name them now."""
        self._lost = []
        self._keep_lost()

    def _load(self) -> None:
        lost = self._kept.load("lost")
        self.dropped, self._lost = lost if lost else (0, [])
        names = [entry[0] for entry in os.ilistdir(self._folder)]
        found = {}
        for name in names:
            if _is_segment(name):
                found.setdefault(name[0], []).append(int(name[1:], 16))
        self.epoch = self._kept.load("epoch")
        if self.epoch is None:
            # Never leave records of an epoch that nobody knows any more.
            for name in names:
                if _is_segment(name):
                    os.remove(self._folder + "/" + name)
            found = {}
            self.dropped, self._lost = 0, []
            self.epoch = struct.unpack("<I", os.urandom(4))[0]
            if not self._kept.save("epoch", self.epoch):
                raise OSError("epoch cannot be kept")
        for family in found:
            firsts = sorted(found[family])
            rows = [[first, first, SEGMENT_BYTES, SEGMENT_BYTES] for first in firsts]
            for row, behind in zip(rows, firsts[1:]):
                row[_NEXT] = behind
            self._segments[family] = rows
            self._scan(family, rows[-1])
        self._finish_drops()

    def _scan(self, family: str, segment: list) -> None:
        """Find the end of a newest segment; one with a torn tail is never appended to."""
        offset = 0
        with open(self._path(family, segment), "rb") as file:
            while True:
                head = file.read(_HEADER_BYTES)
                if not head:
                    segment[_SIZE] = offset
                    return
                if len(head) < _HEADER_BYTES:
                    break
                size, count, _, seq, crc = struct.unpack(_HEADER, head)
                record = file.read(size)
                if len(record) < size or crc != _crc(head, record):
                    break
                segment[_NEXT] = seq + count
                offset += _HEADER_BYTES + size
        segment[_END] = offset

    def _finish_drops(self) -> None:
        # The range is kept first and the file removed after it: a power cut falls between.
        for family, stream in _GIVEN_UP[:2]:
            for row in [r for r in self._lost if r[0] == stream]:
                while len(self._segments[family]) > 1 and (
                    self._segments[family][0][_NEXT] <= row[1] + row[2]
                ):
                    self._remove(family, 0)

    def _path(self, family: str, segment: list) -> str:
        return "{}/{}{:08x}".format(self._folder, family, segment[_FIRST])

    def _new_segment(self, family: str, seq: int) -> None:
        """Begin the family's next file; it exists, empty, when this returns."""
        segments = self._segments[family]
        # Twice the same name: nothing in the torn old file counted, and it is begun anew.
        segment = [seq, seq, 0, SEGMENT_BYTES]
        with open(self._path(family, segment), "wb"):
            pass
        if segments and segments[-1][_FIRST] == seq:
            segments.pop()
        segments.append(segment)

    def _write(self, family: str, segment: list, entry: bytes) -> None:
        """Append an entry to a segment; it is in the flash when this returns."""
        written = False
        try:
            with open(self._path(family, segment), "ab") as file:
                file.write(entry)
                file.flush()
            written = True
        finally:
            if not written:
                # Part of it may be there: nothing is ever appended behind it.
                segment[_SIZE] = SEGMENT_BYTES

    def _make_room(self, family: str) -> None:
        limit = self._segments_max - (0 if family in _NEVER_GIVES else RESERVED)
        while sum([len(rows) for rows in self._segments.values()]) >= limit:
            self._give_up(family)

    def _give_up(self, family: str) -> None:
        """Drop the oldest segment of the first family that has one to spare."""
        for victim, stream in _GIVEN_UP:
            if len(self._segments[victim]) > 1:
                self._drop(victim, stream)
                return
        raise JournalFull("no room for family {}".format(family))

    def _drop(self, family: str, stream: str) -> None:
        segment = self._segments[family][0]
        seq = segment[_FIRST]
        while True:
            found = self._find(family, max(seq, self._floor[stream]), self._singles[stream])
            if found is None or found[3] is not segment:
                break
            kind = None
            if stream == "event":
                kind = _kind(self._read(found))
            self._name_lost(stream, found[0], found[1], kind)
            seq = found[0] + found[1]
        self._keep_lost()
        self._remove(family, 0)
        self._low.pop(stream, None)

    def _name_lost(self, stream: str, first: int, count: int, kind: str | None) -> None:
        for row in self._lost:
            if row[0] == stream and row[1] + row[2] == first:
                row[2] += count
                break
        else:
            if len(self._lost) >= LOST_MAX:
                raise JournalFull("{} dropped ranges unsaid".format(LOST_MAX))
            row = [stream, first, count, []]
            self._lost.append(row)
        self.dropped += count
        if kind and kind not in row[3]:
            row[3].append(kind)

    def _keep_lost(self) -> None:
        self._kept.save("lost", (self.dropped, self._lost))

    def _bury(self, stream: str, found: tuple) -> None:
        """An entry went bad in the flash: it and what follows in its segment are lost."""
        seq, _, _, segment, offset, _ = found
        self._name_lost(stream, seq, max(1, segment[_NEXT] - seq), None)
        self._keep_lost()
        segment[_SIZE], segment[_END] = SEGMENT_BYTES, offset
        self._low.pop(stream, None)

    def _remove(self, family: str, index: int) -> None:
        segment = self._segments[family].pop(index)
        try:
            os.remove(self._path(family, segment))
        except OSError as error:
            raise JournalFault("segment stays: {}".format(error))

    def _tidy(self, family: str, floor: int, behind: int) -> None:
        """Remove what is receipted, but for the newest, whose end says which seq is next."""
        segments = self._segments[family]
        while len(segments) > 1 and segments[0][_NEXT] <= floor:
            self._remove(family, 0)
        if segments and segments[0][_NEXT] <= floor and segments[0][_SIZE] > TIDY_BYTES:
            self._new_segment(family, behind)
            self._remove(family, 0)

    def _first(self, stream: str, seq: int) -> tuple | None:
        """Return the first that `_find` finds in any family of a stream."""
        best = None
        for family in FAMILIES[stream]:
            found = self._find(family, seq, self._singles[stream])
            if found and (best is None or found[0] < best[0]):
                best = found
        return best

    def _find(self, family: str, seq: int, singles: dict) -> tuple | None:
        """Return (seq, count, family, segment, offset, length) of the first entry that waits."""
        for segment in self._segments[family]:
            if segment[_NEXT] <= seq:
                continue
            offset = 0
            with open(self._path(family, segment), "rb") as file:
                while offset < segment[_END]:
                    head = file.read(_HEADER_BYTES)
                    if len(head) < _HEADER_BYTES:
                        break
                    size, count, _, first, _ = struct.unpack(_HEADER, head)
                    if first >= segment[_NEXT]:
                        break
                    if first >= seq and first not in singles:
                        return first, count, family, segment, offset, size
                    offset += _HEADER_BYTES + size
                    file.seek(offset)
        return None

    def _read(self, found: tuple) -> bytes | None:
        """Return the record of an entry, or None if its check sum is wrong."""
        _, _, family, segment, offset, size = found
        with open(self._path(family, segment), "rb") as file:
            file.seek(offset)
            head = file.read(_HEADER_BYTES)
            record = file.read(size)
        crc = struct.unpack_from("<I", head, 8)[0]
        return record if crc == _crc(head, record) else None


def _is_segment(name: str) -> bool:
    return len(name) == 9 and name[0] in "trexs" and "." not in name


def _crc(head: bytes, record: bytes) -> int:
    return binascii.crc32(record, binascii.crc32(head[:8]))


def _kind(record: bytes | None) -> str | None:
    import json

    return json.loads(record)["kind"] if record else None
