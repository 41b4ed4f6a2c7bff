"""What a device's last state means for the people who rely on it: pure."""

from collections.abc import Mapping
from typing import Any

LOW_BATTERY_PERCENT = 20  # Some two hours of a terminal with its receiver on.


def flags(
    kind: str, online: bool | None, state: Mapping[str, Any] | None, *, silent: bool = False
) -> list[str]:
    """Return a device's flags, in a fixed order.

    Args:
        kind: "terminal" or "sensor_node".
        online: What its last state or will said; None when it was never heard.
        state: Its last full state; of a will it may be without most fields.
        silent: It says that it is online, and nothing was heard of it for too long: a will that
            was lost, a gateway that is down.
    """
    if online is None:
        return ["unseen"]
    state = state or {}
    on_duty = state.get("duty")
    faulty = bool(state.get("faults"))
    battery = state.get("battery_percent")
    # Whoever wears it believes to be heard: that is what "unprotected" warns of.
    unprotected = kind == "terminal" and on_duty is True and (not online or faulty or silent)
    muted = any(seconds > 0 for seconds in (state.get("muted") or {}).values())
    judged = {
        "offline": not online,
        "off_duty": on_duty is False,
        "unprotected": unprotected,
        "faulty": faulty,
        "dropped": (state.get("dropped") or 0) > 0,
        "low_battery": battery is not None and battery < LOW_BATTERY_PERCENT,
        "muted": muted,
    }
    return [name for name, holds in judged.items() if holds]


def is_silent(device: Mapping[str, Any], now_ms: int, stale_after_s: int) -> bool:
    """Tell whether neither state, position nor reading came of a device for `stale_after_s`."""
    heard = [device["received_ms"], *(row["received_ms"] for row in device["readings"].values())]
    if device["position"] is not None:
        heard.append(device["position"]["received_ms"])
    known = [moment for moment in heard if moment is not None]
    return bool(known) and now_ms - max(known) > stale_after_s * 1000
