"""A sealed record becomes sensor readings again; the server's half."""

import struct
from collections import namedtuple

from wire_protocol import columns_decode, frames, sensors
from wire_protocol.columns import AT_MS_MAX, IN_MS
from wire_protocol.errors import WireError
from wire_protocol.frames import Header
from wire_protocol.readings_encode import ONE_KIND, Reading

ReadingBatch = namedtuple("ReadingBatch", ("epoch", "seq", "clock", "readings"))

_HEADER_BYTES = 20
_NO_BITS = 0x7EF0


def decode(record: bytes) -> ReadingBatch:
    """Return the batch of readings in a sealed record.

    Raises:
        WireError: Anything in it is out of range, missing or left over.
    """
    if len(record) < _HEADER_BYTES:
        raise WireError(f"reading record of {len(record)} bytes, not {_HEADER_BYTES} or more")
    header = frames.header(record)
    frames.check_body(header, frames.READING)
    base_s, base_ms, widths = struct.unpack_from("<IHH", record, frames.HEADER_BYTES)
    if base_ms > 999:
        raise WireError(f"{base_ms} ms of a second, not 0..999")
    count = header.count
    if widths & _NO_BITS or not widths >> 2 & 3 or (count == 1 and widths & 3):
        raise WireError(f"widths {widths:#x} of {count} readings, no such columns")
    deltas, at = columns_decode.read_times(record, _HEADER_BYTES, count - 1, widths & 3)
    one_kind = widths & ONE_KIND
    kinds, at = columns_decode.read_plain(record, at, 1 if one_kind else count, 1)
    values, at = columns_decode.read_signed(record, at, count, widths >> 2 & 3)
    if at != len(record):
        raise WireError(f"reading record of {len(record)} bytes, not {at}")
    at_ms = base_s * 1000 + base_ms
    unit_ms = 1 if widths & IN_MS else 1000
    readings: list[Reading] = []
    steps = [0]
    steps.extend(deltas)
    for delta, kind, value in zip(steps, kinds * count if one_kind else kinds, values):
        at_ms += delta * unit_ms
        sensors.check_value(kind, value)
        readings.append(Reading(at_ms, kind, value))
    if at_ms > AT_MS_MAX:
        raise WireError(f"time {at_ms} ms, not 0..{AT_MS_MAX}")
    return ReadingBatch(header.epoch, header.seq, header.clock, readings)


def check(record: bytes) -> tuple[Header, Reading]:
    """Return (header, last reading) of a record, having checked all of it; else WireError."""
    batch = decode(record)
    return frames.header(record), batch.readings[-1]
