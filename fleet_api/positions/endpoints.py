"""Last positions as GeoJSON."""

from fastapi import APIRouter

from fleet_api.call import CallDep, PartsDep
from fleet_api.devices import repository
from fleet_api.devices import service as devices
from fleet_api.devices.schemas import DeviceQuery
from fleet_api.kit.responses import errors
from fleet_api.kit.schemas import FLEET_LIMIT_MAX, Json
from fleet_api.positions import service
from fleet_api.positions.schemas import PositionsOut

router = APIRouter(prefix="/positions", tags=["positions"])


@router.get("", response_model=PositionsOut, responses=errors(401))
def last_positions(call: CallDep, parts: PartsDep) -> Json:
    """Show where the devices of your area were last."""
    with call.read() as unit:
        rows = repository.with_state(unit.session, unit.scope, DeviceQuery(), FLEET_LIMIT_MAX)
        items = [devices.device_json(device, state) for device, state in rows]
    known = parts.last_known.read([item["id"] for item in items])
    devices.add_known(items, known)
    return {
        "at_ms": parts.now_ms(),
        "telemetry": known.fresh,
        "features": [service.feature(item) for item in items if item["position"] is not None],
    }
