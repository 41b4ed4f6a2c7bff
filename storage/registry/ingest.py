"""What the gateway stores of events, results and states; each call is part of one transaction.

An event and the case that it opens stand or fall together, so an SOS with the API down is a case
all the same. Everything here is idempotent on (device, epoch, seq): devices resend until they
have a receipt.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from storage.registry import cases, ledger
from storage.registry.insert import insert_or_ignore, one_at_a_time
from storage.registry.models import Device, DeviceState, Event, Quarantine, Result

Json = dict[str, Any]

# A minute is more than any queue on the way holds back a message of a connected device.
LATE_AFTER_MS = 60_000
# Enough to see a pattern; a device gone mad must not fill the disk.
QUARANTINE_ROWS_MAX = 10_000
QUARANTINE_PAYLOAD_BYTES_MAX = 4096
_COMMON = ("v", "epoch", "seq", "kind", "at", "clock")


@dataclass(frozen=True)
class StoredEvent:
    """What became of an event record.

    Attributes:
        event: The stored row as shown; of a duplicate, the first one.
        duplicate: It was stored before.
        case: The case it opened or changed, as shown; None if it concerns none.
        case_opened: This very call opened the case.
    """

    event: Json
    duplicate: bool
    case: Json | None
    case_opened: bool


@dataclass(frozen=True)
class StoredResult:
    """What became of a result record: was it stored before, and which ledger row it moved."""

    duplicate: bool
    command: Json | None


def store_event(session: Session, device: str, record: Json, received_ms: int) -> StoredEvent:
    """Store one checked event record (`wire_protocol.records.check`) and what it opens.

    Late is said of a record whose device knew the time: with clock "none" nobody can tell.
    """
    one_at_a_time(session, device)
    dated = record["clock"] != "none"
    late = dated and received_ms - record["at"] > LATE_AFTER_MS
    event_id = insert_or_ignore(
        session,
        Event,
        {
            "device": device,
            "epoch": record["epoch"],
            "seq": record["seq"],
            "kind": record["kind"],
            "at_ms": record["at"],
            "clock": record["clock"],
            "received_ms": received_ms,
            "late": late,
            "body": {key: value for key, value in record.items() if key not in _COMMON},
            "case_id": None,
        },
    )
    if event_id is None:
        return _duplicate(session, device, record)
    event = session.get_one(Event, event_id)
    case, opened = cases.apply_event(session, event)
    if case is not None:
        event.case_id = case.id
        session.flush()
    return StoredEvent(event.as_dict(), False, None if case is None else case.as_dict(), opened)


def _duplicate(session: Session, device: str, record: Json) -> StoredEvent:
    event = session.scalars(
        select(Event).where(
            Event.device == device, Event.epoch == record["epoch"], Event.seq == record["seq"]
        )
    ).one()
    case = cases.of_event(session, event)
    return StoredEvent(event.as_dict(), True, None if case is None else case.as_dict(), False)


def store_result(session: Session, device: str, record: Json, received_ms: int) -> StoredResult:
    """Store one checked result record and move the ledger row of its command."""
    one_at_a_time(session, device)
    result_id = insert_or_ignore(
        session,
        Result,
        {
            "device": device,
            "epoch": record["epoch"],
            "seq": record["seq"],
            "command_id": record["command"],
            "status": record["status"],
            "reason": record["reason"],
            "data": record["data"],
            "at_ms": record["at"],
            "received_ms": received_ms,
        },
    )
    if result_id is None:
        return StoredResult(duplicate=True, command=None)
    command = ledger.apply_result(session, device, record["command"], record, received_ms)
    return StoredResult(False, None if command is None else command.as_dict())


def store_state(session: Session, device: str, state: Json, received_ms: int) -> Json | None:
    """Store a device's last state and return it merged; None when it says nothing new.

    A last will carries no more than "offline": what was known before stays known. Every gateway
    hears every state, and hears it again after each reconnect, since the broker keeps it: what is
    stored already must not look as if it had been said just now.
    """
    one_at_a_time(session, device)
    row = session.get(DeviceState, device, with_for_update=True)
    if row is None:
        row = DeviceState(device=device, state={}, epoch=0, boot=0, connection=0)
        session.add(row)
    elif _is_older(state, row) or _is_stored(state, row):
        return None
    row.epoch, row.boot, row.connection = state["epoch"], state["boot"], state["connection"]
    row.online = state["online"]
    row.state = {**row.state, **state}
    row.received_ms = received_ms
    return row.state


def _is_older(state: Json, row: DeviceState) -> bool:
    """Tell whether a state comes from before the stored one.

    An epoch is a random name, so a new one cannot be compared: it is newer because it arrived.
    Within a connection the will is the last word, and states are ordered by uptime; two of one
    second, which two gateways may store in either order, by the device's clock.
    """
    if state["epoch"] != row.epoch:
        return False
    place, known = (state["boot"], state["connection"]), (row.boot, row.connection)
    if place != known:
        return place < known
    if not state["online"]:
        return False
    if not row.online:
        return True
    return _moment(state) < _moment(row.state)


def _moment(state: Json) -> tuple[int, int]:
    return int(state.get("uptime_s", 0)), int(state.get("at", 0))


def _is_stored(state: Json, row: DeviceState) -> bool:
    """Tell whether a state is the stored one, word by word."""
    if (row.epoch, row.boot, row.connection) != (
        state["epoch"],
        state["boot"],
        state["connection"],
    ):
        return False
    return all(name in row.state and row.state[name] == said for name, said in state.items())


def quarantine(  # noqa: PLR0913 - the columns of the row
    session: Session,
    device: str,
    topic: str,
    reason: str,
    payload: bytes,
    received_ms: int,
    *,
    code: str | None = None,
    kind: str | None = None,
) -> None:
    """Keep a refused message for inspection; the oldest beyond QUARANTINE_ROWS_MAX go.

    A `kind` of "sos" alerts the command room.
    """
    row = Quarantine(
        received_ms=received_ms,
        device=_storable(device, 32),
        topic=_storable(topic, 200),
        reason=_storable(reason, 500),
        payload=payload[:QUARANTINE_PAYLOAD_BYTES_MAX],
        code=code,
        kind=kind,
    )
    session.add(row)
    session.flush()
    session.execute(delete(Quarantine).where(Quarantine.id <= row.id - QUARANTINE_ROWS_MAX))


def _storable(text: str, characters_max: int) -> str:
    """What was refused may hold anything; no database takes half a surrogate pair or a zero."""
    return text[:characters_max].encode("utf-8", "replace").decode().replace("\0", "?")


def certificates(session: Session) -> dict[str, str]:
    """Return id -> serial of the certificate of every device that has one and is not retired."""
    rows = session.execute(
        select(Device.id, Device.certificate_serial).where(
            Device.retired_ms.is_(None), Device.certificate_serial.is_not(None)
        )
    )
    return {row.id: row.certificate_serial for row in rows}


def known_devices(session: Session) -> dict[str, str]:
    """Return id -> kind of every device that is not retired."""
    rows = session.execute(select(Device.id, Device.kind).where(Device.retired_ms.is_(None)))
    return {row.id: row.kind for row in rows}
