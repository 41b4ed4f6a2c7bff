"""One row of the ledger: written here, carried by the gateway, answered by the device."""

from typing import Any

from fleet_api.commands.schemas import CommandOut
from fleet_api.kit.unit import Unit
from storage.registry import outbox
from storage.registry.models import Command
from wire_protocol import configure


def send(  # noqa: PLR0913  # the columns of the row
    unit: Unit,
    *,
    device: str,
    topic: str,
    kind: str,
    body: dict[str, Any],
    ttl_s: int,
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Queue a command in this transaction and announce it; a known key returns the row it made."""
    command = outbox.enqueue(
        unit.session,
        device=device,
        topic=topic,
        kind=kind,
        body=body,
        ttl_s=ttl_s,
        created_by=unit.caller.name,
        idempotency_key=idempotency_key,
        now_ms=unit.now_ms,
    )
    shown = {name: command[name] for name in CommandOut.model_fields}
    shown["body"] = configure.shown(shown["body"])
    unit.announce({"kind": "command", "command": shown})
    return shown


def command_json(command: Command) -> dict[str, Any]:
    """Return a row as JSON shows it (see CommandOut)."""
    shown = {name: getattr(command, name) for name in CommandOut.model_fields}
    shown["body"] = configure.shown(shown["body"])
    return shown
