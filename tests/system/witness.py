"""Witnesses beside the rigs: what the broker was told, and what a screen was shown."""

import json
import ssl
import struct
import threading
import time
from collections import Counter
from typing import Any

import paho.mqtt.client as mqtt
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from provisioning.authority import Authority
from tests.system.installation import Installation, wait_for
from tests.wire_protocol import asyncapi
from wire_protocol import topics

Key = tuple[str, str, int, int]  # device, stream, epoch, seq
# Devices without a rig, which may say anything: their test settles their account itself.
GUESTS = ("t-guest",)
_BEHIND = b'"record":'


class Wire:
    """Hears every record that reaches the broker, byte for byte, before any gateway touches it.

    Attributes:
        since_ms: When it began to hear; what is sealed later cannot be missed.
        said: The sealed bytes under each key, as they came first.
        changed: Keys that came again with other bytes.
        heard: Every message once, those on the live bus among them: (topic, payload).
    """

    def __init__(self, installation: Installation) -> None:
        self.said: dict[Key, bytes] = {}
        self.changed: list[Key] = []
        self.heard: set[tuple[str, bytes]] = set()
        # Each of them is allowed to hear one of both.
        self._clients = [
            self._client(installation, "gateway-16", "xh/1/+/up/+"),
            self._client(installation, "api-16", "xh/1/live/+"),
        ]
        self.since_ms = time.time_ns() // 1_000_000

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.disconnect()
            client.loop_stop()

    def _client(self, installation: Installation, name: str, topic_filter: str) -> mqtt.Client:
        ready = threading.Event()
        authority = Authority.open(installation.home)
        service = authority.issue_service(name)
        context = ssl.create_default_context(cafile=str(authority.services_ca_path))
        context.load_cert_chain(service.certificate_path, service.key_path)
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
        client.tls_set_context(context)
        # Before any device is back: they wait a second and more.
        client.reconnect_delay_set(0.1, 0.1)
        client.on_connect = lambda client, *_: client.subscribe(topic_filter, 1)
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = lambda _client, _data, message: self._hear(message)
        client.connect("127.0.0.1", installation.services_port)
        client.loop_start()
        wait_for("the witness hears", ready.is_set)
        return client

    def kinds(self) -> Counter[str]:
        """Count what was heard by its name in docs/asyncapi.yaml; AssertionError if one has none.

        Done in the end: while it hears it must not be late.
        """
        return Counter(asyncapi.validate(topic, payload) for topic, payload in set(self.heard))

    def _hear(self, message: mqtt.MQTTMessage) -> None:
        device, stream = message.topic.split("/")[2::2] if "/up/" in message.topic else ("", "")
        if device in GUESTS:
            return
        self.heard.add((message.topic, message.payload))
        if stream not in topics.STREAMS:
            return
        if stream in ("track", "reading"):
            sealed = message.payload[4:]
            epoch, seq = struct.unpack_from("<II", sealed, 2)
        else:
            sealed = message.payload[message.payload.index(_BEHIND) + len(_BEHIND) : -1]
            record = json.loads(sealed)
            epoch, seq = record["epoch"], record["seq"]
        key = (device, stream, epoch, seq)
        if self.said.setdefault(key, sealed) != sealed:
            self.changed.append(key)


class Screen:
    """A screen in the command room: follows the live view, and comes back when its API dies.

    Attributes:
        cases: The open cases as they stand on it.
        first_s: When each case first stood on it, time.time().
        rung: How often each event came as news, by (device, epoch, seq).
        snapshots: How often it began anew.
    """

    def __init__(self, installation: Installation) -> None:
        self.cases: dict[int, dict[str, Any]] = {}
        self.first_s: dict[int, float] = {}
        self.rung: Counter[tuple[str, int, int]] = Counter()
        self.snapshots = 0
        self._installation = installation
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="screen", daemon=True)
        self._thread.start()
        wait_for("a screen shows something", lambda: self.snapshots)

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def shown(self, kind: str = "sos") -> Counter[str]:
        """How many open cases of a kind each device has on the screen."""
        return Counter(row["device"] for row in list(self.cases.values()) if row["kind"] == kind)

    def _follow(self) -> None:
        address = f"ws://127.0.0.1:{self._installation.api_port}/api/v1/live"
        while not self._stopping.is_set():
            try:
                with connect(
                    address,
                    additional_headers={"Cookie": self._installation.cookie},
                    max_size=None,
                    proxy=None,
                ) as socket:
                    self._read(socket)
            except (OSError, WebSocketException, EOFError):
                self._stopping.wait(0.1)  # Its API is dead.

    def _read(self, socket: Any) -> None:
        while not self._stopping.is_set():
            try:
                message = json.loads(socket.recv(timeout=0.2))
            except TimeoutError:
                continue
            if message["type"] == "snapshot":
                self.cases = {}
                for case in message["cases"]:
                    self._show(case)
                self.snapshots += 1
            for delta in message.get("deltas", ()):
                if delta["kind"] == "case":
                    self._show(delta["case"])
                elif delta["kind"] == "event":
                    event = delta["event"]
                    self.rung[event["device"], event["epoch"], event["seq"]] += 1

    def _show(self, case: dict[str, Any]) -> None:
        self.first_s.setdefault(case["id"], time.time())
        if case["closed_ms"] is None:
            self.cases[case["id"]] = case
        else:
            self.cases.pop(case["id"], None)
