"""INSERT ... ON CONFLICT DO NOTHING on both databases: the base of everything idempotent here."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from storage.registry.models import Row


def insert_or_ignore(session: Session, model: type[Row], values: dict[str, Any]) -> int | None:
    """Insert one row and return its id; None when any unique key has it already."""
    statement = _insert(session, model).values(**values).on_conflict_do_nothing()
    key: int | None = session.execute(statement.returning(model.__table__.c.id)).scalar()
    return key


def insert_or_ignore_many(session: Session, model: type[Row], rows: list[dict[str, Any]]) -> None:
    """Insert the rows that no unique key has yet."""
    session.execute(_insert(session, model).on_conflict_do_nothing(), rows)


def _insert(session: Session, model: type[Row]) -> Any:  # noqa: ANN401 - two dialects' classes
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return (postgresql.insert if is_postgresql else sqlite.insert)(model)
