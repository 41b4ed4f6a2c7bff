"""Accounts. Nobody gives away more than they have; the last administrator cannot be locked out."""

from typing import Any

from sqlalchemy.orm import Session

from fleet_api.areas import repository as areas
from fleet_api.errors import ConflictError, InvalidError, NotFoundError
from fleet_api.kit.clock import wall_clock_ms
from fleet_api.kit.unit import Unit, write_audit
from fleet_api.sessions import repository as sessions
from fleet_api.sessions.passwords import Passwords, random_password
from fleet_api.users import repository
from fleet_api.users.schemas import NewUser, UserChange, UserOut
from storage.registry.models import User
from storage.registry.session import Registry

SYSTEM = "system"  # The audit log's name for the command line.


def create_first_admin(registry: Registry, name: str = "admin") -> str | None:
    """Create the administrator of a new installation.

    Returns:
        The random password, which is stored nowhere else; None when there are accounts already.
    """
    password = random_password()
    password_hash = Passwords().hash(password)
    now_ms = wall_clock_ms()
    with registry.begin() as session:
        if repository.count(session):
            return None
        session.add(User(name=name, password_hash=password_hash, role="admin", created_ms=now_ms))
        _note(session, now_ms, "user.create", {"user": name, "role": "admin", "area_code": None})
    return password


def reset_password(registry: Registry, name: str) -> str:
    """Give an account a new random password, enable it again and end its sessions.

    Raises:
        NotFoundError: There is no such account.
    """
    password = random_password()
    password_hash = Passwords().hash(password)
    now_ms = wall_clock_ms()
    with registry.begin() as session:
        user = repository.by_name(session, name)
        if user is None:
            raise NotFoundError(f"There is no user {name[:40]}.")
        user.password_hash = password_hash
        user.disabled_ms = None
        sessions.remove_all(session, user.id)
        _note(session, now_ms, "password.reset", {"user": name})
    return password


def ensure_demo_operator(registry: Registry, name: str, password: str) -> None:
    """Let the demo's operator sign in with `password`; an account already so stays as it is.

    Raises:
        ConflictError: There is such an account that is no operator: it is not the demo's.
    """
    passwords = Passwords()
    with registry.read() as session:
        user = repository.by_name(session, name)
        before = user.password_hash if user is not None else None
    password_hash = before
    if before is None or not passwords.fits(before, password):
        password_hash = passwords.hash(password)
    now_ms = wall_clock_ms()
    with registry.begin() as session:
        user = repository.by_name(session, name)
        if user is None:
            user = User(name=name, role="operator", created_ms=now_ms, disabled_ms=now_ms)
            session.add(user)
        elif user.role != "operator":
            raise ConflictError("name_taken", f"{name} is no operator: not the demo's account.")
        if user.password_hash == password_hash and user.disabled_ms is None:
            return
        user.password_hash = password_hash or ""
        user.disabled_ms = None
        _note(session, now_ms, "user.change", {"user": name, "disabled": False, "demo": True})


def disable_demo_operator(registry: Registry, name: str) -> None:
    """Lock the demo's operator out, if a demo start left one."""
    now_ms = wall_clock_ms()
    with registry.begin() as session:
        user = repository.by_name(session, name)
        if user is None or user.role != "operator" or user.disabled_ms is not None:
            return
        user.disabled_ms = now_ms
        sessions.remove_all(session, user.id)
        _note(session, now_ms, "user.change", {"user": name, "disabled": True, "demo": True})


def create(unit: Unit, wanted: NewUser, password_hash: str) -> UserOut:
    """Add an account.

    Raises:
        InvalidError: The area is unknown or outside of the caller's.
        ConflictError: The name is taken.
    """
    _check_area(unit, wanted.area_code)
    if repository.by_name(unit.session, wanted.name) is not None:
        raise ConflictError("name_taken", f"name: there is a user {wanted.name} already.")
    user = User(
        name=wanted.name,
        password_hash=password_hash,
        role=wanted.role,
        area_code=wanted.area_code,
        created_ms=unit.now_ms,
    )
    unit.session.add(user)
    unit.session.flush()
    details = {"user": user.name, "role": user.role, "area_code": user.area_code}
    unit.audit("user.create", details=details)
    return user_out(user)


def change(unit: Unit, user_id: int, wanted: UserChange, password_hash: str | None) -> UserOut:
    """Change an account; its sessions end, so that the change holds at once.

    Raises:
        NotFoundError: No such account in the caller's area.
        InvalidError: The new area is unknown or outside of the caller's.
        ConflictError: Nobody would be left to administer everything.
    """
    user = repository.user(unit.session, unit.scope, user_id)
    if user is None:
        raise NotFoundError(f"There is no user {user_id} in your area.")
    given = wanted.model_fields_set
    if "area_code" in given:
        _check_area(unit, wanted.area_code)
        user.area_code = wanted.area_code
    if wanted.role is not None:
        user.role = wanted.role
    if wanted.disabled is not None:
        user.disabled_ms = unit.now_ms if wanted.disabled else None
    if password_hash is not None:
        user.password_hash = password_hash
    unit.session.flush()
    left = repository.other_full_admins(unit.session, user.id)
    if not left and not (user.role == "admin" and user.area_code is None and not user.disabled_ms):
        raise ConflictError(
            "last_admin", f"{user.name} is the last administrator of everything; name another."
        )
    sessions.remove_all(unit.session, user.id)
    changed = wanted.model_dump(exclude={"password"}, exclude_unset=True)
    unit.audit(
        "user.change",
        details={"user": user.name, **changed, "password": password_hash is not None},
    )
    return user_out(user)


def user_out(user: User) -> UserOut:
    """Return an account as JSON shows it."""
    return UserOut.model_validate({name: getattr(user, name) for name in UserOut.model_fields})


def _note(session: Session, at_ms: int, action: str, details: dict[str, Any]) -> None:
    write_audit(session, at_ms=at_ms, user_name=SYSTEM, action=action, details=details)


def _check_area(unit: Unit, area_code: str | None) -> None:
    if area_code is None:
        if not unit.scope.everything:
            raise InvalidError("area_code", "null is everything, which is more than you see.")
    elif not unit.scope.covers(area_code):
        raise InvalidError("area_code", f"{area_code} lies outside of your area.")
    elif not areas.exists(unit.session, area_code):
        raise InvalidError("area_code", f"there is no area {area_code}.")
