"""Tracks and readings as a gateway would store them, through the real encoders."""

from pathlib import Path

from storage.settings import Settings
from storage.telemetry.interface import ReadingRow, Telemetry, TrackRow
from storage.telemetry.open import open_telemetry
from tests.fleet_api.district import EPOCH, now_ms
from wire_protocol import clock, readings, sensors, track


def open_store(home: Path) -> Telemetry:
    return open_telemetry(Settings(telemetry_url=f"sqlite:///{home / 'telemetry.sqlite'}"))


def fix(at_ms: int, lat_e6: int = 25_040_123, lon_e6: int = 102_710_456, **more) -> track.Fix:
    return track.Fix(
        at_ms,
        lat_e6,
        lon_e6,
        more.get("speed_cms", 120),
        more.get("course_deg", 44),
        more.get("accuracy_m", 5),
    )


class Walk:
    """Writes batches of one device, numbered as the device would."""

    def __init__(self, store: Telemetry, device: str) -> None:
        self._store = store
        self._device = device
        self._seq = 1

    def batch(self, *fixes: track.Fix, quality: int = clock.GNSS) -> None:
        record = track.encode(EPOCH, self._seq, quality, list(fixes))
        self._seq += len(fixes)
        self._store.write([TrackRow.from_record(self._device, record, now_ms())])

    def readings(self, *values: tuple[str, int, int]) -> None:
        """Write readings given as (sensor, at_ms, value)."""
        rows = [readings.Reading(at, sensors.code(name), value) for name, at, value in values]
        record = readings.encode(EPOCH, self._seq, clock.SERVER, rows)
        self._seq += len(rows)
        self._store.write([], [ReadingRow.from_record(self._device, record, now_ms())])
