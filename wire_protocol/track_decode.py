"""A sealed record becomes fixes again; the server's half.

Written for speed on CPython: whole columns at a time, and `check` without an object a fix.
"""

import struct
from collections import namedtuple

from wire_protocol import columns_decode, frames
from wire_protocol.columns import AT_MS_MAX, IN_MS
from wire_protocol.errors import WireError
from wire_protocol.frames import Header
from wire_protocol.track_encode import LAT_E6_MAX, LON_E6_MAX, WIDE_SPEED, Fix

TrackBatch = namedtuple("TrackBatch", ("epoch", "seq", "clock", "fixes"))

_HEADER = "<BBIIBBIHiiB"
_HEADER_BYTES = 27
_COURSES = frozenset(range(180)) | {255}

# The columns of a record, times and places still as deltas.
_Columns = namedtuple(
    "_Columns",
    ("base_ms", "unit_ms", "lat", "lon", "times", "lats", "lons", "speeds", "courses", "radii"),
)


def decode(record: bytes) -> TrackBatch:
    """Return the batch of fixes in a sealed record.

    Raises:
        WireError: Anything in it is out of range, missing or left over.
    """
    header, columns = _open(record)
    unknown = 0xFFFF if record[26] & WIDE_SPEED else 0xFF
    at_ms, lat, lon = columns.base_ms, columns.lat, columns.lon
    times, lats, lons = [at_ms], [lat], [lon]
    for delta in columns.times:
        at_ms += delta * columns.unit_ms
        times.append(at_ms)
    for delta in columns.lats:
        lat += delta
        lats.append(lat)
    for delta in columns.lons:
        lon += delta
        lons.append(lon)
    _check_ends(at_ms, lats, lons)
    speeds = [None if speed == unknown else speed for speed in columns.speeds]
    courses = [None if course == 255 else course * 2 for course in columns.courses]
    radii = [None if radius == 255 else radius for radius in columns.radii]
    fixes = [Fix(*row) for row in zip(times, lats, lons, speeds, courses, radii)]
    return TrackBatch(header.epoch, header.seq, header.clock, fixes)


def check(record: bytes) -> tuple[Header, Fix]:
    """Return (header, last fix) of a record, having checked all that `decode` checks.

    Raises:
        WireError: As `decode` does, for the same records.
    """
    header, columns = _open(record)
    at_ms = columns.base_ms + sum(columns.times) * columns.unit_ms
    lat = _end(columns.lat, columns.lats, LAT_E6_MAX)
    lon = _end(columns.lon, columns.lons, LON_E6_MAX)
    if at_ms > AT_MS_MAX:
        raise WireError(f"time {at_ms} ms, not 0..{AT_MS_MAX}")
    speed, course, radius = columns.speeds[-1], columns.courses[-1], columns.radii[-1]
    unknown = 0xFFFF if record[26] & WIDE_SPEED else 0xFF
    return header, Fix(
        at_ms,
        lat,
        lon,
        None if speed == unknown else speed,
        None if course == 255 else course * 2,
        None if radius == 255 else radius,
    )


def _open(record: bytes) -> tuple[Header, _Columns]:
    """Cut a record into header and columns; the sums of the deltas are left unchecked."""
    if len(record) < _HEADER_BYTES:
        raise WireError(f"track record of {len(record)} bytes, not {_HEADER_BYTES} or more")
    version, kind, epoch, seq, count, clock, base_s, base_ms, lat, lon, widths = (
        struct.unpack_from(_HEADER, record, 0)
    )
    header = Header(version, kind, epoch, seq, count, clock)
    frames.check_body(header, frames.TRACK)
    if base_ms > 999:
        raise WireError(f"{base_ms} ms of a second, not 0..999")
    if count == 1 and widths & 0x3F:
        raise WireError(f"widths {widths:#x} of a single fix, which has no deltas")
    deltas = count - 1
    times, at = columns_decode.read_times(record, _HEADER_BYTES, deltas, widths & 3)
    lats, at = columns_decode.read_signed(record, at, deltas, widths >> 2 & 3)
    lons, at = columns_decode.read_signed(record, at, deltas, widths >> 4 & 3)
    speeds, at = columns_decode.read_plain(record, at, count, 2 if widths & WIDE_SPEED else 1)
    if len(record) != at + 2 * count:
        raise WireError(f"track record of {len(record)} bytes, not {at + 2 * count}")
    courses = record[at : at + count]
    if not _COURSES.issuperset(courses):
        raise WireError("a course byte is within 180..254")
    unit_ms = 1 if widths & IN_MS else 1000
    return header, _Columns(
        base_s * 1000 + base_ms,
        unit_ms,
        lat,
        lon,
        times,
        lats,
        lons,
        speeds,
        courses,
        record[at + count :],
    )


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
