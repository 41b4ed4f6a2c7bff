"""Sending commands: who may get what, once for one key, with an audit row beside it."""

from dataclasses import dataclass
from typing import Any

from fleet_api.commands import ledger, repository
from fleet_api.devices.service import require_device, require_living
from fleet_api.errors import ConflictError, InvalidError, NotFoundError
from fleet_api.kit.unit import Unit
from storage.registry.models import Command


@dataclass(frozen=True)
class CommandPlan:
    """What is to be sent to whom."""

    topic: str
    kind: str
    device_kind: str  # Empty: of either kind.
    body: dict[str, Any]
    ttl_s: int
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Sent:
    """The ledger's row, and whether this request made it."""

    command: dict[str, Any]
    made: bool


def send(unit: Unit, device_id: str, plan: CommandPlan) -> Sent:
    """Queue a command for a device of the caller's area.

    Raises:
        NotFoundError: No such device here.
        ConflictError: Retired, of the wrong kind, or the key was used for something else.
    """
    # Locked: of two requests with one key at the same moment, the second finds the first.
    device = require_device(unit.session, unit.scope, device_id, locked=True)
    require_living(device)
    if plan.device_kind and device.kind != plan.device_kind:
        raise ConflictError(
            "wrong_device_kind",
            f"{device.id} is a {device.kind}; {plan.kind} is for a {plan.device_kind}.",
            device_kind=device.kind,
        )
    key = _own_key(unit, plan.idempotency_key)
    before = repository.by_key(unit.session, key) if key else None
    if before is not None:
        return Sent(_same(before, device_id, plan), made=False)
    command = ledger.send(
        unit,
        device=device.id,
        topic=plan.topic,
        kind=plan.kind,
        body=plan.body,
        ttl_s=plan.ttl_s,
        idempotency_key=key,
    )
    # What was asked is in the ledger's row, which is never removed.
    unit.audit(f"{plan.kind}.send", device.id, {"command": command["id"]})
    return Sent(command, made=True)


def require_command(unit: Unit, command_id: str) -> Command:
    """Return a command to a device of the caller's area.

    Raises:
        NotFoundError: There is none.
    """
    command = repository.command(unit.session, unit.scope, command_id)
    if command is None:
        raise NotFoundError(f"There is no command {command_id[:16]} in your area.")
    return command


def cursor(command: Command) -> str:
    """Return where the page after `command` begins."""
    return f"{command.created_ms}.{command.id}"


def parse_cursor(after: str | None) -> tuple[int, str] | None:
    """Return what `cursor` made.

    Raises:
        InvalidError: It is none of ours.
    """
    if after is None:
        return None
    created, _, command_id = after.partition(".")
    if not (created.isascii() and created.isdigit() and len(created) < 19 and command_id):
        raise InvalidError("after", f"{after[:40]!r} is not the `next` of a page.")
    return int(created), command_id


def _own_key(unit: Unit, key: str | None) -> str | None:
    # Keys are each caller's own: nobody else's command comes back for a guessed key.
    return None if key is None else f"{unit.caller.user_id}:{key}"


def _same(before: Command, device_id: str, plan: CommandPlan) -> dict[str, Any]:
    asked = (device_id, plan.topic, plan.kind, plan.body)
    if (before.device, before.topic, before.kind, before.body) != asked:
        raise ConflictError(
            "key_reused",
            f"idempotency_key: used before for command {before.id}, which is another.",
            command=before.id,
        )
    return ledger.command_json(before)
