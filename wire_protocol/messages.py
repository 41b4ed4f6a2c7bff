"""JSON messages, both sides; a device imports `device_messages` alone."""

from wire_protocol import sensors, shape, topics
from wire_protocol.clock import NAMES as CLOCKS
from wire_protocol.device_messages import (
    COMMAND,
    COMMAND_BODIES,
    MUTE,
    NAME_BYTES_MAX,
    RECEIPT,
    SOS_STATUS,
    VERSION,
    WATCH,
    make_state,
    parse_command,
    parse_mute,
    parse_receipt,
    parse_sos_status,
    parse_watch,
)
from wire_protocol.errors import WireError
from wire_protocol.shape import Json, Shape

__all__ = [
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

FAULTS_MAX = 16

STATE = (
    "object",
    {
        "v": VERSION,
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
    loaded = shape.load(payload, "state")
    state: Json = shape.check(loaded, STATE, "state")
    if state["online"]:
        state.update(shape.check(loaded, STATE_ONLINE, "state"))
    return state


def make_receipt(at_ms: int, epoch: int, streams: "dict[str, list[int]]") -> bytes:
    """Return a receipt.

    Args:
        at_ms: The server's time.
        epoch: Of the device's journal.
        streams: For each stream that changed `[upto, single...]`: all up to `upto`, and the first
            seq of each of at most 32 batches above it, are stored, refused or dropped.
    """
    return _make({"at": at_ms, "epoch": epoch, "streams": streams}, RECEIPT)


def make_command(command_id: str, kind: str, body: Json, ttl_s: int, issued_ms: int) -> bytes:
    """Return a command of a kind in COMMAND_BODIES; `command_id` has 16 hexadecimal digits."""
    if kind not in COMMAND_BODIES:
        raise WireError(f"command kind {kind[:20]!r}, not {' | '.join(COMMAND_BODIES)}")
    body = shape.check(body, COMMAND_BODIES[kind], kind)
    fields = {"id": command_id, "kind": kind, "ttl_s": ttl_s, "issued": issued_ms, "body": body}
    return _make(fields, COMMAND)


def make_sos_status(epoch: int, incident: int, status: str, by: str, at_ms: int) -> bytes:
    """Return what became of an SOS: status taken, help or closed, by whom, when."""
    fields = {"epoch": epoch, "incident": incident, "status": status, "by": by, "at": at_ms}
    return _make(fields, SOS_STATUS)


def make_watch(lease_s: int) -> bytes:
    """Return the wish to see each fix at once, for 1..300 s."""
    return _make({"lease_s": lease_s}, WATCH)


def make_mute(command_id: str, sensor: str, for_s: int) -> bytes:
    """Return the order to mute the alarm of a sensor for 0..86400 s; 0 ends it."""
    return _make({"id": command_id, "sensor": sensor, "for_s": for_s}, MUTE)


def _make(fields: Json, kind: Shape) -> bytes:
    message = {"v": 1}
    message.update(fields)
    return shape.dump(shape.check(message, kind, "message"))
