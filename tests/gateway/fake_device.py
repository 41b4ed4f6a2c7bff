"""A device at the wire: keeps its records until the gateway's receipt, resends, and remembers.

What it made is the outside witness: after a bad day the stores must hold exactly that. Its timers
are short, because a test does not wait ten minutes; everything else is as the firmware does it.
"""

import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt

from tests.gateway.installation import Installation, wait_for
from tests.wire_protocol import asyncapi
from wire_protocol import clock, frames, messages, readings, records, sensors, topics, track

RESEND_S = 1.0
WINDOW = 16
LAT_E6, LON_E6 = 30_274_085, 120_155_070


@dataclass
class Sealed:
    """One record in the journal: what goes to the wire, byte for byte."""

    stream: str
    first: int
    last: int
    record: bytes
    sent_s: float = 0.0
    sendings: int = 0


@dataclass
class FakeDevice:
    """One device with one connection; `tick` sends what is due."""

    installation: Installation
    device: str
    epoch: int = 1
    resend_s: float = RESEND_S
    made: list[Sealed] = field(default_factory=list)
    journal: dict[tuple[str, int], Sealed] = field(default_factory=dict)
    heard: list[tuple[str, Any]] = field(default_factory=list)
    receipts: int = 0
    boot: int = 1
    connection: int = 0

    def __post_init__(self) -> None:
        self._next = dict.fromkeys(topics.STREAMS, 1)
        self._lock = threading.RLock()
        self._client: mqtt.Client | None = None
        self._said_ms = 0
        self._context: ssl.SSLContext | None = None
        self._started_s = time.monotonic()
        self.sos: dict[str, Any] | None = None

    # The journal.

    def fixes(
        self, count: int = 12, at_ms: int | None = None, quality: int = clock.GNSS
    ) -> Sealed:
        """Seal a batch of fixes, 5 s apart, the last one now (or at `at_ms`)."""
        last_ms = now_ms() if at_ms is None else at_ms
        with self._lock:
            first = self._take("track", count)
            rows = [
                track.Fix(last_ms - (count - 1 - n) * 5000, LAT_E6 + first + n, LON_E6, 120, 90, 5)
                for n in range(count)
            ]
            record = track.encode(self.epoch, first, quality, rows)
            return self._seal("track", first, first + count - 1, record)

    def reading(self, sensor: str = "smoke", *values: int) -> Sealed:
        with self._lock:
            first = self._take("reading", len(values))
            kind = sensors.code(sensor)
            rows = [readings.Reading(now_ms(), kind, value) for value in values]
            record = readings.encode(self.epoch, first, clock.SERVER, rows)
            return self._seal("reading", first, first + len(values) - 1, record)

    def event(
        self, kind: str, at_ms: int | None = None, quality: str = "server", **more
    ) -> Sealed:
        return self._json("event", kind, at_ms, quality, more)

    def press_sos(self, incident: int | None = None, **more) -> Sealed:
        with self._lock:
            incident = incident or self._next["event"]
            self.sos = {"incident": incident, "shown": "sent"}
            fields = {"trigger": "button", "incident": incident, "press": 1, "fix": None}
            return self.event("sos", **{**fields, **more})

    def result(self, command: str, status: str = "done") -> Sealed:
        more = {"command": command, "status": status, "reason": "", "data": None}
        return self._json("result", "result", None, "server", more)

    def raw(self, stream: str, payload: bytes, qos: int | None = None) -> None:
        """Publish bytes that no device of ours would make."""
        assert self._client is not None
        self._client.publish(
            topics.up(self.device, stream), payload, topics.qos(stream) if qos is None else qos
        )

    def _json(self, stream: str, kind: str, at_ms: int | None, quality: str, more: dict) -> Sealed:
        with self._lock:
            seq = self._take(stream, 1)
            fields = {
                "epoch": self.epoch, "seq": seq, "kind": kind,
                "at": now_ms() if at_ms is None else at_ms,
                "clock": quality, "uptime_s": self.uptime_s(), "boot": self.boot, **more,
            }  # fmt: skip
            return self._seal(stream, seq, seq, records.seal(fields))

    def _take(self, stream: str, count: int) -> int:
        first = self._next[stream]
        self._next[stream] += count
        return first

    def _seal(self, stream: str, first: int, last: int, record: bytes) -> Sealed:
        sealed = Sealed(stream, first, last, record)
        self.made.append(sealed)
        self.journal[stream, first] = sealed
        return sealed

    def is_empty(self) -> bool:
        with self._lock:
            return not self.journal

    # The link.

    def connect(self, *, state: bool = True, timeout_s: float = 10.0) -> "FakeDevice":
        if self._context is None:
            authority = self.installation.authority
            certificate, key = self.installation.device_files(self.device)
            self._context = ssl.create_default_context(cafile=str(authority.devices_ca_path))
            self._context.load_cert_chain(certificate, key)
        self.connection += 1
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=self.device, reconnect_on_failure=False
        )
        client.tls_set_context(self._context)
        client.will_set(topics.up(self.device, "state"), self._state(online=False), 1, retain=True)
        client.on_message = self._hear
        client.connect("127.0.0.1", self.installation.listeners.devices_port, keepalive=60)
        client.loop_start()
        wait_for(client.is_connected, timeout_s, f"{self.device} connected")
        client.subscribe(f"xh/1/{self.device}/down/+", 1)
        self._client = client
        with self._lock:
            for sealed in self.journal.values():
                sealed.sent_s = 0.0
        if state:
            self.say_state()
        return self

    @property
    def is_connected(self) -> bool:
        return self._client is not None and self._client.is_connected()

    def vanish(self) -> None:
        """Lose the connection without a word; the broker publishes the will."""
        assert self._client is not None
        connected = self._client.socket()
        if connected is not None:
            connected.close()
        self._client.loop_stop()
        self._client = None

    def disconnect(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def say_state(self, **more: Any) -> None:
        assert self._client is not None
        payload = self._state(online=True, **more)
        self._client.publish(topics.up(self.device, "state"), payload, 1, retain=True)

    def tick(self, now_s: float | None = None) -> None:
        """Send what was never sent, or not receipted for too long; a window of each stream."""
        now_s = time.monotonic() if now_s is None else now_s
        client = self._client
        if client is None or not client.is_connected():
            return
        with self._lock:
            for stream in topics.STREAMS:
                held = sorted(s.first for s in self.journal.values() if s.stream == stream)
                for first in held[:WINDOW]:
                    sealed = self.journal[stream, first]
                    if now_s - sealed.sent_s < self.resend_s and sealed.sent_s:
                        continue
                    sealed.sent_s = now_s
                    sealed.sendings += 1
                    client.publish(
                        topics.up(self.device, stream),
                        message(held[0], sealed),
                        topics.qos(stream),
                    )

    def wait_until_empty(self, timeout_s: float = 20.0) -> None:
        def sent() -> bool:
            self.tick()
            return self.is_empty()

        wait_for(sent, timeout_s, f"{self.device}: {len(self.journal)} records receipted")

    def heard_on(self, kind: str) -> list[Any]:
        return [content for name, content in list(self.heard) if name == kind]

    def uptime_s(self) -> int:
        return int(time.monotonic() - self._started_s)

    def _state(self, *, online: bool, **more: Any) -> bytes:
        # Real ones never say two states within a millisecond.
        self._said_ms = max(now_ms(), self._said_ms + 1)
        place = {"epoch": self.epoch, "boot": self.boot, "connection": self.connection}
        if not online:
            return messages.make_state({"online": False, **place})
        return messages.make_state(
            {
                "online": True, **place, "at": self._said_ms, "clock": "server",
                "uptime_s": self.uptime_s(), "device_kind": "terminal", "version": "test",
                "battery_mv": 3900, "battery_percent": 80, "rssi_dbm": -60, "heap_free": 50_000,
                "reset": "power", "duty": True, "sos": self.sos, "fix_age_s": 1, "held": {},
                "dropped": 0, "faults": [], "muted": {}, **more,
            }
        )  # fmt: skip

    def _hear(self, _client: Any, _data: Any, heard: mqtt.MQTTMessage) -> None:
        # Raised in the client's thread, which fails the test all the same.
        asyncapi.validate(heard.topic, heard.payload)
        kind = heard.topic.rsplit("/", 1)[1]
        content = json.loads(heard.payload)
        self.heard.append((kind, content))
        if kind == "receipt":
            self._take_receipt(messages.parse_receipt(heard.payload))

    def _take_receipt(self, receipt: dict[str, Any]) -> None:
        if receipt["epoch"] != self.epoch:
            return
        with self._lock:
            self.receipts += 1
            for stream, (upto, *singles) in receipt["streams"].items():
                for key, sealed in list(self.journal.items()):
                    if key[0] == stream and (sealed.last <= upto or sealed.first in singles):
                        del self.journal[key]


class Ticking:
    """One thread that ticks many devices, and brings back who was thrown off."""

    def __init__(self, devices: list[FakeDevice], period_s: float = 0.05) -> None:
        self._devices = devices
        self._period_s = period_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Ticking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._period_s):
            for device in self._devices:
                if not device.is_connected:
                    device.disconnect()
                    try:
                        device.connect(timeout_s=2.0)
                    except (OSError, AssertionError):
                        continue
                device.tick()


def message(low: int, sealed: Sealed) -> bytes:
    if sealed.stream in ("track", "reading"):
        return frames.envelope(low, sealed.record)
    return records.wrap(low, sealed.record)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
