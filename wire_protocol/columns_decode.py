"""Reads the columns that `columns` writes; the server's half."""

import struct

from wire_protocol import frames
from wire_protocol.errors import WireError

# Index: width code, then count. Made once: to make one takes as long as to unpack a column.
_SIGNED = [[f"<{count}{letter}" for count in range(frames.COUNT_MAX + 1)] for letter in "xbhi"]
_UNSIGNED = [[f"<{count}{letter}" for count in range(frames.COUNT_MAX + 1)] for letter in "xBHI"]
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
        others, at = read_signed(record, at, values.count(escape), code + 1)
        return _filled(values, escape, others), at
    return values, at


def read_times(record: bytes, at: int, count: int, code: int) -> tuple[tuple[int, ...], int]:
    """Return (deltas of time, where the column ends); code 0 is one u16 step for all."""
    if count == 0:
        return (), at
    if code == 0:
        (step,), at = _read(record, at, 1, 2, _UNSIGNED)
        return (step,) * count, at
    values, at = _read(record, at, count, code, _UNSIGNED)
    escape = _UNSIGNED_ESCAPE[code]
    if escape in values:
        others, at = read_times(record, at, values.count(escape), code + 1)
        return _filled(values, escape, others), at
    return values, at


def read_plain(record: bytes, at: int, count: int, code: int) -> tuple[tuple[int, ...], int]:
    """Return (unsigned numbers as they stand, where the column ends)."""
    return _read(record, at, count, code, _UNSIGNED)


def _read(
    record: bytes, at: int, count: int, code: int, formats: list[list[str]]
) -> tuple[tuple[int, ...], int]:
    end = at + count * _BYTES[code]
    if end > len(record):
        raise WireError(f"record of {len(record)} bytes, its columns reach to {end} or more")
    return struct.unpack_from(formats[code][count], record, at), end


def _filled(
    values: tuple[int, ...], escape: int | None, others: tuple[int, ...]
) -> tuple[int, ...]:
    """Put the numbers behind a column in the place of its escapes."""
    rest = iter(others)
    return tuple([next(rest) if value == escape else value for value in values])
