"""How a flash fails: from some operation on, all of it or one sector, loudly or without a word.

It lasts over power cycles, as it does in life. Only the journal can become unreadable: a device
that cannot read who it is has nothing to keep.
"""

_EIO = 5
_SECTOR_BYTES = 4096
_FOR_EVER = 1 << 30

# Way -> (operations that raise EIO, whether programs and erases change nothing and say nothing,
# whether all of the flash has it or the sector that it began in, how many operations it lasts).
WAYS = {
    "refused": ("program erase", False, True, _FOR_EVER),
    "no_programs": ("program", False, True, _FOR_EVER),
    "no_erases": ("erase", False, True, _FOR_EVER),
    "protected": ("", True, True, _FOR_EVER),
    "dead": ("read program erase", False, True, _FOR_EVER),
    "unreadable": ("read", False, True, _FOR_EVER),
    "worn_sector": ("", True, False, _FOR_EVER),
    "bad_sector": ("program erase", False, False, _FOR_EVER),
    "lost_sector": ("read", False, False, _FOR_EVER),
    "blurred_sector": ("", False, False, _FOR_EVER),  # What is read is not what was written.
    "passing": ("program erase", False, True, 4),
    "passing_reads": ("read", False, True, 12),
}


class Illness:
    """What is wrong with one flash.

    Attributes:
        way: One of WAYS.
        refused: Programs and erases that raised or changed nothing.
        unread: Reads that raised or came out wrong.
    """

    def __init__(self, way, after, journal, chance):
        """Begin with the `after`-th program or erase in the sectors of the journal.

        Args:
            way: One of WAYS.
            after: Counted from 1.
            journal: (first sector, sectors).
            chance: Which bit of a blurred sector is read wrongly.
        """
        self.way = way
        self.refused = self.unread = 0
        self._kinds, self._is_silent, self._is_all, self._left = WAYS[way]
        self._after = after
        self._first, self._sectors = journal
        self._sector = None
        self._place, self._bit = chance.below(_SECTOR_BYTES), 1 << chance.below(8)

    def strike(self, kind, number):
        """An operation is to begin: count it; OSError if it is refused."""
        in_journal = 0 <= number - self._first < self._sectors
        if kind != "read" and in_journal and self._after:
            self._after -= 1
            if not self._after:
                self._sector = number
        if not self._has(number) or kind not in self._kinds or (kind == "read" and not in_journal):
            return
        self._left -= 1
        if kind == "read":
            self.unread += 1
        else:
            self.refused += 1
        raise OSError(_EIO)

    def keeps(self, number):
        """Say whether a program or an erase changes nothing of a sector."""
        keeps = self._is_silent and self._has(number)
        self.refused += keeps
        return keeps

    def blur(self, number, at, buffer):
        """Spoil what was read, if it is read wrongly."""
        place = self._place - at
        if self.way == "blurred_sector" and self._has(number) and 0 <= place < len(buffer):
            self.unread += 1
            buffer[place] ^= self._bit

    @property
    def stays(self):
        """Whether all of it is ill, for good: littlefs finds a place beside one bad sector."""
        return self._is_all and not self._after and self._left > _FOR_EVER // 2

    def _has(self, number):
        return not self._after and self._left > 0 and (self._is_all or number == self._sector)
