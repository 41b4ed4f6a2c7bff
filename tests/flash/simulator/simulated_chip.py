"""The chip's module `esp32` over a simulated flash, and the boot code that runs from it.

The image is a whole one, as `provisioning` composes it. Only the journal, by its own rules NVS,
and for a rescue agent the application slot that is not mounted may be written: whoever touches
another partition has broken the promise that a terminal keeps its identity. All of it is one NOR
flash, so that one count of operations goes through it.
"""

import gc
import struct
import sys

import nvs_pages
import vfs
from nor_flash import SECTOR_BYTES, Cells, NorFlash, RuleBroken

_TABLE_ADDRESS, _TABLE_BYTES, _ENTRY_BYTES = 0x8000, 0xC00, 32
_NOT_FOUND = -0x1102
HOST = "/host"
_BUILT_IN = (
    "binascii", "collections", "deflate", "hashlib", "io", "json", "random", "struct", "sys",
    "time", "vfs",
)  # fmt: skip


_WRITABLE = ("nvs", "journal", "app_a", "app_b")


class Rom:
    """An image: what nothing on a device may change, and what a new device begins with."""

    def __init__(self, path, journal_blocks):
        self.table = []
        with open(path, "rb") as file:  # noqa: PTH123 - MicroPython
            file.seek(_TABLE_ADDRESS)
            raw = file.read(_TABLE_BYTES)
            for place in range(0, _TABLE_BYTES, _ENTRY_BYTES):
                if raw[place : place + 2] != b"\xaa\x50":
                    break
                kind, subtype, address, size = struct.unpack_from("<BBII", raw, place + 2)
                label = raw[place + 12 : place + 28].rstrip(b"\0").decode()
                content = None
                if label == "journal" and journal_blocks:
                    size = journal_blocks * SECTOR_BYTES
                if label in ("nvs", "vfs", "app_a", "app_b"):
                    file.seek(address)
                    content = file.read(size)
                self.table.append((kind, subtype, address, size, label, content))

    def place(self, label):
        """Return (address, bytes) of what may be written, in the data of the NOR flash."""
        sizes = {row[4]: row[3] for row in self.table}
        before = _WRITABLE[: _WRITABLE.index(label)]
        return sum([sizes[name] for name in before]), sizes[label]

    def writable(self):
        """Return what a new device's NOR flash holds: its NVS, the slots, and no journal."""
        cells = Cells(sum(self.place(_WRITABLE[-1])) // SECTOR_BYTES)
        for row in self.table:
            if row[4] in _WRITABLE and row[5]:
                cells.put(self.place(row[4])[0] // SECTOR_BYTES, row[5])
        return cells


class Partition:
    """As on the chip; what may be written is the NOR flash, every other one a part of the ROM.

    Attributes:
        in_rescue: The rescue agent runs, which may write an application slot.
    """

    TYPE_APP, TYPE_DATA = 0, 1
    rom = None
    flash = None

    in_rescue = False

    def __init__(self, row):
        self._row = row
        self._size, self._label, self._content = row[3:]
        self._flash = Partition.flash if self._label in _WRITABLE else None
        self._base = Partition.rom.place(self._label)[0] if self._flash else 0

    @staticmethod
    def find(type=0, subtype=0xFF, label=None):  # noqa: A002 - the chip's own name
        return [
            Partition(row)
            for row in Partition.rom.table
            if row[0] == type and subtype in (0xFF, row[1]) and label in (None, row[4])
        ]

    def readblocks(self, number, buffer, offset=0):
        at = number * SECTOR_BYTES + offset
        if self._flash:
            if self._flash.buried:
                return -5
            self._flash.read(self._base + at, buffer)
        else:
            buffer[:] = memoryview(self._content)[at : at + len(buffer)]
        return 0

    def writeblocks(self, number, buffer, offset=None):
        if self._flash and self._flash.buried:
            return -5
        self._check_may_write()
        if offset is None:
            for block in range(number, number + (len(buffer) + 4095) // SECTOR_BYTES):
                self.ioctl(6, block)
        self._flash.program(self._base + number * SECTOR_BYTES + (offset or 0), buffer)
        return 0

    def ioctl(self, request, argument):
        if request == 4:
            return self._size // SECTOR_BYTES
        if request == 5:
            return SECTOR_BYTES
        if request == 6:
            if self._flash and self._flash.buried:
                return -5
            self._check_may_write()
            self._flash.erase(self._base // SECTOR_BYTES + argument)
        return 0

    def info(self):
        return self._row[:5] + (False,)  # noqa: RUF005 - MicroPython

    def _check_may_write(self):
        may = self._label == "journal"
        if self._label in ("app_a", "app_b"):
            may = Partition.in_rescue and sys.modules["flash"].slot != self._label
        if not may:
            raise RuleBroken("a write into the partition " + self._label)


class NVS:
    """One namespace, as on the virtual board; on the chip ESP-IDF's own code keeps these rules."""

    def __init__(self, namespace):
        self._namespace = namespace
        self._place = Partition.rom.place("nvs")
        data = Partition.flash.data
        pages = data.sectors[: self._place[1] // SECTOR_BYTES]
        # Read once for the same content: it seldom changes.
        if pages != NVS.read[0] or namespace != NVS.read[1] or data.noisy:
            values = nvs_pages.read(NvsFile(), self._place[0], self._place[1], namespace)
            NVS.read = [bytes(page) for page in pages], namespace, values
        self._values = NVS.read[2]

    read = None, None, None

    def get_i32(self, key):
        return self._get(key, int)

    def set_i32(self, key, value):
        nvs_pages.set_i32(NvsFile(), self._place, self._namespace, key, value)

    def erase_key(self, key):
        self._get(key, int)
        nvs_pages.set_i32(NvsFile(), self._place, self._namespace, key, None)

    def commit(self):
        pass

    def get_blob(self, key, buffer):
        value = self._get(key, bytes)
        if len(value) > len(buffer):
            raise OSError(-0x110C)
        buffer[: len(value)] = value
        return len(value)

    def _get(self, key, kind):
        value = self._values.get(key)
        if not isinstance(value, kind):
            raise OSError(_NOT_FOUND)
        return value


class NvsFile:
    """What `nvs_pages` works on: a file that is the NOR flash."""

    _at = 0

    def seek(self, at):
        self._at = at

    def read(self, size):
        buffer = bytearray(size)
        Partition.flash.read(self._at, buffer)
        return bytes(buffer)

    def write(self, content):
        if len(content) == SECTOR_BYTES:
            Partition.flash.erase(self._at // SECTOR_BYTES)
        else:
            Partition.flash.program(self._at, content)

    def flush(self):
        pass


class Machine:
    """The module `machine`, as far as boot code asks; `cause`: why this power cycle began."""

    cause = 1
    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5

    @staticmethod
    def reset_cause():
        return Machine.cause


class _Gc:
    """The module `gc` of a device that never has to collect: the simulator does so between cycles.

    When memory is collected is no part of what a power cut leaves, and the thresholds that fit a
    chip's heap would take most of the time here.
    """

    enable, disable, mem_free = gc.enable, gc.disable, gc.mem_free

    def threshold(self, _bytes):
        pass

    def collect(self):
        pass


class _Os:
    """The module `os`, its chance from the seed."""

    def __init__(self, chance):
        import os

        self._os, self._chance = os, chance

    def __getattr__(self, name):
        return getattr(self._os, name)

    def urandom(self, size):
        return self._chance.bits(size * 8).to_bytes(size, "little")


def plug_in(image, chance, journal_blocks=None):
    """Take an image, and the place of `esp32`, `os` and `asyncio`; once a process.

    Args:
        image: Path of a composed flash image.
        chance: For whoever asks the chip.
        journal_blocks: Fewer than the partition table says, where a full journal is wanted soon.
    """
    import virtual_time

    Partition.rom = Rom(image, journal_blocks)
    sys.modules["esp32"] = sys.modules[__name__]
    sys.modules["machine"] = Machine
    sys.modules["asyncio"] = virtual_time
    sys.modules["os"] = _Os(chance)
    sys.modules["gc"] = _Gc()
    # What is loaded is not looked for in every folder first.
    for name in _BUILT_IN:
        sys.modules[name] = __import__(name)
    host = vfs.VfsPosix("/")
    vfs.umount("/")
    vfs.mount(host, HOST)
    global _path  # noqa: PLW0603 - one path
    _path = [place if place[0] == "." else HOST + place for place in sys.path if place]
    sys.path[:] = _path


def boot(data, chance, cut=None, cause=Machine.PWRON_RESET):
    """Power on: mount `vfs`, as MicroPython's own boot code does, and run our boot code from it.

    Returns:
        (flash, module `flash` of the boot code, why the rescue agent is wanted); a cut leaves as
        PowerCut, with `switch_off` due.
    """
    flash = Partition.flash = NorFlash(data, chance, cut)
    Partition.in_rescue = False
    Machine.cause = cause
    found = Partition.find(Partition.TYPE_DATA, label="vfs")
    vfs.mount(found[0], "/")
    sys.path[:] = ["", ".frozen", "/lib"]  # As MicroPython has it on the chip.
    _forget_boot()
    with open("/boot.py") as file:  # noqa: PTH123 - MicroPython
        source = file.read()
    exec(compile(source, "boot.py", "exec"), {"__name__": "__main__"})
    found = sys.modules["flash"]
    reason = found.boots().begin(found)
    sys.path[:] = _path + sys.path
    return flash, found, reason


def _forget_boot():
    """Make the boot code's module as it is when it was just loaded, and load it the first time."""
    if not _boot_state:
        import flash

        _boot_state.update(flash.__dict__)
    flash = sys.modules["flash"]
    for name, value in _boot_state.items():
        setattr(flash, name, value)


def switch_off():
    """Take the file systems away, whatever state they are in."""
    if Partition.flash:
        Partition.flash.pull_power()
    for place in ("/journal", "/app", "/"):
        try:  # noqa: SIM105 - MicroPython
            vfs.umount(place)
        except OSError:
            pass
    Partition.flash = None
    # Not later: files that the cut left open must not be closed in the midst of the next cycle.
    gc.collect()


_path = []
_boot_state = {}
