"""One lasting connection to the broker's services listener, made of clients that live once.

Sessions are clean: nothing that the broker queues for us is relied on. Each attempt is a new
client, so nothing of a lost connection is ever sent or acknowledged on the next one. Callbacks
run in paho's thread and do no more than put a message into a queue; a blocked callback would hold
everything behind it, pings included.
"""

import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt

from gateway.adapters.mqtt_client import QuickClient

logger = logging.getLogger(__name__)

# The broker drops a gateway that is silent for 1.5 times this, and shares no more messages with
# it; a frozen gateway costs the others what it was sent until then.
KEEPALIVE_S = 6
CONNECT_WAIT_S = 10.0
RETRY_S_MIN = 0.25
RETRY_S_MAX = 2.0  # A broker that comes back must not be waited for: SOSes are under way.
LEAVE_WAIT_S = 1.0
# Outgoing QoS 1 messages (commands) in flight; the carrier sends no more at once.
INFLIGHT_MAX = 1000
_REFUSED = 0x80  # A SUBACK's word for no.


class Incoming(NamedTuple):
    """A message as it came: with QoS 1 it has an id, and the client to acknowledge it to."""

    topic: str
    payload: bytes
    retained: bool
    mid: int = 0
    client: QuickClient | None = None


class MqttConnection:
    """Keeps one connection up, subscribed, and says whether it is."""

    def __init__(
        self,
        client_id: str,
        subscriptions: Sequence[tuple[str, int]],
        on_message: Callable[[Incoming], None],
        on_change: Callable[[bool], None],
    ) -> None:
        self._name = client_id
        self._subscriptions = list(subscriptions)
        self._on_message = on_message
        self._on_change = on_change
        self._wanted = True
        self._ending = False
        self._changed = threading.Event()
        self._client: QuickClient | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str, port: int, files: tuple[Path, Path, Path]) -> None:
        """Begin connecting; comes back by itself for ever, also if the broker is not there yet.

        Args:
            host: The broker's name, which its certificate must carry.
            port: Of the services listener.
            files: The services' authority, our certificate and our key, PEM.

        Raises:
            OSError: A file cannot be read, or is no certificate or key.
        """
        authority, certificate, key = files
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(certificate, key)
        self._thread = threading.Thread(
            target=self._run, args=(host, port, context), name=f"mqtt-{self._name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Disconnect and end all threads of this connection."""
        self._ending = True
        self._changed.set()
        if self._thread is not None:
            self._thread.join()

    def pause(self) -> None:
        """Leave the broker until `resume`: the other gateways get what is shared."""
        if self._wanted:
            self._wanted = False
            self._changed.set()

    def resume(self) -> None:
        """Come back after `pause`."""
        if not self._wanted:
            self._wanted = True
            self._changed.set()

    @property
    def is_connected(self) -> bool:
        """True while connected and subscribed."""
        return self._client is not None

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send with QoS 0 from any thread; False when it was let go."""
        client = self._client
        return client is not None and client.publish_quick(topic, payload)

    def publish_surely(self, topic: str, payload: bytes) -> mqtt.MQTTMessageInfo | None:
        """Send with QoS 1; the answer tells when the broker has it; None without a connection."""
        client = self._client
        return None if client is None else client.publish(topic, payload, 1)

    def acknowledge(self, message: Incoming) -> None:
        """PUBACK a message that is committed, or will never be; a lost connection wants none."""
        if message.client is not None and message.client is self._client:
            message.client.ack(message.mid, 1)

    def _run(self, host: str, port: int, context: ssl.SSLContext) -> None:
        retry_s = RETRY_S_MIN
        while not self._ending:
            self._changed.clear()
            if not self._wanted:
                self._changed.wait()
                continue
            attempt = _Attempt(self._name, self._subscriptions, self._on_message, self._changed)
            problem = attempt.open(host, port, context)
            if problem:
                logger.warning("%s cannot reach the broker: %s", self._name, problem)
                attempt.close()
                self._changed.wait(retry_s)
                retry_s = min(2 * retry_s, RETRY_S_MAX)
                continue
            retry_s = RETRY_S_MIN
            self._client = attempt.client
            logger.info("%s connected", self._name)
            self._on_change(True)
            while self._wanted and not self._ending and not attempt.lost:
                self._changed.wait()
                self._changed.clear()
            self._client = None
            attempt.close()
            logger.info("%s disconnected: %s", self._name, attempt.lost or "left")
            self._on_change(False)


class _Attempt:
    """One client from its CONNECT to its end."""

    def __init__(
        self,
        name: str,
        subscriptions: list[tuple[str, int]],
        on_message: Callable[[Incoming], None],
        changed: threading.Event,
    ) -> None:
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._changed = changed
        self._ready = threading.Event()
        self.lost = ""
        self.client = QuickClient(
            name, lambda topic, payload, kept: on_message(Incoming(topic, payload, kept))
        )
        self.client.max_inflight_messages_set(INFLIGHT_MAX)
        self.client.on_connect = self._connected
        self.client.on_subscribe = self._subscribed
        self.client.on_disconnect = self._disconnected
        self.client.on_message = self._message

    def open(self, host: str, port: int, context: ssl.SSLContext) -> str:
        """Connect and subscribe; return what went wrong, or nothing."""
        self.client.tls_set_context(context)
        self.client.connect_timeout = CONNECT_WAIT_S
        try:
            self.client.connect(host, port, keepalive=KEEPALIVE_S)
        except (OSError, ValueError) as error:  # ValueError: ssl.CertificateError
            return str(error)
        self.client.loop_start()
        if not self._ready.wait(CONNECT_WAIT_S):
            return f"no answer within {CONNECT_WAIT_S:.0f} s"
        return self.lost

    def close(self) -> None:
        """Leave, politely if the broker still reads, and end paho's thread."""
        if not self.lost:
            self.client.disconnect()
            self._ready.clear()
            self._ready.wait(LEAVE_WAIT_S)
        connected = self.client.socket()
        if connected is not None:
            connected.close()
        self.client.loop_stop()

    def _connected(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._lose(f"refused: {reason}")
        elif self._subscriptions:
            client.subscribe(self._subscriptions)
        else:
            self._ready.set()

    def _subscribed(
        self, _client: mqtt.Client, _data: Any, _mid: int, reasons: Any, _properties: Any
    ) -> None:
        refused = [reason for reason in reasons if reason.value >= _REFUSED]
        if refused:
            self._lose(f"may not subscribe: {refused[0]}")
        else:
            self._ready.set()

    def _disconnected(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        self._lose(str(reason))

    def _message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        # paho's own way for QoS 1; DUP and retained ones come here as well.
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "\ufffd"
        client = self.client if message.qos else None
        incoming = Incoming(topic, bytes(message.payload), message.retain, message.mid, client)
        self._on_message(incoming)

    def _lose(self, why: str) -> None:
        self.lost = self.lost or why
        self._ready.set()
        self._changed.set()
