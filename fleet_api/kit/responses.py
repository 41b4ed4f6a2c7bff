"""The error answers of an endpoint, for OpenAPI."""

from typing import Any

from fleet_api.kit.schemas import ErrorBody

_EXAMPLES = {
    401: ("not_signed_in", "Sign in first: there is no session, or it is over.", {}),
    403: (
        "role_too_low",
        "This needs the role operator; li is viewer.",
        {},
    ),
    404: ("not_found", "There is no device t-0099 in your area.", {}),
    409: (
        "case_taken",
        "Case 12 was taken by wang at 2026-11-23T02:00:00Z.",
        {"taken_by": "wang", "taken_ms": 1_795_400_000_000},
    ),
    422: ("invalid", "text: 241 bytes, at most 240.", {"field": "text"}),
    429: (
        "too_many_attempts",
        "Too many failed sign-ins; wait before the next.",
        {"retry_after_s": 600},
    ),
    503: ("store_away", "A store of this system cannot be reached at the moment.", {}),
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of these errors, each with an example; 422 is always one."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 422}):
        code, message, details = _EXAMPLES[status]
        example = {"error": {"code": code, "message": message, "details": details}}
        described[status] = {
            "model": ErrorBody,
            "content": {"application/json": {"example": example}},
        }
    return described
