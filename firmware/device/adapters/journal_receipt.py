"""What a receipt does to the journal; loaded when one comes, then dropped."""

from device.adapters.segments import FAMILIES, NEXT, SIZE

TIDY_BYTES = 1024  # A newest segment, all receipted, is replaced by an empty one above this.
SINGLES_MAX = 64  # Receipted ones above the lowest: four windows of what may be in the air.


def take(journal, stream: str, upto: int, singles: list) -> None:
    """Take a receipt, as `Journal.receive` says."""
    behind = journal.next_seq(stream)
    floor = journal.floor[stream] = max(journal.floor[stream], min(upto + 1, behind))
    mine = journal.singles[stream]
    for seq in singles:
        if floor <= seq < behind and seq not in mine and len(mine) < SINGLES_MAX:
            found = journal.first(stream, seq)
            if found and found[0] == seq:
                mine[seq] = found[1]
    journal.lows.pop(stream, None)
    floor = journal.floor[stream] = journal.low(stream)
    for seq in [s for s in mine if s < floor]:
        del mine[seq]
    try:
        for family in FAMILIES[stream]:
            _tidy(journal, family, floor, behind)
    except OSError:
        # A flash that fails frees no room, and that is all: what was receipted is.
        journal.kept.fault = True


def _tidy(journal, family: str, floor: int, behind: int) -> None:
    """Remove what is receipted, but for the newest, whose end says which seq is next."""
    segments = journal.index[family]
    while len(segments) > 1 and segments[0][NEXT] <= floor:
        journal.remove_oldest(family)
    if segments and segments[0][NEXT] <= floor and segments[0][SIZE] > TIDY_BYTES:
        journal.new_segment(family, behind)
        journal.remove_oldest(family)
