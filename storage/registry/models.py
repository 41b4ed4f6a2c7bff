"""The registry's tables: what must change together lives here together.

Times are Unix ms, coordinates WGS-84 in 1e-6 degree. `as_dict` of a row is exactly what live
deltas and REST show of it.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite counts up only a column declared INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")
_Json = dict[str, Any]


class Row(DeclarativeBase):
    """One row of the registry."""

    type_annotation_map = {int: BigInteger, _Json: JSON, list[Any]: JSON}  # noqa: RUF012

    def as_dict(self) -> dict[str, Any]:
        """Return every column by its name."""
        return {column.key: getattr(self, column.key) for column in self.__table__.columns}


class Area(Row):
    """One area of the tree by its 12-digit administrative code (GB/T 2260 and below)."""

    __tablename__ = "area"
    code: Mapped[str] = mapped_column(String(12), primary_key=True)
    name_zh: Mapped[str] = mapped_column(String(80))
    name_en: Mapped[str] = mapped_column(String(80))
    level: Mapped[str] = mapped_column(String(10))  # district | township | village
    parent_code: Mapped[str | None] = mapped_column(String(12), index=True)
    lat_e6: Mapped[int | None]
    lon_e6: Mapped[int | None]


class Device(Row):
    """A terminal or sensor node; its certificate's common name is the id."""

    __tablename__ = "device"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))  # terminal | sensor_node
    name: Mapped[str] = mapped_column(String(80))
    area_code: Mapped[str | None] = mapped_column(String(12), index=True)
    wearer: Mapped[str | None] = mapped_column(String(80))
    certificate_serial: Mapped[str | None] = mapped_column(String(64))
    created_ms: Mapped[int]
    retired_ms: Mapped[int | None]


class DeviceState(Row):
    """The last state of a device; (epoch, boot, connection) never go backwards."""

    __tablename__ = "device_state"
    device: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int]
    boot: Mapped[int]
    connection: Mapped[int]
    online: Mapped[bool]
    state: Mapped[_Json]
    received_ms: Mapped[int]


class Cursor(Row):
    """What is stored, refused or dropped of one stream of a device, the truth behind receipts.

    `upto` counts without a gap; `above` lists stored batches beyond a gap as [first, last].
    """

    __tablename__ = "cursor"
    device: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    stream: Mapped[str] = mapped_column(String(10), primary_key=True)
    upto: Mapped[int]
    above: Mapped[list[Any]]
    # The key is all that is ever looked up: one tree instead of two.
    __table_args__ = ({"sqlite_with_rowid": False},)


class Event(Row):
    """One event record of a device, stored once by (device, epoch, seq)."""

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(_Number, primary_key=True)
    device: Mapped[str] = mapped_column(String(32))
    epoch: Mapped[int]
    seq: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))
    at_ms: Mapped[int]
    clock: Mapped[str] = mapped_column(String(8))
    received_ms: Mapped[int]
    late: Mapped[bool]
    body: Mapped[_Json]
    case_id: Mapped[int | None] = mapped_column(ForeignKey("case.id"), index=True)
    __table_args__ = (
        Index("event_key", "device", "epoch", "seq", unique=True),
        Index("event_device_at", "device", "at_ms"),
        {"sqlite_autoincrement": True},
    )


class Result(Row):
    """One result record of a device: what became of a command."""

    __tablename__ = "result"
    id: Mapped[int] = mapped_column(_Number, primary_key=True)
    device: Mapped[str] = mapped_column(String(32))
    epoch: Mapped[int]
    seq: Mapped[int]
    command_id: Mapped[str] = mapped_column(String(16), index=True)
    status: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str]
    data: Mapped[_Json | None]
    at_ms: Mapped[int]
    received_ms: Mapped[int]
    __table_args__ = (
        Index("result_key", "device", "epoch", "seq", unique=True),
        {"sqlite_autoincrement": True},
    )


class Case(Row):
    """Something that somebody must act on; at most one open case for one device and kind.

    `opened_at_ms` is when it happened by the device's clock, `opened_received_ms` when we heard.
    """

    __tablename__ = "case"
    id: Mapped[int] = mapped_column(_Number, primary_key=True)
    device: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(30))  # sos | alarm:<sensor>
    epoch: Mapped[int]
    incident: Mapped[int]  # seq of the event that opened it; for an SOS its first press
    status: Mapped[str] = mapped_column(String(10))  # reported | taken | closed
    opened_at_ms: Mapped[int]
    opened_received_ms: Mapped[int]
    late: Mapped[bool]
    presses: Mapped[int]
    # So many of them somebody has seen and answers for; those after alert until taken again.
    acknowledged_presses: Mapped[int] = mapped_column(server_default=text("0"))
    last_event_id: Mapped[int]
    cancelled_ms: Mapped[int | None]
    cleared_ms: Mapped[int | None]  # an alarm's value came back to normal
    taken_by: Mapped[str | None] = mapped_column(String(40))
    taken_ms: Mapped[int | None]
    closed_by: Mapped[str | None] = mapped_column(String(40))
    closed_ms: Mapped[int | None]
    close_reason: Mapped[str | None]
    __table_args__ = (
        Index(
            "case_one_open",
            "device",
            "kind",
            unique=True,
            sqlite_where=text("closed_ms IS NULL"),
            postgresql_where=text("closed_ms IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class Command(Row):
    """One row of the ledger of what was asked of a device; never removed."""

    __tablename__ = "command"
    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    device: Mapped[str] = mapped_column(String(32))
    topic: Mapped[str] = mapped_column(String(12))  # command | mute | sos_status | watch
    kind: Mapped[str] = mapped_column(String(20))
    body: Mapped[_Json]
    ttl_s: Mapped[int]
    created_ms: Mapped[int]
    created_by: Mapped[str] = mapped_column(String(40))
    idempotency_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    status: Mapped[str] = mapped_column(String(12))
    sent_ms: Mapped[int | None]
    delivered_ms: Mapped[int | None]
    finished_ms: Mapped[int | None]
    reason: Mapped[str | None]
    data: Mapped[_Json | None]  # What the device said with its last result.
    attempts: Mapped[int]
    claimed_ms: Mapped[int | None]  # a gateway is sending it since then
    __table_args__ = (
        Index("command_status", "status", "device"),
        Index("command_device_created", "device", "created_ms"),
    )


class Quarantine(Row):
    """A message that was refused, kept for inspection; bounded."""

    __tablename__ = "quarantine"
    id: Mapped[int] = mapped_column(_Number, primary_key=True)
    received_ms: Mapped[int]
    device: Mapped[str] = mapped_column(String(32))
    topic: Mapped[str]
    reason: Mapped[str]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    code: Mapped[str | None] = mapped_column(String(20))  # Of the reason, for programs.
    kind: Mapped[str | None] = mapped_column(String(20))  # sos, where it can be read
    acknowledged_by: Mapped[str | None] = mapped_column(String(40))
    acknowledged_ms: Mapped[int | None]
    __table_args__ = (
        # Every API process asks each second for those that nobody has seen.
        Index(
            "quarantine_sos_open",
            "id",
            sqlite_where=text("kind = 'sos' AND acknowledged_ms IS NULL"),
            postgresql_where=text("kind = 'sos' AND acknowledged_ms IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class User(Row):
    """Somebody who may sign in; sees and does what role and area allow."""

    __tablename__ = "user"
    id: Mapped[int] = mapped_column(_Number, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    password_hash: Mapped[str]
    role: Mapped[str] = mapped_column(String(10))  # admin | operator | viewer
    area_code: Mapped[str | None] = mapped_column(String(12))  # null: everything
    created_ms: Mapped[int]
    disabled_ms: Mapped[int | None]
    __table_args__ = ({"sqlite_autoincrement": True},)


class UserSession(Row):
    """A signed-in browser; only the hash of its token is kept."""

    __tablename__ = "user_session"
    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    created_ms: Mapped[int]
    expires_ms: Mapped[int]


class Audit(Row):
    """Who looked at or did what, and when; never changed."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(_Number, primary_key=True)
    at_ms: Mapped[int]
    user_name: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(30))
    device: Mapped[str | None] = mapped_column(String(32))
    details: Mapped[_Json]
    __table_args__ = (
        Index("audit_action_at", "action", "at_ms"),
        {"sqlite_autoincrement": True},
    )
