"""Reads what the journal's folder holds; loaded once at the start, then dropped."""

import os
import struct

from device.adapters.segments import (
    END,
    HEADER_BYTES,
    NEXT,
    SEGMENT_BYTES,
    SIZE,
    STREAM_OF,
    path,
    read_entry,
    read_head,
)

_NAME_CHARS = 9


def read_index(folder: str, kept) -> tuple:
    """Return (epoch, dropped, ranges to be named, family -> segments).

    A folder without an epoch is formatted: it gets one, and nothing else stays in it.
    """
    names = [row[0] for row in os.ilistdir(folder)]
    names = [n for n in names if len(n) == _NAME_CHARS and n[0] in STREAM_OF and "." not in n]
    # Not `load`: what cannot be read today is no reason to forget an epoch and all its records.
    epoch = kept.read("epoch")
    if epoch is None:
        # Never leave records of an epoch that nobody knows any more.
        for name in names:
            os.remove(folder + "/" + name)
        names = []
        kept.save("lost", (0, [], ""))
        epoch = struct.unpack("<I", os.urandom(4))[0]
        if not kept.save("epoch", epoch):
            raise OSError("epoch cannot be kept")
    dropped, lost, going = kept.read("lost") or (0, [], "")
    if going in names:
        # Its records are named as dropped; the power went before it was removed.
        os.remove(folder + "/" + going)
        names.remove(going)
    index = {}
    for family in STREAM_OF:
        firsts = sorted([int(name[1:], 16) for name in names if name[0] == family])
        index[family] = [[first, first, SEGMENT_BYTES, SEGMENT_BYTES] for first in firsts]
        for segment, behind in zip(index[family], firsts[1:]):
            segment[NEXT] = behind
        if firsts:
            _find_end(folder, family, index[family][-1])
    return epoch, dropped, lost, index


def _find_end(folder: str, family: str, segment: list) -> None:
    """Find where a newest segment ends; one with a torn tail is never appended to.

    An entry that went bad was an entry: its seq is never given again.
    """
    offset, is_good = 0, True
    with open(path(folder, family, segment), "rb") as file:
        length = file.seek(0, 2)
        while offset < length:
            file.seek(offset)
            head = file.read(HEADER_BYTES)
            size, count, first = read_head(head, family, segment[NEXT])
            if not size:
                if len(head) == HEADER_BYTES and head.strip(b"\xff"):
                    # No torn tail: nobody knows how many were here. No seq takes less than a byte.
                    segment[NEXT] += length - offset
                    offset = SEGMENT_BYTES
                break
            if offset + HEADER_BYTES + size > length:
                break
            file.seek(offset)
            is_good = read_entry(file) is not None and is_good
            segment[NEXT] = first + count
            offset += HEADER_BYTES + size
    if offset == length and is_good:
        segment[SIZE] = offset
    else:
        segment[END] = offset
