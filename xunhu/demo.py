"""The demo: a fictional district, its virtual terminals and sensor nodes, and a login of its own.

Everything that it makes is marked as made up: area codes start with 99, and the account is called
`demo`. Devices are real in every other way: real firmware, real certificates, real flash images.
"""

import json
import random
import secrets
from dataclasses import dataclass

from xunhu.district import District, Village, make_district, villages_geojson
from xunhu.home import Home

LOGIN_NAME = "demo"
_FAMILY_NAMES = "赵钱孙李周吴郑王冯陈沈韩杨朱秦许何吕张孔"
_GIVEN_NAMES = ("伟", "芳", "秀英", "娜", "敏", "静", "强", "磊", "军", "洋", "勇", "艳", "杰")
# The demo's people walk in neighbouring villages, so that one screen shows them all.
_VILLAGES_AROUND_THE_MIDDLE = 12


@dataclass(frozen=True)
class DemoDevice:
    """One virtual device of the demo: its row in the registry and where it lives."""

    device_id: str
    kind: str  # terminal | sensor_node
    name: str
    wearer: str | None
    village: Village
    sensor: str | None  # A sensor node's one sensor, a name of wire_protocol.sensors.


def demo_devices(district: District, terminals: int, sensor_nodes: int) -> list[DemoDevice]:
    """Return the demo's devices, the same ones for the same numbers.

    Args:
        district: Where they live.
        terminals: How many patrollers, 0..9999.
        sensor_nodes: How many sensor nodes, 0..9999.
    """
    names = random.Random(district.district.code)  # noqa: S311 - made-up people
    villages = _middle_villages(district, max(_VILLAGES_AROUND_THE_MIDDLE, terminals // 8))
    devices = []
    for number in range(1, terminals + 1):
        wearer = names.choice(_FAMILY_NAMES) + names.choice(_GIVEN_NAMES)
        village = villages[number % len(villages)]
        devices.append(
            DemoDevice(f"t-{number:04d}", "terminal", f"终端 {number:04d}", wearer, village, None)
        )
    sensors = (("smoke", "烟感"), ("water_level", "水位"), ("smoke", "烟感"), ("door", "门磁"))
    for number in range(1, sensor_nodes + 1):
        sensor, label = sensors[(number - 1) % len(sensors)]
        village = villages[(5 * number) % len(villages)]
        name = f"{village.area.name_zh}{label}"
        devices.append(DemoDevice(f"s-{number:04d}", "sensor_node", name, None, village, sensor))
    return devices


def write_village_map(home: Home, district: District) -> None:
    """Put the fictional borders where the operator's own file would be; never replace that one."""
    if home.village_map.exists():
        return
    home.village_map.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(villages_geojson(district), ensure_ascii=False, separators=(",", ":"))
    home.village_map.write_text(text, encoding="utf-8")


def demo_password(home: Home) -> str:
    """Return the demo login's password, made at the first demo start and kept mode 0600."""
    if not home.demo_password.exists():
        home.demo_password.touch(mode=0o600)
        home.demo_password.write_text(secrets.token_urlsafe(9), encoding="ascii")
    return home.demo_password.read_text(encoding="ascii")


def _middle_villages(district: District, count: int) -> list[Village]:
    middle = district.district

    def distance(village: Village) -> int:
        across = village.area.lon_e6 - middle.lon_e6
        return across**2 + (village.area.lat_e6 - middle.lat_e6) ** 2

    return sorted(district.villages, key=distance)[:count]


def make_demo(terminals: int, sensor_nodes: int) -> tuple[District, list[DemoDevice]]:
    """Return the district of the demo and its devices."""
    district = make_district()
    return district, demo_devices(district, terminals, sensor_nodes)
