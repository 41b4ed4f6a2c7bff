"""What a device is told, parsed in the fewest bytes of heap; loaded for the moment.

Every message down is parsed here or in `lean_told`, on the server's side too. Names that a message
has beyond those checked are left in, and nobody looks at them.
"""
# mypy: disable-error-code=type-arg
# A name for what JSON holds would have to be imported, and would stay in the heap.

import json

from wire_protocol.errors import WireError

try:
    from typing import Any

    Json = dict[str, Any]
except ImportError:  # MicroPython, which reads no annotations
    Json = dict  # type: ignore[misc]

MESSAGE_BYTES_MAX = 4096  # No JSON message of ours needs half of it.
BRACKETS_MAX = 500  # 240 may stand in a text; nested, each would take a device some 50 bytes.
COUNTS_MAX = 33  # upto and 32 singles: twice the window of 16 messages
U32_MAX = 0xFFFFFFFF
AT_MS_MAX = U32_MAX * 1000 + 999
STREAMS = ("track", "reading", "event", "result")


def parse_receipt(payload: bytes) -> Json:
    """Return {"at", "epoch", "streams": {stream: [upto, single...]}}; WireError if it is none.

    `refused`, {stream: [seq...]} of records that are done but not stored, may be there as well.
    """
    receipt = load(payload)
    check_int(receipt, "at", 0, AT_MS_MAX)
    check_int(receipt, "epoch", 0, U32_MAX)
    _check_counts(receipt.get("streams"))
    if "refused" in receipt:
        _check_counts(receipt["refused"])
    return receipt


def _check_counts(streams: object) -> None:
    if type(streams) is not dict or len(streams) > len(STREAMS):
        raise WireError("receipt without streams")
    for stream, counts in streams.items():
        if stream not in STREAMS or type(counts) is not list or not 0 < len(counts) <= COUNTS_MAX:
            raise WireError(f"receipt of {stream[:20]!r}, not 1..{COUNTS_MAX} counts of a stream")
        for count in counts:
            if type(count) is not int or not 0 <= count <= U32_MAX:
                raise WireError(f"receipt of seq {repr(count)[:20]}")


def load(payload: bytes) -> Json:
    """Return the JSON object of a message of version 1; WireError if it is none."""
    message = load_any(payload)
    check_int(message, "v", 1, 1)
    return message


def load_any(payload: bytes) -> Json:
    """Return the JSON object of a message; WireError if it is none, or too much of one."""
    if len(payload) > MESSAGE_BYTES_MAX:
        raise WireError(f"message of {len(payload)} bytes, not 0..{MESSAGE_BYTES_MAX}")
    if payload.count(b"[") + payload.count(b"{") > BRACKETS_MAX:
        raise WireError(f"message with more than {BRACKETS_MAX} brackets")
    try:
        # In a list with a number behind it: MicroPython up to 1.26 takes an object cut short.
        values = json.loads("[" + str(payload, "utf-8") + ",0]")
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        raise WireError("message is not JSON") from None
    if len(values) != 2 or type(values[0]) is not dict:
        raise WireError("message is not a JSON object")
    found: dict = values[0]
    return found


def check_int(message: Json, name: str, low: int, high: int) -> None:
    """Raise WireError unless a field is an integer within its limits."""
    value = message.get(name)
    if type(value) is not int or not low <= value <= high:
        raise WireError(f"{name} is {repr(value)[:40]}, not {low}..{high}")
