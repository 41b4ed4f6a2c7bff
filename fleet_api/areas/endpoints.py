"""The area tree."""

from typing import Annotated

from fastapi import APIRouter, Query

from fleet_api.areas import service
from fleet_api.areas.schemas import AreaOut
from fleet_api.call import CallDep
from fleet_api.kit.paging import FleetQuery
from fleet_api.kit.responses import errors
from fleet_api.kit.schemas import Page

router = APIRouter(prefix="/areas", tags=["areas"])


@router.get("", responses=errors(401))
def list_areas(call: CallDep, wanted: Annotated[FleetQuery, Query()]) -> Page[AreaOut]:
    """List your area, what lies in it, and the areas above it."""
    with call.read() as unit:
        return service.areas(unit.session, unit.scope, wanted.after or "", wanted.limit)
