"""The table of sensor kinds: code on the wire, name, unit, range."""

from wire_protocol.errors import WireError

SMOKE = 1
WATER_LEVEL = 2
DOOR = 3
MOTION = 4
TEMPERATURE = 5
HUMIDITY = 6
BATTERY = 7
SUPPLY = 8

# Index 0 is code 1. A code is never given a second meaning; new kinds go to the end.
TABLE = (
    ("smoke", "ppm", 0, 10000),
    ("water_level", "mm", -10000, 30000),
    ("door", "state", 0, 1),  # 1 = open
    ("motion", "state", 0, 1),  # 1 = somebody moves
    ("temperature", "mC", -60000, 150000),
    ("humidity", "permille", 0, 1000),
    ("battery", "mV", 0, 20000),
    ("supply", "state", 0, 1),  # 1 = mains power is there
)

NAMES = tuple([row[0] for row in TABLE])


def name(code: int) -> str:
    """Return the name of a sensor code; WireError if there is none."""
    if not 1 <= code <= len(TABLE):
        raise WireError(f"sensor code {code}, not 1..{len(TABLE)}")
    return NAMES[code - 1]


def code(text: str) -> int:
    """Return the code of a sensor name; WireError if there is none."""
    if text not in NAMES:
        raise WireError(f"sensor {text[:20]!r} is not in the table of sensors")
    return NAMES.index(text) + 1


def unit(text: str) -> str:
    """Return the unit of a sensor name: ppm, mm, state, mC, permille or mV."""
    return TABLE[code(text) - 1][1]


def check_value(code: int, value: int) -> None:
    """Raise WireError unless this sensor can read this value."""
    kind = name(code)
    _, _, low, high = TABLE[code - 1]
    if not low <= value <= high:
        raise WireError(f"{kind} is {value}, not {low}..{high}")
