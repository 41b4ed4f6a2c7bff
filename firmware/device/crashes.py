"""The last crashes, kept over restarts; loaded when there is one, then dropped."""

import io
import sys

CRASHES_MAX = 8
TRACE_CHARS_MAX = 240  # The end of a traceback: the last two lines and what was raised.


def keep_crash(kept, boot: int, uptime_s: int, task: str, error: Exception) -> None:
    """Add [boot, uptime_s, task, end of the traceback] to what `Kept` has as `crashes`."""
    trace = io.StringIO()
    # The stubs take StringIO for something else than a file in memory.
    sys.print_exception(error, trace)  # pyright: ignore[reportArgumentType]
    text = trace.getvalue()[-TRACE_CHARS_MAX:]  # pyright: ignore[reportAttributeAccessIssue]
    print(task, "crashed:", text)
    crashes = kept.load("crashes", [])
    crashes.append([boot, uptime_s, task, text])
    kept.save("crashes", crashes[-CRASHES_MAX:])
