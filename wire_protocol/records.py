"""Event and result records, both halves; a device imports `records_seal` alone."""

from wire_protocol import records_seal, sensors, shape, topics
from wire_protocol.errors import WireError
from wire_protocol.records_seal import COMMON, RECORD_BYTES_MAX, wrap
from wire_protocol.shape import Json

__all__ = ["EVENT_KINDS", "RECORD_BYTES_MAX", "check", "seal", "unwrap", "wrap"]

REPORT_BYTES_MAX = 200
DATA_DEPTH_MAX = 3

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
    """Return the sealed bytes of a record, all of it checked; `v` is added."""
    record = {"v": 1}
    record.update(fields)
    return records_seal.seal(check(record))


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
    loaded = shape.load(message, "message")
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
