"""Columns of fixed width: the deltas of a batch in 1, 2 or 4 bytes each.

The width of a column is chosen for each batch. What does not fit in a narrow column is written
there as the column's escape (signed: the lowest number, unsigned: the highest), and all that did
not fit follows as a column of the next width; so one jump does not widen a whole batch.
"""

import struct

from wire_protocol.errors import WireError

SIGNED = ("bhi", (128, 32768))  # Letters of struct for codes 1, 2, 3; limits for codes 1, 2.
UNSIGNED = ("BHI", (255, 65535))
STEP_MAX = 0xFFFF
SPAN_MAX = 0xFFFFFFFF
AT_MS_MAX = 0xFFFFFFFF * 1000 + 999
IN_MS = 0x8000  # Bit of the widths: times are counted in ms, else in s.


def pack(values: list[int], kind: tuple[str, tuple[int, int]]) -> tuple[int, bytes]:
    """Return (width code 1..3, bytes) of a column, the shortest there is.

    Args:
        values: Deltas that fit in 4 bytes of the kind.
        kind: SIGNED or UNSIGNED.
    """
    best = 3
    column = _pack(values, kind, 3)
    for code in (2, 1):
        shorter = _pack(values, kind, code)
        if len(shorter) <= len(column):
            best, column = code, shorter
    return best, column


def _pack(values: list[int], kind: tuple[str, tuple[int, int]], code: int) -> bytes:
    letters, limits = kind
    behind = b""
    if code < 3:
        limit = limits[code - 1]
        others = [value for value in values if abs(value) >= limit]
        if others:
            escape = -limit if kind is SIGNED else limit
            values = [value if abs(value) < limit else escape for value in values]
            behind = _pack(others, kind, code + 1)
    return struct.pack("<" + letters[code - 1] * len(values), *values) + behind


def pack_base(times: list[int]) -> tuple[int, bytes, bytes]:
    """Return (widths so far, base, time column) of times in ms that never fall.

    Counted in whole seconds where all of them share their milliseconds.
    """
    base_s, base_ms = divmod(times[0], 1000)
    widths = IN_MS
    if all(at % 1000 == base_ms for at in times):
        widths = 0
        times = [at // 1000 for at in times]
    if times[-1] - times[0] > SPAN_MAX:
        raise WireError(f"batch spans {times[-1] - times[0]} ms, not 0..{SPAN_MAX}")
    code, column = _pack_times(times)
    return widths | code, struct.pack("<IH", base_s, base_ms), column


def check_time(at_ms: int, before_ms: int) -> None:
    """Raise WireError unless a time can be written and is not before the last one."""
    if not before_ms <= at_ms <= AT_MS_MAX:
        raise WireError(f"time {at_ms} ms, not {before_ms}..{AT_MS_MAX}")


def _pack_times(times: list[int]) -> tuple[int, bytes]:
    """Return (width code 0..3, bytes) of times: one u16 step for all, or deltas."""
    deltas = [after - before for before, after in zip(times, times[1:])]
    if not deltas:
        return 0, b""
    if deltas[0] <= STEP_MAX and min(deltas) == max(deltas):
        return 0, struct.pack("<H", deltas[0])
    return pack(deltas, UNSIGNED)
