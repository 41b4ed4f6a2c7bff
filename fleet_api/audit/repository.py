"""SQL of the audit log."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fleet_api.audit.schemas import AuditQuery
from fleet_api.kit.paging import before_id
from fleet_api.kit.scope import Scope
from storage.registry.models import Audit, Device, User


def rows(session: Session, scope: Scope, wanted: AuditQuery, limit: int) -> list[Audit]:
    """Return audit rows, newest first.

    A scoped administrator sees what was done to devices of the area, and what its own accounts
    did without a device; sign-ins of unknown names are for the administrator of everything.
    """
    query = select(Audit).where(Audit.id < before_id(wanted.after))
    if not scope.everything:
        here = select(Device.id).where(scope.clause(Device.area_code))
        ours = select(User.name).where(scope.clause(User.area_code))
        query = query.where(
            or_(Audit.device.in_(here), Audit.device.is_(None) & Audit.user_name.in_(ours))
        )
    if wanted.user is not None:
        query = query.where(Audit.user_name == wanted.user)
    if wanted.action is not None:
        query = query.where(Audit.action == wanted.action)
    if wanted.device is not None:
        query = query.where(Audit.device == wanted.device)
    if wanted.from_ms is not None:
        query = query.where(Audit.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        query = query.where(Audit.at_ms <= wanted.to_ms)
    return list(session.scalars(query.order_by(Audit.id.desc()).limit(limit)))
