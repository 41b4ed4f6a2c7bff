"""The JSON messages of a device's side: its state out, and what it is told in.

Shapes are in `shape`'s terms. The server's side of the same messages is in `messages`.
"""

from wire_protocol import sensors, shape, topics
from wire_protocol.shape import Json, Shape

VERSION = ("int", 1, 1)
TEXT_BYTES_MAX = 240
NAME_BYTES_MAX = 40
SINGLES_MAX = 32  # Singles of one stream in a receipt.
TTL_S_MAX = 604_800
LEASE_S_MAX = 300
MUTE_S_MAX = 86_400

RECEIPT = (
    "object",
    {
        "v": VERSION,
        "at": shape.AT_MS,
        "epoch": shape.U32,
        "streams": ("map", topics.STREAMS, ("list", shape.U32, 1, SINGLES_MAX + 1), 4),
    },
)
COMMAND = (
    "object",
    {
        "v": VERSION,
        "id": shape.HEX_ID,
        "kind": ("text", 20),
        "ttl_s": ("int", 1, TTL_S_MAX),
        "issued": shape.AT_MS,
        "body": ("data", 2),
    },
)
COMMAND_BODIES = {
    "message": ("object", {"text": ("text", TEXT_BYTES_MAX)}),
    "locate": ("object", {}),
    "duty": ("object", {"on": shape.FLAG}),
}
SOS_STATUS = (
    "object",
    {
        "v": VERSION,
        "epoch": shape.U32,
        "incident": shape.SEQ,
        "status": ("one", ("taken", "help", "closed")),
        "by": ("text", NAME_BYTES_MAX),
        "at": shape.AT_MS,
    },
)
WATCH = ("object", {"v": VERSION, "lease_s": ("int", 1, LEASE_S_MAX)})
MUTE = (
    "object",
    {
        "v": VERSION,
        "id": shape.HEX_ID,
        "sensor": ("one", sensors.NAMES),
        "for_s": ("int", 0, MUTE_S_MAX),
    },
)


def make_state(fields: Json) -> bytes:
    """Return the state (or the will, with `online` false) as JSON.

    Not checked here: a device builds it from its own numbers, and the gateway checks it.
    """
    fields["v"] = 1
    return shape.dump(fields)


def parse_receipt(payload: bytes) -> Json:
    """Return {"at", "epoch", "streams": {stream: [upto, single...]}}; WireError if it is none."""
    return _parse(payload, RECEIPT, "receipt")


def parse_command(payload: bytes) -> Json:
    """Return {"id", "kind", "ttl_s", "issued", "body"}.

    Raises:
        WireError: It is no command. A command of a kind unknown here has a body of None, so that
            it can be answered as refused.
    """
    command = _parse(payload, COMMAND, "command")
    body = COMMAND_BODIES.get(command["kind"])
    command["body"] = body and shape.check(command["body"], body, "command.body")
    return command


def parse_sos_status(payload: bytes) -> Json:
    """Return {"epoch", "incident", "status", "by", "at"}; WireError if it is none."""
    return _parse(payload, SOS_STATUS, "sos_status")


def parse_watch(payload: bytes) -> Json:
    """Return {"lease_s"}; WireError if it is none."""
    return _parse(payload, WATCH, "watch")


def parse_mute(payload: bytes) -> Json:
    """Return {"id", "sensor", "for_s"}; WireError if it is none."""
    return _parse(payload, MUTE, "mute")


def _parse(payload: bytes, kind: Shape, what: str) -> Json:
    found: Json = shape.check(shape.load(payload, what), kind, what)
    return found
