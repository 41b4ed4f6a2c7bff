"""What the broker lets through, with the real mosquitto, its real configuration and real keys.

mosquitto acknowledges a publish that its rules deny, so each refusal is asserted where the message
would have arrived.
"""

import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from provisioning.authority import Authority
from tests.gateway.bus import HEARS_DEVICES, HEARS_LIVE, LIVE, Witness
from tests.gateway.fake_device import FakeDevice
from tests.gateway.installation import Installation, wait_for, write_identity

UP = "xh/1/+/up/+"
NEXT = Path(__file__).parents[2] / ".tools" / "bin" / "mosquitto-trixie"


@pytest.fixture(params=["this Debian's", "the next Debian's"])
def installation(request, tmp_path: Path, authority: Authority) -> Iterator[Installation]:
    """The same rules on both versions of mosquitto that are in use."""
    program = None if request.param == "this Debian's" else str(NEXT)
    assert program is None or NEXT.exists(), "missing: python3 tools/debs.py test"
    made = Installation(tmp_path / "home", authority, mosquitto=program)
    made.start_broker()
    yield made
    made.stop()


class Client:
    """A plain client with whatever certificate, authority, id and port a test wants."""

    def __init__(
        self,
        port: int,
        authority: Path,
        files: tuple[Path, Path] | None,
        client_id: str,
        protocol: int = mqtt.MQTTv311,
    ) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        if files is not None:
            context.load_cert_chain(*files)
        self.heard: list[tuple[str, bytes]] = []
        self.ends: list[Any] = []
        self.acknowledged: list[int] = []
        self._suback = False
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol,
            reconnect_on_failure=False,
        )  # fmt: skip
        self.client.tls_set_context(context)
        self.client.on_message = lambda _c, _d, m: self.heard.append((m.topic, m.payload))
        self.client.on_disconnect = lambda _c, _d, _f, reason, _p: self.ends.append(reason)
        self.client.on_publish = lambda _c, _d, mid, *_: self.acknowledged.append(mid)
        self.client.on_subscribe = lambda *_: setattr(self, "_suback", True)
        self.client.connect("127.0.0.1", port, keepalive=60)
        self.client.loop_start()
        wait_for(lambda: self.client.is_connected() or self.ends, 10)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, filter_: str) -> None:
        self._suback = False
        self.client.subscribe(filter_, 1)
        wait_for(lambda: self._suback, 10, "a SUBACK")

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> None:
        """With QoS 1; returns when the broker has acknowledged it, stored or denied."""
        info = self.client.publish(topic, payload, 1, retain)
        wait_for(lambda: info.mid in self.acknowledged, 10, f"a PUBACK for {topic}")


def as_device(installation: Installation, device: str, client_id: str = "") -> Client:
    return Client(
        installation.listeners.devices_port, installation.authority.devices_ca_path,
        installation.device_files(device), client_id or device,
    )  # fmt: skip


def as_service(installation: Installation, name: str, client_id: str = "") -> Client:
    service = installation.authority.issue_service(name)
    return Client(
        installation.listeners.services_port, installation.authority.services_ca_path,
        (service.certificate_path, service.key_path), client_id or name,
    )  # fmt: skip


@pytest.fixture
def foreign(tmp_path: Path) -> tuple[Authority, tuple[Path, Path]]:
    """Another installation's authority, and its certificate for a device named as ours is."""
    authority = Authority.create(tmp_path / "foreign")
    files = tmp_path / "foreign.pem", tmp_path / "foreign.key.pem"
    write_identity(authority.issue_device("t-0001"), *files)
    return authority, files


@pytest.mark.parametrize("listener", ["devices", "services"])
@pytest.mark.parametrize("who", ["foreign", "the other listener's", "nobody"])
def test_certificate_of_another_authority_opens_no_listener(installation, foreign, listener, who):
    devices = listener == "devices"
    authority, listeners = installation.authority, installation.listeners
    port = listeners.devices_port if devices else listeners.services_port
    ca = authority.devices_ca_path if devices else authority.services_ca_path
    service = authority.issue_service("gateway-1")
    ours = {True: (service.certificate_path, service.key_path),
            False: installation.device_files("t-0001")}  # fmt: skip
    files = {"foreign": foreign[1], "the other listener's": ours[devices], "nobody": None}[who]
    with Witness(installation, UP, HEARS_DEVICES) as witness:
        try:
            with Client(port, ca, files, "t-0001") as client:
                # TLS 1.3 lets the client believe for a moment that it is connected.
                client.client.publish("xh/1/t-0001/up/event", b"forged", 1)
                wait_for(lambda: client.ends, 10, "the broker hangs up")
        except (ssl.SSLError, ConnectionError):
            pass
        with as_device(installation, "t-0002") as other:
            other.publish("xh/1/t-0002/up/event", b"real")
        wait_for(lambda: witness.heard, 10)
        assert witness.heard == [("xh/1/t-0002/up/event", b"real")]


def test_publish_under_another_name_arrives_nowhere(installation):
    topics = [
        "xh/1/t-0002/up/event", "xh/1/t-0002/up/state", "xh/1/t-0002/up/track",
        "xh/1/t-0001/down/command", "xh/1/t-0002/down/command", "xh/1/live/gateway-1",
        "xh/1/t-0001/up/event/more", "xh/1/t-0001/up/unheard", "xh/1/t-0001/up", "anything",
    ]  # fmt: skip
    with (
        Witness(installation, "#", HEARS_DEVICES) as witness,
        Witness(installation) as live,
        as_device(installation, "t-0002") as victim,
        as_device(installation, "t-0001") as culprit,
    ):
        victim.subscribe("xh/1/t-0002/down/+")
        culprit.subscribe("xh/1/t-0001/down/+")
        for topic in topics:
            culprit.publish(topic, b"forged", retain=True)
        culprit.publish("xh/1/t-0001/up/event", b"own")
        wait_for(lambda: witness.heard, 10)
        assert witness.heard == [("xh/1/t-0001/up/event", b"own")]
        assert live.heard == victim.heard == culprit.heard == []
    # Nor was anything of it kept for who comes later.
    with (
        Witness(installation, UP, HEARS_DEVICES) as late,
        as_device(installation, "t-0001") as own,
    ):
        own.publish("xh/1/t-0001/up/event", b"again")
        wait_for(lambda: late.heard, 10)
        assert late.heard == [("xh/1/t-0001/up/event", b"again")]


def test_will_under_another_name_arrives_nowhere(installation):
    culprit = FakeDevice(installation, "t-0001")
    files = installation.device_files("t-0001")
    context = ssl.create_default_context(cafile=str(installation.authority.devices_ca_path))
    context.load_cert_chain(*files)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="t-0001")
    client.tls_set_context(context)
    client.will_set("xh/1/t-0002/up/state", b"forged", 1, retain=True)
    with Witness(installation, UP, HEARS_DEVICES) as witness:
        client.connect("127.0.0.1", installation.listeners.devices_port)
        client.loop_start()
        wait_for(client.is_connected)
        client.socket().close()
        client.loop_stop()
        culprit.connect()
        wait_for(lambda: witness.heard, 10)
        culprit.disconnect()
        assert {topic for topic, _ in witness.heard} == {"xh/1/t-0001/up/state"}


def test_another_client_id_kicks_nobody(installation):
    with as_device(installation, "t-0002") as victim:
        victim.subscribe("xh/1/t-0002/down/+")
        for client_id in ("t-0002", "gateway-1", ""):
            with as_device(installation, "t-0001", client_id or "x") as culprit:
                assert culprit.client.is_connected()
                # Its own name holds, whatever it called itself.
                culprit.subscribe("xh/1/t-0002/down/+")
                with as_service(installation, "gateway-1") as gateway:
                    gateway.publish("xh/1/t-0002/down/command", b"for t-0002")
                    gateway.publish("xh/1/t-0001/down/command", b"for t-0001")
                wait_for(lambda: victim.heard, 10)
                assert victim.heard.pop() == ("xh/1/t-0002/down/command", b"for t-0002")
                assert culprit.heard == []
        assert victim.client.is_connected()
        assert victim.ends == []


@pytest.mark.parametrize("filter_", ["#", "xh/1/+/down/+", "xh/1/t-0002/down/+", "xh/1/live/+"])
def test_device_hears_nobody_else(installation, filter_):
    with (
        as_device(installation, "t-0001") as curious,
        as_device(installation, "t-0002") as other,
        as_service(installation, "gateway-1") as gateway,
    ):
        curious.subscribe(filter_)
        curious.subscribe("xh/1/t-0001/down/+")
        gateway.publish("xh/1/t-0002/down/command")
        gateway.publish("xh/1/live/gateway-1")
        other.publish("xh/1/t-0002/up/event")
        gateway.publish("xh/1/t-0001/down/command", b"own")
        wait_for(lambda: curious.heard, 10)
        assert set(curious.heard) == {("xh/1/t-0001/down/command", b"own")}


def test_services_speak_under_their_own_names(installation):
    """An API process neither plays a gateway nor hears devices; a gateway plays no device."""
    with (
        Witness(installation, LIVE, HEARS_LIVE) as live,
        Witness(installation, UP, HEARS_DEVICES) as devices,
        as_device(installation, "t-0001") as device,
        as_service(installation, "api-1") as api,
        as_service(installation, "gateway-1") as gateway,
        as_service(installation, "guest") as guest,
    ):
        device.subscribe("xh/1/t-0001/down/+")
        api.subscribe(UP)
        guest.subscribe("#")
        for service in (api, gateway, guest):
            service.publish("xh/1/live/gateway-2", b"forged")
            service.publish("xh/1/t-0001/up/event", b"forged")
        api.publish("xh/1/t-0001/down/command", b"forged")
        guest.publish("xh/1/live/guest", b"forged")
        api.publish("xh/1/live/api-1", b"api")
        gateway.publish("xh/1/live/gateway-1", b"gateway")
        gateway.publish("xh/1/t-0001/down/command", b"order")
        device.publish("xh/1/t-0001/up/event", b"device")
        wait_for(lambda: len(live.heard) == 2 and devices.heard and device.heard, 10)
        assert set(live.heard) == {
            ("xh/1/live/api-1", b"api"), ("xh/1/live/gateway-1", b"gateway"),
        }  # fmt: skip
        assert devices.heard == [("xh/1/t-0001/up/event", b"device")]
        assert device.heard == [("xh/1/t-0001/down/command", b"order")]
        assert api.heard == guest.heard == []


def test_nothing_is_open_beside_the_two_listeners(installation):
    broker = installation.broker
    links = [str(entry.readlink()) for entry in Path(f"/proc/{broker.pid}/fd").iterdir()]
    inodes = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    listening = set()
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{broker.pid}/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and fields[9] in inodes:
                listening.add(int(fields[1].rsplit(":", 1)[1], 16))
    assert listening == {
        installation.listeners.devices_port, installation.listeners.services_port,
    }  # fmt: skip


def test_plain_text_gets_no_answer(installation):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="t-0001")
    client.on_disconnect = lambda *_: None
    client.connect("127.0.0.1", installation.listeners.devices_port)
    until_s = time.monotonic() + 10
    while client.loop(0.2) == mqtt.MQTT_ERR_SUCCESS and time.monotonic() < until_s:
        assert not client.is_connected()
    assert not client.is_connected()


def test_old_tls_is_refused(installation):
    context = ssl.create_default_context(cafile=str(installation.authority.devices_ca_path))
    context.load_cert_chain(*installation.device_files("t-0001"))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    address = ("127.0.0.1", installation.listeners.devices_port)
    with (
        socket.create_connection(address) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_message_beyond_the_limit_ends_its_sender_alone(installation):
    with (
        Witness(installation, UP, HEARS_DEVICES) as witness,
        as_device(installation, "t-0001") as big,
        as_device(installation, "t-0002") as other,
    ):
        big.client.publish("xh/1/t-0001/up/event", b"x" * 70_000, 1)
        wait_for(lambda: big.ends, 10, "the broker hangs up")
        other.publish("xh/1/t-0002/up/event", b"y" * 60_000)
        wait_for(lambda: witness.heard, 10)
        assert [topic for topic, _ in witness.heard] == ["xh/1/t-0002/up/event"]
        assert other.ends == []


def test_broker_that_starts_empty_has_nothing_of_before(installation):
    with as_device(installation, "t-0001") as device:
        device.publish("xh/1/t-0001/up/state", b"kept", retain=True)
    installation.kill_broker()
    installation.start_broker()
    with Witness(installation, UP, HEARS_DEVICES) as witness:
        with as_device(installation, "t-0001") as device:
            device.publish("xh/1/t-0001/up/event", b"new")
        wait_for(lambda: witness.heard, 10)
        assert witness.heard == [("xh/1/t-0001/up/event", b"new")]


def test_broker_says_nothing_alarming_and_takes_all_files(installation):
    log = (installation.home / "broker.log").read_text()
    assert "Error" not in log
    assert "ACL" not in log
    limits = Path(f"/proc/{installation.broker.pid}/limits").read_text().splitlines()
    soft, hard = next(row for row in limits if row.startswith("Max open files")).split()[3:5]
    assert soft == hard
