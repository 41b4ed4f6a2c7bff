"""JSON messages, both sides; a device imports `lean` alone (and a sensor node `lean_mute`)."""

from wire_protocol import configure, lean, sensors, shape, topics
from wire_protocol.clock import NAMES as CLOCKS
from wire_protocol.errors import WireError
from wire_protocol.lean import parse_receipt
from wire_protocol.lean_mute import MUTE_S_MAX, parse_mute
from wire_protocol.lean_told import (
    LEASE_S_MAX,
    NAME_BYTES_MAX,
    RING_S_MAX,
    TEXT_BYTES_MAX,
    TTL_S_MAX,
    parse_command,
    parse_sos_status,
    parse_watch,
)
from wire_protocol.shape import Json

__all__ = [
    "ANSWERS",
    "COMMAND_KINDS",
    "LEASE_S_MAX",
    "MUTE_S_MAX",
    "NAME_BYTES_MAX",
    "REFUSED_MAX",
    "RING_S_MAX",
    "TEXT_BYTES_MAX",
    "TTL_S_MAX",
    "make_command",
    "make_mute",
    "make_receipt",
    "make_sos_status",
    "make_state",
    "make_watch",
    "parse_command",
    "parse_mute",
    "parse_receipt",
    "parse_sos_status",
    "parse_state",
    "parse_watch",
]

# What the body of each kind names, and may name besides.
COMMAND_KINDS: dict[str, tuple[list[str], list[str]]] = {
    "message": (["text"], ["answers"]),
    "locate": ([], []),
    "duty": (["on"], []),
    "ring": (["for_s"], []),
    "configure": (["settings"], []),
    "reboot": ([], []),
    "self_test": ([], []),
    "read_log": (["first"], []),
}
# What the wearer may answer to a message that asks for it, in `data` of its results.
ANSWERS = ("accept", "decline", "arrived", "done")
FAULTS_MAX = 16
REFUSED_MAX = 32  # As many as singles.
REFUSED = ("map", ("event",), ("list", shape.SEQ, 1, REFUSED_MAX), 1)

STATE = (
    "object",
    {
        "v": ("int", 1, 1),
        "online": shape.FLAG,
        "epoch": shape.U32,
        "boot": shape.U32,
        "connection": shape.U32,
    },
)
STATE_ONLINE = (
    "object",
    {
        "at": shape.AT_MS,
        "clock": ("one", CLOCKS),
        "uptime_s": shape.U32,
        "device_kind": ("one", ("terminal", "sensor_node")),
        "version": ("text", NAME_BYTES_MAX),
        "battery_mv": ("null", ("int", 0, 100_000)),
        "battery_percent": ("null", ("int", 0, 100)),
        "rssi_dbm": ("null", ("int", -200, 100)),
        "heap_free": shape.U32,
        "reset": ("text", 20),
        "duty": ("null", shape.FLAG),
        "sos": (
            "null",
            (
                "object",
                {
                    # Where it was opened, once the device counts in another.
                    "epoch": ("optional", shape.U32),
                    "incident": shape.SEQ,
                    "shown": ("one", ("open", "sent", "stored", "taken", "help")),
                },
            ),
        ),
        "fix_age_s": ("null", shape.U32),
        "held": ("map", topics.STREAMS, shape.U32, len(topics.STREAMS)),
        "dropped": shape.U32,
        "faults": ("list", ("text", NAME_BYTES_MAX), 0, FAULTS_MAX),
        "muted": ("map", sensors.NAMES, ("int", 0, 86_400), len(sensors.NAMES)),
    },
)


def parse_state(payload: bytes) -> Json:
    """Return a device's state: of the will, five fields; WireError if it is none."""
    loaded = lean.load(payload)
    state: Json = shape.check(loaded, STATE, "state")
    if state["online"]:
        state.update(shape.check(loaded, STATE_ONLINE, "state"))
    return state


def make_state(fields: Json) -> bytes:
    """Return a state, or a will; `v` is added. A device has `lean.dump` for it."""
    payload = _dump(fields)
    parse_state(payload)
    return payload


def make_receipt(
    at_ms: int,
    epoch: int,
    streams: "dict[str, list[int]]",
    refused: "dict[str, list[int]] | None" = None,
) -> bytes:
    """Return a receipt.

    Args:
        at_ms: The server's time.
        epoch: Of the device's journal.
        streams: For each stream that changed `[upto, single...]`: all up to `upto`, and the first
            seq of each of at most 32 batches above it, are stored, refused or dropped.
        refused: Of the stream "event", at most 32 seqs among those that were refused just now:
            a wearer must not feel "stored" for them.
    """
    fields = {"at": at_ms, "epoch": epoch, "streams": streams}
    if refused:
        fields["refused"] = shape.check(refused, REFUSED, "refused")
    payload = _dump(fields)
    parse_receipt(payload)
    return payload


def make_command(command_id: str, kind: str, body: Json, ttl_s: int, issued_ms: int) -> bytes:
    """Return a command of a kind in COMMAND_KINDS; `command_id` has 16 hexadecimal digits."""
    if kind not in COMMAND_KINDS:
        raise WireError(f"command kind {kind[:20]!r}, not {' | '.join(COMMAND_KINDS)}")
    named, besides = COMMAND_KINDS[kind]
    if not set(named) <= set(body) <= set(named + besides):
        raise WireError(f"command {kind} has a body of {named}, not {list(body)}")
    if kind == "configure" and (reason := configure.wrong(body["settings"])):
        raise WireError(reason)
    fields = {"id": command_id, "kind": kind, "ttl_s": ttl_s, "issued": issued_ms, "body": body}
    payload = _dump(fields)
    parse_command(payload)
    return payload


def make_sos_status(
    epoch: int,
    incident: int,
    status: str,
    by: str,
    at_ms: int,
    distance_m: int | None = None,
) -> bytes:
    """Return what became of an SOS: status taken, help or closed, by whom, when, how far."""
    fields = {"epoch": epoch, "incident": incident, "status": status, "by": by, "at": at_ms}
    if distance_m is not None:
        fields["distance_m"] = distance_m
    payload = _dump(fields)
    parse_sos_status(payload)
    return payload


def make_watch(lease_s: int) -> bytes:
    """Return the wish to see each fix at once, for 1..300 s."""
    payload = _dump({"lease_s": lease_s})
    parse_watch(payload)
    return payload


def make_mute(command_id: str, sensor: str, for_s: int) -> bytes:
    """Return the order to mute the alarm of a sensor for 0..86400 s; 0 ends it."""
    payload = _dump({"id": command_id, "sensor": sensor, "for_s": for_s})
    parse_mute(payload)
    return payload


def _dump(fields: Json) -> bytes:
    """Write a message; its maker parses it, since what a peer would refuse is never sent."""
    message = {"v": 1}
    message.update(fields)
    return shape.dump(message)
