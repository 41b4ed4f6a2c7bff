"""The last known position and readings of each device, also while the telemetry store is away.

An SOS must show as fast as ever with that store away, so nobody waits for it longer than
`WAIT_S`, and what this process heard last stands in for it, marked as such.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fleet_api.kit.bounded import BoundedReads
from storage.errors import StorageError
from storage.telemetry.interface import Position, Telemetry

logger = logging.getLogger(__name__)

WAIT_S = 2.0  # A healthy store answers in some 20 ms for the whole district.
_THREADS = 4
_WAITING_MAX = 16  # Beyond that nobody would be served within WAIT_S.

T = TypeVar("T")
Readings = dict[str, dict[str, dict[str, int]]]


@dataclass(frozen=True)
class LastKnown:
    """What is known of some devices; `fresh` is False when the store did not answer."""

    positions: Mapping[str, dict[str, Any]]
    readings: Mapping[str, dict[str, dict[str, int]]]
    fresh: bool


class LastKnownReader:
    """Reads last positions and readings, and remembers them."""

    def __init__(self, telemetry: Telemetry, *, wait_s: float = WAIT_S) -> None:
        self._telemetry = telemetry
        self._wait_s = wait_s
        self._reads = BoundedReads("last-known", threads=_THREADS, waiting_max=_WAITING_MAX)
        self._lock = threading.Lock()
        self._positions: dict[str, dict[str, Any]] = {}
        self._readings: Readings = {}

    def close(self) -> None:
        """Let the threads go."""
        self._reads.close()

    def read(self, devices: Iterable[str] | None) -> LastKnown:
        """Return what is known of `devices`; None is all of them."""
        wanted = None if devices is None else list(devices)
        found = self._bounded(lambda: self._ask(wanted))
        if found is None:
            return self._remembered(wanted)
        positions, readings = found
        with self._lock:
            self._positions.update(positions)
            for device, values in readings.items():
                self._readings.setdefault(device, {}).update(values)
        return LastKnown(positions, readings, fresh=True)

    def hear(self, position: Mapping[str, Any]) -> bool:
        """Remember a position from the bus; False when an older one, or an undated after a dated.

        Two gateways may publish out of order: what a screen shows never goes backwards.
        """
        device = position["device"]
        with self._lock:
            before = self._positions.get(device)
            if before is not None and _rank(position) < _rank(before):
                return False
            self._positions[device] = {name: position[name] for name in POSITION_FIELDS}
        return True

    def hear_reading(self, reading: Mapping[str, Any]) -> bool:
        """Remember a reading from the bus; False when an older one."""
        values = {name: reading[name] for name in ("value", "at_ms", "received_ms")}
        with self._lock:
            sensors = self._readings.setdefault(reading["device"], {})
            before = sensors.get(reading["sensor"])
            if before is not None and values["at_ms"] < before["at_ms"]:
                return False
            sensors[reading["sensor"]] = values
        return True

    def works(self) -> bool:
        """Tell whether the telemetry store answers."""
        return self._bounded(self._check) is not None

    def _check(self) -> bool:
        self._telemetry.check()
        return True

    def _ask(self, wanted: list[str] | None) -> tuple[dict[str, dict[str, Any]], Readings]:
        positions = {
            position.device: position_json(position)
            for position in self._telemetry.last_positions(wanted)
        }
        readings: Readings = {}
        for reading in self._telemetry.last_readings(wanted):
            readings.setdefault(reading.device, {})[reading.sensor] = {
                "value": reading.value,
                "at_ms": reading.at_ms,
                "received_ms": reading.received_ms,
            }
        return positions, readings

    def _bounded(self, work: Callable[[], T]) -> T | None:
        try:
            return self._reads.run(work, self._wait_s)
        except StorageError as error:
            logger.warning("the telemetry store is away: %s", error)
            return None

    def _remembered(self, wanted: list[str] | None) -> LastKnown:
        with self._lock:
            chosen = self._positions.keys() | self._readings.keys() if wanted is None else wanted
            return LastKnown(
                {
                    device: self._positions[device]
                    for device in chosen
                    if device in self._positions
                },
                {
                    device: dict(self._readings[device])
                    for device in chosen
                    if device in self._readings
                },
                fresh=False,
            )


POSITION_FIELDS = (
    "device",
    "at_ms",
    "lat_e6",
    "lon_e6",
    "speed_cms",
    "course_deg",
    "accuracy_m",
    "clock",
    "received_ms",
    "late",
)


def position_json(position: Position) -> dict[str, Any]:
    """Return a position as JSON shows it."""
    return {name: getattr(position, name) for name in POSITION_FIELDS}


def _rank(position: Mapping[str, Any]) -> tuple[bool, int]:
    # The store's own rule: an undated fix never takes the place of a dated one.
    return (position["clock"] != "none", position["at_ms"])
