"""What every endpoint begins with: who calls, and one transaction for the whole request."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from fleet_api.bootstrap import Parts
from fleet_api.kit.unit import Caller, Unit
from fleet_api.sessions.service import identify

COOKIE = "xunhu_session"


def parts_of(request: HTTPConnection) -> Parts:
    """Return what `bootstrap` built."""
    parts: Parts = request.app.state.parts
    return parts


@dataclass(frozen=True)
class Call:
    """One request: opens its transaction and publishes what came of it."""

    parts: Parts
    token: str | None

    @contextmanager
    def write(self, role: str) -> Iterator[Unit]:
        """Open the request's one transaction for a caller with at least `role`.

        Raises:
            NotSignedInError: There is no living session.
            RoleTooLowError: The caller may not do this.
        """
        # Nobody unknown gets the one write lock, for which the gateway's SOS would wait.
        self.caller(role)
        with self.parts.registry.begin() as session:
            unit = self._unit(session, role)
            yield unit
        # Only now: a screen never shows what was rolled back.
        if unit.deltas:
            self.parts.announce(unit.deltas)

    @contextmanager
    def read(self, role: str = "viewer") -> Iterator[Unit]:
        """Open a transaction that only looks, and makes no writer wait; raises like `write`."""
        with self.parts.registry.read() as session:
            yield self._unit(session, role)

    def _unit(self, session: Session, role: str) -> Unit:
        now_ms = self.parts.now_ms()
        caller = identify(session, self.token, now_ms)
        caller.require(role)
        return Unit(session, caller, now_ms)

    def caller(self, role: str = "viewer") -> Caller:
        """Return the caller alone, for what needs no transaction of its own."""
        with self.read(role) as unit:
            return unit.caller


def call_of(request: HTTPConnection) -> Call:
    """Return the call of a request."""
    return Call(parts_of(request), request.cookies.get(COOKIE))


CallDep = Annotated[Call, Depends(call_of)]
PartsDep = Annotated[Parts, Depends(parts_of)]
