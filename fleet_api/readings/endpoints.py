"""Sensor readings of a period."""

from typing import Annotated

from fastapi import APIRouter, Query

from fleet_api.bootstrap import HISTORY_WAIT_S
from fleet_api.call import CallDep, PartsDep
from fleet_api.devices.service import require_device
from fleet_api.errors import InvalidError
from fleet_api.kit.period import PeriodDep
from fleet_api.kit.responses import errors
from fleet_api.kit.schemas import Page
from fleet_api.kit.texts import DeviceId
from fleet_api.readings.schemas import ReadingOut
from fleet_api.readings.service import reading_out
from wire_protocol import sensors

router = APIRouter(tags=["readings"])


@router.get("/devices/{device_id}/readings", responses=errors(401, 404, 503))
def get_readings(
    device_id: DeviceId,
    wanted: PeriodDep,
    call: CallDep,
    parts: PartsDep,
    sensor: Annotated[str | None, Query(max_length=20, examples=["smoke"])] = None,
) -> Page[ReadingOut]:
    """List what a device's sensors measured, oldest first."""
    if sensor is not None and sensor not in sensors.NAMES:
        raise InvalidError("sensor", f"{sensor!r} is not {' | '.join(sensors.NAMES)}.")
    with call.read() as unit:
        require_device(unit.session, unit.scope, device_id)
    # Outside of the transaction: a telemetry store that hangs must not keep the registry's locks.
    rows = parts.history.run(
        lambda: parts.telemetry.readings(device_id, sensor, wanted.from_ms, wanted.to_ms),
        HISTORY_WAIT_S,
    )
    return Page[ReadingOut](items=[reading_out(row) for row in rows])
