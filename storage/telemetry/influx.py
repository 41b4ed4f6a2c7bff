"""Telemetry in InfluxDB 2: every fix and reading is a point, numbers in fields, identity in tags.

What a point looks like is in influx_lines.py, how the last known ones are kept in influx_last.py.
A request that InfluxDB refuses is split until the culprit is found; everything else is stored.
"""

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from storage.errors import RowsRefused, StorageError
from storage.telemetry.influx_last import NAMED_DEVICES_MAX, LastKnown
from storage.telemetry.influx_lines import (
    FOREVER_S,
    reading_lines,
    state_line,
    track_lines,
)
from storage.telemetry.influx_link import (
    REQUEST_WAIT_S,
    InfluxAddress,
    InfluxLink,
    PointsRefusedError,
)
from storage.telemetry.influx_rows import position, reading_point, rfc3339
from storage.telemetry.interface import Position, ReadingPoint, ReadingRow, StateRow, TrackRow

# About 0.8 MB a request: InfluxDB's own advice is 5,000 lines or more.
LINES_AT_ONCE_MAX = 6000
# One is put together while another is on its way; more would only wait in InfluxDB.
REQUESTS_UNDER_WAY_MAX = 2
# A box is read in slices, so that a long period over the whole fleet does not fill the memory.
BOX_SLICE_MS = 600_000
# Undated points fill 72 minutes from FOREVER on (influx_lines.UNDATED_STEP_NS).
_UNDATED_UNTIL_S = FOREVER_S + 4300
_UNDATED_FROM, _UNDATED_UNTIL = "2200-01-01T00:00:00Z", "2200-01-01T02:00:00Z"
_LONG_AGO = "1970-01-01T00:00:00Z"
# It goes into lines and queries as it is.
_WRITER = re.compile(r"[A-Za-z0-9_-]{1,40}")


class _Item(NamedTuple):
    row: object
    lines: list[str]


class InfluxTelemetry:
    """A telemetry store in one bucket; safe to share between threads.

    Args:
        address: The bucket.
        writer: Name of this process among all that write, e.g. the gateway's instance; never
            shared, because each keeps last known positions of its own.
        wait_s: How long a write may take before InfluxDB counts as away.
    """

    def __init__(
        self, address: InfluxAddress, writer: str, *, wait_s: int = REQUEST_WAIT_S
    ) -> None:
        if not _WRITER.fullmatch(writer):
            raise StorageError(f"instance {writer!r}, not 1..40 of a-z, A-Z, 0-9, - and _")
        self._link = InfluxLink(address, wait_s)
        self._last = LastKnown(self._link, writer)
        self._bucket = json.dumps(address.bucket)
        self._writing = threading.Lock()

    def write(
        self,
        tracks: Sequence[TrackRow],
        readings: Sequence[ReadingRow] = (),
        states: Sequence[StateRow] = (),
    ) -> None:
        """See Telemetry.write."""
        items = chain(
            (_Item(row, track_lines(row)) for row in tracks),
            (_Item(row, reading_lines(row)) for row in readings),
            (_Item(row, [state_line(row)]) for row in states),
        )
        with self._writing:
            self._last.prepare()
            refused = self._store(items)
            culprits = {id(row) for row, _ in refused}
            self._last.advance(
                [row for row in tracks if id(row) not in culprits],
                [row for row in readings if id(row) not in culprits],
            )
        if refused:
            raise RowsRefused([row for row, _ in refused], refused[0][1])

    def last_positions(self, devices: Collection[str] | None = None) -> list[Position]:
        """See Telemetry.last_positions."""
        return self._last.positions(devices)

    def last_readings(self, devices: Collection[str] | None = None) -> list[ReadingPoint]:
        """See Telemetry.last_readings."""
        return self._last.readings(devices)

    def track(self, device: str, from_ms: int, to_ms: int) -> list[Position]:
        """See Telemetry.track."""
        named = f"r.device == {json.dumps(device)}"
        rows = chain(
            self._dated("track", from_ms, to_ms, named),
            self._undated("track", from_ms, to_ms, named),
        )
        return sorted(map(position, rows), key=lambda place: (place.at_ms, place.seq))

    def box(
        self, from_ms: int, to_ms: int, *, south: int, west: int, north: int, east: int
    ) -> Iterator[Position]:
        """See Telemetry.box."""
        start_ms, end_ms = max(from_ms, 0), min(to_ms, FOREVER_S * 1000)
        if start_ms > end_ms:
            return  # InfluxDB refuses a period without a length.
        named = self._named_within(
            start_ms, end_ms, {"lat_e6": (south, north), "lon_e6": (west, east)}
        )
        within = (
            f"r.lat_e6 >= {south} and r.lat_e6 <= {north}"
            f" and r.lon_e6 >= {west} and r.lon_e6 <= {east}"
        )
        if named is not None:
            for slice_ms in range(start_ms, end_ms + 1, BOX_SLICE_MS):
                slice_end_ms = min(slice_ms + BOX_SLICE_MS - 1, end_ms)
                rows = self._dated("track", slice_ms, slice_end_ms, named, within)
                yield from map(position, rows)
        yield from map(position, self._undated("track", from_ms, to_ms, "true", within))

    def readings(
        self, device: str, sensor: str | None, from_ms: int, to_ms: int
    ) -> list[ReadingPoint]:
        """See Telemetry.readings."""
        named = f"r.device == {json.dumps(device)}"
        if sensor is not None:
            named += f" and r.sensor == {json.dumps(sensor)}"
        rows = chain(
            self._dated("reading", from_ms, to_ms, named),
            self._undated("reading", from_ms, to_ms, named),
        )
        return sorted(map(reading_point, rows), key=lambda point: point.at_ms)

    def retain(self, before_ms: int) -> int:
        """See Telemetry.retain; counts points, and the undated by whole (device, epoch)."""
        removed = 0
        for measurement, counted in (("track", "seq"), ("reading", "seq"), ("state", "state")):
            removed += self._count(measurement, counted, before_ms)
            self._link.delete(_LONG_AGO, rfc3339(before_ms), f'_measurement="{measurement}"')
        for row in self._link.query(
            _OLD_UNDATED.format(
                bucket=self._bucket, start=FOREVER_S, stop=_UNDATED_UNTIL_S, before_ms=before_ms
            )
        ):
            removed += int(row["points"])
            self._link.delete(
                _UNDATED_FROM,
                _UNDATED_UNTIL,
                f'_measurement="undated" AND device="{row["device"]}"'
                f' AND epoch="{row["epoch"]}" AND stream="{row["stream"]}"',
            )
        return removed

    def check(self) -> None:
        """See Telemetry.check."""
        list(self._link.query(f"from(bucket: {self._bucket}) |> range(start: -1s) |> limit(n: 1)"))

    def close(self) -> None:
        """Let the connection go."""
        self._link.close()

    def _store(self, items: Iterable[_Item]) -> list[tuple[object, str]]:
        """Write items; return those that InfluxDB will never take, each with its reason.

        The next request is put together while InfluxDB works on the one before.
        """
        refused: list[tuple[object, str]] = []
        under_way: deque[tuple[list[_Item], Callable[[], None]]] = deque()
        for part in _parts(items):
            if len(under_way) == REQUESTS_UNDER_WAY_MAX:
                _settle(self._link, *under_way.popleft(), refused)
            under_way.append((part, self._link.start(_lines(part))))
        while under_way:
            _settle(self._link, *under_way.popleft(), refused)
        return refused

    def _named_within(
        self, from_ms: int, to_ms: int, bounds: dict[str, tuple[int, int]]
    ) -> str | None:
        """Return the Flux condition that names the devices whose fixes may lie within a box.

        A look at one coordinate is answered by InfluxDB's storage itself; putting rows together
        costs it fifty times that. None when there is no such device; many are not named.
        """
        devices: set[str] | None = None
        for field, (low, high) in bounds.items():
            rows = self._link.query(f"""
                from(bucket: {self._bucket})
                |> range(start: {_time(from_ms)}, stop: {_time(to_ms + 1)})
                |> filter(fn: (r) => r._measurement == "track" and r._field == "{field}")
                |> filter(fn: (r) => r._value >= {low} and r._value <= {high})
                |> first()
                |> keep(columns: ["device"])
            """)
            found = {row["device"] for row in rows}
            devices = found if devices is None else devices & found
        if not devices:
            return None
        if len(devices) > NAMED_DEVICES_MAX:
            return "true"
        return " or ".join(f"r.device == {json.dumps(device)}" for device in sorted(devices))

    def _dated(
        self, measurement: str, from_ms: int, to_ms: int, named: str, within: str = "true"
    ) -> Iterator[dict[str, str]]:
        # A point stands up to a millisecond after its time: its seq.
        start_ms, stop_ms = max(from_ms, 0), min(to_ms + 1, FOREVER_S * 1000)
        if start_ms >= stop_ms:
            return iter(())  # InfluxDB refuses a period without a length.
        return self._link.query(f"""
            from(bucket: {self._bucket})
            |> range(start: {_time(start_ms)}, stop: {_time(stop_ms)})
            |> filter(fn: (r) => r._measurement == "{measurement}" and ({named}))
            |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
            |> filter(fn: (r) => {within})
            |> drop(columns: ["_start", "_stop", "_measurement"])
        """)

    def _undated(
        self, stream: str, from_ms: int, to_ms: int, named: str, within: str = "true"
    ) -> Iterator[dict[str, str]]:
        return self._link.query(f"""
            from(bucket: {self._bucket})
            |> range(start: {FOREVER_S}, stop: {_UNDATED_UNTIL_S})
            |> filter(fn: (r) => r._measurement == "undated" and r.stream == "{stream}")
            |> filter(fn: (r) => {named})
            |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
            |> filter(fn: (r) => r.filed_ms >= {from_ms} and r.filed_ms <= {to_ms} and {within})
            |> drop(columns: ["_start", "_stop", "_measurement", "_time", "stream"])
        """)

    def _count(self, measurement: str, field: str, before_ms: int) -> int:
        rows = self._link.query(f"""
            from(bucket: {self._bucket})
            |> range(start: 0, stop: {_time(before_ms)})
            |> filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{field}")
            |> count()
        """)
        return sum(int(row["_value"]) for row in rows)


_OLD_UNDATED = """
    from(bucket: {bucket})
    |> range(start: {start}, stop: {stop})
    |> filter(fn: (r) => r._measurement == "undated" and r._field == "filed_ms")
    |> group(columns: ["device", "epoch", "stream"])
    |> reduce(
        identity: {{points: 0, newest: 0}},
        fn: (r, accumulator) => ({{
            points: accumulator.points + 1,
            newest: if r._value > accumulator.newest then r._value else accumulator.newest,
        }}),
    )
    |> filter(fn: (r) => r.newest < {before_ms})
"""


def _settle(
    link: InfluxLink,
    items: list[_Item],
    written: Callable[[], None],
    refused: list[tuple[object, str]],
) -> None:
    """Wait for a request; one that is refused is split until the culprit stands alone.

    A refused request may have stored some of its lines; writing them again changes nothing.
    """
    try:
        written()
    except PointsRefusedError as error:
        if len(items) == 1:
            refused.append((items[0].row, f"InfluxDB: {error}"))
            return
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            _settle(link, half, link.start(_lines(half)), refused)


def _lines(items: list[_Item]) -> list[str]:
    return [line for item in items for line in item.lines]


def _time(at_ms: int) -> str:
    return f"time(v: {at_ms * 1_000_000})"


def _parts(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Cut items into requests of at most LINES_AT_ONCE_MAX lines, or of one item."""
    part: list[_Item] = []
    lines = 0
    for item in items:
        if part and lines + len(item.lines) > LINES_AT_ONCE_MAX:
            yield part
            part, lines = [], 0
        part.append(item)
        lines += len(item.lines)
    if part:
        yield part
