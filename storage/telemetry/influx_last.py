"""The last known position and readings of each device in InfluxDB, without touching history.

A point that is overwritten would go backwards as soon as two gateways write it. So every writer
(gateway instance) has points of its own, at one fixed time, in the measurement `last`; it alone
overwrites them and never with an older record, and a reader takes the newest over all writers.
Each is one string field, because only a single field changes in one step.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from storage.errors import StoreAway
from storage.telemetry.influx_lines import FOREVER_NS, FOREVER_S, quoted
from storage.telemetry.influx_link import InfluxLink, PointsRefusedError
from storage.telemetry.interface import (
    Position,
    ReadingPoint,
    ReadingRow,
    TrackRow,
    last_position,
    reading_points,
)
from storage.telemetry.newest import Mark, is_newer

POSITION = "position"
# Naming more devices than this in a query costs more than reading all of them.
NAMED_DEVICES_MAX = 50

_Key = tuple[str, str]  # (device, "position" or a sensor)
_Known = tuple[Mark, list[Any]]  # (what decides, the rest as it is shown)


class LastKnown:
    """What one writer has written last, and what all have."""

    def __init__(self, link: InfluxLink, writer: str) -> None:
        self._link = link
        self._writer = writer
        self._mine: dict[_Key, _Known] | None = None

    def prepare(self) -> None:
        """Learn once what this writer wrote before it was started again; may raise StoreAway."""
        if self._mine is None:
            self._mine = self._read(f' and r.writer == "{self._writer}"')

    def advance(self, tracks: Iterable[TrackRow], readings: Iterable[ReadingRow]) -> None:
        """Write what is newer than anything of this writer; to be called after `prepare`."""
        assert self._mine is not None
        newer: dict[_Key, _Known] = {}
        for key, known in (*_of_tracks(tracks), *_of_readings(readings)):
            before = newer.get(key) or self._mine.get(key)
            if before is None or is_newer(known[0], before[0]):
                newer[key] = known
        if newer:
            try:
                self._link.write([self._line(key, known) for key, known in newer.items()])
            except PointsRefusedError as error:
                # Nothing of ours can be wrong with them: somebody else wrote `last` in another
                # form. Nothing is receipted until that is put right.
                raise StoreAway(f"InfluxDB takes no last known points: {error}") from error
            self._mine.update(newer)

    def positions(self, devices: Collection[str] | None) -> list[Position]:
        """Return the newest position of each device over all writers."""
        found = self._read(f' and r.what == "{POSITION}"{_naming(devices)}')
        return [
            _position(device, mark, rest)
            for (device, _), (mark, rest) in sorted(found.items())
            if devices is None or device in devices
        ]

    def readings(self, devices: Collection[str] | None) -> list[ReadingPoint]:
        """Return the newest reading of each device and sensor over all writers."""
        found = self._read(f' and r.what != "{POSITION}"{_naming(devices)}')
        return [
            ReadingPoint(device, sensor, mark.at_ms, rest[0], rest[1], mark.received_ms)
            for (device, sensor), (mark, rest) in sorted(found.items())
            if devices is None or device in devices
        ]

    def _read(self, condition: str) -> dict[_Key, _Known]:
        flux = f"""
            from(bucket: {json.dumps(self._link.address.bucket)})
            |> range(start: {FOREVER_S}, stop: {FOREVER_S + 1})
            |> filter(fn: (r) => r._measurement == "last"{condition})
            |> keep(columns: ["device", "what", "_value"])
        """
        newest: dict[_Key, _Known] = {}
        for row in self._link.query(flux):
            values = json.loads(row["_value"])
            key, known = (row["device"], row["what"]), (Mark(*values[:5]), values[5:])
            before = newest.get(key)
            if before is None or is_newer(known[0], before[0]):
                newest[key] = known
        return newest

    def _line(self, key: _Key, known: _Known) -> str:
        row = quoted(json.dumps([*known[0], *known[1]], separators=(",", ":")))
        return f"last,device={key[0]},what={key[1]},writer={self._writer} row={row} {FOREVER_NS}"


def _position(device: str, mark: Mark, rest: list[Any]) -> Position:
    lat_e6, lon_e6, speed_cms, course_deg, accuracy_m, clock, late = rest
    return Position(
        device, mark.at_ms, lat_e6, lon_e6, speed_cms, course_deg, accuracy_m, clock,
        mark.received_ms, mark.epoch, mark.seq, late,
    )  # fmt: skip


def _of_tracks(rows: Iterable[TrackRow]) -> Iterator[tuple[_Key, _Known]]:
    for row in rows:
        place = last_position(row)
        mark = Mark(row.clock > 0, place.epoch, place.seq, place.at_ms, place.received_ms)
        rest = [
            place.lat_e6,
            place.lon_e6,
            place.speed_cms,
            place.course_deg,
            place.accuracy_m,
            place.clock,
            place.late,
        ]
        yield (row.device, POSITION), (mark, rest)


def _of_readings(rows: Iterable[ReadingRow]) -> Iterator[tuple[_Key, _Known]]:
    for row in rows:
        points = reading_points(row.device, row.record, row.clock, row.received_ms)
        for seq, point in enumerate(points, row.seq):
            mark = Mark(row.clock > 0, row.epoch, seq, point.at_ms, row.received_ms)
            yield (row.device, point.sensor), (mark, [point.value, point.clock])


def _naming(devices: Collection[str] | None) -> str:
    """Return the Flux condition for a few named devices; many are picked out afterwards."""
    if not devices or len(devices) > NAMED_DEVICES_MAX:
        return ""
    named = " or ".join(f"r.device == {json.dumps(device)}" for device in sorted(devices))
    return f" and ({named})"
