"""What a full journal gives up, and how it is named; loaded when it happens, then dropped."""

import json

from device.adapters.segments import (
    END,
    FAMILIES,
    FIRST,
    NEXT,
    SEGMENT_BYTES,
    SIZE,
    SOS,
    STREAM_OF,
    find,
    name,
    path,
    read_entry,
)
from device.errors import JournalFault, JournalFull

# Ranges not yet said in a record; contiguous ones are one. As many as `Kept` holds in a file.
LOST_MAX = 48
_GIVEN_UP = "tre"  # Tracks, readings, then events that belong to no SOS.


def give_up(journal) -> None:
    """Drop the oldest segment of the first family that has one to spare."""
    family = choose(journal.index)
    stream = STREAM_OF[family]
    before = journal.ranges
    count, journal.ranges = name_segment(
        journal.folder,
        journal.index,
        family,
        journal.floor[stream],
        (journal.singles[stream], before),
    )
    journal.dropped += count
    # Named first and removed after that, which the next start does if the power goes between.
    done = journal.keep_lost(name(family, journal.index[family][0]))
    try:
        if done:
            journal.remove_oldest(family)
    except OSError:
        done = False
    if not done:
        journal.ranges = before
        journal.dropped -= count
        raise JournalFault("what is given up cannot be kept, or not removed")
    journal.lows.pop(stream, None)


def bury(journal, stream: str, found: tuple) -> None:
    """An entry went bad in the flash: it and what follows in its segment are lost."""
    before, segment = journal.ranges, found[3]
    if found[2] == SOS:
        journal.spoilt = found[0], segment[NEXT]
    try:
        count, journal.ranges = name_bad(
            journal.folder, journal.index, found, (journal.singles[stream], before)
        )
        # A flash that takes nothing any more may be well after a restart, and they with it.
        if journal.keep_lost(""):
            journal.dropped += count
        else:
            journal.ranges = before
    except JournalFull:
        pass  # Too many ranges wait for a connection: the next start finds this one again.
    segment[SIZE], segment[END] = SEGMENT_BYTES, found[4]
    journal.lows.pop(stream, None)


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


def name_segment(folder: str, index: dict, family: str, floor: int, journal: tuple) -> tuple:
    """Name what waits in a family's oldest segment as lost.

    Args:
        folder: Of the journal.
        index: Family -> segments.
        family: One that `choose` returned.
        floor: Everything below is receipted.
        journal: (singles of the stream, ranges to be named); neither is changed.

    Returns:
        (how many records, the ranges to be named then).
    """
    singles, lost = journal
    lost = [row[:3] + [row[3][:]] for row in lost]
    segment = index[family][0]
    seq, count = max(segment[FIRST], floor), 0
    while True:
        found = find(folder, family, [segment], seq, singles)
        if found is None:
            return count, lost
        kind = None
        if family == "e":
            record = _record(folder, found)
            kind = record.get("kind")
            if kind == "dropped":
                # The ranges of those that are dropped themselves must be named again.
                name_lost(lost, record["stream"], record["first"], record["count"], None)
        count += name_lost(lost, STREAM_OF[family], found[0], found[1], kind)
        seq = found[0] + found[1]


def name_bad(folder: str, index: dict, found: tuple, journal: tuple) -> tuple:
    """Name what cannot be read any more as lost: from what was found bad to its segment's end.

    Args:
        folder: Of the journal.
        index: Family -> segments.
        found: As `find` returned it.
        journal: As for `name_segment`.

    Returns:
        As `name_segment`.
    """
    singles, lost = journal
    lost = [row[:3] + [row[3][:]] for row in lost]
    seq, _, family, segment, _ = found
    stream, count = STREAM_OF[family], 0
    while seq < max(segment[NEXT], found[0] + 1):
        here = seq in singles
        for other in FAMILIES[stream].replace(family, ""):
            # Seqs between are those of the stream's other family, which is well.
            beside = find(folder, other, index[other], seq, {})
            here = here or (beside is not None and beside[0] == seq)
        if not here:
            count += name_lost(lost, stream, seq, 1, None)
        seq += 1
    return count, lost


def _record(folder: str, found: tuple) -> dict:
    """Return what an event says; nothing if it cannot be read."""
    try:
        with open(path(folder, found[2], found[3]), "rb") as file:
            file.seek(found[4])
            entry = read_entry(file)
    except OSError:
        return {}
    return json.loads(entry[2]) if entry else {}
