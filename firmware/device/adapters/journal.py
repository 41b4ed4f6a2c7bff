"""The journal: every sealed record in flash until the gateway's receipt, or named as dropped.

An entry counts once it is flushed, and what a power cut tore at the end of a file never counted.
The newest segment of each family stays for ever, so that no seq is given twice. SOS records are
never given up, and everything else may be given up for them: oldest tracks, then readings, then
other events. littlefs on a device; any folder will do. Nobody else writes in it but `Kept`.
"""

import os

from device.adapters import segments as files
from device.adapters.segments import END, FIRST, NEXT, SEGMENT_BYTES, SIZE
from device.errors import JournalFault, JournalFull
from device.late import forget

SEGMENTS_MAX = 44  # Of the partition's 64 blocks; the rest is littlefs's own and `Kept`'s.
BLOCKS_SPARE = 20
RESERVED = 8  # Segments that only SOS records and results may take.

_MAY_TAKE_ALL = "sx"
_ENOSPC = 28
_READS_MAX = 3  # Of one entry, before it counts as bad.
_TRIES_MAX = 4  # Of one append on a file system that is fuller than our count says.


class Journal:
    """The four streams of one epoch.

    Attributes:
        epoch: u32, random, made when the journal was formatted.
        dropped: Records given up since then, all in all.
        spoilt: (first seq, seq behind) of SOS records that went bad before their receipt.

    What follows is for the parts `journal_drop` and `journal_receipt` alone:
        kept: The small files.
        folder, index: Where the segments are; family -> segments, oldest first.
        floor: Stream -> everything below is receipted, as far as this boot knows.
        singles: Stream -> {first seq: count} receipted above the floor.
        lows: Stream -> lowest seq held, where it is known.
        ranges: What no record has named as dropped yet.
    """

    spoilt = 0, 0

    def __init__(self, folder: str, kept) -> None:
        """Read what is there.

        Raises:
            JournalFault: The folder cannot be read or written.
        """
        from device.adapters.journal_open import read_index

        self.folder = folder
        self.kept = kept
        self.floor, self.singles, self.lows = {}, {}, {}
        for stream in files.FAMILIES:
            self.floor[stream] = 1
            self.singles[stream] = {}
        try:
            blocks = os.statvfs(folder)[2]
            self.epoch, self.dropped, self.ranges, self.index = read_index(folder, kept)
        except OSError as error:
            raise JournalFault("journal cannot be opened: {}".format(error))
        forget("device.adapters.journal_open")
        self._segments_max = max(RESERVED + 4, min(SEGMENTS_MAX, blocks - BLOCKS_SPARE))

    def next_seq(self, stream: str) -> int:
        """Return the seq of the next record of a stream."""
        return max([self.tip(family) for family in files.FAMILIES[stream]])

    def low(self, stream: str) -> int:
        """Return the lowest seq still held, or the next seq when there is none."""
        if stream not in self.lows:
            first = self.first(stream, self.floor[stream])
            self.lows[stream] = first[0] if first else self.next_seq(stream)
        return self.lows[stream]

    def held(self, stream: str) -> int:
        """Return how many records wait for their receipt."""
        low = self.low(stream)
        mine = self.singles[stream]
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
        family = files.SOS if sos else files.FAMILIES[stream][0]
        seq = self.next_seq(stream)
        entry = files.pack_entry(seq, count, record)
        segments = self.index[family]
        for _ in range(_TRIES_MAX):
            try:
                if not segments or segments[-1][SIZE] + len(entry) > SEGMENT_BYTES:
                    self._make_room(family)
                    self.new_segment(family, seq)
                segment = segments[-1]
                self._write(family, segment, entry)
            except OSError as error:
                if error.errno != _ENOSPC:
                    raise JournalFault("write refused: {}".format(error))
                try:
                    self._give_up()
                except JournalFull:
                    raise JournalFault("no space, and nothing to give up")
                continue
            segment[NEXT] = seq + count
            segment[SIZE] += len(entry)
            return seq
        raise JournalFault("no space after {} segments were given up".format(_TRIES_MAX))

    def tip(self, family: str) -> int:
        """Return the seq behind the last record of a family, 1 when it has none."""
        segments = self.index[family]
        return segments[-1][NEXT] if segments else 1

    def entry(self, family: str, seq: int) -> tuple | None:
        """Return (seq, count, record) of a family's first record from `seq` on that waits."""
        stream = files.STREAM_OF[family]
        seq = max(seq, self.floor[stream])
        tries = 0
        while True:
            found = files.find(self.folder, family, self.index[family], seq, self.singles[stream])
            if found is None:
                return None
            entry = self._read(family, found)
            if entry is not None:
                return entry
            tries += 1
            if tries == _READS_MAX:
                from device.adapters.journal_drop import bury

                bury(self, stream, found)
                forget("device.adapters.journal_drop")
                tries = 0

    def is_held(self, stream: str, seq: int) -> bool:
        """Say whether the record with this first seq was made and waits for its receipt."""
        waits = self.low(stream) <= seq < self.next_seq(stream) and seq not in self.singles[stream]
        # What is lost is not receipted.
        return waits or (stream == "event" and self.spoilt[0] <= seq < self.spoilt[1])

    def receive(self, stream: str, upto: int, singles: list) -> None:
        """Take a receipt: all up to `upto`, and the records that begin with the `singles`.

        The part that does it stays loaded until the caller forgets it: receipts name many streams.
        """
        from device.adapters.journal_receipt import take

        take(self, stream, upto, singles)

    def lost(self) -> list:
        """Return what no record has named as dropped yet: [stream, first, count, kinds]."""
        return self.ranges

    def named(self, stream: str, first: int, count: int) -> None:
        """Forget a range of those, or its beginning: a sealed record names it now."""
        for row in self.ranges:
            if row[0] == stream and row[1] == first:
                row[1] += count
                row[2] -= count
        self.ranges = [row for row in self.ranges if row[2] > 0]
        self.keep_lost("")

    def new_segment(self, family: str, seq: int) -> None:
        """Begin the family's next file; it exists, empty, when this returns."""
        segments = self.index[family]
        # Twice the same name: nothing in the torn old file counted, and it is begun anew.
        segment = [seq, seq, 0, SEGMENT_BYTES]
        with open(files.path(self.folder, family, segment), "wb"):
            pass
        if segments and segments[-1][FIRST] == seq:
            segments.pop()
        segments.append(segment)

    def _write(self, family: str, segment: list, entry: bytes) -> None:
        """Append an entry to a segment; it is in the flash when this returns."""
        written = False
        try:
            with open(files.path(self.folder, family, segment), "ab") as file:
                file.write(entry)
                file.flush()
            written = True
        finally:
            if not written:
                # Part of it may be there: nothing is ever appended behind it, or read from there.
                segment[END], segment[SIZE] = segment[SIZE], SEGMENT_BYTES

    def _make_room(self, family: str) -> None:
        limit = self._segments_max - (0 if family in _MAY_TAKE_ALL else RESERVED)
        while sum([len(rows) for rows in self.index.values()]) >= limit:
            self._give_up()

    def _give_up(self) -> None:
        """Drop the oldest segment of the first family that has one to spare."""
        from device.adapters.journal_drop import give_up

        try:
            give_up(self)
        finally:
            forget("device.adapters.journal_drop")

    def keep_lost(self, going: str) -> bool:
        """Keep in flash what was dropped, and the file that is about to go; False if refused."""
        return self.kept.save("lost", (self.dropped, self.ranges, going))

    def _read(self, family: str, found: tuple) -> tuple | None:
        """Return the entry that was found; None if it went bad, or the flash cannot be read."""
        try:
            with open(files.path(self.folder, family, found[3]), "rb") as file:
                file.seek(found[4])
                entry = files.read_entry(file)
        except OSError:
            return None
        return entry if entry and entry[0] == found[0] else None

    def remove_oldest(self, family: str) -> None:
        """Remove a family's oldest file."""
        segments = self.index[family]
        os.remove(files.path(self.folder, family, segments[0]))
        segments.pop(0)

    def first(self, stream: str, seq: int) -> tuple | None:
        """Return what is found first in any family of a stream."""
        best = None
        for family in files.FAMILIES[stream]:
            found = files.find(self.folder, family, self.index[family], seq, self.singles[stream])
            if found and (best is None or found[0] < best[0]):
                best = found
        return best
