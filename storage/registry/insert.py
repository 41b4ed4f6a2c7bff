"""What both databases can do, each in its own words: insert or ignore, one device at a time."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from storage.registry.models import Row

# Two numbers, so that it never meets the lock of migrations, which is one.
_LOCK = text("SELECT pg_advisory_xact_lock(1, hashtext(:device))")


def insert_or_ignore(session: Session, model: type[Row], values: dict[str, Any]) -> int | None:
    """Insert one row and return its id; None when any unique key has it already."""
    statement = _insert(session, model).values(**values).on_conflict_do_nothing()
    key: int | None = session.execute(statement.returning(model.__table__.c.id)).scalar()
    return key


def insert_or_ignore_many(session: Session, model: type[Row], rows: list[dict[str, Any]]) -> None:
    """Insert the rows that no unique key has yet."""
    session.execute(_insert(session, model).on_conflict_do_nothing(), rows)


def one_at_a_time(session: Session, device: str) -> None:
    """Let transactions that store what one device said follow each other.

    Every gateway gets every event. Without this, a cancel would not see the case of an SOS whose
    transaction is still open elsewhere. SQLite has one writer at a time anyway.
    """
    if is_postgresql(session):
        session.execute(_LOCK, {"device": device})


def is_postgresql(session: Session) -> bool:
    """Tell which of the two databases this is."""
    return session.get_bind().dialect.name == "postgresql"


def _insert(session: Session, model: type[Row]) -> Any:  # noqa: ANN401 - two dialects' classes
    return (postgresql.insert if is_postgresql(session) else sqlite.insert)(model)
