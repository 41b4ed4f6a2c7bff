"""Last positions as GeoJSON: pure."""

from collections.abc import Mapping
from typing import Any

_NAMED = ("name", "kind", "area_code")
_OF_POSITION = (
    "device",
    "at_ms",
    "received_ms",
    "speed_cms",
    "course_deg",
    "accuracy_m",
    "clock",
    "late",
)


def feature(device: Mapping[str, Any]) -> dict[str, Any]:
    """Return a device that has a position as a GeoJSON point."""
    position = device["position"]
    return {
        "type": "Feature",
        "id": device["id"],
        "geometry": {
            "type": "Point",
            "coordinates": [degrees(position["lon_e6"]), degrees(position["lat_e6"])],
        },
        "properties": {
            **{name: device[name] for name in _NAMED},
            **{name: position[name] for name in _OF_POSITION},
        },
    }


def degrees(e6: int) -> float:
    """Return degrees as GeoJSON wants them; six decimals survive in a double."""
    return e6 / 1_000_000
