"""Cases: list, take, help, close."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from fleet_api.call import CallDep, PartsDep
from fleet_api.cases import repository, service
from fleet_api.cases.schemas import CaseOut, CaseQuery, Close, Help, Take
from fleet_api.kit.paging import Id, page
from fleet_api.kit.responses import errors
from fleet_api.kit.schemas import Json, Page

router = APIRouter(prefix="/cases", tags=["cases"])

CaseId = Annotated[Id, Path()]


@router.get("", responses=errors(401))
def list_cases(call: CallDep, wanted: Annotated[CaseQuery, Query()]) -> Page[CaseOut]:
    """List the cases of your area, newest first."""
    with call.read() as unit:
        rows = repository.cases(unit.session, unit.scope, wanted, wanted.limit + 1)
        return page(
            rows,
            wanted.limit,
            lambda row: CaseOut.model_validate(service.case_json(row)),
            lambda row: str(row[0].id),
        )


@router.get("/{case_id}", response_model=CaseOut, responses=errors(401, 404))
def get_case(case_id: CaseId, call: CallDep) -> Json:
    """Show one case."""
    with call.read() as unit:
        return service.case_json(service.require_case(unit, case_id))


@router.post("/{case_id}/take", response_model=CaseOut, responses=errors(401, 403, 404, 409))
def take_case(case_id: CaseId, call: CallDep, body: Take | None = None) -> Json:
    """Answer for a case, or for what was pressed again: it gets your name, its wearer is told."""
    with call.write("operator") as unit:
        return service.take(unit, case_id, (body or Take()).presses)


@router.post("/{case_id}/help", response_model=CaseOut, responses=errors(401, 403, 404, 409))
def send_help(case_id: CaseId, call: CallDep, parts: PartsDep, body: Help | None = None) -> Json:
    """Tell the wearer of an SOS that help is on its way, who it is and how far."""
    goes = (body or Help()).device
    # Asked before the transaction: a store that does not answer must hold up no write.
    distance_m = None
    if goes is not None:
        with call.read() as unit:
            row = service.require_case(unit, case_id)
        known = parts.last_known.read([row[0].device, goes])
        places = (service.place(row, known.positions), known.positions.get(goes))
        distance_m = service.distance_m(*places, parts.now_ms())
    with call.write("operator") as unit:
        return service.send_help(unit, case_id, goes, distance_m)


@router.post("/{case_id}/close", response_model=CaseOut, responses=errors(401, 403, 404, 409))
def close_case(case_id: CaseId, body: Close, call: CallDep) -> Json:
    """End a case that somebody took."""
    with call.write("operator") as unit:
        return service.close(unit, case_id, body.reason)
