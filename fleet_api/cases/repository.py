"""SQL of cases."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, or_, select, update
from sqlalchemy.orm import Session, aliased

from fleet_api.cases.schemas import CaseQuery
from fleet_api.kit.paging import before_id
from fleet_api.kit.scope import Scope
from storage.registry.models import Case, Command, Device, Event

# Of one SOS three things are said at most, but an operator may repeat himself.
_SAID_MAX = 50

_First = aliased(Event)


class CaseRow(NamedTuple):
    """A case with its device, its last event, and the one that opened it.

    The first is None while a later press has overtaken it on the way.
    """

    case: Case
    device: Device
    last: Event | None
    first: Event | None


Rows = Select[Case, Device, Event, Event]


def cases(session: Session, scope: Scope, wanted: CaseQuery, limit: int) -> list[CaseRow]:
    """Return cases of devices inside `scope`, newest first."""
    query = _rows().where(scope.clause(Device.area_code), Case.id < before_id(wanted.after))
    if wanted.open is not None:
        query = query.where(Case.closed_ms.is_(None) == wanted.open)
    if wanted.device is not None:
        query = query.where(Case.device == wanted.device)
    if wanted.kind is not None:
        query = query.where(Case.kind == wanted.kind)
    return _tuples(session, query.order_by(Case.id.desc()).limit(limit))


def case(session: Session, scope: Scope, case_id: int) -> CaseRow | None:
    """Return one case inside `scope`."""
    rows = _tuples(session, _rows().where(Case.id == case_id, scope.clause(Device.area_code)))
    return rows[0] if rows else None


def among(session: Session, case_ids: Collection[int]) -> list[CaseRow]:
    """Return the cases with these ids, by id."""
    return _tuples(session, _rows().where(Case.id.in_(case_ids)).order_by(Case.id))


def open_or_among(session: Session, case_ids: Collection[int]) -> list[CaseRow]:
    """Return every open case, and those with these ids, in whatever state they are."""
    return _tuples(
        session,
        _rows().where(or_(Case.closed_ms.is_(None), Case.id.in_(case_ids))).order_by(Case.id),
    )


def move(
    session: Session, before: Case, values: dict[str, Any], *, acknowledged: bool = False
) -> bool:
    """Change a case if it still is where it was `before`; False when somebody was faster.

    `acknowledged`: And only if nobody has pressed since it was taken.
    """
    conditions = [
        Case.id == before.id,
        Case.status == before.status,
        Case.acknowledged_presses == before.acknowledged_presses,
    ]
    if acknowledged:
        conditions.append(Case.presses <= Case.acknowledged_presses)
    changing = update(Case).where(*conditions).values(**values)
    # The database alone knows whether it did: what is remembered here is read anew by `_rows`.
    result = session.execute(changing, execution_options={"synchronize_session": False})
    return bool(result.rowcount)  # type: ignore[attr-defined]


def help_was_said(session: Session, device: str, epoch: int, incident: int) -> bool:
    """Tell whether the wearer of this SOS was told, or will be, that help is coming."""
    bodies = session.scalars(
        select(Command.body)
        .where(
            Command.device == device,
            Command.topic == "sos_status",
            Command.status.not_in(("superseded", "expired", "failed")),
        )
        .order_by(Command.created_ms.desc())
        .limit(_SAID_MAX)
    )
    return any(
        (body["epoch"], body["incident"], body["status"]) == (epoch, incident, "help")
        for body in bodies
    )


def _rows() -> Rows:
    return (
        select(Case, Device, Event, _First)
        .join(Device, Device.id == Case.device)
        .outerjoin(Event, Event.id == Case.last_event_id)
        .outerjoin(
            _First,
            and_(
                _First.device == Case.device,
                _First.epoch == Case.epoch,
                _First.seq == Case.incident,
            ),
        )
        # What an UPDATE of this transaction changed must be seen, not a remembered object.
        .execution_options(populate_existing=True)
    )


def _tuples(session: Session, query: Rows) -> list[CaseRow]:
    return [CaseRow(*row) for row in session.execute(query)]
