"""Errors as JSON: one body for every refusal, whoever found it."""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from fleet_api.errors import ConflictError, FleetError, StoreAwayError
from storage.errors import StoreAway

logger = logging.getLogger(__name__)

_CODES = {400: "invalid", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
# A validator's own words may quote what was sent; a password must not come back in an answer.
_SECRET_FIELDS = frozenset({"password", "old", "new"})


def install(app: FastAPI) -> None:
    """Let every error of `app` leave as `{"error":{...}}`."""
    app.add_exception_handler(FleetError, _fleet_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(StoreAway, _store_away)
    app.add_exception_handler(Exception, _unexpected)


def error_body(
    code: str, message: str, details: dict[str, object] | None = None
) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"code": code, "message": message, "details": details or {}}}


async def _fleet_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FleetError)
    code = error.conflict_code if isinstance(error, ConflictError) else error.code
    return JSONResponse(
        error_body(code, error.message, error.details), error.status, dict(error.headers)
    )


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = _field(first["loc"])
    return JSONResponse(
        error_body("invalid", f"{field}: {_problem(first, field)}", {"field": field}), 422
    )


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "refused")
    return JSONResponse(error_body(code, str(error.detail)), error.status_code, error.headers)


async def _store_away(request: Request, error: Exception) -> JSONResponse:
    logger.warning("%s %s: store away: %s", request.method, request.url.path, error)
    away = StoreAwayError("A store of this system cannot be reached at the moment.")
    return JSONResponse(error_body(away.code, away.message), away.status)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse(error_body("internal", "This is our fault; the log says more."), 500)


def _field(location: Sequence[int | str]) -> str:
    names = [str(part) for part in location if part not in ("body", "query", "path")]
    return ".".join(names) or "body"


def _problem(error: dict[str, Any], field: str) -> str:
    sent = error.get("input")
    words = str(error["msg"]).removeprefix("Value error, ")
    if field in _SECRET_FIELDS or isinstance(sent, dict | list) or sent is None:
        return words
    return f"{words}, not {str(sent)[:60]!r}"
