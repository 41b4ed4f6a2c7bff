"""What every telemetry store can do, and the rows it takes and gives.

Times are Unix ms, coordinates WGS-84 in 1e-6 degree. A record whose device did not know the time
(clock "none"), or knew an impossible one, is undated: it is filed by the time it was received, and
every row of it that is given back has clock "none".
"""

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import count, repeat
from typing import Any, NamedTuple, Protocol, Self

from wire_protocol import clock as clocks
from wire_protocol import readings, sensors, track
from wire_protocol.errors import WireError

# No terminal of this product is older than the first, and a receiver whose week counter rolled
# over reports a date 1,024 weeks early; no certificate of ours outlives the second.
PLAUSIBLE_FROM_MS = 1_577_836_800_000  # 2020-01-01
PLAUSIBLE_UNTIL_MS = 3_471_292_800_000  # 2080-01-01
# A batch is sealed after 60 s; a span of a day comes from a clock that jumped.
BATCH_SPAN_MS_MAX = 24 * 3600 * 1000
# A batch waits up to 60 s in the terminal and a few resends on the way.
POSITION_LATE_AFTER_MS = 180_000


class TrackRow(NamedTuple):
    """One checked batch of fixes: its sealed bytes, and the facts that a store files it by."""

    device: str
    epoch: int
    seq: int
    records: int  # fixes or readings in the batch: seq..seq + records - 1
    clock: int  # a code of wire_protocol.clock; 0 when undated
    first_ms: int
    last_ms: int
    last: track.Fix
    received_ms: int
    record: bytes

    @classmethod
    def from_record(cls, device: str, record: bytes, received_ms: int) -> Self:
        """Check a sealed record and return its row.

        Raises:
            WireError: The record is not what docs/wire_protocol.md allows.
        """
        header, last = track.check(record)
        first_ms, last_ms, dated = _filed(record, last.at_ms, header.clock, received_ms)
        clock = header.clock if dated else clocks.NONE
        return cls(
            device, header.epoch, header.seq, header.count, clock, first_ms, last_ms, last,
            received_ms, record,
        )  # fmt: skip


class ReadingRow(NamedTuple):
    """One checked batch of sensor readings, as TrackRow."""

    device: str
    epoch: int
    seq: int
    records: int
    clock: int
    first_ms: int
    last_ms: int
    received_ms: int
    record: bytes

    @classmethod
    def from_record(cls, device: str, record: bytes, received_ms: int) -> Self:
        """Check a sealed record and return its row; WireError as TrackRow.from_record."""
        header, last = readings.check(record)
        first_ms, last_ms, dated = _filed(record, last.at_ms, header.clock, received_ms)
        clock = header.clock if dated else clocks.NONE
        return cls(
            device, header.epoch, header.seq, header.count, clock, first_ms, last_ms,
            received_ms, record,
        )  # fmt: skip


class StateRow(NamedTuple):
    """One state that a device reported, for the history."""

    device: str
    received_ms: int
    state: dict[str, Any]


class Position(NamedTuple):
    """One stored fix. `late`: it arrived long after it was taken."""

    device: str
    at_ms: int
    lat_e6: int
    lon_e6: int
    speed_cms: int | None
    course_deg: int | None
    accuracy_m: int | None
    clock: str
    received_ms: int
    epoch: int
    seq: int
    late: bool


class ReadingPoint(NamedTuple):
    """One stored sensor reading; `sensor` is a name of wire_protocol.sensors."""

    device: str
    sensor: str
    at_ms: int
    value: int
    clock: str
    received_ms: int


class Telemetry(Protocol):
    """A telemetry store. Every call may raise StoreAway; then nothing of it happened for sure."""

    def write(
        self,
        tracks: Sequence[TrackRow],
        readings: Sequence[ReadingRow] = (),
        states: Sequence[StateRow] = (),
    ) -> None:
        """Store rows durably; done when it returns. A row stored before is not stored again.

        Raises:
            RowsRefused: The store will never take some rows; all the others are stored.
        """

    def last_positions(self, devices: Collection[str] | None = None) -> list[Position]:
        """Return the last known position of each device; it never goes backwards."""

    def last_readings(self, devices: Collection[str] | None = None) -> list[ReadingPoint]:
        """Return the last reading of each device and sensor."""

    def track(self, device: str, from_ms: int, to_ms: int) -> list[Position]:
        """Return one device's fixes of a period, both ends included, by time."""

    def box(
        self, from_ms: int, to_ms: int, *, south: int, west: int, north: int, east: int
    ) -> Iterator[Position]:
        """Return every device's fixes of a period within a box of 1e-6 degree, ends included."""

    def readings(
        self, device: str, sensor: str | None, from_ms: int, to_ms: int
    ) -> list[ReadingPoint]:
        """Return one device's readings of a period, both ends included, by time."""

    def retain(self, before_ms: int) -> int:
        """Remove whole batches that ended before a time; return how many."""

    def check(self) -> None:
        """Return if the store answers; StoreAway if not."""

    def close(self) -> None:
        """Let the store go."""


def positions(device: str, record: bytes, clock: int, received_ms: int) -> list[Position]:
    """Return the fixes of a stored batch; `clock` is the row's, 0 when it is undated."""
    batch = track.decode(record)
    name = clocks.name(clock)
    # Column by column: a track of two hours is 1,440 fixes, and somebody waits for it.
    times, lats, lons, speeds, courses, accuracies = zip(*batch.fixes, strict=True)
    are_late: Iterable[bool] = repeat(False)
    if not clock:
        shift_ms = received_ms - times[-1]
        times = tuple([at_ms + shift_ms for at_ms in times])
    elif received_ms - times[0] > POSITION_LATE_AFTER_MS:
        are_late = [received_ms - at_ms > POSITION_LATE_AFTER_MS for at_ms in times]
    return list(
        map(
            Position._make,
            zip(
                repeat(device), times, lats, lons, speeds, courses, accuracies, repeat(name),
                repeat(received_ms), repeat(batch.epoch), count(batch.seq), are_late,
                strict=False,
            ),
        )
    )  # fmt: skip


def reading_points(
    device: str, record: bytes, clock: int, received_ms: int
) -> Iterable[ReadingPoint]:
    """Return the readings of a stored batch; `clock` as in `positions`."""
    batch = readings.decode(record)
    shift_ms = 0 if clock else received_ms - batch.readings[-1].at_ms
    name = clocks.name(clock)
    for reading in batch.readings:
        yield ReadingPoint(
            device, sensors.name(reading.kind), reading.at_ms + shift_ms, reading.value, name,
            received_ms,
        )  # fmt: skip


def last_position(row: TrackRow) -> Position:
    """Return the last fix of a batch as a position."""
    fix = row.last
    return Position(
        row.device, row.last_ms, fix.lat_e6, fix.lon_e6, fix.speed_cms, fix.course_deg,
            fix.accuracy_m, clocks.name(row.clock), row.received_ms, row.epoch,
        row.seq + row.records - 1,
        bool(row.clock) and row.received_ms - row.last_ms > POSITION_LATE_AFTER_MS,
    )  # fmt: skip


_BASE = struct.Struct("<IH")
_BASE_AT = 12  # behind the record's header


def _filed(record: bytes, last_ms: int, clock: int, received_ms: int) -> tuple[int, int, bool]:
    """Return (first, last, dated): the times by which a record is filed."""
    base_s, base_ms = _BASE.unpack_from(record, _BASE_AT)
    first_ms = base_s * 1000 + base_ms
    if last_ms - first_ms > BATCH_SPAN_MS_MAX:
        raise WireError(f"a batch over {last_ms - first_ms} ms, not {BATCH_SPAN_MS_MAX} or less")
    if clock and first_ms >= PLAUSIBLE_FROM_MS and last_ms < PLAUSIBLE_UNTIL_MS:
        return first_ms, last_ms, True
    return received_ms - (last_ms - first_ms), received_ms, False
