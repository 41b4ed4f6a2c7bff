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
from storage.telemetry.interface import Position, ReadingPoint, Telemetry
from storage.telemetry.newest import Mark, is_newer

logger = logging.getLogger(__name__)

WAIT_S = 2.0  # A healthy store answers in some 20 ms for the whole district.
_THREADS = 4
_WAITING_MAX = 16  # Beyond that nobody would be served within WAIT_S.

NO_COUNT = -1  # The epoch of a mark whose record did not say its place in the device's count.

T = TypeVar("T")
Readings = dict[str, dict[str, dict[str, int]]]
# What is remembered: (what decides which is newer, as JSON shows it).
Marked = tuple[Mark, dict[str, Any]]


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
        self._positions: dict[str, Marked] = {}
        self._readings: dict[str, dict[str, Marked]] = {}

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
            for position in positions:
                _put(self._positions, position.device, _of_position(position))
            for reading in readings:
                sensors = self._readings.setdefault(reading.device, {})
                _put(sensors, reading.sensor, _of_reading(reading))
        shown: Readings = {}
        for reading in readings:
            shown.setdefault(reading.device, {})[reading.sensor] = _of_reading(reading)[1]
        return LastKnown(
            {position.device: position_json(position) for position in positions}, shown, fresh=True
        )

    def hear(self, position: Mapping[str, Any]) -> bool:
        """Remember a position from the bus; False when a newer one is known.

        Two gateways may publish out of order: what a screen shows never goes backwards. What is
        newer is the store's own decision (newest.py), so that no two parts can disagree. One that
        is known already is shown again: it may have been read from the store before it was heard.
        """
        shown = {name: position[name] for name in POSITION_FIELDS}
        with self._lock:
            return _put(self._positions, position["device"], (_heard_mark(position), shown))

    def hear_reading(self, reading: Mapping[str, Any]) -> bool:
        """Remember a reading from the bus; False when a newer one is known."""
        shown = {name: reading[name] for name in _READING_FIELDS}
        with self._lock:
            sensors = self._readings.setdefault(reading["device"], {})
            return _put(sensors, reading["sensor"], (_heard_mark(reading), shown))

    def works(self) -> bool:
        """Tell whether the telemetry store answers."""
        return self._bounded(self._check) is not None

    def _check(self) -> bool:
        self._telemetry.check()
        return True

    def _ask(self, wanted: list[str] | None) -> tuple[list[Position], list[ReadingPoint]]:
        return self._telemetry.last_positions(wanted), self._telemetry.last_readings(wanted)

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
                    device: self._positions[device][1]
                    for device in chosen
                    if device in self._positions
                },
                {
                    device: {
                        sensor: shown for sensor, (_, shown) in self._readings[device].items()
                    }
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

_READING_FIELDS = ("value", "at_ms", "received_ms")


def position_json(position: Position) -> dict[str, Any]:
    """Return a position as JSON shows it."""
    return {name: getattr(position, name) for name in POSITION_FIELDS}


def _put(known: dict[str, Marked], name: str, new: Marked) -> bool:
    before = known.get(name)
    if before is not None and _is_newer(before[0], new[0]):
        return False
    known[name] = new
    return True


def _is_newer(new: Mark, old: Mark) -> bool:
    if NO_COUNT in (new.epoch, old.epoch):
        # Nobody can count from one to the other: they are compared as records of two epochs.
        old = old._replace(epoch=new.epoch + 1)
    return is_newer(new, old)


def _of_position(row: Position) -> Marked:
    mark = Mark(row.clock != "none", row.epoch, row.seq, row.at_ms, row.received_ms)
    return mark, position_json(row)


def _of_reading(row: ReadingPoint) -> Marked:
    mark = Mark(row.clock != "none", NO_COUNT, 0, row.at_ms, row.received_ms)
    return mark, {name: getattr(row, name) for name in _READING_FIELDS}


def _heard_mark(delta: Mapping[str, Any]) -> Mark:
    return Mark(
        delta.get("clock", "server") != "none",
        delta.get("epoch", NO_COUNT),
        delta.get("seq", 0),
        delta["at_ms"],
        delta["received_ms"],
    )
