"""docs/asyncapi.yaml says what the makers make, and no more."""

from __future__ import annotations

import copy
import json

import pytest

from tests.wire_protocol import asyncapi, run_vectors
from tests.wire_protocol.interpreters import VECTORS
from wire_protocol import blocks, frames, messages, readings, records, sensors, topics, track
from wire_protocol.errors import WireError

AT = 1_767_225_600_000
RESERVED = {"voice"}
FIX = track.Fix(AT, 30_274_085, 120_155_070, 118, 320, 4)
COMMON = {"epoch": 7, "seq": 31, "at": AT, "clock": "gnss", "uptime_s": 500, "boot": 3}
STATE = next(
    message["payload"]
    for message in asyncapi.document()["components"]["messages"]["state"]["examples"]
)


def made():
    """Return (topic, payload) of everything that can be made."""
    yield "up/track", frames.envelope(1, track.encode(7, 1, 3, [FIX] * 60))
    yield "up/reading", frames.envelope(1, readings.encode(7, 1, 3, [readings.Reading(AT, 1, 20)]))
    for kind, fields in EVENTS.items():
        yield "up/event", records.wrap(20, records.seal(COMMON | {"kind": kind} | fields))
    for data in (None, {"lat": 1, "deep": [1, {"a": None}]}):
        fields = {
            "kind": "result",
            "command": "0" * 16,
            "status": "done",
            "reason": "",
            "data": data,
        }
        yield "up/result", records.wrap(31, records.seal(COMMON | fields))
    yield "up/state", messages.make_state(copy.deepcopy(STATE))
    will = {"online": False, "epoch": 7, "boot": 3, "connection": 1}
    yield "up/state", messages.make_state(will)
    yield "down/receipt", messages.make_receipt(AT, 7, {"track": [1, 13], "event": [0]})
    yield "down/receipt", messages.make_receipt(AT, 7, {"event": [9]}, {"event": [8, 9]})
    for kind, body in (
        ("message", {"text": "集合"}),
        ("message", {"text": "集合?", "answers": True}),
        ("locate", {}),
        ("duty", {"on": False}),
        ("ring", {"for_s": 300}),
        ("configure", {"settings": {"batch_s": 30, "networks": [["village", "12345678"]]}}),
        ("reboot", {}),
        ("self_test", {}),
        ("read_log", {"first": 0}),
    ):
        yield "down/command", messages.make_command("00ff" * 4, kind, body, 600, AT)
    for status in ("taken", "help", "closed"):
        yield "down/sos_status", messages.make_sos_status(7, 31, status, "王芳", AT)
    yield "down/sos_status", messages.make_sos_status(7, 31, "help", "王芳", AT, 850)
    yield "down/watch", messages.make_watch(300)
    yield "up/block_request", blocks.make_request("virtual", 0, blocks.MANIFEST, 15)
    yield "up/block_request", blocks.make_request("virtual", 7, 27, 1)
    yield "down/block", blocks.make_piece(7, 27, 3, bytes(blocks.BLOCK_BYTES))
    yield "down/block", blocks.make_refusal(0, blocks.MANIFEST, "no application for virtual")
    yield "down/mute", messages.make_mute("00ff" * 4, "smoke", 0)


EVENTS = {
    "sos": {"trigger": "button", "incident": 31, "press": 1, "fix": None},
    "sos_cancel": {"incident": 31},
    "alarm": {"sensor": "smoke", "value": 512, "threshold": 300, "raised": True},
    "report": {"text": "上游水位上涨"},
    "duty": {"on": True, "by": "boot"},
    "dropped": {"stream": "track", "first": 1, "count": 600},
}


@pytest.mark.parametrize(("topic", "payload"), list(made()))
def test_what_a_maker_makes_is_in_the_document(topic, payload):
    name = asyncapi.validate(f"xh/1/t-lin/{topic}", payload)

    assert name == topic.split("/")[1] or (name, topic) == ("will", "up/state")


def test_every_kind_of_record_is_made_here():
    assert set(EVENTS) | {"result"} == set(records.KINDS)


def test_every_topic_has_a_channel_and_its_quality_of_service():
    operations = asyncapi.document()["operations"].values()
    found = {
        item["channel"]["$ref"].split("/")[-1]: item["bindings"]["mqtt"] for item in operations
    }
    expected = {*topics.UP, *topics.DOWN, "live"} - RESERVED

    assert set(found) == set(asyncapi.document()["channels"])
    # One kind may go both ways: relayUp, relayDown.
    assert {_kind(channel) for channel in found} == expected
    for channel, binding in found.items():
        kind = _kind(channel)
        assert binding == {"qos": topics.qos(kind), "retain": kind == "state"}


def _kind(channel: str) -> str:
    return channel.removesuffix("Up").removesuffix("Down")


def test_every_reference_of_the_document_leads_somewhere():
    def walk(value):
        if isinstance(value, dict):
            if "$ref" in value:
                assert asyncapi.resolve(value["$ref"]) is not None
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(asyncapi.document())


def test_every_example_of_the_document_is_valid_and_parses():
    for channel in asyncapi.document()["channels"].values():
        topic = channel["address"].format(device="t-lin", producer="gateway-1")
        for name, reference in channel["messages"].items():
            for example in asyncapi.resolve(reference["$ref"]).get("examples", ()):
                payload = json.dumps(example["payload"]).encode()
                assert asyncapi.validate(topic, payload) == name
                parse = run_vectors.PARSE.get(
                    {"event": "record", "result": "record"}.get(name, name)
                )
                if parse:
                    parse(payload)


def test_the_document_and_the_parsers_agree_on_every_vector():
    """What the parsers take is in the document, but for names and kinds of a later version."""
    vectors = run_vectors.load(str(VECTORS), "messages.json")
    for case in vectors["good"]:
        if "value" in case or "later version" in case["name"]:
            continue
        what = case["what"]
        if what == "record":
            what = "result" if '"kind":"result"' in case["payload"] else "event"
        way = "up" if what in topics.UP else "down"
        asyncapi.validate(f"xh/1/t-1/{way}/{what}", case["payload"].encode())


def test_the_document_knows_every_sensor():
    assert tuple(asyncapi.document()["components"]["schemas"]["sensor"]["enum"]) == sensors.NAMES


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("down/watch", b'{"v":1,"lease_s":301}'),
        ("down/watch", b'{"v":1,"lease_s":30,"more":1}'),
        ("down/watch", b"{"),
        (
            "down/command",
            messages.make_command("00ff" * 4, "locate", {}, 1, AT).replace(b"{}", b"5"),
        ),
        ("up/state", b'{"v":1,"online":true,"epoch":7,"boot":3,"connection":1}'),
        ("up/event", b'{"low":1,"record":{"v":1,"kind":"shout"}}'),
        ("up/track", b"\1\0\0\0" + track.encode(7, 1, 3, [FIX])[:-1]),
        ("up/voice", b""),
    ],
)
def test_what_the_document_does_not_allow_is_refused(topic, payload):
    with pytest.raises((AssertionError, WireError)):
        asyncapi.validate(f"xh/1/t-lin/{topic}", payload)
