"""What a device is told now and then: command, sos_status, watch; `lean` has what it hears often.

A module of its own, because a device loads it for the moment only.
"""
# mypy: disable-error-code=type-arg
# As in `lean`.

from wire_protocol import lean
from wire_protocol.errors import WireError

TEXT_BYTES_MAX = 240
NAME_BYTES_MAX = 40
TTL_S_MAX = 604_800
LEASE_S_MAX = 300
RING_S_MAX = 300
KINDS = (
    "message", "locate", "duty", "ring", "configure", "reboot", "self_test", "read_log",
)  # fmt: skip
DISTANCE_M_MAX = 1_000_000


def parse_command(payload: bytes) -> lean.Json:
    """Return {"id", "kind", "ttl_s", "issued", "body"}; a kind unknown here has a body of None.

    What a `configure` may set is checked where it is done, by `configure.wrong`.

    Raises:
        WireError: It is no command.
    """
    command = load_named(payload)
    reason = wrong_command(command)
    if reason:
        raise WireError(reason)
    return command


def load_named(payload: bytes) -> lean.Json:
    """Return a message that has an id, whatever else it has; WireError if it has none."""
    message = lean.load_any(payload)
    check_id(message)
    return message


def wrong_command(command: lean.Json) -> str:
    """Return what is wrong with a command that has an id (field and limit), or "".

    In words, not raised: the device answers with it, and there the texts of exceptions are left
    out. A body that is of no use becomes None.
    """
    reason = (
        wrong_int(command, "v", 1, 1)
        or wrong_text(command, "kind", 20)
        or wrong_int(command, "ttl_s", 1, TTL_S_MAX)
        or wrong_int(command, "issued", 0, lean.AT_MS_MAX)
    )
    body, kind = command.get("body"), command.get("kind")
    if reason or kind not in KINDS:
        command["body"] = None
        return reason
    if type(body) is not dict:
        return "bad: body {}"
    return _wrong_body(kind, body)


def _wrong_body(kind: str, body: lean.Json) -> str:
    if kind == "message":
        reason = wrong_text(body, "text", TEXT_BYTES_MAX)
        return reason or _wrong_flag(body.get("answers", False), "answers")
    if kind == "ring":
        return wrong_int(body, "for_s", 1, RING_S_MAX)
    if kind == "read_log":
        return wrong_int(body, "first", 0, lean.U32_MAX)
    if kind == "configure" and type(body.get("settings")) is not dict:
        return "bad: settings {}"
    if kind == "duty":
        return _wrong_flag(body.get("on"), "on")
    return ""


def parse_sos_status(payload: bytes) -> lean.Json:
    """Return {"epoch", "incident", "status", "by", "at", "distance_m"}; WireError if it is none.

    `distance_m`, how far who comes still is, may be missing or None.
    """
    status = lean.load(payload)
    lean.check_int(status, "epoch", 0, lean.U32_MAX)
    lean.check_int(status, "incident", 1, lean.U32_MAX)
    if status.get("status") not in ("taken", "help", "closed"):
        raise WireError("sos_status neither taken, help nor closed")
    check_text(status, "by", NAME_BYTES_MAX)
    lean.check_int(status, "at", 0, lean.AT_MS_MAX)
    if status.get("distance_m") is not None:
        lean.check_int(status, "distance_m", 0, DISTANCE_M_MAX)
    return status


def parse_watch(payload: bytes) -> lean.Json:
    """Return {"lease_s"}; WireError if it is none."""
    watch = lean.load(payload)
    lean.check_int(watch, "lease_s", 1, LEASE_S_MAX)
    return watch


def wrong_int(message: lean.Json, name: str, low: int, high: int) -> str:
    """Return which limits an integer field does not keep, or ""."""
    value = message.get(name)
    good = type(value) is int and low <= value <= high
    return "" if good else f"bad: {name} {low}..{high}"


def wrong_text(message: lean.Json, name: str, bytes_max: int) -> str:
    """Return which limit a field of text does not keep, or ""; UTF-8, without zeros."""
    try:
        check_text(message, name, bytes_max)
    except WireError:
        return f"bad: {name} 0..{bytes_max} bytes"
    return ""


def _wrong_flag(value: object, name: str) -> str:
    return "" if value is True or value is False else f"bad: {name} true or false"


def check_text(message: lean.Json, name: str, bytes_max: int) -> None:
    """Raise WireError unless a field is text of at most so many bytes of UTF-8, without zeros."""
    value = message.get(name)
    try:
        if type(value) is str and len(value.encode()) <= bytes_max and "\0" not in value:
            return
    except ValueError:  # Half of a surrogate pair
        pass
    raise WireError(f"{name} is not text of 0..{bytes_max} bytes of UTF-8 without zeros")


def check_id(message: lean.Json) -> None:
    """Raise WireError unless `id` is 16 hexadecimal digits."""
    check_text(message, "id", 16)
    if len(message["id"]) != 16 or message["id"].strip("0123456789abcdef"):
        raise WireError("id is not 16 hexadecimal digits")
