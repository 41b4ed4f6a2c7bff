"""What a full journal gives up, and how it is named; loaded when it happens, then dropped."""

import json
import os

from device.adapters.segments import FIRST, STREAM_OF, find, path, read_entry
from device.errors import JournalFull

# Ranges not yet said in a record; contiguous ones are one. As many as `Kept` holds in a file.
LOST_MAX = 48
_GIVEN_UP = "tre"  # Tracks, readings, then events that belong to no SOS.


def name_lost(lost: list, stream: str, first: int, count: int, kind: str | None) -> int:
    """Add a range to those that a record must name; returns its count."""
    for row in lost:
        if row[0] == stream and row[1] + row[2] == first:
            row[2] += count
            break
    else:
        if len(lost) >= LOST_MAX:
            raise JournalFull("{} dropped ranges unsaid".format(LOST_MAX))
        row = [stream, first, count, []]
        lost.append(row)
    if kind and kind not in row[3]:
        row[3].append(kind)
    return count


def choose(index: dict) -> str:
    """Return the family that gives up its oldest segment; JournalFull if none has one to spare."""
    for family in _GIVEN_UP:
        if len(index[family]) > 1:
            return family
    raise JournalFull("nothing left to give up")


def name_segment(folder: str, index: dict, family: str, floor: int, journal: tuple) -> int:
    """Name what waits in a family's oldest segment as lost.

    Args:
        folder: Of the journal.
        index: Family -> segments.
        family: One that `choose` returned.
        floor: Everything below is receipted.
        journal: (singles of the stream, ranges to be named).

    Returns:
        How many records.
    """
    singles, lost = journal
    segment = index[family][0]
    seq, count = max(segment[FIRST], floor), 0
    while True:
        found = find(folder, family, [segment], seq, singles)
        if found is None:
            return count
        kind = _kind(folder, found) if family == "e" else None
        count += name_lost(lost, STREAM_OF[family], found[0], found[1], kind)
        seq = found[0] + found[1]


def remove_oldest(folder: str, index: dict, family: str) -> None:
    """Remove a family's oldest segment."""
    os.remove(path(folder, family, index[family].pop(0)))


def _kind(folder: str, found: tuple) -> str | None:
    with open(path(folder, found[2], found[3]), "rb") as file:
        file.seek(found[4])
        entry = read_entry(file)
    return json.loads(entry[2])["kind"] if entry else None
