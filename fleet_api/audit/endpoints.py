"""The audit log, newest first."""

from typing import Annotated

from fastapi import APIRouter, Query

from fleet_api.audit import repository
from fleet_api.audit.schemas import AuditOut, AuditQuery
from fleet_api.call import CallDep
from fleet_api.kit.paging import page
from fleet_api.kit.responses import errors
from fleet_api.kit.schemas import Page

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("", responses=errors(401, 403))
def list_audit(call: CallDep, wanted: Annotated[AuditQuery, Query()]) -> Page[AuditOut]:
    """List who looked at and did what."""
    with call.read("admin") as unit:
        found = repository.rows(unit.session, unit.scope, wanted, wanted.limit + 1)
        return page(
            found,
            wanted.limit,
            lambda row: AuditOut.model_validate(row.as_dict()),
            lambda row: str(row.id),
        )
