"""What the fleet API refuses, each with its HTTP status and a code for programs.

One handler (`kit/error_bodies.py`) turns them into `{"error":{"code","message","details"}}`.
"""

from collections.abc import Mapping
from typing import ClassVar


class FleetError(Exception):
    """A request that is answered with an error; the base of all."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, object] = details

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers that belong to the answer."""
        return {}


class InvalidError(FleetError):
    """A field of the request is out of its limits."""

    status = 422
    code = "invalid"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}", field=field)


class NotSignedInError(FleetError):
    """No session, or one that is over."""

    status = 401
    code = "not_signed_in"


class WrongPasswordError(FleetError):
    """Name and password do not fit; which of the two is not said."""

    status = 401
    code = "wrong_password"


class RoleTooLowError(FleetError):
    """The caller is known and may not do this."""

    status = 403
    code = "role_too_low"


class HeaderMissingError(FleetError):
    """A write without `X-Xunhu: 1`: perhaps another site's form."""

    status = 403
    code = "header_missing"


class NotFoundError(FleetError):
    """There is no such thing, or it lies outside the caller's area."""

    status = 404
    code = "not_found"


class ConflictError(FleetError):
    """The thing is not in a state in which this can be done."""

    status = 409
    code = "conflict"

    def __init__(self, code: str, message: str, **details: object) -> None:
        super().__init__(message, **details)
        self.conflict_code = code


class TooManyAttemptsError(FleetError):
    """Throttled; `retry_after_s` says for how long."""

    status = 429
    code = "too_many_attempts"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> Mapping[str, str]:
        """Tell HTTP clients when to come back."""
        return {"Retry-After": str(self.retry_after_s)}


class StoreAwayError(FleetError):
    """A store cannot be reached; the same request may succeed later."""

    status = 503
    code = "store_away"


class BusyError(FleetError):
    """This process does as much as it may at once; try again."""

    status = 503
    code = "busy"
