"""The last crashes, kept over restarts; loaded when there is one, then dropped.

A ring in one small file: the oldest go when there are eight, or when the file is full.
"""

import io
import json
import sys

CRASHES_MAX = 8
TRACE_CHARS_MAX = 240  # The end of a traceback: the last two lines and what was raised.
RING_BYTES_MAX = 3072  # A text of line ends takes two bytes for each; `Kept` reads 4096.
LINES_BYTES_MAX = 600  # Of a log that is told: a result record has room for so much.
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


def lines(kept, first: int) -> dict:
    """Return what `read_log` answers: crashes in words from number `first` on, oldest is 0.

    Returns:
        {"lines": as many as fit, "next": where the next answer begins, or None}.
    """
    rows, found, size = read(kept), [], 0
    while first < len(rows):
        boot, uptime_s, task, text = rows[first]
        line = "boot {}, {} s, {}: {}".format(boot, uptime_s, task, text)
        size += len(json.dumps(line).encode())
        if found and size > LINES_BYTES_MAX:
            return {"lines": found, "next": first}
        found.append(line)
        first += 1
    return {"lines": found, "next": None}
