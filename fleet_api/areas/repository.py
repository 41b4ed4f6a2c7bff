"""SQL of areas."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fleet_api.kit.scope import Scope
from storage.registry.models import Area


def areas(session: Session, scope: Scope, after: str, limit: int) -> list[Area]:
    """Return the areas inside `scope` and those it lies in, by code."""
    return list(
        session.scalars(
            select(Area)
            .where(or_(scope.clause(Area.code), Area.code.in_(scope.above)), Area.code > after)
            .order_by(Area.code)
            .limit(limit)
        )
    )


def exists(session: Session, code: str) -> bool:
    """Tell whether there is an area with this code."""
    return session.get(Area, code) is not None
