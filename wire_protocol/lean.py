"""The JSON of a device's side in the fewest bytes of heap: no tables, no `shape`.

What it says is made here and trusted: the gateway checks it. What it hears is parsed in
`lean_parse`, which it loads for the moment.
"""

import json

from wire_protocol.errors import WireError
from wire_protocol.lean_parse import (
    AT_MS_MAX,
    BRACKETS_MAX,
    COUNTS_MAX,
    MESSAGE_BYTES_MAX,
    STREAMS,
    U32_MAX,
    Json,
    check_int,
    load,
    load_any,
    parse_receipt,
)

__all__ = [
    "AT_MS_MAX",
    "BRACKETS_MAX",
    "COUNTS_MAX",
    "MESSAGE_BYTES_MAX",
    "RECORD_BYTES_MAX",
    "STREAMS",
    "U32_MAX",
    "Json",
    "check_int",
    "dump",
    "load",
    "load_any",
    "parse_receipt",
    "seal",
    "wrap",
]

RECORD_BYTES_MAX = 1024  # A report of 200 bytes, escaped, fits twice.


def dump(message: Json) -> bytes:
    """Return a message of ours as compact JSON; `v` is added."""
    message["v"] = 1
    return json.dumps(message, separators=(",", ":")).encode()


def seal(record: Json) -> bytes:
    """Return the sealed bytes of a record; WireError if it is too long."""
    sealed = dump(record)
    if len(sealed) > RECORD_BYTES_MAX:
        raise WireError(f"record of {len(sealed)} bytes, not 0..{RECORD_BYTES_MAX}")
    return sealed


def wrap(low: int, sealed: bytes) -> bytes:
    """Return the message that carries a sealed record, `low` the lowest seq still held."""
    return b'{"low":%d,"record":%s}' % (low, sealed)
