"""A track as GeoJSON: pieces without a gap, with what was measured beside each fix. Pure."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from storage.telemetry.interface import Position

# A line is drawn only where somebody walked: after ten minutes without a fix, nobody knows. The
# recorder's own pause for somebody who stands still is shorter than that.
GAP_MS = 10 * 60 * 1000
_COLUMNS = (
    ("times_ms", "at_ms"),
    ("speeds_cms", "speed_cms"),
    ("courses_deg", "course_deg"),
    ("accuracies_m", "accuracy_m"),
    ("clocks", "clock"),
    ("late", "late"),
    ("received_ms", "received_ms"),
)


def pieces(track: Sequence[Position]) -> Iterator[Sequence[Position]]:
    """Cut a track, oldest first, where nothing is known for longer than GAP_MS."""
    begin = 0
    for index in range(1, len(track)):
        if track[index].at_ms - track[index - 1].at_ms > GAP_MS:
            yield track[begin:index]
            begin = index
    if track:
        yield track[begin:]


def lines(device: str, from_ms: int, to_ms: int, track: Sequence[Position]) -> Iterator[str]:
    """Yield the FeatureCollection as text, piece by piece."""
    head = {"device": device, "from_ms": from_ms, "to_ms": to_ms, "count": len(track)}
    yield '{"type":"FeatureCollection",' + json.dumps(head)[1:-1] + ',"features":['
    for number, piece in enumerate(pieces(track)):
        yield ("," if number else "") + json.dumps(_feature(piece), separators=(",", ":"))
    yield "]}"


def _feature(piece: Sequence[Position]) -> dict[str, Any]:
    points = [[fix.lon_e6 / 1_000_000, fix.lat_e6 / 1_000_000] for fix in piece]
    line = len(points) > 1
    return {
        "type": "Feature",
        "geometry": {
            "type": "LineString" if line else "Point",
            "coordinates": points if line else points[0],
        },
        "properties": {name: [getattr(fix, field) for fix in piece] for name, field in _COLUMNS},
    }
