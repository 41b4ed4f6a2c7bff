"""Devices as the screens show them: registry row, last state, last position, last readings."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from fleet_api.devices import repository
from fleet_api.devices.flags import flags, is_silent
from fleet_api.devices.last_known import LastKnown
from fleet_api.errors import ConflictError, NotFoundError
from fleet_api.kit.scope import Scope
from storage.registry.models import Device, DeviceState


def require_device(
    session: Session, scope: Scope, device_id: str, *, locked: bool = False
) -> Device:
    """Return a device inside `scope`; `locked`: nobody else sends it anything meanwhile.

    Raises:
        NotFoundError: It does not exist, or lies outside: the answer does not tell which.
    """
    device = repository.device(session, scope, device_id, locked=locked)
    if device is None:
        raise NotFoundError(f"There is no device {device_id[:40]} in your area.")
    return device


def require_living(device: Device) -> None:
    """Raise ConflictError when `device` is retired: nothing reaches it any more."""
    if device.retired_ms is not None:
        raise ConflictError("device_retired", f"{device.id} is retired; it takes no commands.")


def device_json(device: Device, state: DeviceState | None) -> dict[str, Any]:
    """Return a device as JSON shows it (see DeviceOut), still without position and readings."""
    online = None if state is None else bool(state.online)
    last_state: Mapping[str, Any] | None = None if state is None else state.state
    return {
        "id": device.id,
        "kind": device.kind,
        "name": device.name,
        "area_code": device.area_code,
        "wearer": device.wearer,
        "created_ms": device.created_ms,
        "retired_ms": device.retired_ms,
        "online": online,
        "received_ms": None if state is None else state.received_ms,
        "state": last_state,
        "position": None,
        "readings": {},
        "flags": flags(device.kind, online, last_state),
    }


def add_known(devices: Iterable[dict[str, Any]], known: LastKnown) -> None:
    """Put last positions and readings into devices made by `device_json`.

    A step of its own, because it happens after the registry's transaction: a telemetry store
    that hangs must not keep the registry's locks.
    """
    for device in devices:
        device["position"] = known.positions.get(device["id"])
        device["readings"] = known.readings.get(device["id"], {})


def judge_silence(devices: Iterable[dict[str, Any]], now_ms: int, stale_after_s: int) -> None:
    """Put what the time since the last word means into devices that have what is known of them.

    For an answer that is read at once; a live view judges it anew each second, by itself.
    """
    for device in devices:
        silent = is_silent(device, now_ms, stale_after_s)
        device["flags"] = flags(device["kind"], device["online"], device["state"], silent=silent)
