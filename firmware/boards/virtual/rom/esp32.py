"""The chip's module `esp32` over a flash image in a file: partitions, and NVS."""

import struct

import nvs_pages

_TABLE_ADDRESS = 0x8000
_TABLE_BYTES = 0xC00
_ENTRY_BYTES = 32
_BLOCK_BYTES = 4096
_NOT_FOUND = -0x1102  # ESP_ERR_NVS_NOT_FOUND.

_flash = None
_table = []


def attach(flash) -> None:
    """Take the open flash image and read its partition table; called once by the launcher."""
    global _flash  # noqa: PLW0603 - one flash a process
    _flash = flash
    flash.seek(_TABLE_ADDRESS)
    raw = flash.read(_TABLE_BYTES)
    for place in range(0, _TABLE_BYTES, _ENTRY_BYTES):
        if raw[place : place + 2] != b"\xaa\x50":
            break
        kind, subtype, address, size = struct.unpack_from("<BBII", raw, place + 2)
        label = raw[place + 12 : place + 28].rstrip(b"\0").decode()
        _table.append((kind, subtype, address, size, label, False))


class Partition:
    """A part of the flash, as on the chip: 4096-byte blocks, readable from any byte on."""

    TYPE_APP, TYPE_DATA = 0, 1

    def __init__(self, entry: tuple) -> None:
        self._entry = entry

    @staticmethod
    def find(type=0, subtype: int = 0xFF, label: str | None = None) -> list:  # noqa: A002 - the chip's own name
        """Every partition of that type, of the subtype and label if they are given."""
        return [
            Partition(entry)
            for entry in _table
            if entry[0] == type
            and subtype in (0xFF, entry[1])
            and (label is None or label == entry[4])
        ]

    def info(self) -> tuple:
        """(type, subtype, address, size, label, encrypted)."""
        return self._entry

    def readblocks(self, number: int, buffer: bytearray, offset=0) -> None:
        """Fill `buffer` from block `number`, `offset` bytes into it."""
        self._seek(number, offset, len(buffer))
        _flash.readinto(buffer)

    def writeblocks(self, number: int, buffer: bytearray, offset=None) -> None:
        """Program flash; without `offset` the blocks are erased first, as on the chip."""
        self._seek(number, offset or 0, len(buffer))
        _flash.write(buffer)

    def ioctl(self, request: int, argument: int) -> int:
        """Answer the requests of MicroPython's block device protocol."""
        if request == 4:
            return self._entry[3] // _BLOCK_BYTES
        if request == 5:
            return _BLOCK_BYTES
        if request == 6:
            self._seek(argument, 0, _BLOCK_BYTES)
            _flash.write(b"\xff" * _BLOCK_BYTES)
        return 0

    def _seek(self, number: int, offset, count) -> None:
        place = number * _BLOCK_BYTES + offset
        if not 0 <= place <= self._entry[3] - count:
            raise OSError(5, "outside of partition " + self._entry[4])
        _flash.seek(self._entry[2] + place)


class NVS:
    """One namespace of the partition `nvs`; of what can be set, whole numbers."""

    def __init__(self, namespace: str) -> None:
        info = Partition.find(Partition.TYPE_DATA, label="nvs")[0].info()
        self._namespace, self._place = namespace, info[2:4]
        self._values = nvs_pages.read(_flash, info[2], info[3], namespace)

    def get_i32(self, key: str) -> int:
        """A signed 32-bit value; raises OSError if there is none."""
        return self._get(key, int)

    def set_i32(self, key: str, value: int) -> None:
        """Keep a signed 32-bit value; it is in the flash at once, or after `commit`."""
        nvs_pages.set_i32(_flash, self._place, self._namespace, key, value)
        self._values[key] = value

    def erase_key(self, key: str) -> None:
        """Take a value away; raises OSError if there is none."""
        self._get(key, int)
        nvs_pages.set_i32(_flash, self._place, self._namespace, key, None)
        del self._values[key]

    def commit(self) -> None:
        """From here on it is in the flash."""
        _flash.flush()

    def get_blob(self, key: str, buffer: bytearray) -> int:
        """Copy a blob into `buffer` and return its length; raises OSError if it does not fit."""
        value = self._get(key, bytes)
        if len(value) > len(buffer):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(value)] = value
        return len(value)

    def _get(self, key: str, kind: type) -> object:
        value = self._values.get(key)
        if not isinstance(value, kind):
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return value
