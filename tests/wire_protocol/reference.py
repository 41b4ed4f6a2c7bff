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
        """Read a column of section 3: fixed width, what escapes behind it as a wider column."""
        size = (0, 1, 2, 4)[code]
        values = [self.number(size, signed) for _ in range(count)]
        if code == 3:
            return values
        escape = -(1 << (8 * size - 1)) if signed else (1 << 8 * size) - 1
        places = [place for place, value in enumerate(values) if value == escape]
        if places:
            for place, value in zip(
                places, self.column(len(places), code + 1, signed), strict=True
            ):
                values[place] = value
        return values

    def times(self, count: int, code: int) -> list[int]:
        if code == 0:
            return [self.number(2)] * count if count else []
        return self.column(count, code, signed=False)

    def speeds(self, count: int, code: int) -> list[int | None]:
        if code == 0:
            values = [self.number(2)] * count
        elif code == 2:
            values = [self.number(2) for _ in range(count)]
        else:
            values = [self.number(1) for _ in range(count)]
            values = [0xFFFF if value == 255 else value for value in values]
            values = [self.number(2) if value == 254 else value for value in values]
        return [None if value == 0xFFFF else value for value in values]

    def one_or_all(self, count: int, one: int) -> list[int]:
        return [self.number(1)] * count if one else [self.number(1) for _ in range(count)]


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
    lat, lon, widths = read.number(4, True), read.number(4, True), read.number(2)
    unit = 1 if widths & 0x8000 else 1000
    times = [unit * delta for delta in read.times(count - 1, widths & 3)]
    lat_code, lon_code = widths >> 2 & 3, widths >> 4 & 3
    lats = running(lat, read.column(count - 1, lat_code, True) if lat_code else [0] * (count - 1))
    lons = running(lon, read.column(count - 1, lon_code, True) if lon_code else [0] * (count - 1))
    speeds = read.speeds(count, widths >> 6 & 3)
    courses = read.one_or_all(count, widths & 0x100)
    radii = read.one_or_all(count, widths & 0x200)
    assert read.at == len(record)
    rows = zip(
        running(base, times),
        lats,
        lons,
        speeds,
        [None if course == 255 else 2 * course for course in courses],
        [None if radius == 255 else radius for radius in radii],
        strict=True,
    )
    return epoch, seq, clock, list(rows)


def reading(record: bytes) -> tuple[int, int, int, list[tuple]]:
    read = Bytes(record)
    _, _, epoch, seq, count, clock = header(read)
    base = read.number(4) * 1000 + read.number(2)
    widths = read.number(2)
    unit = 1 if widths & 0x8000 else 1000
    times = [unit * delta for delta in read.times(count - 1, widths & 3)]
    kinds = read.one_or_all(count, widths & 0x100)
    values = read.column(count, widths >> 2 & 3, True)
    assert read.at == len(record)
    return epoch, seq, clock, list(zip(running(base, times), kinds, values, strict=True))
