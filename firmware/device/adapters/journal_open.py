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
)

_NAME_CHARS = 9


def read_index(folder: str, kept) -> tuple:
    """Return (epoch, dropped, ranges to be named, family -> segments).

    A folder without an epoch is formatted: it gets one, and nothing else stays in it.
    """
    names = [row[0] for row in os.ilistdir(folder)]
    names = [n for n in names if len(n) == _NAME_CHARS and n[0] in STREAM_OF and "." not in n]
    epoch = kept.load("epoch")
    if epoch is None:
        # Never leave records of an epoch that nobody knows any more.
        for name in names:
            os.remove(folder + "/" + name)
        names = []
        kept.save("lost", (0, []))
        epoch = struct.unpack("<I", os.urandom(4))[0]
        if not kept.save("epoch", epoch):
            raise OSError("epoch cannot be kept")
    dropped, lost = kept.load("lost", (0, []))
    index = {}
    for family in STREAM_OF:
        firsts = sorted([int(name[1:], 16) for name in names if name[0] == family])
        index[family] = [[first, first, SEGMENT_BYTES, SEGMENT_BYTES] for first in firsts]
        for segment, behind in zip(index[family], firsts[1:]):
            segment[NEXT] = behind
        if firsts:
            _find_end(folder, family, index[family][-1])
    _finish_drops(folder, index, lost)
    return epoch, dropped, lost, index


def _find_end(folder: str, family: str, segment: list) -> None:
    """Find where a newest segment ends; one with a torn tail is never appended to."""
    offset = 0
    with open(path(folder, family, segment), "rb") as file:
        while True:
            entry = read_entry(file)
            if entry is None:
                break
            segment[NEXT] = entry[0] + entry[1]
            offset += HEADER_BYTES + len(entry[2])
        if file.seek(0, 2) == offset:
            segment[SIZE] = offset
        else:
            segment[END] = offset


def _finish_drops(folder: str, index: dict, lost: list) -> None:
    # A range is kept first and its file removed after that: the power cut fell in between.
    for stream, first, count, _ in lost:
        segments = index[stream[0]]
        while stream != "event" and len(segments) > 1 and segments[0][NEXT] <= first + count:
            os.remove(path(folder, stream[0], segments.pop(0)))
