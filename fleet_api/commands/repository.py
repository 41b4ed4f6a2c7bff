"""SQL of commands."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet_api.commands.schemas import CommandQuery
from fleet_api.kit.scope import Scope
from storage.registry.models import Command, Device


def commands(
    session: Session,
    scope: Scope,
    wanted: CommandQuery,
    after: tuple[int, str] | None,
    limit: int,
) -> list[Command]:
    """Return commands to devices inside `scope`, newest first; `after` is (created_ms, id)."""
    query = (
        select(Command)
        .join(Device, Device.id == Command.device)
        .where(scope.clause(Device.area_code))
    )
    if after is not None:
        created_ms, command_id = after
        query = query.where(
            (Command.created_ms < created_ms)
            | ((Command.created_ms == created_ms) & (Command.id < command_id))
        )
    if wanted.device is not None:
        query = query.where(Command.device == wanted.device)
    if wanted.status is not None:
        query = query.where(Command.status == wanted.status)
    if wanted.kind is not None:
        query = query.where(Command.kind == wanted.kind)
    return list(
        session.scalars(query.order_by(Command.created_ms.desc(), Command.id.desc()).limit(limit))
    )


def command(session: Session, scope: Scope, command_id: str) -> Command | None:
    """Return one command to a device inside `scope`."""
    return session.scalar(
        select(Command)
        .join(Device, Device.id == Command.device)
        .where(Command.id == command_id, scope.clause(Device.area_code))
    )


def among(session: Session, command_ids: Collection[str]) -> list[Command]:
    """Return the commands with these ids, oldest first."""
    return list(
        session.scalars(
            select(Command).where(Command.id.in_(command_ids)).order_by(Command.created_ms)
        )
    )


def by_key(session: Session, idempotency_key: str) -> Command | None:
    """Return the command that was made with this key."""
    return session.scalar(select(Command).where(Command.idempotency_key == idempotency_key))
