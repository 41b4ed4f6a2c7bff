"""The link comes up, stays up, comes down one way, and comes back."""

from __future__ import annotations

import json
import random
import time

import pytest

from tests.device.device_rig import BROKER_NAME
from tests.device.fake_broker import (
    CONNECT,
    PINGREQ,
    PUBACK,
    PUBLISH,
    SUBSCRIBE,
    FakeBroker,
    publish,
)

DEVICE = "t-0001"
DOWN = f"xh/1/{DEVICE}/down/"
FASTER = 20  # Ten seconds of the link's clock are half a second of ours.


@pytest.fixture
def fake(keys):
    broker = FakeBroker(keys)
    yield broker
    broker.close()


@pytest.fixture
def run_link(micropython, keys, tmp_path):
    def run(port, *, broker_name=BROKER_NAME, authority=None, faster=FASTER):
        certificate, key = (authority or keys).issue(DEVICE, DEVICE)
        board = {
            "device_id": DEVICE,
            "certificate": certificate.hex(),
            "key": key.hex(),
            "ca": keys.ca_der.hex(),
            "journal_path": str(tmp_path),
            "config": {
                "broker_host": "127.0.0.1",
                "broker_port": port,
                "broker_name": broker_name,
                "return_s": 0,
            },
        }
        path = tmp_path / "board.json"
        path.write_text(json.dumps(board))
        micropython.start("run_link.py", str(path), str(faster))
        return micropython

    return run


def is_up(said):
    return "up" in said


def is_down(said):
    return "down" in said


def is_answer(said):
    return "trouble" in said


def trouble_of(link):
    link.tell(do="ask")
    return link.wait(is_answer, "its trouble")["trouble"]


def publish_at_last(link):
    """Publish as soon as the link takes it: it may come up and go down before it stays up."""
    while True:
        link.tell(do="publish", kind="track", text="fixes")
        if link.wait(lambda said: "taken" in said, "its answer")["taken"]:
            return
        time.sleep(0.05)


def test_it_says_who_it_is_and_what_to_say_when_it_is_gone(run_link, fake):
    link = run_link(fake.port)
    link.wait(is_up, "the link")
    body = fake.wait(CONNECT).body
    assert body[:10] == b"\x00\x04MQTT\x04\x2e\x00\x78"
    assert body[10:18] == b"\x00\x06t-0001"
    assert body.endswith(b'{"online":false,"connection":1}')
    assert fake.wait(SUBSCRIBE).body[2:] == b"\x00\x12xh/1/t-0001/down/+\x01"


def test_it_publishes_with_qos_0_and_1_and_retains_the_state_alone(run_link, fake):
    link = run_link(fake.port)
    link.wait(is_up, "the link")
    link.tell(do="publish", kind="track", text="fixes")
    first = fake.wait(PUBLISH)
    assert (first.first, first.body) == (0x30, b"\x00\x14xh/1/t-0001/up/trackfixes")
    link.tell(do="publish", kind="event", text="sos", qos=1, token=["event", 5])
    second = fake.wait(PUBLISH)
    assert second.first == 0x32
    assert second.body.endswith(b"sos")
    assert link.wait(lambda said: "puback" in said, "PUBACK")["puback"] == ["event", 5]
    link.tell(do="publish", kind="state", text="{}", qos=1)
    assert fake.wait(PUBLISH).first == 0x33


def test_it_acknowledges_what_came_with_qos_1_and_only_that(run_link, fake):
    link = run_link(fake.port)
    link.wait(is_up, "the link")
    fake.send(publish(DOWN + "receipt", b"r"))
    fake.send(publish(DOWN + "command", b"c", packet_id=77))
    assert link.wait(lambda said: "message" in said, "it")["message"] == "receipt"
    assert link.wait(lambda said: "message" in said, "it") == {"message": "command", "text": "c"}
    assert fake.wait(PUBACK).packet_id == 77
    assert not [packet for packet in fake.manners.seen if packet.kind == PUBACK][1:]


def test_without_puback_it_repeats_with_dup_and_then_gives_the_connection_up(run_link, fake):
    fake.manners.acknowledge = False
    link = run_link(fake.port)
    link.wait(is_up, "the link")
    link.tell(do="publish", kind="event", text="sos", qos=1, token=["event", 5])
    sent = [fake.wait(PUBLISH) for _ in range(4)]
    assert [packet.first for packet in sent] == [0x32, 0x3A, 0x3A, 0x3A]
    assert len({packet.packet_id for packet in sent}) == 1
    link.wait(is_down, "the end of its patience")
    assert "PUBACK" in trouble_of(link)
    # In the next connection it is repeated at once, as the same packet.
    fake.manners.acknowledge = True
    again = fake.wait(PUBLISH)
    assert (again.first, again.packet_id, again.connection) == (0x3A, sent[0].packet_id, 2)
    assert link.wait(lambda said: "puback" in said, "PUBACK")["puback"] == ["event", 5]


def test_the_same_token_again_repeats_the_packet_instead_of_doubling_it(run_link, fake):
    fake.manners.acknowledge = False
    link = run_link(fake.port, faster=1)
    link.wait(is_up, "the link")
    for _ in range(2):
        link.tell(do="publish", kind="event", text="sos", qos=1, token=["event", 5])
        link.wait(lambda said: said.get("taken"), "its place")
    first, second = fake.wait(PUBLISH), fake.wait(PUBLISH)
    assert (first.first, second.first) == (0x32, 0x3A)
    assert first.packet_id == second.packet_id


def test_what_waits_for_puback_is_bounded_and_leaves_a_place_for_an_sos(run_link, fake):
    fake.manners.acknowledge = False
    link = run_link(fake.port, faster=1)
    link.wait(is_up, "the link")
    taken = 0
    while taken < 100:
        link.tell(do="publish", kind="event", text="report", qos=1, token=["event", taken + 1])
        if not link.wait(lambda said: "taken" in said, "its answer")["taken"]:
            break
        fake.wait(PUBLISH)
        taken += 1
    assert taken == 3
    link.tell(do="publish", kind="event", text="sos", qos=1, token=["event", 9], sos=True)
    assert link.wait(lambda said: "taken" in said, "its answer")["taken"]
    assert fake.wait(PUBLISH).body.endswith(b"sos")
    link.tell(do="publish", kind="event", text="sos", qos=1, token=["event", 10], sos=True)
    assert not link.wait(lambda said: "taken" in said, "its answer")["taken"]


def test_it_pings_every_15_s_while_urgent_and_goes_down_without_an_answer(run_link, fake):
    link = run_link(fake.port)
    link.wait(is_up, "the link")
    link.tell(do="urgent", on=True)
    first, second = fake.wait(PINGREQ), fake.wait(PINGREQ)
    assert 0.5 < second.at - first.at < 3
    fake.manners.answer_pings = False
    link.wait(is_down, "silence to be noticed")
    assert "no answer" in trouble_of(link)


def test_it_pings_before_the_keepalive_is_over_when_it_has_nothing_to_say(run_link, fake):
    link = run_link(fake.port, faster=60)
    link.wait(is_up, "the link")
    began = time.monotonic()
    fake.wait(PINGREQ)
    assert 1.2 < time.monotonic() - began < 2.0  # 100 s of the 120 of the keepalive


def test_a_kick_right_after_connack_counts_as_a_failure(run_link, fake):
    fake.manners.close_after_connack = True
    link = run_link(fake.port, faster=1)
    for _ in range(4):
        fake.wait(CONNECT)
    gaps = [b - a for a, b in zip(fake.connections, fake.connections[1:], strict=False)]
    # Waits of 0.5..1, 1..2 and 2..4 s.
    assert gaps[0] > 0.45
    assert gaps[1] > 0.95
    assert gaps[2] > 1.95
    fake.manners.close_after_connack = False
    link.wait(is_up, "the link when the broker is well again")


MISBEHAVIOUR = {
    "CONNACK refuses": ("connack", b"\x20\x02\x00\x05", "PeerError"),
    "CONNACK with a session": ("connack", b"\x20\x02\x01\x00", "PeerError"),
    "CONNACK too long": ("connack", b"\x20\x03\x00\x00\x00", "PeerError"),
    "no CONNACK first": ("connack", b"\xd0\x00", "PeerError"),
    "SUBACK refuses": ("suback", b"\x90\x03\x00\x01\x80", "PeerError"),
    "SUBACK of another": ("suback", b"\x90\x03\x0f\xff\x01", "PeerError"),
    "length of five bytes": ("after_suback", b"\x30\xff\xff\xff\xff\x7f", "PeerError"),
    "packet over the limit": ("after_suback", b"\x30\x81\x0e", "PeerError"),
    "PUBLISH of QoS 2": ("after_suback", publish(DOWN + "command", b"x", 9, 2), "PeerError"),
    "PUBLISH with packet id 0": ("after_suback", publish(DOWN + "x", b"x", 0, 1), "PeerError"),
    "PUBLISH without a topic": ("after_suback", b"\x30\x02\x00\x00", "PeerError"),
    "a client's packet": ("after_suback", b"\x10\x02\x00\x00", "PeerError"),
}


@pytest.mark.parametrize("micropython", ["1.25"], indirect=True)
@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_a_broker_that_breaks_the_standard_is_left_and_tried_again(run_link, fake, name):
    manner, data, wanted = MISBEHAVIOUR[name]
    setattr(fake.manners, manner, data)
    link = run_link(fake.port)
    fake.wait(CONNECT)
    fake.wait(CONNECT)
    assert trouble_of(link).startswith(wanted)
    setattr(fake.manners, manner, type(fake.manners)().__dict__[manner])
    publish_at_last(link)
    fake.wait(PUBLISH)


def test_garbage_never_does_more_than_end_the_connection(run_link, fake):
    chance = random.Random(3)
    link = run_link(fake.port)
    for _ in range(3):  # The link waits longer each time before it comes back.
        link.wait(is_up, "the link")
        fake.send(chance.randbytes(chance.randrange(1, 600)))
        time.sleep(0.1)
        fake.drop()
    publish_at_last(link)
    fake.wait(PUBLISH)


def test_an_unknown_acknowledgement_is_no_fault(run_link, fake):
    link = run_link(fake.port)
    link.wait(is_up, "the link")
    fake.send(b"\x40\x02\x12\x34")
    link.tell(do="publish", kind="track", text="fixes")
    fake.wait(PUBLISH)
    link.tell(do="ask")
    assert link.wait(is_answer, "its answer")["connection"] == 1


def test_a_broker_with_another_name_is_not_trusted(run_link, fake):
    link = run_link(fake.port, broker_name="other.test")
    time.sleep(1.5)
    link.tell(do="ask")
    said = link.wait(is_answer, "its trouble")
    assert not said["up_now"]
    assert said["trouble"].startswith(("ValueError", "OSError"))
    assert not fake.manners.seen


def test_a_broker_of_another_authority_is_not_trusted(run_link, keys, tmp_path):
    foreign = type(keys)(tmp_path)
    other = FakeBroker(foreign)
    try:
        link = run_link(other.port)
        time.sleep(1.5)
        assert trouble_of(link).startswith(("ValueError", "OSError"))
        assert not other.manners.seen
    finally:
        other.close()


def test_without_connection_nothing_is_taken(run_link):
    link = run_link(1)  # Nobody listens on port 1.
    link.tell(do="publish", kind="track", text="fixes")
    assert link.wait(lambda said: "taken" in said, "its answer") == {"taken": False}
    link.tell(do="ask")
    assert link.wait(is_answer, "its trouble")["up_now"] is False


def test_mosquitto_takes_it_and_publishes_the_will_when_it_is_killed(run_link, broker, listener):
    link = run_link(broker.port)
    link.wait(is_up, "the link")
    link.tell(do="publish", kind="state", text="online", qos=1)
    link.tell(do="publish", kind="event", text="sos", qos=1, token=["event", 1])
    link.wait(lambda said: "puback" in said, "PUBACK")
    listener.wait(f"xh/1/{DEVICE}/up/event", b"sos")
    listener.send(DOWN + "command", b"locate")
    assert link.wait(lambda said: "message" in said, "the command")["text"] == "locate"
    link.kill()
    listener.wait(f"xh/1/{DEVICE}/up/state", b'{"online":false,"connection":1}')
