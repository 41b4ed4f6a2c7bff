"""Accounts, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Path

from fleet_api.call import CallDep, PartsDep
from fleet_api.kit.responses import errors
from fleet_api.kit.schemas import Page
from fleet_api.users import repository, service
from fleet_api.users.schemas import NewUser, UserChange, UserOut

router = APIRouter(prefix="/users", tags=["users"])


@router.get("", responses=errors(401, 403))
def list_users(call: CallDep) -> Page[UserOut]:
    """List the accounts of your area."""
    with call.read("admin") as unit:
        found = repository.users(unit.session, unit.scope)
        return Page[UserOut](items=[service.user_out(user) for user in found])


@router.post("", status_code=201, responses=errors(401, 403, 409))
def create_user(body: NewUser, call: CallDep, parts: PartsDep) -> UserOut:
    """Add an account in your area."""
    call.caller("admin")  # Nobody else makes this machine hash.
    password_hash = parts.desk.passwords.hash(body.password)
    with call.write("admin") as unit:
        return service.create(unit, body, password_hash)


@router.patch("/{user_id}", responses=errors(401, 403, 404, 409))
def change_user(
    user_id: Annotated[int, Path(ge=1, lt=2**63)],
    body: UserChange,
    call: CallDep,
    parts: PartsDep,
) -> UserOut:
    """Change an account of your area; it is signed out everywhere."""
    call.caller("admin")
    password_hash = parts.desk.passwords.hash(body.password) if body.password else None
    with call.write("admin") as unit:
        changed = service.change(unit, user_id, body, password_hash)
    parts.check_viewers()
    return changed
