"""Reads the page format of ESP-IDF's non-volatile storage (NVS), version 1 and 2.

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
_WRITTEN = 2  # Of the two bits in the bitmap; 3 is empty, 0 erased.
# Page states lose a bit at each step. Uninitialised and corrupt pages hold nothing to read.
_PAGE_STATES = (0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8)
_NUMBERS = {0x01: "<B", 0x11: "<b", 0x02: "<H", 0x12: "<h", 0x04: "<I", 0x14: "<i"}
_TEXT, _BLOB, _BLOB_PART = 0x21, 0x41, 0x42


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
    for page_at in range(address, address + size, _PAGE_BYTES):
        head = _read(flash, page_at, _FIRST_ENTRY)
        if struct.unpack_from("<I", head)[0] not in _PAGE_STATES:
            continue
        number = 0
        while number < _ENTRIES:
            span = 1
            if (head[32 + (number >> 2)] >> (2 * (number & 3))) & 3 == _WRITTEN:
                entry, span = _entry(flash, page_at + _FIRST_ENTRY + number * _ENTRY_BYTES)
                if entry:
                    yield entry
            number += span


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
