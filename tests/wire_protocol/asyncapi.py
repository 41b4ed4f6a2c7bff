"""Holds live messages against docs/asyncapi.yaml.

`validate(topic, payload)` returns the name of the message, or raises AssertionError that says what
the document does not allow. Binary messages have no schema: they are decoded.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from wire_protocol import blocks, frames, readings, relay, topics, track

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.yaml"
BINARY = {
    "application/vnd.xunhu.track": lambda payload: track.decode(frames.open_envelope(payload)[1]),
    "application/vnd.xunhu.reading": lambda payload: readings.decode(
        frames.open_envelope(payload)[1]
    ),
    "application/vnd.xunhu.relay": relay.parse_header,
    "application/vnd.xunhu.block": blocks.parse_piece,
}


@functools.cache
def document() -> dict[str, Any]:
    return yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))


def resolve(reference: str) -> Any:
    """Return what a `#/a/b` of the document stands for."""
    assert reference.startswith("#/"), reference
    found: Any = document()
    for name in reference[2:].split("/"):
        found = found[name]
    return found


def messages_of(topic: str) -> dict[str, Any]:
    """Return name -> message of the channel that a topic belongs to."""
    if topic.startswith("xh/1/live/"):
        topics.parse_live(topic)
    else:
        topics.parse(topic)
    for channel in document()["channels"].values():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(channel["address"])), topic):
            return {
                name: resolve(message["$ref"]) for name, message in channel["messages"].items()
            }
    raise AssertionError(f"docs/asyncapi.yaml has no channel for {topic}")


def validate(topic: str, payload: bytes) -> str:
    """Return the name of the message that a payload is; AssertionError if it is none there."""
    refusals = []
    for name, message in messages_of(topic).items():
        try:
            _validate_one(message, payload)
        except (jsonschema.ValidationError, ValueError) as error:
            refusals.append(f"{name}: {str(error)[:600]}")
        else:
            return name
    raise AssertionError(f"{topic}: {payload[:200]!r} is none of " + "; ".join(refusals))


def _validate_one(message: dict[str, Any], payload: bytes) -> None:
    decode = BINARY.get(message["contentType"])
    if decode is None:
        validator(message["payload"]["$ref"]).validate(json.loads(payload))
        return
    schema = message["payload"]
    if not schema["minLength"] <= len(payload) <= schema["maxLength"]:
        raise ValueError(f"{len(payload)} bytes, not {schema['minLength']}..{schema['maxLength']}")
    decode(payload)


@functools.cache
def validator(reference: str) -> jsonschema.Draft202012Validator:
    """Return a validator in which the document's own references lead into the document."""
    schema = {"$ref": reference, "components": document()["components"]}
    return jsonschema.Draft202012Validator(schema)
