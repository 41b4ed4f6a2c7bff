"""A small district: two townships, villages, devices, users; and what a gateway would store."""

import hashlib
import secrets
import time
from dataclasses import dataclass, field

from argon2 import PasswordHasher

from storage.registry import ingest
from storage.registry.models import Area, Device, User, UserSession
from storage.registry.session import Registry

DISTRICT = "530199000000"
EAST, WEST = "530199001000", "530199002000"
SONGLING, HEBIAN = "530199001201", "530199001202"
SHIQIAO, MEILIN = "530199002201", "530199002202"
PASSWORD = "eight-owls-over-songling"
EPOCH = 0xDEADBEEF
# Cheap on purpose: what a hash costs is not what these tests are about.
_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_HASH = _HASHER.hash(PASSWORD)

_AREAS = (
    (DISTRICT, "青川区", "Qingchuan", "district", None),
    (EAST, "东乡", "East", "township", DISTRICT),
    (WEST, "西乡", "West", "township", DISTRICT),
    (SONGLING, "松岭村", "Songling", "village", EAST),
    (HEBIAN, "河边村", "Hebian", "village", EAST),
    (SHIQIAO, "石桥村", "Shiqiao", "village", WEST),
    (MEILIN, "梅林村", "Meilin", "village", WEST),
)
_DEVICES = (
    ("t-east-1", "terminal", SONGLING, "Li Wei"),
    ("t-east-2", "terminal", HEBIAN, "Zhang Min"),
    ("s-east-1", "sensor_node", SONGLING, None),
    ("t-west-1", "terminal", SHIQIAO, "Chen Jie"),
    ("s-west-1", "sensor_node", MEILIN, None),
    ("t-nowhere", "terminal", None, None),
)
# name: role, area
USERS = {
    "admin": ("admin", None),
    "operator": ("operator", None),
    "east.head": ("admin", EAST),
    "east": ("operator", EAST),
    "west": ("operator", WEST),
    "songling": ("viewer", SONGLING),
    "viewer": ("viewer", None),
}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class District:
    registry: Registry
    tokens: dict[str, str] = field(default_factory=dict)
    seq: dict[str, int] = field(default_factory=dict)

    @classmethod
    def build(cls, registry: Registry) -> "District":
        district = cls(registry)
        with registry.begin() as session:
            for code, name_zh, name_en, level, parent in _AREAS:
                session.add(
                    Area(
                        code=code,
                        name_zh=name_zh,
                        name_en=name_en,
                        level=level,
                        parent_code=parent,
                        lat_e6=25_040_000,
                        lon_e6=102_710_000,
                    )
                )
            for device_id, kind, area, wearer in _DEVICES:
                session.add(_device(device_id, kind, area, wearer))
            for name in USERS:
                district._add_user(session, name)
        return district

    def _add_user(self, session, name: str) -> None:
        role, area = USERS[name]
        user = User(name=name, password_hash=_HASH, role=role, area_code=area, created_ms=now_ms())
        session.add(user)
        session.flush()
        token = self.tokens[name] = secrets.token_urlsafe(32)
        session.add(
            UserSession(
                token_sha256=hashlib.sha256(token.encode()).hexdigest(),
                user_id=user.id,
                created_ms=now_ms(),
                expires_ms=now_ms() + 3_600_000,
            )
        )

    def add_device(self, device_id: str, kind: str = "terminal", area: str | None = None) -> None:
        with self.registry.begin() as session:
            session.add(_device(device_id, kind, area, None))

    def change_device(self, device_id: str, **values: object) -> None:
        with self.registry.begin() as session:
            device = session.get_one(Device, device_id)
            for name, value in values.items():
                setattr(device, name, value)

    # What a gateway stores.

    def event(
        self, device: str, kind: str, at_ms: int | None = None, **body
    ) -> ingest.StoredEvent:
        seq = self.seq[device] = self.seq.get(device, 0) + 1
        record = {
            "v": 1,
            "epoch": EPOCH,
            "seq": seq,
            "kind": kind,
            "at": now_ms() if at_ms is None else at_ms,
            "clock": "gnss",
            "uptime_s": 5,
            "boot": 1,
            **body,
        }
        with self.registry.begin() as session:
            return ingest.store_event(session, device, record, now_ms())

    def press(self, device: str = "t-east-1", press: int = 1, **body) -> ingest.StoredEvent:
        incident = self.seq.get(device, 0) + 1
        fields = {"trigger": "button", "incident": incident, "press": press, "fix": None, **body}
        return self.event(device, "sos", **fields)

    def alarm(self, device: str = "s-east-1", value: int = 500) -> ingest.StoredEvent:
        return self.event(device, "alarm", sensor="smoke", value=value, threshold=300, raised=True)

    def refuse(self, device: str = "t-east-1", kind: str | None = "sos", **more: str) -> None:
        fields = {"code": "bad_frame", "reason": "press is 1.5, not 1..4294967295", **more}
        topic, code = f"xh/1/{device}/up/event", fields["code"]
        with self.registry.begin() as session:
            ingest.quarantine(
                session, device, topic, fields["reason"], b"{}", now_ms(), code=code, kind=kind
            )

    def state(self, device: str, *, online: bool = True, **fields) -> None:
        state = {
            "v": 1,
            "online": online,
            "epoch": EPOCH,
            "boot": 1,
            "connection": fields.pop("connection", 1),
        }
        if online:
            state |= {"uptime_s": 5, "duty": True, "battery_percent": 80, **fields}
        with self.registry.begin() as session:
            ingest.store_state(session, device, state, now_ms())


def _device(device_id: str, kind: str, area: str | None, wearer: str | None) -> Device:
    return Device(
        id=device_id,
        kind=kind,
        name=f"Device {device_id}",
        area_code=area,
        wearer=wearer,
        certificate_serial="00",
        created_ms=now_ms(),
    )
