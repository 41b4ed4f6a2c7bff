"""Taking, helping, closing a case; its terminal is told in the same transaction."""

from typing import Any

from fleet_api.cases import repository, states
from fleet_api.cases.repository import CaseRow
from fleet_api.commands import ledger
from fleet_api.errors import ConflictError, NotFoundError
from fleet_api.kit.clock import iso
from fleet_api.kit.unit import Unit
from storage.registry.models import Case

# A terminal in a dead valley may come back days later; it must then still learn who took its SOS.
SOS_STATUS_TTL_S = 604_800


def case_json(row: CaseRow) -> dict[str, Any]:
    """Return a case as JSON shows it (see CaseOut)."""
    case, device, event = row
    return {
        **case.as_dict(),
        "device_name": device.name,
        "device_kind": device.kind,
        "area_code": device.area_code,
        "wearer": device.wearer,
        "last_event": None if event is None else event.as_dict(),
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


def take(unit: Unit, case_id: int) -> dict[str, Any]:
    """Make the caller answer for a case; an SOS's wearer is told by whom.

    Raises:
        ConflictError: Somebody has it (named), or it is closed.
    """
    taken = {"taken_by": unit.caller.name, "taken_ms": unit.now_ms}
    return _step(unit, case_id, "take", taken, sos_status="taken")


def send_help(unit: Unit, case_id: int) -> dict[str, Any]:
    """Tell the wearer that help is on its way.

    Raises:
        ConflictError: Nobody took the case yet, it is closed, or it is no SOS.
    """
    case, _, _ = require_case(unit, case_id)
    if case.kind != "sos":
        raise ConflictError("not_an_sos", f"Case {case_id} is {case.kind}: nobody wears a sensor.")
    return _step(unit, case_id, "help", {}, sos_status="help")


def close(unit: Unit, case_id: int, reason: str) -> dict[str, Any]:
    """End a case that somebody took; an SOS's wearer is told.

    Raises:
        ConflictError: Nobody took it yet, or it is closed already.
    """
    closed = {
        "closed_by": unit.caller.name,
        "closed_ms": unit.now_ms,
        "close_reason": reason.strip(),
    }
    return _step(unit, case_id, "close", closed, sos_status="closed")


def _step(
    unit: Unit, case_id: int, step: str, values: dict[str, Any], *, sos_status: str
) -> dict[str, Any]:
    case, device, event = require_case(unit, case_id)
    before = case.status
    status = states.after(before, step)
    if status is None:
        raise _refused(case)
    # The update names the state it starts from: of two operators at once, one gets the case.
    if not repository.move(unit.session, case_id, before, {"status": status, **values}):
        raise _refused(require_case(unit, case_id)[0])
    _tell_wearer(unit, (case, device, event), sos_status)
    unit.audit(f"case.{step}", case.device, {"case": case_id, **_audited(values)})
    changed = case_json(require_case(unit, case_id))
    unit.announce({"kind": "case", "case": changed})
    return changed


def _tell_wearer(unit: Unit, row: CaseRow, status: str) -> None:
    case, device, event = row
    if case.kind != "sos" or device.retired_ms is not None:
        return
    # The SOS that the terminal shows now: after a cancel a further press is a new incident in
    # the same open case.
    epoch, incident = case.epoch, case.incident
    if event is not None and "incident" in event.body:
        epoch, incident = event.epoch, event.body["incident"]
    ledger.send(
        unit,
        device=case.device,
        topic="sos_status",
        kind="sos_status",
        body={
            "epoch": epoch,
            "incident": incident,
            "status": status,
            "by": unit.caller.name,
            "at": unit.now_ms,
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
    if case.taken_ms is not None:
        return ConflictError(
            "case_taken",
            f"Case {case.id} was taken by {case.taken_by} at {iso(case.taken_ms)}.",
            taken_by=case.taken_by,
            taken_ms=case.taken_ms,
        )
    return ConflictError("case_not_taken", f"Case {case.id} must be taken by somebody first.")


def _audited(values: dict[str, Any]) -> dict[str, Any]:
    return {"reason": values["close_reason"]} if "close_reason" in values else {}
