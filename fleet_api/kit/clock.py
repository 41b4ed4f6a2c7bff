"""The one place of the fleet API that reads the clock."""

import datetime
import time


def wall_clock_ms() -> int:
    """Return Unix time in ms."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int) -> str:
    """Return a time as people and GPX write it: 2026-11-23T02:00:00.000Z."""
    moment = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
