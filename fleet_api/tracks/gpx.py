"""A track as GPX 1.1 (topografix.com/GPX/1/1); speed, course and accuracy in our own namespace."""

from collections.abc import Iterator, Sequence

from fleet_api.kit.clock import iso
from fleet_api.tracks.geojson import pieces
from storage.telemetry.interface import Position

NAMESPACE = "urn:xunhu:gpx:1"
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<gpx version="1.1" creator="Xunhu" xmlns="http://www.topografix.com/GPX/1/1" '
    f'xmlns:xunhu="{NAMESPACE}">\n'
)
_EXTRAS = ("speed_cms", "course_deg", "accuracy_m", "clock", "received_ms")


def lines(device: str, track: Sequence[Position]) -> Iterator[str]:
    """Yield the document as text; a device id needs no escaping in XML."""
    yield f"{_HEAD} <trk>\n  <name>{device}</name>\n"
    for piece in pieces(track):
        yield "  <trkseg>\n" + "".join(_point(fix) for fix in piece) + "  </trkseg>\n"
    yield " </trk>\n</gpx>\n"


def _point(fix: Position) -> str:
    extras = "".join(
        f"<xunhu:{name}>{value}</xunhu:{name}>"
        for name in _EXTRAS
        if (value := getattr(fix, name)) is not None
    )
    return (
        f'   <trkpt lat="{decimal(fix.lat_e6)}" lon="{decimal(fix.lon_e6)}">'
        f"<time>{iso(fix.at_ms)}</time><extensions>{extras}</extensions></trkpt>\n"
    )


def decimal(e6: int) -> str:
    """Return 1e-6 degrees as exact decimal degrees."""
    whole, rest = divmod(abs(e6), 1_000_000)
    return f"{'-' if e6 < 0 else ''}{whole}.{rest:06d}"
