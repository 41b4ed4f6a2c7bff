"""A fictional district for the demo's map: 135 villages in 9 townships, the same ones for a seed.

Owns the geometry and the names; knows no store and no process. Every code starts with 99, which
GB/T 2260 assigns to nobody, so a demo row can never be mistaken for a real village's.
"""

import itertools
import random
from dataclasses import dataclass

DISTRICT_CODE = "990101000000"
TOWNSHIPS_ACROSS, TOWNSHIPS_DOWN = 3, 3
VILLAGES_ACROSS, VILLAGES_DOWN = 5, 3  # In one township: 9 x 15 = 135 villages.
_WEST_E6, _SOUTH_E6 = 119_400_000, 29_900_000
_CELL_E6 = 22_000  # About 2.1 km from east to west and 2.4 km from south to north.
_EDGE_HALVINGS = 4  # A border of 16 pieces looks drawn by hand and stays small on the wire.

# Two syllables make a name; the pairs read like villages and name none on purpose.
_FIRST = (
    ("青", "Qing"), ("云", "Yun"), ("石", "Shi"), ("竹", "Zhu"), ("松", "Song"), ("柳", "Liu"),
    ("桂", "Gui"), ("溪", "Xi"), ("岭", "Ling"), ("泉", "Quan"), ("梅", "Mei"), ("枫", "Feng"),
    ("白", "Bai"), ("长", "Chang"), ("上", "Shang"),
)  # fmt: skip
_SECOND = (
    ("坪", "ping"), ("湾", "wan"), ("岩", "yan"), ("塘", "tang"), ("坞", "wu"), ("桥", "qiao"),
    ("岗", "gang"), ("源", "yuan"), ("林", "lin"),
)  # fmt: skip
_TOWNSHIPS = (
    ("望山", "Wangshan"), ("临川", "Linchuan"), ("东渡", "Dongdu"),
    ("石门", "Shimen"), ("中和", "Zhonghe"), ("龙潭", "Longtan"),
    ("南屏", "Nanping"), ("双溪", "Shuangxi"), ("大畈", "Dafan"),
)  # fmt: skip


@dataclass(frozen=True)
class Area:
    """One row of the area tree: a 12-digit administrative code, names, level, a middle point."""

    code: str
    name_zh: str
    name_en: str
    level: str  # district | township | village
    parent_code: str | None
    lat_e6: int
    lon_e6: int


@dataclass(frozen=True)
class Village:
    """An area of level village with its closed ring of (lon_e6, lat_e6) points."""

    area: Area
    ring: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class District:
    """The whole tree: the district, its townships, and villages with borders."""

    district: Area
    townships: tuple[Area, ...]
    villages: tuple[Village, ...]

    def areas(self) -> list[Area]:
        """Every area, parents before children."""
        return [self.district, *self.townships, *(village.area for village in self.villages)]


def make_district(seed: int = 1436) -> District:
    """Return the district of that seed; neighbours share their borders point by point."""
    grid = _Grid(random.Random(seed))  # noqa: S311 - a map, not a secret
    columns, rows = TOWNSHIPS_ACROSS * VILLAGES_ACROSS, TOWNSHIPS_DOWN * VILLAGES_DOWN
    names = [(a + b, (c + d)) for a, c in _FIRST for b, d in _SECOND]
    grid.random.shuffle(names)
    townships = tuple(_township(number) for number in range(len(_TOWNSHIPS)))
    villages = []
    for row in range(rows):
        for column in range(columns):
            number = row * columns + column
            township = (row // VILLAGES_DOWN) * TOWNSHIPS_ACROSS + column // VILLAGES_ACROSS
            inside = (row % VILLAGES_DOWN) * VILLAGES_ACROSS + column % VILLAGES_ACROSS
            ring = grid.ring(column, row)
            lon_e6, lat_e6 = _middle(ring)
            zh, en = names[number]
            code = f"{townships[township].code[:9]}{201 + inside}"
            area = Area(
                code,
                f"{zh}村",
                f"{en} Village",
                "village",
                townships[township].code,
                lat_e6,
                lon_e6,
            )
            villages.append(Village(area, ring))
    middle_lon = _WEST_E6 + columns * _CELL_E6 // 2
    middle_lat = _SOUTH_E6 + rows * _CELL_E6 // 2
    district = Area(
        DISTRICT_CODE, "云岭区", "Yunling District", "district", None, middle_lat, middle_lon
    )
    return District(district, townships, tuple(villages))


def villages_geojson(district: District) -> dict[str, object]:
    """Return a GeoJSON FeatureCollection (RFC 7946) of the village borders, degrees WGS-84."""
    features = [
        {
            "type": "Feature",
            "id": int(village.area.code[6:]),
            "properties": {
                "code": village.area.code,
                "name_zh": village.area.name_zh,
                "name_en": village.area.name_en,
                "township_code": village.area.parent_code,
                "lon": village.area.lon_e6 / 1e6,
                "lat": village.area.lat_e6 / 1e6,
            },
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[lon / 1e6, lat / 1e6] for lon, lat in village.ring]],
            },
        }
        for village in district.villages
    ]
    return {"type": "FeatureCollection", "features": features}


def _township(number: int) -> Area:
    zh, en = _TOWNSHIPS[number]
    column, row = number % TOWNSHIPS_ACROSS, number // TOWNSHIPS_ACROSS
    lon_e6 = _WEST_E6 + (2 * column + 1) * VILLAGES_ACROSS * _CELL_E6 // 2
    lat_e6 = _SOUTH_E6 + (2 * row + 1) * VILLAGES_DOWN * _CELL_E6 // 2
    code = f"{DISTRICT_CODE[:6]}{number + 101:03d}000"
    return Area(code, f"{zh}镇", f"{en} Township", "township", DISTRICT_CODE, lat_e6, lon_e6)


def _middle(ring: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    points = ring[:-1]
    return sum(p[0] for p in points) // len(points), sum(p[1] for p in points) // len(points)


class _Grid:
    """Shaken corners and wrinkled edges, each made once so that neighbours meet exactly."""

    def __init__(self, generator: random.Random) -> None:
        self.random = generator
        self._corners: dict[tuple[int, int], tuple[int, int]] = {}
        self._edges: dict[tuple[tuple[int, int], tuple[int, int]], list[tuple[int, int]]] = {}

    def ring(self, column: int, row: int) -> tuple[tuple[int, int], ...]:
        """The closed border of one cell, counter-clockwise as RFC 7946 asks."""
        corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)]
        points: list[tuple[int, int]] = []
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
            points += self._edge(start, end)[:-1]
        return (*points, points[0])

    def _corner(self, at: tuple[int, int]) -> tuple[int, int]:
        if at not in self._corners:
            shake = _CELL_E6 // 4
            self._corners[at] = (
                _WEST_E6 + at[0] * _CELL_E6 + self.random.randint(-shake, shake),
                _SOUTH_E6 + at[1] * _CELL_E6 + self.random.randint(-shake, shake),
            )
        return self._corners[at]

    def _edge(self, start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
        if (end, start) in self._edges:
            return self._edges[(end, start)][::-1]
        if (start, end) not in self._edges:
            points = [self._corner(start), self._corner(end)]
            for halving in range(_EDGE_HALVINGS):
                points = self._wrinkle(points, _CELL_E6 // (12 * 2**halving))
            self._edges[(start, end)] = points
        return self._edges[(start, end)]

    def _wrinkle(self, points: list[tuple[int, int]], shake: int) -> list[tuple[int, int]]:
        finer = [points[0]]
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            middle = (
                (x0 + x1) // 2 + self.random.randint(-shake, shake),
                (y0 + y1) // 2 + self.random.randint(-shake, shake),
            )
            finer += [middle, (x1, y1)]
        return finer
