"""SQL of the live view: what is new since the last look, and the rows of a snapshot."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from fleet_api.kit.scope import Scope
from fleet_api.live.directory import Entry
from fleet_api.live.shown import StateStamp
from storage.registry.models import Area, Audit, Command, Device, DeviceState, Event

EVENTS_AT_ONCE_MAX = 2_000  # A storm; the rest comes with the next look.
SNAPSHOT_EVENTS_MAX = 50  # What a side list shows.
SNAPSHOT_COMMANDS_MAX = 200
COMMAND_AGE_MS = 3_600_000  # A command finished longer ago is history, not live.


def directory(session: Session) -> tuple[dict[str, Entry], dict[str, StateStamp]]:
    """Return every device's row, retired ones too, and which state it has."""
    rows = session.execute(
        select(
            Device.id,
            Device.kind,
            Device.name,
            Device.area_code,
            Device.wearer,
            Device.retired_ms,
            DeviceState.epoch,
            DeviceState.boot,
            DeviceState.connection,
            DeviceState.online,
            DeviceState.received_ms,
        ).outerjoin(DeviceState, DeviceState.device == Device.id)
    )
    entries: dict[str, Entry] = {}
    stamps: dict[str, StateStamp] = {}
    for row in rows:
        entries[row.id] = Entry(*row[:6])
        stamps[row.id] = tuple(row[6:])
    return entries, stamps


def last_event_id(session: Session) -> int:
    """Return the highest event id; 0 when there is none."""
    return session.scalar(select(func.max(Event.id))) or 0


def events_since(session: Session, last_id: int, holes: Collection[int]) -> list[Event]:
    """Return events above `last_id`, and those that filled one of `holes`, by id."""
    query = select(Event).where(or_(Event.id > last_id, Event.id.in_(holes)))
    return list(session.scalars(query.order_by(Event.id).limit(EVENTS_AT_ONCE_MAX)))


def states(session: Session, devices: Collection[str]) -> list[DeviceState]:
    """Return the last states of these devices."""
    return list(session.scalars(select(DeviceState).where(DeviceState.device.in_(devices))))


def all_areas(session: Session, scope: Scope) -> list[Area]:
    """Return the areas in `scope` and those it lies in."""
    return list(
        session.scalars(
            select(Area)
            .where(or_(scope.clause(Area.code), Area.code.in_(scope.above)))
            .order_by(Area.code)
        )
    )


def live_commands(session: Session, scope: Scope, now_ms: int) -> list[Command]:
    """Return commands that run, or ended lately, newest first."""
    return list(
        session.scalars(
            select(Command)
            .join(Device, Device.id == Command.device)
            .where(
                scope.clause(Device.area_code),
                or_(Command.finished_ms.is_(None), Command.created_ms > now_ms - COMMAND_AGE_MS),
            )
            .order_by(Command.created_ms.desc())
            .limit(SNAPSHOT_COMMANDS_MAX)
        )
    )


def open_views(session: Session, instance: str, since_ms: int) -> list[tuple[str, str]]:
    """Return (user, view id) of the live views of `instance` that began and never ended."""
    rows = session.execute(
        select(Audit.user_name, Audit.action, Audit.details)
        .where(Audit.action.in_(("live.start", "live.end")), Audit.at_ms >= since_ms)
        .order_by(Audit.id)
    )
    opened: dict[str, str] = {}
    for user, action, details in rows:
        view: dict[str, Any] = details
        if action == "live.end":
            opened.pop(view.get("view", ""), None)
        elif view.get("instance") == instance:
            opened[view["view"]] = user
    return [(user, view_id) for view_id, user in opened.items()]
