"""Rows of InfluxDB's answers as positions and readings."""

from datetime import UTC, datetime
from functools import lru_cache

from storage.telemetry.interface import POSITION_LATE_AFTER_MS, Position, ReadingPoint

_DATE_CHARACTERS = 19  # 2026-11-23T02:00:00, then maybe .123456789, then Z
_UNDATED = "none"


def position(row: dict[str, str]) -> Position:
    """Return the fix in a row."""
    at_ms, clock = _time(row)
    received_ms = int(row["received_ms"])
    return Position(
        row["device"],
        at_ms,
        int(row["lat_e6"]),
        int(row["lon_e6"]),
        _number(row.get("speed_cms")),
        _number(row.get("course_deg")),
        _number(row.get("accuracy_m")),
        clock,
        received_ms,
        int(row["epoch"]),
        int(row["seq"]),
        clock != _UNDATED and received_ms - at_ms > POSITION_LATE_AFTER_MS,
    )


def reading_point(row: dict[str, str]) -> ReadingPoint:
    """Return the reading in a row."""
    at_ms, clock = _time(row)
    return ReadingPoint(
        row["device"], row["sensor"], at_ms, int(row["value"]), clock, int(row["received_ms"])
    )


def rfc3339(at_ms: int) -> str:
    """Return a time as InfluxDB writes it."""
    seconds, milliseconds = divmod(at_ms, 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def _time(row: dict[str, str]) -> tuple[int, str]:
    """Return (ms, clock): of an undated row the time it is filed by."""
    if "filed_ms" in row:
        return int(row["filed_ms"]), _UNDATED
    text = row["_time"]
    milliseconds = text[_DATE_CHARACTERS + 1 : -1][:3].ljust(3, "0")
    return _second(text[:_DATE_CHARACTERS]) * 1000 + int(milliseconds), row["clock"]


# Points of a fleet share most of their seconds.
@lru_cache(maxsize=8192)
def _second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _number(text: str | None) -> int | None:
    return int(text) if text else None
