"""Event and result records; a device seals its own with `lean`."""

from wire_protocol import clock, lean, sensors, shape, topics
from wire_protocol.errors import WireError
from wire_protocol.lean import RECORD_BYTES_MAX
from wire_protocol.shape import Json

__all__ = ["EVENT_KINDS", "RECORD_BYTES_MAX", "check", "seal", "unwrap", "wrap"]

REPORT_BYTES_MAX = 200
DATA_DEPTH_MAX = 3

COMMON = {
    "v": ("int", 1, 1),
    "epoch": shape.U32,
    "seq": shape.SEQ,
    "kind": ("text", 20),
    "at": shape.AT_MS,
    "clock": ("one", clock.NAMES),
    "uptime_s": shape.U32,
    "boot": shape.U32,
}
_FIX = (
    "object",
    {
        "lat": ("int", -90_000_000, 90_000_000),
        "lon": ("int", -180_000_000, 180_000_000),
        "at": shape.AT_MS,
        "accuracy_m": ("null", ("int", 0, 1_000_000)),
        "alt_mm": ("null", ("int", -100_000_000, 1_000_000_000)),
    },
)
_VALUE = ("int", -(1 << 31), (1 << 31) - 1)

KINDS = {
    "sos": {
        "trigger": ("one", ("button", "silent", "man_down", "check_in")),
        "incident": shape.SEQ,
        "press": shape.SEQ,
        "fix": ("null", _FIX),
    },
    "sos_cancel": {"incident": shape.SEQ},
    "alarm": {
        "sensor": ("one", sensors.NAMES),
        "value": _VALUE,
        "threshold": _VALUE,
        "raised": shape.FLAG,
    },
    "report": {"text": ("text", REPORT_BYTES_MAX)},
    "duty": {"on": shape.FLAG, "by": ("one", ("button", "command", "boot"))},
    "dropped": {
        "stream": ("one", topics.STREAMS),
        "first": shape.SEQ,
        "count": shape.SEQ,
    },
    "result": {
        "command": shape.HEX_ID,
        "status": ("one", ("accepted", "refused", "done", "failed", "expired")),
        "reason": ("text", 200),
        "data": ("null", ("data", DATA_DEPTH_MAX)),
    },
}
EVENT_KINDS = tuple([kind for kind in KINDS if kind != "result"])


def seal(fields: Json) -> bytes:
    """Return the sealed bytes of a record, all of it checked; `v` is added.

    Raises:
        WireError: A field is missing or out of range, or the record is too long.
    """
    record = {"v": 1}
    record.update(fields)
    sealed = shape.dump(check(record))
    if len(sealed) > RECORD_BYTES_MAX:
        raise WireError(f"record of {len(sealed)} bytes, not 0..{RECORD_BYTES_MAX}")
    return sealed


def wrap(low: int, sealed: bytes) -> bytes:
    """Return the message that carries a sealed record: `{"low":N,"record":...}`.

    Args:
        low: The lowest seq of this stream that the device still holds, 1..seq of the record.
        sealed: What `seal` returned, unchanged.
    """
    shape.check(low, shape.SEQ, "low")
    return lean.wrap(low, sealed)


def check(record: Json) -> Json:
    """Return the known fields of a record; WireError if one is missing or out of range."""
    found: Json = shape.check(record, ("object", COMMON), "record")
    kind = found["kind"]
    if kind not in KINDS:
        raise WireError(f"record kind {kind!r}, not {' | '.join(KINDS)}")
    found.update(shape.check(record, ("object", KINDS[kind]), kind))
    _check_sense(found)
    return found


def unwrap(message: bytes) -> tuple[int, Json]:
    """Return (low, checked record) of a message; WireError if either cannot be."""
    loaded = lean.load_any(message)
    if not isinstance(loaded.get("record"), dict):
        raise WireError("message has no record")
    record = check(loaded["record"])
    low: int = shape.check(loaded.get("low"), ("int", 1, record["seq"]), "low")
    return low, record


def _check_sense(record: Json) -> None:
    """Refuse what no honest device can mean."""
    if record["kind"] == "sos" and record["incident"] > record["seq"]:
        raise WireError(f"incident {record['incident']} is after seq {record['seq']}")
    if record["kind"] == "alarm":
        sensors.check_value(sensors.code(record["sensor"]), record["value"])
    if record["kind"] == "dropped" and record["first"] + record["count"] > 1 << 32:
        raise WireError(f"dropped {record['count']} from {record['first']}, past the last seq")
