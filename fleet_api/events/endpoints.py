"""Events, newest first."""

from typing import Annotated

from fastapi import APIRouter, Query

from fleet_api.call import CallDep
from fleet_api.events import repository
from fleet_api.events.schemas import EventOut, EventQuery
from fleet_api.kit.paging import page
from fleet_api.kit.responses import errors
from fleet_api.kit.schemas import Page

router = APIRouter(prefix="/events", tags=["events"])


@router.get("", responses=errors(401))
def list_events(call: CallDep, wanted: Annotated[EventQuery, Query()]) -> Page[EventOut]:
    """List what the devices of your area reported."""
    with call.read() as unit:
        rows = repository.events(unit.session, unit.scope, wanted, wanted.limit + 1)
        return page(
            rows,
            wanted.limit,
            lambda event: EventOut.model_validate(event.as_dict()),
            lambda event: str(event.id),
        )
