"""The walks on which formats are compared: one recorded on foot, one generated."""

from __future__ import annotations

import datetime
import math
import random
import re
from pathlib import Path

from wire_protocol.track import Fix

REPOSITORY = Path(__file__).resolve().parents[1]
RECORDED = REPOSITORY / "tests" / "recorded" / "tracks" / "cerknicko-jezero.gpx"
EARTH_M_PER_DEGREE = 111_320
_POINT = re.compile(r'<trkpt lat="([^"]+)" lon="([^"]+)">.*?<time>([^<]+)</time>', re.DOTALL)


def recorded_walk(path: Path = RECORDED, seed: int = 1) -> list[Fix]:
    """Return a GPX file's points; speed and course from the way, accuracy 3..8 m by dice."""
    dice = random.Random(seed)
    points = [
        (int(datetime.datetime.fromisoformat(time).timestamp()) * 1000, float(lat), float(lon))
        for lat, lon, time in _POINT.findall(path.read_text(encoding="utf-8"))
    ]
    return _with_motion([(at, lat, lon, dice.randint(3, 8)) for at, lat, lon in points])


def generated_walk(fixes: int = 1440, seed: int = 1) -> list[Fix]:
    """Return a walk at 1.2 m/s, a fix every 5 s, through a receiver's noise.

    The way bends slowly; the error wanders (3 m, correlated over a minute) and jitters (0.4 m).
    """
    dice = random.Random(seed)
    lat, lon, course = 30.274085, 120.155070, dice.uniform(0, 360)
    error_n = error_e = 0.0
    accuracy = 5
    points = []
    for number in range(fixes):
        course += dice.gauss(0, 8)
        lat += 6 * math.cos(math.radians(course)) / EARTH_M_PER_DEGREE
        lon += 6 * math.sin(math.radians(course)) / _m_per_degree_of_longitude(lat)
        error_n = error_n * 0.92 + dice.gauss(0, 3 * math.sqrt(1 - 0.92**2))
        error_e = error_e * 0.92 + dice.gauss(0, 3 * math.sqrt(1 - 0.92**2))
        seen_lat = lat + (error_n + dice.gauss(0, 0.4)) / EARTH_M_PER_DEGREE
        seen_lon = lon + (error_e + dice.gauss(0, 0.4)) / _m_per_degree_of_longitude(lat)
        accuracy = min(12, max(3, accuracy + dice.choice((-1, 0, 0, 1))))
        points.append((1_767_225_600_000 + number * 5000, seen_lat, seen_lon, accuracy))
    return _with_motion(points)


def _with_motion(points: list[tuple[int, float, float, int]]) -> list[Fix]:
    fixes = []
    before = points[0]
    for point in points:
        at, lat, lon, accuracy = point
        north = (lat - before[1]) * EARTH_M_PER_DEGREE
        east = (lon - before[2]) * _m_per_degree_of_longitude(lat)
        seconds = (at - before[0]) / 1000
        speed = round(math.hypot(north, east) / seconds * 100) if seconds else 0
        course = round(math.degrees(math.atan2(east, north)) / 2) * 2 % 360
        fixes.append(
            Fix(at, round(lat * 1e6), round(lon * 1e6), min(speed, 65534), course, accuracy)
        )
        before = point
    return fixes


def _m_per_degree_of_longitude(lat: float) -> float:
    return EARTH_M_PER_DEGREE * math.cos(math.radians(lat))
