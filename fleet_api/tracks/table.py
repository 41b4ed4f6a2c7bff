"""A track as CSV (RFC 4180), one fix a row."""

from collections.abc import Iterator, Sequence

from fleet_api.kit.clock import iso
from fleet_api.tracks.gpx import decimal
from storage.telemetry.interface import Position

HEADER = "device,at_ms,time_utc,lat,lon,speed_cms,course_deg,accuracy_m,clock,received_ms,late\r\n"
_ROWS_A_PIECE = 1_000


def lines(track: Sequence[Position]) -> Iterator[str]:
    """Yield the table as text, 1,000 rows a piece."""
    yield HEADER
    for begin in range(0, len(track), _ROWS_A_PIECE):
        yield "".join(_row(fix) for fix in track[begin : begin + _ROWS_A_PIECE])


def _row(fix: Position) -> str:
    values = (
        fix.device,
        fix.at_ms,
        iso(fix.at_ms),
        decimal(fix.lat_e6),
        decimal(fix.lon_e6),
        fix.speed_cms,
        fix.course_deg,
        fix.accuracy_m,
        fix.clock,
        fix.received_ms,
        int(fix.late),
    )
    return ",".join("" if value is None else str(value) for value in values) + "\r\n"
