"""Telemetry in one SQLite file: each received batch is one appended row, its index beside it.

Measured against a row a fix: five times the speed and half the size, because a batch is already
packed well and only its end is ever looked at.
"""

import json
import sqlite3
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from storage.telemetry.interface import (
    BATCH_SPAN_MS_MAX,
    Position,
    ReadingPoint,
    ReadingRow,
    StateRow,
    TrackRow,
    last_position,
    positions,
    reading_points,
)
from storage.telemetry.newest import Mark, is_newer
from storage.telemetry.sqlite_file import LOCK_WAIT_S, SqliteFile
from storage.telemetry.sqlite_schema import PUT_POSITION, PUT_READING

# One statement's parameters when rows of named devices are asked for.
_DEVICES_AT_ONCE_MAX = 10_000
# Rows looked at in one transaction of retention: 10 ms, in which a writer has to wait.
_RETAIN_ROWS = 10_000


class SqliteTelemetry:
    """A telemetry store in one file; safe to share between threads and processes."""

    def __init__(self, path: Path, *, wait_s: int = LOCK_WAIT_S) -> None:
        self._file = SqliteFile(path, wait_s)
        self._numbers: dict[str, int] = {}
        self._writing = threading.Lock()

    def write(
        self,
        tracks: Sequence[TrackRow],
        readings: Sequence[ReadingRow] = (),
        states: Sequence[StateRow] = (),
    ) -> None:
        """See Telemetry.write."""
        with self._writing, self._file.transaction() as connection:
            devices = {row.device for row in tracks}
            devices.update([row.device for row in readings], [row.device for row in states])
            number = self._number_of(connection, devices)
            connection.executemany(
                "INSERT OR IGNORE INTO track VALUES (NULL,?,?,?,?,?,?,?,?)",
                [
                    (number[r.device], r.epoch, r.seq, r.clock, r.first_ms, r.last_ms,
                     r.received_ms, r.record)
                    for r in tracks
                ],
            )  # fmt: skip
            connection.executemany(
                "INSERT OR IGNORE INTO reading VALUES (NULL,?,?,?,?,?,?,?,?)",
                [
                    (number[r.device], r.epoch, r.seq, r.clock, r.first_ms, r.last_ms,
                     r.received_ms, r.record)
                    for r in readings
                ],
            )  # fmt: skip
            connection.executemany(
                "INSERT INTO state VALUES (NULL,?,?,?)",
                [(number[r.device], r.received_ms, json.dumps(r.state)) for r in states],
            )
            connection.executemany(PUT_POSITION, _last_positions(number, tracks))
            connection.executemany(PUT_READING, _last_readings(number, readings))

    def last_positions(self, devices: Collection[str] | None = None) -> list[Position]:
        """See Telemetry.last_positions."""
        columns = (
            "device.id, at_ms, lat_e6, lon_e6, speed_cms, course_deg, accuracy_m, clock,"
            " received_ms, epoch, seq, late"
        )
        rows = self._of_devices("last_position", columns, devices)
        return [Position._make((*row[:-1], bool(row[-1]))) for row in rows]

    def last_readings(self, devices: Collection[str] | None = None) -> list[ReadingPoint]:
        """See Telemetry.last_readings."""
        columns = "device.id, sensor, at_ms, value, clock, received_ms"
        return [ReadingPoint(*row) for row in self._of_devices("last_reading", columns, devices)]

    def track(self, device: str, from_ms: int, to_ms: int) -> list[Position]:
        """See Telemetry.track."""
        found: list[Position] = []
        for record, clock, received_ms in self._batches("track", device, from_ms, to_ms):
            found += positions(device, record, clock, received_ms)
        found.sort(key=attrgetter("at_ms", "seq"))
        first = bisect_left(found, from_ms, key=attrgetter("at_ms"))
        return found[first : bisect_right(found, to_ms, key=attrgetter("at_ms"))]

    def box(
        self, from_ms: int, to_ms: int, *, south: int, west: int, north: int, east: int
    ) -> Iterator[Position]:
        """See Telemetry.box."""
        with self._file.reading() as connection:
            devices = [row[0] for row in connection.execute("SELECT id FROM device ORDER BY id")]
        for device in devices:
            for position in self.track(device, from_ms, to_ms):
                if south <= position.lat_e6 <= north and west <= position.lon_e6 <= east:
                    yield position

    def readings(
        self, device: str, sensor: str | None, from_ms: int, to_ms: int
    ) -> list[ReadingPoint]:
        """See Telemetry.readings."""
        found = [
            point
            for record, clock, received_ms in self._batches("reading", device, from_ms, to_ms)
            for point in reading_points(device, record, clock, received_ms)
            if from_ms <= point.at_ms <= to_ms and sensor in (None, point.sensor)
        ]
        return sorted(found, key=lambda point: point.at_ms)

    def retain(self, before_ms: int) -> int:
        """See Telemetry.retain."""
        return (
            self._retain("track", "last_ms", before_ms)
            + self._retain("reading", "last_ms", before_ms)
            + self._retain("state", "received_ms", before_ms)
        )

    def check(self) -> None:
        """See Telemetry.check."""
        with self._file.reading() as connection:
            connection.execute("SELECT 1 FROM device LIMIT 1").fetchone()

    def close(self) -> None:
        """Close every connection."""
        self._file.close()

    def _retain(self, table: str, column: str, before_ms: int) -> int:
        with self._file.reading() as connection:
            last = connection.execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0  # noqa: S608
        statement = f"DELETE FROM {table} WHERE id BETWEEN ? AND ? AND {column} < ?"  # noqa: S608
        removed = 0
        for first in range(1, last + 1, _RETAIN_ROWS):
            with self._writing, self._file.transaction() as connection:
                bounds = (first, first + _RETAIN_ROWS - 1, before_ms)
                removed += connection.execute(statement, bounds).rowcount
        return removed

    def _number_of(self, connection: sqlite3.Connection, devices: set[str]) -> dict[str, int]:
        unknown = [(device,) for device in devices if device not in self._numbers]
        if not unknown:
            return self._numbers
        connection.executemany("INSERT OR IGNORE INTO device (id) VALUES (?)", unknown)
        numbers = dict(connection.execute("SELECT id, no FROM device"))
        # Kept only once they are committed, which they are when the next write finds them known.
        self._numbers = {device: no for device, no in numbers.items() if (device,) not in unknown}
        return numbers

    def _batches(
        self, table: str, device: str, from_ms: int, to_ms: int
    ) -> list[tuple[bytes, int, int]]:
        statement = f"""
            SELECT record, clock, received_ms FROM {table}
            WHERE device_no = (SELECT no FROM device WHERE id = ?)
              AND first_ms BETWEEN ? AND ? AND last_ms >= ?
        """  # noqa: S608 - a table of this file
        with self._file.reading() as connection:
            # A batch is never longer than BATCH_SPAN_MS_MAX: the index is enough to find it.
            bounds = (device, from_ms - BATCH_SPAN_MS_MAX, to_ms, from_ms)
            return connection.execute(statement, bounds).fetchall()

    def _of_devices(
        self, table: str, columns: str, devices: Collection[str] | None
    ) -> list[tuple[Any, ...]]:
        statement = f"SELECT {columns} FROM {table} JOIN device ON device.no = device_no"  # noqa: S608
        with self._file.reading() as connection:
            if devices is None:
                return connection.execute(f"{statement} ORDER BY device.id").fetchall()
            wanted = sorted(devices)
            rows: list[tuple[Any, ...]] = []
            for at in range(0, len(wanted), _DEVICES_AT_ONCE_MAX):
                part = wanted[at : at + _DEVICES_AT_ONCE_MAX]
                marks = ",".join("?" * len(part))
                rows += connection.execute(f"{statement} WHERE device.id IN ({marks})", part)
            return rows


def _last_positions(number: dict[str, int], tracks: Sequence[TrackRow]) -> list[tuple[Any, ...]]:
    newest: dict[str, tuple[Mark, TrackRow]] = {}
    for row in tracks:
        mark = Mark(row.clock > 0, row.epoch, row.seq, row.last_ms, row.received_ms)
        known = newest.get(row.device)
        if known is None or is_newer(mark, known[0]):
            newest[row.device] = mark, row
    return [
        (number[device], *last_position(row)[1:], mark.dated)
        for device, (mark, row) in newest.items()
    ]


def _last_readings(number: dict[str, int], rows: Sequence[ReadingRow]) -> list[tuple[Any, ...]]:
    return [
        (number[row.device], point.sensor, point.at_ms, point.value, point.clock,
         point.received_ms, row.epoch, seq, row.clock > 0)
        for row in rows
        for seq, point in enumerate(
            reading_points(row.device, row.record, row.clock, row.received_ms), row.seq
        )
    ]  # fmt: skip
