"""Reads the columns that `columns` writes; the server's half."""

import struct

from wire_protocol.errors import WireError

# Index: width code. Formats are cached because building one costs as much as unpacking a column.
_SIGNED = ("", "b", "h", "i")
_UNSIGNED = ("", "B", "H", "I")
_SIGNED_ESCAPE = (None, -128, -32768, None)
_UNSIGNED_ESCAPE = (None, 255, 65535, None)
_BYTES = (0, 1, 2, 4)


def read_signed(record: bytes, at: int, count: int, code: int) -> tuple[tuple[int, ...], int]:
    """Return (deltas, where the column ends); code 0 is `count` zeros in no bytes."""
    if code == 0:
        return (0,) * count, at
    values, at = _read(record, at, count, code, _SIGNED)
    escape = _SIGNED_ESCAPE[code]
    if escape in values:
        return _fill(record, at, values, escape, "i")
    return values, at


def read_times(record: bytes, at: int, count: int, code: int) -> tuple[tuple[int, ...], int]:
    """Return (deltas of time, where the column ends); code 0 is one u16 step for all."""
    if count == 0:
        if code:
            raise WireError(f"time code {code} with a single record, not 0")
        return (), at
    if code == 0:
        (step,), at = _read(record, at, 1, 2, _UNSIGNED)
        return (step,) * count, at
    values, at = _read(record, at, count, code, _UNSIGNED)
    escape = _UNSIGNED_ESCAPE[code]
    if escape in values:
        return _fill(record, at, values, escape, "I")
    return values, at


def read_plain(record: bytes, at: int, count: int, code: int) -> tuple[tuple[int, ...], int]:
    """Return (unsigned numbers as they stand, where the column ends)."""
    return _read(record, at, count, code, _UNSIGNED)


def _read(
    record: bytes, at: int, count: int, code: int, letters: tuple[str, ...]
) -> tuple[tuple[int, ...], int]:
    end = at + count * _BYTES[code]
    if end > len(record):
        raise WireError(f"record of {len(record)} bytes, its columns reach to {end} or more")
    return struct.unpack_from(f"<{count}{letters[code]}", record, at), end


def _fill(
    record: bytes, at: int, values: tuple[int, ...], escape: int | None, letter: str
) -> tuple[tuple[int, ...], int]:
    """Put the numbers behind a column in the place of its escapes."""
    others, at = _read(record, at, values.count(escape), 3, ("", "", "", letter))
    rest = iter(others)
    return tuple([next(rest) if value == escape else value for value in values]), at
