"""A NOR flash: a program lets bits fall, an erase sets a sector's; the power may go in both.

Rules: only bits that are 1 fall; a program that asks for a bit to rise is an error of who asked
(`RuleBroken`), and so is a write outside of what may be written. Both, like `PowerCut`, are no
`Exception`, so that nothing of the code under test can take them for its own. After a cut every
further operation raises as well, and this object stays dead: what was left open in the code under
test cannot reach the flash of the next boot, which is another object over the same bytes.
"""

import gc

SECTOR_BYTES = 4096

# What a cut leaves of a program: bytes that got through; of an erase: the share of the sector.
# `scattered`: anywhere, each bit that was to change did so or not. `unsure`: as scattered, and an
# interrupted erase leaves bits that read differently each time, until the sector is erased again.
CUTS = ("before", "one", "half", "all but one", "scattered", "unsure", "after")
_BLANK = b"\xff" * SECTOR_BYTES
_ROOM_SLOTS = 4096


class PowerCut(BaseException):
    """The power is gone."""


class RuleBroken(BaseException):
    """The code under test asked for what this flash cannot do, or may never be asked."""


class Cells:
    """What a flash holds, over all power cycles: sectors, each copied when it is written to first.

    Attributes:
        sectors: Bytes of each; those that are blank, or as in a copy, are shared.
        noisy: Numbers of the sectors with unsure bits.
        ill: What is wrong with it (ill_flash.py), None of a flash that is well.
    """

    def __init__(self, sectors):
        """Begin with so many blank ones."""
        self.sectors = [_BLANK] * sectors
        self.noisy = set()
        self.ill = None
        self._own = set()

    def copy(self):
        """Return other cells that hold the same."""
        other = Cells(0)
        other.sectors, other.noisy = list(self.sectors), set(self.noisy)
        self._own = set()
        return other

    def put(self, number, content):
        """Let whole sectors hold this, whatever they held; the last one's rest is blank."""
        for at in range(0, len(content), SECTOR_BYTES):
            sector = content[at : at + SECTOR_BYTES]
            sector += _BLANK[len(sector) :]
            self.sectors[number] = _BLANK if sector == _BLANK else sector
            self._own.discard(number)
            number += 1

    def to_write(self, number):
        """Return a sector that may be written to."""
        if number not in self._own:
            self.sectors[number] = bytearray(self.sectors[number])
            self._own.add(number)
        return self.sectors[number]

    def erase(self, number):
        """Make a sector blank."""
        self.sectors[number] = _BLANK
        self._own.discard(number)
        self.noisy.discard(number)


class NorFlash:
    """One power cycle of a flash.

    Attributes:
        data: Its cells; the next power cycle's flash is made of the same.
        operations: Programs and erases begun in this power cycle.
        erases: Sector -> erases in this power cycle.
        dead: True once the power is gone.
        buried: Its device is gone as well. What MicroPython's collector closes of it then may not
            raise, and gets EIO.
    """

    def __init__(self, data, chance, cut=None):
        """Power on.

        Args:
            data: Cells.
            chance: `below(n)` and `bits(n)`: where scattered bits come from.
            cut: (operation, one of CUTS), operation counted from 1; None: no cut.
        """
        self.data = data
        self._sectors = data.sectors
        self.operations = 0
        self.erases = {}
        self.dead = self.buried = False
        self._chance = chance
        self._cut_at, self._how = cut or (0, "")
        # From a cut to the burial nothing is collected: there must be room for what that takes.
        self._room = [None] * _ROOM_SLOTS if cut else []

    def read(self, at, buffer):
        """Fill a buffer from within a sector."""
        number, at = at // SECTOR_BYTES, at % SECTOR_BYTES
        size = len(buffer)
        buffer[:] = memoryview(self._sectors[number])[at : at + size]
        ill = self.data.ill
        if self.dead or ill or self.data.noisy:
            self._check("read", number)
            if ill:
                ill.blur(number, at, buffer)
            if number in self.data.noisy:
                value = int.from_bytes(buffer, "little") | self._chance.bits(size * 8)
                buffer[:] = value.to_bytes(size, "little")

    def program(self, at, content):
        """Let bits fall within a sector."""
        number, at = at // SECTOR_BYTES, at % SECTOR_BYTES
        self._check("program", number)
        if self.data.ill and self.data.ill.keeps(number):
            return
        size = len(content)
        cells = self.data.to_write(number)
        old = int.from_bytes(cells[at : at + size], "little")
        new = int.from_bytes(content, "little")
        if old | new != old and number not in self.data.noisy and not self.data.ill:
            raise RuleBroken(f"a bit was to rise at {at:#x} of sector {number}")
        new &= old
        if self._is_cut():
            new = self._torn_program(old, new, size)
        cells[at : at + size] = new.to_bytes(size, "little")
        self._after()

    def erase(self, number):
        """Set every bit of a sector."""
        self._check("erase", number)
        self.erases[number] = self.erases.get(number, 0) + 1
        if self.data.ill and self.data.ill.keeps(number):
            return
        if self._is_cut():
            self._tear_erase(number)
        else:
            self.data.erase(number)
        self._after()

    def pull_power(self):
        """Cut the power between two operations, for good."""
        self.dead = self.buried = True
        gc.enable()

    def _check(self, kind, number):
        if self.dead:
            raise PowerCut
        if kind != "read":
            self.operations += 1
        if self.data.ill:
            self.data.ill.strike(kind, number)

    def _is_cut(self):
        return self.operations == self._cut_at

    def _after(self):
        if self._is_cut():
            self.dead = True
            # Until this is buried: what the collector closes would raise in its midst.
            gc.disable()
            self._room.clear()  # MicroPython gives back at once what a list lets go.
            raise PowerCut

    def _torn_program(self, old, new, size):
        if self._how in ("scattered", "unsure"):
            return new | (old & self._chance.bits(size * 8))
        done = {"before": 0, "one": 1, "half": size // 2, "all but one": size - 1}
        # Little-endian: the low bits are the first bytes.
        behind = 8 * done.get(self._how, size)
        return ((old >> behind) << behind) | (new & ((1 << behind) - 1))

    def _tear_erase(self, number):
        done = {"before": 0, "one": 1, "half": SECTOR_BYTES // 2, "all but one": SECTOR_BYTES - 1}
        cells = self.data.to_write(number)
        if self._how in ("scattered", "unsure"):
            old = int.from_bytes(cells, "little")
            new = old | self._chance.bits(SECTOR_BYTES * 8)
            cells[:] = new.to_bytes(SECTOR_BYTES, "little")
            if self._how == "unsure":
                self.data.noisy.add(number)
        else:
            size = done.get(self._how, SECTOR_BYTES)
            cells[:size] = _BLANK[:size]


def all_cuts(operations, step):
    """Yield (operation, how) of every way to cut each step-th of so many operations."""
    for operation in range(1, operations + 1, step):
        for how in CUTS:
            # Before an operation is after the one before it.
            if how != "after" or operation == operations:
                yield operation, how
