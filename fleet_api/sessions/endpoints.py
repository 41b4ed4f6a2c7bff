"""Signing in and out."""

from fastapi import APIRouter, Request, Response

from fleet_api.call import COOKIE, CallDep, PartsDep
from fleet_api.kit.responses import errors
from fleet_api.sessions import service
from fleet_api.sessions.schemas import PasswordChange, SessionOut, SignIn

router = APIRouter(prefix="/session", tags=["session"])


@router.post("", responses=errors(401, 429))
def sign_in(body: SignIn, request: Request, response: Response, parts: PartsDep) -> SessionOut:
    """Sign in; the answer sets the session cookie."""
    address = request.client.host if request.client else ""
    signed_in = parts.desk.sign_in(body.name, body.password, address, parts.now_ms())
    response.set_cookie(
        COOKIE,
        signed_in.token,
        max_age=parts.desk.session_ms // 1000,
        httponly=True,
        samesite="strict",
        secure=parts.settings.secure,
    )
    return signed_in.session


@router.get("", responses=errors(401))
def who_am_i(call: CallDep) -> SessionOut:
    """Tell who is signed in."""
    with call.read() as unit:
        return service.describe(unit.session, unit.caller)


@router.delete("", status_code=204, responses=errors(401))
def sign_out(call: CallDep, response: Response) -> None:
    """Sign out; live views of this session end."""
    with call.write("viewer") as unit:
        service.sign_out(unit)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    call.parts.check_viewers()


@router.post("/password", status_code=204, responses=errors(401, 429))
def change_password(body: PasswordChange, call: CallDep) -> None:
    """Set a new password; every other session of the account ends."""
    caller = call.caller()
    call.parts.desk.change_password(caller, body.old, body.new, call.parts.now_ms())
    call.parts.check_viewers()
