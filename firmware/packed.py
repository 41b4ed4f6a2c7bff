"""The rescue agent's modules as a folder: source, compressed, all of them in one file of `vfs`.

Loaded by main.py when the agent is needed. In files of their own they would take a block of 4096
bytes each, of the 24 that `vfs` has; as bytecode a later MicroPython might refuse them.

The file: one line ` PATH OFFSET PATH OFFSET ...`, then the contents, zlib, each from its offset.
"""

import deflate
import vfs

FILE = "/rescue.pack"
FOLDER = "/packed"
_IS_FOLDER, _IS_FILE = 0x4000, 0x8000
_NOT_THERE = 2  # ENOENT
_ENODEV = 19


class Packed:
    """A file system of MicroPython's protocol for those made in Python; for reading only."""

    def __init__(self) -> None:
        with open(FILE, "rb") as file:
            self._index = file.readline()

    def mount(self, _readonly: bool, _mkfs: bool) -> None:
        """Nothing to do."""

    def umount(self) -> None:
        """Nothing to do."""

    def stat(self, path: str) -> tuple:
        """Say what a path is; all that an import asks for is its kind."""
        path = path.strip("/")
        if self._index.find(b" " + path.encode() + b"/") >= 0:
            return (_IS_FOLDER,) + (0,) * 9
        self._offset(path)
        return (_IS_FILE,) + (0,) * 9

    def open(self, path: str, _mode: str) -> object:
        """Open one module."""
        file = open(FILE, "rb")  # noqa: SIM115 - the reader closes it
        file.seek(len(self._index) + self._offset(path.strip("/")))
        return deflate.DeflateIO(file, deflate.ZLIB)

    def _offset(self, path: str) -> int:
        name = b" " + path.encode() + b" "
        at = self._index.find(name)
        if at < 0:
            raise OSError(_NOT_THERE)
        return int(self._index[at + len(name) :].split(b" ", 1)[0])


class NoJournal:
    """What is at /journal when nothing can be mounted there.

    Else what was to be kept would go to `vfs`: littlefs writes even where a file cannot be made.
    """

    def mount(self, _readonly: bool, _mkfs: bool) -> None:
        """Nothing to do."""

    def umount(self) -> None:
        """Nothing to do."""

    def _refuse(self, *_arguments: object) -> None:
        raise OSError(_ENODEV)

    open = stat = statvfs = ilistdir = remove = rename = _refuse


def mount() -> str:
    """Mount the folder, if it is not yet; returns its path."""
    try:
        vfs.mount(Packed(), FOLDER)
    except OSError:
        pass  # EPERM: it is there.
    return FOLDER
