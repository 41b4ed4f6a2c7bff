"""The files of the journal: entries in segments, found and read.

A file is a run of entries `length u16 | count u8 | 0 u8 | seq u32 | crc32 u32 | record`; the check
sum covers the 8 bytes in front of it and the record. In the index a segment is a list: the seq in
its name, the seq behind its last record, its bytes, and how many of them can be read.
"""

import binascii
import struct

SEGMENT_BYTES = 4096  # One block of the flash.
HEADER_BYTES = 12
RECORD_BYTES_MAX, COUNT_MAX = 1200, 60
FIRST, NEXT, SIZE, END = 0, 1, 2, 3

# Stream -> families. SOS records lie in segments of their own, and are of the stream `event`.
FAMILIES = {"track": "t", "reading": "r", "event": "es", "result": "x"}
STREAM_OF = {"t": "track", "r": "reading", "e": "event", "s": "event", "x": "result"}
SOS = "s"

_HEADER = "<HBBII"


def path(folder: str, family: str, segment: list) -> str:
    """Return where a segment is: its family and the seq that came next when it was made."""
    return folder + "/" + name(family, segment)


def name(family: str, segment: list) -> str:
    """Return the file name of a segment."""
    return "{}{:08x}".format(family, segment[FIRST])


def pack_entry(seq: int, count: int, record: bytes) -> bytes:
    """Return the bytes of an entry."""
    head = struct.pack("<HBBI", len(record), count, 0, seq)
    return head + struct.pack("<I", _check_sum(head, record)) + record


def read_entry(file) -> tuple | None:
    """Return (seq, count, record) at the file's place, or None if it is torn or went bad."""
    head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        return None
    size, count, _, seq, check_sum = struct.unpack(_HEADER, head)
    record = file.read(size)
    if len(record) < size or check_sum != _check_sum(head, record):
        return None
    return seq, count, record


def find(folder: str, family: str, segments: list, seq: int, singles: dict) -> tuple | None:
    """Return (seq, count, family, segment, offset) of the first entry from `seq` on.

    Where the flash cannot be read, or holds what cannot be there, that is what was found: the
    first seq that may lie there, and an offset at which no entry with this seq can be read.

    Args:
        folder: Of the journal.
        family: Whose segments they are.
        segments: Oldest first.
        seq: Entries in front of it do not count.
        singles: Nor do those whose seq is in here.
    """
    for segment in segments:
        if segment[NEXT] <= seq or not segment[END]:
            continue  # All receipted, or none of it can be read.
        offset, here = 0, segment[FIRST]
        try:
            with open(path(folder, family, segment), "rb") as file:
                while offset < segment[END] and here < segment[NEXT]:
                    head = file.read(HEADER_BYTES)
                    size, count, first = read_head(head, family, here)
                    if first == segment[NEXT] or (not head and _may_end(family, segment)):
                        break
                    # Cut short as well: littlefs has lost an append, and shows what was before it.
                    if not size or first > segment[NEXT]:
                        return max(here, seq), 1, family, segment, offset
                    if first >= seq and first not in singles:
                        return first, count, family, segment, offset
                    offset += HEADER_BYTES + size
                    here = first + count
                    file.seek(offset)
        except OSError:
            return max(here, seq), 1, family, segment, offset
    return None


def read_head(head: bytes, family: str, here: int) -> tuple:
    """Return (size, count, seq) of an entry's head; size 0 if it cannot be behind seq `here`."""
    if len(head) < HEADER_BYTES:
        return 0, 0, 0
    size, count, _, first, _ = struct.unpack(_HEADER, head)
    gap = len(FAMILIES[STREAM_OF[family]]) > 1  # Filled by the stream's other family.
    fits = first == here or (gap and first > here)
    if not (fits and 0 < size <= RECORD_BYTES_MAX and 0 < count <= COUNT_MAX):
        size = 0
    return size, count, first


def _may_end(family: str, segment: list) -> bool:
    """Say whether seqs of the stream's other family may follow the last entry of a segment.

    Since a start only the newest file's end is known (`journal_open`).
    """
    known = segment[SIZE] < SEGMENT_BYTES or segment[END] < SEGMENT_BYTES
    return not known and len(FAMILIES[STREAM_OF[family]]) > 1


def _check_sum(head: bytes, record: bytes) -> int:
    return binascii.crc32(record, binascii.crc32(head[:8]))
