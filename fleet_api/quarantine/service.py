"""Refused messages as the screens show them, and who has seen a refused SOS."""

import re
from typing import Any

from fleet_api.errors import NotFoundError
from fleet_api.kit.unit import Unit
from fleet_api.quarantine import repository
from fleet_api.quarantine.repository import RefusedRow
from wire_protocol import topics
from wire_protocol.errors import WireError

# A reason quotes what was wrong: of a position, that is where somebody was. 1e-6 degree needs more
# digits than these almost everywhere, and no limit of the wire that matters to people does.
_LONG_NUMBER = re.compile(r"\d{5,}")


def refused_json(row: RefusedRow) -> dict[str, Any]:
    """Return a refused message as JSON shows it (see RefusedOut)."""
    refused, device = row
    return {
        "id": refused.id,
        "device": refused.device,
        "device_name": None if device is None else device.name,
        "wearer": None if device is None else device.wearer,
        "area_code": None if device is None else device.area_code,
        "stream": _stream(refused.topic),
        "kind": refused.kind,
        "code": refused.code,
        "reason": _LONG_NUMBER.sub("…", refused.reason),
        "received_ms": refused.received_ms,
        "acknowledged_by": refused.acknowledged_by,
        "acknowledged_ms": refused.acknowledged_ms,
    }


def acknowledge(unit: Unit, row_id: int) -> dict[str, Any]:
    """Note that the caller has seen a refused SOS, and those of its device before it.

    Raises:
        NotFoundError: There is no such row in the caller's area, or it is no SOS.
    """
    row = repository.row(unit.session, unit.scope, row_id)
    if row is None or row.refused.kind != "sos":
        raise NotFoundError(f"There is no refused SOS {row_id} in your area.")
    seen = repository.acknowledge(unit.session, row.refused, unit.caller.name, unit.now_ms)
    if seen:
        details = {"quarantine": row_id, "rows": seen}
        unit.audit("quarantine.acknowledge", row.refused.device, details)
    changed = repository.row(unit.session, unit.scope, row_id)
    assert changed is not None
    return refused_json(changed)


def _stream(topic: str) -> str:
    try:
        return topics.parse(topic)[2]
    except WireError:
        return "?"
