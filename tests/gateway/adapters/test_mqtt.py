"""paho's client with its short ways, against the real broker."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from gateway.adapters import mqtt_client
from gateway.adapters.mqtt_client import QuickClient, ReadAhead
from gateway.adapters.mqtt_connection import Incoming, MqttConnection
from provisioning.authority import Authority
from tests.gateway.bus import HEARS_DEVICES, Witness
from tests.gateway.fake_device import FakeDevice
from tests.gateway.installation import Installation, wait_for

BULK = [("xh/1/+/up/track", 0)]
URGENT = [("xh/1/+/up/event", 1)]


class Heard:
    """A connection of the gateway and what came over it."""

    def __init__(self, installation: Installation, subscriptions: list[tuple[str, int]]) -> None:
        self.messages: list[Incoming] = []
        self.changes: list[bool] = []
        self.connection = MqttConnection(
            "gateway-1", subscriptions, self.messages.append, self.changes.append
        )
        self._installation = installation

    def files(self) -> tuple[Path, Path, Path]:
        authority = self._installation.authority
        service = authority.issue_service("gateway-1")
        return authority.services_ca_path, service.certificate_path, service.key_path

    def start(self) -> None:
        port = self._installation.listeners.services_port
        self.connection.start("127.0.0.1", port, self.files())

    def wait(self, count: int) -> list[Incoming]:
        wait_for(lambda: len(self.messages) >= count, 20, f"{count} messages")
        return self.messages


def leaves(installation: Installation, client: str) -> int:
    """How often a client has taken its leave, as the broker tells."""
    log = (installation.home / "broker.log").read_text()
    return log.count(f"Client {client} disconnected.\n")


@pytest.fixture
def installation(tmp_path: Path, authority: Authority) -> Iterator[Installation]:
    """As everywhere, with a broker whose log also tells who leaves."""
    made = Installation(tmp_path / "home", authority, more_settings="connection_messages true\n")
    made.start_broker()
    yield made
    made.stop()


@pytest.fixture
def bulk(installation: Installation) -> Iterator[Heard]:
    heard = Heard(installation, BULK)
    heard.start()
    wait_for(lambda: heard.connection.is_connected, 10)
    yield heard
    heard.connection.stop()


@pytest.fixture
def urgent(installation: Installation) -> Iterator[Heard]:
    heard = Heard(installation, URGENT)
    heard.start()
    wait_for(lambda: heard.connection.is_connected, 10)
    yield heard
    heard.connection.stop()


@pytest.fixture
def device(installation: Installation) -> Iterator[FakeDevice]:
    made = FakeDevice(installation, "t-0001").connect(state=False)
    yield made
    made.disconnect()


def test_messages_of_every_size_arrive_whole_and_in_order(bulk, device):
    sizes = [0, 1, 2, 100, 127, 128, 129, 16_383, 16_384, 60_000, *range(1, 400)]
    for number, size in enumerate(sizes):
        device.raw("track", number.to_bytes(2, "big") + b"x" * size)
    heard = bulk.wait(len(sizes))
    assert [int.from_bytes(m.payload[:2], "big") for m in heard] == list(range(len(sizes)))
    assert [len(m.payload) - 2 for m in heard] == sizes
    assert {(m.topic, m.retained, m.mid) for m in heard} == {("xh/1/t-0001/up/track", False, 0)}


def test_short_way_is_taken(bulk, device, monkeypatch):
    """A new paho may no longer call what is overridden: then this fails, and nothing else."""

    def no_object(*_: object, **__: object) -> None:
        raise AssertionError("a message object was built for QoS 0")

    monkeypatch.setattr(mqtt, "MQTTMessage", no_object)
    polls = []
    monkeypatch.setattr(
        mqtt.Client, "_loop", lambda self, *a, _was=mqtt.Client._loop: polls.append(1) or
        _was(self, *a),
    )  # fmt: skip
    for _ in range(2_000):
        device.raw("track", b"x" * 100, qos=0)
    bulk.wait(2_000)
    client = bulk.connection._client
    assert isinstance(client, QuickClient)
    assert isinstance(client.socket(), ReadAhead)
    # The device's own client polls as well; one for each message would be 2,000 of each.
    assert len(polls) < 3_500


def test_flood_does_not_keep_what_is_to_be_sent(installation, bulk, device):
    """Receipts go out while batches come in without end."""
    ends = threading.Event()
    payload = b"x" * 100

    def flood() -> None:
        while not ends.is_set():
            device.raw("track", payload, qos=0)

    thread = threading.Thread(target=flood)
    with Witness(installation, "xh/1/live/+") as witness:
        thread.start()
        try:
            bulk.wait(500)
            waits = []
            for number in range(20):
                started_s = time.monotonic()
                bulk.connection.publish("xh/1/live/gateway-1", b"%d" % number)
                wait_for(lambda number=number: len(witness.heard) > number, 10)
                waits.append(time.monotonic() - started_s)
        finally:
            ends.set()
            thread.join()
    assert sorted(waits)[10] < 0.5


def test_qos_1_is_acknowledged_by_hand_only(urgent, device):
    device.raw("event", b"one")
    (message,) = urgent.wait(1)
    assert message.mid
    # Not acknowledged, it is still under way: the broker would send it again to the same session;
    # a clean one forgets. What counts is that nothing breaks, in either order.
    device.raw("event", b"two")
    urgent.wait(2)
    urgent.connection.acknowledge(urgent.messages[1])
    urgent.connection.acknowledge(urgent.messages[0])
    device.raw("event", b"three")
    assert [m.payload for m in urgent.wait(3)] == [b"one", b"two", b"three"]


def test_unacknowledged_messages_do_not_stop_the_flow(urgent, device):
    for number in range(600):
        device.raw("event", b"%d" % number)
    assert [m.payload for m in urgent.wait(600)] == [b"%d" % number for number in range(600)]


def test_what_a_lost_connection_brought_is_not_acknowledged_on_the_next(
    installation, urgent, device
):
    device.raw("event", b"before")
    (message,) = urgent.wait(1)
    installation.kill_broker()
    wait_for(lambda: urgent.changes[-1:] == [False], 20)
    installation.start_broker()
    wait_for(lambda: urgent.connection.is_connected, 20)
    device.disconnect()
    device.connect(state=False)
    device.raw("event", b"after")
    urgent.wait(2)
    assert urgent.messages[1].mid == message.mid  # The numbers begin anew: they could be mixed up.
    assert message.client is not urgent.messages[1].client
    urgent.connection.acknowledge(message)
    assert urgent.changes == [True, False, True]


def test_pause_leaves_and_resume_comes_back(installation, bulk, device):
    for round_ in range(3):
        bulk.connection.pause()
        # It says so at once; until the broker has heard it, it still gets what is published.
        wait_for(lambda left=round_ + 1: leaves(installation, "gateway-1") == left, 10)
        assert not bulk.connection.is_connected
        with Witness(installation, "xh/1/+/up/track", HEARS_DEVICES) as witness:
            device.raw("track", b"missed")
            wait_for(lambda witness=witness: witness.heard, 10)
        bulk.connection.resume()
        wait_for(lambda: bulk.connection.is_connected, 10)
        device.raw("track", b"%d" % round_)
        assert bulk.wait(round_ + 1)[-1].payload == b"%d" % round_
    wait_for(lambda: bulk.changes == [True, False, True, False, True, False, True], 10)


def test_connection_waits_for_a_broker_that_is_not_there_yet(installation, device):
    device.disconnect()
    installation.kill_broker()
    heard = Heard(installation, BULK)
    heard.start()
    time.sleep(0.6)
    assert not heard.connection.is_connected
    assert not heard.connection.publish("xh/1/live/gateway-1", b"lost")
    assert heard.connection.publish_surely("xh/1/live/gateway-1", b"lost") is None
    installation.start_broker()
    wait_for(lambda: heard.connection.is_connected, 20)
    heard.connection.stop()
    assert heard.changes == [True, False]


def test_stop_ends_all_threads_also_without_a_broker(installation):
    before = set(threading.enumerate())
    heard = Heard(installation, BULK)
    heard.start()
    wait_for(lambda: heard.connection.is_connected, 10)
    installation.kill_broker()
    heard.connection.stop()
    assert set(threading.enumerate()) <= before


def test_files_that_are_no_certificate_are_said_at_once(installation, tmp_path):
    heard = Heard(installation, BULK)
    authority, certificate, _ = heard.files()
    (tmp_path / "none.pem").write_text("no key")
    with pytest.raises(OSError, match="PEM"):
        heard.connection.start("127.0.0.1", 1, (authority, certificate, tmp_path / "none.pem"))


def test_messages_that_wait_for_the_broker_are_bounded(monkeypatch):
    monkeypatch.setattr(mqtt_client, "WAITING_MAX", 10)
    client = QuickClient("gateway-1", lambda *_: None)
    assert not client.publish_quick("xh/1/live/gateway-1", b"x")  # Not connected.
    client._sock = object()
    taken = [client.publish_quick("xh/1/live/gateway-1", b"x") for _ in range(20)]
    client._sock = None
    assert taken == [True] * 10 + [False] * 10
