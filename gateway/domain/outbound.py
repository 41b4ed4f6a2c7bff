"""Turns ledger rows into messages for devices, and decides what a wearer must be told again."""

from collections.abc import Iterable
from typing import Any

from wire_protocol import messages, topics

Json = dict[str, Any]

# How far an SOS has come on the wearer's screen. Of what the command room says of it, what stands
# above that is told again.
_SHOWN = {"open": 0, "sent": 0, "stored": 0, "taken": 1, "help": 2}
_SAID = {"taken": 1, "help": 2, "closed": 3}


def left_s(command: Json, now_ms: int) -> int:
    """Return what is left of a row's time to live: 0 when it is over, else 1 s at least."""
    ttl_s: int = command["ttl_s"]
    left_ms = command["created_ms"] + ttl_s * 1000 - now_ms
    # Never more than was asked for: the API's clock may be ahead of this one.
    return min(ttl_s, max(1, left_ms // 1000)) if left_ms > 0 else 0


def message_of(command: Json, now_ms: int) -> tuple[str, bytes]:
    """Return (topic, payload) of a ledger row that is sent now, before its time is over.

    A device without a clock counts the time to live from when the message comes, each time that it
    does: so each sending says what is left, counted from this sending.

    Raises:
        WireError: The row does not fit the wire; it is failed with that reason, never sent.
    """
    body, device = command["body"], command["device"]
    kind = command["topic"]
    if kind == "command":
        payload = messages.make_command(
            command["id"], command["kind"], body, left_s(command, now_ms), now_ms
        )
    elif kind == "mute":
        payload = messages.make_mute(command["id"], body["sensor"], body["for_s"])
    elif kind == "sos_status":
        payload = messages.make_sos_status(
            body["epoch"], body["incident"], body["status"], body["by"], body["at"],
            body.get("distance_m"),
        )  # fmt: skip
    else:
        payload = messages.make_watch(body["lease_s"])
    return topics.down(device, kind), payload


def status_to_repeat(state: Json, case: Json | None, said: Iterable[Json]) -> Json | None:
    """Return the sos_status that a device does not show yet; None when it shows the truth.

    Args:
        state: What the device says of itself.
        case: The case that its SOS belongs to, None when there is none.
        said: Bodies of the sos_status rows for its incident.

    Returns:
        The fields of `messages.make_sos_status`: epoch, incident, status, by, at, distance_m.
    """
    sos = state.get("sos")
    if sos is None or case is None:
        return None
    if case["status"] != "closed" and case["presses"] > case["acknowledged_presses"]:
        # The wearer would take it for the press that nobody has looked at yet.
        return None
    furthest = max(said, key=lambda body: (_SAID[body["status"]], body["at"]), default=None)
    if furthest is None or _SAID[furthest["status"]] < _SAID.get(case["status"], 0):
        # A further press in a case that was taken before: the wearer must learn of it.
        furthest = _of_case(*opened(state, sos), case)
    if furthest is None or _SAID[furthest["status"]] <= _SHOWN[sos["shown"]]:
        return None
    return furthest


def shows(state: Json, body: Json) -> bool:
    """Tell whether a device that sent this state has taken in an sos_status."""
    sos = state.get("sos")
    if sos is None or opened(state, sos) != (body["epoch"], body["incident"]):
        return bool(body["status"] == "closed")
    return _SHOWN[sos["shown"]] >= _SAID[body["status"]]


def opened(state: Json, sos: Json) -> tuple[int, int]:
    """Return (epoch, incident) of the `sos` in a state."""
    return (sos if "epoch" in sos else state)["epoch"], sos["incident"]


def _of_case(epoch: int, incident: int, case: Json) -> Json | None:
    if case["status"] == "closed":
        by, at_ms = case["closed_by"], case["closed_ms"]
    elif case["status"] == "taken":
        by, at_ms = case["taken_by"], case["taken_ms"]
    else:
        return None
    return {
        "epoch": epoch, "incident": incident, "status": case["status"], "by": by or "",
        "at": at_ms or 0,
    }  # fmt: skip
