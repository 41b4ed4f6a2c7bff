"""How good the clock was that dated a record, worst first."""

from wire_protocol.errors import WireError

NONE = 0  # Nothing known: the time is the uptime, counted from the start of this boot.
RTC = 1  # Carried on from the build date or from the last time known; may be far off.
SERVER = 2  # Taken from a receipt of the gateway.
GNSS = 3  # Taken from the satellites.

NAMES = ("none", "rtc", "server", "gnss")


def name(code: int) -> str:
    """Return the name of a quality code.

    Raises:
        WireError: The code is not one of the four.
    """
    if not 0 <= code < len(NAMES):
        raise WireError(f"clock quality {code}, not 0..{len(NAMES) - 1}")
    return NAMES[code]


def code(text: str) -> int:
    """Return the code of a quality name.

    Raises:
        WireError: The name is not one of the four.
    """
    if text not in NAMES:
        raise WireError(f"clock quality {text[:20]!r}, not none, rtc, server or gnss")
    return NAMES.index(text)
