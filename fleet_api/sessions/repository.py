"""SQL of sessions."""

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fleet_api.kit.unit import Caller
from storage.registry.models import Area, Audit, User, UserSession

SESSIONS_PER_USER_MAX = 20  # Browsers of one person; the oldest is signed out.


def user_by_name(session: Session, name: str) -> User | None:
    """Return the account called `name`, disabled or not."""
    return session.scalar(select(User).where(User.name == name))


def caller(session: Session, token_sha256: str, now_ms: int) -> Caller | None:
    """Return who holds this token, if the session lives and the account is not disabled."""
    row = session.execute(
        select(User.id, User.name, User.role, User.area_code, UserSession.expires_ms)
        .join(UserSession, UserSession.user_id == User.id)
        .where(
            UserSession.token_sha256 == token_sha256,
            UserSession.expires_ms > now_ms,
            User.disabled_ms.is_(None),
        )
    ).one_or_none()
    return None if row is None else Caller(*row, token_sha256=token_sha256)


def living_tokens(session: Session, tokens: list[str], now_ms: int) -> dict[str, Caller]:
    """Return the callers of those of `tokens` whose sessions live."""
    rows = session.execute(
        select(
            User.id,
            User.name,
            User.role,
            User.area_code,
            UserSession.expires_ms,
            UserSession.token_sha256,
        )
        .join(UserSession, UserSession.user_id == User.id)
        .where(
            UserSession.token_sha256.in_(tokens),
            UserSession.expires_ms > now_ms,
            User.disabled_ms.is_(None),
        )
    )
    return {row.token_sha256: Caller(*row) for row in rows}


def add(session: Session, user: User, token_sha256: str, now_ms: int, expires_ms: int) -> None:
    """Store a session; the user's expired and superfluous ones go."""
    session.execute(delete(UserSession).where(UserSession.expires_ms <= now_ms))
    newest = (
        select(UserSession.token_sha256)
        .where(UserSession.user_id == user.id)
        .order_by(UserSession.created_ms.desc())
        .limit(SESSIONS_PER_USER_MAX - 1)
    )
    kept = list(session.scalars(newest))
    session.execute(
        delete(UserSession).where(
            UserSession.user_id == user.id, UserSession.token_sha256.not_in(kept)
        )
    )
    session.add(
        UserSession(
            token_sha256=token_sha256, user_id=user.id, created_ms=now_ms, expires_ms=expires_ms
        )
    )


def remove(session: Session, token_sha256: str) -> None:
    """End one session."""
    session.execute(delete(UserSession).where(UserSession.token_sha256 == token_sha256))


def remove_all(session: Session, user_id: int, except_token: str | None = None) -> None:
    """End every session of a user but one."""
    query = delete(UserSession).where(UserSession.user_id == user_id)
    if except_token is not None:
        query = query.where(UserSession.token_sha256 != except_token)
    session.execute(query)


def refusals(session: Session, address: str, since_ms: int, limit: int) -> list[tuple[int, str]]:
    """Return (at_ms, name) of refused sign-ins from `address` since `since_ms`, newest first."""
    rows = session.execute(
        select(Audit.at_ms, Audit.user_name)
        .where(
            Audit.action == "session.refused",
            Audit.at_ms > since_ms,
            Audit.details["address"].as_string() == address,
        )
        .order_by(Audit.id.desc())
        .limit(limit)
    )
    return [(at_ms, name) for at_ms, name in rows]


def area_names(session: Session, code: str | None) -> tuple[str | None, str | None]:
    """Return the Chinese and English name of an area."""
    row = session.execute(
        select(Area.name_zh, Area.name_en).where(Area.code == code)
    ).one_or_none()
    return (None, None) if row is None else (row[0], row[1])


def count_users(session: Session) -> int:
    """Return how many accounts there are."""
    return session.scalar(select(func.count()).select_from(User)) or 0
