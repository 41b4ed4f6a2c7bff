"""What the live bus says after a commit; the shapes are in docs/architecture.md and the API's."""

from typing import Any

from storage.telemetry.interface import Position, ReadingPoint
from wire_protocol import configure

Delta = dict[str, Any]


def position(row: Position) -> Delta:
    """The newest fix of a device."""
    return {
        "kind": "position",
        "device": row.device,
        "at_ms": row.at_ms,
        "lat_e6": row.lat_e6,
        "lon_e6": row.lon_e6,
        "speed_cms": row.speed_cms,
        "course_deg": row.course_deg,
        "accuracy_m": row.accuracy_m,
        "clock": row.clock,
        "received_ms": row.received_ms,
        "late": row.late,
    }


def reading(row: ReadingPoint) -> Delta:
    """The newest reading of one sensor."""
    return {
        "kind": "reading",
        "device": row.device,
        "sensor": row.sensor,
        "value": row.value,
        "at_ms": row.at_ms,
        "clock": row.clock,
        "received_ms": row.received_ms,
    }


def state(device: str, merged: dict[str, Any], received_ms: int) -> Delta:
    """A device's state as it is now known."""
    return {
        "kind": "state",
        "device": device,
        "online": merged["online"],
        "received_ms": received_ms,
        "state": merged,
    }


def event(row: dict[str, Any]) -> Delta:
    """A stored event."""
    return {"kind": "event", "event": row}


def case(row: dict[str, Any]) -> Delta:
    """A case as it is now."""
    return {"kind": "case", "case": row}


def command(row: dict[str, Any]) -> Delta:
    """A ledger row as it is now, without what no screen shows."""
    return {"kind": "command", "command": row | {"body": configure.shown(row["body"])}}
