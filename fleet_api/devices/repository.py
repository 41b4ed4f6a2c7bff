"""SQL of devices."""

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from fleet_api.devices.schemas import DeviceQuery
from fleet_api.kit.scope import Scope
from storage.registry.models import Device, DeviceState

Rows = Select[Device, DeviceState]


def device(
    session: Session, scope: Scope, device_id: str, *, locked: bool = False
) -> Device | None:
    """Return one device inside `scope`, retired or not; `locked` until the transaction ends."""
    query = select(Device).where(Device.id == device_id, scope.clause(Device.area_code))
    return session.scalar(query.with_for_update() if locked else query)


def with_state(
    session: Session, scope: Scope, wanted: DeviceQuery, limit: int
) -> list[tuple[Device, DeviceState | None]]:
    """Return devices inside `scope` with their last states, by id."""
    query = _narrow(select(Device, DeviceState), wanted)
    rows = session.execute(
        query.outerjoin(DeviceState, DeviceState.device == Device.id)
        .where(scope.clause(Device.area_code), Device.id > (wanted.after or ""))
        .order_by(Device.id)
        .limit(limit)
    )
    return [(device, state) for device, state in rows]


def state(session: Session, device_id: str) -> DeviceState | None:
    """Return the last state of a device."""
    return session.get(DeviceState, device_id)


def _narrow(query: Rows, wanted: DeviceQuery) -> Rows:
    query = query.where(Scope.of(wanted.area_code).clause(Device.area_code))
    if not wanted.include_retired:
        query = query.where(Device.retired_ms.is_(None))
    if wanted.kind is not None:
        query = query.where(Device.kind == wanted.kind)
    if wanted.q:
        columns = (Device.id, Device.name, Device.wearer)
        query = query.where(or_(*(c.icontains(wanted.q, autoescape=True) for c in columns)))
    return query
