"""How events open and change cases. Everything after "reported" is the fleet API's.

One open case for one device and kind is held by the database (`case_one_open`), not by a look
before an insert: two gateways may store presses of one SOS at the same moment.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.errors import StorageError
from storage.registry.insert import insert_or_ignore
from storage.registry.models import Case, Event

# Between a refused insert and the look for the open case somebody may close it; twice in a row
# is as good as impossible.
_TRIES_MAX = 3


def apply_event(session: Session, event: Event) -> tuple[Case | None, bool]:
    """Open or change the case that an event concerns; return (case, opened)."""
    body = event.body
    if event.kind == "sos":
        return _open_or_join(session, event, "sos", int(body["incident"]))
    if event.kind == "alarm" and body["raised"]:
        return _open_or_join(session, event, f"alarm:{body['sensor']}", event.seq)
    if event.kind == "alarm":
        case = _open_case(session, event.device, f"alarm:{body['sensor']}")
        if case is not None:
            case.cleared_ms, case.last_event_id = event.at_ms, event.id
        return case, False
    if event.kind == "sos_cancel":
        # A cancel is a record, never an erasure: the case stays open until somebody called back.
        case = _open_case(session, event.device, "sos")
        if case is not None:
            case.cancelled_ms, case.last_event_id = event.at_ms, event.id
        return case, False
    return None, False


def of_event(session: Session, event: Event) -> Case | None:
    """Return the case that an event belongs to."""
    return None if event.case_id is None else session.get(Case, event.case_id)


def _open_or_join(
    session: Session, event: Event, kind: str, incident: int
) -> tuple[Case | None, bool]:
    for _ in range(_TRIES_MAX):
        case_id = insert_or_ignore(session, Case, _new_case(session, event, kind, incident))
        if case_id is not None:
            return session.get_one(Case, case_id), True
        case = _open_case(session, event.device, kind)
        if case is not None:
            _join(case, event, incident)
            return case, False
    raise StorageError(f"{event.device}: no case of kind {kind} could be opened or found")


def _join(case: Case, event: Event, incident: int) -> None:
    # Whoever took the case has not seen this one: it stays theirs, and alerts again.
    case.presses += 1
    case.last_event_id = event.id
    if case.kind != "sos":
        case.cleared_ms = None
    elif (event.epoch, incident) == (
        case.epoch,
        case.incident,
    ) and event.at_ms < case.opened_at_ms:
        # The first press was overtaken by a later one; it says when it happened.
        case.opened_at_ms, case.opened_received_ms = event.at_ms, event.received_ms
        case.late = event.late


def _open_case(session: Session, device: str, kind: str) -> Case | None:
    return session.scalars(
        select(Case)
        .where(Case.device == device, Case.kind == kind, Case.closed_ms.is_(None))
        .with_for_update()
    ).first()


def _new_case(session: Session, event: Event, kind: str, incident: int) -> dict[str, Any]:
    return {
        "device": event.device,
        "kind": kind,
        "epoch": event.epoch,
        "incident": incident,
        "status": "reported",
        "opened_at_ms": event.at_ms,
        "opened_received_ms": event.received_ms,
        "late": event.late,
        "presses": 1,
        "acknowledged_presses": 0,
        "last_event_id": event.id,
        "cancelled_ms": _cancelled_ms(session, event, incident) if kind == "sos" else None,
    }


def _cancelled_ms(session: Session, event: Event, incident: int) -> int | None:
    """A cancel may overtake its SOS on the way; it must not be forgotten for that."""
    cancels = session.scalars(
        select(Event).where(
            Event.device == event.device,
            Event.epoch == event.epoch,
            Event.kind == "sos_cancel",
            Event.seq > event.seq,
        )
    )
    times = [row.at_ms for row in cancels if row.body.get("incident") == incident]
    return max(times, default=None)
