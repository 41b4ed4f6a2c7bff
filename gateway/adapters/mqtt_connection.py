"""One connection to the broker's services listener, by paho-mqtt with acknowledgement by hand.

Sessions are clean: nothing that the broker queues for us is relied on. paho calls `on_message` in
its own thread, which therefore never does more than put a message into a queue; a blocked callback
would hold everything behind it, pings included.
"""

import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

logger = logging.getLogger(__name__)

KEEPALIVE_S = 15  # A frozen broker is noticed, and left, within some 25 s.
RECONNECT_S_MIN = 1
RECONNECT_S_MAX = 8
# Outgoing QoS 1 messages (commands) in flight; beyond it paho queues them.
INFLIGHT_MAX = 1000

Message = mqtt.MQTTMessage


class MqttConnection:
    """Keeps one connection up, subscribed, and reports whether it is."""

    def __init__(
        self,
        client_id: str,
        subscriptions: Sequence[tuple[str, int]],
        on_message: Callable[[Message], None],
        on_change: Callable[[bool], None],
    ) -> None:
        self._name = client_id
        self._subscriptions = list(subscriptions)
        self._on_change = on_change
        self._wanted = threading.Event()
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            manual_ack=True,
            reconnect_on_failure=True,
        )
        self.client.max_inflight_messages_set(INFLIGHT_MAX)
        self.client.reconnect_delay_set(RECONNECT_S_MIN, RECONNECT_S_MAX)
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        self.client.on_message = lambda _client, _data, message: on_message(message)

    def start(self, host: str, port: int, files: tuple[Path, Path, Path]) -> None:
        """Begin connecting; comes back by itself for ever, also if the broker is not there yet.

        Args:
            host: The broker's name, which its certificate must carry.
            port: Of the services listener.
            files: The services' authority, our certificate and our key, PEM.
        """
        authority, certificate, key = files
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(certificate, key)
        self.client.tls_set_context(context)
        self.client.connect_async(host, port, keepalive=KEEPALIVE_S)
        self._wanted.set()
        self.client.loop_start()

    def stop(self) -> None:
        """Disconnect and end paho's thread."""
        self._wanted.clear()
        self.client.disconnect()
        self.client.loop_stop()

    def pause(self) -> None:
        """Leave the broker until `resume`: the others take over what is shared."""
        if self._wanted.is_set():
            self._wanted.clear()
            self.client.disconnect()

    def resume(self) -> None:
        """Come back after `pause`."""
        if not self._wanted.is_set():
            self._wanted.set()
            # paho's thread ended with the disconnect; a new one connects again.
            self.client.loop_stop()
            self.client.loop_start()

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> mqtt.MQTTMessageInfo:
        """Send from any thread; with QoS 0 and no connection the message is let go."""
        return self.client.publish(topic, payload, qos)

    def acknowledge(self, message: Message) -> None:
        """PUBACK a message that is committed, or will never be."""
        if message.qos:
            self.client.ack(message.mid, message.qos)

    def _connected(
        self,
        client: mqtt.Client,
        _data: Any,
        _flags: Any,
        reason: Any,
        _properties: Any,
    ) -> None:
        if reason.is_failure:
            logger.warning("%s refused by the broker: %s", self._name, reason)
            return
        client.subscribe(self._subscriptions)
        logger.info("%s connected", self._name)
        self._on_change(True)

    def _disconnected(
        self,
        _client: mqtt.Client,
        _data: Any,
        _flags: Any,
        reason: Any,
        _properties: Any,
    ) -> None:
        logger.info("%s disconnected: %s", self._name, reason)
        self._on_change(False)
