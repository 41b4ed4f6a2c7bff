"""A batch of sensor readings becomes a sealed record; the half that a device needs.

Body behind the header: `base_s u32 | base_ms u16 | widths u16 | times | kinds | values`, as in
docs/wire_protocol.md, section 5.
"""

import struct
from collections import namedtuple

from wire_protocol import columns, frames, sensors

ONE_KIND = 0x100  # Bit of the widths: one byte for the whole batch.

Reading = namedtuple("Reading", ("at_ms", "kind", "value"))


def encode(epoch: int, seq: int, clock: int, readings: list[Reading]) -> bytes:
    """Return the sealed record of a batch.

    Args:
        epoch: Of the journal, u32.
        seq: Of the first reading, 1..2**32 - 1.
        clock: Quality code; with clock.NONE the times are uptimes.
        readings: 1..60, oldest first: Unix ms, sensor code, value in the unit of its kind.

    Raises:
        WireError: A field is out of range, or a time is before the one in front of it.
    """
    head = frames.pack_header(frames.READING, epoch, seq, len(readings), clock)
    before = 0
    for reading in readings:
        columns.check_time(reading.at_ms, before)
        sensors.check_value(reading.kind, reading.value)
        before = reading.at_ms
    widths, base, times = columns.pack_base([reading.at_ms for reading in readings])
    code, values = columns.pack([reading.value for reading in readings], columns.SIGNED)
    widths |= code << 2
    kinds = [reading.kind for reading in readings]
    if len(kinds) > 1 and min(kinds) == max(kinds):
        widths |= ONE_KIND
        del kinds[1:]
    return b"".join((head, base, struct.pack("<H", widths), times, bytes(kinds), values))
