"""The command outbox: the fleet API writes rows, a gateway carries them to the device.

A row is claimed before it is sent, so that two gateways seldom send it twice; the device runs a
command once in any case. A claim that led nowhere (the gateway was killed) is free again after
CLAIM_MS. "Sent" is said only after the broker has it; a broker may still lose it, so what a device
has to answer is sent again, ever more seldom, until it answers or its time is over.
"""

import secrets
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from storage.registry import ledger
from storage.registry.insert import insert_or_ignore_many
from storage.registry.models import Command, DeviceState

Json = dict[str, Any]

CLAIM_MS = 10_000
# A device answers within a second or two; the n-th sending waits n times this for an answer. A
# command of a week that is never answered is sent 200 times.
ANSWER_MS = 30_000
# Answered by a result record. A device shows in its state how far its SOS has come, and the
# gateway repeats from that; an old "watch" must not prolong a lease.
_ANSWERED = ("command", "mute")
# One statement's devices; SQLite takes 32,766 parameters. The rest waits for the next look.
_DEVICES_AT_ONCE_MAX = 10_000
# Only the newest of these means anything: two "watch" or two "taken" in a queue are one.
_NEWEST_COUNTS = frozenset({"watch", "sos_status", "locate", "duty"})


def enqueue(  # noqa: PLR0913 - the columns of the row
    session: Session,
    *,
    device: str,
    topic: str,
    kind: str,
    body: Json,
    ttl_s: int,
    created_by: str,
    now_ms: int,
    idempotency_key: str | None = None,
) -> Json:
    """Add a row and return it as shown; with a known idempotency key, return that row."""
    if idempotency_key is not None:
        known = _by_key(session, idempotency_key)
        if known is not None:
            return known.as_dict()
    if kind in _NEWEST_COUNTS:
        _supersede(session, device, kind, now_ms)
    values = {
        "id": secrets.token_hex(8),
        "device": device,
        "topic": topic,
        "kind": kind,
        "body": body,
        "ttl_s": ttl_s,
        "created_ms": now_ms,
        "created_by": created_by,
        "idempotency_key": idempotency_key,
        "status": "queued",
        "attempts": 0,
    }
    insert_or_ignore_many(session, Command, [values])
    row = session.get(Command, values["id"])
    if row is None and idempotency_key is not None:  # Another process was quicker with this key.
        row = _by_key(session, idempotency_key)
    assert row is not None
    return row.as_dict()


def devices_waiting(session: Session, now_ms: int) -> set[str]:
    """Return the devices that are there now and have rows to claim; a cheap look, no lock."""
    rows = session.scalars(
        select(Command.device)
        .join(DeviceState, DeviceState.device == Command.device)
        .where(_is_due(now_ms), DeviceState.online.is_(True))
        .distinct()
    )
    return set(rows)


def claim_commands(
    session: Session, online_devices: Collection[str], now_ms: int, limit: int
) -> list[Json]:
    """Claim due rows of devices that are there now, oldest first, as shown."""
    rows = session.scalars(
        select(Command)
        .where(
            _is_due(now_ms),
            Command.device.in_(sorted(online_devices)[:_DEVICES_AT_ONCE_MAX]),
        )
        .order_by(Command.created_ms, Command.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        row.claimed_ms = now_ms
        row.attempts += 1
    return [row.as_dict() for row in rows]


def mark_sent(session: Session, command_id: str, now_ms: int) -> Json | None:
    """The broker has it; None when the row has moved on meanwhile."""
    return _moved(session, command_id, "sent", now_ms)


def mark_delivered(session: Session, command_id: str, now_ms: int) -> Json | None:
    """The device shows it (a kind that is not answered by a result)."""
    return _moved(session, command_id, "delivered", now_ms)


def mark_failed(session: Session, command_id: str, now_ms: int, reason: str) -> Json | None:
    """It can never be sent, for a reason that the ledger names."""
    return _moved(session, command_id, "unsendable", now_ms, reason)


def expire_commands(session: Session, now_ms: int) -> list[Json]:
    """End every row whose time to live is over and that no device has accepted."""
    rows = session.scalars(
        select(Command)
        .where(
            Command.status.in_(("queued", "sent", "delivered")),
            Command.finished_ms.is_(None),
            Command.created_ms + Command.ttl_s * 1000 <= now_ms,
        )
        .with_for_update(skip_locked=True)
    )
    return [row.as_dict() for row in rows if ledger.move(row, "expired", now_ms)]


def _is_due(now_ms: int) -> ColumnElement[bool]:
    return and_(
        Command.created_ms + Command.ttl_s * 1000 > now_ms,
        or_(
            and_(
                Command.status == "queued",
                or_(Command.claimed_ms.is_(None), Command.claimed_ms <= now_ms - CLAIM_MS),
            ),
            and_(
                Command.status == "sent",
                Command.topic.in_(_ANSWERED),
                Command.claimed_ms + Command.attempts * ANSWER_MS <= now_ms,
            ),
        ),
    )


def _moved(
    session: Session, command_id: str, happened: str, now_ms: int, reason: str = ""
) -> Json | None:
    row = session.get(Command, command_id, with_for_update=True)
    if row is None or not ledger.move(row, happened, now_ms, reason):
        return None
    return row.as_dict()


def _by_key(session: Session, key: str) -> Command | None:
    return session.scalars(select(Command).where(Command.idempotency_key == key)).first()


def _supersede(session: Session, device: str, kind: str, now_ms: int) -> None:
    rows = session.scalars(
        select(Command)
        .where(
            Command.device == device,
            Command.kind == kind,
            Command.status.in_(("queued", "sent")),
            Command.finished_ms.is_(None),
        )
        .with_for_update()
    )
    for row in rows:
        ledger.move(row, "superseded", now_ms)
