"""One request, one transaction: the caller, the time, the audit row and what to announce.

Services get a `Unit` and never commit. What they `announce` is published only once the
transaction is committed, so a screen never shows what did not happen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.orm import Session

from fleet_api.errors import RoleTooLowError
from fleet_api.kit.scope import Scope
from storage.registry.models import Audit

ROLES = ("viewer", "operator", "admin")  # Each may do what those before it may.


@dataclass(frozen=True)
class Caller:
    """Who asks: a user with a living session."""

    user_id: int
    name: str
    role: str
    area_code: str | None
    expires_ms: int
    token_sha256: str

    @property
    def scope(self) -> Scope:
        """The part of the area tree this caller sees."""
        return Scope.of(self.area_code)

    def require(self, role: str) -> None:
        """Raise RoleTooLowError unless this caller has at least `role`."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise RoleTooLowError(f"This needs the role {role}; {self.name} is {self.role}.")


@dataclass
class Unit:
    """What a service works with during one request."""

    session: Session
    caller: Caller
    now_ms: int
    deltas: list[dict[str, Any]] = field(default_factory=list)

    @property
    def scope(self) -> Scope:
        """The caller's area."""
        return self.caller.scope

    def audit(
        self, action: str, device: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        """Add an audit row to this transaction."""
        write_audit(
            self.session,
            at_ms=self.now_ms,
            user_name=self.caller.name,
            action=action,
            device=device,
            details=details,
        )

    def announce(self, delta: dict[str, Any]) -> None:
        """Publish `delta` on the live bus after the commit."""
        self.deltas.append(delta)


def write_audit(  # the columns of the row
    session: Session,
    *,
    at_ms: int,
    user_name: str,
    action: str,
    device: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add one row to the audit log, in the caller's transaction."""
    session.add(
        Audit(
            at_ms=at_ms,
            user_name=user_name,
            action=action,
            device=device,
            details=dict(details or {}),
        )
    )


class Announcer(Protocol):
    """Where deltas go after a commit; never blocks, callable from any thread."""

    def __call__(self, deltas: list[dict[str, Any]], /) -> None:
        """Publish the deltas of one transaction."""
