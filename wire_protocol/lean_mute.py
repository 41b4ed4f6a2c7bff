"""The order to mute an alarm: for sensor nodes, which have the table of sensors anyway."""
# mypy: disable-error-code=type-arg
# As in `lean`.

from wire_protocol import lean, sensors
from wire_protocol.errors import WireError
from wire_protocol.lean_told import load_named, wrong_int

MUTE_S_MAX = 86_400


def parse_mute(payload: bytes) -> lean.Json:
    """Return {"id", "sensor", "for_s"}; WireError if it is none."""
    mute = load_named(payload)
    reason = wrong_mute(mute)
    if reason:
        raise WireError(reason)
    return mute


def wrong_mute(mute: lean.Json) -> str:
    """Return what is wrong with a mute that has an id (field and limit), or ""."""
    reason = wrong_int(mute, "v", 1, 1)
    if reason or mute.get("sensor") in sensors.NAMES:
        return reason or wrong_int(mute, "for_s", 0, MUTE_S_MAX)
    return "bad: sensor unknown"
