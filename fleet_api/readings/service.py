"""Readings as JSON shows them."""

from fleet_api.readings.schemas import ReadingOut
from storage.telemetry.interface import ReadingPoint
from wire_protocol import sensors


def reading_out(row: ReadingPoint) -> ReadingOut:
    """Return a reading with its unit."""
    return ReadingOut(
        sensor=row.sensor,
        unit=sensors.unit(row.sensor),
        at_ms=row.at_ms,
        value=row.value,
        clock=row.clock,
        received_ms=row.received_ms,
    )
