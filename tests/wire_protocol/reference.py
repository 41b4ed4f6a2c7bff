"""A second decoder of track and reading records, written from docs/wire_protocol.md alone.

Byte by byte, slow and without checks: it shares no code with the product, so that an encoder and a
decoder that are wrong in the same way are noticed.
"""

from __future__ import annotations


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, size: int, signed: bool = False) -> int:
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "little", signed=signed)

    def column(self, count: int, code: int, signed: bool) -> list[int]:
        """Read a column of section 3: fixed width, what escapes behind it in 4 bytes."""
        size = (0, 1, 2, 4)[code]
        values = [self.number(size, signed) for _ in range(count)]
        escape = None
        if code in (1, 2):
            escape = -(1 << (8 * size - 1)) if signed else (1 << 8 * size) - 1
        return [self.number(4, signed) if value == escape else value for value in values]

    def times(self, count: int, code: int) -> list[int]:
        if code == 0:
            return [self.number(2)] * count if count else []
        return self.column(count, code, signed=False)


def running(first: int, deltas: list[int]) -> list[int]:
    values = [first]
    for delta in deltas:
        values.append(values[-1] + delta)
    return values


def header(read: Bytes) -> tuple[int, int, int, int, int, int]:
    return tuple(read.number(size) for size in (1, 1, 4, 4, 1, 1))


def track(record: bytes) -> tuple[int, int, int, list[tuple]]:
    read = Bytes(record)
    _, _, epoch, seq, count, clock = header(read)
    base = read.number(4) * 1000 + read.number(2)
    lat, lon, widths = read.number(4, True), read.number(4, True), read.number(1)
    unit = 1 if widths & 0x80 else 1000
    times = [unit * delta for delta in read.times(count - 1, widths & 3)]
    lats = running(lat, read.column(count - 1, widths >> 2 & 3, True) or [])
    lons = running(lon, read.column(count - 1, widths >> 4 & 3, True) or [])
    size = 2 if widths & 0x40 else 1
    speeds = [read.number(size) for _ in range(count)]
    courses = [read.number(1) for _ in range(count)]
    radii = [read.number(1) for _ in range(count)]
    assert read.at == len(record)
    unknown = (1 << 8 * size) - 1
    rows = zip(
        running(base, times),
        lats,
        lons,
        [None if speed == unknown else speed for speed in speeds],
        [None if course == 255 else 2 * course for course in courses],
        [None if radius == 255 else radius for radius in radii],
        strict=True,
    )
    return epoch, seq, clock, list(rows)


def reading(record: bytes) -> tuple[int, int, int, list[tuple]]:
    read = Bytes(record)
    _, _, epoch, seq, count, clock = header(read)
    base = read.number(4) * 1000 + read.number(2)
    widths = read.number(1)
    unit = 1 if widths & 0x80 else 1000
    times = [unit * delta for delta in read.times(count - 1, widths & 3)]
    kinds = [read.number(1) for _ in range(count)]
    values = read.column(count, widths >> 2 & 3, True)
    assert read.at == len(record)
    return epoch, seq, clock, list(zip(running(base, times), kinds, values, strict=True))
