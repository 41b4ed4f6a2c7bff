"""Reads, and for whole numbers writes, the page format of ESP-IDF's non-volatile storage (NVS).

Versions 1 and 2 are read. What is written follows the rules of a NOR flash: bits only fall until a
page is erased, a new value is there before the old one is marked as gone, and one page stays free.

A page: 32 bytes of header, a bitmap of two bits an entry, 126 entries of 32 bytes. An entry:
`namespace u8 | type u8 | span u8 | chunk u8 | crc u32 | key 16 bytes | data 8 bytes`; a blob's
bytes follow in the entries that its span covers. Source: ESP-IDF, "Non-volatile Storage Library".
"""

import binascii
import struct

_PAGE_BYTES = 4096
_ENTRIES = 126
_ENTRY_BYTES = 32
_FIRST_ENTRY = 64
_EMPTY, _WRITTEN, _GONE = 3, 2, 0  # The two bits of an entry in the bitmap.
# Page states lose a bit at each step. Uninitialised and corrupt pages hold nothing to read.
_UNUSED, _ACTIVE, _FULL = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFC
_PAGE_STATES = (_ACTIVE, _FULL, 0xFFFFFFF8)
_NUMBERS = {0x01: "<B", 0x11: "<b", 0x02: "<H", 0x12: "<h", 0x04: "<I", 0x14: "<i"}
_I32 = 0x14
_TEXT, _BLOB, _BLOB_PART = 0x21, 0x41, 0x42
_NO_SPACE = -0x1105  # ESP_ERR_NVS_NOT_ENOUGH_SPACE.


def read(flash, address: int, size: int, namespace: str) -> dict:
    """Return {key: int | str | bytes} of one namespace; what fails its checksum is left out.

    Args:
        flash: The open flash image.
        address: Where the partition begins, in bytes.
        size: Its length, a multiple of 4096.
        namespace: Up to 15 characters.
    """
    number, entries = None, []
    for entry in _entries(flash, address, size):
        if entry[0] == 0 and entry[1] == 0x01 and entry[3] == namespace:
            number = entry[4][0]
        elif entry[0]:
            entries.append(entry)
    return _values([entry for entry in entries if entry[0] == number])


def set_i32(flash, place: tuple, namespace: str, key: str, value: int | None) -> None:
    """Write a whole number, or take it away.

    Args:
        flash: The open flash image.
        place: (address, bytes) of the partition.
        namespace: It must be there.
        key: Up to 15 characters.
        value: Signed, 32 bits; None takes the key away.

    Raises:
        OSError: There is no such namespace, or no room.
    """
    owner = _owner(flash, place, namespace)
    new = None
    if value is not None:
        head = struct.pack("<BBBB", owner, _I32, 1, 0xFF)
        tail = key.encode() + b"\0" * (16 - len(key)) + struct.pack("<i", value) + b"\xff" * 4
        entry = head + struct.pack("<I", _crc(head + tail)) + tail
        new = _free_entry(flash, place)
        _put(flash, new[0] + _FIRST_ENTRY + new[1] * _ENTRY_BYTES, entry)
        _mark(flash, new[0], new[1], _WRITTEN)
    old = [
        (page_at, number)
        for page_at, number, entry, _ in _walk(flash, place[0], place[1])
        if entry and (entry[0], entry[1], entry[3]) == (owner, _I32, key)
    ]
    for page_at, number in old:
        if (page_at, number) != new:
            _mark(flash, page_at, number, _GONE)


def _owner(flash, place: tuple, namespace: str) -> int:
    for entry in _entries(flash, place[0], place[1]):
        if entry[0] == 0 and entry[1] == 0x01 and entry[3] == namespace:
            return entry[4][0]
    raise OSError(-0x1102, "no namespace " + namespace)


def _pages(place: tuple) -> range:
    return range(place[0], place[0] + place[1], _PAGE_BYTES)


def _free_entry(flash, place: tuple) -> tuple:
    """Return (page, number) of an empty entry in the active page; the page may be a new one."""
    states = {at: struct.unpack("<I", _read(flash, at, 4))[0] for at in _pages(place)}
    for at, state in states.items():
        if state == _ACTIVE:
            head = _read(flash, at, _FIRST_ENTRY)
            for number in range(_ENTRIES):
                if _bits(head, number) == _EMPTY:
                    return at, number
            _put(flash, at, struct.pack("<I", _FULL))
    unused = [at for at in states if states[at] == _UNUSED]
    if not unused:
        raise OSError(_NO_SPACE, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
    fresh = unused[0]
    sequences = [
        struct.unpack_from("<I", _read(flash, at, 8), 4)[0] for at in states if at not in unused
    ]
    head = struct.pack("<IB", max(sequences) + 1, 0xFE) + b"\xff" * 19
    _put(flash, fresh, struct.pack("<I", _ACTIVE) + head + struct.pack("<I", _crc(head)))
    if len(unused) > 1:
        return fresh, 0
    return fresh, _move_fullest(flash, [at for at in states if at != fresh], fresh)


def _move_fullest(flash, pages: list, fresh: int) -> int:
    """Move what lives in the page with the least of it, and erase that page; returns how many."""
    live = {at: [row for row in _walk(flash, at, _PAGE_BYTES) if row[2]] for at in pages}
    page = min(pages, key=lambda at: sum([row[3] for row in live[at]]))
    moved = 0
    for _, number, _, span in live[page]:
        raw = _read(flash, page + _FIRST_ENTRY + number * _ENTRY_BYTES, span * _ENTRY_BYTES)
        if moved + span >= _ENTRIES:
            raise OSError(_NO_SPACE, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        _put(flash, fresh + _FIRST_ENTRY + moved * _ENTRY_BYTES, raw)
        for step in range(span):
            _mark(flash, fresh, moved + step, _WRITTEN)
        moved += span
    flash.seek(page)
    flash.write(b"\xff" * _PAGE_BYTES)
    return moved


def _mark(flash, page_at: int, number: int, bits: int) -> None:
    at = page_at + 32 + (number >> 2)
    shift = 2 * (number & 3)
    _put(flash, at, bytes((_read(flash, at, 1)[0] & ~(3 << shift) | bits << shift,)))


def _put(flash, at: int, data: bytes) -> None:
    """Program: bits only fall."""
    held = _read(flash, at, len(data))
    flash.seek(at)
    flash.write(bytes([old & new for old, new in zip(held, data)]))


def _values(entries: list) -> dict:
    values, parts = {}, {}
    for _, kind, chunk, key, data in entries:
        if kind in _NUMBERS:
            values[key] = struct.unpack_from(_NUMBERS[kind], data)[0]
        elif kind == _TEXT:
            values[key] = data[:-1].decode()
        elif kind == _BLOB:
            values[key] = data
        elif kind == _BLOB_PART:
            parts.setdefault(key, []).append((chunk, data))
    for key, found in parts.items():
        values[key] = b"".join([data for _, data in sorted(found)])
    return values


def _entries(flash, address: int, size: int) -> object:
    """Yield (namespace, type, chunk, key, data) of every written entry with a good checksum."""
    for _, _, entry, _ in _walk(flash, address, size):
        if entry:
            yield entry


def _walk(flash, address: int, size: int) -> object:
    """Yield (page, number, entry or None if its checksum is wrong, span) of what is written."""
    for page_at in range(address, address + size, _PAGE_BYTES):
        head = _read(flash, page_at, _FIRST_ENTRY)
        if struct.unpack_from("<I", head)[0] not in _PAGE_STATES:
            continue
        number = 0
        while number < _ENTRIES:
            span = 1
            if _bits(head, number) == _WRITTEN:
                entry, span = _entry(flash, page_at + _FIRST_ENTRY + number * _ENTRY_BYTES)
                yield page_at, number, entry, span
            number += span


def _bits(head: bytes, number: int) -> int:
    return (head[32 + (number >> 2)] >> (2 * (number & 3))) & 3


def _entry(flash, at: int) -> tuple:
    raw = _read(flash, at, _ENTRY_BYTES)
    owner, kind, span, chunk, checksum = struct.unpack_from("<BBBBI", raw)
    if _crc(raw[:4] + raw[8:]) != checksum or not 0 < span <= _ENTRIES:
        return None, 1
    key, data = raw[8:24].split(b"\0", 1)[0].decode(), raw[24:]
    if kind in (_TEXT, _BLOB, _BLOB_PART):
        length, _, checksum = struct.unpack("<HHI", data)
        data = _read(flash, at + _ENTRY_BYTES, length)
        if _crc(data) != checksum:
            return None, span
    return (owner, kind, chunk, key, data), span


def _read(flash, at: int, length: int) -> bytes:
    flash.seek(at)
    return flash.read(length)


def _crc(data: bytes) -> int:
    return binascii.crc32(data, 0xFFFFFFFF) & 0xFFFFFFFF
