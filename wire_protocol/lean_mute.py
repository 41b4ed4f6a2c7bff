"""The order to mute an alarm: for sensor nodes, which have the table of sensors anyway."""
# mypy: disable-error-code=type-arg
# As in `lean`.

from wire_protocol import lean, sensors
from wire_protocol.errors import WireError
from wire_protocol.lean_told import check_id

MUTE_S_MAX = 86_400


def parse_mute(payload: bytes) -> lean.Json:
    """Return {"id", "sensor", "for_s"}; WireError if it is none."""
    mute = lean.load(payload)
    check_id(mute)
    if mute.get("sensor") not in sensors.NAMES:
        raise WireError("mute of an unknown sensor")
    lean.check_int(mute, "for_s", 0, MUTE_S_MAX)
    return mute
