"""SQL of accounts."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet_api.kit.scope import Scope
from storage.registry.models import User


def users(session: Session, scope: Scope) -> list[User]:
    """Return the accounts whose area lies inside `scope`, by name."""
    return list(
        session.scalars(select(User).where(scope.clause(User.area_code)).order_by(User.name))
    )


def user(session: Session, scope: Scope, user_id: int) -> User | None:
    """Return one account whose area lies inside `scope`."""
    return session.scalar(select(User).where(User.id == user_id, scope.clause(User.area_code)))


def by_name(session: Session, name: str) -> User | None:
    """Return an account, wherever its area."""
    return session.scalar(select(User).where(User.name == name))


def count(session: Session) -> int:
    """Return how many accounts there are."""
    return session.scalar(select(func.count()).select_from(User)) or 0


def other_full_admins(session: Session, user_id: int) -> int:
    """Return how many living administrators of everything there are beside `user_id`."""
    query = (
        select(func.count())
        .select_from(User)
        .where(
            User.id != user_id,
            User.role == "admin",
            User.area_code.is_(None),
            User.disabled_ms.is_(None),
        )
    )
    return session.scalar(query) or 0
