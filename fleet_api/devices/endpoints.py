"""Devices and what was last heard of them."""

from typing import Annotated

from fastapi import APIRouter, Query

from fleet_api.call import CallDep, PartsDep
from fleet_api.devices import repository, service
from fleet_api.devices.schemas import DeviceOut, DevicePage, DeviceQuery
from fleet_api.kit.responses import errors
from fleet_api.kit.schemas import Json
from fleet_api.kit.texts import DeviceId

router = APIRouter(prefix="/devices", tags=["devices"])


@router.get("", response_model=DevicePage, responses=errors(401))
def list_devices(call: CallDep, parts: PartsDep, wanted: Annotated[DeviceQuery, Query()]) -> Json:
    """List the devices of your area."""
    with call.read() as unit:
        rows = repository.with_state(unit.session, unit.scope, wanted, wanted.limit + 1)
        items = [service.device_json(device, state) for device, state in rows[: wanted.limit]]
    known = parts.last_known.read([item["id"] for item in items])
    service.add_known(items, known)
    service.judge_silence(items, parts.now_ms(), parts.settings.stale_after_s)
    following = items[-1]["id"] if len(rows) > wanted.limit else None
    return {"items": items, "next": following, "telemetry": known.fresh}


@router.get("/{device_id}", responses=errors(401, 404))
def get_device(device_id: DeviceId, call: CallDep, parts: PartsDep) -> DeviceOut:
    """Show one device."""
    with call.read() as unit:
        device = service.require_device(unit.session, unit.scope, device_id)
        item = service.device_json(device, repository.state(unit.session, device.id))
    service.add_known([item], parts.last_known.read([device_id]))
    service.judge_silence([item], parts.now_ms(), parts.settings.stale_after_s)
    return DeviceOut.model_validate(item)
