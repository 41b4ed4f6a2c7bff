"""A batch of fixes becomes a sealed record; the half that a device needs.

Body behind the header: `base_s u32 | base_ms u16 | lat i32 | lon i32 | widths u16 | columns`, as
in docs/wire_protocol.md, section 4.
"""

import struct

from wire_protocol import columns, frames
from wire_protocol.errors import WireError
from wire_protocol.fix import Fix

LAT_E6_MAX = 90_000_000
LON_E6_MAX = 180_000_000
SPEED_CMS_MAX = 0xFFFE
ACCURACY_M_MAX = 254  # Stands for 254 m or more.
FAST = 0xFE  # In a byte of speed: behind the column, in 2 bytes.
ONE_COURSE = 0x100  # Bits of the widths: one byte for the whole batch.
ONE_ACCURACY = 0x200
UNKNOWN = 0xFF
UNKNOWN_SPEED = 0xFFFF

__all__ = ["Fix", "encode"]


def encode(epoch: int, seq: int, clock: int, fixes: list[Fix]) -> bytes:
    """Return the sealed record of a batch.

    Args:
        epoch: Of the journal, u32.
        seq: Of the first fix, 1..2**32 - 1.
        clock: Quality code; with clock.NONE the times are uptimes.
        fixes: 1..60, oldest first. Unix ms, 1e-6 degree, cm/s 0..65534, degrees 0..359 (kept in
            steps of 2), metres 0 or more (kept up to 254); the last three None when unknown.

    Raises:
        WireError: A field is out of range, or a time is before the one in front of it.
    """
    head = frames.pack_header(frames.TRACK, epoch, seq, len(fixes), clock)
    before = 0
    for fix in fixes:
        _check(fix, before)
        before = fix.at_ms
    widths, base, times = columns.pack_base([fix.at_ms for fix in fixes])
    lat_code, lats = _deltas([fix.lat_e6 for fix in fixes])
    lon_code, lons = _deltas([fix.lon_e6 for fix in fixes])
    speed_code, speeds = _speeds([fix.speed_cms for fix in fixes])
    widths |= lat_code << 2 | lon_code << 4 | speed_code << 6
    courses = [UNKNOWN if f.course_deg is None else (f.course_deg + 1) // 2 % 180 for f in fixes]
    radii = [UNKNOWN if f.accuracy_m is None else min(f.accuracy_m, ACCURACY_M_MAX) for f in fixes]
    for column, one in ((courses, ONE_COURSE), (radii, ONE_ACCURACY)):
        if len(fixes) > 1 and min(column) == max(column):
            widths |= one
            del column[1:]
    place = struct.pack("<iiH", fixes[0].lat_e6, fixes[0].lon_e6, widths)
    return b"".join((head, base, place, times, lats, lons, speeds, bytes(courses), bytes(radii)))


def _check(fix: Fix, before_ms: int) -> None:
    columns.check_time(fix.at_ms, before_ms)
    if abs(fix.lat_e6) > LAT_E6_MAX or abs(fix.lon_e6) > LON_E6_MAX:
        raise WireError(f"position {fix.lat_e6} {fix.lon_e6} e-6 is not on the Earth")
    if fix.speed_cms is not None and not 0 <= fix.speed_cms <= SPEED_CMS_MAX:
        raise WireError(f"speed {fix.speed_cms} cm/s, not 0..{SPEED_CMS_MAX}")
    if fix.course_deg is not None and not 0 <= fix.course_deg < 360:
        raise WireError(f"course {fix.course_deg} degrees, not 0..359")
    if fix.accuracy_m is not None and fix.accuracy_m < 0:
        raise WireError(f"accuracy {fix.accuracy_m} m, not 0 or more")


def _deltas(values: list[int]) -> tuple[int, bytes]:
    deltas = [after - before for before, after in zip(values, values[1:])]
    if any(deltas):
        return columns.pack(deltas, columns.SIGNED)
    return 0, b""


def _speeds(speeds: list[int | None]) -> tuple[int, bytes]:
    """Return (code, bytes) of the shortest column: one u16 for all, bytes, or a u16 each."""
    filled = [UNKNOWN_SPEED if speed is None else speed for speed in speeds]
    count = len(filled)
    fast = [speed for speed in filled if FAST <= speed < UNKNOWN_SPEED]
    if count > 1 and min(filled) == max(filled):
        return 0, struct.pack("<H", filled[0])
    if count + 2 * len(fast) > 2 * count:
        return 2, struct.pack("<" + "H" * count, *filled)
    column = [UNKNOWN if speed == UNKNOWN_SPEED else min(speed, FAST) for speed in filled]
    return 1, bytes(column) + struct.pack("<" + "H" * len(fast), *fast)
