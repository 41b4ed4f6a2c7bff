"""Commands to devices, and the ledger of all that were ever sent."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from fleet_api.call import Call, CallDep
from fleet_api.commands import repository, service
from fleet_api.commands.ledger import command_json
from fleet_api.commands.schemas import (
    WATCH_TTL_S,
    CommandOut,
    CommandQuery,
    Configure,
    Duty,
    Locate,
    Message,
    Mute,
    Plain,
    ReadLog,
    Ring,
    Watch,
)
from fleet_api.commands.service import CommandPlan
from fleet_api.kit.paging import page
from fleet_api.kit.responses import errors
from fleet_api.kit.schemas import Json, Page
from fleet_api.kit.texts import DeviceId

router = APIRouter(tags=["commands"])

CommandId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
_SENDING: dict[str, Any] = {
    "status_code": 201,
    "response_model": CommandOut,
    "responses": {
        200: {"model": CommandOut, "description": "The idempotency key made this one before."},
        **errors(401, 403, 404, 409),
    },
}


@router.post("/devices/{device_id}/messages", **_SENDING)
def send_message(device_id: DeviceId, body: Message, call: CallDep, response: Response) -> Json:
    """Send a text to a terminal's screen."""
    text: dict[str, Any] = {"text": body.text}
    if body.answers:
        text["answers"] = True
    plan = CommandPlan("command", "message", "terminal", text, body.ttl_s, body.idempotency_key)
    return _send(call, response, device_id, plan)


@router.post("/devices/{device_id}/locate", **_SENDING)
def locate(
    device_id: DeviceId, call: CallDep, response: Response, body: Locate | None = None
) -> Json:
    """Ask a terminal where it is."""
    body = body or Locate()
    plan = CommandPlan("command", "locate", "terminal", {}, body.ttl_s, body.idempotency_key)
    return _send(call, response, device_id, plan)


@router.post("/devices/{device_id}/duty", **_SENDING)
def set_duty(device_id: DeviceId, body: Duty, call: CallDep, response: Response) -> Json:
    """Put a terminal on duty or off; its wearer sees it."""
    plan = CommandPlan(
        "command", "duty", "terminal", {"on": body.on}, body.ttl_s, body.idempotency_key
    )
    return _send(call, response, device_id, plan)


@router.post("/devices/{device_id}/ring", **_SENDING)
def ring(device_id: DeviceId, call: CallDep, response: Response, body: Ring | None = None) -> Json:
    """Have a terminal sound, shine and vibrate."""
    body = body or Ring()
    plan = CommandPlan(
        "command", "ring", "terminal", {"for_s": body.for_s}, body.ttl_s, body.idempotency_key
    )
    return _send(call, response, device_id, plan)


@router.post("/devices/{device_id}/settings", **_SENDING)
def configure(device_id: DeviceId, body: Configure, call: CallDep, response: Response) -> Json:
    """Change settings of a device; for administrators."""
    plan = CommandPlan(
        "command", "configure", "", {"settings": body.settings}, body.ttl_s, body.idempotency_key
    )
    return _send(call, response, device_id, plan, role="admin")


@router.post("/devices/{device_id}/reboot", **_SENDING)
def reboot(
    device_id: DeviceId, call: CallDep, response: Response, body: Plain | None = None
) -> Json:
    """Start a device again; refused by a terminal with an open SOS."""
    return _send_plain(call, response, device_id, "reboot", body)


@router.post("/devices/{device_id}/self-test", **_SENDING)
def self_test(
    device_id: DeviceId, call: CallDep, response: Response, body: Plain | None = None
) -> Json:
    """Have a device try its parts; the result's `data` says how each is."""
    return _send_plain(call, response, device_id, "self_test", body)


@router.post("/devices/{device_id}/log", **_SENDING)
def read_log(
    device_id: DeviceId, call: CallDep, response: Response, body: ReadLog | None = None
) -> Json:
    """Ask for the crashes and events that a device keeps; the result's `data` has them."""
    body = body or ReadLog()
    plan = CommandPlan(
        "command", "read_log", "", {"first": body.first}, body.ttl_s, body.idempotency_key
    )
    return _send(call, response, device_id, plan)


@router.post("/devices/{device_id}/watch", **_SENDING)
def watch(
    device_id: DeviceId, call: CallDep, response: Response, body: Watch | None = None
) -> Json:
    """Have a terminal send each fix at once, for `lease_s` seconds; renew while you look."""
    lease_s = (body or Watch()).lease_s
    plan = CommandPlan("watch", "watch", "terminal", {"lease_s": lease_s}, WATCH_TTL_S)
    return _send(call, response, device_id, plan)


@router.post("/devices/{device_id}/mute", **_SENDING)
def mute(device_id: DeviceId, body: Mute, call: CallDep, response: Response) -> Json:
    """Silence a sensor's alarm for a while."""
    muted = {"sensor": body.sensor, "for_s": body.for_s}
    plan = CommandPlan("mute", "mute", "sensor_node", muted, body.ttl_s, body.idempotency_key)
    return _send(call, response, device_id, plan)


@router.get("/commands", responses=errors(401))
def list_commands(call: CallDep, wanted: Annotated[CommandQuery, Query()]) -> Page[CommandOut]:
    """List the commands to devices of your area, newest first."""
    position = service.parse_cursor(wanted.after)
    with call.read() as unit:
        rows = repository.commands(unit.session, unit.scope, wanted, position, wanted.limit + 1)
        return page(
            rows,
            wanted.limit,
            lambda command: CommandOut.model_validate(command_json(command)),
            service.cursor,
        )


@router.get("/commands/{command_id}", response_model=CommandOut, responses=errors(401, 404))
def get_command(command_id: CommandId, call: CallDep) -> Json:
    """Show one command and how far it came."""
    with call.read() as unit:
        return command_json(service.require_command(unit, command_id))


def _send_plain(
    call: Call, response: Response, device_id: str, kind: str, body: Plain | None
) -> Json:
    body = body or Plain()
    plan = CommandPlan("command", kind, "", {}, body.ttl_s, body.idempotency_key)
    return _send(call, response, device_id, plan, role="admin")


def _send(
    call: Call, response: Response, device_id: str, plan: CommandPlan, role: str = "operator"
) -> Json:
    with call.write(role) as unit:
        sent = service.send(unit, device_id, plan)
    if not sent.made:
        response.status_code = 200
    return sent.command
