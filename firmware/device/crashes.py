"""The last crashes, kept over restarts; loaded when there is one, then dropped.

A ring in one small file: the oldest go when there are eight, or when the file is full.
"""

import io
import json
import sys

CRASHES_MAX = 8
TRACE_CHARS_MAX = 240  # The end of a traceback: the last two lines and what was raised.
RING_BYTES_MAX = 3072  # A text of line ends takes two bytes for each; `Kept` reads 4096.
PIECE_CHARS_MAX = 360  # Of a ring that is told: escaped twice, it still fits a result record.
REPORT_BYTES_MAX = 200  # Of wire_protocol.records, which a device does not load.


def keep_crash(kept, boot: int, uptime_s: int, task: str, error: Exception) -> str:
    """Add [boot, uptime_s, task, end of the traceback] to what `Kept` has as `crashes`.

    Returns:
        The text of a report about it.
    """
    trace = io.StringIO()
    # The stubs take StringIO for something else than a file in memory.
    sys.print_exception(error, trace)  # pyright: ignore[reportArgumentType]
    text = trace.getvalue()[-TRACE_CHARS_MAX:]  # pyright: ignore[reportAttributeAccessIssue]
    print(task, "crashed:", text)
    row = [boot, uptime_s, task, text]
    rows = read(kept)[1 - CRASHES_MAX :]
    rows.append(row)
    while len(rows) > 1 and len(json.dumps(rows)) > RING_BYTES_MAX:
        rows.pop(0)
    kept.save("crashes", rows)
    return report(row)


def read(kept) -> list:
    """Return the crashes kept, oldest first: [boot, uptime_s, task, end of the traceback]."""
    rows = kept.load("crashes", [])
    return [row for row in rows if isinstance(row, list) and len(row) == 4] if rows else []


def report(row: list) -> str:
    """Return a crash in words, short enough for a report; of the traceback the end counts most."""
    head = "crash of {} in boot {} after {} s: ".format(row[2], row[0], row[1])
    lines = [line.strip() for line in str(row[3]).strip().split("\n")]
    tail = " | ".join(lines[-3:])
    room = REPORT_BYTES_MAX - len(head)
    while len(tail.encode()) > room:
        tail = tail[len(tail) - room if len(tail) > room else 1 :]
    return head + tail


def piece(kept, number: int) -> dict:
    """Return part `number` (from 0) of the ring as `read log` answers it.

    Returns:
        {"part", "parts", "text"}: the texts put together are the ring as JSON.
    """
    text = json.dumps(read(kept))
    parts = (len(text) + PIECE_CHARS_MAX - 1) // PIECE_CHARS_MAX
    part = min(max(number, 0), parts - 1)
    at = part * PIECE_CHARS_MAX
    return {"part": part, "parts": parts, "text": text[at : at + PIECE_CHARS_MAX]}
