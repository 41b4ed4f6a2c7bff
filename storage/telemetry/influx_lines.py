"""Rows as InfluxDB line protocol, and the points in time that keep InfluxDB from overwriting.

InfluxDB overwrites a point of the same series (measurement and tags) and time. A point's time is
therefore a pure function of its record: the time it happened in ms, and seq mod 10^6 as the
nanoseconds below. Two copies of a record fall on one point; two records never do.

| measurement | tags                           | fields                                        |
|-------------|--------------------------------|-----------------------------------------------|
| track       | clock, device, epoch           | lat_e6 lon_e6 speed_cms course_deg accuracy_m |
| reading     | clock, device, epoch, sensor   | value                                         |
| undated     | device, epoch, stream, (sensor)| the same, and filed_ms                        |
| state       | device                         | state (JSON), battery_mv, rssi_dbm, heap_free |
| last        | device, what, writer           | row (JSON); see influx_last.py                |

All but the last two have seq and received_ms. `undated` holds what a device recorded without
knowing the time: its points stand at FOREVER, counted on by seq, because neither the uptime nor
the time received would be the same for another copy; `filed_ms` says when it was, as far as known.
"""

import json
import zlib

from storage.telemetry.interface import ReadingRow, StateRow, TrackRow
from wire_protocol import clock as clocks
from wire_protocol import readings, sensors, track

# 2200-01-01: after every real point and out of reach of any bucket's retention.
FOREVER_S = 7_258_118_400
FOREVER_NS = FOREVER_S * 1_000_000_000
# Undated points are a microsecond apart, so u32 seqs fill 72 minutes.
UNDATED_STEP_NS = 1000
_STATE_NUMBERS = ("battery_mv", "rssi_dbm", "heap_free")


def track_lines(row: TrackRow) -> list[str]:
    """Return a line for each fix of a batch."""
    seq, common = row.seq, f",received_ms={row.received_ms}i"
    head, time_of = _head("track", row)
    lines = []
    for fix in track.decode(row.record).fixes:
        at_ms, lat_e6, lon_e6, speed_cms, course_deg, accuracy_m = fix
        line = f"{head} seq={seq}i,lat_e6={lat_e6}i,lon_e6={lon_e6}i"
        if speed_cms is not None:
            line += f",speed_cms={speed_cms}i"
        if course_deg is not None:
            line += f",course_deg={course_deg}i"
        if accuracy_m is not None:
            line += f",accuracy_m={accuracy_m}i"
        lines.append(f"{line}{common}{time_of(at_ms, seq)}")
        seq += 1
    return lines


def reading_lines(row: ReadingRow) -> list[str]:
    """Return a line for each reading of a batch."""
    seq = row.seq
    head, time_of = _head("reading", row)
    lines = []
    for at_ms, kind, value in readings.decode(row.record).readings:
        lines.append(
            f"{head},sensor={sensors.name(kind)} seq={seq}i,value={value}i"
            f",received_ms={row.received_ms}i{time_of(at_ms, seq)}"
        )
        seq += 1
    return lines


def state_line(row: StateRow) -> str:
    """Return the line of a state; its time is the time received, told apart by its content."""
    text = json.dumps(row.state, separators=(",", ":"), sort_keys=True)
    fields = f"state={quoted(text)}"
    for name in _STATE_NUMBERS:
        if isinstance(row.state.get(name), int):
            fields += f",{name}={row.state[name]}i"
    nanoseconds = zlib.crc32(text.encode()) % 1_000_000
    return f"state,device={row.device} {fields} {row.received_ms * 1_000_000 + nanoseconds}"


def quoted(text: str) -> str:
    """Return a text as a string field's value."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class _Dated:
    """The end of a dated point's line: its time."""

    def __call__(self, at_ms: int, seq: int) -> str:
        return f" {at_ms * 1_000_000 + seq % 1_000_000}"


class _Undated:
    """The end of an undated point's line: when it is filed, and its place at FOREVER."""

    def __init__(self, row: TrackRow | ReadingRow, own_last_ms: int) -> None:
        self._shift_ms = row.last_ms - own_last_ms

    def __call__(self, at_ms: int, seq: int) -> str:
        time_ns = FOREVER_NS + seq * UNDATED_STEP_NS
        return f",filed_ms={at_ms + self._shift_ms}i {time_ns}"


def _head(stream: str, row: TrackRow | ReadingRow) -> tuple[str, "_Dated | _Undated"]:
    """Return (measurement and tags in InfluxDB's own order, what ends each line)."""
    if row.clock:
        clock = clocks.name(row.clock)
        return f"{stream},clock={clock},device={row.device},epoch={row.epoch}", _Dated()
    module = track if stream == "track" else readings
    own_last_ms: int = module.check(row.record)[1].at_ms
    head = f"undated,device={row.device},epoch={row.epoch},stream={stream}"
    return head, _Undated(row, own_last_ms)
