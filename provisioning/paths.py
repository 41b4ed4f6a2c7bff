"""Paths that a virtual device is carried along: generated walks and GPX recordings.

A path is a closed round of straight pieces, each covered at one speed. Where a device is depends
only on the path and the time, so a test can say where it must have been. The file format is read
by firmware/boards/virtual/board/receiver_path.py: a line `first_s length_s`, then one line a
piece, `duration_s lat_e6 lon_e6 to_lat_e6 to_lon_e6 altitude_dm speed_cms course_deg`.
"""

import datetime
import itertools
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from xml.etree import ElementTree as ET

from provisioning.errors import ProvisioningError

METRES_PER_DEGREE = 111_320.0
GPX_POINTS_MAX = 100_000
_WALK_PIECES = 40
_REST_SHARE = 0.15  # Of the pieces: a patroller stops to look, and the recorder goes sparse.
_UNTIMED_PIECE_SPEED_M_S = 1.3


@dataclass(frozen=True)
class Point:
    """A place on the way: WGS-84 1e-6 degree, altitude 0.1 m."""

    lat_e6: int
    lon_e6: int
    altitude_dm: int = 0


@dataclass(frozen=True)
class Piece:
    """A straight piece of the way, covered in whole seconds."""

    duration_s: int
    start: Point
    end: Point

    def distance_m(self) -> float:
        """Length over ground; the earth is flat for a few kilometres."""
        north, east = _metres(self.start, self.end)
        return math.hypot(north, east)

    def line(self) -> str:
        """Return the piece as its line in the file."""
        north, east = _metres(self.start, self.end)
        speed_cms = round(100 * math.hypot(north, east) / self.duration_s)
        course_deg = round(math.degrees(math.atan2(east, north))) % 360
        return (
            f"{self.duration_s} {self.start.lat_e6} {self.start.lon_e6} {self.end.lat_e6} "
            f"{self.end.lon_e6} {self.start.altitude_dm} {speed_cms} {course_deg}\n"
        )


@dataclass(frozen=True)
class Track:
    """A closed round that began at `first_s` (Unix seconds) and goes on for ever."""

    pieces: tuple[Piece, ...]
    first_s: int = 0

    @property
    def length_s(self) -> int:
        """Seconds of one round."""
        return sum(piece.duration_s for piece in self.pieces)

    def text(self) -> str:
        """Return the file that the virtual receiver reads."""
        return f"{self.first_s} {self.length_s}\n" + "".join(piece.line() for piece in self.pieces)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the file back."""
        first, *lines = text.splitlines()
        pieces = []
        for line in lines:
            duration_s, lat, lon, to_lat, to_lon, altitude_dm, _, _ = map(int, line.split())
            end = Point(to_lat, to_lon, altitude_dm)
            pieces.append(Piece(duration_s, Point(lat, lon, altitude_dm), end))
        return cls(tuple(pieces), first_s=int(first.split()[0]))

    def at(self, unix_s: int) -> Point:
        """Return where the device is at a second, exactly as its receiver says it."""
        along_s = (unix_s - self.first_s) % self.length_s
        for piece in self.pieces:
            if along_s < piece.duration_s:
                break
            along_s -= piece.duration_s
        start, end, span = piece.start, piece.end, piece.duration_s
        return Point(
            start.lat_e6 + (end.lat_e6 - start.lat_e6) * along_s // span,
            start.lon_e6 + (end.lon_e6 - start.lon_e6) * along_s // span,
            start.altitude_dm,
        )


def walk(
    *, seed: int, lat_e6: int, lon_e6: int, radius_m: int = 500, speed_cms: int = 120
) -> Track:
    """Return a round on foot about a place, always the same for a seed.

    Args:
        seed: Any whole number.
        lat_e6: Middle of the round.
        lon_e6: As above.
        radius_m: The round stays within, 10..20,000.
        speed_cms: Usual speed, 10..5,000.
    """
    if not 10 <= radius_m <= 20_000 or not 10 <= speed_cms <= 5_000:
        raise ProvisioningError(f"a walk of radius {radius_m} m at {speed_cms} cm/s")
    generator = random.Random(seed)  # noqa: S311 - a walk, not a secret
    middle = Point(lat_e6, lon_e6, generator.randint(500, 4000))
    heading = generator.uniform(0, 2 * math.pi)
    here = start = _moved(middle, generator.uniform(0, radius_m * 0.8), heading)
    pieces: list[Piece] = []
    for _ in range(_WALK_PIECES):
        if pieces and generator.random() < _REST_SHARE:
            pieces.append(Piece(generator.randint(20, 120), here, here))
        heading += generator.gauss(0, 0.7)
        step_m = generator.uniform(0.06, 0.25) * radius_m
        there = _moved(here, step_m, heading)
        if math.hypot(*_metres(middle, there)) > radius_m:
            north, east = _metres(here, middle)
            heading = math.atan2(east, north) + generator.gauss(0, 0.4)
            there = _moved(here, step_m, heading)
        pieces.append(_covered(here, there, speed_cms * generator.uniform(0.8, 1.15)))
        here = there
    pieces.append(_covered(here, start, speed_cms))
    rounds_s = sum(piece.duration_s for piece in pieces)
    return Track(tuple(pieces), first_s=generator.randrange(rounds_s))


def read_gpx(path: Path) -> Track:
    """Return a recording as a round: there as recorded, and the same way back.

    Raises:
        ProvisioningError: It is no GPX, or has fewer than two points.
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - the operator's own file, expat is bounded
        points = [_gpx_point(item) for item in root.iter() if item.tag.endswith("}trkpt")]
    except (OSError, ET.ParseError, ValueError, KeyError) as error:
        raise ProvisioningError(f"{path} is no GPX recording: {error}") from error
    if not 2 <= len(points) <= GPX_POINTS_MAX:
        raise ProvisioningError(f"{path} has {len(points)} track points, 2 to {GPX_POINTS_MAX}")
    pieces = [_timed(start, end) for start, end in itertools.pairwise(points)]
    back = [Piece(piece.duration_s, piece.end, piece.start) for piece in reversed(pieces)]
    return Track((*pieces, *back))


def _gpx_point(item: ET.Element) -> tuple[Point, datetime.datetime | None]:
    texts = {child.tag.rpartition("}")[2]: child.text or "" for child in item}
    point = Point(
        round(float(item.attrib["lat"]) * 1e6),
        round(float(item.attrib["lon"]) * 1e6),
        round(float(texts.get("ele") or 0) * 10),
    )
    time = texts.get("time")
    return point, datetime.datetime.fromisoformat(time) if time else None


def _timed(
    start: tuple[Point, datetime.datetime | None], end: tuple[Point, datetime.datetime | None]
) -> Piece:
    if start[1] is not None and end[1] is not None:
        return Piece(max(1, round((end[1] - start[1]).total_seconds())), start[0], end[0])
    return _covered(start[0], end[0], 100 * _UNTIMED_PIECE_SPEED_M_S)


def _covered(start: Point, end: Point, speed_cms: float) -> Piece:
    distance_m = Piece(1, start, end).distance_m()
    return Piece(max(1, round(100 * distance_m / speed_cms)), start, end)


def _metres(start: Point, end: Point) -> tuple[float, float]:
    """(north, east) from one place to another near it."""
    scale = METRES_PER_DEGREE / 1e6
    shrink = math.cos(math.radians(start.lat_e6 / 1e6))
    return (
        (end.lat_e6 - start.lat_e6) * scale,
        (end.lon_e6 - start.lon_e6) * scale * shrink,
    )


def _moved(point: Point, distance_m: float, heading: float) -> Point:
    per_degree = 1e6 / METRES_PER_DEGREE
    shrink = math.cos(math.radians(point.lat_e6 / 1e6))
    return Point(
        point.lat_e6 + round(distance_m * math.cos(heading) * per_degree),
        point.lon_e6 + round(distance_m * math.sin(heading) * per_degree / shrink),
        point.altitude_dm,
    )
