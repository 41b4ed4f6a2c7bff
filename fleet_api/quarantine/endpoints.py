"""What gateways refused, newest first; who has seen a refused SOS."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from fleet_api.call import CallDep
from fleet_api.kit.paging import Id, page
from fleet_api.kit.responses import errors
from fleet_api.kit.schemas import Json, Page
from fleet_api.quarantine import repository, service
from fleet_api.quarantine.schemas import RefusedOut, RefusedQuery

router = APIRouter(prefix="/quarantine", tags=["quarantine"])


@router.get("", responses=errors(401, 403))
def list_refused(call: CallDep, wanted: Annotated[RefusedQuery, Query()]) -> Page[RefusedOut]:
    """List what the gateways refused of the devices of your area."""
    with call.read("admin") as unit:
        found = repository.rows(unit.session, unit.scope, wanted, wanted.limit + 1)
        return page(
            found,
            wanted.limit,
            lambda row: RefusedOut.model_validate(service.refused_json(row)),
            lambda row: str(row.refused.id),
        )


@router.post("/{row_id}/acknowledge", response_model=RefusedOut, responses=errors(401, 403, 404))
def acknowledge(row_id: Annotated[Id, Path()], call: CallDep) -> Json:
    """Say that you have seen a refused SOS, and those of its device before it."""
    with call.write("operator") as unit:
        return service.acknowledge(unit, row_id)
