"""Where the application and the journal are on the flash, and how both are mounted at boot.

Stays source in the partition `vfs`, never bytecode: only a cable rewrites `vfs`, and a later
MicroPython, which an update can bring, may refuse bytecode of today.

Rules: the journal is formatted only if none ever was there; no other partition is ever formatted;
what cannot be mounted is reported once and never tried in a loop: main.py calls the rescue agent.
"""

import gc
import sys

import vfs
from esp32 import NVS, Partition

SLOTS = ("app_a", "app_b")
_SLOT_BLOCK_BYTES = 512  # Forty small modules do not fit 28 blocks of 4096 bytes each.
_FLASH_BLOCK_BYTES = 4096
_PAGE_BYTES = 1024
_PAGES_MAX = 8  # Measured: 56 reads of flash for a whole start; 171 with 4, 2,200 with none.
# What loading leaves behind is collected this often. Else it is spread over the chip's first 56 KB
# of heap, what stays comes to lie between, no room for a few KB in one piece is left, and the heap
# doubles at the cost of the network.
_COLLECT_BYTES = 4096
_EIO, _CORRUPT = -5, -84  # Of littlefs.
_SENT = 2  # As in boots.py.
_BLOCK_COUNT, _BLOCK_SIZE, _ERASE = 4, 5, 6  # Requests of MicroPython's block device protocol.

_ONCE = (
    "mount", "Steady", "_number", "_mount_slot", "_mount_journal", "_journal_system",
    "_find", "_ONCE",
)  # fmt: skip

_view = None
slot = None  # The application slot that is mounted at /app.
journal = "failed"  # kept | formatted | failed
journal_lost = False  # True when the rescue agent had to make it anew; boots.py knows.


class SlotView:
    """An application slot as a block device with small blocks, for reading only.

    Without `writeblocks` the file system is read-only; an update writes whole blocks of the
    partition beneath, never files. Finding and loading a module asks for the same few bytes many
    times, so the pages read last are held, until `settle` gives their memory to the application.
    """

    def __init__(self, partition) -> None:
        self._partition = partition
        self._pages = []  # (number, content), the one used last at the end.
        self._pages_max = _PAGES_MAX

    def readblocks(self, number: int, buffer: bytearray, offset=0) -> None:
        """Fill `buffer` from one small block; never asked to cross its end."""
        place = number * _SLOT_BLOCK_BYTES + offset
        at = place % _PAGE_BYTES
        buffer[:] = memoryview(self._page(place // _PAGE_BYTES))[at : at + len(buffer)]

    def ioctl(self, request: int, _argument: int) -> int:
        """Answer how many blocks there are and how large; nothing else is done."""
        if request == _BLOCK_COUNT:
            blocks = self._partition.ioctl(_BLOCK_COUNT, 0)
            return blocks * (_FLASH_BLOCK_BYTES // _SLOT_BLOCK_BYTES)
        if request == _BLOCK_SIZE:
            return _SLOT_BLOCK_BYTES
        return 0

    def settle(self) -> None:
        """Forget the pages, and hold one only for what is loaded now and then."""
        self._pages.clear()
        self._pages_max = 1

    def _page(self, number: int) -> bytearray:
        for place, (held, content) in enumerate(self._pages):
            if held == number:
                self._pages.append(self._pages.pop(place))
                return content
        # The oldest page's memory serves again: the heap must not be filled with holes.
        full = len(self._pages) >= self._pages_max
        content = self._pages.pop(0)[1] if full else bytearray(_PAGE_BYTES)
        place = number * _PAGE_BYTES
        self._partition.readblocks(
            place // _FLASH_BLOCK_BYTES, content, place % _FLASH_BLOCK_BYTES
        )
        self._pages.append((number, content))
        return content


class Steady:
    """The journal's partition: what it refuses is an error that it returns.

    On the chip it raises, and an exception that passes through littlefs leaves files open in it
    whose memory is given to others. A block that refuses a write is a bad one: littlefs takes
    another. One that cannot be read is not: it would take what was there before. A `still` one
    takes nothing: mounted read-only alone, littlefs would write nothing and erase all the same.
    """

    # No list of arguments: the collector may close what was left open, and may not allocate.

    def __init__(self, partition, still: bool) -> None:
        self._partition = partition
        self._still = still

    def readblocks(self, number: int, buffer: bytearray, offset: int) -> int | None:
        """Fill `buffer`; an error of littlefs if the flash cannot be read."""
        try:
            return self._partition.readblocks(number, buffer, offset)
        except OSError:
            return _EIO

    def writeblocks(self, number: int, buffer: bytes, offset: int) -> int | None:
        """Write `buffer`; an error of littlefs if the flash refuses."""
        if self._still:
            return _EIO
        try:
            return self._partition.writeblocks(number, buffer, offset)
        except OSError:
            return _CORRUPT

    def ioctl(self, request: int, argument: int) -> int | None:
        """Erase, or answer; an error of littlefs if the flash refuses."""
        if self._still and request == _ERASE:
            return _EIO
        try:
            return self._partition.ioctl(request, argument)
        except OSError:
            return _CORRUPT


def mount() -> None:
    """Mount the application at /app and the journal at /journal; says what went wrong."""
    global slot  # noqa: PLW0603 - what a boot found is one fact of the machine
    gc.threshold(_COLLECT_BYTES)
    # The frozen modules first: nothing on a file system stands in for them. Not `/`: every import
    # of a built-in module would be looked for there too.
    sys.path[:] = [".frozen", "/app"]
    first = _number("slot") & 1  # 0 on a device that was never updated.
    for label in (SLOTS[first], SLOTS[1 - first]):
        if _mount_slot(label):
            slot = label
            break
    _mount_journal()
    # They run once, and would keep a kilobyte of the application's heap.
    for name in _ONCE:
        del globals()[name]


def _number(key: str) -> int:
    """A number kept in NVS, 0 if there is none."""
    try:
        return NVS("xunhu").get_i32(key)
    except OSError:
        return 0


def settle() -> None:
    """Tell that the application is loaded: what helped to load it gives its memory back."""
    if _view:
        _view.settle()


def well() -> None:
    """Tell that the application works: starts that failed before this one are forgotten."""
    boots().keep(("boots", -1))


def boots():  # noqa: ANN201 - a module
    """Return the module `boots`, loaded for the moment from where nothing else is looked for."""
    sys.path.append("/")
    import boots

    sys.path.pop()
    del sys.modules["boots"]
    return boots


def _mount_slot(label: str) -> bool:
    global _view  # noqa: PLW0603 - as above
    try:
        view = SlotView(_find(label))
        # The stubs ask for a class of theirs; a block device is whatever has the methods.
        files = vfs.VfsLfs2(view)  # pyright: ignore[reportArgumentType]
        vfs.mount(files, "/app", readonly=True)
        _view = view
    except OSError as error:
        print("boot:", label, "holds no application:", error)
        return False
    return True


def _mount_journal() -> None:
    global journal  # noqa: PLW0603 - as above
    try:
        partition = _find("journal")
        try:
            # Once the rescue agent has sent from it, it stays as it is until it is made anew: what
            # was found there must not move.
            sent = _number("lost") == _SENT
            vfs.mount(_journal_system(partition, sent), "/journal")
            journal = "kept"
        except OSError as error:
            if not boots().is_unused(partition):
                print("boot: journal cannot be mounted, left as it is:", error)
                return
            print("boot: journal was blank, formatted")
            vfs.VfsLfs2.mkfs(Steady(partition, False))  # pyright: ignore[reportArgumentType]
            vfs.mount(_journal_system(partition, False), "/journal")
            journal = "formatted"
    except OSError as error:
        print("boot: no journal, nothing can be kept:", error)
    finally:
        if journal == "failed":
            # In a module that the rescue agent needs as well; seldom, so not here.
            sys.path.append("/")
            import packed

            sys.path.pop()
            vfs.mount(packed.NoJournal(), "/journal")  # pyright: ignore[reportArgumentType]


def _journal_system(partition, still: bool) -> vfs.VfsLfs2:
    device = Steady(partition, still)
    # Reads of 128 bytes: a start reads the whole journal, and each read stops the other core.
    return vfs.VfsLfs2(device, readsize=128, mtime=False)  # pyright: ignore[reportArgumentType]


def _find(label: str) -> Partition:
    found = Partition.find(Partition.TYPE_DATA, label=label)
    if not found:
        raise OSError(19, "no partition " + label)  # ENODEV
    return found[0]
