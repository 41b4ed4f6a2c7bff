"""The partition table of every Xunhu device, final: a fielded terminal cannot be repartitioned.

Entries as in ESP-IDF's "Partition Tables": 32 bytes each, then one entry that holds the MD5 of
those before it.
"""

import hashlib
import struct
from dataclasses import dataclass

from provisioning.errors import ImageError

FLASH_BYTES = 0x400000
TABLE_ADDRESS = 0x8000
TABLE_BYTES = 0x1000
BLOCK_BYTES = 4096

_ENTRY = "<2sBBII16sI"
_ENTRY_MAGIC = b"\xaa\x50"
_MD5_START = b"\xeb\xeb" + b"\xff" * 14
_APP, _DATA = 0, 1
_LITTLEFS = 0x83  # What MicroPython's own partition tables use.


@dataclass(frozen=True)
class Partition:
    """One row: where it is, how long, and what the boot loader and MicroPython take it for."""

    label: str
    kind: int
    subtype: int
    address: int
    size: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.size


TABLE = (
    Partition("nvs", _DATA, 0x02, 0x9000, 0x4000),
    Partition("otadata", _DATA, 0x00, 0xD000, 0x2000),
    Partition("phy_init", _DATA, 0x01, 0xF000, 0x1000),
    Partition("ota_0", _APP, 0x10, 0x10000, 0x1B0000),
    Partition("ota_1", _APP, 0x11, 0x1C0000, 0x1B0000),
    # Found by this label by MicroPython's own boot code, which mounts it at /.
    Partition("vfs", _DATA, 0x81, 0x370000, 0x18000),
    Partition("app_a", _DATA, _LITTLEFS, 0x388000, 0x1C000),
    Partition("app_b", _DATA, _LITTLEFS, 0x3A4000, 0x1C000),
    Partition("journal", _DATA, _LITTLEFS, 0x3C0000, 0x40000),
)
_BY_LABEL = {partition.label: partition for partition in TABLE}


def partition(label: str) -> Partition:
    """Return a row of the table by its label."""
    return _BY_LABEL[label]


def table_bytes() -> bytes:
    """Return the table as it stands at TABLE_ADDRESS, filled up with 0xFF."""
    entries = b"".join(
        struct.pack(
            _ENTRY, _ENTRY_MAGIC, row.kind, row.subtype, row.address, row.size,
            row.label.encode(), 0,
        )
        for row in TABLE
    )  # fmt: skip
    digest = hashlib.md5(entries, usedforsecurity=False).digest()
    return (entries + _MD5_START + digest).ljust(TABLE_BYTES, b"\xff")


def parse_table(raw: bytes) -> tuple[Partition, ...]:
    """Read a binary partition table.

    Args:
        raw: At least the table's entries and its MD5 entry.

    Raises:
        ImageError: It is cut short, or its MD5 entry is missing or wrong.
    """
    rows: list[Partition] = []
    for at in range(0, len(raw) - 31, 32):
        entry = raw[at : at + 32]
        if entry.startswith(_MD5_START):
            if entry[16:] != hashlib.md5(raw[:at], usedforsecurity=False).digest():
                raise ImageError("the partition table's MD5 is wrong")
            return tuple(rows)
        magic, kind, subtype, address, size, label, _ = struct.unpack(_ENTRY, entry)
        if magic != _ENTRY_MAGIC:
            raise ImageError(f"entry {len(rows)} of the partition table begins with {magic.hex()}")
        rows.append(Partition(label.rstrip(b"\0").decode(), kind, subtype, address, size))
    raise ImageError("the partition table has no MD5 entry")
