"""Turns ledger rows into messages for devices."""

from typing import Any

from wire_protocol import messages, topics


def message_of(command: dict[str, Any]) -> tuple[str, bytes]:
    """Return (topic, payload) of a ledger row.

    Raises:
        WireError: The row does not fit the wire; it is failed with that reason, never sent.
    """
    body, device = command["body"], command["device"]
    kind = command["topic"]
    if kind == "command":
        payload = messages.make_command(
            command["id"], command["kind"], body, command["ttl_s"], command["created_ms"]
        )
    elif kind == "mute":
        payload = messages.make_mute(command["id"], body["sensor"], body["for_s"])
    elif kind == "sos_status":
        payload = messages.make_sos_status(
            body["epoch"], body["incident"], body["status"], body["by"], body["at"]
        )
    else:
        payload = messages.make_watch(body["lease_s"])
    return topics.down(device, kind), payload


# How far an SOS has come on the wearer's screen; a case further on than that is told again.
_SHOWN = {"open": 0, "sent": 0, "stored": 0, "taken": 1, "help": 2}


def status_to_repeat(state: dict[str, Any], case: dict[str, Any] | None) -> str | None:
    """Return the sos_status that a device does not show yet, None when it shows the truth.

    Args:
        state: What the device says of itself.
        case: The case of that incident, None when there is none.
    """
    if state.get("sos") is None or case is None:
        return None
    if case["status"] == "closed":
        return "closed"
    if case["status"] == "taken" and _SHOWN[state["sos"]["shown"]] < 1:
        return "taken"
    return None
