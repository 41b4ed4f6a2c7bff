"""Events and results become sealed JSON records; the half that a device needs.

Sealed once: the bytes go into the journal and onto the wire, again and again, as they are.
"""

from wire_protocol import shape
from wire_protocol.errors import WireError
from wire_protocol.shape import Json

RECORD_BYTES_MAX = 1024  # A report of 200 bytes, escaped, is the longest that people write.

COMMON = {
    "v": ("int", 1, 1),
    "epoch": shape.U32,
    "seq": shape.SEQ,
    "kind": ("text", 20),
    "at": shape.AT_MS,
    "clock": ("one", ("none", "rtc", "server", "gnss")),
    "uptime_s": shape.U32,
    "boot": shape.U32,
}


def seal(fields: Json) -> bytes:
    """Return the sealed bytes of a record; `v` is added.

    Raises:
        WireError: A common field is missing or out of range, or the record is too long. The
            fields of its kind are checked by the gateway.
    """
    record = {"v": 1}
    record.update(fields)
    shape.check(record, ("object", COMMON), "record")
    sealed = shape.dump(record)
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
    return b'{"low":%d,"record":%s}' % (low, sealed)
