"""Looking at a track: first the audit row, then the track."""

from fleet_api.devices.service import require_device
from fleet_api.kit.period import Period
from fleet_api.kit.unit import Unit


def note_look(unit: Unit, device_id: str, wanted: Period, form: str) -> None:
    """Write down who looks at which track, before a single fix is read.

    Raises:
        NotFoundError: No such device in the caller's area; nothing is written then.
    """
    device = require_device(unit.session, unit.scope, device_id)
    details = {"from_ms": wanted.from_ms, "to_ms": wanted.to_ms, "format": form}
    unit.audit("track.read", device.id, details)
