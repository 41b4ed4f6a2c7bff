"""SQL of refused messages; their payloads are not read."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session, load_only

from fleet_api.kit.paging import before_id
from fleet_api.kit.scope import Scope
from fleet_api.quarantine.schemas import RefusedQuery
from storage.registry.models import Device, Quarantine

# What one screen alerts of; the rest comes when some are acknowledged.
OPEN_MAX = 200
_OPEN = (Quarantine.kind == "sos") & Quarantine.acknowledged_ms.is_(None)


class RefusedRow(NamedTuple):
    """A refused message, with its device where that is registered."""

    refused: Quarantine
    device: Device | None


def rows(session: Session, scope: Scope, wanted: RefusedQuery, limit: int) -> list[RefusedRow]:
    """Return refused messages of devices inside `scope`, newest first."""
    query = _rows().where(scope.clause(Device.area_code), Quarantine.id < before_id(wanted.after))
    if wanted.device is not None:
        query = query.where(Quarantine.device == wanted.device)
    if wanted.kind is not None:
        query = query.where(Quarantine.kind == wanted.kind)
    return _tuples(session, query.order_by(Quarantine.id.desc()).limit(limit))


def row(session: Session, scope: Scope, row_id: int) -> RefusedRow | None:
    """Return one refused message inside `scope`."""
    query = _rows().where(scope.clause(Device.area_code), Quarantine.id == row_id)
    found = _tuples(session, query)
    return found[0] if found else None


def open_soses(session: Session, scope: Scope) -> list[RefusedRow]:
    """Return the refused SOSes that nobody has seen, by id."""
    query = _rows().where(_OPEN, scope.clause(Device.area_code))
    return _tuples(session, query.order_by(Quarantine.id).limit(OPEN_MAX))


def among(session: Session, row_ids: Collection[int]) -> list[RefusedRow]:
    """Return the refused messages with these ids, by id."""
    return _tuples(session, _rows().where(Quarantine.id.in_(row_ids)).order_by(Quarantine.id))


def acknowledge(session: Session, upto: Quarantine, by: str, now_ms: int) -> int:
    """Note who has seen the refused SOSes of a device up to a row; return how many they are."""
    result = session.execute(
        update(Quarantine)
        .where(_OPEN, Quarantine.device == upto.device, Quarantine.id <= upto.id)
        .values(acknowledged_by=by, acknowledged_ms=now_ms),
        execution_options={"synchronize_session": False},
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def _rows() -> Select[Quarantine, Device]:
    return (
        select(Quarantine, Device)
        .outerjoin(Device, Device.id == Quarantine.device)
        .options(
            load_only(
                Quarantine.device,
                Quarantine.topic,
                Quarantine.reason,
                Quarantine.received_ms,
                Quarantine.code,
                Quarantine.kind,
                Quarantine.acknowledged_by,
                Quarantine.acknowledged_ms,
            )
        )
        .execution_options(populate_existing=True)
    )


def _tuples(session: Session, query: Select[Quarantine, Device]) -> list[RefusedRow]:
    return [RefusedRow(*found) for found in session.execute(query)]
