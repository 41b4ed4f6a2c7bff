"""SQL of events."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet_api.events.schemas import EventQuery
from fleet_api.kit.paging import before_id
from fleet_api.kit.scope import Scope
from storage.registry.models import Device, Event


def events(session: Session, scope: Scope, wanted: EventQuery, limit: int) -> list[Event]:
    """Return events of devices inside `scope`, newest first."""
    query = (
        select(Event)
        .join(Device, Device.id == Event.device)
        .where(scope.clause(Device.area_code), Event.id < before_id(wanted.after))
    )
    if wanted.device is not None:
        query = query.where(Event.device == wanted.device)
    if wanted.kind is not None:
        query = query.where(Event.kind == wanted.kind)
    if wanted.case_id is not None:
        query = query.where(Event.case_id == wanted.case_id)
    if wanted.from_ms is not None:
        query = query.where(Event.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        query = query.where(Event.at_ms <= wanted.to_ms)
    return list(session.scalars(query.order_by(Event.id.desc()).limit(limit)))
