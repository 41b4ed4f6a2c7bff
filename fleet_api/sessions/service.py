"""Signing in and out. A token is random, 256 bit, and only its SHA-256 is stored.

Refused sign-ins are audit rows, so every API process counts the same ones and a restart forgets
none. Within WINDOW_MS: REFUSALS_MAX for one name from one address, and more for one address alone
(a command room behind one router). Never for a name alone: anybody could lock out anybody.
"""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy.orm import Session

from fleet_api.errors import NotSignedInError, TooManyAttemptsError, WrongPasswordError
from fleet_api.kit.unit import Caller, Unit, write_audit
from fleet_api.sessions import repository
from fleet_api.sessions.passwords import Passwords
from fleet_api.sessions.schemas import SessionOut
from storage.registry.session import Registry

WINDOW_MS = 15 * 60 * 1000
REFUSALS_MAX = 5  # One name, one address.
REFUSALS_ADDRESS_MAX = 30  # One address, any name.
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class SignedIn:
    """A fresh session: the token for the cookie, and who it is."""

    token: str
    session: SessionOut


@dataclass(frozen=True)
class Desk:
    """What signing in needs; built once."""

    registry: Registry
    passwords: Passwords
    session_ms: int

    def sign_in(self, name: str, password: str, address: str, now_ms: int) -> SignedIn:
        """Check a password and open a session.

        Raises:
            TooManyAttemptsError: Too many refusals within 15 minutes; the password is not looked
                at, so that guessing on is useless.
            WrongPasswordError: Name, password or account do not fit.
        """
        with self.registry.read() as session:
            _throttle(session, name, address, now_ms)
            user = repository.user_by_name(session, name)
            password_hash = user.password_hash if user and user.disabled_ms is None else None
        # Outside of a transaction: a check takes some 50 ms, and writers wait for each other.
        fits = self.passwords.fits(password_hash, password)
        with self.registry.begin() as session:
            # Again: of guesses made at the same time, no more than the limit are answered.
            _throttle(session, name, address, now_ms)
            user = repository.user_by_name(session, name)
            # Read again: the account may have changed while the password was checked.
            unchanged = user is not None and user.password_hash == password_hash
            if user is None or not fits or not unchanged or user.disabled_ms is not None:
                _note(session, "session.refused", name, address, now_ms)
                signed_in = None
            else:
                token = secrets.token_urlsafe(_TOKEN_BYTES)
                expires_ms = now_ms + self.session_ms
                repository.add(session, user, token_hash(token), now_ms, expires_ms)
                _note(session, "session.start", name, address, now_ms)
                who = Caller(user.id, user.name, user.role, user.area_code, expires_ms, "")
                signed_in = SignedIn(token, describe(session, who))
        if signed_in is None:
            raise WrongPasswordError("Name and password do not fit together.")
        return signed_in

    def change_password(self, caller: Caller, old: str, new: str, now_ms: int) -> None:
        """Set a new password for `caller` and end their other sessions.

        Raises:
            WrongPasswordError: `old` is not the password.
        """
        with self.registry.read() as session:
            _throttle(session, caller.name, "", now_ms)
            user = repository.user_by_name(session, caller.name)
            before = user.password_hash if user else None
        fits = self.passwords.fits(before, old)
        password_hash = self.passwords.hash(new) if fits else ""
        with self.registry.begin() as session:
            _throttle(session, caller.name, "", now_ms)
            user = repository.user_by_name(session, caller.name)
            fits = fits and user is not None and user.password_hash == before
            if user is not None and fits:
                user.password_hash = password_hash
                repository.remove_all(session, user.id, except_token=caller.token_sha256)
                _note(session, "password.change", caller.name, "", now_ms)
            else:
                _note(session, "session.refused", caller.name, "", now_ms)
        if not fits:
            raise WrongPasswordError("The old password does not fit.")


def token_hash(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def identify(session: Session, token: str | None, now_ms: int) -> Caller:
    """Return who holds `token`.

    Raises:
        NotSignedInError: Nobody, or no longer.
    """
    caller = repository.caller(session, token_hash(token), now_ms) if token else None
    if caller is None:
        raise NotSignedInError("Sign in first: there is no session, or it is over.")
    return caller


def sign_out(unit: Unit) -> None:
    """End the caller's session."""
    repository.remove(unit.session, unit.caller.token_sha256)
    unit.audit("session.end")


def describe(session: Session, caller: Caller) -> SessionOut:
    """Return a session as JSON shows it."""
    name_zh, name_en = repository.area_names(session, caller.area_code)
    return SessionOut(
        user=caller.name,
        role=caller.role,
        area=caller.area_code,
        area_name_zh=name_zh,
        area_name_en=name_en,
        expires_ms=caller.expires_ms,
    )


def _throttle(session: Session, name: str, address: str, now_ms: int) -> None:
    here = repository.refusals(session, address, now_ms - WINDOW_MS, REFUSALS_ADDRESS_MAX)
    both = [at for at, who in here if who == name]
    # Newest first: the n-th newest must leave the window before the next try.
    for times, maximum in ((both, REFUSALS_MAX), ([at for at, _ in here], REFUSALS_ADDRESS_MAX)):
        if len(times) >= maximum:
            wait_ms = times[maximum - 1] + WINDOW_MS - now_ms
            raise TooManyAttemptsError(
                "Too many failed sign-ins; wait before the next.", max(1, -(-wait_ms // 1000))
            )


def _note(session: Session, action: str, name: str, address: str, now_ms: int) -> None:
    write_audit(session, at_ms=now_ms, user_name=name, action=action, details={"address": address})
