"""What a `configure` command may change, with limits; one table for both sides.

`wrong` gives a reason in words instead of raising: the device answers with it, and a reason must
be readable there too, where the texts of exceptions are left out.
"""
# mypy: disable-error-code=type-arg
# As in `lean`.

# (name, default, lowest, highest). A tuple: MicroPython's dicts keep no order.
NUMBERS = (
    ("sos_hold_ms", 800, 0, 10_000),
    ("batch_fixes", 12, 1, 60),
    ("batch_s", 60, 1, 600),
    ("state_s", 600, 10, 86_400),
    ("return_s", 35, 0, 300),
    ("broker_port", 8883, 1, 65_535),
)
FLAGS = ("silent",)
TEXTS = ("broker_host", "broker_name")
TEXT_BYTES_MAX = 64
NETWORKS = "networks"  # [[name, password or ""], ...], the preferred one first
NETWORKS_MAX = 4
NETWORK_BYTES_MAX = 32  # IEEE 802.11, 9.4.2.2: an SSID
PASSWORD_BYTES = (8, 63)  # IEEE 802.11, J.4.1: a pass-phrase
CHANGES_MAX = 12


def wrong(changes: object) -> str:
    """Return what is wrong with a `configure` command's settings (field and limit), or ""."""
    if type(changes) is not dict or not 0 < len(changes) <= CHANGES_MAX:
        return f"settings: an object of 1..{CHANGES_MAX} names is wanted"
    for name in changes:
        reason = _wrong_one(name, changes[name])
        if reason:
            return reason
    return ""


def shown(body: dict) -> dict:
    """Return a command's body as people may see it: a password of a network is not for screens."""
    settings = body.get("settings")
    if type(settings) is not dict or NETWORKS not in settings:
        return body
    hidden = dict(settings)
    hidden[NETWORKS] = [[pair[0], "***" if pair[1] else ""] for pair in settings[NETWORKS]]
    found = dict(body)
    found["settings"] = hidden
    return found


def _wrong_one(name: str, value: object) -> str:
    for number, _, low, high in NUMBERS:
        if name == number:
            if type(value) is not int or not low <= value <= high:
                return f"{name} is {repr(value)[:20]}, not {low}..{high}"
            return ""
    if name in FLAGS:
        return "" if value is True or value is False else f"{name} is neither true nor false"
    if name in TEXTS:
        return _wrong_text(name, value, 1, TEXT_BYTES_MAX)
    if name == NETWORKS:
        return _wrong_networks(value)
    return f"{name[:20]}: no such setting"


def _wrong_text(name: str, value: object, least: int, most: int) -> str:
    try:
        if type(value) is str and least <= len(value.encode()) <= most and "\0" not in value:
            return ""
    except ValueError:  # Half of a surrogate pair
        pass
    return f"{name} is not text of {least}..{most} bytes"


def _wrong_networks(value: object) -> str:
    if type(value) is not list or not 0 < len(value) <= NETWORKS_MAX:
        return f"networks: a list of 1..{NETWORKS_MAX} is wanted"
    for pair in value:
        if type(pair) is not list or len(pair) != 2:
            return "networks: [name, password] is wanted"
        reason = _wrong_text("network name", pair[0], 1, NETWORK_BYTES_MAX)
        if not reason and pair[1] != "":
            reason = _wrong_text("network password", pair[1], *PASSWORD_BYTES)
        if reason:
            return reason
    return ""
