"""Taking, helping, closing a case; its terminal is told in the same transaction."""

import math
from collections.abc import Mapping
from typing import Any

from fleet_api.cases import repository, states
from fleet_api.cases.repository import CaseRow
from fleet_api.commands import ledger
from fleet_api.devices.service import require_device
from fleet_api.errors import ConflictError, NotFoundError
from fleet_api.kit.clock import iso
from fleet_api.kit.unit import Unit
from storage.registry.models import Case
from wire_protocol.lean_told import DISTANCE_M_MAX, NAME_BYTES_MAX

# A terminal in a dead valley may come back days later; it must then still learn who took its SOS.
SOS_STATUS_TTL_S = 604_800
# Older, a distance would say where somebody was.
DISTANCE_AGE_MS_MAX = 900_000
EARTH_RADIUS_M = 6_371_009  # The mean of the ellipsoid's (IUGG).


def case_json(row: CaseRow) -> dict[str, Any]:
    """Return a case as JSON shows it (see CaseOut)."""
    case, device, last, first = row
    return {
        **case.as_dict(),
        "device_name": device.name,
        "device_kind": device.kind,
        "area_code": device.area_code,
        "wearer": device.wearer,
        "first_event": None if first is None else first.as_dict(),
        "last_event": None if last is None else last.as_dict(),
    }


def require_case(unit: Unit, case_id: int) -> CaseRow:
    """Return a case of the caller's area.

    Raises:
        NotFoundError: It does not exist, or lies outside.
    """
    row = repository.case(unit.session, unit.scope, case_id)
    if row is None:
        raise NotFoundError(f"There is no case {case_id} in your area.")
    return row


def take(unit: Unit, case_id: int, presses: int | None = None) -> dict[str, Any]:
    """Make the caller answer for a case; an SOS's wearer is told by whom.

    A taken case that was pressed again is taken again, by whoever has it or by another.

    Args:
        unit: The request's.
        case_id: A case.
        presses: How many the caller has seen; None: all that there are.

    Raises:
        ConflictError: Somebody has it (named) and it was not pressed again since, or it is closed.
    """
    case = require_case(unit, case_id).case
    seen = case.presses if presses is None else min(presses, case.presses)
    if case.taken_ms is not None and seen <= case.acknowledged_presses:
        raise _refused(case)
    taken = {
        "taken_by": unit.caller.name,
        "taken_ms": unit.now_ms,
        "acknowledged_presses": seen,
    }
    noted: dict[str, Any] = {"presses": seen}
    if case.taken_by is not None:
        noted["taken_before_by"] = case.taken_by
    return _step(unit, case, "take", taken, {"status": "taken"}, noted)


def send_help(
    unit: Unit, case_id: int, goes: str | None = None, distance_m: int | None = None
) -> dict[str, Any]:
    """Tell the wearer that help is on its way.

    Args:
        unit: The request's.
        case_id: An SOS.
        goes: The terminal of who goes; None: the wearer reads the operator's name.
        distance_m: How far that terminal is, None where it is not known.

    Raises:
        ConflictError: Nobody took the case yet, or its last press; it is closed, or no SOS.
        NotFoundError: There is no such terminal in the caller's area.
    """
    case = require_case(unit, case_id).case
    if case.kind != "sos":
        raise ConflictError("not_an_sos", f"Case {case_id} is {case.kind}: nobody wears a sensor.")
    told: dict[str, Any] = {"status": "help"}
    if goes is not None:
        helper = require_device(unit.session, unit.scope, goes)
        told |= {"by": name_on_screen(helper.wearer or helper.name), "distance_m": distance_m}
    return _step(unit, case, "help", {}, told, {})


Place = Mapping[str, Any]  # lat_e6, lon_e6, received_ms


def place(row: CaseRow, positions: Mapping[str, Place]) -> Place | None:
    """Return where the wearer of an SOS was last: by its track, or by the press if newer."""
    case, _, event, _ = row
    known = positions.get(case.device)
    fix = None if event is None else event.body.get("fix")
    if event is None or fix is None or (known and known["received_ms"] >= event.received_ms):
        return known
    return {"lat_e6": fix["lat"], "lon_e6": fix["lon"], "received_ms": event.received_ms}


def distance_m(one: Place | None, other: Place | None, now_ms: int) -> int | None:
    """Return how far two are apart in a straight line; None if either place is not known now.

    On a sphere (the haversine formula): within 0.6 % of the ellipsoid, far below a position's age.
    """
    if one is None or other is None:
        return None
    if now_ms - min(one["received_ms"], other["received_ms"]) > DISTANCE_AGE_MS_MAX:
        return None
    (lat_1, lon_1), (lat_2, lon_2) = (
        (math.radians(row["lat_e6"] / 1e6), math.radians(row["lon_e6"] / 1e6))
        for row in (one, other)
    )
    half = math.sin((lat_2 - lat_1) / 2) ** 2
    half += math.cos(lat_1) * math.cos(lat_2) * math.sin((lon_2 - lon_1) / 2) ** 2
    return min(round(2 * EARTH_RADIUS_M * math.asin(math.sqrt(half))), DISTANCE_M_MAX)


def name_on_screen(name: str) -> str:
    """Return as much of a name as a terminal takes."""
    return name.encode()[:NAME_BYTES_MAX].decode(errors="ignore")


def close(unit: Unit, case_id: int, reason: str) -> dict[str, Any]:
    """End a case that somebody took; an SOS's wearer is told.

    Raises:
        ConflictError: Nobody took it yet, or its last press, or it is closed already.
    """
    case = require_case(unit, case_id).case
    closed = {
        "closed_by": unit.caller.name,
        "closed_ms": unit.now_ms,
        "close_reason": reason.strip(),
    }
    noted = {"reason": closed["close_reason"]}
    return _step(unit, case, "close", closed, {"status": "closed"}, noted)


def _step(  # what a step does: to the row, to the wearer, to the log
    unit: Unit,
    case: Case,
    step: str,
    values: dict[str, Any],
    told: dict[str, Any],
    noted: dict[str, Any],
) -> dict[str, Any]:
    # As the caller has read and judged it: PostgreSQL would show a second look another case.
    case_id = case.id
    status = states.after(case.status, step)
    if status is None:
        raise _refused(case)
    # The update names the state it starts from: of two operators at once, one gets the case. A
    # press that came a moment ago is on no screen yet: nothing but a take goes past it.
    values = {"status": status, **values}
    if not repository.move(unit.session, case, values, acknowledged=step != "take"):
        raise _refused(require_case(unit, case_id).case)
    _tell_wearer(unit, require_case(unit, case_id), told)
    unit.audit(f"case.{step}", case.device, {"case": case_id, **noted})
    changed = case_json(require_case(unit, case_id))
    unit.announce({"kind": "case", "case": changed})
    return changed


def _tell_wearer(unit: Unit, row: CaseRow, told: dict[str, Any]) -> None:
    case, device, event, _ = row
    if case.kind != "sos" or device.retired_ms is not None:
        return
    if told["status"] != "closed" and case.presses > case.acknowledged_presses:
        # Pressed once more meanwhile: "taken" would speak of a press that nobody has looked at.
        return
    # The SOS that the terminal shows now: after a cancel a further press is a new incident in
    # the same open case.
    epoch, incident = case.epoch, case.incident
    if event is not None and "incident" in event.body:
        epoch, incident = event.epoch, event.body["incident"]
    if told["status"] == "taken" and repository.help_was_said(
        unit.session, case.device, epoch, incident
    ):
        return  # It says more, and must not be superseded by less.
    ledger.send(
        unit,
        device=case.device,
        topic="sos_status",
        kind="sos_status",
        body={
            "epoch": epoch,
            "incident": incident,
            "by": name_on_screen(unit.caller.name),
            "at": unit.now_ms,
            **told,
        },
        ttl_s=SOS_STATUS_TTL_S,
    )


def _refused(case: Case) -> ConflictError:
    if case.closed_ms is not None:
        return ConflictError(
            "case_closed",
            f"Case {case.id} was closed by {case.closed_by} at {iso(case.closed_ms)}.",
            closed_by=case.closed_by,
            closed_ms=case.closed_ms,
        )
    if case.taken_ms is not None and case.presses > case.acknowledged_presses:
        return ConflictError(
            "pressed_again",
            f"Case {case.id} was pressed again since {case.taken_by} took it: "
            f"{case.presses} presses, {case.acknowledged_presses} acknowledged. Take it first.",
            presses=case.presses,
            acknowledged_presses=case.acknowledged_presses,
            last_event_id=case.last_event_id,
        )
    if case.taken_ms is not None:
        return ConflictError(
            "case_taken",
            f"Case {case.id} was taken by {case.taken_by} at {iso(case.taken_ms)}.",
            taken_by=case.taken_by,
            taken_ms=case.taken_ms,
        )
    return ConflictError("case_not_taken", f"Case {case.id} must be taken by somebody first.")
