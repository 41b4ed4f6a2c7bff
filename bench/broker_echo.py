"""The raw broker's round trip (QoS 1, TLS with certificates, the way of an SOS), and a tap.

`BrokerEcho`: a client with a device's certificate publishes, one with a gateway's hears it; both
are in this process, as the press and the live view of the bench are. `BusTap` listens to what
gateways tell on the live bus, as an API process does.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import paho.mqtt.client as mqtt

from provisioning.authority import Authority
from tests.gateway.installation import write_identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEVICE, SERVICE, TAP = "t-echo", "gateway-16", "api-16"
TOPIC = f"xh/1/{DEVICE}/up/voice"  # No real gateway listens there.
WAIT_S = 30.0


class BrokerEcho:
    """Two clients; `round_trip_s` sends one message from one to the other."""

    def __init__(self, home: Path, devices_port: int, services_port: int) -> None:
        self._heard = threading.Event()
        self._heard_s = 0.0
        authority = Authority.open(home)
        certificate, key = home / "echo.pem", home / "echo.key.pem"
        write_identity(authority.issue_device(DEVICE), certificate, key)
        files = (str(authority.devices_ca_path), str(certificate), str(key))
        self._device = _client(DEVICE, files, devices_port, self._hear)
        self._gateway = _client(SERVICE, _service(authority, SERVICE), services_port, self._hear)
        _subscribe(self._gateway, TOPIC, 1)

    def _hear(self, *_: object) -> None:
        self._heard_s = time.perf_counter()
        self._heard.set()

    def round_trip_s(self, size: int) -> float:
        """Return the seconds from publish to message for a payload of `size` bytes."""
        payload = b"x" * size
        self._heard.clear()
        begun_s = time.perf_counter()
        self._device.publish(TOPIC, payload, 1)
        if not self._heard.wait(WAIT_S):
            raise TimeoutError(f"no message within {WAIT_S:.0f} s")
        return self._heard_s - begun_s

    def close(self) -> None:
        for client in (self._device, self._gateway):
            client.disconnect()
            client.loop_stop()


class BusTap:
    """Notes when each case was told on the live bus for the first time, in time.time()."""

    def __init__(self, home: Path, services_port: int) -> None:
        self.told_s: dict[int, float] = {}
        files = _service(Authority.open(home), TAP)
        self._api = _client(TAP, files, services_port, self._hear)
        _subscribe(self._api, "xh/1/live/+", 0)

    def _hear(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        at_s = time.time()
        for delta in json.loads(message.payload)["deltas"]:
            if delta["kind"] == "case":
                self.told_s.setdefault(delta["case"]["id"], at_s)

    def close(self) -> None:
        self._api.disconnect()
        self._api.loop_stop()


def service_client(name: str, home: Path, services_port: int) -> mqtt.Client:
    """Return a connected client with the certificate of a service, such as `gateway-15`."""
    files = _service(Authority.open(home), name)
    return _client(name, files, services_port, lambda *_: None)


def _service(authority: Authority, name: str) -> tuple[str, str, str]:
    service = authority.issue_service(name)
    return str(authority.services_ca_path), str(service.certificate_path), str(service.key_path)


def _client(
    name: str, files: tuple[str, str, str], port: int, on_message: Callable[..., None]
) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
    client.tls_set(*files)
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def _subscribe(client: mqtt.Client, topic: str, qos: int) -> None:
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.subscribe(topic, qos)
    if not subscribed.wait(WAIT_S):
        raise TimeoutError("the broker does not answer SUBSCRIBE")
