"""What gpsd made of each log of tests/recorded/nmea, and how the firmware's fixes compare."""

from __future__ import annotations

import csv
import datetime
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LOGS = REPOSITORY / "tests" / "recorded" / "nmea"
FEED = Path(__file__).with_name("nmea_feed.py")


@dataclass(frozen=True)
class Outcome:
    """One log: rows of the truth, those reproduced, and fixes that match no row."""

    rows: int
    reproduced: int
    missing: list[str]
    extra: list[list[int]]
    counters: dict[str, float]


def logs() -> list[Path]:
    """Return every log that has a table of fixes beside it."""
    return sorted(path for path in LOGS.glob("*.nmea") if table_of(path).exists())


def table_of(log: Path) -> Path:
    return log.with_name(log.stem + ".fixes.csv")


def truth(log: Path) -> list[tuple[int, Decimal, Decimal]]:
    """Return (Unix ms, latitude, longitude) of each row."""
    rows = []
    with table_of(log).open(newline="", encoding="ascii") as file:
        for row in csv.DictReader(file):
            at = datetime.datetime.fromisoformat(row["time_utc"])
            at_ms = int(at.timestamp()) * 1000 + at.microsecond // 1000
            rows.append((at_ms, Decimal(row["lat_deg"]), Decimal(row["lon_deg"])))
    return rows


def compare(log: Path, printed: str) -> Outcome:
    """Hold what nmea_feed printed against the table of a log.

    A row is reproduced by a fix of the same ms whose coordinates differ by no more than the half
    of 1e-6 degree that rounding may take; each fix reproduces one row.
    """
    *lines, last = printed.splitlines()
    fixes = [json.loads(line) for line in lines]
    half = Decimal("0.0000005")
    unused = list(fixes)
    missing = []
    rows = truth(log)
    for at_ms, lat, lon in rows:
        for fix in unused:
            near = abs(lat - Decimal(fix[1]) / 10**6) <= half
            if fix[0] == at_ms and near and abs(lon - Decimal(fix[2]) / 10**6) <= half:
                unused.remove(fix)
                break
        else:
            missing.append(f"{at_ms} {lat} {lon}")
    return Outcome(len(rows), len(rows) - len(missing), missing, unused, json.loads(last))
