"""Turns what a device published into rows to store, or into a refusal that can be receipted.

Checked once, here. A refused message is kept for inspection and, where its epoch and seq can be
read, receipted: what this gateway will never take must not block the device's journal for ever.
"""

import json
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from storage.telemetry.interface import ReadingRow, TrackRow
from wire_protocol import frames, messages, records, topics
from wire_protocol.errors import WireError

Json = dict[str, Any]

# Why a message is refused, as metrics count it; the words for people are in `reason`.
BAD_TOPIC = "bad_topic"
BAD_FRAME = "bad_frame"
WRONG_KIND = "wrong_kind"
UNKNOWN_DEVICE = "unknown_device"
STORE_REFUSED = "store_refused"

# Five topics of ten districts; the least used ones are parsed anew.
_TOPICS_REMEMBERED_MAX = 1 << 17
_MESSAGE_BYTES_MAX = 16_384  # Far above any message of ours.
_SOS_KIND = b'"kind":"sos"'
_HEADER = struct.Struct("<IBBIIBB")  # low, then the record's header


class Claim(NamedTuple):
    """What one message says of its place in a stream: seq `first`..`last`, and `low`."""

    device: str
    epoch: int
    stream: str
    first: int
    last: int
    low: int


@dataclass(frozen=True, slots=True)
class Record:
    """A checked event or result."""

    device: str
    stream: str  # event | result
    low: int
    record: Json
    received_ms: int
    via: str = ""  # The neighbour that carried it; empty when it came by the device's own link.

    @property
    def is_sos(self) -> bool:
        """True for what must not wait behind anything else."""
        kind: str = self.record["kind"]
        return kind in ("sos", "sos_cancel")

    @property
    def claim(self) -> Claim:
        """Its place in its stream."""
        seq = self.record["seq"]
        return Claim(self.device, self.record["epoch"], self.stream, seq, seq, self.low)


@dataclass(frozen=True, slots=True)
class State:
    """A checked state or last will; `retained`: the broker had kept it, it is not news."""

    device: str
    state: Json
    received_ms: int
    retained: bool


class Batch(NamedTuple):
    """A checked batch of fixes or readings."""

    stream: str  # track | reading
    low: int
    row: TrackRow | ReadingRow

    @property
    def claim(self) -> Claim:
        """Its place in its stream."""
        row = self.row
        last = row.seq + row.records - 1
        return Claim(row.device, row.epoch, self.stream, row.seq, last, self.low)


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that will never be stored, and, if it could be read, which seqs it claimed."""

    device: str
    stream: str
    topic: str
    code: str  # One of the constants above.
    reason: str
    payload: bytes
    received_ms: int
    claim: Claim | None = None
    is_sos: bool = False  # As far as it can be read: somebody may have called for help.


def read_urgent(
    topic: str, payload: bytes, received_ms: int, *, retained: bool = False
) -> Record | State | Refused:
    """Check an event, result or state."""
    try:
        device, stream = _origin(topic)
    except WireError as error:
        return _bad_topic(topic, payload, received_ms, error)
    try:
        if stream == "state":
            state = messages.parse_state(payload)
            heard_ms = _heard_ms(state, received_ms) if retained else received_ms
            return State(device, state, heard_ms, retained)
        low, record = records.unwrap(payload)
    except WireError as error:
        return refuse(topic, payload, received_ms, BAD_FRAME, str(error))
    if (record["kind"] == "result") != (stream == "result"):
        reason = f"a record of kind {record['kind']} on the topic up/{stream}"
        return refuse(topic, payload, received_ms, WRONG_KIND, reason)
    return Record(device, stream, low, record, received_ms)


def read_bulk(topic: str, payload: bytes, received_ms: int) -> Batch | Refused:
    """Check a batch of fixes or readings."""
    try:
        device, stream = _origin(topic)
    except WireError as error:
        return _bad_topic(topic, payload, received_ms, error)
    try:
        low, record = frames.open_envelope(payload)
        if stream == "track":
            return Batch(stream, low, TrackRow.from_record(device, record, received_ms))
        return Batch(stream, low, ReadingRow.from_record(device, record, received_ms))
    except WireError as error:
        return refuse(topic, payload, received_ms, BAD_FRAME, str(error))


def refuse(topic: str, payload: bytes, received_ms: int, code: str, reason: str) -> Refused:
    """Refuse a message whose topic is in order."""
    device, stream = _origin(topic)
    if stream in ("state", "relay"):
        claim = None
    elif stream in ("track", "reading"):
        claim = _binary_claim(device, stream, payload)
    else:
        claim = _json_claim(device, stream, payload)
    is_sos = stream == "event" and _reads_as_sos(payload)
    return Refused(device, stream, topic, code, reason, payload, received_ms, claim, is_sos)


@lru_cache(_TOPICS_REMEMBERED_MAX)
def _origin(topic: str) -> tuple[str, str]:
    """Return (device, stream) of a topic up; WireError for any other topic."""
    device, way, kind = topics.parse(topic)
    if way != "up":
        raise WireError(f"topic {topic[:80]!r} is not said by a device")
    return device, kind


def _bad_topic(topic: str, payload: bytes, received_ms: int, error: WireError) -> Refused:
    # The broker lets a device publish under its certificate's name only: such a certificate was
    # never issued by `provisioning`, or a service plays device.
    return Refused("?", "?", topic, BAD_TOPIC, str(error), payload, received_ms)


def _heard_ms(state: Json, received_ms: int) -> int:
    """When a state that the broker had kept was said: now at the latest."""
    if state.get("clock") in ("gnss", "server"):
        return min(int(state["at"]), received_ms)
    return received_ms


def _binary_claim(device: str, stream: str, payload: bytes) -> Claim | None:
    if len(payload) < _HEADER.size:
        return None
    low, _version, _kind, epoch, seq, count, _clock = _HEADER.unpack_from(payload)
    if seq < 1 or count < 1 or seq + count - 1 > frames.U32_MAX:
        return None
    # A low that cannot be says nothing.
    return Claim(device, epoch, stream, seq, seq + count - 1, low if 1 <= low <= seq else 1)


def _reads_as_sos(payload: bytes) -> bool:
    try:
        return bool(json.loads(payload[:_MESSAGE_BYTES_MAX])["record"]["kind"] == "sos")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # No JSON any more: in a text the quotes are escaped, so these bytes stand for the kind.
        return _SOS_KIND in payload


def _json_claim(device: str, stream: str, payload: bytes) -> Claim | None:
    try:
        message = json.loads(payload[:_MESSAGE_BYTES_MAX])
        record = message["record"]
        low, epoch, seq = message.get("low"), record["epoch"], record["seq"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not all(type(value) is int and 0 <= value <= frames.U32_MAX for value in (epoch, seq)):
        return None
    if seq < 1:
        return None
    low_is_known = type(low) is int and 1 <= low <= seq
    return Claim(device, epoch, stream, seq, seq, low if low_is_known else 1)
