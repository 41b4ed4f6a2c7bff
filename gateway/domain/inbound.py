"""Turns what a device published into rows to store, or into a refusal that can be receipted.

Checked once, here. A refused message is kept for inspection and, where its epoch and seq can be
read, receipted: what this gateway will never take must not block the device's journal for ever.
"""

import json
from dataclasses import dataclass
from typing import Any

from storage.telemetry.interface import ReadingRow, TrackRow
from wire_protocol import frames, messages, records, topics
from wire_protocol.errors import WireError

Json = dict[str, Any]

_MESSAGE_BYTES_MAX = 16_384  # Far above any message of ours; the broker holds the same limit.


@dataclass(frozen=True, slots=True)
class Record:
    """A checked event or result."""

    device: str
    stream: str  # event | result
    low: int
    record: Json
    received_ms: int

    @property
    def is_sos(self) -> bool:
        """True for what must not wait behind anything else."""
        kind: str = self.record["kind"]
        return kind in ("sos", "sos_cancel")


@dataclass(frozen=True, slots=True)
class State:
    """A checked state or last will."""

    device: str
    state: Json
    received_ms: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A checked batch of fixes or readings."""

    stream: str  # track | reading
    low: int
    row: TrackRow | ReadingRow


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that will never be stored, and, if it could be read, which seqs it claimed."""

    device: str
    topic: str
    reason: str
    payload: bytes
    received_ms: int
    claim: tuple[str, int, int, int, int] | None = None  # stream, epoch, first, last, low


def read_urgent(topic: str, payload: bytes, received_ms: int) -> Record | State | Refused:
    """Check an event, result or state."""
    device, _, kind = topics.parse(topic)
    try:
        if kind == "state":
            return State(device, messages.parse_state(payload), received_ms)
        low, record = records.unwrap(payload)
        if (record["kind"] == "result") != (kind == "result"):
            reason = f"a record of kind {record['kind']} on the topic up/{kind}"
            return Refused(device, topic, reason, payload, received_ms, _json_claim(kind, payload))
    except WireError as error:
        claim = None if kind == "state" else _json_claim(kind, payload)
        return Refused(device, topic, str(error), payload, received_ms, claim)
    return Record(device, kind, low, record, received_ms)


def read_bulk(topic: str, payload: bytes, received_ms: int) -> Batch | Refused:
    """Check a batch of fixes or readings."""
    device, _, stream = topics.parse(topic)
    try:
        low, record = frames.open_envelope(payload)
        if stream == "track":
            return Batch(stream, low, TrackRow.from_record(device, record, received_ms))
        return Batch(stream, low, ReadingRow.from_record(device, record, received_ms))
    except WireError as error:
        claim = _binary_claim(stream, payload)
        return Refused(device, topic, str(error), payload, received_ms, claim)


def refuse(device: str, topic: str, reason: str, payload: bytes, received_ms: int) -> Refused:
    """Refuse a message for a reason outside of its bytes, such as an unknown device."""
    _, _, kind = topics.parse(topic)
    if kind in ("track", "reading"):
        claim = _binary_claim(kind, payload)
    else:
        claim = None if kind == "state" else _json_claim(kind, payload)
    return Refused(device, topic, reason, payload, received_ms, claim)


def _binary_claim(stream: str, payload: bytes) -> tuple[str, int, int, int, int] | None:
    try:
        low, record = frames.open_envelope(payload)
        header = frames.header(record)
    except WireError:
        return None
    return stream, header.epoch, header.seq, header.seq + header.count - 1, low


def _json_claim(stream: str, payload: bytes) -> tuple[str, int, int, int, int] | None:
    try:
        message = json.loads(payload[:_MESSAGE_BYTES_MAX])
        record = message["record"]
        low, epoch, seq = message["low"], record["epoch"], record["seq"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not all(type(value) is int and 0 <= value <= frames.U32_MAX for value in (low, epoch, seq)):
        return None
    return (stream, epoch, seq, seq, low) if 1 <= low <= seq else None
