"""The command outbox: the fleet API writes rows, a gateway carries them to the device.

A row is claimed before it is sent, so that two gateways seldom send it twice; the device runs a
command once in any case. A claim that led nowhere (the gateway was killed) is free again after
CLAIM_MS. "Sent" is said only after the broker has it.
"""

import secrets
from collections.abc import Collection
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from storage.registry import ledger
from storage.registry.insert import insert_or_ignore_many
from storage.registry.models import Command

Json = dict[str, Any]

CLAIM_MS = 10_000
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


def claim_commands(
    session: Session, online_devices: Collection[str], now_ms: int, limit: int
) -> list[Json]:
    """Claim queued rows of devices that are there now, oldest first, as shown."""
    rows = session.scalars(
        select(Command)
        .where(
            Command.status == "queued",
            or_(Command.claimed_ms.is_(None), Command.claimed_ms <= now_ms - CLAIM_MS),
        )
        .order_by(Command.created_ms, Command.id)
        .with_for_update(skip_locked=True)
    )
    claimed = []
    for row in rows:
        if row.device not in online_devices or row.created_ms + row.ttl_s * 1000 <= now_ms:
            continue
        row.claimed_ms = now_ms
        row.attempts += 1
        claimed.append(row.as_dict())
        if len(claimed) == limit:
            break
    return claimed


def mark_sent(session: Session, command_id: str, now_ms: int) -> Json | None:
    """The broker has it; None when the row has moved on meanwhile."""
    return _moved(session, command_id, "sent", now_ms)


def mark_delivered(session: Session, command_id: str, now_ms: int) -> Json | None:
    """The device shows it (a kind that is not answered by a result)."""
    return _moved(session, command_id, "delivered", now_ms)


def mark_failed(session: Session, command_id: str, now_ms: int, reason: str) -> Json | None:
    """It can never be sent, for a reason that the ledger names."""
    row = session.get(Command, command_id, with_for_update=True)
    if row is None or not ledger.move(row, "failed", now_ms, reason):
        return None
    return row.as_dict()


def expire_commands(session: Session, now_ms: int) -> list[Json]:
    """End every row whose time to live is over and that no device has accepted."""
    rows = session.scalars(
        select(Command)
        .where(
            Command.status.in_(("queued", "sent", "delivered")),
            Command.created_ms + Command.ttl_s * 1000 <= now_ms,
        )
        .with_for_update(skip_locked=True)
    )
    return [row.as_dict() for row in rows if ledger.move(row, "expired", now_ms)]


def _moved(session: Session, command_id: str, happened: str, now_ms: int) -> Json | None:
    row = session.get(Command, command_id, with_for_update=True)
    if row is None or not ledger.move(row, happened, now_ms):
        return None
    return row.as_dict()


def _by_key(session: Session, key: str) -> Command | None:
    return session.scalars(select(Command).where(Command.idempotency_key == key)).first()


def _supersede(session: Session, device: str, kind: str, now_ms: int) -> None:
    rows = session.scalars(
        select(Command)
        .where(Command.device == device, Command.kind == kind, Command.status == "queued")
        .with_for_update()
    )
    for row in rows:
        ledger.move(row, "superseded", now_ms)
