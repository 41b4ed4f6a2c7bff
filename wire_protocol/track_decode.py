"""A sealed record becomes fixes again; the server's half.

Written for speed on CPython: whole columns at a time, and `check` without an object a fix.
"""

import struct
from collections import namedtuple

from wire_protocol import columns_decode, frames
from wire_protocol.columns import AT_MS_MAX, IN_MS
from wire_protocol.errors import WireError
from wire_protocol.frames import Header
from wire_protocol.track_encode import (
    FAST,
    LAT_E6_MAX,
    LON_E6_MAX,
    ONE_ACCURACY,
    ONE_COURSE,
    UNKNOWN,
    UNKNOWN_SPEED,
    Fix,
)

TrackBatch = namedtuple("TrackBatch", ("epoch", "seq", "clock", "fixes"))

_HEADER = "<BBIIBBIHiiH"
_HEADER_BYTES = 28
_NO_BITS = 0x7C00
_FAST = bytes((FAST,))
_COURSES = frozenset(range(180)) | {UNKNOWN}


def decode(record: bytes) -> TrackBatch:
    """Return the batch of fixes in a sealed record.

    Raises:
        WireError: Anything in it is out of range, missing or left over.
    """
    header, at_ms, unit_ms, lat, lon, deltas, unknown, motion = _open(record)
    times, lats, lons = [at_ms], [lat], [lon]
    for delta in deltas[0]:
        at_ms += delta * unit_ms
        times.append(at_ms)
    for delta in deltas[1]:
        lat += delta
        lats.append(lat)
    for delta in deltas[2]:
        lon += delta
        lons.append(lon)
    _check_ends(at_ms, lats, lons)
    speeds = [None if speed == unknown else speed for speed in motion[0]]
    courses = [None if course == UNKNOWN else course * 2 for course in motion[1]]
    radii = [None if radius == UNKNOWN else radius for radius in motion[2]]
    fixes = [Fix(*row) for row in zip(times, lats, lons, speeds, courses, radii)]
    return TrackBatch(header.epoch, header.seq, header.clock, fixes)


def check(record: bytes) -> tuple[Header, Fix]:
    """Return (header, last fix) of a record, having checked all that `decode` checks.

    Raises:
        WireError: As `decode` does, for the same records.
    """
    header, at_ms, unit_ms, lat, lon, deltas, unknown, motion = _open(record)
    times, lats, lons = deltas
    at_ms += sum(times) * unit_ms
    if at_ms > AT_MS_MAX:
        raise WireError(f"time {at_ms} ms, not 0..{AT_MS_MAX}")
    speed, course, radius = motion[0][-1], motion[1][-1], motion[2][-1]
    return header, Fix(
        at_ms,
        _end(lat, lats, LAT_E6_MAX),
        _end(lon, lons, LON_E6_MAX),
        None if speed == unknown else speed,
        None if course == UNKNOWN else course * 2,
        None if radius == UNKNOWN else radius,
    )


def _open(
    record: bytes,
) -> tuple[
    Header,
    int,
    int,
    int,
    int,
    tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    int,
    tuple[bytes | tuple[int, ...], bytes, bytes],
]:
    """Cut a record into its columns; the sums of the deltas are left unchecked.

    Returns:
        Header; base time and its unit in ms; first latitude and longitude; deltas of times,
        latitudes and longitudes; what stands for an unknown speed; speeds, courses, accuracies. A
        plain tuple: a named one would cost a tenth of `check`.
    """
    if len(record) < _HEADER_BYTES:
        raise WireError(f"track record of {len(record)} bytes, not {_HEADER_BYTES} or more")
    version, kind, epoch, seq, count, clock, base_s, base_ms, lat, lon, widths = (
        struct.unpack_from(_HEADER, record, 0)
    )
    header = Header(version, kind, epoch, seq, count, clock)
    # One look for all that check_body would find; it is called to name what is wrong.
    if version != frames.VERSION or kind != frames.TRACK or count > frames.COUNT_MAX or clock > 3:
        frames.check_body(header, frames.TRACK)
    if not 0 < count <= seq + count - 1 <= frames.U32_MAX:
        frames.check_body(header, frames.TRACK)
    if base_ms > 999:
        raise WireError(f"{base_ms} ms of a second, not 0..999")
    if widths & _NO_BITS or (count == 1 and widths & 0x3F):
        raise WireError(f"widths {widths:#x} of {count} fixes, no such columns")
    deltas = count - 1
    times, at = columns_decode.read_times(record, _HEADER_BYTES, deltas, widths & 3)
    lats, at = columns_decode.read_signed(record, at, deltas, widths >> 2 & 3)
    lons, at = columns_decode.read_signed(record, at, deltas, widths >> 4 & 3)
    unknown, speeds, at = _speeds(record, at, count, widths >> 6 & 3)
    middle = at + (1 if widths & ONE_COURSE else count)
    end = middle + (1 if widths & ONE_ACCURACY else count)
    if len(record) != end:
        raise WireError(f"track record of {len(record)} bytes, not {end}")
    courses, radii = record[at:middle], record[middle:]
    if max(courses) > 179 and not _COURSES.issuperset(courses):
        raise WireError("a course byte is within 180..254")
    if widths & ONE_COURSE:
        courses = courses * count
    if widths & ONE_ACCURACY:
        radii = radii * count
    unit_ms = 1 if widths & IN_MS else 1000
    at_ms = base_s * 1000 + base_ms
    motion = (speeds, courses, radii)
    return header, at_ms, unit_ms, lat, lon, (times, lats, lons), unknown, motion


def _speeds(
    record: bytes, at: int, count: int, code: int
) -> tuple[int, bytes | tuple[int, ...], int]:
    """Return (what stands for unknown, speeds, where the column ends)."""
    if code == 1:
        column = record[at : at + count]
        at += count
        fast = column.count(_FAST)
        if not fast:
            return UNKNOWN, column, at
        others, at = columns_decode.read_plain(record, at, fast, 2)
        rest = iter(others)
        wide = [
            next(rest) if speed == FAST else UNKNOWN_SPEED if speed == UNKNOWN else speed
            for speed in column
        ]
        return UNKNOWN_SPEED, tuple(wide), at
    if code == 3:
        raise WireError("speed code 3, not 0..2")
    speeds, at = columns_decode.read_plain(record, at, count if code else 1, 2)
    return UNKNOWN_SPEED, speeds if code else speeds * count, at


def _check_ends(at_ms: int, lats: list[int], lons: list[int]) -> None:
    if at_ms > AT_MS_MAX:
        raise WireError(f"time {at_ms} ms, not 0..{AT_MS_MAX}")
    _check_places(lats, LAT_E6_MAX)
    _check_places(lons, LON_E6_MAX)


def _check_places(places: list[int], limit: int) -> None:
    if min(places) < -limit or max(places) > limit:
        raise WireError(f"a position of {min(places)}..{max(places)}, not within {limit} e-6")


def _end(start: int, deltas: tuple[int, ...], limit: int) -> int:
    """Return the place behind all deltas; WireError if one on the way is not on the Earth."""
    end = start + sum(deltas)
    # In most batches no sum can leave the Earth, which is quickly seen.
    reach = max(max(deltas), -min(deltas)) * len(deltas) if deltas else 0  # noqa: PLW3301
    if abs(start) + reach > limit:
        places = [start]
        for delta in deltas:
            places.append(places[-1] + delta)
        _check_places(places, limit)
    return end
