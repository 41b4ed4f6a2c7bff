"""Topics: built and parsed here and nowhere else.

`xh/1/{device}/up/{kind}`, `xh/1/{device}/down/{kind}`, `xh/1/live/{producer}`.
"""

from wire_protocol.errors import WireError

DEVICE_ID_MIN = 3
DEVICE_ID_MAX = 32
UP = ("track", "reading", "event", "state", "result", "relay", "block_request", "voice")
DOWN = ("receipt", "command", "sos_status", "watch", "mute", "relay", "block", "voice")
STREAMS = ("track", "reading", "event", "result")  # Those of UP that a receipt counts.

_PREFIX = "xh/1/"
_QOS_1 = ("event", "result", "state", "relay", "command", "sos_status", "mute")
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
_PRODUCERS = ("gateway-", "api-")


def check_device_id(text: str) -> str:
    """Return a device id unchanged: 3..32 of a-z 0-9 -, first `t-` (terminal) or `s-` (sensor).

    Raises:
        WireError: It is not such a name.
    """
    if (
        not DEVICE_ID_MIN <= len(text) <= DEVICE_ID_MAX
        or text[:2] not in ("t-", "s-")
        or _has_other(text)
    ):
        raise WireError(f"device id {text[:40]!r}, not t-... or s-..., 3..32 of a-z 0-9 -")
    return text


def up(device: str, kind: str) -> str:
    """Return the topic on which a device speaks; WireError if there is no such kind."""
    if kind not in UP:
        raise WireError(f"no topic up/{kind[:20]}")
    return _PREFIX + check_device_id(device) + "/up/" + kind


def down(device: str, kind: str) -> str:
    """Return the topic on which a device is spoken to; WireError if there is no such kind."""
    if kind not in DOWN:
        raise WireError(f"no topic down/{kind[:20]}")
    return _PREFIX + check_device_id(device) + "/down/" + kind


def live(producer: str) -> str:
    """Return the topic of one producer of live deltas: `gateway-...` or `api-...`."""
    for prefix in _PRODUCERS:
        if producer.startswith(prefix) and len(prefix) < len(producer) <= DEVICE_ID_MAX:
            if _has_other(producer):
                break
            return _PREFIX + "live/" + producer
    raise WireError(f"producer {producer[:40]!r}, not gateway-... or api-... of a-z 0-9 -")


def parse(topic: str) -> tuple[str, str, str]:
    """Return (device, "up" or "down", kind) of a device's topic; WireError for any other."""
    parts = topic.split("/")
    if len(parts) == 5 and parts[0] == "xh" and parts[1] == "1":
        device, way, kind = parts[2:]
        if (way == "up" and kind in UP) or (way == "down" and kind in DOWN):
            return check_device_id(device), way, kind
    raise WireError(f"topic {topic[:80]!r}, not xh/1/DEVICE/up|down/KIND")


def parse_live(topic: str) -> str:
    """Return the producer of a live topic; WireError for any other topic."""
    producer = topic[len(_PREFIX) + 5 :]
    if not topic.startswith(_PREFIX + "live/") or live(producer) != topic:
        raise WireError(f"topic {topic[:80]!r}, not xh/1/live/PRODUCER")
    return producer


def qos(kind: str) -> int:
    """Return the MQTT quality of service of a kind: 1 where a receipt alone would be too slow."""
    return 1 if kind in _QOS_1 else 0


def _has_other(text: str) -> bool:
    return any(letter not in _ID_LETTERS for letter in text)
