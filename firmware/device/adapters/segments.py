"""The files of the journal: entries in segments, found and read.

A file is a run of entries `length u16 | count u8 | 0 u8 | seq u32 | crc32 u32 | record`; the check
sum covers the 8 bytes in front of it and the record. In the index a segment is a list: the seq in
its name, the seq behind its last record, its bytes, and how many of them can be read.
"""

import binascii
import struct

SEGMENT_BYTES = 4096  # One block of the flash.
HEADER_BYTES = 12
FIRST, NEXT, SIZE, END = 0, 1, 2, 3

# Stream -> families. SOS records lie in segments of their own, and are of the stream `event`.
FAMILIES = {"track": "t", "reading": "r", "event": "es", "result": "x"}
STREAM_OF = {"t": "track", "r": "reading", "e": "event", "s": "event", "x": "result"}
SOS = "s"

_HEADER = "<HBBII"


def path(folder: str, family: str, segment: list) -> str:
    """Return where a segment is: its family and the seq that came next when it was made."""
    return "{}/{}{:08x}".format(folder, family, segment[FIRST])


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

    Args:
        folder: Of the journal.
        family: Whose segments they are.
        segments: Oldest first.
        seq: Entries in front of it do not count.
        singles: Nor do those whose seq is in here.
    """
    for segment in segments:
        if segment[NEXT] <= seq:
            continue
        offset = 0
        with open(path(folder, family, segment), "rb") as file:
            while offset < segment[END]:
                head = file.read(HEADER_BYTES)
                if len(head) < HEADER_BYTES:
                    break
                size, count, _, first, _ = struct.unpack(_HEADER, head)
                if first >= segment[NEXT]:
                    break
                if first >= seq and first not in singles:
                    return first, count, family, segment, offset
                offset += HEADER_BYTES + size
                file.seek(offset)
    return None


def _check_sum(head: bytes, record: bytes) -> int:
    return binascii.crc32(record, binascii.crc32(head[:8]))
