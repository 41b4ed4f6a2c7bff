"""The SOS relay: what a terminal without a link hands to its neighbours, and what comes back.

`up/relay` and `down/relay` carry the very bytes that go by radio: `version u8 | kind u8 |
address 8 | iv 16 | ciphertext`, 250 bytes at most (ESP-NOW). The address is a pseudonym that only
the gateway can tell a device by. Body, little-endian, sealed with a key of the device's own in
the way of SIV (RFC 5297: the initial vector is a keyed hash of header and body, so the same record
gives the same bytes, and what was changed does not open), here of HMAC-SHA256 and AES-128-CBC,
which both chips and servers have. docs/wire_protocol.md, "Relay".

A record in short has every field of the sealed one: the gateway makes the same record of it, and
stores it under the same key, whichever way it came first. Both sides use this module; sealing is
done where the ciphers are (firmware/device/adapters, gateway/adapters).
"""

# mypy: disable-error-code=type-arg
# As in `lean`.

import struct

from wire_protocol import clock
from wire_protocol.errors import WireError

VERSION = 1
FRAME_BYTES_MAX = 250  # ESP-NOW's ESP_NOW_MAX_DATA_LEN
HEADER_BYTES = 10
IV_BYTES = 16
BLOCK_BYTES = 16

SOS = 1  # Kinds up
SOS_CANCEL = 2
RECEIPT = 0x81  # Kinds down
SOS_STATUS = 0x82

# Names of the wearer's triggers and of what becomes of an SOS, as both are numbered here.
TRIGGERS = ("button", "silent", "man_down", "check_in")
STATUSES = ("taken", "help", "closed")
SINGLES_MAX = 8
BY_BYTES_MAX = 40
DISTANCE_UNKNOWN = 0xFFFFFFFF

# low, epoch, seq, boot, uptime_s, at (s, ms), clock, trigger, incident, press, has a fix
_RECORD = "<IIIIIIHBBIIB"
_FIX = "<iiIHii"  # lat, lon, at (s, ms), accuracy_m or -1, alt_mm or _NO_ALTITUDE
_RECEIPT = "<IHIIB"  # at (s, ms), epoch, upto; how many singles follow
_STATUS = "<IIBIHIB"  # epoch, incident, status, at (s, ms), distance_m; how many bytes of a name
_NO_ALTITUDE = -(1 << 31)
_UP = (SOS, SOS_CANCEL)
_DOWN = (RECEIPT, SOS_STATUS)


def header(kind: int, address: bytes) -> bytes:
    """Return what stands readable before the sealed part."""
    return bytes((VERSION, kind)) + address


def parse_header(frame: bytes) -> tuple:
    """Return (kind, address) of a frame; WireError if it is none of ours."""
    size = len(frame)
    sealed = size - HEADER_BYTES - IV_BYTES
    if sealed < BLOCK_BYTES or sealed % BLOCK_BYTES or size > FRAME_BYTES_MAX:
        raise WireError(f"relay frame of {size} bytes")
    if frame[0] != VERSION or frame[1] not in _UP + _DOWN:
        raise WireError(f"relay frame of version {frame[0]}, kind {frame[1]}")
    return frame[1], bytes(frame[2:HEADER_BYTES])


def is_up(kind: int) -> bool:
    """Tell whether a frame of this kind goes to the gateway."""
    return kind in _UP


def encode_record(low: int, record: dict) -> tuple:
    """Return (kind, body) of a sealed `sos` or `sos_cancel` record."""
    fix = record.get("fix")
    body = struct.pack(
        _RECORD,
        low, record["epoch"], record["seq"], record["boot"], record["uptime_s"],
        record["at"] // 1000, record["at"] % 1000, clock.NAMES.index(record["clock"]),
        TRIGGERS.index(record.get("trigger", "button")), record["incident"],
        record.get("press", 0), 1 if fix else 0,
    )  # fmt: skip
    if fix:
        accuracy, altitude = fix["accuracy_m"], fix["alt_mm"]
        body += struct.pack(
            _FIX,
            fix["lat"], fix["lon"], fix["at"] // 1000, fix["at"] % 1000,
            -1 if accuracy is None else accuracy,
            _NO_ALTITUDE if altitude is None else altitude,
        )  # fmt: skip
    return (SOS if record["kind"] == "sos" else SOS_CANCEL), body


def decode_record(kind: int, body: bytes) -> tuple:
    """Return (low, record) of a body that `encode_record` made; WireError if it is none.

    The record is as the device sealed it and is still to be checked like any other.
    """
    fixed = struct.calcsize(_RECORD)
    if len(body) < fixed:
        raise WireError(f"relayed record of {len(body)} bytes")
    (low, epoch, seq, boot, uptime_s, at_s, at_ms, quality, trigger, incident, press, has_fix) = (
        struct.unpack(_RECORD, body[:fixed])
    )
    if quality >= len(clock.NAMES) or trigger >= len(TRIGGERS):
        raise WireError(f"relayed record with clock {quality}, trigger {trigger}")
    if len(body) != fixed + (struct.calcsize(_FIX) if has_fix else 0):
        raise WireError(f"relayed record of {len(body)} bytes")
    record = {
        "v": 1, "epoch": epoch, "seq": seq, "kind": "sos" if kind == SOS else "sos_cancel",
        "at": at_s * 1000 + at_ms, "clock": clock.NAMES[quality], "uptime_s": uptime_s,
        "boot": boot, "incident": incident,
    }  # fmt: skip
    if kind == SOS:
        record["trigger"] = TRIGGERS[trigger]
        record["press"] = press
        record["fix"] = _fix(body[fixed:]) if has_fix else None
    return low, record


def _fix(part: bytes) -> dict:
    lat, lon, at_s, at_ms, accuracy, altitude = struct.unpack(_FIX, part)
    return {
        "lat": lat, "lon": lon, "at": at_s * 1000 + at_ms,
        "accuracy_m": None if accuracy < 0 else accuracy,
        "alt_mm": None if altitude == _NO_ALTITUDE else altitude,
    }  # fmt: skip


def encode_receipt(at_ms: int, epoch: int, counts: list) -> tuple:
    """Return (kind, body): what of the device's events is stored, `[upto, single...]`."""
    singles = counts[1 : 1 + SINGLES_MAX]
    body = struct.pack(_RECEIPT, at_ms // 1000, at_ms % 1000, epoch, counts[0], len(singles))
    for single in singles:
        body += struct.pack("<I", single)
    return RECEIPT, body


def encode_status(status: dict) -> tuple:
    """Return (kind, body) of a `sos_status`, as `lean_told.parse_sos_status` returns it."""
    by = status["by"].encode()
    distance = status.get("distance_m")
    body = struct.pack(
        _STATUS,
        status["epoch"], status["incident"], STATUSES.index(status["status"]),
        status["at"] // 1000, status["at"] % 1000,
        DISTANCE_UNKNOWN if distance is None else distance, len(by),
    )  # fmt: skip
    return SOS_STATUS, body + by


def decode_answer(kind: int, body: bytes) -> dict:
    """Return the receipt or `sos_status` in a body, as the messages of those names are.

    Raises:
        WireError: It is neither.
    """
    layout = _RECEIPT if kind == RECEIPT else _STATUS
    fixed = struct.calcsize(layout)
    if kind not in _DOWN or len(body) < fixed:
        raise WireError(f"relayed answer of kind {kind}, {len(body)} bytes")
    values = struct.unpack(layout, body[:fixed])
    rest = body[fixed:]
    if kind == RECEIPT:
        at_s, at_ms, epoch, upto, count = values
        if count > SINGLES_MAX or len(rest) != 4 * count:
            raise WireError(f"relayed receipt with {count} singles")
        counts = [upto] + list(struct.unpack(f"<{count}I", rest))
        return {"at": at_s * 1000 + at_ms, "epoch": epoch, "streams": {"event": counts}}
    epoch, incident, number, at_s, at_ms, distance, size = values
    if number >= len(STATUSES) or size != len(rest) or size > BY_BYTES_MAX:
        raise WireError(f"relayed status {number}, {size} bytes of a name")
    try:
        by = str(rest, "utf-8")
    except ValueError:
        raise WireError("relayed status by a name that is not UTF-8") from None
    return {
        "epoch": epoch, "incident": incident, "status": STATUSES[number], "by": by,
        "at": at_s * 1000 + at_ms,
        "distance_m": None if distance == DISTANCE_UNKNOWN else distance,
    }  # fmt: skip
